// A small fixed visual hierarchy for a rig without an encoder model: oriented energy, pooled combinations, random mixtures.
// An Encoder like any other, so that the rest of the rig does not know the difference. Plain arithmetic, the same on every machine.
import { createRng } from "../../shared/rng.ts";
import type { Encoder } from "../../shared/ports.ts";
import type { ImageBatch } from "../../shared/values.ts";

const grid = 32;
const orientations = 6;
/** Oriented energy, then red-green and blue-yellow contrast. */
const maps = orientations + 4;
const half = grid / 2;
const pooledMaps = 24;
const coarse = 4;
const embedding = 64;

const layers = [
  { name: "energy", dim: maps * grid * grid, shape: [maps, grid, grid] },
  { name: "pooled", dim: pooledMaps * half * half, shape: [pooledMaps, half, half] },
  { name: "embedding", dim: embedding },
] as const;

export function createEarlyVision(): Encoder {
  const rng = createRng("early vision 1");
  // Sparse signed mixtures of the maps for the pooled layer, dense ones of its coarse grid for the embedding.
  const mixing = new Float32Array(pooledMaps * maps);
  const mixingRng = rng.fork("pooled");
  for (let i = 0; i < mixing.length; i++) mixing[i] = mixingRng.uniform() < 0.4 ? mixingRng.gaussian() : 0;
  const projection = new Float32Array(embedding * pooledMaps * coarse * coarse);
  rng.fork("embedding").fillGaussian(projection);
  for (let i = 0; i < projection.length; i++) projection[i] = Math.fround((projection[i] ?? 0) / Math.sqrt(pooledMaps * coarse * coarse));

  function featuresOf(images: ImageBatch, index: number): readonly [Float32Array, Float32Array, Float32Array] {
    const planes = shrink(images, index);
    const energy = orientedEnergy(planes);
    const pooled = pool(energy, mixing);
    return [energy, pooled, project(pooled, projection)];
  }

  return {
    identity: { id: "early-vision", title: "Built-in oriented energy hierarchy", sha256: "", provider: "JavaScript" },
    layers,
    async features(images, layerNames) {
      const outputs = layerNames.map((name) => {
        const place = layers.findIndex((layer) => layer.name === name);
        const layer = layers[place];
        if (layer === undefined) throw new Error(`expected a layer of ${layers.map((known) => known.name).join(", ")}, got "${name}"`);
        return { place, dim: layer.dim, values: new Float32Array(images.count * layer.dim) };
      });
      for (let index = 0; index < images.count; index++) {
        const all = featuresOf(images, index);
        for (const output of outputs) {
          const values = all[output.place];
          if (values !== undefined) output.values.set(values, index * output.dim);
        }
      }
      return outputs.map((output) => output.values);
    },
  };
}

/** Luminance, red-green and blue-yellow planes of grid x grid, box-averaged, -0.5 to 0.5. */
function shrink(images: ImageBatch, index: number): readonly [Float32Array, Float32Array, Float32Array] {
  const { width, height, data } = images;
  const luminance = new Float32Array(grid * grid);
  const redGreen = new Float32Array(grid * grid);
  const blueYellow = new Float32Array(grid * grid);
  const base = index * width * height * 3;
  for (let row = 0; row < grid; row++) {
    const top = Math.floor((row * height) / grid);
    const bottom = Math.max(top + 1, Math.floor(((row + 1) * height) / grid));
    for (let column = 0; column < grid; column++) {
      const left = Math.floor((column * width) / grid);
      const right = Math.max(left + 1, Math.floor(((column + 1) * width) / grid));
      let red = 0;
      let green = 0;
      let blue = 0;
      for (let y = top; y < bottom; y++) {
        for (let x = left; x < right; x++) {
          const place = base + (y * width + x) * 3;
          red += data[place] ?? 0;
          green += data[place + 1] ?? 0;
          blue += data[place + 2] ?? 0;
        }
      }
      const scale = 1 / (255 * (bottom - top) * (right - left));
      const cell = row * grid + column;
      luminance[cell] = ((red + green + blue) * scale) / 3 - 0.5;
      redGreen[cell] = ((red - green) * scale) / 2;
      blueYellow[cell] = ((blue - (red + green) / 2) * scale) / 2;
    }
  }
  return [luminance, redGreen, blueYellow];
}

function orientedEnergy([luminance, redGreen, blueYellow]: readonly [Float32Array, Float32Array, Float32Array]): Float32Array {
  const out = new Float32Array(maps * grid * grid);
  for (let row = 0; row < grid; row++) {
    for (let column = 0; column < grid; column++) {
      const cell = row * grid + column;
      const left = row * grid + Math.max(0, column - 1);
      const right = row * grid + Math.min(grid - 1, column + 1);
      const up = Math.max(0, row - 1) * grid + column;
      const down = Math.min(grid - 1, row + 1) * grid + column;
      const dx = (luminance[right] ?? 0) - (luminance[left] ?? 0);
      const dy = (luminance[down] ?? 0) - (luminance[up] ?? 0);
      const strength = Math.hypot(dx, dy);
      const angle = Math.atan2(dy, dx);
      for (let orientation = 0; orientation < orientations; orientation++) {
        const tuned = Math.max(0, Math.cos(2 * (angle - (orientation * Math.PI) / orientations)));
        out[orientation * grid * grid + cell] = strength * tuned * tuned;
      }
      const colours = [redGreen[cell] ?? 0, -(redGreen[cell] ?? 0), blueYellow[cell] ?? 0, -(blueYellow[cell] ?? 0)];
      for (const [place, value] of colours.entries()) out[(orientations + place) * grid * grid + cell] = Math.max(0, value);
    }
  }
  return out;
}

function pool(energy: Float32Array, mixing: Float32Array): Float32Array {
  const pooled = new Float32Array(maps * half * half);
  for (let map = 0; map < maps; map++) {
    for (let row = 0; row < half; row++) {
      for (let column = 0; column < half; column++) {
        const first = map * grid * grid + 2 * row * grid + 2 * column;
        pooled[map * half * half + row * half + column] = Math.max(energy[first] ?? 0, energy[first + 1] ?? 0, energy[first + grid] ?? 0, energy[first + grid + 1] ?? 0);
      }
    }
  }
  const out = new Float32Array(pooledMaps * half * half);
  for (let target = 0; target < pooledMaps; target++) {
    for (let cell = 0; cell < half * half; cell++) {
      let sum = 0;
      for (let map = 0; map < maps; map++) sum += (mixing[target * maps + map] ?? 0) * (pooled[map * half * half + cell] ?? 0);
      out[target * half * half + cell] = Math.max(0, sum);
    }
  }
  return out;
}

function project(pooled: Float32Array, projection: Float32Array): Float32Array {
  const block = half / coarse;
  const cells = new Float32Array(pooledMaps * coarse * coarse);
  for (let map = 0; map < pooledMaps; map++) {
    for (let row = 0; row < half; row++) {
      for (let column = 0; column < half; column++) {
        const target = map * coarse * coarse + Math.floor(row / block) * coarse + Math.floor(column / block);
        cells[target] = (cells[target] ?? 0) + (pooled[map * half * half + row * half + column] ?? 0) / (block * block);
      }
    }
  }
  const out = new Float32Array(embedding);
  for (let unit = 0; unit < embedding; unit++) {
    let sum = 0;
    for (let cell = 0; cell < cells.length; cell++) sum += (projection[unit * cells.length + cell] ?? 0) * (cells[cell] ?? 0);
    out[unit] = Math.max(0, sum);
  }
  return out;
}
