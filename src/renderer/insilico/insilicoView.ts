// What the screen of fits and ablations shows, out of what the engine says: order, cells, words. Pure. Knows nothing about React or links.
import type { MethodInput, SweepLine, SweepRun, SweepView, UnitCard } from "../../shared/contract/index.ts";

export type Sign = "positive" | "negative";

/** Cards by score, best first; units without one at the end. */
export function cardsInOrder(units: readonly UnitCard[]): readonly UnitCard[] {
  const score = (card: UnitCard): number => card.r2Test ?? card.r2Train ?? Number.NEGATIVE_INFINITY;
  return units.toSorted((a, b) => score(b) - score(a));
}

export interface CardLayout {
  readonly columns: number;
  readonly rowPx: number;
  /** Name, score and scatter alone. */
  readonly isCompact: boolean;
  /** All are seen at once; else whole rows are, and the rest is scrolled to. */
  readonly fits: boolean;
}

const cardGapPx = 8;
const cardMin = { widthPx: 104, heightPx: 108 } as const;
/** Height beyond the square of the scatter: name, weights, scores, padding. */
const cardBesidesPx = 56;
const compactBelowPx = 160;

/** Cards as large as lets all of them stand in the room; where they would get too small to be read, as many whole rows as fit. */
export function layoutCards(count: number, widthPx: number, heightPx: number): CardLayout {
  const widthOf = (columns: number): number => (widthPx - cardGapPx * (columns - 1)) / columns;
  const rowOf = (rows: number): number => Math.floor((heightPx - cardGapPx * (rows - 1)) / rows);
  const columnsMax = Math.max(1, Math.floor((widthPx + cardGapPx) / (cardMin.widthPx + cardGapPx)));
  const columnsMin = Math.min(columnsMax, Math.max(1, Math.floor((widthPx + cardGapPx) / (240 + cardGapPx))));
  for (let columns = columnsMin; columns <= columnsMax; columns++) {
    const rows = Math.max(1, Math.ceil(count / columns));
    // A row taller than its card needs is empty.
    const rowPx = Math.min(rowOf(rows), Math.round(widthOf(columns) + cardBesidesPx));
    if (rowPx >= Math.max(cardMin.heightPx, 0.9 * widthOf(columns))) return { columns, rowPx, isCompact: rowPx < compactBelowPx, fits: true };
  }
  const rows = Math.max(1, Math.floor((heightPx + cardGapPx) / (cardMin.heightPx + cardGapPx)));
  const rowPx = Math.max(cardMin.heightPx, rowOf(rows));
  return { columns: columnsMax, rowPx, isCompact: rowPx < compactBelowPx, fits: false };
}

export interface GalleryCell {
  readonly sign: Sign;
  readonly alpha: number;
  /** Best first; empty while none is there. */
  readonly runs: readonly SweepRun[];
}

export interface Gallery {
  readonly alphas: readonly number[];
  readonly control: readonly SweepRun[];
  /** One row per sign that the sweep removes, positive first; a cell for every alpha. */
  readonly rows: readonly { readonly sign: Sign; readonly cells: readonly GalleryCell[] }[];
}

/** The images of one unit with one generator, ordered as they are laid out. */
export function galleryOf(view: SweepView, unit: string, generator: string): Gallery {
  const own = view.runs.filter((run) => run.unit === unit && run.generator === generator);
  const ranked = (runs: readonly SweepRun[]): readonly SweepRun[] => runs.toSorted((a, b) => b.activation - a.activation || a.run - b.run);
  const alphas = [...new Set(view.settings.alphas.filter((alpha) => alpha > 0))].toSorted((a, b) => a - b);
  return {
    alphas,
    control: ranked(own.filter((run) => run.alpha === 0)),
    rows: (["positive", "negative"] as const).filter((sign) => view.settings.signs.includes(sign)).map((sign) => ({
      sign, cells: alphas.map((alpha) => ({ sign, alpha, runs: ranked(own.filter((run) => run.sign === sign && run.alpha === alpha)) })),
    })),
  };
}

/** "without positive weights" and so on, for people. */
export function conditionWords(sign: Sign, alpha: number): string {
  if (alpha === 0) return "intact";
  return `${alpha === 1 ? "without" : `without ${Math.round(alpha * 100)} % of the`} ${sign} weights`;
}

/**
 * What a form starts from: the paper's own network and generator where they are installed; else, of the built-in ones, a network without batch
 * normalisation and a generator that can leave its object out, on which an ablation shows what it removes (docs/insilico.md).
 */
export function usualEncoder(ids: readonly string[]): string {
  return ["alexnet", "plain-relu"].find((id) => ids.includes(id)) ?? ids[0] ?? "";
}

export function usualGenerator(ids: readonly string[]): string {
  return ["deepsim-fc6", "shapes-g2"].find((id) => ids.includes(id)) ?? ids[0] ?? "";
}

type QueuedImage = MethodInput<"session.queueImages">["images"][number];

/** An evolved image as the stimulus queue takes it; its label states the condition as the validation reads it. */
export function queuedImageOf(id: string, run: SweepRun): QueuedImage {
  const { unit, generator, sign, alpha } = run;
  const condition = alpha === 0 ? "control" : `${sign}-${alpha.toFixed(2)}`;
  const name = unit.split("/").at(-1) ?? unit;
  return { label: `${condition}-${name}-${generator}-${run.run}`.slice(0, 200), kind: "model", source: { from: "sweep", id, unit, generator, run: run.run, sign, alpha } };
}

/** The best run of every condition of a gallery, the intact unit's first. */
export function bestOfEach(gallery: Gallery): readonly SweepRun[] {
  return [gallery.control[0], ...gallery.rows.flatMap((row) => row.cells.map((cell) => cell.runs[0]))].filter((run) => run !== undefined);
}

export function remainingWords(line: SweepLine): string {
  const { remainingS } = line;
  if (remainingS === null) return "";
  if (remainingS < 90) return `about ${Math.max(5, Math.round(remainingS / 5) * 5)} s left`;
  const minutes = Math.round(remainingS / 60);
  return minutes < 90 ? `about ${minutes} min left` : `about ${(minutes / 60).toFixed(1)} h left`;
}

/** Three significant digits with a real minus; a dash for nothing. */
export function numberWords(value: number | null | undefined, digits = 3): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential(1).replace(/-/g, "−");
  return Number(value.toPrecision(digits)).toString().replace("-", "−");
}

/** A correlation or a share of variance: two decimals, so that a column of them can be compared. */
export function shareWords(value: number | null | undefined): string {
  return value === null || value === undefined || !Number.isFinite(value) ? "–" : value.toFixed(2).replace("-", "−");
}

/** "0:1:0.1" or "0,0.5,1" to strengths; null where it is neither. */
export function readAlphas(text: string): readonly number[] | null {
  const parts = text.split(/[:,]/).map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  if (parts.some((value) => !Number.isFinite(value))) return null;
  let alphas = parts;
  if (text.includes(":")) {
    const [first = 0, last = 0, step = 0] = parts;
    if (parts.length !== 3 || !(step > 0) || last < first || (last - first) / step > 100) return null;
    alphas = Array.from({ length: Math.floor((last - first) / step + 1e-9) + 1 }, (_, i) => Number((first + i * step).toFixed(10)));
  }
  return alphas.length === 0 || alphas.some((alpha) => alpha < 0 || alpha > 1) ? null : [...new Set([0, ...alphas])].toSorted((a, b) => a - b);
}

/** Round steps that enclose the values, for an axis. */
export function axisTicks(values: readonly number[], wanted: number): readonly number[] {
  const finite = values.filter(Number.isFinite);
  let low = Math.min(...finite, Number.POSITIVE_INFINITY);
  let high = Math.max(...finite, Number.NEGATIVE_INFINITY);
  if (!(low <= high)) [low, high] = [0, 1];
  // A range that a double barely holds is no range: its steps would round to nothing.
  const size = Math.max(Math.abs(low), Math.abs(high));
  if (!(high - low > Math.max(1e-9 * size, 1e-300))) {
    const pad = size > 1e-300 ? 0.1 * size : 0.5;
    low -= pad;
    high += pad;
  }
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}
