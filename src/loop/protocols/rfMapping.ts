// Receptive-field mapping: small images on a grid around the fixation spot, several images at every place, and every channel's map, centre and
// size. Knows nothing about trials, screens or spikes.
import { centroidField, fitGaussianField } from "../../analysis/receptiveField.ts";
import type { ReceptiveField } from "../../analysis/receptiveField.ts";
import type { FieldView, RfMappingStep } from "../../shared/contract/plan.ts";
import { createRateSums, round } from "./protocol.ts";
import type { CarryOver, Protocol, ProtocolContext, ProtocolImage, RunningProtocol } from "./protocol.ts";

export const rfMappingProtocol: Protocol<RfMappingStep> = { name: "rfMapping", title: "Receptive fields", takesQueued: false, open: openMapping };

function openMapping(settings: RfMappingStep, context: ProtocolContext): RunningProtocol {
  const { columns, rows } = settings;
  const xDeg = axis(columns, settings.centreXDeg, settings.widthDeg);
  // Rows from the top, as on the screen.
  const yDeg = axis(rows, settings.centreYDeg, settings.heightDeg).reverse();
  const placeX = Float64Array.from({ length: columns * rows }, (_, p) => xDeg[p % columns] ?? 0);
  const placeY = Float64Array.from({ length: columns * rows }, (_, p) => yDeg[Math.floor(p / columns)] ?? 0);
  const images = context.library.slice(0, settings.imageCount).map((label, place): ProtocolImage => {
    const key = `mapping/${place}`;
    return { imageId: context.imageId(key), key, step: context.step, kind: "mapping", label, thread: null, generation: null, individual: place, latent: null, source: { kind: "library", library: context.libraryIndex, place } };
  });
  const sums = createRateSums();
  let shown = false;
  let shownChannel = 0;

  /** Mean over images of the mean rate at a place: every image weighs the same. */
  function rateAt(place: number, channel: number): number {
    let sum = 0;
    let n = 0;
    for (let i = 0; i < images.length; i++) {
      const rate = sums.mean(place * images.length + i, channel);
      if (rate === null) continue;
      sum += rate;
      n += 1;
    }
    return n === 0 ? Number.NaN : sum / n;
  }

  function mapOf(channel: number): Float64Array {
    return Float64Array.from({ length: columns * rows }, (_, p) => rateAt(p, channel));
  }

  function fieldOf(rateHz: Float64Array, refineFrom: number): FieldView | null {
    const map = { xDeg: placeX, yDeg: placeY, rateHz };
    const cellAreaDeg2 = (settings.widthDeg / (columns - 1)) * (settings.heightDeg / (rows - 1));
    const found: ReceptiveField | null = settings.method === "gaussian" ? fitGaussianField(map, { refineFrom }) : centroidField(map, { from: settings.centroidFrom, cellAreaDeg2 });
    return found === null ? null : { ...found, trusted: found.r2 >= settings.r2Min };
  }

  const fields = (refineFrom: number): { readonly channel: number; readonly rateHz: Float64Array; readonly field: FieldView | null }[] =>
    context.channels().map(({ index }) => {
      const rateHz = mapOf(index);
      return { channel: index, rateHz, field: fieldOf(rateHz, refineFrom) };
    });

  let final: { readonly counted: number; readonly all: ReturnType<typeof fields> } | null = null;
  let held: { readonly counted: number; readonly all: ReturnType<typeof fields> } | null = null;

  /** While it runs maps that show nothing yet are not fitted to the end, and nothing is fitted again that has not changed. */
  function liveFields(): ReturnType<typeof fields> {
    if (final?.counted === sums.counted) return final.all;
    if (held?.counted !== sums.counted) held = { counted: sums.counted, all: fields(settings.r2Min / 2) };
    return held.all;
  }

  function finalFields(): ReturnType<typeof fields> {
    if (final?.counted !== sums.counted) final = { counted: sums.counted, all: fields(0) };
    return final.all;
  }

  function chooseCarried(all: ReturnType<typeof fields>): { readonly centreXDeg: number; readonly centreYDeg: number; readonly diameterDeg: number; readonly channels: number } | null {
    if (settings.carryOver === "none") return null;
    const trusted = all.flatMap((c) => (c.field?.trusted === true && (settings.carryOver !== "channel" || c.channel === settings.channel) ? [c.field] : []));
    if (trusted.length === 0) return null;
    return { centreXDeg: median(trusted.map((f) => f.centreXDeg)), centreYDeg: median(trusted.map((f) => f.centreYDeg)), diameterDeg: median(trusted.map((f) => f.diameterDeg)), channels: trusted.length };
  }

  return {
    stage: () => images,
    waitsForStaged: false,
    begin(carried) {
      shownChannel = settings.channel ?? carried.target?.channel ?? 0;
    },
    nextBlock() {
      if (shown) return null;
      shown = true;
      return {
        items: Array.from({ length: columns * rows }, (_, p) =>
          images.map((image, i) => ({ item: p * images.length + i, imageId: image.imageId, repeats: settings.repeats, at: { centreXDeg: placeX[p] ?? 0, centreYDeg: placeY[p] ?? 0, sizeDeg: settings.imageSizeDeg }, sizeDeg: null })),
        ).flat(),
        images: [], stream: "block/0", generation: null, last: true, attemptsMax: settings.attemptsMax,
      };
    },
    response: ({ item, ratesHz }) => sums.add(item, ratesHz),
    blockOver: () => ({ release: [], room: false }),
    setTarget(_thread, channel) {
      shownChannel = channel;
    },
    channelOf: () => shownChannel,
    planned: columns * rows * images.length * settings.repeats,
    get message() {
      return `${columns} x ${rows} places, ${images.length} images of ${settings.imageSizeDeg} deg, ${settings.repeats} times each`;
    },
    view() {
      const all = liveFields();
      return {
        protocol: "rfMapping", step: context.step, xDeg, yDeg, imageSizeDeg: settings.imageSizeDeg, method: settings.method,
        counts: Array.from({ length: columns * rows }, (_, p) => images.reduce((n, _image, i) => n + sums.count(p * images.length + i), 0)),
        channels: all.map((c) => ({ channel: c.channel, rateHz: [...c.rateHz].map((v) => (Number.isNaN(v) ? null : Math.round(v * 10) / 10)), field: c.field })),
        carried: chooseCarried(all),
      };
    },
    report() {
      const all = finalFields();
      const trusted = all.filter((c) => c.field?.trusted === true);
      const carried = chooseCarried(all);
      const method = settings.method === "gaussian" ? "a round Gaussian on a floor, least squares" : `centroid of the places above ${settings.centroidFrom * 100} % of the range`;
      return {
        sentences: [
          `${trusted.length} of ${all.length} channels have a receptive field that ${method} describes with r2 of ${settings.r2Min} or more.`,
          carried === null
            ? settings.carryOver === "none" ? "Nothing is carried over." : "No field is trusted: later images stay where the session places them."
            : `Later images are centred at (${round(carried.centreXDeg, 2)}, ${round(carried.centreYDeg, 2)}) deg, the ${settings.carryOver === "channel" ? `field of ${context.channelName(settings.channel ?? 0)}` : `median of ${carried.channels} fields`}; diameter ${round(carried.diameterDeg, 2)} deg.`,
        ],
        tables: [{
          title: "Receptive fields",
          columns: [{ name: "channel", unit: "" }, { name: "centre x", unit: "deg" }, { name: "centre y", unit: "deg" }, { name: "diameter", unit: "deg" }, { name: "floor", unit: "spikes/s" }, { name: "peak", unit: "spikes/s" }, { name: "r2", unit: "" }, { name: "trusted", unit: "" }],
          rows: all.map(({ channel, field }) => field === null ? [context.channelName(channel), null, null, null, null, null, null, "no"] : [context.channelName(channel), field.centreXDeg, field.centreYDeg, field.diameterDeg, field.floorHz, field.peakHz, field.r2, field.trusted ? "yes" : "no"]),
        }],
      };
    },
    carryOver(): Partial<CarryOver> {
      const carried = chooseCarried(finalFields());
      if (carried === null) return {};
      return { field: { centreXDeg: carried.centreXDeg, centreYDeg: carried.centreYDeg, sizeDeg: settings.sizeInDiameters === null ? null : Math.max(0.2, settings.sizeInDiameters * carried.diameterDeg), fromStep: context.step } };
    },
  };
}

function axis(count: number, centre: number, width: number): number[] {
  return Array.from({ length: count }, (_, i) => centre + width * (i / (count - 1) - 0.5));
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? Number.NaN) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}
