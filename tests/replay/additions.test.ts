// What is added to a session afterwards (analyses, exports) changes nothing of its replay, its resumption, or what windows show of it.
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runHeadless } from "../../src/engine/headless.ts";
import { verifySession } from "../../src/engine/replay.ts";
import { readResumePoint } from "../../src/engine/resume.ts";
import { createSessionTools } from "../../src/engine/sessionTools.ts";
import { whatIf } from "../../src/engine/whatIf.ts";
import { startModels } from "../../src/models/client.ts";
import type { Models } from "../../src/models/client.ts";
import { appendToSession } from "../../src/session/append.ts";
import { openSession } from "../../src/session/reader.ts";
import { sessionConfig } from "../../src/shared/contract/index.ts";
import { unwrap } from "../../src/shared/result.ts";
import { createRng } from "../../src/shared/rng.ts";
import { someAnalyses } from "../unit/session/aSession.ts";

const folder = mkdtempSync(join(tmpdir(), "evoked-additions-"));
const config = sessionConfig.parse({ seed: 9, display: { kind: "timed" }, evolution: { generations: 3, tuningRepeats: 0, referencesPerGeneration: 2, confirmRepeats: 0, threads: [{ target: 20, populationSize: 12 }] } });
let models: Models;
/** Stopped after its first generation. */
let cut: string;

beforeAll(async () => {
  models = unwrap(await startModels({ modelsDirs: [join(import.meta.dirname, "..", "..", "models")], inProcess: true, provider: "cpu", threads: 1 }));
  const stop = new AbortController();
  cut = unwrap(await runHeadless({ models, fast: true, sessionFolder: folder, config, stop: stop.signal, onProgress: ({ generation }) => { if (generation === 1) stop.abort(); } })).session;
}, 60_000);
afterAll(async () => {
  await models.close();
  rmSync(folder, { recursive: true, force: true });
});

function copyOf(file: string, name: string): string {
  const copy = join(folder, `${name}.evoked`);
  copyFileSync(file, copy);
  return copy;
}

async function add(file: string, times: number): Promise<void> {
  for (let i = 0; i < times; i++) unwrap(await appendToSession(file, someAnalyses(createRng(i)), { appVersion: "1", hostKind: "test", thread: "caller" }));
}

function recordsOf(file: string): readonly unknown[] {
  const reader = unwrap(openSession(file));
  try {
    return reader.runs().flatMap((run) => [...reader.records({ fromSeq: run.firstSeq, toSeq: run.lastSeq, pixels: false })].map((record) => ({ ...record, seq: record.seq - run.firstSeq })));
  } finally {
    reader.close();
  }
}

async function seenOf(file: string): Promise<unknown> {
  const tools = createSessionTools({ sessionFolder: folder, hostKind: "test", onJob: () => undefined });
  const { wallSeconds: _wall, file: _file, ...verified } = unwrap(await verifySession(file));
  const caller = { id: "test", access: ["view", "operate"] } as const;
  const timeline = unwrap(await tools.handlers["sessions.timeline"]({ file }, caller));
  await tools.close();
  const reader = unwrap(openSession(file));
  const { file: _own, sizeBytes: _size, ...summary } = reader.summary();
  reader.close();
  return { verified, timeline, summary, whatIf: { ...unwrap(whatIf(file, { windowStartMs: 50 })), file: "" } };
}

describe("what is added afterwards", () => {
  it("leaves replay, timeline, what-if and the state of the session as they were", async () => {
    const file = copyOf(cut, "replayed");
    const before = await seenOf(file);
    expect(before).toMatchObject({ verified: { identical: true, compared: { generation: 1 } } });
    await add(file, 2);
    expect(await seenOf(file)).toStrictEqual(before);
  });

  it("leaves the point from which it goes on, and a resumed session as it would have been without", async () => {
    const [plain, more] = [copyOf(cut, "plain"), copyOf(cut, "more")];
    await add(more, 2);
    expect(unwrap(readResumePoint(more))).toStrictEqual(unwrap(readResumePoint(plain)));
    for (const file of [plain, more]) unwrap(await runHeadless({ models, fast: true, sessionFolder: folder, config: unwrap(readResumePoint(file)).config, resumeFile: file }));
    await add(more, 1);
    const report = unwrap(await verifySession(more));
    expect(report.firstDifference).toBeNull();
    expect(report.compared["generation"]).toBe(3);
    expect(recordsOf(more).length).toBe(recordsOf(plain).length);
    const reader = unwrap(openSession(more));
    expect([reader.runs().length, reader.additions().length, reader.summary().state, reader.generations().length]).toStrictEqual([2, 3, "finished", 3]);
    reader.close();
  }, 60_000);
});
