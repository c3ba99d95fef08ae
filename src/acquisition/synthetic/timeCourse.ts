// How a visual response unfolds after an image appears: latency, transient, sustained part, decay after the image is gone.
// Knows nothing about neurons, spikes or images.

/** Longest response that is tabulated; beyond it the response stays at its sustained level. */
const tabulatedMs = 1024;
const stepMs = 0.5;

export interface TimeCourseShape {
  /** Time constant of the rise, ms. */
  readonly riseMs: number;
  /** Time constant with which the transient gives way to the sustained part, ms. */
  readonly transientMs: number;
  /** Sustained level as a share of the transient's height, 0 to 1. */
  readonly sustained: number;
  /** Time constant of the decay after the image is gone, ms. */
  readonly decayMs: number;
}

/**
 * Relative intensity k(t) of a response, t in ms since the response began (image onset plus latency) while the image stays on:
 * (1 - exp(-t / rise)) * (sustained + (1 - sustained) * exp(-t / transient)), scaled so that its mean over the first 100 ms is 1.
 */
export interface TimeCourse {
  readonly shape: TimeCourseShape;
  intensity(ms: number): number;
  /** Integral of the intensity from 0 to `ms`, in ms: what a homogeneous process would need for as many spikes. */
  cumulative(ms: number): number;
  /** Inverse of `cumulative`. */
  timeAt(cumulativeMs: number): number;
  /** Share of the response that is left `ms` after the response to the image's end began; 0 beyond four time constants. */
  remaining(ms: number): number;
  /** `remaining` is 0 from here on, ms. */
  readonly decayEndMs: number;
}

export function createTimeCourse(shape: TimeCourseShape): TimeCourse {
  const raw = (ms: number) => (1 - Math.exp(-ms / shape.riseMs)) * (shape.sustained + (1 - shape.sustained) * Math.exp(-ms / shape.transientMs));
  const count = Math.round(tabulatedMs / stepMs);
  const sums = new Float64Array(count + 1);
  for (let i = 0; i < count; i++) {
    // Simpson's rule on each step.
    const start = i * stepMs;
    sums[i + 1] = at(sums, i) + (stepMs / 6) * (raw(start) + 4 * raw(start + stepMs / 2) + raw(start + stepMs));
  }
  const scale = 100 / at(sums, Math.round(100 / stepMs));
  for (let i = 0; i <= count; i++) sums[i] = at(sums, i) * scale;
  const total = at(sums, count);
  const level = shape.sustained * scale;

  function timeAt(cumulativeMs: number): number {
    if (cumulativeMs <= 0) return 0;
    if (cumulativeMs >= total) return tabulatedMs + (cumulativeMs - total) / level;
    let low = 0;
    let high = count;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (at(sums, middle) <= cumulativeMs) low = middle;
      else high = middle;
    }
    const below = at(sums, low);
    return (low + (cumulativeMs - below) / (at(sums, high) - below)) * stepMs;
  }

  return {
    shape,
    intensity: (ms) => (ms <= 0 ? 0 : raw(ms) * scale),
    cumulative(ms) {
      if (ms <= 0) return 0;
      if (ms >= tabulatedMs) return total + (ms - tabulatedMs) * level;
      const place = ms / stepMs;
      const index = Math.floor(place);
      return at(sums, index) + (place - index) * (at(sums, index + 1) - at(sums, index));
    },
    timeAt,
    remaining: (ms) => (ms <= 0 ? 1 : ms >= 4 * shape.decayMs ? 0 : Math.exp(-ms / shape.decayMs)),
    decayEndMs: 4 * shape.decayMs,
  };
}

function at(values: Float64Array, index: number): number {
  const value = values[index];
  if (value === undefined) throw new Error(`expected an index below ${values.length}, got ${index}`);
  return value;
}
