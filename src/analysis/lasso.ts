// Lasso paths and their cross-validation. Knows nothing about images or which network gave the features.
//
// Objective (scikit-learn's): 1/(2n) |y - X w - b|^2 + a |w|_1, the intercept b unpenalised, features not scaled; with
// `positive` also w >= 0. Solved down a path of penalties with warm starts:
//   1. the sequential strong rule (Tibshirani et al. 2012) picks the candidates that can enter;
//   2. a few sweeps of coordinate descent over them find most of the support (Friedman et al. 2010);
//   3. an active-set search solves the candidates exactly. Coordinate descent alone needs thousands of sweeps where the
//      support comes near the number of images, which small penalties on 4096 features always do;
//   4. all features are checked against the optimality conditions; those that violate them become candidates.
// Convergence is the duality gap over all features, as in scikit-learn.
import type { LinearModel } from "./linearModel.ts";
import { addScaled, checkSameRows, columnOf, columnStatistics, createMatrix, dot, takeRows, transpose } from "./matrix.ts";
import type { Matrix, Matrix64 } from "./matrix.ts";
import { mean, rSquared } from "./statistics.ts";
import type { Split } from "./splits.ts";

export interface LassoSettings {
  /** Only weights >= 0. Default false. */
  readonly positive?: boolean;
  /** Stop where the duality gap is below this share of |y - mean|^2 / n. Default 1e-7 (scikit-learn: 1e-4). */
  readonly tolerance?: number;
  /** Coordinate descent sweeps for each penalty before giving up. Default 10 000. */
  readonly maxSweeps?: number;
}

/** One solution on a path. */
export interface LassoSolution {
  readonly penalty: number;
  /** [features], raw activation space. */
  readonly coefficients: Float64Array;
  readonly intercept: number;
  readonly nonZeroCount: number;
  /** Duality gap of the objective, same unit as the objective. */
  readonly dualityGap: number;
  /** False where maxSweeps ran out first; the solution is then the best so far. */
  readonly converged: boolean;
  readonly sweeps: number;
}

/** Cross-validation scores of one unit. */
export interface LassoCrossValidation {
  /** Penalties from large to small. */
  readonly penalties: Float64Array;
  /** [penalties, folds]; NaN where a fold's responses are constant: r2 is undefined there. */
  readonly r2Train: Matrix64;
  readonly r2Test: Matrix64;
  /** Mean over the folds that have a score, [penalties]; NaN where none has. */
  readonly r2TrainMean: Float64Array;
  readonly r2TestMean: Float64Array;
  /** Index of the penalty with the highest mean test r2; the largest penalty wins a tie. */
  readonly bestIndex: number;
}

/** Unconstrained against positive-only weights for one unit (SPEC 4). */
export interface LassoComparison {
  readonly unconstrained: LassoCrossValidation;
  readonly positive: LassoCrossValidation;
  /** Mean test r2 unconstrained - positive, per penalty. */
  readonly testDifference: Float64Array;
  /** The same between the best penalty of each. */
  readonly bestTestDifference: number;
}

/** Features of one set of images, centred and stored feature by feature; shared by all units and penalties. */
interface CentredFeatures {
  /** [features, images]: one contiguous row per feature. */
  readonly byFeature: Matrix64;
  readonly featureMean: Float64Array;
  /** Squared norm of every centred feature; 0 for a dead one, which stays out. */
  readonly squares: Float64Array;
}

/** The smallest penalty with no non-zero weight, for [images, features] and [images]: max |x'y| / n, signed with `positive`. */
export function largestPenalty(features: Matrix, response: ArrayLike<number>, options: { readonly positive?: boolean } = {}): number {
  const centred = centreFeatures(features);
  return largestPenaltyOf(centred, centreResponse(response, features.rows).residual, options.positive ?? false);
}

/** `count` penalties, evenly spaced in the logarithm from `largest` down to largest * smallestRatio. */
export function penaltyGrid(largest: number, options: { readonly count?: number; readonly smallestRatio?: number } = {}): Float64Array {
  const count = options.count ?? 10;
  const ratio = options.smallestRatio ?? 1e-3;
  if (!(largest > 0)) throw new Error(`expected a positive largest penalty, got ${largest}`);
  if (!Number.isInteger(count) || count < 1) throw new Error(`expected a whole, positive number of penalties, got ${count}`);
  if (!(ratio > 0 && ratio < 1)) throw new Error(`expected a ratio between 0 and 1, got ${ratio}`);
  return Float64Array.from({ length: count }, (_, i) => (count === 1 ? largest : largest * ratio ** (i / (count - 1))));
}

/**
 * The Lasso solutions of one unit for every penalty, in the order given. Features [images, features], response [images].
 * Throws on penalties that are not positive, and where the image counts differ.
 */
export function lassoPath(
  options: LassoSettings & { readonly features: Matrix; readonly response: ArrayLike<number>; readonly penalties: ArrayLike<number> },
): LassoSolution[] {
  return pathOnCentred(centreFeatures(options.features), options.response, options.penalties, options);
}

/**
 * One Lasso model per unit. `penalty` is one number for all units or [units] of them.
 * Features [images, features], responses [images, units]. `unconverged` lists units that ran out of sweeps.
 */
export function fitLasso(
  options: LassoSettings & { readonly features: Matrix; readonly responses: Matrix; readonly penalty: number | ArrayLike<number> },
): LinearModel & { readonly penalties: Float64Array; readonly unconverged: readonly number[] } {
  const { features, responses, penalty } = options;
  checkSameRows(features, "features", responses, "responses");
  const units = responses.cols;
  const penalties = typeof penalty === "number" ? new Float64Array(units).fill(penalty) : Float64Array.from(penalty);
  if (penalties.length !== units) throw new Error(`expected ${units} penalties, one per unit, got ${penalties.length}`);
  const centred = centreFeatures(features);
  const coefficients = createMatrix(units, features.cols);
  const intercepts = new Float64Array(units);
  const unconverged: number[] = [];
  for (let u = 0; u < units; u++) {
    const response = columnOf(responses, u);
    const target = penalties[u]!;
    checkPenalty(target);
    // Walk down to a small penalty from where everything is zero: cheaper than a cold start there.
    const largest = largestPenaltyOf(centred, centreResponse(response, features.rows).residual, options.positive ?? false);
    const route = target < largest / 4 ? [...penaltyGrid(largest, { count: 6, smallestRatio: target / largest }).slice(0, -1), target] : [target];
    const solution = pathOnCentred(centred, response, route, options).at(-1);
    if (solution === undefined) throw new Error("expected a solution for every penalty, got none");
    coefficients.data.set(solution.coefficients, u * features.cols);
    intercepts[u] = solution.intercept;
    if (!solution.converged) unconverged.push(u);
  }
  return { coefficients, intercepts, penalties, unconverged };
}

/**
 * Cross-validates Lasso for every unit. Penalties: a list for all units, or a grid from each unit's own largest penalty on
 * all images (default 10 down to 0.001 of it). `folds` come from splitFolds. One result per unit.
 * A unit with constant responses gets scores of NaN and bestIndex 0.
 */
export function crossValidateLasso(
  options: LassoSettings & {
    readonly features: Matrix;
    readonly responses: Matrix;
    readonly folds: readonly Split[];
    readonly penalties?: ArrayLike<number> | { readonly count?: number; readonly smallestRatio?: number };
  },
): LassoCrossValidation[] {
  const { features, responses, folds } = options;
  checkSameRows(features, "features", responses, "responses");
  if (folds.length === 0) throw new Error("expected at least one fold, got none");
  const positive = options.positive ?? false;
  const units = Array.from({ length: responses.cols }, (_, u) => columnOf(responses, u));
  const whole = isGrid(options.penalties) ? centreFeatures(features) : null;
  const penaltiesOf = units.map((response) => {
    if (!isGrid(options.penalties)) return Float64Array.from(options.penalties).sort().reverse();
    const largest = whole === null ? 0 : largestPenaltyOf(whole, centreResponse(response, features.rows).residual, positive);
    // No feature goes along with this unit: any penalty gives the mean, and 1 says so as well as any other.
    return penaltyGrid(largest > 0 ? largest : 1, options.penalties);
  });
  const scores = units.map((_, u) => ({
    train: createMatrix(penaltiesOf[u]!.length, folds.length),
    test: createMatrix(penaltiesOf[u]!.length, folds.length),
  }));
  folds.forEach((fold, f) => {
    // Features are centred and transposed once for each fold, for all units.
    const train = takeRows(features, fold.train);
    const test = takeRows(features, fold.test);
    const centred = centreFeatures(train);
    units.forEach((response, u) => {
      const trainResponse = Float64Array.from(fold.train, (row) => response[row]!);
      const testResponse = Float64Array.from(fold.test, (row) => response[row]!);
      const path = pathOnCentred(centred, trainResponse, penaltiesOf[u]!, options);
      path.forEach((solution, a) => {
        const at = a * folds.length + f;
        scores[u]!.train.data[at] = rSquared(trainResponse, predictSparse(train, solution)) ?? Number.NaN;
        scores[u]!.test.data[at] = rSquared(testResponse, predictSparse(test, solution)) ?? Number.NaN;
      });
    });
  });
  return units.map((_, u) => summarise(penaltiesOf[u]!, scores[u]!.train, scores[u]!.test));
}

/**
 * Cross-validated Lasso with and without the positive constraint on the same folds and penalties (SPEC 4, P Fig. 17).
 * Penalties are listed, or come from each unit's unconstrained grid. One result per unit.
 */
export function compareLassoConstraints(
  options: Omit<LassoSettings, "positive"> & {
    readonly features: Matrix;
    readonly responses: Matrix;
    readonly folds: readonly Split[];
    readonly penalties?: ArrayLike<number> | { readonly count?: number; readonly smallestRatio?: number };
  },
): LassoComparison[] {
  const free = crossValidateLasso({ ...options, positive: false });
  return free.map((unconstrained, u) => {
    const responses = createMatrix(options.responses.rows, 1, columnOf(options.responses, u));
    const [positive] = crossValidateLasso({ ...options, responses, penalties: unconstrained.penalties, positive: true });
    if (positive === undefined) throw new Error("expected one cross-validation per unit, got none");
    return {
      unconstrained,
      positive,
      testDifference: unconstrained.r2TestMean.map((value, a) => value - positive.r2TestMean[a]!),
      bestTestDifference: unconstrained.r2TestMean[unconstrained.bestIndex]! - positive.r2TestMean[positive.bestIndex]!,
    };
  });
}

function isGrid(
  penalties: ArrayLike<number> | { readonly count?: number; readonly smallestRatio?: number } | undefined,
): penalties is { readonly count?: number; readonly smallestRatio?: number } | undefined {
  return penalties === undefined || !("length" in penalties);
}

function summarise(penalties: Float64Array, r2Train: Matrix64, r2Test: Matrix64): LassoCrossValidation {
  const rowMean = (matrix: Matrix64, a: number) => {
    const scores = matrix.data.subarray(a * matrix.cols, (a + 1) * matrix.cols).filter((score) => !Number.isNaN(score));
    return scores.length === 0 ? Number.NaN : mean(scores);
  };
  const r2TrainMean = penalties.map((_, a) => rowMean(r2Train, a));
  const r2TestMean = penalties.map((_, a) => rowMean(r2Test, a));
  let bestIndex = 0;
  for (let a = 1; a < penalties.length; a++) if (r2TestMean[a]! > r2TestMean[bestIndex]!) bestIndex = a;
  return { penalties, r2Train, r2Test, r2TrainMean, r2TestMean, bestIndex };
}

/** Predictions of a sparse solution: passes the non-zero features only. */
function predictSparse(features: Matrix64, solution: LassoSolution): Float64Array {
  const used: number[] = [];
  solution.coefficients.forEach((weight, f) => {
    if (weight !== 0) used.push(f);
  });
  return Float64Array.from({ length: features.rows }, (_, row) => {
    let sum = solution.intercept;
    for (const f of used) sum += features.data[row * features.cols + f]! * solution.coefficients[f]!;
    return sum;
  });
}

function centreFeatures(features: Matrix): CentredFeatures {
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

function centreResponse(response: ArrayLike<number>, images: number): { centre: number; residual: Float64Array } {
  if (response.length !== images) throw new Error(`expected ${images} responses, one per image, got ${response.length}`);
  const values = Float64Array.from(response);
  const centre = mean(values);
  return { centre, residual: values.every((value) => value === values[0]) ? new Float64Array(images) : values.map((value) => value - centre) };
}

function largestPenaltyOf(features: CentredFeatures, residual: Float64Array, positive: boolean): number {
  const n = residual.length;
  let largest = 0;
  for (let f = 0; f < features.squares.length; f++) {
    if (features.squares[f] === 0) continue;
    const covariance = dot(features.byFeature.data, f * n, residual, 0, n);
    largest = Math.max(largest, positive ? covariance : Math.abs(covariance));
  }
  return largest / n;
}

function checkPenalty(penalty: number): void {
  if (!(penalty > 0 && penalty < Number.POSITIVE_INFINITY)) throw new Error(`expected a positive penalty, got ${penalty}`);
}

function pathOnCentred(
  features: CentredFeatures,
  response: ArrayLike<number>,
  penalties: ArrayLike<number>,
  settings: LassoSettings,
): LassoSolution[] {
  const n = features.byFeature.cols;
  const { centre, residual } = centreResponse(response, n);
  const solver = createSolver(features, residual, settings);
  const order = Array.from({ length: penalties.length }, (_, i) => i).sort((a, b) => penalties[b]! - penalties[a]! || a - b);
  const solutions = new Map<number, LassoSolution>();
  for (const index of order) {
    const penalty = penalties[index]!;
    checkPenalty(penalty);
    const { weights, ...rest } = solver.solve(penalty);
    const coefficients = Float64Array.from(weights);
    const intercept = centre - dot(coefficients, 0, features.featureMean, 0, coefficients.length);
    solutions.set(index, { penalty, coefficients, intercept, ...rest });
  }
  return Array.from({ length: penalties.length }, (_, i) => {
    const solution = solutions.get(i);
    if (solution === undefined) throw new Error(`expected a solution for penalty ${i}, got none`);
    return solution;
  });
}

interface Solver {
  /** Solves for one penalty from where the last one ended. `weights` is the solver's own array. */
  solve(penalty: number): {
    readonly weights: Float64Array;
    readonly nonZeroCount: number;
    readonly dualityGap: number;
    readonly converged: boolean;
    readonly sweeps: number;
  };
}

/** Sweeps of coordinate descent before the support is solved exactly: enough to find most of it. */
const sweepsBeforeSolving = 3;
/** Far steps down the path would make every feature a candidate; those below this share of the threshold wait. */
const smallestReach = 0.8;
/** A feature enters where |x'r| exceeds the threshold by more than rounding. */
const violationTolerance = 1e-9;

function createSolver(features: CentredFeatures, target: Float64Array, settings: LassoSettings): Solver {
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
