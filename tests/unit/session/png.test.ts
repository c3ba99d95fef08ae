import { crc32, deflateSync } from "node:zlib";
import { Transformer } from "@napi-rs/image";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodePng, encodePng } from "../../../src/session/png.ts";
import { unwrap } from "../../../src/shared/result.ts";
import { createRng } from "../../../src/shared/rng.ts";
import { someRgb } from "./aSession.ts";

const image = fc
  .tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 20 }), fc.boolean())
  .chain(([widthPx, heightPx, flat]) =>
    fc.uint8Array({ minLength: widthPx * heightPx * 3, maxLength: widthPx * heightPx * 3, ...(flat ? { max: 3 } : {}) }).map((rgb) => ({ widthPx, heightPx, rgb })),
  );

/** A PNG whose rows are filtered already. */
function aPng(widthPx: number, rows: readonly (readonly [number, Uint8Array])[]): Uint8Array {
  const chunk = (type: string, data: Uint8Array): Buffer => {
    const named = Buffer.concat([Buffer.from(type, "latin1"), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(named));
    return Buffer.concat([length, named, sum]);
  };
  const header = Buffer.from([0, 0, 0, widthPx, 0, 0, 0, rows.length, 8, 2, 0, 0, 0]);
  return Buffer.concat([Buffer.from("89504e470d0a1a0a", "hex"), chunk("IHDR", header), chunk("IDAT", deflateSync(Buffer.concat(rows.map(([filter, bytes]) => Buffer.from([filter, ...bytes]))))), chunk("IEND", new Uint8Array())]);
}

describe("PNG images", () => {
  test("come back byte for byte", () => {
    fc.assert(
      fc.property(image, (one) => {
        expect(unwrap(decodePng(encodePng(one)))).toStrictEqual(one);
      }),
    );
  });

  test("decode to the same pixels in another decoder", () => {
    const rgb = someRgb(createRng(1), 32);
    const rgba = new Transformer(Buffer.from(encodePng({ widthPx: 32, heightPx: 32, rgb }))).rawPixelsSync();
    expect(rgba.length % (32 * 32)).toBe(0);
    const samples = rgba.length / (32 * 32);
    expect([...rgb]).toStrictEqual([...rgba].filter((_, i) => i % samples < 3));
  });

  test("of other programs, with any filter in any row, decode to the pixels of the definition", () => {
    const row = fc.tuple(fc.integer({ min: 0, max: 4 }), fc.uint8Array({ minLength: 15, maxLength: 15 }));
    fc.assert(fc.property(fc.array(row, { minLength: 1, maxLength: 6 }), (rows) => {
      const pixels: number[] = [];
      rows.forEach(([filter, bytes], y) => bytes.forEach((byte, i) => {
        const left = i < 3 ? 0 : (pixels[y * 15 + i - 3] ?? 0);
        const above = y === 0 ? 0 : (pixels[(y - 1) * 15 + i] ?? 0);
        const corner = i < 3 || y === 0 ? 0 : (pixels[(y - 1) * 15 + i - 3] ?? 0);
        const near = [left, above, corner].map((value) => ({ value, distance: Math.abs(left + above - corner - value) })).reduce((a, b) => (b.distance < a.distance ? b : a)).value;
        pixels.push((byte + ([0, left, above, Math.floor((left + above) / 2), near][filter] ?? 0)) % 256);
      }));
      expect([...unwrap(decodePng(aPng(5, rows))).rgb]).toEqual(pixels);
    }));
  });

  test("of natural smoothness take less than three quarters of their bytes", () => {
    const rgb = someRgb(createRng(2), 64);
    expect(encodePng({ widthPx: 64, heightPx: 64, rgb }).length).toBeLessThan((rgb.length * 3) / 4);
  });

  test("with any byte changed are refused or decode to the same pixels, and never crash", () => {
    const one = { widthPx: 5, heightPx: 4, rgb: someRgb(createRng(3), 5).slice(0, 60) };
    const png = encodePng(one);
    for (let i = 0; i < png.length; i++) {
      const bad = png.slice();
      bad[i] = (bad[i] ?? 0) ^ 0x41;
      const decoded = decodePng(bad);
      if (decoded.ok) expect(decoded.value).toStrictEqual(one);
      else expect(decoded.error).toMatchObject({ code: "imageDamaged" });
    }
    expect(decodePng(png.slice(0, 30))).toMatchObject({ ok: false });
  });

  test("of the wrong size are refused as a bug", () => {
    expect(() => encodePng({ widthPx: 2, heightPx: 2, rgb: new Uint8Array(11) })).toThrow(/expected 2 x 2 x 3 bytes/);
  });
});
