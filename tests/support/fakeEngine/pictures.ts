// Pictures that look like an evolution from noise to an object, as RGB and as PNG. One seed, one picture.
// Knows nothing about engines.
import { deflateSync } from "node:zlib";

export const sidePx = 128;

/** A small generator good enough for pictures and spike times of a test feed. */
export function seeded(seed: number): () => number {
  let state = (Math.imul(seed, 2654435761) ^ 0x9e3779b9) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
}

/** quality 0 = blurred clutter, 1 = a clear object. RGBA, sidePx x sidePx. */
export function paint(seed: number, quality: number): Uint8Array {
  const random = seeded(seed);
  const rgba = new Uint8Array(sidePx * sidePx * 4);
  const blobs = Array.from({ length: 26 }, () => ({ x: random(), y: random(), r: 0.08 + 0.2 * random(), c: [random(), random(), random()] as const, a: 0.5 * (1 - 0.85 * quality) }));
  const [dx, dy] = [(random() - 0.5) * 0.12, (random() - 0.5) * 0.12];
  const hue = random();
  for (let j = 0; j < sidePx; j++) {
    for (let i = 0; i < sidePx; i++) {
      const [x, y] = [i / sidePx, j / sidePx];
      let rgb: readonly number[] = [0.14 + 0.1 * y * quality, 0.2 + 0.12 * (1 - y), 0.22 + 0.16 * (1 - y)];
      for (const b of blobs) {
        const d = ((x - b.x) ** 2 + (y - b.y) ** 2) / (b.r * b.r);
        if (d < 1) rgb = mix(rgb, b.c, b.a * (1 - d));
      }
      const ex = (x - 0.5 - dx) / 0.34;
      const ey = (y - 0.5 - dy) / (0.27 + 0.05 * quality);
      const body = ex * ex + ey * ey;
      if (body < 1) rgb = mix(rgb, [0.86 - 0.5 * body, 0.5 + 0.14 * hue - 0.36 * body, 0.3 - 0.16 * body], (0.2 + 0.8 * quality) * Math.min(1, (1 - body) * 6));
      for (const side of [-1, 1]) {
        const eye = ((x - 0.5 - dx - side * 0.12) / 0.055) ** 2 + ((y - 0.45 - dy) / 0.055) ** 2;
        if (eye < 1) rgb = mix(rgb, [0.05, 0.04, 0.05], quality);
      }
      const at = (j * sidePx + i) * 4;
      rgba[at] = 255 * (rgb[0] ?? 0);
      rgba[at + 1] = 255 * (rgb[1] ?? 0);
      rgba[at + 2] = 255 * (rgb[2] ?? 0);
      rgba[at + 3] = 255;
    }
  }
  return rgba;
}

function mix(a: readonly number[], b: readonly number[], t: number): readonly number[] {
  return a.map((v, i) => v + ((b[i] ?? 0) - v) * t);
}

/** RGBA -> PNG, base64. */
export function pngBase64(rgba: Uint8Array): string {
  const raw = Buffer.alloc((sidePx * 4 + 1) * sidePx);
  for (let j = 0; j < sidePx; j++) raw.set(rgba.subarray(j * sidePx * 4, (j + 1) * sidePx * 4), j * (sidePx * 4 + 1) + 1);
  const header = Buffer.alloc(13);
  header.writeUInt32BE(sidePx, 0);
  header.writeUInt32BE(sidePx, 4);
  header.set([8, 6, 0, 0, 0], 8);
  return Buffer.concat([Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]), chunk("IHDR", header), chunk("IDAT", deflateSync(raw)), chunk("IEND", Buffer.alloc(0))]).toString("base64");
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const out = Buffer.alloc(12 + data.length);
  out.writeUInt32BE(data.length, 0);
  out.set(body, 4);
  out.writeUInt32BE(crc(body), 8 + data.length);
  return out;
}

function crc(bytes: Uint8Array): number {
  let c = 0xffffffff;
  for (const b of bytes) {
    c ^= b;
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  }
  return (c ^ 0xffffffff) >>> 0;
}
