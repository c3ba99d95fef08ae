// What a photodiode on the patch saw: from a sampled trace to changes of level, and from those to images with onset, duration in refreshes,
// refreshes shown twice and refreshes never shown (shared/patchCode.ts says what the patch writes). Knows nothing about plans or rigs.
import { patchLevelMax, refreshesBetween } from "../shared/patchCode.ts";

/** The light changed to `level` (0 = black to 3 = white) at this time. */
export interface LevelChange {
  readonly atMs: number;
  readonly level: number;
}

/** An image as the light showed it. */
export interface SeenImage {
  readonly onsetMs: number;
  /** null where the trace ends before it. */
  readonly offsetMs: number | null;
  /** Level of its first refresh. Under the code "frames" it tells the presentation, mod 3. */
  readonly firstLevel: number;
  /** Refreshes that it was lit for, from the times alone; null without an end. */
  readonly frames: number | null;
  /** Refreshes that stood longer than one refresh although no later one was left out: the screen fell behind. 0 under the code "onset". */
  readonly repeated: number;
  /** Refreshes that were never seen. 0 under the code "onset". */
  readonly dropped: number;
}

/** Changes in order of time, of both codes: under "onset" every lit level is the same. Images that follow one another without black are one. */
export function readImages(changes: readonly LevelChange[], periodMs: number): SeenImage[] {
  const images: SeenImage[] = [];
  let lit: LevelChange[] = [];
  for (const change of changes) {
    if (change.level > 0) lit.push(change);
    else if (lit.length > 0) {
      images.push(readImage(lit, change.atMs, periodMs));
      lit = [];
    }
  }
  if (lit.length > 0) images.push(readImage(lit, null, periodMs));
  return images;
}

/** `lit`: the changes to lit levels of one image, at least one. */
export function readImage(lit: readonly LevelChange[], offsetMs: number | null, periodMs: number): SeenImage {
  const first = lit[0];
  if (first === undefined) throw new Error("expected the changes of an image, got none");
  let repeated = 0;
  let dropped = 0;
  for (let i = 1; i < lit.length; i++) {
    const [before, now] = [lit[i - 1], lit[i]];
    if (before === undefined || now === undefined) continue;
    const stood = Math.max(1, Math.round((now.atMs - before.atMs) / periodMs));
    // The code tells the step mod 3; of the steps possible the one nearest to the time that passed. A step backwards is none.
    let step = refreshesBetween(before.level, now.level);
    while (Math.abs(step + 3 - stood) < Math.abs(step - stood) || step === 0) step += 3;
    repeated += Math.max(0, stood - step);
    dropped += Math.max(0, step - 1);
  }
  // The last two refreshes have one level. Of a single level nothing is known but its time.
  const last = lit.at(-1);
  if (lit.length > 1 && last !== undefined && offsetMs !== null) repeated += Math.max(0, Math.round((offsetMs - last.atMs) / periodMs) - 2);
  return { onsetMs: first.atMs, offsetMs, firstLevel: first.level, frames: offsetMs === null ? null : Math.round((offsetMs - first.atMs) / periodMs), repeated, dropped };
}

export interface LevelOptions {
  /** Light of black and of white, in the trace's unit; the levels between are thirds. Default: found in the trace. */
  readonly black?: number;
  readonly white?: number;
  /** A level counts when the light has stayed at it this long: a slow photodiode passes through others on its way. Default 0. */
  readonly stableMs?: number;
  /** Levels of the code: 2 for "onset", 4 for "frames". */
  readonly levels: 2 | 4;
}

/**
 * Changes of level in a trace of evenly spaced samples. A new level is taken when the light is nearer to it than to any other by a quarter
 * of the distance between levels (hysteresis: noise below that makes no change). The time is that of the first sample of the new level.
 */
export function findLevels(trace: ArrayLike<number>, sampleRateHz: number, options: LevelOptions): LevelChange[] {
  const { black, white } = { ...rangeOf(trace), ...definedOf(options) };
  const samplesMin = Math.max(1, Math.ceil(((options.stableMs ?? 0) * sampleRateHz) / 1000));
  const step = (white - black) / (options.levels - 1);
  if (!(step > 0)) return [];
  const scale = options.levels === 2 ? patchLevelMax : 1;
  const changes: LevelChange[] = [];
  let current = -1;
  let candidate = -1;
  let since = 0;
  for (let i = 0; i < trace.length; i++) {
    const place = ((trace[i] ?? 0) - black) / step;
    const nearest = Math.max(0, Math.min(options.levels - 1, Math.round(place)));
    const isClear = current === -1 || Math.abs(place - nearest) < 0.375 || place < 0 || place > options.levels - 1;
    if (nearest === current || !isClear) {
      if (nearest === current) candidate = -1;
      continue;
    }
    if (candidate !== nearest) {
      candidate = nearest;
      since = i;
    }
    if (i - since + 1 < samplesMin) continue;
    current = nearest;
    candidate = -1;
    changes.push({ atMs: (since * 1000) / sampleRateHz, level: nearest * scale });
  }
  return changes;
}

function definedOf({ black, white }: LevelOptions): { readonly black?: number; readonly white?: number } {
  return { ...(black === undefined ? {} : { black }), ...(white === undefined ? {} : { white }) };
}

/** Light of black and white: the 1st and the 99th percentile, which a spike or a dropout does not move. */
function rangeOf(trace: ArrayLike<number>): { readonly black: number; readonly white: number } {
  const sorted = Float64Array.from(trace).sort();
  return { black: sorted[Math.floor(0.01 * (sorted.length - 1))] ?? 0, white: sorted[Math.ceil(0.99 * (sorted.length - 1))] ?? 0 };
}
