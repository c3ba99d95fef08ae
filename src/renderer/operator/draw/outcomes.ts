// The last trials as a strip: height and fill tell the outcome without its colour. Knows nothing about React.
import { clearArea, type Area } from "./area.ts";
import type { Live } from "../../../shared/contract/index.ts";

export type Outcome = Live["trials"]["recent"][number];

export const outcomeWords: Readonly<Record<Outcome, string>> = {
  correct: "correct", brokeFixation: "broke fixation", noFixation: "no fixation", stopped: "stopped", displayFault: "display fault",
};

const slots = 40;

export function drawOutcomes(area: Area, recent: readonly Outcome[]): void {
  const { context, widthPx, heightPx, palette } = area;
  clearArea(area);
  const slot = widthPx / slots;
  const width = Math.max(2, slot - 2);
  for (let i = 0; i < slots; i++) {
    const outcome = recent[recent.length - slots + i];
    const x = i * slot;
    if (outcome === undefined) {
      context.fillStyle = palette.line;
      context.fillRect(x, heightPx - 2, width, 2);
    } else if (outcome === "correct") {
      context.fillStyle = palette.ok;
      context.fillRect(x, 0, width, heightPx);
    } else if (outcome === "brokeFixation") {
      context.fillStyle = palette.fault;
      context.fillRect(x, heightPx * 0.55, width, heightPx * 0.45);
    } else {
      context.strokeStyle = outcome === "displayFault" ? palette.warn : palette.dim;
      context.lineWidth = 1.5;
      context.strokeRect(x + 0.75, heightPx * 0.7, width - 1.5, heightPx * 0.3 - 0.75);
    }
  }
}
