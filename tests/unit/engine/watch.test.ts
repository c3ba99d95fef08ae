import { expect, test } from "vitest";
import { createWatch } from "../../../src/engine/watch.ts";

const calm = { hasEye: true, queuedRecords: 0 };
const codes = (list: readonly { readonly code: string }[]): readonly string[] => list.map((a) => a.code);

test("a blink is no alarm; eyes that stay unseen are one, once, until they are seen", () => {
  const watch = createWatch();
  watch.eye({ valid: true, atMs: 0 });
  for (let atMs = 10; atMs <= 400; atMs += 10) watch.eye({ valid: false, atMs });
  expect(watch.ask({ atMs: 400, ...calm }).begun).toEqual([]);
  watch.eye({ valid: false, atMs: 2100 });
  const first = watch.ask({ atMs: 2100, ...calm });
  expect(codes(first.begun)).toEqual(["eyeLost"]);
  expect(first.begun[0]?.message).toContain("pupil");
  expect(watch.ask({ atMs: 2200, ...calm })).toEqual({ begun: [], over: [] });
  watch.eye({ valid: true, atMs: 2300 });
  expect(codes(watch.ask({ atMs: 2300, ...calm }).over)).toEqual(["eyeLost"]);
});

test("a tracker that falls silent is told from an eye that is not seen; without a tracker there is no alarm", () => {
  const watch = createWatch();
  watch.eye({ valid: true, atMs: 0 });
  expect(watch.ask({ atMs: 2500, ...calm }).begun[0]?.message).toContain("No word from the eye tracker");
  const mute = createWatch();
  expect(mute.ask({ atMs: 60_000, ...calm }).begun).toEqual([]);
  expect(codes(mute.ask({ atMs: 63_000, ...calm }).begun)).toEqual(["eyeLost"]);
  const none = createWatch();
  for (const atMs of [0, 60_000]) expect(none.ask({ atMs, ...calm, hasEye: false }).begun).toEqual([]);
});

test("marks that stop are lost sync after five images, and back with the first mark; a single one is not", () => {
  const watch = createWatch();
  for (let i = 0; i < 4; i++) watch.presentation("noOnsetMark");
  expect(watch.ask({ atMs: 0, ...calm }).begun).toEqual([]);
  watch.presentation("other");
  watch.presentation("noOnsetMark");
  expect(codes(watch.ask({ atMs: 0, ...calm }).begun)).toEqual(["syncLost"]);
  watch.presentation("noOnsetMark");
  expect(watch.ask({ atMs: 0, ...calm }).over).toEqual([]);
  watch.presentation("counted");
  expect(codes(watch.ask({ atMs: 0, ...calm }).over)).toEqual(["syncLost"]);
});

test("one late frame in fifty is life, one in ten is an alarm with its share", () => {
  const watch = createWatch();
  for (let i = 0; i < 50; i++) watch.presentation(i % 50 === 7 ? "lateFrame" : "counted");
  expect(watch.ask({ atMs: 0, ...calm }).begun).toEqual([]);
  for (let i = 0; i < 50; i++) watch.presentation(i % 5 === 0 ? "lateFrame" : "counted");
  expect(watch.ask({ atMs: 0, ...calm }).begun[0]?.message).toContain("20 %");
  for (let i = 0; i < 50; i++) watch.presentation("counted");
  expect(codes(watch.ask({ atMs: 0, ...calm }).over)).toEqual(["framesDropped"]);
});

test("a queue that grows is told before anything is lost, and only leaves when it is short again", () => {
  const watch = createWatch();
  expect(codes(watch.ask({ atMs: 0, hasEye: true, queuedRecords: 25_000 }).begun)).toEqual(["queue"]);
  expect(watch.ask({ atMs: 0, hasEye: true, queuedRecords: 10_000 })).toEqual({ begun: [], over: [] });
  expect(codes(watch.ask({ atMs: 0, hasEye: true, queuedRecords: 100 }).over)).toEqual(["queue"]);
});

test("a writer that writes nothing for some seconds is told by the age of what waits, however little that is", () => {
  const watch = createWatch();
  const ask = (atMs: number, queuedRecords: number, committedRecords: number) => watch.ask({ atMs, hasEye: false, queuedRecords, committedRecords });
  // Always something in the queue, but never the same: that is how a healthy one looks.
  for (let atMs = 0; atMs <= 20_000; atMs += 100) expect(ask(atMs, 20, atMs / 10)).toEqual({ begun: [], over: [] });
  for (let atMs = 20_100; atMs <= 24_500; atMs += 100) expect(ask(atMs, (atMs - 20_000) / 10, 2000)).toEqual({ begun: [], over: [] });
  expect(ask(25_200, 520, 2000).begun).toMatchObject([{ code: "queue", message: expect.stringContaining("the oldest for 5 s") }]);
  expect(codes(ask(25_300, 10, 2520).over)).toEqual(["queue"]);
});

test("a disk that fills is told once, and that there is room again", () => {
  const watch = createWatch();
  const ask = (isLow: boolean) => watch.ask({ atMs: 0, hasEye: false, queuedRecords: 0, disk: { isLow, minutesLeft: 12.4 } });
  expect(ask(false)).toEqual({ begun: [], over: [] });
  expect(ask(true).begun).toEqual([{ code: "disk", severity: "warn", message: "The disk is nearly full: about 12 minutes are left. Make room now." }]);
  expect(ask(true)).toEqual({ begun: [], over: [] });
  expect(ask(false).over.map((o) => o.code)).toEqual(["disk"]);
});
