// What the subject sees: background, image and fixation spot on a 2D canvas of the window's size in device pixels, the photodiode patch on a
// small one over its corner: the coded patch changes every frame, and a browser passes a changed canvas on as a whole.
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
  /** Everything. image null = blank; patchLevel as in shared/patchCode.ts. Before the first placement: grey. */
  /** Where the fixation spot is, from the middle, px; right and down positive. */
  moveFixation(xPx: number, yPx: number): void;
  draw(image: ImageBitmap | null, square: Square | null, fixation: boolean, patchLevel: number): void;
  /** Only the patch: the rest stays as it is. */
  drawPatch(patchLevel: number): void;
}

export const restingGrey = 128;

export function createScreen(canvas: HTMLCanvasElement, patchCanvas: HTMLCanvasElement): Screen {
  // Not desynchronized: Chromium then painted nothing while callbacks looked normal.
  const context = contextOf(canvas);
  const patchContext = contextOf(patchCanvas);
  let spot = { xPx: 0, yPx: 0 };
  let placement: Placement | null = null;
  let background = greyOf(restingGrey, null);
  let patch = patchGreys(false).map((grey) => greyOf(grey, null));

  const fit = (): boolean => {
    const widthPx = Math.max(1, Math.round(window.innerWidth * window.devicePixelRatio));
    const heightPx = Math.max(1, Math.round(window.innerHeight * window.devicePixelRatio));
    if (canvas.width === widthPx && canvas.height === heightPx) return false;
    canvas.width = widthPx;
    canvas.height = heightPx;
    fitPatch();
    return true;
  };

  function fitPatch(): void {
    const side = placement?.photodiodePx ?? 0;
    patchCanvas.hidden = side === 0;
    patchCanvas.width = patchCanvas.height = Math.max(1, side);
    // One device pixel for one of the canvas, also where the page is scaled.
    patchCanvas.style.width = patchCanvas.style.height = `${side / window.devicePixelRatio}px`;
  }

  function drawPatch(level: number): void {
    patchContext.fillStyle = patch[Math.min(level, patchLevelMax)] ?? "#000";
    patchContext.fillRect(0, 0, patchCanvas.width, patchCanvas.height);
  }

  fit();
  return {
    get widthPx() { return canvas.width; },
    get heightPx() { return canvas.height; },
    fit,
    place(next) {
      placement = next;
      background = greyOf(next.backgroundGrey, next.lut);
      patch = patchGreys(next.lut !== null).map((grey) => greyOf(grey, next.lut));
      fitPatch();
    },
    moveFixation(xPx, yPx) {
      spot = { xPx, yPx };
    },
    draw(image, square, fixation, patchLevel) {
      context.fillStyle = background;
      context.fillRect(0, 0, canvas.width, canvas.height);
      if (placement === null) return;
      if (image !== null && square !== null) drawImage(context, square, image);
      if (fixation) drawFixation(context, placement.fixationDiameterPx, spot);
      drawPatch(patchLevel);
    },
    drawPatch,
  };
}

function contextOf(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const context = canvas.getContext("2d", { alpha: false });
  if (context === null) throw new Error("expected a 2D canvas, the browser gave none; restart it with canvas enabled");
  return context;
}

function greyOf(value: number, lut: Placement["lut"]): string {
  return lut === null ? `rgb(${value} ${value} ${value})` : `rgb(${lut.r[value] ?? value} ${lut.g[value] ?? value} ${lut.b[value] ?? value})`;
}

function drawImage(context: CanvasRenderingContext2D, square: Square, image: ImageBitmap): void {
  const size = Math.round(square.sizePx);
  const left = Math.round(square.centreXPx - size / 2);
  const top = Math.round(square.centreYPx - size / 2);
  context.imageSmoothingEnabled = image.width !== size;
  context.imageSmoothingQuality = "high";
  context.drawImage(image, left, top, size, size);
}

/** A white disc with a dark rim, at the middle of the screen whatever the image's place (elsewhere while the eye is calibrated): visible on any image. */
function drawFixation(context: CanvasRenderingContext2D, diameterPx: number, { xPx, yPx }: { readonly xPx: number; readonly yPx: number }): void {
  const x = context.canvas.width / 2 + xPx;
  const y = context.canvas.height / 2 + yPx;
  const radius = Math.max(1, diameterPx / 2);
  context.fillStyle = "#000";
  context.beginPath();
  context.arc(x, y, radius + Math.max(1, radius * 0.25), 0, 2 * Math.PI);
  context.fill();
  context.fillStyle = "#fff";
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}
