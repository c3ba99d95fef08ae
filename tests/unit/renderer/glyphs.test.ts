// Every character that the windows' own texts hold is one that the bundled font can draw: no machine shows a box in its place.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { brotliDecompressSync } from "node:zlib";
import { expect, test } from "vitest";

const root = process.cwd();
const font = join(root, "node_modules", "inter-ui", "variable", "InterVariable.woff2");

/** Code points of a WOFF2 file, by the formats 4 and 12 of its cmap table (W3C WOFF 2.0, section 5; OpenType, cmap). */
function codePointsOf(file: string): ReadonlySet<number> {
  const bytes = readFileSync(file);
  let at = 48;
  const base128 = (): number => {
    let value = 0;
    for (;;) {
      const byte = bytes.readUInt8(at++);
      value = value * 128 + (byte & 127);
      if (byte < 128) return value;
    }
  };
  let offset = 0;
  let cmap = { from: -1, length: 0 };
  for (let table = 0; table < bytes.readUInt16BE(12); table++) {
    const flags = bytes.readUInt8(at++);
    const known = flags & 63;
    const name = known === 63 ? bytes.toString("latin1", at, (at += 4)) : known === 0 ? "cmap" : "";
    let length = base128();
    // glyf and loca (10, 11) are transformed by default, all others only if said.
    if ((known === 10 || known === 11) === (flags >> 6 === 0)) length = base128();
    if (name === "cmap") cmap = { from: offset, length };
    offset += length;
  }
  const table = brotliDecompressSync(bytes.subarray(at, at + bytes.readUInt32BE(20))).subarray(cmap.from, cmap.from + cmap.length);
  const points = new Set<number>();
  for (let i = 0; i < table.readUInt16BE(2); i++) {
    const part = table.subarray(table.readUInt32BE(8 + 8 * i));
    if (part.readUInt16BE(0) === 4) {
      const segments = part.readUInt16BE(6) / 2;
      for (let s = 0; s < segments; s++) for (let c = part.readUInt16BE(16 + 2 * segments + 2 * s); c <= part.readUInt16BE(14 + 2 * s) && c < 0xffff; c++) points.add(c);
    } else if (part.readUInt16BE(0) === 12) {
      for (let g = 0; g < part.readUInt32BE(12); g++) for (let c = part.readUInt32BE(16 + 12 * g); c <= part.readUInt32BE(20 + 12 * g); c++) points.add(c);
    }
  }
  return points;
}

test("the windows' sources, and what the engine says to them, hold no character that the bundled font lacks", () => {
  const points = codePointsOf(font);
  expect(points.has("▲".codePointAt(0) ?? 0) && points.has("→".codePointAt(0) ?? 0) && !points.has("▯".codePointAt(0) ?? 0)).toBe(true);
  const sources = ["renderer", "engine", "loop", "shared", "models", "acquisition", "session"].flatMap((folder) => readdirSync(join(root, "src", folder), { recursive: true, encoding: "utf8" }).map((file) => join("src", folder, file)));
  const missing = sources.filter((file) => /\.(ts|tsx|css|html)$/.test(file)).flatMap((file) => [...new Set(readFileSync(join(root, file), "utf8"))].filter((c) => c >= " " && !points.has(c.codePointAt(0) ?? 0)).map((c) => `${file}: ${c}`));
  expect(missing).toEqual([]);
});
