// Spike trains of a synthetic population, made in rig time as they are asked for. Knows nothing about hosts, clocks, batches or ports.
//
// Randomness is keyed, never shared: what a presentation makes a unit do is drawn from a stream named by the presentation and laid
// out relative to the image's onset, so neither the moment of the onset nor the size of the steps in which spikes are taken can
// change a count. Spikes come as candidates (baseline until the next presentation begins, evoked until the response has decayed),
// are merged in time order, and pass one refractory filter.
import type { Rng } from "../../shared/rng.ts";
import { nsPerMs } from "../../shared/units.ts";
import type { TimeCourse } from "./timeCourse.ts";
import type { TrueUnit } from "./truth.ts";

/** Candidates are drawn in chunks of this length, counted from the onset. */
const chunkMs = 256;
const chunkNs = chunkMs * nsPerMs;
/** Codes pack (time in chunk, unit, evoked or baseline) into one float64, so that sorting numbers sorts candidates. */
const unitsMax = 16_384;
/** Light durations are taken to the nearest step, so that the jitter of a display within a frame changes no response. */
const durationStepMs = 5;

export interface SpikeTrains {
  /** An image appears. `evokedHz` gives the evoked rate of each unit, or null while the image is unknown. */
  begin(presentation: { readonly presentationId: number; readonly onsetRigNs: number; readonly evokedHz: () => Float32Array | null }): void;
  /** The image of a presentation goes away. */
  end(presentationId: number, offsetRigNs: number): void;
  /** Spikes from where the last call ended up to `untilRigNs` (exclusive), in time order. */
  take(untilRigNs: number): { readonly timesRigNs: Float64Array; readonly units: Uint16Array; readonly count: number };
  /** Gain of a unit during a presentation: array-wide fluctuation times slow drift. */
  gain(presentationId: number, unitIndex: number): number;
}

interface Chunk {
  readonly codes: Float64Array;
  next: number;
}

interface Episode {
  readonly presentationId: number;
  readonly startNs: number;
  readonly rng: Rng;
  /** Mixed into the thinning marks. */
  readonly salt: number;
  readonly areaGains: readonly number[];
  readonly evokedHz: () => Float32Array | null;
  readonly chunks: { index: number; chunk: Chunk }[];
  nextChunk: number;
  /** Light duration in ms since the start; Infinity while lit. */
  onMs: number;
  /** Start of the next presentation, Infinity before it is known. */
  baselineEndNs: number;
  /** After this rig time neither baseline nor evoked spikes can come. */
  endNs: number;
}

export function createSpikeTrains(options: {
  readonly rng: Rng;
  readonly units: readonly TrueUnit[];
  /** Time course of each unit's area. */
  readonly courseOf: (unit: TrueUnit) => TimeCourse;
  readonly areas: readonly string[];
  readonly startRigNs: number;
  /** Standard deviation of the log of the gain that an array's neurons share in a trial. */
  readonly gainSpread: number;
  /** Amplitude of the slow drift of each unit's gain. */
  readonly driftAmplitude: number;
  /** Line noise: units (by index past the last true unit) that fire at a fixed frequency. */
  readonly lineNoise: { readonly unitIndices: readonly number[]; readonly frequencyHz: number };
}): SpikeTrains {
  const { rng, units } = options;
  const unitCount = units.length + options.lineNoise.unitIndices.length;
  if (unitCount > unitsMax) throw new Error(`expected at most ${unitsMax} units, got ${unitCount}`);

  const courses = units.map(options.courseOf);
  const areaOf = Uint8Array.from(units, (unit) => options.areas.indexOf(unit.area));
  const baselineHz = Float64Array.from(units, (unit) => unit.baselineHz);
  const latencyMs = Float64Array.from(units, (unit) => unit.latencyMs);
  const refractoryNs = new Float64Array(unitCount);
  for (const unit of units) refractoryNs[unit.index] = unit.refractoryMs * nsPerMs;
  const lastSpikeNs = new Float64Array(unitCount).fill(-Infinity);
  const longestTailMs = units.reduce((longest, unit, index) => Math.max(longest, unit.latencyMs + (courses[index]?.decayEndMs ?? 0)), 0);

  const driftRng = rng.fork("drift");
  const driftPeriods = Float64Array.from(units, () => 600 + 2400 * driftRng.uniform());
  const driftPhases = Float64Array.from(units, () => 2 * Math.PI * driftRng.uniform());
  const presentationRng = rng.fork("presentation");
  const silence = () => null;

  function driftOf(presentationId: number, unitIndex: number): number {
    return 1 + options.driftAmplitude * Math.sin((2 * Math.PI * presentationId) / (driftPeriods[unitIndex] ?? 1) + (driftPhases[unitIndex] ?? 0));
  }

  function areaGainsOf(episodeRng: Rng): number[] {
    const gainRng = episodeRng.fork("gain");
    const spread = options.gainSpread;
    return options.areas.map(() => Math.exp(spread * gainRng.gaussian() - (spread * spread) / 2));
  }

  function makeEpisode(presentationId: number, startNs: number, evokedHz: () => Float32Array | null): Episode {
    const episodeRng = presentationRng.fork(presentationId);
    return {
      presentationId,
      startNs,
      rng: episodeRng,
      salt: episodeRng.fork("marks").int(0x100000000),
      areaGains: areaGainsOf(episodeRng),
      evokedHz,
      chunks: [],
      nextChunk: 0,
      onMs: Infinity,
      baselineEndNs: Infinity,
      endNs: Infinity,
    };
  }

  // Before the first presentation the rig is in an episode of its own, with spontaneous spikes only.
  const before = makeEpisode(-1, options.startRigNs, silence);
  before.onMs = 0;
  let episodes: Episode[] = [before];
  let takenNs = options.startRigNs;

  function settleEnd(episode: Episode): void {
    const evokedEndNs = episode.startNs + (episode.onMs + longestTailMs) * nsPerMs;
    episode.endNs = Math.max(episode.baselineEndNs, evokedEndNs);
  }

  let scratch = new Float64Array(4096);
  let scratchLength = 0;
  function push(code: number): void {
    if (scratchLength === scratch.length) {
      const larger = new Float64Array(scratch.length * 2);
      larger.set(scratch);
      scratch = larger;
    }
    scratch[scratchLength++] = code;
  }

  function drawChunk(episode: Episode, index: number): Chunk {
    scratchLength = 0;
    const startMs = index * chunkMs;
    const startNs = episode.startNs + startMs * nsPerMs;
    if (startNs < episode.baselineEndNs) drawBaseline(episode, index);
    if (startMs < episode.onMs + longestTailMs) drawEvoked(episode, index);
    return { codes: scratch.slice(0, scratchLength).sort(), next: 0 };
  }

  function drawBaseline(episode: Episode, index: number): void {
    const stream = episode.rng.fork(`baseline ${index}`);
    for (let unit = 0; unit < units.length; unit++) {
      const meanGapNs = 1e9 / ((baselineHz[unit] ?? 0) * driftOf(episode.presentationId, unit));
      for (let at = exponential(stream) * meanGapNs; at < chunkNs; at += exponential(stream) * meanGapNs) push(Math.floor(at) * unitsMax * 2 + unit * 2);
    }
    const periodNs = 1e9 / options.lineNoise.frequencyHz;
    for (let noise = units.length; noise < unitCount; noise++) {
      for (let at = stream.uniform() * periodNs; at < chunkNs; at += periodNs) {
        push(Math.floor(Math.min(chunkNs - 1, Math.max(0, at + 0.3 * nsPerMs * stream.gaussian()))) * unitsMax * 2 + noise * 2);
      }
    }
  }

  function drawEvoked(episode: Episode, index: number): void {
    const rates = episode.evokedHz();
    if (rates === null) return;
    const stream = episode.rng.fork(`evoked ${index}`);
    for (let unit = 0; unit < units.length; unit++) {
      const course = courses[unit];
      const latency = latencyMs[unit] ?? 0;
      const hz = (rates[unit] ?? 0) * (episode.areaGains[areaOf[unit] ?? 0] ?? 1) * driftOf(episode.presentationId, unit);
      if (course === undefined || hz <= 0) continue;
      // Operational time: a homogeneous process on the cumulative intensity (time rescaling, Brown et al. 2002).
      const meanGap = 1000 / hz;
      const to = course.cumulative((index + 1) * chunkMs - latency);
      for (let at = course.cumulative(index * chunkMs - latency) + exponential(stream) * meanGap; at < to; at += exponential(stream) * meanGap) {
        const inChunkMs = course.timeAt(at) + latency - index * chunkMs;
        push(Math.floor(Math.max(0, Math.min(chunkNs - 1, inChunkMs * nsPerMs))) * unitsMax * 2 + unit * 2 + 1);
      }
    }
  }

  /** Whether an evoked candidate outlives the end of its image: a mark in [0, 1) that belongs to the candidate against the decay. */
  function isKept(episode: Episode, unit: number, relativeNs: number): boolean {
    const sinceEndMs = relativeNs / nsPerMs - (latencyMs[unit] ?? 0) - episode.onMs;
    if (sinceEndMs <= 0) return true;
    const remaining = courses[unit]?.remaining(sinceEndMs) ?? 0;
    return remaining > 0 && markOf(relativeNs, unit, episode.salt) < remaining;
  }

  let outTimes = new Float64Array(8192);
  let outUnits = new Uint16Array(8192);
  let gathered = new Float64Array(8192);

  function take(untilNs: number): { readonly timesRigNs: Float64Array; readonly units: Uint16Array; readonly count: number } {
    const fromNs = takenNs;
    let count = 0;
    let contributors = 0;
    if (untilNs <= fromNs) return { timesRigNs: outTimes, units: outUnits, count: 0 };
    for (const episode of episodes) {
      const stopNs = Math.min(untilNs, episode.endNs);
      while (episode.startNs + episode.nextChunk * chunkNs < stopNs) {
        episode.chunks.push({ index: episode.nextChunk, chunk: drawChunk(episode, episode.nextChunk) });
        episode.nextChunk++;
      }
      const countBefore = count;
      for (const { index, chunk } of episode.chunks) {
        const chunkStartNs = index * chunkNs;
        while (chunk.next < chunk.codes.length) {
          const code = chunk.codes[chunk.next] ?? 0;
          const inChunkNs = Math.floor(code / (unitsMax * 2));
          const rest = code - inChunkNs * unitsMax * 2;
          const relativeNs = chunkStartNs + inChunkNs;
          const timeNs = episode.startNs + relativeNs;
          if (timeNs >= untilNs) break;
          chunk.next++;
          // A presentation that was announced late has a past that is already out.
          if (timeNs < fromNs) continue;
          const unit = rest >> 1;
          if ((rest & 1) === 1 ? !isKept(episode, unit, relativeNs) : timeNs >= episode.baselineEndNs) continue;
          if (count === gathered.length) {
            const larger = new Float64Array(gathered.length * 2);
            larger.set(gathered);
            gathered = larger;
          }
          gathered[count++] = (timeNs - fromNs) * unitsMax + unit;
        }
      }
      while (episode.chunks[0] !== undefined && episode.chunks[0].chunk.next >= episode.chunks[0].chunk.codes.length) episode.chunks.shift();
      if (count > countBefore) contributors++;
    }
    if (contributors > 1) gathered.subarray(0, count).sort();
    if (outTimes.length < count) {
      outTimes = new Float64Array(2 * count);
      outUnits = new Uint16Array(2 * count);
    }
    let kept = 0;
    for (let i = 0; i < count; i++) {
      const code = gathered[i] ?? 0;
      const sinceNs = Math.floor(code / unitsMax);
      const unit = code - sinceNs * unitsMax;
      const timeNs = fromNs + sinceNs;
      if (timeNs - (lastSpikeNs[unit] ?? 0) < (refractoryNs[unit] ?? 0)) continue;
      lastSpikeNs[unit] = timeNs;
      outTimes[kept] = timeNs;
      outUnits[kept] = unit;
      kept++;
    }
    takenNs = untilNs;
    episodes = episodes.filter((episode) => episode.endNs > untilNs);
    return { timesRigNs: outTimes, units: outUnits, count: kept };
  }

  return {
    begin({ presentationId, onsetRigNs, evokedHz }) {
      const newest = episodes.at(-1);
      if (newest !== undefined) {
        newest.baselineEndNs = onsetRigNs;
        settleEnd(newest);
      }
      episodes.push(makeEpisode(presentationId, onsetRigNs, evokedHz));
    },
    end(presentationId, offsetRigNs) {
      const episode = episodes.findLast((candidate) => candidate.presentationId === presentationId);
      if (episode === undefined || episode.onMs !== Infinity) return;
      const onMs = (offsetRigNs - episode.startNs) / nsPerMs;
      episode.onMs = Math.max(durationStepMs, Math.round(onMs / durationStepMs) * durationStepMs);
      settleEnd(episode);
    },
    take,
    gain(presentationId, unitIndex) {
      const area = areaOf[unitIndex];
      if (area === undefined) throw new Error(`expected a unit below ${units.length}, got ${unitIndex}`);
      return (areaGainsOf(presentationRng.fork(presentationId))[area] ?? 1) * driftOf(presentationId, unitIndex);
    },
  };
}

function exponential(rng: Rng): number {
  return -Math.log(1 - rng.uniform());
}

/** A number in [0, 1) that depends on the candidate and the episode only (MurmurHash3's finaliser, twice). */
function markOf(relativeNs: number, unit: number, salt: number): number {
  return mix(Math.floor(relativeNs) ^ mix(unit + salt)) / 0x100000000;
}

function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
