// Sessions that were killed: what is in the file, and going on with it.
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runHeadless } from "../../src/engine/headless.ts";
import { verifySession } from "../../src/engine/replay.ts";
import { readResumePoint } from "../../src/engine/resume.ts";
import { startModels } from "../../src/models/client.ts";
import type { Models } from "../../src/models/client.ts";
import { openSession } from "../../src/session/reader.ts";
import { sessionConfig } from "../../src/shared/contract/index.ts";
import { unwrap } from "../../src/shared/result.ts";
import { createRng } from "../../src/shared/rng.ts";

const root = join(import.meta.dirname, "..", "..");
const folder = mkdtempSync(join(tmpdir(), "evoked-resume-"));
const generations = 6;
let models: Models;
let whole: string;

beforeAll(async () => {
  models = unwrap(await startModels({ modelsDirs: [join(root, "models")], inProcess: true, provider: "cpu", threads: 1 }));
  const run = unwrap(await runHeadless({ models, fast: true, sessionFolder: folder, config: sessionConfig.parse({ seed: 3, display: { kind: "timed" }, evolution: { generations } }) }));
  whole = run.session;
}, 120_000);
afterAll(async () => {
  await models.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Starts the session of `whole` in a process of its own and kills it once its file holds this many presentations. */
async function killedAfter(presentations: number, where: string): Promise<string> {
  const child = spawn(process.execPath, [join(root, "src", "cli", "main.ts"), "demo", "--seed", "3", "--generations", String(generations), "--fast", "--sessions", where], { stdio: "ignore" });
  try {
    for (let i = 0; i < 1200; i++) {
      await new Promise((resolve) => setTimeout(resolve, 15));
      const file = readdirSync(where).find((n) => n.endsWith(".evoked"));
      if (file === undefined) continue;
      const reader = openSession(join(where, file));
      if (!reader.ok) continue;
      const have = reader.value.summary().presentations;
      reader.value.close();
      if (have >= presentations) return join(where, file);
    }
    throw new Error("expected the session to get that far within 18 s");
  } finally {
    child.kill("SIGKILL");
    await new Promise((resolve) => child.once("exit", resolve));
  }
}

describe("a session that was killed", () => {
  it("holds everything up to the kill, is resumed to its end, and every decision of both runs can be replayed", async () => {
    const rng = createRng("kills");
    // More with EVOKED_KILLS=200.
    const kills = Math.max(3, Number(process.env["EVOKED_KILLS"] ?? 3));
    for (const target of [12, ...Array.from({ length: kills - 1 }, () => 20 + rng.int(150))]) {
      const where = mkdtempSync(join(folder, "killed-"));
      const file = await killedAfter(target, where);
      const before = unwrap(openSession(file));
      const done = before.generations({ states: true });
      const presented = before.presentations().length;
      expect(before.summary().state).toBe("interrupted");
      expect(presented).toBeGreaterThanOrEqual(target);
      // What was finished is what the uninterrupted session has, bit for bit.
      const reference = unwrap(openSession(whole));
      reference.generations({ states: true }).slice(0, done.length).forEach((g, i) => {
        expect([...(done[i]?.scores ?? [])]).toEqual([...g.scores]);
        expect(Buffer.compare(done[i]?.stateAfter ?? new Uint8Array(), g.stateAfter)).toBe(0);
      });
      before.close();
      const past = unwrap(readResumePoint(file));
      const resumed = unwrap(await runHeadless({ models, fast: true, sessionFolder: where, config: past.config, resumeFile: file }));
      expect(resumed.session).toBe(file);
      const after = unwrap(openSession(file));
      expect(after.generations().map((g) => g.generation)).toEqual(Array.from({ length: generations }, (_, i) => i));
      expect(after.runs()).toHaveLength(2);
      expect(after.summary().state).toBe("finished");
      // The population that was under way is the one that would have been shown: same latents as in the uninterrupted session.
      const current = done.length;
      const latents = (from: typeof reference) => from.images({ thread: 0, generation: current }).map((i) => [i.individual, ...(i.latent ?? [])]);
      expect(latents(after)).toEqual(latents(reference));
      // Nothing measured before the kill was measured again.
      const counted = new Map<number, number>();
      for (const p of after.presentations({ generation: current })) if (p.excluded === null) counted.set(p.imageId, (counted.get(p.imageId) ?? 0) + 1);
      const wanted = after.images({ thread: 0, generation: current }).length === 1 ? 5 : 1;
      for (const i of after.images({ thread: 0, generation: current })) expect(counted.get(i.imageId)).toBe(wanted);
      after.close();
      reference.close();
      expect(unwrap(await verifySession(file)).firstDifference).toBeNull();
    }
  }, 60_000 * Math.max(3, Number(process.env["EVOKED_KILLS"] ?? 3)));

  it("says that there is nothing to resume when all generations are done", () => {
    const past = readResumePoint(whole);
    expect(past.ok ? "" : past.error.code).toBe("sessionComplete");
  });
});
