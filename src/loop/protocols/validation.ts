// Images of neuron models and their ablations, shown back against images of the diverse set: the target's response by condition and the
// population's (SPEC 4 and 7). Knows nothing about how the images were made; a condition is read from the image's label.
import { createMatrix } from "../../analysis/matrix.ts";
import { nameCondition, readCondition } from "../../analysis/modelCondition.ts";
import { populationByCondition } from "../../analysis/population.ts";
import type { PopulationCondition } from "../../analysis/population.ts";
import { meanInterval, permutationTest } from "../../analysis/statistics.ts";
import type { MeanInterval } from "../../analysis/statistics.ts";
import type { ValidationStep } from "../../shared/contract/plan.ts";
import { createRateSums, round } from "./protocol.ts";
import type { CarryOver, Protocol, ProtocolContext, ProtocolImage, RunningProtocol } from "./protocol.ts";

export const validationProtocol: Protocol<ValidationStep> = { name: "validation", title: "Model validation", takesQueued: true, open: openValidation };

/** While it runs fewer arrangements do: the figure is only looked at. */
const livePermutations = 300;

interface Shown {
  readonly image: ProtocolImage;
  readonly condition: string;
}

function openValidation(settings: ValidationStep, context: ProtocolContext): RunningProtocol {
  const sums = createRateSums();
  const shown: Shown[] = [];
  const staged: ProtocolImage[] = [];
  let taken = 0;
  let blocks = 0;
  let channel = settings.channel ?? 0;
  let natural: readonly ProtocolImage[] = [];

  const add = (image: ProtocolImage): void => {
    shown.push({ image, condition: nameCondition(readCondition(image.label) ?? { sign: null, alpha: 0 }) });
  };
  if (settings.source === "folder") {
    context.library.forEach((label, place) => {
      const key = `model/${place}`;
      const image: ProtocolImage = { imageId: context.imageId(key), key, step: context.step, kind: "model", label, thread: null, generation: null, individual: place, latent: null, source: { kind: "library", library: context.libraryIndex, place } };
      staged.push(image);
      add(image);
    });
  }

  interface Row {
    readonly condition: string;
    readonly means: number[];
    readonly rates: number[];
    readonly images: number;
  }

  /** The target's mean rate of every image, by condition; natural first, then the control, then by strength. */
  function byCondition(): readonly Row[] {
    const rows = new Map<string, Row>();
    shown.forEach(({ condition }, item) => {
      const mean = sums.mean(item, channel);
      const known = rows.get(condition) ?? { condition, means: [], rates: [], images: 0 };
      rows.set(condition, { ...known, images: known.images + 1, means: mean === null ? known.means : [...known.means, mean], rates: [...known.rates, ...sums.rates(item, channel)] });
    });
    return [...rows.values()].sort((a, b) => orderOf(a.condition) - orderOf(b.condition));
  }

  function describe(permutations: number): readonly { readonly name: string; readonly images: number; readonly counted: number; readonly interval: MeanInterval | null; readonly p: number | null }[] {
    const rows = byCondition();
    const against = rows.find((r) => r.condition === "control" && r.means.length > 0) ?? rows.find((r) => r.condition === "natural");
    return rows.map((row) => {
      // The control is compared with natural images, everything else with the control.
      const other = row === against ? (row.condition === "control" ? rows.find((r) => r.condition === "natural") : undefined) : row.condition === "natural" ? undefined : against;
      const testable = other !== undefined && row.means.length >= 2 && other.means.length >= 2;
      return {
        name: row.condition, images: row.images, counted: row.rates.length, interval: row.means.length === 0 ? null : meanInterval(row.means),
        p: testable ? permutationTest(row.means, other.means, { permutations, rng: context.rng.fork(`permutations/${row.condition}`) }).p : null,
      };
    });
  }

  function population(): readonly PopulationCondition[] {
    const channels = context.channels();
    const rows = shown.flatMap((s, item) => (sums.count(item) > 0 ? [{ ...s, item }] : []));
    if (rows.length < 2 || channels.length === 0) return [];
    const responses = createMatrix(rows.length, channels.length);
    rows.forEach(({ item }, row) => channels.forEach((_, c) => {
      responses.data[row * channels.length + c] = sums.mean(item, c) ?? 0;
    }));
    return populationByCondition({ responses, conditions: rows.map((r) => r.condition), areas: channels.map((c) => c.area) });
  }

  return {
    stage: () => staged,
    waitsForStaged: false,
    begin(carried) {
      channel = settings.channel ?? carried.target?.channel ?? carried.evolved[0]?.target ?? 0;
      const ids = carried.diverse?.imageIds ?? [];
      const wanted = settings.naturalCount === null ? ids : context.rng.fork("natural").shuffle(ids).slice(0, settings.naturalCount);
      natural = wanted.flatMap((id) => context.image(id) ?? []);
    },
    nextBlock() {
      if (taken >= shown.length) return taken === 0 ? "images" : null;
      // Natural images come in the first block.
      const first = taken;
      const models = shown.slice(first).map((s, i) => ({ item: first + i, imageId: s.image.imageId, repeats: settings.repeats, at: null, sizeDeg: null }));
      const from = shown.length;
      const naturals = blocks === 0 ? natural : [];
      for (const image of naturals) shown.push({ image, condition: "natural" });
      taken = shown.length;
      return {
        items: [...models, ...naturals.map((image, i) => ({ item: from + i, imageId: image.imageId, repeats: settings.naturalRepeats, at: null, sizeDeg: null }))],
        images: shown.slice(first).map((s) => s.image), stream: `block/${blocks++}`, generation: null, last: true, attemptsMax: settings.attemptsMax,
      };
    },
    takeQueued(images) {
      for (const image of images) add(image);
    },
    response: ({ item, ratesHz }) => sums.add(item, ratesHz),
    blockOver: () => ({ release: [], room: false }),
    setTarget(_thread, next) {
      channel = next;
    },
    channelOf: () => channel,
    get planned() {
      const models = shown.filter((s) => s.condition !== "natural").length;
      return models === 0 ? 0 : models * settings.repeats + natural.length * settings.naturalRepeats;
    },
    get message() {
      if (shown.length > 0) return `${shown.filter((s) => s.condition !== "natural").length} model images, ${natural.length} natural ones`;
      return settings.source === "fit" ? "Waits until the neuron models are fitted and their images made" : "Waits for images of models: send them from the gallery, or skip the step";
    },
    view: () => ({
      protocol: "validation", step: context.step, channel,
      conditions: describe(livePermutations).map((c) => ({ name: c.name, images: c.images, counted: c.counted, meanHz: c.interval?.mean ?? null, lowHz: c.interval?.low ?? null, highHz: c.interval?.high ?? null, p: c.p })),
      population: population().map((p) => ({ area: p.area, condition: p.condition, z: p.interval.mean, low: p.interval.low, high: p.interval.high, channels: p.unitCount })),
    }),
    report() {
      const conditions = describe(settings.permutations);
      const areas = population();
      const control = conditions.find((c) => c.name === "control");
      const said = (p: number | null): string => (p === null ? "" : `, p = ${p.toPrecision(2)}`);
      return {
        sentences: [
          ...(control?.interval ? [`${context.channelName(channel)} responds to images of the intact model with ${round(control.interval.mean)} spikes/s${control.p === null ? "" : ` (against natural images${said(control.p)})`}.`] : []),
          ...conditions.flatMap((c) => (c.interval === null || c.name === "control" || c.name === "natural" ? [] : [`${c.name}: ${round(c.interval.mean)} spikes/s over ${c.images} ${c.images === 1 ? "image" : "images"}${said(c.p)}.`])),
          `Permutation tests with ${settings.permutations} arrangements (all of them where there are at most 20 000), two-sided, over images.`,
        ],
        tables: [
          {
            title: "Conditions",
            columns: [{ name: "condition", unit: "" }, { name: "images", unit: "" }, { name: "counted", unit: "" }, { name: "mean", unit: "spikes/s" }, { name: "low", unit: "spikes/s" }, { name: "high", unit: "spikes/s" }, { name: "p", unit: "" }],
            rows: conditions.map((c) => [c.name, c.images, c.counted, c.interval?.mean ?? null, c.interval?.low ?? null, c.interval?.high ?? null, c.p]),
          },
          {
            title: "Population",
            columns: [{ name: "area", unit: "" }, { name: "condition", unit: "" }, { name: "channels", unit: "" }, { name: "mean z", unit: "" }, { name: "low", unit: "" }, { name: "high", unit: "" }],
            rows: areas.map((p) => [p.area, p.condition, p.unitCount, p.interval.mean, p.interval.low, p.interval.high]),
          },
        ],
      };
    },
    carryOver: (): Partial<CarryOver> => ({}),
  };
}

/** Natural, control, positive by strength, negative by strength. */
function orderOf(condition: string): number {
  if (condition === "natural") return 0;
  if (condition === "control") return 1;
  const [sign, alpha] = condition.split(" ");
  return (sign === "positive" ? 2 : 4) + Number(alpha);
}
