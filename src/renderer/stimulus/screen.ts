// What the subject sees: the page's background, and over it the images, the fixation spot and the photodiode patch, each a layer of its own size
// in device pixels. A browser without a GPU passes a changed canvas on as a whole, several times over, and a page's thread may be held up by anything.
// So nothing is drawn and no script runs when an image goes on or off: each image is drawn ahead on one of two plates that are not seen, with its patch,
// and the times of its refreshes are handed to the compositor as an animation in steps, which changes only how much the image shows and which
// level of the patch is in its frame. Colours are worked out when a placement comes. Knows nothing about plans.
import { patchGreys, patchLevelMax } from "../../shared/patchCode.ts";
import type { StimulusCommand } from "../../shared/contract/index.ts";

export type Placement = Omit<Extract<StimulusCommand, { kind: "place" }>, "kind">;

/** Centre and side of an image, device pixels. */
export interface Square {
  readonly centreXPx: number;
  readonly centreYPx: number;
  readonly sizePx: number;
}

/** When the compositor shows an image, ms on the frame clock. */
export interface Showing {
  readonly nowMs: number;
  readonly onsetMs: number;
  readonly periodMs: number;
  /** Level of the patch (shared/patchCode.ts) in each refresh of the image: as many as it is on for. */
  readonly patchLevels: readonly number[];
}

export interface Screen {
  readonly widthPx: number;
  readonly heightPx: number;
  /** Follows the window's size. true where it changed. */
  fit(): boolean;
  place(placement: Placement): void;
  /** Where the fixation spot is, from the middle, px; right and down positive. */
  moveFixation(xPx: number, yPx: number): void;
  showFixation(isVisible: boolean): void;
  /**
   * Draws an image where it is not seen yet, and has it shown at its time. Null: the background, which takes as much as any image but is not seen.
   * At most one may be on meanwhile. Before the first placement: nothing.
   */
  schedule(image: ImageBitmap | null, square: Square, showing: Showing): void;
  /** No image, and none that was scheduled. */
  blank(): void;
}

export const restingGrey = 128;

/** Elements of stimulus.html, one over the other: the page (background), the images, the fixation spot, the patch with its strips. */
export interface Layers {
  readonly page: HTMLElement;
  readonly images: readonly [HTMLCanvasElement, HTMLCanvasElement];
  readonly fixation: HTMLCanvasElement;
  readonly patch: HTMLElement;
  readonly strips: readonly [HTMLCanvasElement, HTMLCanvasElement];
}

/** Not seen: on 8 bits it moves no value by half a step. At 0 a browser would hand the canvas on only at the onset. */
const unseen = "0.001";
/** Cells of a strip: the patch's levels, and one that is as clear as the first. */
const clearCell = patchLevelMax + 1;
const stripCells = patchLevelMax + 2;
/** So many refreshes before an onset the compositor is given something to do: it is slower to begin after a pause. */
const warmRefreshes = 12;
/** The animations stand at their last step for so long, unless the screen is blanked or the plate used again: ending one costs a frame's work. */
const heldMs = 2000;

/** One of the two places for an image: a canvas, and a strip of the patch's levels of which the patch shows one. */
interface Plate {
  readonly canvas: HTMLCanvasElement;
  readonly context: CanvasRenderingContext2D;
  readonly strip: HTMLCanvasElement;
  readonly stripContext: CanvasRenderingContext2D;
  /** What is on it, and where, device pixels; null = background, or nothing yet. */
  image: ImageBitmap | null;
  left: number;
  top: number;
  side: number;
  animations: readonly Animation[];
}

export function createScreen({ page, images, fixation: fixationCanvas, patch: patchFrame, strips }: Layers): Screen {
  // Not desynchronized: Chromium then painted nothing while callbacks looked normal.
  const plateOf = (canvas: HTMLCanvasElement, strip: HTMLCanvasElement): Plate => ({ canvas, context: contextOf(canvas, false), strip, stripContext: contextOf(strip, true), image: null, left: 0, top: 0, side: 0, animations: [] });
  let [free, taken] = [plateOf(images[0], strips[0]), plateOf(images[1], strips[1])];
  const plates: readonly Plate[] = [free, taken];
  const fixationContext = contextOf(fixationCanvas, true);
  let widthPx = 0;
  let heightPx = 0;
  let spot = { xPx: 0, yPx: 0 };
  let placement: Placement | null = null;
  let background = greyOf(restingGrey, null);
  let patch = patchGreys(false).map((grey) => greyOf(grey, null));

  const fit = (): boolean => {
    const width = Math.max(1, Math.round(window.innerWidth * window.devicePixelRatio));
    const height = Math.max(1, Math.round(window.innerHeight * window.devicePixelRatio));
    if (widthPx === width && heightPx === height) return false;
    widthPx = width;
    heightPx = height;
    fitPatch();
    fitFixation();
    // The page's scale may have changed with it.
    forget();
    return true;
  };

  function fitPatch(): void {
    const side = placement?.photodiodePx ?? 0;
    patchFrame.hidden = side === 0;
    patchFrame.style.backgroundColor = patch[0] ?? "#000";
    put(patchFrame, widthPx - side, heightPx - side, side, side);
    for (const { strip, stripContext } of plates) {
      strip.width = Math.max(1, side);
      strip.height = stripCells * Math.max(1, side);
      put(strip, 0, 0, side, stripCells * side);
      // Level 0 stays clear, twice: what is behind it is black, or the other plate's.
      patch.forEach((grey, level) => {
        stripContext.fillStyle = grey;
        if (level > 0) stripContext.fillRect(0, level * side, side, side);
      });
    }
  }

  /** A white disc with a dark rim, at the middle of the screen whatever the image's place (elsewhere while the eye is calibrated): visible on any image. */
  function fitFixation(): void {
    const radius = Math.max(1, (placement?.fixationDiameterPx ?? 0) / 2);
    const rim = radius + Math.max(1, radius * 0.25);
    const side = 2 * Math.ceil(rim + 1);
    fixationCanvas.width = fixationCanvas.height = side;
    // The middle may lie between two pixels.
    const left = Math.floor(widthPx / 2 + spot.xPx - side / 2);
    const top = Math.floor(heightPx / 2 + spot.yPx - side / 2);
    put(fixationCanvas, left, top, side, side);
    fillDisc(fixationContext, "#000", widthPx / 2 + spot.xPx - left, heightPx / 2 + spot.yPx - top, rim);
    fillDisc(fixationContext, "#fff", widthPx / 2 + spot.xPx - left, heightPx / 2 + spot.yPx - top, radius);
  }

  function drawOn(plate: Plate, image: ImageBitmap | null, square: Square): void {
    const side = Math.round(square.sizePx);
    const left = Math.round(square.centreXPx - side / 2);
    const top = Math.round(square.centreYPx - side / 2);
    if (plate.image === image && plate.left === left && plate.top === top && plate.side === side) return;
    const { canvas, context } = plate;
    if (plate.left !== left || plate.top !== top || plate.side !== side) {
      if (canvas.width !== side) canvas.width = canvas.height = side;
      put(canvas, left, top, side, side);
    }
    if (canvas.hidden) canvas.hidden = false;
    if (image === null) {
      context.fillStyle = background;
      context.fillRect(0, 0, side, side);
    } else {
      context.imageSmoothingEnabled = image.width !== side;
      context.imageSmoothingQuality = "high";
      context.drawImage(image, 0, 0, side, side);
    }
    Object.assign(plate, { image, left, top, side });
  }

  function release(plate: Plate): void {
    for (const animation of plate.animations) animation.cancel();
    plate.animations = [];
  }

  function blank(): void {
    for (const plate of plates) release(plate);
  }

  /** Nothing of before is shown again. */
  function forget(): void {
    blank();
    for (const plate of plates) {
      plate.canvas.hidden = true;
      plate.image = null;
      plate.side = 0;
    }
  }

  for (const { canvas } of plates) canvas.style.opacity = unseen;
  fixationCanvas.hidden = patchFrame.hidden = true;
  fit();
  return {
    get widthPx() { return widthPx; },
    get heightPx() { return heightPx; },
    fit,
    place(next) {
      placement = next;
      patch = patchGreys(next.lut !== null).map((grey) => greyOf(grey, next.lut));
      page.style.backgroundColor = background = greyOf(next.backgroundGrey, next.lut);
      forget();
      fitPatch();
      fitFixation();
    },
    moveFixation(xPx, yPx) {
      if (spot.xPx === xPx && spot.yPx === yPx) return;
      spot = { xPx, yPx };
      fitFixation();
    },
    showFixation(isVisible) {
      if (placement !== null && fixationCanvas.hidden === isVisible) fixationCanvas.hidden = !isVisible;
    },
    schedule(image, square, showing) {
      if (placement === null) return;
      [free, taken] = [taken, free];
      const plate = taken;
      release(plate);
      drawOn(plate, image, square);
      const { onsetMs, periodMs, patchLevels } = showing;
      // A step lies between two refreshes: a frame's time may be off by a little of one.
      const stepMs = (refresh: number): number => onsetMs + (refresh - 0.5) * periodMs;
      const fromMs = Math.min(showing.nowMs, stepMs(0)) - periodMs;
      const totalMs = stepMs(patchLevels.length) - fromMs + heldMs;
      const at = (ms: number): { readonly offset: number; readonly easing: string } => ({ offset: (ms - fromMs) / totalMs, easing: "steps(1, end)" });
      const run = (element: HTMLElement, keyframes: Keyframe[]): Animation => {
        const animation = element.animate(keyframes, { duration: totalMs });
        animation.startTime = fromMs;
        return animation;
      };
      const cell = (index: number): { readonly transform: string } => ({ transform: `translateY(${(-100 * index) / stripCells}%)` });
      const dark = cell(0);
      // In the blank every refresh has something to do as well, but for the last: one of the two clear cells after the other.
      const waiting = Array.from({ length: Math.max(0, Math.min(warmRefreshes, Math.floor((stepMs(0) - fromMs) / periodMs) - 1)) }, (_, i) => i + 2).toReversed();
      plate.animations = [
        run(plate.strip, [
          { ...dark, ...at(fromMs) }, ...waiting.map((before) => ({ ...cell(before % 2 === 0 ? 0 : clearCell), ...at(stepMs(-before)) })),
          ...patchLevels.map((level, k) => ({ ...cell(Math.min(level, patchLevelMax)), ...at(stepMs(k)) })), { ...dark, ...at(stepMs(patchLevels.length)) }, { ...dark, offset: 1 },
        ]),
        run(plate.canvas, [{ opacity: unseen, ...at(fromMs) }, { opacity: "1", ...at(stepMs(0)) }, { opacity: unseen, ...at(stepMs(patchLevels.length)) }, { opacity: unseen, offset: 1 }]),
      ];
    },
    blank,
  };
}

/** One device pixel for one of the canvas, also where the page is scaled. */
function put(element: HTMLElement, left: number, top: number, width: number, height: number): void {
  const px = (value: number): string => `${value / window.devicePixelRatio}px`;
  Object.assign(element.style, { left: px(left), top: px(top), width: px(width), height: px(height) });
}

function contextOf(canvas: HTMLCanvasElement, alpha: boolean): CanvasRenderingContext2D {
  const context = canvas.getContext("2d", { alpha });
  if (context === null) throw new Error("expected a 2D canvas, the browser gave none; restart it with canvas enabled");
  return context;
}

function greyOf(value: number, lut: Placement["lut"]): string {
  return lut === null ? `rgb(${value} ${value} ${value})` : `rgb(${lut.r[value] ?? value} ${lut.g[value] ?? value} ${lut.b[value] ?? value})`;
}

function fillDisc(context: CanvasRenderingContext2D, colour: string, x: number, y: number, radius: number): void {
  context.fillStyle = colour;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}
