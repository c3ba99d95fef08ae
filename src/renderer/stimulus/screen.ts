// What the subject sees: the page's background, and over it the image, the fixation spot and the photodiode patch, each on a canvas of its own
// size in device pixels. A browser without a GPU passes a changed canvas on as a whole, several times over: one of the window's size costs
// milliseconds of every onset, and the coded patch changes with every frame. For the same reason an image is drawn ahead of its onset, on one of
// two canvases that show through so little that no pixel changes; an onset or end changes nothing but how much they show.
// Colours are worked out when a placement comes, so that drawing allocates nothing. Knows nothing about time.
import { patchGreys, patchLevelMax } from "../../shared/patchCode.ts";
import type { StimulusCommand } from "../../shared/contract/index.ts";

export type Placement = Omit<Extract<StimulusCommand, { kind: "place" }>, "kind">;

/** Centre and side of an image, device pixels. */
export interface Square {
  readonly centreXPx: number;
  readonly centreYPx: number;
  readonly sizePx: number;
}

export interface Screen {
  readonly widthPx: number;
  readonly heightPx: number;
  /** Follows the window's size. true where it changed. */
  fit(): boolean;
  place(placement: Placement): void;
  /** Where the fixation spot is, from the middle, px; right and down positive. */
  moveFixation(xPx: number, yPx: number): void;
  /** Draws the next image where it is not seen yet: its onset takes less of its frame then. */
  prime(image: ImageBitmap, square: Square): void;
  /** Everything. image null = blank; patchLevel as in shared/patchCode.ts. Before the first placement: grey. */
  draw(image: ImageBitmap | null, square: Square | null, fixation: boolean, patchLevel: number): void;
  /** Only the patch: the rest stays as it is. */
  drawPatch(patchLevel: number): void;
}

export const restingGrey = 128;

/** Elements of stimulus.html, one over the other: the page (background), the image, the fixation spot, the patch. */
export interface Layers {
  readonly page: HTMLElement;
  readonly images: readonly [HTMLCanvasElement, HTMLCanvasElement];
  readonly fixation: HTMLCanvasElement;
  readonly patch: HTMLCanvasElement;
}

/** Not seen: on 8 bits it moves no value by half a step. At 0 a browser would hand the canvas on only at the onset. */
const unseen = "0.001";

/** One of the two canvases of images. */
interface Plate {
  readonly canvas: HTMLCanvasElement;
  readonly context: CanvasRenderingContext2D;
  /** What is on it, and where, device pixels; null = nothing. */
  image: ImageBitmap | null;
  left: number;
  top: number;
  side: number;
}

export function createScreen({ page, images, fixation: fixationCanvas, patch: patchCanvas }: Layers): Screen {
  // Not desynchronized: Chromium then painted nothing while callbacks looked normal.
  const plates: readonly Plate[] = images.map((canvas) => ({ canvas, context: contextOf(canvas, false), image: null, left: 0, top: 0, side: 0 }));
  const fixationContext = contextOf(fixationCanvas, true);
  const patchContext = contextOf(patchCanvas, false);
  let widthPx = 0;
  let heightPx = 0;
  let spot = { xPx: 0, yPx: 0 };
  let placement: Placement | null = null;
  let background = greyOf(restingGrey, null);
  let patch = patchGreys(false).map((grey) => greyOf(grey, null));
  let shown: Plate | null = null;

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
    patchCanvas.hidden = side === 0;
    patchCanvas.width = patchCanvas.height = Math.max(1, side);
    put(patchCanvas, widthPx - side, heightPx - side, side);
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
    put(fixationCanvas, left, top, side);
    fillDisc(fixationContext, "#000", widthPx / 2 + spot.xPx - left, heightPx / 2 + spot.yPx - top, rim);
    fillDisc(fixationContext, "#fff", widthPx / 2 + spot.xPx - left, heightPx / 2 + spot.yPx - top, radius);
  }

  function drawPatch(level: number): void {
    patchContext.fillStyle = patch[Math.min(level, patchLevelMax)] ?? "#000";
    patchContext.fillRect(0, 0, patchCanvas.width, patchCanvas.height);
  }

  /** The plate with this image at this place: one that has it, else the one that is not seen, drawn now. */
  function plateOf(image: ImageBitmap, square: Square): Plate | null {
    const side = Math.round(square.sizePx);
    const left = Math.round(square.centreXPx - side / 2);
    const top = Math.round(square.centreYPx - side / 2);
    const ready = plates.find((one) => one.image === image && one.left === left && one.top === top && one.side === side);
    if (ready !== undefined) return ready;
    const plate = plates.find((one) => one !== shown);
    if (plate === undefined) return null;
    const { canvas, context } = plate;
    if (plate.left !== left || plate.top !== top || plate.side !== side) {
      if (canvas.width !== side) canvas.width = canvas.height = side;
      put(canvas, left, top, side);
    }
    if (canvas.hidden) canvas.hidden = false;
    context.imageSmoothingEnabled = image.width !== side;
    context.imageSmoothingQuality = "high";
    context.drawImage(image, 0, 0, side, side);
    Object.assign(plate, { image, left, top, side });
    return plate;
  }

  function show(plate: Plate | null): void {
    if (plate === shown) return;
    if (shown !== null) shown.canvas.style.opacity = unseen;
    if (plate !== null) plate.canvas.style.opacity = "1";
    shown = plate;
  }

  /** Nothing of before is shown again. */
  function forget(): void {
    show(null);
    for (const plate of plates) {
      plate.canvas.hidden = true;
      plate.image = null;
      plate.side = 0;
    }
  }

  for (const { canvas } of plates) canvas.style.opacity = unseen;
  fixationCanvas.hidden = patchCanvas.hidden = true;
  fit();
  return {
    get widthPx() { return widthPx; },
    get heightPx() { return heightPx; },
    fit,
    place(next) {
      placement = next;
      background = greyOf(next.backgroundGrey, next.lut);
      patch = patchGreys(next.lut !== null).map((grey) => greyOf(grey, next.lut));
      page.style.backgroundColor = background;
      forget();
      fitPatch();
      fitFixation();
    },
    moveFixation(xPx, yPx) {
      if (spot.xPx === xPx && spot.yPx === yPx) return;
      spot = { xPx, yPx };
      fitFixation();
    },
    prime(image, square) {
      if (placement !== null) plateOf(image, square);
    },
    draw(image, square, fixation, patchLevel) {
      if (placement === null) return;
      show(image !== null && square !== null ? plateOf(image, square) : null);
      if (fixationCanvas.hidden === fixation) fixationCanvas.hidden = !fixation;
      drawPatch(patchLevel);
    },
    drawPatch,
  };
}

/** One device pixel for one of the canvas, also where the page is scaled. */
function put(canvas: HTMLCanvasElement, left: number, top: number, side: number): void {
  canvas.style.left = `${left / window.devicePixelRatio}px`;
  canvas.style.top = `${top / window.devicePixelRatio}px`;
  canvas.style.width = canvas.style.height = `${side / window.devicePixelRatio}px`;
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
