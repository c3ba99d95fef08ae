// From the length of a reward pulse to millilitres, by what was weighed. Knows nothing about valves.
import type { RewardWeighing } from "./contract/rig.ts";

/** ml = slopeMlPerMs * pulseMs + offsetMl, never below 0: a valve opens late (offset below 0) or drips after (above). */
export interface RewardFlow {
  readonly slopeMlPerMs: number;
  readonly offsetMl: number;
  /** Largest distance between a weighing and the line, as a share of the weighing; null with fewer than three lengths. */
  readonly misfit: number | null;
}

/** A weighing gives grams of water for a number of pulses: 1 g = 1 ml. One length: through zero. Several: least squares, each weighing counting the same. null without a usable one. */
export function fitRewardFlow(weighings: readonly RewardWeighing[]): RewardFlow | null {
  const points = weighings.filter((w) => w.grams > 0).map((w) => ({ x: w.pulseMs, y: w.grams / w.pulses }));
  const lengths = new Set(points.map((p) => p.x));
  const first = points[0];
  if (first === undefined) return null;
  const meanX = points.reduce((sum, p) => sum + p.x, 0) / points.length;
  const meanY = points.reduce((sum, p) => sum + p.y, 0) / points.length;
  if (lengths.size < 2) return { slopeMlPerMs: meanY / meanX, offsetMl: 0, misfit: null };
  const xx = points.reduce((sum, p) => sum + (p.x - meanX) ** 2, 0);
  const slope = points.reduce((sum, p) => sum + (p.x - meanX) * (p.y - meanY), 0) / xx;
  // A line that falls with the length is no flow: the mean ratio then.
  if (slope <= 0) return { slopeMlPerMs: meanY / meanX, offsetMl: 0, misfit: null };
  const flow = { slopeMlPerMs: slope, offsetMl: meanY - slope * meanX };
  return { ...flow, misfit: lengths.size < 3 ? null : Math.max(...points.map((p) => Math.abs(flow.slopeMlPerMs * p.x + flow.offsetMl - p.y) / p.y)) };
}

/** ml of one pulse. Without a flow: at mlPerS. */
export function rewardMl(pulseMs: number, flow: RewardFlow | null, mlPerS: number): number {
  if (pulseMs <= 0) return 0;
  return flow === null ? (pulseMs / 1000) * mlPerS : Math.max(0, flow.slopeMlPerMs * pulseMs + flow.offsetMl);
}

/** The length that gives so many ml, ms, whole. */
export function rewardMs(ml: number, flow: RewardFlow): number {
  return Math.max(0, Math.round((ml - flow.offsetMl) / flow.slopeMlPerMs));
}
