// A lab's own protocol: the small interface that its module implements (docs/protocols.md), and how that becomes a protocol of the loop.
// Knows nothing about files or modules.
import type { LabStep, StepTable } from "../../shared/contract/plan.ts";
import type { ChannelInfo } from "../../shared/values.ts";
import type { CarryOver, Protocol, ProtocolContext, ProtocolImage, RunningProtocol } from "./protocol.ts";

/** A setting, for the form and for checking. */
export interface LabOption {
  readonly name: string;
  /** "" where there is none. */
  readonly unit: string;
  readonly default: number | string | boolean;
  readonly min?: number;
  readonly max?: number;
  readonly choices?: readonly string[];
  readonly description: string;
}

export interface LabContext {
  /** Labels of the images in the step's folder, in name order. */
  readonly images: readonly string[];
  /** The step's own stream: the one source of chance that replays. */
  readonly rng: { uniform(): number; gaussian(): number; int(below: number): number; shuffle<T>(values: readonly T[]): T[] };
  channels(): readonly ChannelInfo[];
  /** What earlier steps passed on; degrees from the fixation spot. */
  readonly field: { readonly centreXDeg: number; readonly centreYDeg: number } | null;
  readonly target: number | null;
  /** What own protocols before passed on. */
  readonly own: Readonly<Record<string, unknown>>;
}

/** One planned presentation: an image of the folder, how often, and where if not where the session's images are. */
export interface LabItem {
  readonly image: number;
  readonly repeats: number;
  readonly xDeg?: number;
  readonly yDeg?: number;
  readonly sizeDeg?: number;
}

export interface LabRun {
  /** The next block, shown in shuffled rounds; null at the end. Decide from `open`'s arguments and the responses alone. */
  nextBlock(): readonly LabItem[] | null;
  /** A presentation that counted: place of its item in the block, and every channel's rate in the response window, spikes/s. */
  response(response: { readonly block: number; readonly item: number; readonly image: number; readonly ratesHz: readonly number[] }): void;
  /** What the console shows, and what the report says. */
  summary(): { readonly sentences: readonly string[]; readonly tables?: readonly StepTable[] };
  /** Passed on to later steps: a field, a target channel, or values for own protocols. */
  carryOver?(): { readonly field?: { readonly centreXDeg: number; readonly centreYDeg: number; readonly sizeDeg?: number }; readonly target?: number; readonly own?: Readonly<Record<string, unknown>> };
}

/** What a module in the folder of protocols exports as its default. */
export interface LabDefinition {
  readonly title: string;
  readonly description: string;
  readonly options: readonly LabOption[];
  open(settings: Readonly<Record<string, number | string | boolean>>, context: LabContext): LabRun;
}

/** With defaults filled in. A string: what is not right. */
export function parseLabSettings(definition: LabDefinition, given: Readonly<Record<string, unknown>>): Readonly<Record<string, number | string | boolean>> | string {
  const unknown = Object.keys(given).find((name) => !definition.options.some((o) => o.name === name));
  if (unknown !== undefined) return `expected a setting of ${definition.options.map((o) => o.name).join(", ")}, got "${unknown}"`;
  const out: Record<string, number | string | boolean> = {};
  for (const option of definition.options) {
    const value = given[option.name] ?? option.default;
    if (typeof value !== typeof option.default || (typeof value !== "number" && typeof value !== "string" && typeof value !== "boolean")) return `expected ${option.name} to be a ${typeof option.default}, got ${JSON.stringify(value)}`;
    if (typeof value === "number" && (!Number.isFinite(value) || value < (option.min ?? -Infinity) || value > (option.max ?? Infinity))) return `expected ${option.name} from ${option.min ?? "any"} to ${option.max ?? "any"}, got ${value}`;
    if (option.choices !== undefined && !option.choices.includes(String(value))) return `expected ${option.name} to be one of ${option.choices.join(", ")}, got "${String(value)}"`;
    out[option.name] = value;
  }
  return out;
}

export function createLabProtocol(definition: LabDefinition): Protocol<LabStep> {
  return { name: "lab", title: definition.title, takesQueued: false, open: (settings, context) => openLab(definition, settings, context) };
}

function openLab(definition: LabDefinition, settings: LabStep, context: ProtocolContext): RunningProtocol {
  const parsed = parseLabSettings(definition, settings.settings);
  if (typeof parsed === "string") throw new Error(parsed);
  const images = context.library.map((label, place): ProtocolImage => {
    const key = `lab/${place}`;
    return { imageId: context.imageId(key), key, step: context.step, kind: "free", label, thread: null, generation: null, individual: place, latent: null, source: { kind: "library", library: context.libraryIndex, place } };
  });
  let run: LabRun | null = null;
  let channel = 0;
  let block = -1;
  let planned = 0;
  let shown: readonly LabItem[] = [];
  let place = context.sessionPlacement;
  const summary = (): { readonly sentences: string[]; readonly tables: StepTable[] } => {
    const { sentences, tables } = run?.summary() ?? { sentences: [], tables: [] };
    return { sentences: [...sentences], tables: [...(tables ?? [])] };
  };

  return {
    stage: () => images,
    waitsForStaged: false,
    begin(carried: CarryOver) {
      channel = carried.target?.channel ?? 0;
      place = { ...place, centreXDeg: carried.field?.centreXDeg ?? place.centreXDeg, centreYDeg: carried.field?.centreYDeg ?? place.centreYDeg, sizeDeg: carried.field?.sizeDeg ?? place.sizeDeg };
      const rng = context.rng.fork("lab");
      run = definition.open(parsed, {
        images: context.library,
        rng: { uniform: () => rng.uniform(), gaussian: () => rng.gaussian(), int: (below) => rng.int(below), shuffle: (values) => rng.shuffle(values) },
        channels: () => context.channels(),
        field: carried.field, target: carried.target?.channel ?? null, own: carried.own,
      });
    },
    nextBlock() {
      const items = run?.nextBlock() ?? null;
      if (items === null || items.length === 0) return null;
      const wrong = items.find((i) => images[i.image] === undefined || !(i.repeats >= 1));
      if (wrong !== undefined) throw new Error(`expected the protocol "${settings.name}" to plan images from 0 to ${images.length - 1} at least once each, got ${JSON.stringify(wrong)}`);
      block += 1;
      shown = items;
      planned += items.reduce((n, i) => n + i.repeats, 0);
      return {
        items: items.map((i, item) => ({
          item, imageId: images[i.image]?.imageId ?? 0, repeats: i.repeats, sizeDeg: i.xDeg === undefined && i.yDeg === undefined ? (i.sizeDeg ?? null) : null,
          at: i.xDeg === undefined && i.yDeg === undefined ? null : { centreXDeg: i.xDeg ?? place.centreXDeg, centreYDeg: i.yDeg ?? place.centreYDeg, sizeDeg: i.sizeDeg ?? place.sizeDeg },
        })),
        images: [], stream: `block/${block}`, generation: null, last: false, attemptsMax: settings.attemptsMax,
      };
    },
    response: ({ item, ratesHz }) => run?.response({ block, item, image: shown[item]?.image ?? 0, ratesHz }),
    blockOver: () => ({ release: [], room: true }),
    setTarget(_thread, next) {
      channel = next;
    },
    channelOf: () => channel,
    get planned() {
      return planned;
    },
    get message() {
      return run?.summary().sentences.at(-1) ?? definition.title;
    },
    view: () => ({ protocol: "lab", step: context.step, name: settings.name, ...summary() }),
    report: summary,
    carryOver(): Partial<CarryOver> {
      const own = run?.carryOver?.() ?? {};
      return {
        ...(own.field === undefined ? {} : { field: { centreXDeg: own.field.centreXDeg, centreYDeg: own.field.centreYDeg, sizeDeg: own.field.sizeDeg ?? null, fromStep: context.step } }),
        ...(own.target === undefined ? {} : { target: { channel: own.target, fromStep: context.step, byOperator: false } }),
        ...(own.own === undefined ? {} : { own: own.own }),
      };
    },
  };
}
