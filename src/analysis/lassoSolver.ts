// The Lasso for one unit and one penalty after another, on centred data. Knows nothing about intercepts, folds or units.
//
// Minimises 1/(2n) |y - X w|^2 + a |w|_1, with `positive` also w >= 0:
//   1. the sequential strong rule (Tibshirani et al. 2012) picks the candidates that can enter;
//   2. a few sweeps of coordinate descent over them find most of the support (Friedman et al. 2010);
//   3. an active-set search solves the candidates exactly. Coordinate descent alone needs thousands of sweeps where the
//      support comes near the number of images, which small penalties on 4096 features always do;
//   4. all features are checked against the optimality conditions; those that violate them become candidates.
// Convergence is the duality gap over all features, as in scikit-learn.
import { addScaled, columnStatistics, dot, transpose } from "./matrix.ts";
import type { Matrix, Matrix64 } from "./matrix.ts";

export interface LassoSettings {
  /** Only weights >= 0. Default false. */
  readonly positive?: boolean;
  /** Stop where the duality gap is below this share of |y - mean|^2 / n. Default 1e-7 (scikit-learn: 1e-4). */
  readonly tolerance?: number;
  /** Coordinate descent sweeps for each penalty before giving up. Default 10 000. */
  readonly maxSweeps?: number;
}

/** Features of one set of images, centred and stored feature by feature; shared by all units and penalties. */
export interface CentredFeatures {
  /** [features, images]: one contiguous row per feature. */
  readonly byFeature: Matrix64;
  readonly featureMean: Float64Array;
  /** Squared norm of every centred feature; 0 for a dead one, which stays out. */
  readonly squares: Float64Array;
}

export interface LassoSolver {
  /** Solves for one penalty from where the last one ended. `weights` is the solver's own array. */
  solve(penalty: number): {
    readonly weights: Float64Array;
    readonly nonZeroCount: number;
    readonly dualityGap: number;
    readonly converged: boolean;
    readonly sweeps: number;
  };
}

/** Centres the features and lays them out by feature. */
export function centreFeatures(features: Matrix): CentredFeatures {
  const { mean: featureMean, sd } = columnStatistics(features, { ddof: 0 });
  const byFeature = transpose(features);
  const squares = new Float64Array(features.cols);
  const n = features.rows;
  for (let f = 0; f < features.cols; f++) {
    const centre = featureMean[f]!;
    for (let i = f * n; i < (f + 1) * n; i++) byFeature.data[i] = byFeature.data[i]! - centre;
    squares[f] = sd[f]! > 0 ? dot(byFeature.data, f * n, byFeature.data, f * n, n) : 0;
  }
  return { byFeature, featureMean, squares };
}

/** Sweeps of coordinate descent before the support is solved exactly: enough to find most of it. */
const sweepsBeforeSolving = 3;
/** Far steps down the path would make every feature a candidate; those below this share of the threshold wait. */
const smallestReach = 0.8;
/** A feature enters where |x'r| exceeds the threshold by more than rounding. */
const violationTolerance = 1e-9;

/** A solver for features and a response [images] that are both centred. Its state is the last solution. */
export function createLassoSolver(features: CentredFeatures, target: Float64Array, settings: LassoSettings): LassoSolver {
  const positive = settings.positive ?? false;
  const maxSweeps = settings.maxSweeps ?? 10_000;
  const tolerance = settings.tolerance ?? 1e-7;
  if (!(tolerance > 0)) throw new Error(`expected a positive tolerance, got ${tolerance}`);
  const x = features.byFeature.data;
  const squares = features.squares;
  const n = target.length;
  const p = squares.length;
  const weights = new Float64Array(p);
  const residual = Float64Array.from(target);
  const gradient = new Float64Array(p); // x_f' residual
  const inCandidates = new Uint8Array(p);
  let candidates: number[] = [];
  const support = createSupport(features, target);
  const targetSquare = dot(target, 0, target, 0, n);
  const gapLimit = (tolerance * targetSquare) / n;
  const smallChange = Math.sqrt(targetSquare) * 1e-9;
  for (let f = 0; f < p; f++) if (squares[f]! > 0) gradient[f] = dot(x, f * n, target, 0, n);
  let lastPenalty = gradient.reduce((most, value) => Math.max(most, positive ? value : Math.abs(value)), 0) / n;

  function refreshGradient(list: Iterable<number>): void {
    for (const f of list) gradient[f] = squares[f] === 0 ? 0 : dot(x, f * n, residual, 0, n);
  }

  /** From the weights alone, so that rounding does not pile up over updates. */
  function refreshResidual(): void {
    residual.set(target);
    for (const f of candidates) if (weights[f] !== 0) addScaled(residual, 0, x, f * n, n, -weights[f]!);
  }

  function admit(f: number): void {
    if (inCandidates[f] === 1) return;
    inCandidates[f] = 1;
    candidates.push(f);
  }

  /** The features outside with the highest |x'r| above `limit` become candidates: some more than are in use. */
  function admitHighest(limit: number): void {
    const outside: number[] = [];
    for (let f = 0; f < p; f++) if (inCandidates[f] === 0 && squares[f]! > 0 && reachOf(f) > limit) outside.push(f);
    outside.sort((a, b) => reachOf(b) - reachOf(a) || a - b);
    const inUse = candidates.reduce((count, f) => count + (weights[f] === 0 ? 0 : 1), 0);
    for (const f of outside.slice(0, 100 + inUse)) admit(f);
  }

  function reachOf(f: number): number {
    return positive ? gradient[f]! : Math.abs(gradient[f]!);
  }

  /** One pass of coordinate descent over the candidates; the largest change of a feature's share of the fit, |dw| |x_f|. */
  function sweep(threshold: number): number {
    let largest = 0;
    for (const f of candidates) {
      const square = squares[f]!;
      const before = weights[f]!;
      const pull = dot(x, f * n, residual, 0, n) + before * square;
      const after = shrink(pull, threshold, positive) / square;
      if (after !== before) {
        addScaled(residual, 0, x, f * n, n, before - after);
        weights[f] = after;
        largest = Math.max(largest, Math.abs(after - before) * Math.sqrt(square));
      }
    }
    return largest;
  }

  /**
   * Solves the problem on the candidates exactly (active set, after the feature-sign search of Lee et al. 2007): the support
   * jumps to the minimum for its signs, by an exact search along the line where weights pass zero on the way; then the
   * candidates that violate the optimality conditions most enter. Every step lowers the objective. False where it stalls.
   */
  function solveCandidates(threshold: number): boolean {
    for (const f of support.reset(candidates.filter((feature) => weights[feature] !== 0))) {
      if (!support.add(f) && !swapDependent(f)) return false;
    }
    refreshResidual();
    const mostSteps = 50 + 10 * Math.min(n, candidates.length);
    let entering = 8;
    for (let step = 0; step < mostSteps; step++) {
      const outcome = descendOnSupport(threshold);
      // Many at once can get in each other's way; one at a time always descends.
      if (outcome === "stalled") entering = Math.max(1, Math.floor(entering / 4));
      if (outcome !== "settled") continue;
      refreshResidual();
      refreshGradient(candidates);
      const violators = candidates
        .filter((f) => weights[f] === 0 && !support.has(f) && reachOf(f) > threshold * (1 + violationTolerance))
        .sort((a, b) => reachOf(b) - reachOf(a));
      if (violators.length === 0) return true;
      let entered = 0;
      for (const f of violators) {
        if (entered === entering) break;
        if (support.add(f)) entered++;
      }
      entering = Math.min(64, 2 * entering);
      // Every violator is a combination of the support: move along the combination that leaves the fit unchanged.
      if (entered === 0) {
        if (!violators.some((f) => swapDependent(f))) return false;
        refreshResidual();
      }
    }
    return false;
  }

  /** One move on the support. "settled": the weights are exact for their signs. */
  function descendOnSupport(threshold: number): "moved" | "settled" | "stalled" {
    const active = support.features();
    if (active.length === 0) return "settled";
    const signs = active.map((f) => Math.sign(weights[f] === 0 ? (positive ? 1 : gradient[f]!) : weights[f]!));
    const goal = support.solve(threshold, signs);
    const direction = goal.map((value, i) => value - weights[active[i]!]!);
    const fitChange = new Float64Array(n);
    active.forEach((f, i) => {
      addScaled(fitChange, 0, x, f * n, n, direction[i]!);
    });
    const curvature = dot(fitChange, 0, fitChange, 0, n);
    const slope = -dot(residual, 0, fitChange, 0, n);
    const { step, blocked } = searchLine(active, direction, curvature, slope, threshold, 1);
    if (step === 0) {
      // Only weights that are still zero can block: they would leave on the wrong side.
      const wrong = active.filter((f, i) => weights[f] === 0 && direction[i]! * signs[i]! <= 0);
      if (wrong.length === 0) return "settled";
      for (const f of wrong) support.remove(f);
      return "stalled";
    }
    const full = step === 1 && active.every((f, i) => Math.sign(goal[i]!) === signs[i] && goal[i] !== 0);
    active.forEach((f, i) => {
      weights[f] = i === blocked ? 0 : full ? goal[i]! : weights[f]! + step * direction[i]!;
    });
    addScaled(residual, 0, fitChange, 0, n, -step);
    for (const f of active) if (weights[f] === 0) support.remove(f);
    return full ? "settled" : "moved";
  }

  /**
   * Feature f is a combination of the support. Moves along the direction that changes no fitted value and does not raise |w|_1,
   * to the first weight that reaches zero; that one leaves, and f takes its place unless it is the one. False where nothing
   * moves.
   */
  function swapDependent(f: number): boolean {
    const active = support.features();
    const combination = support.express(f);
    const all = [...active, f];
    const direction = Float64Array.from([...combination.map((share) => -share), 1]);
    let growth = 0; // of |w|_1 along the direction
    all.forEach((feature, i) => {
      growth += Math.sign(weights[feature] === 0 ? gradient[feature]! : weights[feature]!) * direction[i]!;
    });
    const backwards = weights[f] === 0 ? gradient[f]! < 0 : growth > 0;
    let step = Number.POSITIVE_INFINITY;
    let leaving = -1;
    all.forEach((feature, i) => {
      if (backwards) direction[i] = -direction[i]!;
      const at = -weights[feature]! / direction[i]!;
      if (weights[feature] !== 0 && at > 0 && at < step) {
        step = at;
        leaving = i;
      }
    });
    if (leaving < 0) return false;
    all.forEach((feature, i) => {
      weights[feature] = i === leaving ? 0 : weights[feature]! + step * direction[i]!;
    });
    for (const feature of active) if (weights[feature] === 0) support.remove(feature);
    if (weights[f] !== 0 && !support.add(f)) return swapDependent(f);
    return true;
  }

  /**
   * Minimum of curvature t^2/2 + slope t + threshold sum |w_i + t d_i| for 0 <= t <= most. With `positive` the line ends at the
   * first weight that reaches zero. `blocked` is the index of the weight that is zero at the minimum, or -1.
   */
  function searchLine(
    list: readonly number[],
    direction: ArrayLike<number>,
    curvature: number,
    slope: number,
    threshold: number,
    most: number,
  ): { step: number; blocked: number } {
    let descent = slope;
    const crossings: { at: number; index: number }[] = [];
    for (let i = 0; i < list.length; i++) {
      const weight = weights[list[i]!]!;
      const d = direction[i]!;
      if (weight === 0) {
        if (positive && d < 0) return { step: 0, blocked: i };
        descent += threshold * Math.abs(d);
      } else {
        descent += threshold * Math.sign(weight) * d;
        const at = -weight / d;
        if (at > 0 && at <= most) crossings.push({ at, index: i });
      }
    }
    if (!(descent < 0)) return { step: 0, blocked: -1 };
    crossings.sort((a, b) => a.at - b.at || a.index - b.index);
    for (const { at, index } of crossings) {
      const stationary = curvature > 0 ? -descent / curvature : Number.POSITIVE_INFINITY;
      if (stationary < at) return { step: Math.min(most, stationary), blocked: -1 };
      if (positive) return { step: at, blocked: index };
      descent += 2 * threshold * Math.abs(direction[index]!);
      if (!(curvature * at + descent < 0)) return { step: at, blocked: index };
    }
    const stationary = curvature > 0 ? -descent / curvature : most;
    // The stationary point of unchanged signs is 1 up to rounding.
    return { step: Math.abs(stationary - 1) < 1e-9 ? 1 : Math.min(most, stationary), blocked: -1 };
  }

  /** Duality gap of 1/(2n)|r|^2 + a|w|_1 with the residual, scaled to be feasible, as the dual point. */
  function dualityGap(penalty: number): number {
    let reach = 0;
    for (let f = 0; f < p; f++) reach = Math.max(reach, reachOf(f));
    const scale = reach > penalty * n ? (penalty * n) / reach : 1;
    const square = dot(residual, 0, residual, 0, n);
    const along = dot(residual, 0, target, 0, n);
    let size = 0;
    for (const f of candidates) size += Math.abs(weights[f]!);
    const primal = square / (2 * n) + penalty * size;
    const dual = (scale * along - 0.5 * scale * scale * square) / n;
    return Math.max(0, primal - dual);
  }

  return {
    solve(penalty) {
      const threshold = penalty * n;
      // Strong rule: |x'r| at the last penalty cannot have grown by more than the step of the penalty.
      const strong = n * (2 * penalty - Math.max(penalty, lastPenalty));
      for (const f of candidates) inCandidates[f] = 0;
      const kept = candidates.filter((f) => weights[f] !== 0);
      candidates = [];
      for (const f of kept) admit(f);
      admitHighest(Math.max(strong, threshold * smallestReach));
      lastPenalty = penalty;

      let sweeps = 0;
      for (;;) {
        let solved = false;
        for (let i = 0; i < sweepsBeforeSolving && !solved; i++) {
          sweeps++;
          solved = sweep(threshold) <= smallChange;
        }
        if (!solved) solved = solveCandidates(threshold);
        // A stall leaves the rest to coordinate descent, which always gets there.
        while (!solved && sweeps < maxSweeps) {
          sweeps++;
          solved = sweep(threshold) <= smallChange;
        }
        refreshResidual();
        refreshGradient(gradient.keys());
        const before = candidates.length;
        admitHighest(threshold * (1 + violationTolerance));
        const gap = dualityGap(penalty);
        const converged = gap <= gapLimit;
        if (converged || sweeps >= maxSweeps || (solved && candidates.length === before)) {
          const nonZeroCount = candidates.reduce((count, f) => count + (weights[f] === 0 ? 0 : 1), 0);
          return { weights, nonZeroCount, dualityGap: gap, converged, sweeps };
        }
      }
    },
  };
}

/** The features in use, with the Cholesky factor of their Gram matrix kept up to date. */
interface Support {
  /** In the order they entered; a new array. */
  features(): number[];
  has(feature: number): boolean;
  /** Starts from these features; returns those that are combinations of the others and stayed out. */
  reset(features: readonly number[]): number[];
  /** False where the feature is, to rounding, a combination of those in use; it then stays out. */
  add(feature: number): boolean;
  remove(feature: number): void;
  /** Solves X_A'X_A w = X_A'y - threshold * signs. */
  solve(threshold: number, signs: readonly number[]): Float64Array;
  /** Shares c of the features in use with X_A c closest to the feature. */
  express(feature: number): Float64Array;
}

function createSupport(features: CentredFeatures, target: Float64Array): Support {
  const n = target.length;
  const x = features.byFeature.data;
  // Every feature that was ever in use has a slot, and products between slots are computed once.
  const slotOf = new Map<number, number>();
  const slotFeature: number[] = [];
  const products: Float64Array[] = []; // products[i][j] for j <= i
  const pulls: number[] = []; // x_f'y
  let active: number[] = []; // slots
  let factor: Float64Array[] = []; // row i of the lower factor, length i + 1
  const cosines = new Float64Array(n);
  const sines = new Float64Array(n);

  function slotFor(feature: number): number {
    const known = slotOf.get(feature);
    if (known !== undefined) return known;
    const slot = slotFeature.length;
    slotOf.set(feature, slot);
    slotFeature.push(feature);
    const row = new Float64Array(slot + 1);
    for (let other = 0; other <= slot; other++) row[other] = dot(x, feature * n, x, slotFeature[other]! * n, n);
    products.push(row);
    pulls.push(dot(x, feature * n, target, 0, n));
    return slot;
  }

  function product(a: number, b: number): number {
    return a >= b ? products[a]![b]! : products[b]![a]!;
  }

  /** Appends the factor row of `slot`; false where its pivot is lost in rounding. */
  function appendRow(slot: number): boolean {
    const size = factor.length;
    const row = new Float64Array(size + 1);
    for (let j = 0; j < size; j++) {
      const other = factor[j]!;
      row[j] = (product(slot, active[j]!) - dot(row, 0, other, 0, j)) / other[j]!;
    }
    const square = product(slot, slot);
    const pivot = square - dot(row, 0, row, 0, size);
    if (!(pivot > 1e-10 * square)) return false;
    row[size] = Math.sqrt(pivot);
    factor.push(row);
    return true;
  }

  function append(slot: number): boolean {
    if (active.length >= n - 1 || !appendRow(slot)) return false;
    active.push(slot);
    return true;
  }

  function solveFactor(right: Float64Array): Float64Array {
    const size = factor.length;
    for (let i = 0; i < size; i++) right[i] = (right[i]! - dot(factor[i]!, 0, right, 0, i)) / factor[i]![i]!;
    for (let i = size - 1; i >= 0; i--) {
      const value = right[i]! / factor[i]![i]!;
      right[i] = value;
      addScaled(right, 0, factor[i]!, 0, i, -value);
    }
    return right;
  }

  return {
    features: () => active.map((slot) => slotFeature[slot]!),
    has: (feature) => {
      const slot = slotOf.get(feature);
      return slot !== undefined && active.includes(slot);
    },
    reset(wanted) {
      // Factored anew, so that the rounding of many removals does not pile up.
      active = [];
      factor = [];
      return wanted.filter((feature) => !append(slotFor(feature)));
    },
    add: (feature) => append(slotFor(feature)),
    remove(feature) {
      const place = active.indexOf(slotFor(feature));
      if (place < 0) return;
      active.splice(place, 1);
      factor.splice(place, 1);
      // Each row after it has one entry too many; Givens rotations of neighbouring columns clear it (Golub & Van Loan 6.5).
      for (let i = place; i < factor.length; i++) {
        const row = factor[i]!;
        for (let j = place; j < i; j++) {
          const left = row[j]!;
          const right = row[j + 1]!;
          row[j] = cosines[j]! * left + sines[j]! * right;
          row[j + 1] = cosines[j]! * right - sines[j]! * left;
        }
        const left = row[i]!;
        const right = row[i + 1]!;
        const length = Math.sqrt(left * left + right * right);
        cosines[i] = left / length;
        sines[i] = right / length;
        row[i] = length;
        factor[i] = row.subarray(0, i + 1);
      }
    },
    solve(threshold, signs) {
      const right = new Float64Array(active.length);
      for (let i = 0; i < right.length; i++) right[i] = pulls[active[i]!]! - threshold * signs[i]!;
      return solveFactor(right);
    },
    express(feature) {
      const own = slotFor(feature);
      return solveFactor(Float64Array.from(active, (slot) => product(own, slot)));
    },
  };
}

/** Soft threshold; with `positive` the negative side is cut off as well. */
function shrink(value: number, threshold: number, positive: boolean): number {
  if (value > threshold) return value - threshold;
  if (!positive && value < -threshold) return value + threshold;
  return 0;
}
