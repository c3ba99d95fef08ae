// Where in an image the feature is that drives the target (SPEC 8): copies with one disc of shuffled pixels against the intact image; then the
// kept part alone, and the rest alone, against the whole. Knows nothing about trials, screens or spikes.
import { drawDiscs, localiseFeature, measureResponseChanges } from "../../analysis/localisation.ts";
import type { Disc, FeatureLocation } from "../../analysis/localisation.ts";
import { meanInterval, permutationTest } from "../../analysis/statistics.ts";
import type { LocalisationStep } from "../../shared/contract/plan.ts";
import type { ImageKind } from "../../shared/values.ts";
import { createRateSums, round } from "./protocol.ts";
import type { BlockPlan, CarryOver, ImageSource, PlannedItem, Protocol, ProtocolContext, ProtocolImage, RunningProtocol } from "./protocol.ts";

export const localisationProtocol: Protocol<LocalisationStep> = { name: "localisation", title: "Feature localisation", takesQueued: false, open: openLocalisation };

/** Sizes are given for an image of this side (SPEC 8). */
const nominalPx = 256;
/** Side of the map for views and tables; the mask itself is as fine as the image. */
const viewPx = 48;
const intactItem = 0;
const discItem = (i: number): number => 1 + i;

function openLocalisation(settings: LocalisationStep, context: ProtocolContext): RunningProtocol {
  const { width: widthPx, height: heightPx } = context.imagePx;
  const scale = widthPx / nominalPx;
  const discDiameterPx = Math.max(3, settings.discDiameterPx * scale);
  const smoothingSdPx = settings.smoothingSdPx * scale;
  const maskedItem = discItem(settings.discCount);
  const complementItem = maskedItem + 1;
  const sums = createRateSums();
  const discs: readonly Disc[] = drawDiscs({ widthPx, heightPx, diameterPx: discDiameterPx, count: settings.discCount, rng: context.rng.fork("discs") });
  let base: ImageSource | null = settings.source === "file" ? { kind: "library", library: context.libraryIndex, place: 0 } : null;
  let baseLabel = context.library[0] ?? "";
  let channel = settings.channel ?? 0;
  let intact: ProtocolImage | null = null;
  let perturbed: readonly ProtocolImage[] = [];
  let masked: readonly ProtocolImage[] = [];
  let blocks = 0;

  function chooseBase({ evolved }: CarryOver): void {
    const source = evolved[settings.thread] ?? evolved[0];
    if (settings.source === "file" || source === undefined) return;
    const generator = context.generator(source.generator);
    if (generator === null) return;
    const best = settings.source === "best" ? source.best : null;
    base = { kind: "latent", generator, latent: Float64Array.from(best?.latent ?? source.mean) };
    baseLabel = best === null ? `distribution mean of evolution ${source.thread}` : `best of evolution ${source.thread}, image ${best.imageId}`;
  }

  function makeImage(key: string, kind: ImageKind, label: string, source: ImageSource, individual: number | null): ProtocolImage {
    return { imageId: context.imageId(key), key, step: context.step, kind, label, thread: null, generation: null, individual, latent: null, source };
  }

  function makeImages(source: ImageSource): void {
    intact = makeImage("intact", "perturbed", `intact, ${baseLabel}`, source, null);
    perturbed = discs.map((disc, i) => makeImage(`disc/${i}`, "perturbed", `disc ${i} at (${disc.xPx}, ${disc.yPx}) px`, { kind: "shuffled", base: source, disc, discDiameterPx, seed: `${context.step}/disc/${i}` }, i));
  }

  /** The map from what has been counted; null before the intact image and three discs have. */
  function locate(atPx: number): FeatureLocation | null {
    const intactHz = sums.mean(intactItem, channel);
    const known = discs.flatMap((disc, i) => {
      const rate = sums.mean(discItem(i), channel);
      return rate === null ? [] : [{ disc, rate }];
    });
    if (intactHz === null || !(intactHz > 0) || known.length < 3) return null;
    const shrink = atPx / widthPx;
    const at = (px: number): number => px * shrink;
    return localiseFeature(known.map(({ disc }) => ({ xPx: at(disc.xPx), yPx: at(disc.yPx) })), measureResponseChanges(intactHz, known.map(({ rate }) => rate)), {
      widthPx: atPx, heightPx: Math.max(1, Math.round(at(heightPx))), diameterPx: at(discDiameterPx), smoothingSdPx: at(smoothingSdPx), keepFrom: settings.keepFrom,
    });
  }

  const plain = (item: number, image: ProtocolImage, repeats: number): PlannedItem => ({ item, imageId: image.imageId, repeats, at: null, sizeDeg: null });

  function discBlock(): BlockPlan | null {
    if (base === null) return null;
    if (intact === null) makeImages(base);
    const whole = intact;
    if (whole === null) return null;
    return {
      items: [plain(intactItem, whole, settings.intactRepeats), ...perturbed.map((image, i) => plain(discItem(i), image, settings.discRepeats))],
      images: [whole, ...perturbed], stream: "block/0", generation: null, last: settings.maskedRepeats === 0, attemptsMax: settings.attemptsMax,
    };
  }

  function maskedBlock(): BlockPlan | null {
    const found = locate(widthPx);
    if (base === null || intact === null || found === null || found.peak === null) return null;
    const mask = { mask: found.mask, maskWidthPx: widthPx };
    masked = [
      makeImage("masked", "perturbed", "kept part alone", { kind: "masked", base, ...mask, complement: false }, null),
      makeImage("complement", "perturbed", "without the kept part", { kind: "masked", base, ...mask, complement: true }, null),
    ];
    return {
      // The intact image among them: all three under the same conditions.
      items: [plain(intactItem, intact, settings.maskedRepeats), ...masked.map((image, i) => plain(maskedItem + i, image, settings.maskedRepeats))],
      images: [intact, ...masked], stream: "block/1", generation: null, last: true, attemptsMax: settings.attemptsMax,
    };
  }

  function changeOf(i: number): number | null {
    const intactHz = sums.mean(intactItem, channel);
    const rate = sums.mean(discItem(i), channel);
    return intactHz === null || rate === null || !(intactHz > 0) ? null : (intactHz - rate) / intactHz;
  }

  return {
    // What it shows follows from the evolution before it, which may show its results again meanwhile; a file is there at once.
    stage(soFar) {
      if (base === null && (soFar.evolved[settings.thread] ?? soFar.evolved[0])?.final === true) chooseBase(soFar);
      if (base === null) return [];
      makeImages(base);
      return intact === null ? [] : [intact, ...perturbed];
    },
    waitsForStaged: false,
    begin(carried) {
      channel = settings.channel ?? (carried.evolved[settings.thread] ?? carried.evolved[0])?.target ?? carried.target?.channel ?? 0;
      if (base === null) chooseBase(carried);
    },
    nextBlock() {
      const block = blocks === 0 ? discBlock() : blocks === 1 && settings.maskedRepeats > 0 ? maskedBlock() : null;
      if (blocks === 0 && block === null) context.log("noBase", "There is no evolved image to localise a feature in: an evolution has to come before. The step ends.", "warn");
      blocks += 1;
      return block;
    },
    response: ({ item, ratesHz }) => sums.add(item, ratesHz),
    blockOver: () => ({ release: [], room: false }),
    setTarget(_thread, next) {
      channel = next;
    },
    channelOf: () => channel,
    planned: settings.intactRepeats + settings.discCount * settings.discRepeats + 3 * settings.maskedRepeats,
    get message() {
      return blocks > 1 ? "The kept part and the rest are shown alone" : `${settings.discCount} discs, ${settings.discRepeats} times each, against the intact image`;
    },
    view() {
      const found = locate(viewPx);
      const top = found?.peak ?? null;
      return {
        protocol: "localisation", step: context.step, baseImageId: intact?.imageId ?? null, widthPx, heightPx, channel,
        intactHz: sums.mean(intactItem, channel), intactCounted: sums.count(intactItem), discDiameterPx,
        discs: discs.map((disc, i) => ({ imageId: perturbed[i]?.imageId ?? 0, xPx: disc.xPx, yPx: disc.yPx, counted: sums.count(discItem(i)), rateHz: sums.mean(discItem(i), channel), change: changeOf(i) })),
        mapColumns: found === null || top === null ? 0 : found.map.cols, mapRows: found === null || top === null ? 0 : found.map.rows,
        map: found === null || top === null ? [] : [...found.map.data].map((v) => v / top.value),
        peak: top === null ? null : { xPx: (top.xPx * widthPx) / viewPx, yPx: (top.yPx * widthPx) / viewPx, change: top.value },
        keptShare: found === null || top === null ? null : found.keptPixelCount / found.mask.length,
        maskedImageId: masked[0]?.imageId ?? null, maskedHz: sums.mean(maskedItem, channel), complementHz: sums.mean(complementItem, channel),
      };
    },
    report() {
      const found = locate(widthPx);
      const intactHz = sums.mean(intactItem, channel);
      const sentences: string[] = [];
      if (intactHz === null) return { sentences: ["Nothing was counted."], tables: [] };
      sentences.push(`${context.channelName(channel)} responds to the intact image with ${round(intactHz)} spikes/s (${sums.count(intactItem)} presentations).`);
      if (found === null || found.peak === null) sentences.push("No disc lowered the response: the feature cannot be localised.");
      else {
        sentences.push(`The response falls most around (${found.peak.xPx}, ${found.peak.yPx}) px of ${widthPx} x ${heightPx}; ${round((100 * found.keptPixelCount) / found.mask.length)} % of the image is kept (change map at least ${settings.keepFrom} of its peak).`);
        const alone = sums.rates(maskedItem, channel);
        const rest = sums.rates(complementItem, channel);
        if (alone.length > 1 && rest.length > 1) {
          const test = permutationTest(alone, rest, { rng: context.rng.fork("kept against rest") });
          sentences.push(`The kept part alone gives ${round(meanInterval(alone).mean)} spikes/s, the rest alone ${round(meanInterval(rest).mean)} spikes/s (permutation test, p = ${test.p.toPrecision(2)}).`);
        }
      }
      return {
        sentences,
        tables: [{
          title: "Discs",
          columns: [{ name: "disc", unit: "" }, { name: "x", unit: "px" }, { name: "y", unit: "px" }, { name: "counted", unit: "" }, { name: "mean", unit: "spikes/s" }, { name: "change", unit: "" }],
          rows: discs.map((disc, i) => [i, disc.xPx, disc.yPx, sums.count(discItem(i)), sums.mean(discItem(i), channel), changeOf(i)]),
        }],
      };
    },
    carryOver: (): Partial<CarryOver> => ({}),
  };
}
