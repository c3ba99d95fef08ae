// What windows ask of recorded sessions: jobs, notes, timelines, what if; and replays in threads of their own.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Transformer } from "@napi-rs/image";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runHeadless } from "../../../src/engine/headless.ts";
import { reviewSnapshot } from "../../../src/engine/review.ts";
import { createPlaybacks } from "../../../src/engine/playbacks.ts";
import { readResumePoint } from "../../../src/engine/resume.ts";
import { addNote, mergeNotes, notesFileOf, readNotes } from "../../../src/session/laterNotes.ts";
import { createSessionTools } from "../../../src/engine/sessionTools.ts";
import type { SessionTools } from "../../../src/engine/sessionTools.ts";
import { openSession } from "../../../src/session/reader.ts";
import { resumeSession } from "../../../src/session/writer.ts";
import { startModels } from "../../../src/models/client.ts";
import { job as jobSchema, methods, sessionConfig } from "../../../src/shared/contract/index.ts";
import type { EventName, Job, MethodArgs, MethodInput, ReplayStatus } from "../../../src/shared/contract/index.ts";
import { unwrap } from "../../../src/shared/result.ts";

const folder = mkdtempSync(join(tmpdir(), "evoked-tools-"));
const operator = { id: "operator", access: ["view", "operate"] } as const;
let file: string;
/** Stopped after its first generation and taken up again. */
let resumed: string;

beforeAll(async () => {
  const models = unwrap(await startModels({ modelsDirs: [resolve(import.meta.dirname, "..", "..", "..", "models")], inProcess: true, provider: "cpu", threads: 1 }));
  const run = unwrap(await runHeadless({
    models, fast: true, sessionFolder: folder,
    config: sessionConfig.parse({ seed: 5, display: { kind: "timed" }, evolution: { generations: 3, tuningRepeats: 0, referencesPerGeneration: 3, threads: [{ target: 20, populationSize: 16 }] } }),
  }));
  file = run.session;
  const config = sessionConfig.parse({ seed: 6, display: { kind: "timed" }, evolution: { generations: 3, tuningRepeats: 0, referencesPerGeneration: 2, confirmRepeats: 0, threads: [{ target: 20, populationSize: 12 }] } });
  const stop = new AbortController();
  const first = unwrap(await runHeadless({ models, fast: true, sessionFolder: folder, config, stop: stop.signal, onProgress: ({ generation }) => { if (generation === 1) stop.abort(); } }));
  resumed = first.session;
  unwrap(await runHeadless({ models, fast: true, sessionFolder: folder, config: unwrap(readResumePoint(resumed)).config, resumeFile: resumed }));
  await models.close();
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Held extends SessionTools {
  readonly seen: Job[];
  ended(jobId: string): Promise<Job>;
}

function someTools(): Held {
  const seen: Job[] = [];
  const tools = createSessionTools({ sessionFolder: folder, hostKind: "test", onJob: (job) => seen.push(jobSchema.parse(job)) });
  return {
    ...tools, seen,
    async ended(jobId) {
      for (let i = 0; i < 1200; i++) {
        const last = seen.findLast((job) => job.id === jobId);
        if (last !== undefined && last.state !== "waiting" && last.state !== "running") return last;
        await new Promise((done) => setTimeout(done, 25));
      }
      throw new Error(`expected job ${jobId} to end`);
    },
  };
}

function tampered(sql: string): string {
  const copy = join(folder, `tampered-${readdirSync(folder).length}.evoked`);
  const source = new Database(file, { readonly: true });
  source.exec(`VACUUM INTO '${copy}'`);
  source.close();
  const db = new Database(copy);
  db.exec(sql);
  db.close();
  return copy;
}

describe("verify", () => {
  it("says of every session whether it is identical, or the first record that is not, or why it cannot be read", async () => {
    const tools = someTools();
    const changed = tampered("UPDATE presentations SET rate_hz = rate_hz + 10 WHERE presentation_id = 20");
    const { jobId } = unwrap(await tools.handlers["sessions.verify"]({ files: [file, changed, join(folder, "none.evoked")] }, operator));
    const job = await tools.ended(jobId);
    expect(job.state).toBe("failed");
    expect(job.results.map((r) => [r.ok, r.differs])).toEqual([[true, false], [false, true], [false, false]]);
    expect(job.results[0]?.message).toMatch(/^identical, [\d,]+ records/);
    expect(job.results[1]?.message).toMatch(/^differs first at record \d+ \(presentation, rateHz\): recorded [\d.]+, replayed [\d.]+/);
    expect(job.results[2]?.message).toContain("none.evoked");
    const shares = tools.seen.filter((j) => j.id === jobId).map((j) => j.share);
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
    await tools.close();
  });

  it("leaves the engine's thread free while it works", async () => {
    const tools = someTools();
    let beats = 0;
    const began = performance.now();
    const beat = setInterval(() => { beats += 1; }, 5);
    await tools.ended(unwrap(await tools.handlers["sessions.verify"]({ files: [file, file] }, operator)).jobId);
    clearInterval(beat);
    // Verified on this thread, it would beat a few times in all.
    expect(beats).toBeGreaterThan((performance.now() - began) / 100);
    await tools.close();
  });

  it("is cancelled at once, and what waits behind it goes on", async () => {
    const tools = someTools();
    const first = unwrap(await tools.handlers["sessions.verify"]({ files: [file, file, file] }, operator)).jobId;
    const second = unwrap(await tools.handlers["sessions.verify"]({ files: [file] }, operator)).jobId;
    const third = unwrap(await tools.handlers["sessions.verify"]({ files: [file] }, operator)).jobId;
    await tools.handlers["sessions.cancelJob"]({ jobId: first }, operator);
    await tools.handlers["sessions.cancelJob"]({ jobId: third }, operator);
    expect((await tools.ended(first)).state).toBe("cancelled");
    expect((await tools.ended(second)).state).toBe("done");
    expect((await tools.ended(third)).results).toEqual([]);
    expect(unwrap(await tools.handlers["sessions.jobs"]({}, operator)).map((j) => j.state)).toEqual(["cancelled", "done", "cancelled"]);
    const unknown = await tools.handlers["sessions.cancelJob"]({ jobId: "nobody's" }, operator);
    expect(unknown.ok ? "" : unknown.error.code).toBe("noJob");
    await tools.close();
  });
});

describe("export", () => {
  it("writes several formats, names each result, and says where one is there already", async () => {
    const tools = someTools();
    const order = { files: [file], formats: ["csv", "images"] as const, outDir: join(folder, "exports"), overwrite: false };
    const job = await tools.ended(unwrap(await tools.handlers["sessions.export"]({ ...order, formats: [...order.formats] }, operator)).jobId);
    expect(job.state).toBe("done");
    for (const result of job.results) expect(existsSync(join(result.path ?? "", "images.csv")) || existsSync(result.path ?? ""), result.path ?? "").toBe(true);
    const again = await tools.ended(unwrap(await tools.handlers["sessions.export"]({ ...order, formats: ["csv"] }, operator)).jobId);
    expect(again.results[0]).toMatchObject({ ok: false, format: "csv", path: null });
    expect(again.results[0]?.message).toContain("already exists");
    await tools.close();
  });

  it("is noted in the session with where it went and its hash; a session that is being recorded is exported without, and says so", async () => {
    const tools = someTools();
    const mine = tampered("");
    const order = { files: [mine], formats: ["sqlite" as const], outDir: join(folder, "noted"), overwrite: true };
    const done = await tools.ended(unwrap(await tools.handlers["sessions.export"](order, operator)).jobId);
    expect(done.results[0]?.message).toMatch(/comparisons with the session equal$/);
    const noted = (): readonly { readonly path: string; readonly format: string; readonly sha256: string | null }[] => {
      const reader = unwrap(openSession(mine));
      const exports = reader.exports();
      reader.close();
      // Tests before may have exported the session that this is a copy of.
      return exports.filter(({ path }) => path.startsWith(order.outDir));
    };
    const path = done.results[0]?.path ?? "";
    expect(noted()).toMatchObject([{ format: "sqlite", path, sha256: createHash("sha256").update(readFileSync(path)).digest("hex") }]);
    const writer = unwrap(await resumeSession(mine, { startedUtc: "2026-01-01T00:00:00.000Z", appVersion: "0", hostKind: "test" }, { thread: "caller" }));
    const again = await tools.ended(unwrap(await tools.handlers["sessions.export"](order, operator)).jobId);
    expect(again.results[0]).toMatchObject({ ok: true, path });
    expect(again.results[0]?.message).toContain("Not noted in the session: ");
    expect(again.results[0]?.message).toContain("is being recorded");
    await writer.close();
    expect(noted()).toHaveLength(1);
    await tools.close();
  });

  it("leaves nothing behind when it is cancelled", async () => {
    const tools = someTools();
    const outDir = join(folder, "cancelled");
    const { jobId } = unwrap(await tools.handlers["sessions.export"]({ files: [file], formats: ["csv", "parquet"], outDir, overwrite: false }, operator));
    await tools.handlers["sessions.cancelJob"]({ jobId }, operator);
    expect((await tools.ended(jobId)).state).toBe("cancelled");
    expect(existsSync(outDir) ? readdirSync(outDir) : []).toEqual([]);
    await tools.close();
  });
});

describe("timeline", () => {
  it("has the end of every generation and every presentation in order, within the session", async () => {
    const tools = someTools();
    const timeline = unwrap(await tools.handlers["sessions.timeline"]({ file }, operator));
    expect(timeline.generations.map((g) => g.generation)).toEqual([0, 1, 2]);
    expect(timeline.notReplayable).toBeNull();
    expect(timeline.steps.map(({ step, protocol }) => ({ step, protocol }))).toEqual([{ step: 0, protocol: "evolution" }]);
    expect(timeline.steps[0]?.atMs).toBeLessThan(timeline.presentationsMs[0] ?? 0);
    expect(timeline.presentationsMs).toEqual(timeline.presentationsMs.toSorted((a, b) => a - b));
    expect(timeline.presentationsMs.at(-1)).toBeLessThanOrEqual(timeline.durationMs);
    await tools.close();
  });
});

describe("a replay in a thread of its own", () => {
  function someReplays() {
    const seen: { readonly callerId: string; readonly event: EventName; readonly payload: unknown }[] = [];
    const playbacks = createPlaybacks((callerId) => (event, payload) => void seen.push({ callerId, event, payload }));
    const status = (callerId: string): ReplayStatus => seen.findLast((s) => s.callerId === callerId && s.event === "replay")?.payload as ReplayStatus;
    return { playbacks, seen, status };
  }

  it("stands after exactly the presentations and generations that the timeline says", async () => {
    const tools = someTools();
    const { playbacks, status } = someReplays();
    const timeline = unwrap(await tools.handlers["sessions.timeline"]({ file }, operator));
    await playbacks.open("a", file);
    for (const index of [0, 30, 7]) {
      await playbacks.control("a", { action: "seek", positionMs: timeline.presentationsMs[index] ?? 0 });
      expect(status("a").presentations).toBe(index + 1);
    }
    await playbacks.control("a", { action: "seek", positionMs: timeline.generations[1]?.atMs ?? 0 });
    expect(status("a")).toMatchObject({ generation: 2, jumped: true, difference: null, seekingToMs: null });
    const snapshot = await playbacks.snapshot("a");
    expect(snapshot.curve.map((p) => p.generation)).toEqual([0, 1]);
    expect((await playbacks.responses("a", 20, 5)).map((p) => p.channel)).toEqual([20, 20, 20, 20, 20]);
    playbacks.closeAll();
    await tools.close();
  });

  it("goes through a session that was taken up again, at the times that the timeline says", async () => {
    const tools = someTools();
    const { playbacks, status } = someReplays();
    const timeline = unwrap(await tools.handlers["sessions.timeline"]({ file: resumed }, operator));
    expect(timeline.resumedMs).toHaveLength(1);
    expect(timeline.presentationsMs).toEqual(timeline.presentationsMs.toSorted((a, b) => a - b));
    await playbacks.open("a", resumed);
    for (const { generation, atMs } of timeline.generations) {
      await playbacks.control("a", { action: "seek", positionMs: atMs });
      expect(status("a")).toMatchObject({ generation: generation + 1, difference: null });
    }
    expect((await playbacks.snapshot("a")).curve.map((p) => p.generation)).toEqual([0, 1, 2]);
    playbacks.closeAll();
    await tools.close();
  });

  it("takes the newest of two seeks, and tells only the window that asked", async () => {
    const { playbacks, seen, status } = someReplays();
    await Promise.all([playbacks.open("a", file), playbacks.open("b", file)]);
    const { durationMs } = unwrap(await someTools().handlers["sessions.timeline"]({ file }, operator));
    await Promise.all([playbacks.control("a", { action: "seek", positionMs: durationMs }), playbacks.control("a", { action: "seek", positionMs: durationMs / 3 })]);
    expect(status("a").positionMs).toBeLessThanOrEqual(durationMs / 3);
    expect(status("a")).toMatchObject({ atEnd: false, seekingToMs: null });
    expect(seen.filter((s) => s.callerId === "b")).toEqual([]);
    playbacks.close("a");
    await expect(playbacks.control("a", { action: "pause" })).rejects.toThrow("Nothing is replayed in this window");
    await expect(playbacks.open("c", join(folder, "none.evoked"))).rejects.toThrow("none.evoked");
    playbacks.closeAll();
  });
});

describe("what if", () => {
  it("gives the recorded curve for nothing changed, and only numbers or null", async () => {
    const tools = someTools();
    const same = unwrap(await tools.handlers["sessions.whatIf"]({ file }, operator));
    for (const g of same.generations) expect(g.otherwise.evolved).toBeCloseTo(g.recorded.evolved ?? Number.NaN, 9);
    const other = unwrap(await tools.handlers["sessions.whatIf"]({ file, windowStartMs: 0, windowEndMs: 40, optimizer: "sep-cma" }, operator));
    expect(JSON.parse(JSON.stringify(other))).toEqual(other);
    expect(other.surrogate?.otherOptimizer).toHaveLength(3);
    const refused = await tools.handlers["sessions.whatIf"]({ file, target: 999 }, operator);
    expect(refused.ok ? "" : refused.error.code).toBe("unknownChannel");
    await tools.close();
  });
});

describe("notes written afterwards", () => {
  it("stand beside the session, whose file stays as it was to the byte", () => {
    const before = readFileSync(file);
    expect(unwrap(readNotes(file)).later).toEqual([]);
    unwrap(addNote(file, "first", "2026-01-02T10:00:00.000Z"));
    unwrap(addNote(file, "second", "2026-01-03T10:00:00.000Z"));
    expect(unwrap(readNotes(file)).later.map((n) => n.text)).toEqual(["first", "second"]);
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  it("are merged with another copy's once, and those of another session are refused", () => {
    const copy = tampered("SELECT 1");
    unwrap(addNote(copy, "of a colleague", "2026-01-02T12:00:00.000Z"));
    unwrap(mergeNotes(file, copy));
    const merged = unwrap(mergeNotes(file, notesFileOf(copy)));
    expect(merged.later.map((n) => n.text)).toEqual(["first", "of a colleague", "second"]);
    const other = join(folder, "other.notes.json");
    writeFileSync(other, JSON.stringify({ format: "evoked notes", version: 1, session: "another", notes: [] }));
    const refused = mergeNotes(file, other);
    expect(refused.ok ? "" : refused.error.code).toBe("otherSession");
  });

  it("are not overwritten where they cannot be read", () => {
    const copy = tampered("SELECT 1");
    writeFileSync(notesFileOf(copy), "{ not notes");
    const refused = addNote(copy, "x", "2026-01-02T12:00:00.000Z");
    expect(refused.ok ? "" : refused.error.code).toBe("notesUnreadable");
    expect(readFileSync(notesFileOf(copy), "utf8")).toBe("{ not notes");
  });
});

describe("import", () => {
  const someReplay = (made: string): Promise<string> => createPlaybacks(() => () => undefined).open("a", made).then(() => "", (error: unknown) => String(error));

  async function oldData(csv: string): Promise<MethodArgs<"sessions.import">> {
    const images = mkdtempSync(join(folder, "old-"));
    mkdirSync(images, { recursive: true });
    for (const [i, name] of ["a.png", "b.png", "r.png"].entries()) writeFileSync(join(images, name), await Transformer.fromRgbaPixels(new Uint8Array(8 * 8 * 4).fill(60 * i + 40), 8, 8).png());
    writeFileSync(join(images, "responses.csv"), csv);
    const input: MethodInput<"sessions.import"> = { csvFile: join(images, "responses.csv"), imageFolder: images, subject: "ringo", recordedUtc: "2019-05-02", lab: "Another lab", folder: join(images, "sessions") };
    return methods["sessions.import"].args.parse(input);
  }

  it("makes a session that is listed, reviewed and exported, and says that it cannot be replayed", async () => {
    const tools = someTools();
    const args = await oldData("image,rate_hz,generation,kind\na.png,10,0,evolved\nr.png,5,0,reference\nb.png,30,1,evolved\nr.png,6,1,reference\n");
    const job = await tools.ended(unwrap(await tools.handlers["sessions.import"](args, operator)).jobId);
    expect(job.results).toMatchObject([{ ok: true, message: "4 presentations of 3 images in 2 generations" }]);
    const made = job.results[0]?.path ?? "";
    const timeline = unwrap(await tools.handlers["sessions.timeline"]({ file: made }, operator));
    expect(timeline.generations).toHaveLength(2);
    expect(timeline.notReplayable).toContain("imported");
    const reader = unwrap(openSession(made));
    const review = reviewSnapshot(reader);
    reader.close();
    expect(review.curve.map((p) => [p.evolvedMean, p.referenceMean])).toEqual([[10, 5], [30, 6]]);
    // Windows get it as JSON, which knows no NaN.
    expect(JSON.parse(JSON.stringify(review))).toEqual(review);
    expect(review.session?.startedUtc).toBe("2019-05-02T00:00:00.000Z");
    const exported = await tools.ended(unwrap(await tools.handlers["sessions.export"]({ files: [made], formats: ["csv"], outDir: join(folder, "imported"), overwrite: false }, operator)).jobId);
    expect(exported.state).toBe("done");
    const verified = await tools.ended(unwrap(await tools.handlers["sessions.verify"]({ files: [made] }, operator)).jobId);
    expect(verified.results).toMatchObject([{ ok: false, differs: false, message: timeline.notReplayable }]);
    const refused = await someReplay(made);
    expect(refused).toContain("Expected");
    await tools.close();
  });

  it("names the line of the CSV that is wrong, and leaves no session behind", async () => {
    const tools = someTools();
    const args = await oldData("image,rate_hz\na.png,10\nb.png,many\n");
    const job = await tools.ended(unwrap(await tools.handlers["sessions.import"](args, operator)).jobId);
    expect(job.results[0]?.message).toContain("line 3");
    expect(existsSync(args.folder ?? "") ? readdirSync(args.folder ?? "").filter((n) => n.endsWith(".evoked")) : []).toEqual([]);
    await tools.close();
  });
});
