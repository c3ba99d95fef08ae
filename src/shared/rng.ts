// Seeded random numbers: uniform and Gaussian draws, whole numbers, shuffles, named child streams, and a plain
// state that resumes bit for bit. Knows nothing about who draws, and never reads a clock or the system's entropy.
//
// Generator: xoshiro128** 1.1 (Blackman & Vigna 2018, 32-bit, period 2^128 - 1).
// Gaussians: ziggurat of 256 layers (Marsaglia & Tsang 2000) with layer and position taken from separate bits
// (Doornik 2005), 53 bits of position. No draw is cached between calls, so the four words are the whole state.

import { fault, ok } from "./result.ts";
import type { Fault, Result } from "./result.ts";

type Words = readonly [number, number, number, number];

/** Everything needed to go on: plain JSON data. Take it with `rng.state()`, go on with `restoreRng`. */
export interface RngState {
  readonly algorithm: "xoshiro128**";
  readonly version: 1;
  /** Seed identity (four unsigned 32-bit words): forks derive from it, draws do not change it. */
  readonly key: Words;
  /** Position in the stream (four unsigned 32-bit words, not all zero). */
  readonly words: Words;
}

/** A stream of random numbers. One stream belongs to one consumer; give every other one a fork. */
export interface Rng {
  /** Uniform in [0, 1), 53 random bits. */
  uniform(): number;
  /** Standard normal. */
  gaussian(): number;
  /** Whole number in [0, nExclusive), without modulo bias. Throws unless 1 <= nExclusive <= 2^32. */
  int(nExclusive: number): number;
  /** A new array in random order (Fisher-Yates); the argument stays as it is. */
  shuffle<T>(items: readonly T[]): T[];
  /** Fills `out` with uniform draws in [0, 1): the same values as as many calls of `uniform()`, only faster. */
  fillUniform(out: Float64Array): void;
  /** Fills `out` with standard normals: the same values as as many calls of `gaussian()`, only faster. */
  fillGaussian(out: Float64Array | Float32Array): void;
  /**
   * An independent stream named `label`. Depends on the seed identity of this stream and the label only: it neither
   * advances this stream nor depends on how far it has advanced. Equal labels give equal streams.
   */
  fork(label: string | number): Rng;
  /** A snapshot; later draws do not change it. */
  state(): RngState;
}

/** A stream from a seed. A number and its decimal text are the same seed. Throws on NaN and infinities. */
export function createRng(seed: number | string): Rng {
  if (typeof seed === "number" && !Number.isFinite(seed)) throw new Error(`expected a finite seed, got ${seed}`);
  return rngFromKey(hashText([0x9e3779b9, 0x243f6a88, 0xb7e15162, 0x93c467e3], String(seed)));
}

/** Goes on from a snapshot. Throws where the state is not one that `state()` gave; parse foreign data with `parseRngState`. */
export function restoreRng(state: RngState): Rng {
  const parsed = parseRngState(state);
  if (!parsed.ok) throw new Error(parsed.error.message);
  return makeRng(parsed.value.key, Int32Array.from(parsed.value.words, (word) => word | 0));
}

/** Parses a state read from a file. Errors: `rngStateNewer`, `rngStateInvalid`. */
export function parseRngState(value: unknown): Result<RngState, Fault> {
  if (typeof value !== "object" || value === null) {
    return fault("rngStateInvalid", `Expected the state of a random generator, got ${String(value)}.`);
  }
  const algorithm = "algorithm" in value ? value.algorithm : undefined;
  const version = "version" in value ? value.version : undefined;
  if (algorithm !== "xoshiro128**") {
    return fault("rngStateInvalid", `Expected the state of an xoshiro128** generator, got ${String(algorithm)}.`);
  }
  if (typeof version === "number" && version > 1) {
    return fault("rngStateNewer", `The state of the random generator is of version ${version}, this program reads version 1. Open it with the newer program.`);
  }
  const key = "key" in value ? parseWords(value.key) : undefined;
  const words = "words" in value ? parseWords(value.words) : undefined;
  if (version !== 1 || key === undefined || words === undefined || words.every((word) => word === 0)) {
    return fault("rngStateInvalid", "Expected a random generator state of version 1 with four unsigned 32-bit words as key and as position, not all zero; the data are damaged.");
  }
  return ok({ algorithm: "xoshiro128**", version: 1, key, words });
}

function parseWords(value: unknown): Words | undefined {
  if (!Array.isArray(value) || value.length !== 4) return undefined;
  const [a, b, c, d]: unknown[] = value;
  return isWord(a) && isWord(b) && isWord(c) && isWord(d) ? [a, b, c, d] : undefined;
}

function isWord(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 0xffffffff;
}

// ---------------------------------------------------------------------------------------------------------------
// Seeding

/** MurmurHash3's 32-bit finaliser (Appleby, public domain): every input bit reaches every output bit. */
function mix32(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** 128 bits from a key and a text. Lanes are mixed with each other at every character and again at the end. */
function hashText(key: Words, text: string): Words {
  let [a, b, c, d] = key;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x85ebca6b) ^ (d >>> 15);
    b = Math.imul(b ^ unit, 0xc2b2ae35) ^ (a >>> 13);
    c = Math.imul(c ^ unit, 0x27d4eb2f) ^ (b >>> 16);
    d = Math.imul(d ^ unit, 0x165667b1) ^ (c >>> 14);
  }
  a ^= text.length;
  for (let round = 0; round < 2; round++) {
    a = mix32(a + Math.imul(b ^ c ^ d, 0x9e3779b1));
    b = mix32(b + Math.imul(a ^ c ^ d, 0x85ebca77));
    c = mix32(c + Math.imul(a ^ b ^ d, 0xc2b2ae3d));
    d = mix32(d + Math.imul(a ^ b ^ c, 0x27d4eb2f));
  }
  return [a, b, c, d];
}

function rngFromKey(key: Words): Rng {
  // xoshiro must not start from all zeros; the odd constants make sure that no key gives them.
  const words = Int32Array.of(
    mix32(key[0] + 0x9e3779b9),
    mix32(key[1] + 0x7f4a7c15),
    mix32(key[2] + 0xbf58476d),
    mix32(key[3] + 0x94d049bb),
  );
  if (words.every((word) => word === 0)) words[0] = 1;
  return makeRng(key, words);
}

// ---------------------------------------------------------------------------------------------------------------
// Ziggurat tables (Marsaglia & Tsang 2000): 256 regions of equal area under exp(-x^2/2).

const layerCount = 256;
const tailStart = 3.6541528853610088; // r
const regionArea = 0.00492867323399; // v
/** Right edges x_i; x_0 = v / f(r) so that the base region with its tail has the area of every other. */
const layerEdge = new Float64Array(layerCount + 1);
/** f(x_i) = exp(-x_i^2 / 2). */
const layerHeight = new Float64Array(layerCount + 1);
/** x_{i+1} / x_i: below this share of the layer a point is under the curve without further test. */
const layerInner = new Float64Array(layerCount);
{
  const density = (x: number) => Math.exp(-0.5 * x * x);
  let edge = tailStart;
  layerEdge[0] = regionArea / density(tailStart);
  layerEdge[1] = tailStart;
  for (let i = 2; i < layerCount; i++) {
    edge = Math.sqrt(-2 * Math.log(regionArea / edge + density(edge)));
    layerEdge[i] = edge;
  }
  layerEdge[layerCount] = 0;
  for (let i = 0; i <= layerCount; i++) layerHeight[i] = density(layerEdge[i] ?? 0);
  for (let i = 0; i < layerCount; i++) layerInner[i] = (layerEdge[i + 1] ?? 0) / (layerEdge[i] ?? 1);
}

const twoToMinus52 = 2 ** -52;
const twoToMinus53 = 2 ** -53;

function makeRng(key: Words, words: Int32Array): Rng {
  const scratch = new Float64Array(1);

  function next(): number {
    const s0 = words[0] ?? 0;
    const s1 = words[1] ?? 0;
    const s2 = (words[2] ?? 0) ^ s0;
    const s3 = (words[3] ?? 0) ^ s1;
    const fives = Math.imul(s1, 5);
    words[1] = s1 ^ s2;
    words[0] = s0 ^ s3;
    words[2] = s2 ^ (s1 << 9);
    words[3] = (s3 << 11) | (s3 >>> 21);
    return Math.imul((fives << 7) | (fives >>> 25), 9);
  }

  function uniform(): number {
    const high = next() >>> 6; // 26 bits
    const low = next() >>> 5; // 27 bits
    return (high * 0x8000000 + low) * twoToMinus53;
  }

  function fillUniform(out: Float64Array): void {
    let s0 = words[0] ?? 0;
    let s1 = words[1] ?? 0;
    let s2 = words[2] ?? 0;
    let s3 = words[3] ?? 0;
    for (let i = 0; i < out.length; i++) {
      // Two steps of next(), with the four words in registers.
      let fives = Math.imul(s1, 5);
      const high = Math.imul((fives << 7) | (fives >>> 25), 9) >>> 6;
      let shifted = s1 << 9;
      s2 ^= s0;
      s3 ^= s1;
      s1 ^= s2;
      s0 ^= s3;
      s2 ^= shifted;
      s3 = (s3 << 11) | (s3 >>> 21);
      fives = Math.imul(s1, 5);
      const low = Math.imul((fives << 7) | (fives >>> 25), 9) >>> 5;
      shifted = s1 << 9;
      s2 ^= s0;
      s3 ^= s1;
      s1 ^= s2;
      s0 ^= s3;
      s2 ^= shifted;
      s3 = (s3 << 11) | (s3 >>> 21);
      out[i] = (high * 0x8000000 + low) * twoToMinus53;
    }
    words[0] = s0;
    words[1] = s1;
    words[2] = s2;
    words[3] = s3;
  }

  /** The one or two per cent of points that are not plainly inside their layer; undefined: reject and draw again. */
  function settleEdge(layer: number, position: number): number | undefined {
    if (layer === 0) {
      // Beyond r: Marsaglia's exponential rejection for the tail.
      let beyond: number;
      let height: number;
      do {
        beyond = -Math.log(1 - uniform()) / tailStart;
        height = -Math.log(1 - uniform());
      } while (height + height <= beyond * beyond);
      return position < 0 ? -(tailStart + beyond) : tailStart + beyond;
    }
    const x = position * (layerEdge[layer] ?? 0);
    const bottom = layerHeight[layer] ?? 0;
    const top = layerHeight[layer + 1] ?? 0;
    return bottom + uniform() * (top - bottom) < Math.exp(-0.5 * x * x) ? x : undefined;
  }

  function fillGaussian(out: Float64Array | Float32Array): void {
    let s0 = words[0] ?? 0;
    let s1 = words[1] ?? 0;
    let s2 = words[2] ?? 0;
    let s3 = words[3] ?? 0;
    const count = out.length;
    let i = 0;
    while (i < count) {
      // Two steps of next(), with the four words in registers.
      let fives = Math.imul(s1, 5);
      const high = Math.imul((fives << 7) | (fives >>> 25), 9);
      let shifted = s1 << 9;
      s2 ^= s0;
      s3 ^= s1;
      s1 ^= s2;
      s0 ^= s3;
      s2 ^= shifted;
      s3 = (s3 << 11) | (s3 >>> 21);
      fives = Math.imul(s1, 5);
      const low = Math.imul((fives << 7) | (fives >>> 25), 9);
      shifted = s1 << 9;
      s2 ^= s0;
      s3 ^= s1;
      s1 ^= s2;
      s0 ^= s3;
      s2 ^= shifted;
      s3 = (s3 << 11) | (s3 >>> 21);

      const layer = low & 255;
      const position = (high * 0x200000 + (low >>> 11)) * twoToMinus52; // [-1, 1), 53 bits
      if (Math.abs(position) < (layerInner[layer] ?? 0)) {
        out[i++] = position * (layerEdge[layer] ?? 0);
        continue;
      }
      words[0] = s0;
      words[1] = s1;
      words[2] = s2;
      words[3] = s3;
      const settled = settleEdge(layer, position);
      if (settled !== undefined) out[i++] = settled;
      s0 = words[0] ?? 0;
      s1 = words[1] ?? 0;
      s2 = words[2] ?? 0;
      s3 = words[3] ?? 0;
    }
    words[0] = s0;
    words[1] = s1;
    words[2] = s2;
    words[3] = s3;
  }

  function int(nExclusive: number): number {
    if (!Number.isInteger(nExclusive) || nExclusive < 1 || nExclusive > 0x100000000) {
      throw new Error(`expected a count of choices from 1 to 2^32, got ${nExclusive}`);
    }
    const limit = 0x100000000 - (0x100000000 % nExclusive);
    let draw = next() >>> 0;
    while (draw >= limit) draw = next() >>> 0;
    return draw % nExclusive;
  }

  return {
    uniform,
    fillUniform,
    gaussian() {
      fillGaussian(scratch);
      return scratch[0] ?? 0;
    },
    int,
    shuffle<T>(items: readonly T[]): T[] {
      // Cells, so that an item may be undefined.
      const cells = items.map((item) => ({ item }));
      for (let last = cells.length - 1; last > 0; last--) {
        const place = int(last + 1);
        const here = cells[last];
        const there = cells[place];
        if (here === undefined || there === undefined) throw new Error(`expected a place below ${cells.length}, got ${place}`);
        cells[last] = there;
        cells[place] = here;
      }
      return cells.map((cell) => cell.item);
    },
    fillGaussian,
    fork(label) {
      return rngFromKey(hashText(key, `/${label}`));
    },
    state() {
      return {
        algorithm: "xoshiro128**",
        version: 1,
        key: [key[0], key[1], key[2], key[3]],
        words: [(words[0] ?? 0) >>> 0, (words[1] ?? 0) >>> 0, (words[2] ?? 0) >>> 0, (words[3] ?? 0) >>> 0],
      };
    },
  };
}
