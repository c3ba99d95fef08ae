import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runExport } from "../../../src/session/exports/runExport.ts";
import { importEvolution } from "../../../src/session/importEvolution.ts";
import { encodePng } from "../../../src/session/png.ts";
import { openSession } from "../../../src/session/reader.ts";
import { unwrap } from "../../../src/shared/result.ts";
import { createRng } from "../../../src/shared/rng.ts";
import { anInfo, someRgb } from "./aSession.ts";

let folder = "";
const pixels = new Map<string, Uint8Array>();
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "evoked-import-"));
  mkdirSync(join(folder, "images"));
  for (const name of ["a.png", "b.png", "c.png", "ref.png"]) {
    const rgb = someRgb(createRng(name), 8);
    pixels.set(name, rgb);
    writeFileSync(join(folder, "images", name), encodePng({ widthPx: 8, heightPx: 8, rgb }));
  }
  writeFileSync(join(folder, "images", "text.png"), "not an image");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function importing(csv: string, name: string) {
  const csvFile = join(folder, `${name}.csv`);
  writeFileSync(csvFile, csv);
  return importEvolution({ csvFile, imageFolder: join(folder, "images"), folder: join(folder, "sessions"), fileName: `${name}.evoked`, info: anInfo({ rig: "imported" }), windowStartMs: 70, windowEndMs: 170 });
}

describe("another lab's evolution", () => {
  test("becomes a session with images, presentations, generations and their means", async () => {
    const csv = "image,generation,kind,rate_hz,excluded,channel_V4-1,channel_V4-2\r\na.png,0,evolved,10,,1,5\r\nb.png,0,evolved,30,,3,6\r\nref.png,0,reference,8,,0,7\r\na.png,0,,20,,2,8\r\nb.png,0,,,true,,\r\nc.png,1,,50,,5,9\r\nref.png,1,reference,12,,1,4\r\n";
    const imported = unwrap(await importing(csv, "whole"));
    expect(imported).toMatchObject({ images: 4, presentations: 7, generations: 2 });
    const reader = unwrap(openSession(imported.file));
    expect(reader.channels().map(({ name }) => name)).toStrictEqual(["V4-1", "V4-2"]);
    expect(reader.presentations().map((p) => p.rateHz)).toStrictEqual([10, 30, 8, 20, null, 50, 12]);
    expect(reader.presentations().map((p) => (p.counts === null ? null : [...p.counts]))).toStrictEqual([[1, 5], [3, 6], [0, 7], [2, 8], null, [5, 9], [1, 4]]);
    const generations = reader.generations();
    // a.png: mean of 10 and 20; b.png: 30, its repeat does not count.
    expect(generations.map((g) => [...g.scores])).toStrictEqual([[15, 30], [50]]);
    expect(generations.map((g) => [g.evolvedMean, g.referenceMean])).toStrictEqual([[20, 8], [50, 12]]);
    // The standard error of 10, 30, 20: standard deviation 10 over the root of 3.
    expect(generations[0]?.evolvedSem).toBeCloseTo(10 / Math.sqrt(3), 12);
    expect(reader.image(generations[0]?.bestImageId ?? 0)?.record.label).toBe("b.png");
    for (const image of reader.images()) expect(reader.image(image.imageId)?.record.rgb).toStrictEqual(pixels.get(image.label));
    expect(reader.summary()).toMatchObject({ generations: 2, evolvedMean: 50, state: "finished", thumbnailImageId: 4 });
    reader.close();
    for (const format of ["nwb", "csv"] as const) {
      expect(await runExport({ file: imported.file, format, outDir: join(folder, "out"), now: "2025-11-23T00:00:00Z" }, { onProgress: () => undefined, isCancelled: () => false })).toMatchObject({ ok: true });
    }
  });

  test.each([
    ["a missing column", "image,generation\na.png,0\n", 'Expected a column "rate_hz"'],
    ["no rows", "image,rate_hz\n", "at least one presentation"],
    ["a rate in words", "image,rate_hz\na.png,10\nb.png,high\n", 'line 3, got "high"'],
    ["a missing rate", "image,rate_hz\na.png,\n", "a rate in spikes/s"],
    ["a generation that goes back", "image,rate_hz,generation\na.png,1,1\nb.png,1,0\n", "generation 1 or later"],
    ["a count that is no whole number", "image,rate_hz,channel_1\na.png,1,1.5\n", 'column "channel_1"'],
    ["an image outside the folder", "image,rate_hz\n../a.png,1\n", "a file name in the folder"],
    ["an image that is not there", "image,rate_hz\nnone.png,1\n", 'the first "none.png"'],
    ["a kind that is not known", "image,rate_hz,kind\na.png,1,natural\n", '"evolved" or "reference"'],
  ])("with %s is refused with the place in the file, and makes no session", async (name, csv, sentence) => {
    const before = readdirSync(join(folder)).includes("sessions") ? readdirSync(join(folder, "sessions")) : [];
    expect(await importing(csv, name.replaceAll(" ", "-"))).toMatchObject({ ok: false, error: { message: expect.stringContaining(sentence) } });
    expect(readdirSync(folder).includes("sessions") ? readdirSync(join(folder, "sessions")) : []).toStrictEqual(before);
  });

  test("with a file that is no image says which", async () => {
    expect(await importing("image,rate_hz\ntext.png,1\n", "text")).toMatchObject({ ok: false, error: { code: "imageUnreadable", message: expect.stringContaining("text.png") } });
    expect(readdirSync(join(folder, "sessions"))).not.toContain("text.evoked");
  });
});
