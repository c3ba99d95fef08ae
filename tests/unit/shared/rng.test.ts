// The seeded generator: distribution, resumption, independence of forks, reproducibility across releases.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createRng, parseRngState, restoreRng } from "../../../src/shared/rng.ts";

const anySeed = fc.oneof(fc.integer(), fc.string());

describe("createRng", () => {
  test("the stream of a seed never changes between releases", () => {
    const rng = createRng(1);
    expect([rng.uniform(), rng.gaussian(), rng.int(1000)]).toMatchInlineSnapshot(`
      [
        0.14304312831410526,
        -0.6871940090572425,
        499,
      ]
    `);
    expect(createRng("session 3").fork("thread").fork(2).uniform()).toMatchInlineSnapshot(`0.5079723291321948`);
  });

  test("a number and its decimal text are the same seed, and neighbouring seeds share nothing", () => {
    expect(createRng(7).uniform()).toBe(createRng("7").uniform());
    const firsts = new Set(Array.from({ length: 2000 }, (_, seed) => createRng(seed).uniform()));
    expect(firsts.size).toBe(2000);
    const mean = [...firsts].reduce((sum, x) => sum + x, 0) / 2000;
    expect(Math.abs(mean - 0.5)).toBeLessThan(4 * Math.sqrt(1 / 12 / 2000));
  });

  test("a seed that is not finite is refused", () => {
    expect(() => createRng(Number.NaN)).toThrow(/finite seed/);
  });
});

describe("distributions", () => {
  test("gaussians have the normal distribution's moments and tails, ziggurat edges and tail included", () => {
    const draws = new Float64Array(1_000_000);
    createRng(11).fillGaussian(draws);
    const n = draws.length;
    let sum = 0;
    let squares = 0;
    let fourths = 0;
    const exceed = [0.5, 1, 2, 3, 3.7].map((limit) => ({ limit, count: 0 }));
    for (const z of draws) {
      sum += z;
      squares += z * z;
      fourths += z ** 4;
      for (const bin of exceed) if (z > bin.limit) bin.count++;
    }
    expect(Math.abs(sum / n)).toBeLessThan(4 / Math.sqrt(n));
    expect(Math.abs(squares / n - 1)).toBeLessThan(4 * Math.sqrt(2 / n));
    expect(Math.abs(fourths / n - 3)).toBeLessThan(4 * Math.sqrt(96 / n));
    const upperTail = [0.308537538725987, 0.158655253931457, 0.0227501319481792, 0.00134989803163009, 0.000107799733477388];
    exceed.forEach((bin, i) => {
      const p = upperTail[i] ?? 0;
      expect(Math.abs(bin.count / n - p), `P(z > ${bin.limit})`).toBeLessThan(4 * Math.sqrt((p * (1 - p)) / n));
    });
  });

  test("whole numbers are even over the range, also where the range does not divide 2^32", () => {
    const rng = createRng(3);
    const counts = new Array<number>(7).fill(0);
    for (let i = 0; i < 70_000; i++) {
      const draw = rng.int(7);
      counts[draw] = (counts[draw] ?? 0) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(4 * Math.sqrt(10_000));
    expect(() => rng.int(0)).toThrow(/from 1 to 2\^32/);
    // Of 3 * 2^30 choices the lower third would come up twice as often with a plain modulo.
    let low = 0;
    for (let i = 0; i < 9000; i++) if (rng.int(3 * 2 ** 30) < 2 ** 30) low++;
    expect(Math.abs(low - 3000)).toBeLessThan(4 * Math.sqrt(2000));
  });

  test("a shuffle keeps every item, leaves its argument alone and gives every order equally often", () => {
    const rng = createRng(5);
    const items = ["a", undefined, "c"];
    const orders = new Map<string, number>();
    for (let i = 0; i < 12_000; i++) {
      const shuffled = rng.shuffle(items);
      const name = shuffled.map(String).join(",");
      orders.set(name, (orders.get(name) ?? 0) + 1);
    }
    expect(items).toEqual(["a", undefined, "c"]);
    expect(orders.size).toBe(6);
    for (const count of orders.values()) expect(Math.abs(count - 2000)).toBeLessThan(4 * Math.sqrt(2000));
  });
});

describe("state and forks", () => {
  test("a restored stream goes on bit for bit, through JSON, whatever was drawn before", () => {
    fc.assert(
      fc.property(anySeed, fc.array(fc.constantFrom("uniform", "gaussian", "int", "fill"), { maxLength: 20 }), (seed, draws) => {
        const rng = createRng(seed);
        for (const draw of draws) {
          if (draw === "uniform") rng.uniform();
          else if (draw === "gaussian") rng.gaussian();
          else if (draw === "int") rng.int(10);
          else rng.fillGaussian(new Float64Array(300));
        }
        const restored = restoreRng(JSON.parse(JSON.stringify(rng.state())));
        const [a, b] = [new Float64Array(500), new Float64Array(500)];
        rng.fillGaussian(a);
        restored.fillGaussian(b);
        expect(b).toEqual(a);
        expect(restored.fork("x").uniform()).toBe(rng.fork("x").uniform());
        expect(restored.state()).toEqual(rng.state());
      }),
      { numRuns: 50 },
    );
  });

  test("filling an array draws the same values as asking one at a time", () => {
    const [a, b] = [createRng(9), createRng(9)];
    const filled = new Float64Array(2000);
    a.fillGaussian(filled);
    expect(Array.from(filled)).toEqual(Array.from({ length: 2000 }, () => b.gaussian()));
    a.fillUniform(filled);
    expect(Array.from(filled)).toEqual(Array.from({ length: 2000 }, () => b.uniform()));
    expect(a.state()).toEqual(b.state());
  });

  test("a fork depends on seed and label only, and does not advance its parent", () => {
    fc.assert(
      fc.property(anySeed, fc.string(), fc.string(), (seed, label, other) => {
        const [a, b] = [createRng(seed), createRng(seed)];
        a.fillGaussian(new Float64Array(10));
        const before = a.state();
        const fork = a.fork(label);
        expect(a.state()).toEqual(before);
        expect(fork.state()).toEqual(b.fork(label).state());
        expect(fork.state().words).not.toEqual(b.state().words);
        if (label !== other) expect(a.fork(other).state()).not.toEqual(fork.state());
        expect(fork.fork(label).state()).not.toEqual(fork.state());
      }),
      { numRuns: 100 },
    );
  });

  test("parent and forks are uncorrelated", () => {
    const parent = createRng(21);
    const streams = [parent, ...Array.from({ length: 5 }, (_, i) => parent.fork(i))].map((rng) => {
      const draws = new Float64Array(20_000);
      rng.fillGaussian(draws);
      return draws;
    });
    streams.forEach((a, i) => {
      for (const b of streams.slice(i + 1)) {
        const correlation = a.reduce((sum, x, k) => sum + x * (b[k] ?? 0), 0) / a.length;
        expect(Math.abs(correlation)).toBeLessThan(4.5 / Math.sqrt(a.length));
      }
    });
  });

  test("damaged and newer states are refused with a sentence", () => {
    const state = createRng(1).state();
    const code = (value: unknown) => {
      const parsed = parseRngState(value);
      return parsed.ok ? "ok" : parsed.error.code;
    };
    expect(code(state)).toBe("ok");
    expect(code({ ...state, version: 2 })).toBe("rngStateNewer");
    expect(code({ ...state, algorithm: "mt19937" })).toBe("rngStateInvalid");
    expect(code({ ...state, words: [0, 0, 0, 0] })).toBe("rngStateInvalid");
    expect(code({ ...state, words: [1, 2, 3] })).toBe("rngStateInvalid");
    expect(code({ ...state, words: [1, 2, 3, -1] })).toBe("rngStateInvalid");
    expect(code(null)).toBe("rngStateInvalid");
  });
});
