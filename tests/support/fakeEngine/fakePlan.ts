// A session of the standard plan as the windows see it: its steps, what each has after a share of its images, and its report. One seed, one picture.
// Knows nothing about trials or transport.
import { seeded } from "./pictures.ts";
import type { ChannelState, PlanState, StepReport, StepState, StepView } from "../../../src/shared/contract/index.ts";

type Protocol = StepState["protocol"];

export interface FakeStep {
  readonly protocol: Protocol;
  readonly title: string;
  readonly planned: number;
}

export const fakeSteps: readonly FakeStep[] = [
  { protocol: "rfMapping", title: "", planned: 392 },
  { protocol: "diverseSet", title: "", planned: 640 },
  { protocol: "evolution", title: "", planned: 1174 },
  { protocol: "localisation", title: "", planned: 152 },
  { protocol: "validation", title: "", planned: 200 },
];

export const stepImageId = { rfMapping: 9000, diverseSet: 10_000, localisation: 11_000, validation: 12_000 } as const;

/** The kind of the image that a step shows at a count. */
export function imageOfStep(protocol: Protocol, settled: number): { readonly imageId: number; readonly kind: string } {
  switch (protocol) {
    case "rfMapping": return { imageId: stepImageId.rfMapping + (settled % 4), kind: "mapping" };
    case "diverseSet": return { imageId: stepImageId.diverseSet + ((settled * 37) % 160), kind: "diverse" };
    case "localisation": return { imageId: stepImageId.localisation + ((settled * 7) % 31), kind: "perturbed" };
    default: return settled % 3 === 0 ? { imageId: stepImageId.diverseSet + (settled % 20), kind: "diverse" } : { imageId: stepImageId.validation + (settled % 15), kind: "model" };
  }
}

export function fakePlanState(at: number, settled: number, over: boolean): PlanState {
  const steps = fakeSteps.map((s, index): StepState => ({
    index, protocol: s.protocol, title: s.title, planned: s.planned, needs: null,
    state: over || index < at ? "done" : index === at ? "running" : "waiting",
    settled: over || index < at ? s.planned : index === at ? Math.min(settled, s.planned) : 0,
    message: over || index < at ? (doneWords[s.protocol] ?? "") : index === at ? (nowWords[s.protocol] ?? "") : "",
  }));
  return {
    steps, current: over ? null : at, queuedImages: at < 4 ? 15 : 0,
    carried: { field: at > 0 ? { centreXDeg: 1.4, centreYDeg: -0.9, sizeDeg: 2.3, fromStep: 0 } : null, target: at > 1 ? { channel: 86, fromStep: 1 } : null },
  };
}

const nowWords: Partial<Record<Protocol, string>> = { rfMapping: "4 images at 49 places, each twice", diverseSet: "160 images, each 4 times", localisation: "30 discs, each 4 times, and the whole image", validation: "15 model images and 20 natural ones" };
const doneWords: Partial<Record<Protocol, string>> = { rfMapping: "Median field 2.3° at +1.4°, −0.9°", diverseSet: "PIT-23 suggested as the target", evolution: "It rose from 22 to 64 spikes/s", localisation: "22 % of the image keeps 84 % of the response", validation: "Images without positive weights drive the neuron less" };

/** What a step has after `share` of its images. */
export function fakeView(step: number, share: number, channels: readonly ChannelState[], generation: number, generations: number, targets: readonly number[]): StepView | null {
  const protocol = fakeSteps[step]?.protocol;
  const random = seeded(100 + step);
  const noise = (sd: number): number => (random() + random() + random() + random() - 2) * sd;
  switch (protocol) {
    case "rfMapping": {
      const xDeg = [-3, -2, -1, 0, 1, 2, 3];
      const yDeg = xDeg.toReversed();
      const done = 49 * share;
      return {
        protocol, step, xDeg, yDeg, imageSizeDeg: 1, method: "gaussian", counts: yDeg.flatMap((_, r) => xDeg.map((__, c) => ((r * 7 + c) * 11) % 49 < done ? 8 : 0)),
        channels: channels.map((ch) => {
          const spread = ch.area === "V1" ? 0.5 : ch.area === "V4" ? 0.9 : 1.5;
          const [cx, cy] = [1.4 + noise(0.7), -0.9 + noise(0.7)];
          const sd = spread * (0.8 + 0.4 * random());
          const driven = random() > 0.22;
          const peak = driven ? 22 + 40 * random() : 0;
          const floor = 4 + 8 * random();
          const rateHz = yDeg.flatMap((y, r) => xDeg.map((x, c) => (((r * 7 + c) * 11) % 49 < done ? Math.max(0, floor + peak * Math.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sd * sd)) + noise(2 + (driven ? 0 : 3))) : null)));
          return { channel: ch.index, rateHz, field: share < 0.4 ? null : { centreXDeg: cx, centreYDeg: cy, diameterDeg: 2.355 * sd, peakHz: floor + peak, floorHz: floor, r2: driven ? 0.72 + 0.2 * random() : 0.08, trusted: driven } };
        }),
        carried: share < 0.4 ? null : { centreXDeg: 1.4, centreYDeg: -0.9, diameterDeg: 2.3, channels: 74 },
      };
    }
    case "diverseSet": {
      const images = Array.from({ length: 160 }, (_, i) => ({ imageId: stepImageId.diverseSet + i, label: `image ${i}`, counted: Math.max(0, Math.min(4, Math.floor(share * 4 + (((i * 37) % 160) / 160)))) }));
      const targetRateHz = images.map((image, i) => { const r = seeded(i + 5); return image.counted === 0 ? null : Math.max(0, 8 + 70 * r() ** 3 + 6 * r()); });
      return {
        protocol, step, images,
        channels: channels.map((ch) => {
          const reliability = Math.max(0, Math.min(0.97, (ch.index === 86 ? 0.93 : random() ** 1.4) * Math.min(1, share * 2)));
          return { channel: ch.index, meanHz: 8 + 30 * random(), reliability: share < 0.3 ? null : reliability, sparseness: 0.1 + 0.6 * random(), noiseCeilingR: share < 0.5 ? null : Math.sqrt(reliability), bestImageId: stepImageId.diverseSet + Math.floor(random() * 160) };
        }),
        suggestedTarget: share < 0.3 ? null : 86, targetRateHz: share < 0.3 ? images.map(() => null) : targetRateHz,
      };
    }
    case "evolution":
      return { protocol, step, phase: generation < generations ? "evolution" : "confirming", generation, generations, threads: targets.map((target, thread) => ({ thread, target, generator: "shapes-g1", optimizer: "Cholesky CMA-ES" })) };
    case "localisation": {
      const side = 40;
      const map = Array.from({ length: side * side }, (_, i) => Math.exp(-(((i % side) - 18) ** 2 + (Math.floor(i / side) - 16) ** 2) / 70) + 0.25 * Math.exp(-(((i % side) - 26) ** 2 + (Math.floor(i / side) - 26) ** 2) / 50));
      return {
        protocol, step, baseImageId: 2905, widthPx: 128, heightPx: 128, channel: 86, intactHz: 61 * Math.min(1, 0.6 + share), intactCounted: Math.round(16 * share), discDiameterPx: 25,
        discs: Array.from({ length: 30 }, (_, i) => {
          const [x, y] = [14 + 100 * random(), 14 + 100 * random()];
          const counted = Math.floor(share * 4 + ((i * 7) % 30) / 30);
          const change = 0.7 * Math.exp(-((x - 58) ** 2 + (y - 51) ** 2) / 900) + noise(0.05);
          return { imageId: stepImageId.localisation + 1 + i, xPx: x, yPx: y, counted, rateHz: counted === 0 ? null : 61 * (1 - change), change: counted === 0 ? null : change };
        }),
        mapColumns: side, mapRows: side, map: share < 0.25 ? [] : map, peak: share < 0.25 ? null : { xPx: 58, yPx: 51, change: 0.68 },
        keptShare: share < 0.25 ? null : 0.22, maskedImageId: share < 0.85 ? null : stepImageId.localisation + 40, maskedHz: share < 0.9 ? null : 51.4, complementHz: share < 0.9 ? null : 24.8,
      };
    }
    case "validation": {
      const means: readonly (readonly [string, number, number, number | null])[] = [["natural", 20, 24, 0.0004], ["control", 3, 58, null], ["positive 0.5", 3, 39, 0.012], ["positive 1", 3, 14, 0.0002], ["negative 0.5", 3, 60, 0.44], ["negative 1", 3, 63, 0.31]];
      return {
        protocol, step, channel: 86,
        conditions: means.map(([name, images, mean, p], i) => { const counted = Math.max(0, Math.round(images * 8 * share) - i); const half = 5 + 12 * (1 - share); return { name, images, counted, meanHz: counted === 0 ? null : mean, lowHz: counted < 2 ? null : mean - half, highHz: counted < 2 ? null : mean + half, p: counted < 6 ? null : p }; }),
        population: ["V1", "V4", "PIT"].flatMap((area, a) => means.map(([condition, , mean]) => { const z = ((mean - 40) / 40) * [0.15, 0.5, 0.9][a]! + noise(0.04); return { area, condition, z, low: z - 0.16, high: z + 0.16, channels: 32 }; })),
      };
    }
    default:
      return null;
  }
}

export function fakeStepReport(step: number): StepReport | null {
  const found = fakeSteps[step];
  if (found === undefined) return null;
  const base = { step, protocol: found.protocol, title: found.title, outcome: "done" as const };
  switch (found.protocol) {
    case "rfMapping":
      return { ...base, sentences: ["74 of 96 channels have a receptive field that the map shows clearly.", "Later images are centred on the median field, 1.4° right of and 0.9° below the fixation spot.", "Fields grow from 1.2° in V1 over 2.1° in V4 to 3.5° in PIT."], tables: [{ title: "Fields by area", columns: [{ name: "area", unit: "" }, { name: "channels", unit: "" }, { name: "with a field", unit: "" }, { name: "diameter", unit: "°" }], rows: [["V1", 32, 27, 1.21], ["V4", 32, 25, 2.08], ["PIT", 32, 22, 3.52]] }] };
    case "diverseSet":
      return { ...base, sentences: ["PIT-23 is the most reliable and selective channel: it is suggested as the target.", "Its repeats agree on 93 % of the variance of the image means; no model can correlate with them by more than r = .96."], tables: [{ title: "Ten most reliable channels", columns: [{ name: "channel", unit: "" }, { name: "mean", unit: "spikes/s" }, { name: "reliability", unit: "" }, { name: "noise ceiling", unit: "r" }], rows: Array.from({ length: 10 }, (_, i) => [["PIT-23", "V4-07", "PIT-11", "V4-19", "PIT-02", "V1-30", "PIT-29", "V4-01", "PIT-14", "V4-22"][i] ?? "", 31.2 - i * 1.7, 0.93 - i * 0.04, Math.sqrt(0.93 - i * 0.04)]) }] };
    case "evolution":
      return { ...base, sentences: ["The evolution rose: 64.1 spikes/s at the end against 22.3 at the start, shown again without luck.", "It is 2.6 times the references (24.9 spikes/s)."], tables: [] };
    case "localisation":
      return { ...base, sentences: ["22 % of the image, around its middle, keeps 84 % of the response; all but that part keeps 41 %."], tables: [{ title: "Strongest discs", columns: [{ name: "x", unit: "px" }, { name: "y", unit: "px" }, { name: "change", unit: "" }], rows: [[58, 51, 0.68], [63, 44, 0.59], [49, 57, 0.51]] }] };
    default:
      return { ...base, sentences: ["Images of the model without its positive weights drive the neuron as little as natural images do; without its negative weights nothing is lost."], tables: [{ title: "Conditions", columns: [{ name: "condition", unit: "" }, { name: "images", unit: "" }, { name: "mean", unit: "spikes/s" }, { name: "p against control", unit: "" }], rows: [["natural", 20, 24, 0.0004], ["control", 3, 58, null], ["positive 0.5", 3, 39, 0.012], ["positive 1", 3, 14, 0.0002], ["negative 0.5", 3, 60, 0.44], ["negative 1", 3, 63, 0.31]] }] };
  }
}
