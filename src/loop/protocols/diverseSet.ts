// A diverse set of images, each a number of times: every channel's tuning, selectivity and noise ceiling, and the channel that a person would
// choose to evolve. Knows nothing about trials, screens or spikes.
import { createMatrix } from "../../analysis/matrix.ts";
import { estimateNoiseCeilings, lifetimeSparseness } from "../../analysis/responses.ts";
import type { NoiseCeiling } from "../../analysis/responses.ts";
import type { DiverseSetStep } from "../../shared/contract/plan.ts";
import { createChannelFigures, suggestTarget } from "../channels.ts";
import { createRateSums, round } from "./protocol.ts";
import type { CarryOver, Protocol, ProtocolContext, ProtocolImage, RunningProtocol } from "./protocol.ts";

export const diverseSetProtocol: Protocol<DiverseSetStep> = { name: "diverseSet", title: "Diverse set", takesQueued: false, open: openDiverseSet };

/** While it runs fewer halvings do, and the figures are worked out anew only after this many presentations. */
const liveSplits = 8;
const liveEvery = 24;

function openDiverseSet(settings: DiverseSetStep, context: ProtocolContext): RunningProtocol {
  const images = context.library.slice(0, settings.imageCount).map((label, place): ProtocolImage => {
    const key = `diverse/${place}`;
    return { imageId: context.imageId(key), key, step: context.step, kind: "diverse", label, thread: null, generation: null, individual: place, latent: null, source: { kind: "library", library: context.libraryIndex, place } };
  });
  const sums = createRateSums();
  const figures = createChannelFigures(0);
  let live: { readonly counted: number; readonly figures: ReturnType<typeof describe> } | null = null;
  let shown = false;
  let shownChannel = 0;

  function ceilings(splits: number): readonly NoiseCeiling[] | null {
    const channels = context.channels().length;
    const indices: number[] = [];
    const rates: number[][] = [];
    images.forEach((_, place) => {
      const perChannel = Array.from({ length: channels }, (__, c) => sums.rates(place, c));
      for (let k = 0; k < sums.count(place); k++) {
        indices.push(place);
        rates.push(perChannel.map((r) => r[k] ?? 0));
      }
    });
    if (channels === 0 || images.filter((_, place) => sums.count(place) >= 2).length < 3) return null;
    const responses = createMatrix(indices.length, channels);
    rates.forEach((row, p) => responses.data.set(row, p * channels));
    return estimateNoiseCeilings({ responses, imageIndices: indices, splits, of: context.ceilingsOf(), rng: context.rng.fork("noise ceiling") });
  }

  function describe(splits: number): {
    readonly channels: { readonly channel: number; readonly meanHz: number | null; readonly reliability: number | null; readonly sparseness: number | null; readonly noiseCeilingR: number | null; readonly bestImageId: number | null }[];
    readonly suggested: number | null;
  } {
    figures.resize(context.channels().length);
    const ceiling = ceilings(splits);
    const reliability = ceiling === null ? null : figures.tuning();
    const channels = context.channels().map(({ index: channel }) => {
      const means = images.flatMap((image, place) => {
        const rate = sums.mean(place, channel);
        return rate === null ? [] : [{ imageId: image.imageId, rate }];
      });
      const best = means.reduce<(typeof means)[number] | null>((top, m) => (top === null || m.rate > top.rate ? m : top), null);
      return {
        channel, meanHz: means.length === 0 ? null : means.reduce((a, m) => a + m.rate, 0) / means.length,
        reliability: reliability?.[channel] ?? null,
        sparseness: means.length < 2 ? null : lifetimeSparseness(means.map((m) => m.rate)),
        noiseCeilingR: ceiling?.[channel]?.ceilingR ?? null, bestImageId: best?.imageId ?? null,
      };
    });
    return { channels, suggested: ceiling === null ? null : suggestTarget({ tuning: figures.tuning(), signalHz: figures.signalHz(), status: context.figures.statuses() }) };
  }

  return {
    stage: () => images,
    waitsForStaged: false,
    begin(carried) {
      shownChannel = carried.target?.channel ?? 0;
      figures.resize(context.channels().length);
    },
    nextBlock() {
      if (shown) return null;
      shown = true;
      return {
        items: images.map((image, place) => ({ item: place, imageId: image.imageId, repeats: settings.repeats, at: null, sizeDeg: null })),
        images: [], stream: "block/0", generation: null, last: true, attemptsMax: settings.attemptsMax,
      };
    },
    response({ item, ratesHz }) {
      sums.add(item, ratesHz);
      figures.resize(ratesHz.length);
      figures.addResponse(item, ratesHz);
    },
    blockOver: () => ({ release: [], room: false }),
    setTarget(_thread, channel) {
      shownChannel = channel;
    },
    channelOf: () => shownChannel,
    planned: images.length * settings.repeats,
    get message() {
      return `${images.length} images, ${settings.repeats} times each`;
    },
    view() {
      if (live === null || sums.counted - live.counted >= liveEvery || (sums.counted !== live.counted && sums.counted >= images.length * settings.repeats)) live = { counted: sums.counted, figures: describe(liveSplits) };
      const { channels, suggested } = live.figures;
      const target = suggested ?? shownChannel;
      return {
        protocol: "diverseSet", step: context.step, images: images.map((image, place) => ({ imageId: image.imageId, label: image.label, counted: sums.count(place) })),
        channels, suggestedTarget: suggested, targetRateHz: images.map((_, place) => sums.mean(place, target)),
      };
    },
    report() {
      const { channels, suggested } = describe(settings.splits);
      const ceilingsR = channels.flatMap((c) => (c.noiseCeilingR === null ? [] : [c.noiseCeilingR])).sort((a, b) => a - b);
      const target = suggested === null ? null : (channels.find((c) => c.channel === suggested) ?? null);
      return {
        sentences: [
          `${images.length} images, ${sums.counted} of ${images.length * settings.repeats} presentations counted.`,
          ceilingsR.length === 0 ? "No channel tells the images apart reliably enough for a noise ceiling." : `Noise ceiling (split-half, ${settings.splits} halvings, Spearman-Brown): median r ${round(ceilingsR[ceilingsR.length >> 1] ?? 0, 2)} over ${ceilingsR.length} channels.`,
          target === null ? "No channel qualifies as a target." : `Suggested target: ${context.channelName(target.channel)}, reliability ${round(target.reliability ?? 0, 2)}, sparseness ${round(target.sparseness ?? 0, 2)}, noise ceiling r ${round(target.noiseCeilingR ?? 0, 2)}.`,
        ],
        tables: [{
          title: "Channels",
          columns: [{ name: "channel", unit: "" }, { name: "mean", unit: "spikes/s" }, { name: "reliability", unit: "" }, { name: "sparseness", unit: "" }, { name: "noise ceiling r", unit: "" }, { name: "best image", unit: "" }],
          rows: channels.map((c) => [context.channelName(c.channel), c.meanHz, c.reliability, c.sparseness, c.noiseCeilingR, c.bestImageId]),
        }],
      };
    },
    carryOver(): Partial<CarryOver> {
      const suggested = settings.suggestTarget && sums.counted > 0 ? describe(1).suggested : null;
      return {
        diverse: { fromStep: context.step, imageIds: images.map((i) => i.imageId) },
        ...(suggested === null ? {} : { target: { channel: suggested, fromStep: context.step, byOperator: false } }),
      };
    },
  };
}
