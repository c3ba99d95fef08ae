// The images that the synthetic rig draws for itself to learn how strongly its neurons are driven in general. Drawn from a fixed
// seed; knows nothing about the images of any session.
import type { Rng } from "../../shared/rng.ts";
import type { ImageBatch } from "../../shared/values.ts";

type Colour = readonly [number, number, number];

/** Gratings, blobs, noise and shapes on textured backgrounds, in turn. Square images of `sizePx`. */
export function drawPatterns(rng: Rng, count: number, sizePx: number): ImageBatch {
  const data = new Uint8Array(count * sizePx * sizePx * 3);
  for (let index = 0; index < count; index++) {
    const imageRng = rng.fork(index);
    const pixel = patternOf(imageRng, index % 5);
    let place = index * sizePx * sizePx * 3;
    for (let row = 0; row < sizePx; row++) {
      for (let column = 0; column < sizePx; column++) {
        const colour = pixel((column + 0.5) / sizePx, (row + 0.5) / sizePx);
        for (const value of colour) data[place++] = Math.max(0, Math.min(255, Math.round(value * 255)));
      }
    }
  }
  return { count, width: sizePx, height: sizePx, data };
}

/** A picture as a function of place, x and y from 0 to 1. */
type Picture = (x: number, y: number) => Colour;

function patternOf(rng: Rng, kind: number): Picture {
  switch (kind) {
    case 0:
      return grating(rng);
    case 1:
      return texture(rng);
    case 2:
      return blobs(rng);
    case 3:
      return shapeOn(rng, texture(rng));
    default:
      return shapeOn(rng, gradient(rng));
  }
}

function randomColour(rng: Rng): Colour {
  return [rng.uniform(), rng.uniform(), rng.uniform()];
}

function blend(from: Colour, to: Colour, share: number): Colour {
  return [from[0] + (to[0] - from[0]) * share, from[1] + (to[1] - from[1]) * share, from[2] + (to[2] - from[2]) * share];
}

function grating(rng: Rng): Picture {
  const angle = rng.uniform() * Math.PI;
  const cycles = 2 * 2 ** (rng.uniform() * 3);
  const phase = rng.uniform() * 2 * Math.PI;
  const [dark, light] = [randomColour(rng), randomColour(rng)];
  const kx = 2 * Math.PI * cycles * Math.cos(angle);
  const ky = 2 * Math.PI * cycles * Math.sin(angle);
  return (x, y) => blend(dark, light, 0.5 + 0.5 * Math.sin(kx * x + ky * y + phase));
}

/** A sum of gratings whose amplitude falls with frequency, as in natural images. */
function texture(rng: Rng): Picture {
  const [dark, light] = [randomColour(rng), randomColour(rng)];
  const waves = Array.from({ length: 10 }, () => {
    const cycles = 1.5 * 2 ** (rng.uniform() * 4);
    const angle = rng.uniform() * Math.PI;
    return {
      kx: 2 * Math.PI * cycles * Math.cos(angle),
      ky: 2 * Math.PI * cycles * Math.sin(angle),
      phase: rng.uniform() * 2 * Math.PI,
      amplitude: 1 / Math.sqrt(cycles),
    };
  });
  return (x, y) => {
    let sum = 0;
    for (const wave of waves) sum += wave.amplitude * Math.sin(wave.kx * x + wave.ky * y + wave.phase);
    return blend(dark, light, 0.5 + 0.22 * sum);
  };
}

function gradient(rng: Rng): Picture {
  const [from, to] = [randomColour(rng), randomColour(rng)];
  const angle = rng.uniform() * 2 * Math.PI;
  const [dx, dy] = [Math.cos(angle), Math.sin(angle)];
  return (x, y) => blend(from, to, 0.5 + (x - 0.5) * dx + (y - 0.5) * dy);
}

function blobs(rng: Rng): Picture {
  const ground = randomColour(rng);
  const spots = Array.from({ length: 3 + rng.int(5) }, () => ({
    x: rng.uniform(),
    y: rng.uniform(),
    inverse: 1 / (2 * (0.04 + 0.12 * rng.uniform()) ** 2),
    colour: randomColour(rng),
  }));
  return (x, y) => {
    let colour = ground;
    for (const spot of spots) colour = blend(colour, spot.colour, Math.exp(-((x - spot.x) ** 2 + (y - spot.y) ** 2) * spot.inverse));
    return colour;
  };
}

/** A filled star polygon (a disc, an ellipse, a triangle and so on, by its numbers) before a background. */
function shapeOn(rng: Rng, ground: Picture): Picture {
  const colour = randomColour(rng);
  const corners = 2 + rng.int(5);
  const depth = 0.7 * rng.uniform();
  const turn = rng.uniform() * 2 * Math.PI;
  const radius = 0.18 + 0.2 * rng.uniform();
  const squash = 0.6 + 0.4 * rng.uniform();
  const [cx, cy] = [0.4 + 0.2 * rng.uniform(), 0.4 + 0.2 * rng.uniform()];
  return (x, y) => {
    const dx = (x - cx) / squash;
    const dy = y - cy;
    const angle = Math.atan2(dy, dx) + turn;
    const edge = radius * (1 - depth * (0.5 + 0.5 * Math.cos(corners * angle)));
    const softness = 0.5 + (edge - Math.hypot(dx, dy)) * 60;
    return softness <= 0 ? ground(x, y) : blend(ground(x, y), colour, Math.min(1, softness));
  };
}
