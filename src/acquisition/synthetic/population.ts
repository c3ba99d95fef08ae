// The synthetic rig's neurons: which channel hears which units, what they read from the encoder, how drive becomes a rate.
// Knows nothing about spikes, time or ports.
import type { Encoder } from "../../shared/ports.ts";
import type { Rng } from "../../shared/rng.ts";
import type { ChannelInfo, ImageBatch } from "../../shared/values.ts";
import { drawPatterns } from "./patterns.ts";
import { areaNames } from "./truth.ts";
import type { AreaName, Readout, ReceptiveField, TrueChannel, TrueUnit } from "./truth.ts";

export interface AreaPlan {
  readonly layer: string;
  readonly latencyMs: number;
  readonly latencySpreadMs: number;
  readonly fieldRadius: readonly [number, number];
  /** Largest distance of a field's centre from the image's centre, in image widths. */
  readonly fieldScatter: number;
}

export interface Population {
  readonly channels: readonly ChannelInfo[];
  readonly trueChannels: readonly TrueChannel[];
  readonly units: readonly TrueUnit[];
}

type Layer = Encoder["layers"][number];

/**
 * Layers for V1, V4 and PIT: an early, a middle and the penultimate one. A last layer that is narrower than the one before it and
 * flat is taken for class scores and left alone.
 */
export function chooseLayers(layers: readonly Layer[], chosen: Partial<Readonly<Record<AreaName, string>>>): Readonly<Record<AreaName, string>> {
  const last = layers.length - 1;
  const isFlat = (layer: Layer | undefined) => (layer?.shape?.length ?? 1) < 3;
  const hasScores = last > 0 && isFlat(layers[last]) && (layers[last]?.dim ?? 0) < (layers[last - 1]?.dim ?? 0) && isFlat(layers[last - 1]);
  const penultimate = hasScores ? last - 1 : last;
  const nameAt = (index: number) => {
    const layer = layers[index];
    if (layer === undefined) throw new Error(`expected an encoder with at least one layer, got ${layers.length}`);
    return layer.name;
  };
  const names = { V1: nameAt(0), V4: nameAt(penultimate >> 1), PIT: nameAt(penultimate), ...chosen };
  for (const area of areaNames) {
    if (!layers.some((layer) => layer.name === names[area])) {
      throw new Error(`expected the layer for ${area} to be one of ${layers.map((layer) => layer.name).join(", ")}, got "${names[area]}"`);
    }
  }
  return names;
}

const areaPlans: Readonly<Record<AreaName, Omit<AreaPlan, "layer">>> = {
  V1: { latencyMs: 45, latencySpreadMs: 5, fieldRadius: [0.06, 0.12], fieldScatter: 0.16 },
  V4: { latencyMs: 60, latencySpreadMs: 6, fieldRadius: [0.16, 0.26], fieldScatter: 0.14 },
  PIT: { latencyMs: 76, latencySpreadMs: 7, fieldRadius: [0.5, 0.8], fieldScatter: 0.05 },
};

const pitchMm = 0.4;

/** Draws the population. Each channel has a stream of its own, so that another count of channels leaves the others as they are. */
export function planPopulation(options: {
  readonly rng: Rng;
  readonly channelsPerArray: number;
  readonly silentChannels: number;
  readonly noisyChannels: number;
  readonly multiUnitShare: number;
  readonly layers: Readonly<Record<AreaName, string>>;
}): Population {
  const { rng, channelsPerArray } = options;
  const count = channelsPerArray * areaNames.length;
  const order = rng.fork("channel kinds").shuffle(Array.from({ length: count }, (_, index) => index));
  const silent = new Set(order.slice(0, options.silentChannels));
  const noisy = new Set(order.slice(options.silentChannels, options.silentChannels + options.noisyChannels));
  const columns = Math.ceil(Math.sqrt(channelsPerArray * 2));

  const channels: ChannelInfo[] = [];
  const trueChannels: TrueChannel[] = [];
  const units: TrueUnit[] = [];
  for (const [areaIndex, area] of areaNames.entries()) {
    for (let place = 0; place < channelsPerArray; place++) {
      const index = areaIndex * channelsPerArray + place;
      const channelRng = rng.fork(`channel ${area} ${place}`);
      const column = place % columns;
      const row = Math.floor(place / columns);
      const name = `${area}-${String(place + 1).padStart(2, "0")}`;
      channels.push({ index, name, area, positionMm: { x: column * pitchMm, y: row * pitchMm } });
      const isMulti = channelRng.uniform() < options.multiUnitShare;
      const kind = silent.has(index) ? "silent" : noisy.has(index) ? "noisy" : isMulti ? "multi" : "single";
      const unitCount = kind === "silent" ? 0 : kind === "multi" || kind === "noisy" ? 2 + channelRng.int(3) : 1;
      const own: TrueUnit[] = [];
      const field = drawField(channelRng, areaPlans[area], column / Math.max(1, columns - 1));
      for (let which = 0; which < unitCount; which++) {
        own.push(drawUnit({
          rng: channelRng.fork(which),
          index: units.length + which,
          channel: index,
          sortedUnit: kind === "single" ? 1 : 0,
          // Several units share the channel's usual rate.
          share: 1 / Math.sqrt(unitCount),
          area,
          field,
          layer: options.layers[area],
        }));
      }
      units.push(...own);
      trueChannels.push({ index, name, area, kind, units: own, baselineHz: own.reduce((sum, unit) => sum + unit.baselineHz, 0) });
    }
  }
  return { channels, trueChannels, units };
}

/** Fields of neighbouring electrodes lie side by side, as on a retinotopic map. */
function drawField(rng: Rng, plan: Omit<AreaPlan, "layer">, acrossArray: number): ReceptiveField {
  const [smallest, largest] = plan.fieldRadius;
  return {
    x: 0.5 + plan.fieldScatter * (2 * acrossArray - 1) + 0.02 * rng.gaussian(),
    y: 0.5 + plan.fieldScatter * (2 * rng.uniform() - 1),
    radius: smallest + (largest - smallest) * rng.uniform(),
  };
}

function drawUnit(options: {
  readonly rng: Rng;
  readonly index: number;
  readonly channel: number;
  readonly sortedUnit: number;
  readonly share: number;
  readonly area: AreaName;
  readonly field: ReceptiveField;
  readonly layer: string;
}): TrueUnit {
  const { rng, area, share } = options;
  const plan = areaPlans[area];
  return {
    index: options.index,
    channel: options.channel,
    sortedUnit: options.sortedUnit,
    area,
    receptiveField: options.field,
    layer: options.layer,
    tuning: rng.uniform() < 0.6 ? "sparse" : "dense",
    baselineHz: share * 2 * 7.5 ** rng.uniform(), // 2 to 15 spikes/s
    gainHz: share * (9 + 7 * rng.uniform()),
    ceilingHz: share * (110 + 50 * rng.uniform()),
    latencyMs: plan.latencyMs + Math.max(-2, Math.min(2, rng.gaussian())) * plan.latencySpreadMs,
    refractoryMs: 1 + rng.uniform(),
  };
}

/** Drive in standard deviations -> evoked rate in spikes/s: zero for what the unit does not care for, then linear, then saturating. */
export function evokedHz(unit: TrueUnit, drive: number): number {
  const rectified = drive > 30 ? drive : Math.log1p(Math.exp(drive));
  return unit.ceilingHz * Math.tanh((unit.gainHz * rectified) / unit.ceilingHz);
}

/** A population with its readouts: images in, evoked rates out. */
export interface TunedPopulation {
  readonly readouts: readonly Readout[];
  /** Evoked rates, spikes/s, [count, units] row-major. */
  evoked(images: ImageBatch): Promise<Float32Array>;
}

const patternCount = 60;
const patternPx = 96;
const patternBatch = 12;

/**
 * Tunes the units to an encoder: each picks features that are alive on the rig's own patterns, and is normalised by its drive over
 * those patterns. Nothing depends on the images of a session.
 */
export async function tunePopulation(options: { readonly rng: Rng; readonly units: readonly TrueUnit[]; readonly encoder: Encoder }): Promise<TunedPopulation> {
  const { units, encoder } = options;
  const layerNames = [...new Set(units.map((unit) => unit.layer))];
  const layers = layerNames.map((name) => {
    const layer = encoder.layers.find((candidate) => candidate.name === name);
    if (layer === undefined) throw new Error(`expected a layer of the encoder, got "${name}"`);
    return layer;
  });
  const patterns = drawPatterns(options.rng.fork("patterns"), patternCount, patternPx);

  async function eachBatch(visit: (features: readonly Float32Array[], count: number) => void): Promise<void> {
    const bytesEach = patternPx * patternPx * 3;
    for (let first = 0; first < patternCount; first += patternBatch) {
      const count = Math.min(patternBatch, patternCount - first);
      const batch = { count, width: patternPx, height: patternPx, data: patterns.data.subarray(first * bytesEach, (first + count) * bytesEach) };
      visit(await encoder.features(batch, layerNames), count);
    }
  }

  const statistics = layers.map((layer) => createMoments(layer.dim));
  await eachBatch((features, count) => {
    for (const [place, moments] of statistics.entries()) moments.add(featuresAt(features, place), count);
  });
  const drafts = units.map((unit) => {
    const place = layerNames.indexOf(unit.layer);
    const [layer, moments] = [layers[place], statistics[place]];
    if (layer === undefined || moments === undefined) throw new Error(`expected the layer "${unit.layer}" among ${layerNames.join(", ")}`);
    return { place, ...drawReadout(options.rng.fork(`readout ${unit.area} ${unit.channel} ${unit.index}`), unit, layer, moments) };
  });
  const drives = drafts.map(() => createMoments(1));
  const single = new Float32Array(1);
  await eachBatch((features, count) => {
    for (const [index, draft] of drafts.entries()) {
      const values = featuresAt(features, draft.place);
      for (let row = 0; row < count; row++) {
        single[0] = weigh(draft, values, row * (values.length / count));
        drives[index]?.add(single, 1);
      }
    }
  });
  const readouts = drafts.map((draft, index) => {
    const { mean, deviation } = drives[index]?.at(0) ?? { mean: 0, deviation: 0 };
    return { features: draft.features, weights: draft.weights, mean, standardDeviation: deviation > 0 ? deviation : 1 };
  });

  return {
    readouts,
    async evoked(images) {
      const features = await encoder.features(images, layerNames);
      const rates = new Float32Array(images.count * units.length);
      for (const [index, readout] of readouts.entries()) {
        const unit = units[index];
        const values = featuresAt(features, drafts[index]?.place ?? 0);
        if (unit === undefined) throw new Error(`expected a unit ${index}`);
        for (let row = 0; row < images.count; row++) {
          const drive = (weigh(readout, values, row * (values.length / images.count)) - readout.mean) / readout.standardDeviation;
          // A grid much coarser than the rounding differences between batch sizes and providers, much finer than any noise.
          rates[row * units.length + index] = evokedHz(unit, Math.round(drive * 1024) / 1024);
        }
      }
      return rates;
    },
  };
}

function featuresAt(features: readonly Float32Array[], place: number): Float32Array {
  const values = features[place];
  if (values === undefined) throw new Error(`expected features of ${place + 1} layers or more, got ${features.length}`);
  return values;
}

function weigh(readout: { readonly features: Uint32Array; readonly weights: Float32Array }, values: Float32Array, offset: number): number {
  const { features, weights } = readout;
  let sum = 0;
  for (let i = 0; i < features.length; i++) sum += (weights[i] ?? 0) * (values[offset + (features[i] ?? 0)] ?? 0);
  return sum;
}

interface Moments {
  /** Adds `count` rows. */
  add(rows: Float32Array, count: number): void;
  at(index: number): { readonly mean: number; readonly deviation: number; readonly activeShare: number };
}

function createMoments(dim: number): Moments {
  const sums = new Float64Array(dim);
  const squares = new Float64Array(dim);
  const active = new Uint32Array(dim);
  let rowCount = 0;
  return {
    add(rows, count) {
      for (let row = 0; row < count; row++) {
        for (let i = 0; i < dim; i++) {
          const value = rows[row * dim + i] ?? 0;
          sums[i] = (sums[i] ?? 0) + value;
          squares[i] = (squares[i] ?? 0) + value * value;
          if (value > 1e-6) active[i] = (active[i] ?? 0) + 1;
        }
      }
      rowCount += count;
    },
    at(index) {
      const mean = (sums[index] ?? 0) / rowCount;
      return { mean, deviation: Math.sqrt(Math.max(0, (squares[index] ?? 0) / rowCount - mean * mean)), activeShare: (active[index] ?? 0) / rowCount };
    },
  };
}

/** Number of excitatory and inhibitory features that a unit reads. */
function featureCounts(unit: TrueUnit, available: number): readonly [number, number] {
  if (unit.area === "V1") return unit.tuning === "sparse" ? [1, 0] : [2, 1];
  if (unit.area === "V4") return unit.tuning === "sparse" ? [2, 1] : [4, 3];
  return unit.tuning === "sparse" ? [4, 3] : [Math.max(4, Math.round(available * 0.25)), Math.max(3, Math.round(available * 0.22))];
}

function drawReadout(rng: Rng, unit: TrueUnit, layer: Layer, moments: Moments): { readonly features: Uint32Array; readonly weights: Float32Array } {
  const [mapCount, height, width] = layer.shape !== undefined && layer.shape.length === 3 ? layer.shape : [layer.dim, 1, 1];
  if (mapCount === undefined || height === undefined || width === undefined || mapCount * height * width !== layer.dim) {
    throw new Error(`expected the shape of layer "${layer.name}" to give ${layer.dim} features, got ${String(layer.shape)}`);
  }
  const cells = fieldCells(unit.receptiveField, height, width);
  // A map is of use where it is alive inside the receptive field.
  const alive: { readonly map: number; readonly deviation: number }[] = [];
  for (let map = 0; map < mapCount; map++) {
    let deviation = 0;
    let activeShare = 0;
    for (const cell of cells) {
      const feature = moments.at(map * height * width + cell.place);
      deviation += cell.weight * feature.deviation;
      activeShare += cell.weight * feature.activeShare;
    }
    if (deviation > 1e-6 && activeShare >= 0.05) alive.push({ map, deviation });
  }
  const [wantedPlus, wantedMinus] = featureCounts(unit, alive.length);
  const order = rng.shuffle(alive);
  const plus = order.slice(0, wantedPlus);
  const minus = order.slice(wantedPlus, wantedPlus + wantedMinus);
  const strengths = [...plus, ...minus].map(() => 0.3 + rng.uniform());
  const plusSum = strengths.slice(0, plus.length).reduce((sum, value) => sum + value, 0);
  const minusSum = strengths.slice(plus.length).reduce((sum, value) => sum + value, 0);
  const typical = median(order.map((entry) => entry.deviation));

  const features: number[] = [];
  const weights: number[] = [];
  for (const [place, entry] of [...plus, ...minus].entries()) {
    const isPlus = place < plus.length;
    const strength = strengths[place] ?? 0;
    // Excitation outweighs inhibition by 1.17, as in the recorded neurons' models (SPEC 4).
    const signed = isPlus ? strength / plusSum : -strength / minusSum / 1.17;
    const scale = 1 / Math.max(entry.deviation, 0.25 * typical);
    for (const cell of cells) {
      features.push(entry.map * height * width + cell.place);
      weights.push(signed * scale * cell.weight);
    }
  }
  return { features: Uint32Array.from(features), weights: Float32Array.from(weights) };
}

/** Cells of a feature map inside a receptive field, with Gaussian weights that sum to 1. At least one. */
function fieldCells(field: ReceptiveField, height: number, width: number): readonly { readonly place: number; readonly weight: number }[] {
  // Half the sensitivity at `radius`.
  const inverse = Math.LN2 / field.radius ** 2;
  const cells: { place: number; weight: number }[] = [];
  let best = { place: 0, weight: 0 };
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const distanceSquared = ((column + 0.5) / width - field.x) ** 2 + ((row + 0.5) / height - field.y) ** 2;
      const cell = { place: row * width + column, weight: Math.exp(-distanceSquared * inverse) };
      if (cell.weight > best.weight) best = cell;
      if (cell.weight > 0.06) cells.push(cell);
    }
  }
  if (cells.length === 0) cells.push(best);
  const total = cells.reduce((sum, cell) => sum + cell.weight, 0);
  return cells.map((cell) => ({ place: cell.place, weight: cell.weight / total }));
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}
