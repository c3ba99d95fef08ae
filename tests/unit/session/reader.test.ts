import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listSessions, openSession } from "../../../src/session/reader.ts";
import type { SessionReader } from "../../../src/session/reader.ts";
import { createSession, resumeSession } from "../../../src/session/writer.ts";
import type { SessionRecord } from "../../../src/shared/records.ts";
import { unwrap } from "../../../src/shared/result.ts";
import { hostTimeNs, rigTimeNs } from "../../../src/shared/units.ts";
import { decodePng } from "../../../src/session/png.ts";
import { sha256 } from "../../../src/session/tables.ts";
import { aSession, anInfo, someChannels } from "./aSession.ts";

type Kind = SessionRecord["kind"];

const records = [...aSession({ seed: 11, generations: 4 })];
function kind<K extends Kind>(wanted: K): Extract<SessionRecord, { kind: K }>[] {
  return records.filter((record): record is Extract<SessionRecord, { kind: K }> => record.kind === wanted);
}

let folder = "";
let reader: SessionReader;

async function store(name: string, all: Iterable<SessionRecord>): Promise<string> {
  const writer = unwrap(await createSession({ folder, fileName: name, info: anInfo(), thread: "caller" }));
  for (const record of all) writer.append(record);
  await writer.close();
  return writer.file;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "evoked-reader-"));
  reader = unwrap(openSession(await store("one.evoked", records)));
});
afterAll(() => {
  reader.close();
  rmSync(folder, { recursive: true, force: true });
});

const allSpikes = kind("spikes").flatMap(({ batch }) => Array.from(batch.timesRigNs, (timeNs, i) => ({ timeNs, channel: batch.channels[i], unit: batch.units[i] })));
const allGaze = kind("eye").flatMap(({ batch }) => Array.from(batch.timesRigNs, (timeNs, i) => ({ timeNs, x: batch.xDeg[i], y: batch.yDeg[i], valid: batch.valid[i] })));
const start = allSpikes[0]?.timeNs ?? 0;
const end = allSpikes.at(-1)?.timeNs ?? 0;
const someRange = fc.tuple(fc.double({ min: -0.1, max: 1.1, noNaN: true }), fc.double({ min: -0.1, max: 1.1, noNaN: true })).map(([a, b]) => ({
  fromRigNs: start + Math.min(a, b) * (end - start),
  toRigNs: start + Math.max(a, b) * (end - start),
}));

describe("a session reader", () => {
  test("gives back what was known before the first record", () => {
    expect(reader.info()).toStrictEqual(anInfo());
  });

  test("finds exactly the spikes of a time range, of one channel or all", () => {
    fc.assert(
      fc.property(someRange, fc.option(fc.integer({ min: 0, max: 12 }), { nil: undefined }), (range, channel) => {
        const found = reader.spikes({ ...range, ...(channel === undefined ? {} : { channel }) });
        const expected = allSpikes.filter((s) => s.timeNs >= range.fromRigNs && s.timeNs <= range.toRigNs && (channel === undefined || s.channel === channel));
        expect([...found.timesRigNs]).toStrictEqual(expected.map((s) => s.timeNs));
        expect([...found.channels]).toStrictEqual(expected.map((s) => s.channel));
        expect([...found.units]).toStrictEqual(expected.map((s) => s.unit));
      }),
      { numRuns: 40 },
    );
  });

  test("finds exactly the gaze of a time range", () => {
    fc.assert(
      fc.property(someRange, (range) => {
        const found = reader.eye(range);
        const expected = allGaze.filter((sample) => sample.timeNs >= range.fromRigNs && sample.timeNs <= range.toRigNs);
        expect([...found.timesRigNs]).toStrictEqual(expected.map((sample) => sample.timeNs));
        expect([...found.xDeg]).toStrictEqual(expected.map((sample) => sample.x));
        expect([...found.yDeg]).toStrictEqual(expected.map((sample) => sample.y));
        expect([...found.valid]).toStrictEqual(expected.map((sample) => sample.valid));
      }),
      { numRuns: 20 },
    );
  });

  test("aligns a channel's spikes to every onset", () => {
    const rows = reader.raster({ channel: 3, fromMs: -100, toMs: 250 });
    const shown = kind("presentation").filter((p) => p.onsetRigNs !== null);
    expect(rows.map((row) => row.presentationId)).toStrictEqual(shown.map((p) => p.presentationId));
    for (const [i, presentation] of shown.entries()) {
      const onset = presentation.onsetRigNs ?? 0;
      const expected = allSpikes.filter((s) => s.channel === 3 && s.timeNs >= onset - 100e6 && s.timeNs < onset + 250e6).map((s) => (s.timeNs - onset) / 1e6);
      expect([...(rows[i]?.timesMs ?? [])]).toStrictEqual(expected);
    }
    expect(rows.some((row) => row.timesMs.length > 0)).toBe(true);
  });

  test("counts the spikes of each channel", () => {
    const counts = new Float64Array(12);
    for (const { channel } of allSpikes) counts[channel ?? 0] = (counts[channel ?? 0] ?? 0) + 1;
    expect(reader.spikeCounts()).toStrictEqual(counts);
  });

  test("gives each kind of record by itself", () => {
    expect(reader.generations({ states: true })).toStrictEqual(kind("generation"));
    expect(reader.presentations()).toStrictEqual(kind("presentation"));
    expect(reader.presentations({ generation: 2 })).toStrictEqual(kind("presentation").filter((p) => p.generation === 2));
    expect(reader.presentations({ imageId: 1 })).toStrictEqual(kind("presentation").filter((p) => p.imageId === 1));
    expect(reader.trials()).toStrictEqual(kind("trial"));
    expect(reader.rewards()).toStrictEqual(kind("reward"));
    expect(reader.events()).toStrictEqual(kind("event"));
    expect(reader.marks()).toStrictEqual(kind("mark"));
    expect(reader.clockMaps()).toStrictEqual(kind("clock"));
    expect(reader.models()).toStrictEqual(kind("model"));
    expect(reader.devices()).toStrictEqual(kind("devices")[0]?.devices);
    expect(reader.channels()).toStrictEqual(someChannels(12));
    expect(reader.images({ thread: 0, generation: 1 }).map((image) => image.imageId)).toStrictEqual(
      kind("image").flatMap((image) => (image.thread === 0 && image.generation === 1 ? [image.imageId] : [])),
    );
  });

  test("gives an image as PNG with pixels, latent and the hash of its pixels, and null for one that is not there", () => {
    const recorded = kind("image")[5];
    if (recorded === undefined) throw new Error("expected six images");
    const image = reader.image(recorded.imageId);
    expect(image?.record).toStrictEqual(recorded);
    expect(unwrap(decodePng(image?.png ?? new Uint8Array())).rgb).toStrictEqual(recorded.rgb);
    expect(image?.rgbSha256).toBe(sha256(recorded.rgb).toString("hex"));
    expect(reader.image(999_999)).toBeNull();
  });

  test("iterates over a part of the records, by number and kind, with or without pixels", () => {
    expect([...reader.records({ fromSeq: 37, toSeq: 61 })]).toStrictEqual(records.slice(36, 61));
    expect([...reader.records({ kinds: ["trial", "mark"] })]).toStrictEqual(records.filter(({ kind: each }) => each === "trial" || each === "mark"));
    const bare = [...reader.records({ kinds: ["image"], pixels: false })];
    expect(bare).toStrictEqual(kind("image").map((image) => ({ ...image, rgb: new Uint8Array() })));
  });

  test("sums the session up", () => {
    const last = kind("generation").at(-1);
    expect(reader.summary()).toMatchObject({
      id: anInfo().id,
      subjectId: "A1",
      rig: "Synthetic rig",
      protocol: "evolution",
      target: "CH2",
      generations: 4,
      presentations: kind("presentation").length,
      evolvedMean: last?.evolvedMean,
      referenceMean: 12,
      state: "finished",
      thumbnailImageId: last?.bestImageId,
      durationS: ((records.at(-1)?.hostNs ?? 0) - (records[0]?.hostNs ?? 0)) / 1e9,
    });
    expect(reader.summary().sizeBytes).toBeGreaterThan(50_000);
  });
});

describe("a session that was cut short", () => {
  test("says where to go on: counters, the last finished generation, and what there is of the next", async () => {
    // Cut in the third generation, after its images and a few of its presentations.
    const second = kind("generation")[1];
    const cutAt = kind("presentation").filter((p) => p.generation === 2)[3]?.seq ?? 0;
    const file = await store("cut.evoked", records.slice(0, cutAt));
    const cut = unwrap(openSession(file));
    const point = cut.resumePoint();
    cut.close();
    const before = records.slice(0, cutAt);
    expect(point).toStrictEqual({
      nextSeq: cutAt + 1,
      nextImageId: 1 + Math.max(...before.flatMap((r) => (r.kind === "image" ? [r.imageId] : []))),
      nextTrialId: 1 + Math.max(...before.flatMap((r) => (r.kind === "trial" ? [r.trialId] : []))),
      nextPresentationId: 1 + Math.max(...before.flatMap((r) => (r.kind === "presentation" ? [r.presentationId] : []))),
      lastHostNs: before.at(-1)?.hostNs,
      threads: [
        {
          thread: 0,
          last: second,
          current: 2,
          images: kind("image").filter((image) => image.generation === 2),
          presentations: kind("presentation").filter((p) => p.generation === 2).slice(0, 4),
        },
      ],
    });
  });

  test("before its first generation ended starts from that generation, and before its first image from nothing", async () => {
    const firstTrial = kind("trial")[0]?.seq ?? 0;
    const early = unwrap(openSession(await store("early.evoked", records.slice(0, firstTrial))));
    expect(early.resumePoint().threads).toMatchObject([{ thread: 0, last: null, current: 0 }]);
    expect(early.resumePoint().threads[0]?.presentations.length).toBe(5);
    early.close();
    const empty = unwrap(openSession(await store("empty.evoked", [])));
    expect(empty.resumePoint()).toStrictEqual({ nextSeq: 1, nextImageId: 1, nextTrialId: 1, nextPresentationId: 1, lastHostNs: 0, threads: [] });
    expect(empty.summary()).toMatchObject({ durationS: 0, target: null, evolvedMean: null, thumbnailImageId: null, state: "finished" });
    expect([...empty.records()]).toStrictEqual([]);
    empty.close();
  });

  test("and resumed on a rig clock that started again keeps the spikes of its runs apart", async () => {
    const spikesAt = (seq: number, timeNs: number): SessionRecord => ({
      seq,
      hostNs: hostTimeNs(0),
      kind: "spikes",
      batch: { timesRigNs: Float64Array.of(timeNs), channels: Uint16Array.of(0), units: Uint8Array.of(0), watermarkRigNs: rigTimeNs(timeNs), arrivedHostNs: hostTimeNs(0) },
    });
    const file = await store("twice.evoked", [spikesAt(1, 100), spikesAt(2, 200)]);
    const resumed = unwrap(await resumeSession(file, { startedUtc: "2025-11-22T15:00:00.000Z", appVersion: "0", hostKind: "test" }, { thread: "caller" }));
    resumed.append(spikesAt(3, 150));
    await resumed.close();
    const twice = unwrap(openSession(file));
    expect([...twice.spikes({ fromRigNs: 0, toRigNs: 1000 }).timesRigNs]).toStrictEqual([100, 150, 200]);
    expect([...twice.spikes({ fromRigNs: 0, toRigNs: 1000, run: 1 }).timesRigNs]).toStrictEqual([100, 200]);
    expect([...twice.spikes({ fromRigNs: 0, toRigNs: 1000, run: 2 }).timesRigNs]).toStrictEqual([150]);
    twice.close();
  });
});

describe("files that are no session", () => {
  test("are refused with a sentence each, and a list of sessions says why and goes on", async () => {
    const place = join(folder, "list");
    mkdirSync(place);
    const good = unwrap(await createSession({ folder: place, fileName: "good.evoked", info: anInfo(), thread: "caller" }));
    await good.close();
    writeFileSync(join(place, "text.evoked"), "this is a text, long enough to be taken for a database header if nobody looked at it twice, and then some more of it.");
    writeFileSync(join(place, "nothing.evoked"), "");
    const other = new Database(join(place, "other.evoked"));
    other.exec("CREATE TABLE t (x)");
    other.close();
    const damaged = unwrap(await createSession({ folder: place, fileName: "damaged.evoked", info: anInfo(), thread: "caller" }));
    for (const record of records) damaged.append(record);
    await damaged.close();
    truncateSync(damaged.file, 8192);
    mkdirSync(join(place, "folder.evoked"));
    writeFileSync(join(place, "notes.txt"), "");

    const list = unwrap(listSessions(place));
    expect(list.sessions.map(({ file }) => file)).toStrictEqual([good.file]);
    const why = Object.fromEntries(list.broken.map(({ file, fault }) => [file.slice(place.length + 1), fault]));
    expect(why).toMatchObject({
      "text.evoked": { code: "notASession" },
      "nothing.evoked": { code: "notASession" },
      "other.evoked": { code: "notASession" },
      "damaged.evoked": { code: "sessionDamaged" },
      "folder.evoked": { code: "cannotOpen" },
    });
    for (const { file, fault } of list.broken) expect(fault.message).toContain(file);
    expect(openSession(join(place, "none.evoked"))).toMatchObject({ ok: false, error: { code: "cannotOpen" } });
  });

  test("are not looked for in a folder that does not exist", () => {
    expect(listSessions(join(folder, "nowhere"))).toStrictEqual({ ok: true, value: { sessions: [], broken: [] } });
  });
});
