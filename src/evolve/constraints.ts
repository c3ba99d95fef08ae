// What a generator needs of its codes: a norm cap or fixed norm, a box, a subspace. Maps between whole codes and the coordinates that evolve.
//
// How a constraint acts: the codes of a population are moved to the nearest allowed code before they are shown, the new mean is the weighted
// mean of codes as shown, and the evolution paths (step size, covariance) take the draws as they were. So a mean inside a convex constraint
// stays inside, and the step size stays unbiased when selection is random, which it would not be with the moved draws.

import { fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { norm } from "./linear.ts";
import type { Constraints } from "./types.ts";

export interface CompiledConstraints {
  readonly begin: number;
  /** Number of evolved coordinates. */
  readonly evolvedDim: number;
  /** Moves evolved coordinates to the nearest allowed ones, in place; row-major [count, evolvedDim]. */
  apply(codes: Float64Array, count: number): void;
  /** Whole codes, row-major [count, dim], from evolved coordinates. */
  embed(evolved: Float64Array, count: number): Float64Array;
  /** The evolved coordinates of one whole code. */
  extract(code: ArrayLike<number>): Float64Array;
}

/** Errors: `constraintInvalid`, `constraintUnmet`. `start` has length dim. */
export function compileConstraints(constraints: Constraints, start: Float64Array): Result<CompiledConstraints, Fault> {
  const dim = start.length;
  const { normCap, fixedNorm, box, subspace } = constraints;
  const begin = subspace?.begin ?? 0;
  const end = subspace?.end ?? dim;
  if (!Number.isInteger(begin) || !Number.isInteger(end) || begin < 0 || end > dim || begin >= end) {
    return fault("constraintInvalid", `Expected a subspace [begin, end) inside the ${dim} coordinates of the code, got [${begin}, ${end}).`);
  }
  const kinds = [normCap !== undefined && "a norm cap", fixedNorm !== undefined && "a fixed norm", box !== undefined && "a box"].filter((kind) => kind !== false);
  if (kinds.length > 1) return fault("constraintInvalid", `Expected one of norm cap, fixed norm and box, got ${kinds.join(" and ")}. Choose one.`);
  const radius = normCap ?? fixedNorm;
  if (radius !== undefined && !(Number.isFinite(radius) && radius > 0)) {
    return fault("constraintInvalid", `Expected a norm above 0, got ${radius}.`);
  }
  if (box !== undefined && !(Number.isFinite(box.min) && Number.isFinite(box.max) && box.min < box.max)) {
    return fault("constraintInvalid", `Expected a box with min below max, got [${box.min}, ${box.max}].`);
  }

  const evolvedDim = end - begin;
  let fixedSquares = 0;
  for (let i = 0; i < dim; i++) {
    if (i >= begin && i < end) continue;
    const value = start[i]!;
    fixedSquares += value * value;
    if (box !== undefined && (value < box.min || value > box.max)) {
      return fault("constraintUnmet", `Coordinate ${i} of the start code is ${value} and does not evolve, but the box is [${box.min}, ${box.max}]. Widen the box or change the start code.`);
    }
  }
  let evolvedRadius = Number.POSITIVE_INFINITY;
  if (radius !== undefined) {
    if (radius * radius <= fixedSquares) {
      return fault("constraintUnmet", `The part of the start code that does not evolve has the norm ${Math.sqrt(fixedSquares)}, which leaves nothing of the norm ${radius}. Raise the norm or change the start code.`);
    }
    evolvedRadius = Math.sqrt(radius * radius - fixedSquares);
  }

  function applyNorm(codes: Float64Array, count: number): void {
    for (let r = 0; r < count; r++) {
      const row = r * evolvedDim;
      const length = norm(codes, row, evolvedDim);
      if (length === 0 || (fixedNorm === undefined && length <= evolvedRadius)) continue;
      const factor = evolvedRadius / length;
      for (let i = row; i < row + evolvedDim; i++) codes[i] = codes[i]! * factor;
    }
  }

  return ok({
    begin,
    evolvedDim,
    apply(codes, count) {
      if (radius !== undefined) applyNorm(codes, count);
      if (box !== undefined) {
        for (let i = 0; i < codes.length; i++) codes[i] = Math.min(box.max, Math.max(box.min, codes[i]!));
      }
    },
    embed(evolved, count) {
      if (evolvedDim === dim) return evolved.slice(0, count * dim);
      const whole = new Float64Array(count * dim);
      for (let r = 0; r < count; r++) {
        whole.set(start, r * dim);
        whole.set(evolved.subarray(r * evolvedDim, (r + 1) * evolvedDim), r * dim + begin);
      }
      return whole;
    },
    extract(code) {
      const evolved = new Float64Array(evolvedDim);
      for (let i = 0; i < evolvedDim; i++) evolved[i] = code[begin + i] ?? 0;
      return evolved;
    },
  });
}
