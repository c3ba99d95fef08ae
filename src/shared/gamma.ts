// From a screen's measured luminance to lookup tables that make it linear, or a standard one. Knows nothing about images or windows.
//
// A screen that is sent the value v (0 to 255) emits a luminance L(v), roughly L(0) + k * v^gamma. What an image asks for is a share of the
// range from black to white; the table holds the value whose luminance comes nearest to it. With `target: "linear"` a pixel of value v gets
// v / 255 of the range: twice the value, twice the light (what PLS models and contrasts in the field assume). With `target: "srgb"` it gets
// what a standard monitor gives (IEC 61966-2-1), so that photographs look as they were meant to whatever the screen's own curve is.
import { z } from "zod";

const exponents = z.object({ r: z.number().min(0.5).max(5), g: z.number().min(0.5).max(5), b: z.number().min(0.5).max(5) });
/** Luminances at evenly spaced values from 0 to 255, in any unit, rising. */
const measured = z.array(z.number().min(0)).min(3).max(256).refine((values) => values.every((value, i) => i === 0 || value > (values[i - 1] ?? 0)), "expected luminances that rise with the value sent");

export const gammaConfig = z.discriminatedUnion("kind", [
  /** L = v^gamma for each gun, from a fit to photometer readings. */
  z.object({ kind: z.literal("exponent"), target: z.enum(["linear", "srgb"]).default("linear"), exponents }),
  /** Photometer readings of each gun alone. */
  z.object({ kind: z.literal("luminance"), target: z.enum(["linear", "srgb"]).default("linear"), r: measured, g: measured, b: measured }),
]);
export type GammaConfig = z.infer<typeof gammaConfig>;

/** Value to send for each value asked for, 256 entries a channel. */
export interface GammaTables {
  readonly r: readonly number[];
  readonly g: readonly number[];
  readonly b: readonly number[];
}

export function linearise(gamma: GammaConfig): GammaTables {
  const tableOf = (gun: "r" | "g" | "b"): number[] => {
    const share = gamma.kind === "exponent" ? (value: number) => (value / 255) ** gamma.exponents[gun] : shareOf(gamma[gun]);
    return Array.from({ length: 256 }, (_, asked) => nearest(share, wanted(asked / 255, gamma.target)));
  };
  return { r: tableOf("r"), g: tableOf("g"), b: tableOf("b") };
}

/** Share of the luminance range that a value asks for. */
function wanted(value: number, target: GammaConfig["target"]): number {
  if (target === "linear") return value;
  // IEC 61966-2-1, the standard's decoding.
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
}

/** Measured luminances as a function of the value sent, 0 at black and 1 at white; linear between the readings. */
function shareOf(readings: readonly number[]): (value: number) => number {
  const black = readings[0] ?? 0;
  const range = (readings.at(-1) ?? 1) - black;
  return (value) => {
    const place = (value / 255) * (readings.length - 1);
    const below = Math.min(readings.length - 2, Math.floor(place));
    const low = readings[below] ?? 0;
    const high = readings[below + 1] ?? low;
    return (low + (high - low) * (place - below) - black) / range;
  };
}

function nearest(share: (value: number) => number, asked: number): number {
  let best = 0;
  for (let value = 1; value <= 255; value++) if (Math.abs(share(value) - asked) < Math.abs(share(best) - asked)) best = value;
  return best;
}
