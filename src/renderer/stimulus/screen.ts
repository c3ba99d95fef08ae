// What the subject sees: background, image, fixation spot, photodiode patch, on a 2D canvas of the window's size in device pixels.
// Knows nothing about time.

export interface Placement {
  readonly centreXPx: number;
  readonly centreYPx: number;
  readonly sizePx: number;
  readonly fixationDiameterPx: number;
  readonly backgroundGrey: number;
  readonly photodiodePx: number;
}

export interface Screen {
  readonly widthPx: number;
  readonly heightPx: number;
  /** Follows the window's size. true where it changed. */
  fit(): boolean;
  draw(scene: { readonly placement: Placement | null; readonly image: ImageBitmap | null; readonly fixation: boolean }): void;
}

export const restingGrey = 128;

export function createScreen(canvas: HTMLCanvasElement): Screen {
  // Not desynchronized: Chromium then painted nothing while callbacks looked normal.
  const context = canvas.getContext("2d", { alpha: false });
  if (context === null) throw new Error("expected a 2D canvas, the browser gave none; restart it with canvas enabled");

  const fit = (): boolean => {
    const widthPx = Math.max(1, Math.round(window.innerWidth * window.devicePixelRatio));
    const heightPx = Math.max(1, Math.round(window.innerHeight * window.devicePixelRatio));
    if (canvas.width === widthPx && canvas.height === heightPx) return false;
    canvas.width = widthPx;
    canvas.height = heightPx;
    return true;
  };

  fit();
  return {
    get widthPx() { return canvas.width; },
    get heightPx() { return canvas.height; },
    fit,
    draw({ placement, image, fixation }) {
      const grey = placement?.backgroundGrey ?? restingGrey;
      context.fillStyle = `rgb(${grey} ${grey} ${grey})`;
      context.fillRect(0, 0, canvas.width, canvas.height);
      if (placement === null) return;
      if (image !== null) drawImage(context, placement, image);
      if (fixation) drawFixation(context, placement);
      if (placement.photodiodePx > 0) {
        context.fillStyle = image === null ? "#000" : "#fff";
        context.fillRect(canvas.width - placement.photodiodePx, canvas.height - placement.photodiodePx, placement.photodiodePx, placement.photodiodePx);
      }
    },
  };
}

function drawImage(context: CanvasRenderingContext2D, { centreXPx, centreYPx, sizePx }: Placement, image: ImageBitmap): void {
  const size = Math.round(sizePx);
  const left = Math.round(centreXPx - size / 2);
  const top = Math.round(centreYPx - size / 2);
  context.imageSmoothingEnabled = image.width !== size;
  context.imageSmoothingQuality = "high";
  context.drawImage(image, left, top, size, size);
}

/** A white disc with a dark rim, at the middle of the screen whatever the image's place: visible on any image. */
function drawFixation(context: CanvasRenderingContext2D, { fixationDiameterPx }: Placement): void {
  const x = context.canvas.width / 2;
  const y = context.canvas.height / 2;
  const radius = Math.max(1, fixationDiameterPx / 2);
  context.fillStyle = "#000";
  context.beginPath();
  context.arc(x, y, radius + Math.max(1, radius * 0.25), 0, 2 * Math.PI);
  context.fill();
  context.fillStyle = "#fff";
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}
