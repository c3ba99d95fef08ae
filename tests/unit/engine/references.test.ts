// Reference images from real files, and the engine's small parts.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Transformer } from "@napi-rs/image";
import { afterAll, describe, expect, it } from "vitest";
import { builtInReferences } from "../../../src/engine/paths.ts";
import { decodeImage, loadReferences } from "../../../src/engine/references.ts";
import { gridOf } from "../../../src/engine/telemetry.ts";
import { appVersion } from "../../../src/engine/version.ts";

const folder = mkdtempSync(join(tmpdir(), "evoked-references-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Left half red, right half blue. */
function twoHalves(width: number, height: number): Transformer {
  const rgba = new Uint8Array(width * height * 4);
  for (let i = 0; i < width * height; i++) rgba.set(i % width < width / 2 ? [255, 0, 0, 255] : [0, 0, 255, 255], i * 4);
  return Transformer.fromRgbaPixels(rgba, width, height);
}

describe("reference images", () => {
  it("come from PNG and JPEG alike, as the centre square at the size asked for", async () => {
    for (const file of [await twoHalves(80, 40).png(), await twoHalves(80, 40).jpeg(95)]) {
      const image = await decodeImage(file, 20);
      expect([image.width, image.height, image.data.length]).toEqual([20, 20, 1200]);
      const at = (x: number, y: number): number[] => [...image.data.subarray((y * 20 + x) * 3, (y * 20 + x) * 3 + 3)];
      expect(at(2, 10)[0]).toBeGreaterThan(200);
      expect(at(17, 10)[2]).toBeGreaterThan(200);
      expect(at(17, 10)[0]).toBeLessThan(60);
    }
  });

  it("lie transparent pixels on mid-grey", async () => {
    const image = await decodeImage(await Transformer.fromRgbaPixels(new Uint8Array(16 * 16 * 4), 16, 16).png(), 16);
    expect(new Set(image.data)).toEqual(new Set([128]));
  });

  it("of the app are all there and in name order", async () => {
    const loaded = await loadReferences(builtInReferences, 32);
    expect(loaded.ok && loaded.value.length).toBeGreaterThanOrEqual(20);
    if (loaded.ok) expect(loaded.value.map((r) => r.label)).toEqual(loaded.value.map((r) => r.label).toSorted());
  });

  it("say which file cannot be decoded, and that a folder is empty or missing", async () => {
    const missing = await loadReferences(join(folder, "none"), 32);
    expect(missing.ok ? "" : missing.error.message).toContain("none");
    const empty = await loadReferences(folder, 32);
    expect(empty.ok ? "" : empty.error.message).toContain("found none");
    writeFileSync(join(folder, "broken.png"), "not an image");
    const broken = await loadReferences(folder, 32);
    expect(broken.ok ? "" : broken.error.message).toContain("broken.png");
  });
});

describe("the engine's small parts", () => {
  it("state the version of package.json", () => {
    expect(appVersion).toBe(JSON.parse(readFileSync(join(import.meta.dirname, "..", "..", "..", "package.json"), "utf8")).version);
  });

  it("lay channels out by their places where the rig gives them, else in columns of eight", () => {
    const named = (area: string, n: number, placed: boolean) => Array.from({ length: n }, (_, i) => ({ index: i, name: `c${i}`, area, positionMm: placed ? { x: (i % 4) * 0.4, y: Math.floor(i / 4) * 0.4 } : null }));
    expect(gridOf(named("V1", 32, true))[5]).toMatchObject({ row: 1, column: 1 });
    const unplaced = gridOf(named("", 20, false));
    expect(Math.max(...unplaced.map((c) => c.row))).toBeLessThan(8);
    expect(new Set(unplaced.map((c) => `${c.row}/${c.column}`)).size).toBe(20);
  });
});
