// Finds spikes in waveforms by a threshold of each channel's own noise: crossings below minus k times the robust standard deviation,
// median(|x|) / 0.6745 (Quiroga, Nadasdy & Ben-Shaul 2004), with a refractory time. Pure but for its state; how the samples are cut changes
// nothing. Knows nothing about protocols.
export interface DetectorOptions {
  readonly channelCount: number;
  readonly sampleRateHz: number;
  readonly thresholdSd: number;
  readonly refractoryMs: number;
}

export interface ThresholdDetector {
  /** One frame: the sample of each channel, µV. Calls `onSpike` with the channels that cross their threshold in it. */
  frame(samples: ArrayLike<number>, offset: number, tick: number, onSpike: (channel: number, tick: number) => void): void;
  /** Thresholds, µV (negative); NaN until there is enough to tell the noise from. */
  thresholds(): Float64Array;
}

/** Each eighth sample serves for the noise: neighbours are alike. */
const noiseStride = 8;
/** Noise is taken over so many of them: 1.6 s at 20 kHz. */
const noiseSamples = 4096;
const firstNoiseSamples = 1024;
/** And anew after so many more. */
const noiseEvery = 2048;

export function createThresholdDetector({ channelCount, sampleRateHz, thresholdSd, refractoryMs }: DetectorOptions): ThresholdDetector {
  const refractoryTicks = Math.round((refractoryMs * sampleRateHz) / 1000);
  const noise = Array.from({ length: channelCount }, () => new Float32Array(noiseSamples));
  const threshold = new Float64Array(channelCount).fill(Number.NaN);
  const isBelow = new Uint8Array(channelCount);
  const lastTick = new Float64Array(channelCount).fill(-Infinity);
  let frames = 0;
  let kept = 0;
  let keptSince = 0;

  function measure(): void {
    const count = Math.min(kept, noiseSamples);
    for (let channel = 0; channel < channelCount; channel++) {
      const sorted = (noise[channel] ?? new Float32Array(0)).slice(0, count).sort();
      const middle = count >> 1;
      const median = count % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
      // A channel without noise is a channel without an electrode: nothing crosses it.
      threshold[channel] = median === 0 ? Number.NaN : (-thresholdSd * median) / 0.6745;
    }
    keptSince = 0;
  }

  return {
    frame(samples, offset, tick, onSpike) {
      for (let channel = 0; channel < channelCount; channel++) {
        const value = samples[offset + channel] ?? 0;
        // NaN compares as false: no spikes before there is a threshold.
        const below = value < (threshold[channel] ?? Number.NaN);
        if (below && isBelow[channel] === 0 && tick - (lastTick[channel] ?? -Infinity) >= refractoryTicks) {
          lastTick[channel] = tick;
          onSpike(channel, tick);
        }
        isBelow[channel] = below ? 1 : 0;
      }
      if (frames % noiseStride === 0) {
        for (let channel = 0; channel < channelCount; channel++) {
          const kepts = noise[channel];
          if (kepts !== undefined) kepts[kept % noiseSamples] = Math.abs(samples[offset + channel] ?? 0);
        }
        kept += 1;
        keptSince += 1;
        if (kept === firstNoiseSamples || (kept > firstNoiseSamples && keptSince >= noiseEvery)) measure();
      }
      frames += 1;
    },
    thresholds: () => threshold.slice(),
  };
}

/** Second-order Butterworth high-pass over several channels, one frame at a time (bilinear transform; Oppenheim & Schafer 2010, 7.1). */
export function createHighPass({ channelCount, sampleRateHz, cutoffHz }: { readonly channelCount: number; readonly sampleRateHz: number; readonly cutoffHz: number }): (samples: Float32Array) => void {
  const warped = Math.tan((Math.PI * cutoffHz) / sampleRateHz);
  const norm = 1 / (1 + Math.SQRT2 * warped + warped * warped);
  const a1 = 2 * (warped * warped - 1) * norm;
  const a2 = (1 - Math.SQRT2 * warped + warped * warped) * norm;
  const state1 = new Float64Array(channelCount);
  const state2 = new Float64Array(channelCount);
  let isFirst = true;
  return (samples) => {
    for (let channel = 0; channel < channelCount; channel++) {
      const x = samples[channel] ?? 0;
      // A constant has no high frequencies: begin as if it had always been there.
      if (isFirst) {
        state1[channel] = -norm * x;
        state2[channel] = norm * x;
      }
      const y = norm * x + (state1[channel] ?? 0);
      state1[channel] = -2 * norm * x - a1 * y + (state2[channel] ?? 0);
      state2[channel] = norm * x - a2 * y;
      samples[channel] = y;
    }
    isFirst = false;
  };
}
