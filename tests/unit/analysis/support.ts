// What the analysis tests share: fixtures, random cases, closeness.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { createMatrix } from "../../../src/analysis/matrix.ts";
import type { Matrix64 } from "../../../src/analysis/matrix.ts";
import { createRng } from "../../../src/shared/rng.ts";

export const fixtures = join(import.meta.dirname, "..", "..", "fixtures");

export function loadFixture<T>(path: string): T {
  const parsed: T = JSON.parse(readFileSync(join(fixtures, path), "utf8"));
  return parsed;
}

/** Standard normal entries. */
export function aMatrix(rows: number, cols: number, seed: number | string = 1): Matrix64 {
  const matrix = createMatrix(rows, cols);
  createRng(seed).fillGaussian(matrix.data);
  return matrix;
}

/** Non-negative activations like those behind a ReLU, about half of them 0. */
export function reluFeatures(rows: number, cols: number, seed: number | string = 1): Matrix64 {
  const matrix = aMatrix(rows, cols, seed);
  matrix.data.forEach((value, i) => {
    matrix.data[i] = Math.max(0, value);
  });
  return matrix;
}

/** Responses that follow a few features, with noise. */
export function followingResponses(features: Matrix64, units: number, noise: number, seed: number | string = 2): Matrix64 {
  const rng = createRng(seed);
  const responses = createMatrix(features.rows, units);
  for (let u = 0; u < units; u++) {
    const weights = Float64Array.from({ length: features.cols }, () => (rng.uniform() < 0.2 ? rng.gaussian() : 0));
    for (let i = 0; i < features.rows; i++) {
      let value = 10 + noise * rng.gaussian();
      for (let f = 0; f < features.cols; f++) value += weights[f]! * features.data[i * features.cols + f]!;
      responses.data[i * units + u] = value;
    }
  }
  return responses;
}

export function largestDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length);
  let largest = 0;
  for (let i = 0; i < actual.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    // NaN must not pass for close.
    largest = difference <= largest ? largest : difference;
  }
  return largest;
}

export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(largestDifference(actual, expected)).toBeLessThanOrEqual(tolerance);
}

export function within(actual: number | null, expected: number, tolerance: number): void {
  expect(actual).not.toBeNull();
  expect(Math.abs((actual ?? Number.NaN) - expected)).toBeLessThanOrEqual(tolerance);
}

export function valueOf<T, E>(result: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: E }): T {
  if (!result.ok) throw new Error(`expected a value, got ${JSON.stringify(result.error)}`);
  return result.value;
}

export function errorOf<T, E>(result: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: E }): E {
  if (result.ok) throw new Error("expected an error, got a value");
  return result.error;
}
