// Any images, each a number of times: a folder, and what the operator sends while it runs. Knows nothing about trials, screens or spikes.
import type { ImagesStep } from "../../shared/contract/plan.ts";
import { meanAndSem } from "../thread.ts";
import { createRateSums } from "./protocol.ts";
import type { Protocol, ProtocolContext, ProtocolImage, RunningProtocol } from "./protocol.ts";

export const imagesProtocol: Protocol<ImagesStep> = { name: "images", title: "Images", takesQueued: true, open: openImages };

function openImages(settings: ImagesStep, context: ProtocolContext): RunningProtocol {
  const images: ProtocolImage[] = context.library.slice(0, settings.imageCount ?? undefined).map((label, place): ProtocolImage => {
    const key = `images/${place}`;
    return { imageId: context.imageId(key), key, step: context.step, kind: "free", label, thread: null, generation: null, individual: place, latent: null, source: { kind: "library", library: context.libraryIndex, place } };
  });
  const staged = [...images];
  const sums = createRateSums();
  /** Images of earlier blocks. */
  let shown = 0;
  let blocks = 0;
  let channel = 0;

  return {
    stage: () => staged,
    waitsForStaged: false,
    begin(carried) {
      channel = carried.target?.channel ?? 0;
    },
    nextBlock() {
      const due = images.slice(shown);
      if (due.length === 0) return shown === 0 ? "images" : null;
      const first = shown;
      shown = images.length;
      return {
        items: due.map((image, i) => ({ item: first + i, imageId: image.imageId, repeats: settings.repeats, at: null, sizeDeg: null })),
        images: due, stream: `block/${blocks++}`, generation: null, last: true, attemptsMax: settings.attemptsMax,
      };
    },
    takeQueued(queued) {
      images.push(...queued);
    },
    response: ({ item, ratesHz }) => sums.add(item, ratesHz),
    blockOver: () => ({ release: [], room: false }),
    setTarget(_thread, next) {
      channel = next;
    },
    channelOf: () => channel,
    get planned() {
      return images.length * settings.repeats;
    },
    get message() {
      return images.length === 0 ? "Waits for images: send them, or skip the step" : `${images.length} images, ${settings.repeats} times each`;
    },
    view: () => ({
      protocol: "images", step: context.step, channel,
      images: images.map((image, item) => {
        const { mean, sem } = meanAndSem(sums.rates(item, channel));
        return { imageId: image.imageId, label: image.label, counted: sums.count(item), meanHz: orNull(mean), semHz: orNull(sem) };
      }),
    }),
    report: () => ({
      sentences: [`${images.length} images, ${sums.counted} presentations counted; rates are of ${context.channelName(channel)}.`],
      tables: [{
        title: "Images",
        columns: [{ name: "image", unit: "" }, { name: "label", unit: "" }, { name: "counted", unit: "" }, { name: "mean", unit: "spikes/s" }, { name: "standard error", unit: "spikes/s" }],
        rows: images.map((image, item) => {
          const { mean, sem } = meanAndSem(sums.rates(item, channel));
          return [image.imageId, image.label, sums.count(item), orNull(mean), orNull(sem)];
        }),
      }],
    }),
    carryOver: () => ({}),
  };
}

function orNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
