// A trial as it will run, to scale: hold, images with their response windows, reward. Knows nothing about forms.
import type { SessionConfig } from "../../../shared/contract/index.ts";

const heightPx = 46;
const barTop = 16;
const barHeight = 12;

export function TrialSketch({ trial, response }: { readonly trial: SessionConfig["trial"]; readonly response: SessionConfig["response"] }) {
  const soaMs = trial.onMs + trial.offMs;
  const endMs = trial.holdMs + trial.imagesPerTrial * soaMs;
  const rewardMs = Math.max(trial.rewardMs, 0);
  const totalMs = endMs + rewardMs;
  if (!Number.isFinite(totalMs) || totalMs <= 0 || trial.imagesPerTrial > 40) return null;
  const images = Array.from({ length: Math.max(0, Math.floor(trial.imagesPerTrial)) }, (_, i) => trial.holdMs + i * soaMs);
  const x = (ms: number): string => `${(100 * ms) / totalMs}%`;
  return (
    <svg className="trial-sketch" width="100%" height={heightPx} role="img" aria-label={`One trial lasts ${(totalMs / 1000).toFixed(2)} s`}>
      {images.map((at) => <rect key={`w${at}`} className="window" x={x(at + response.windowStartMs)} width={x(Math.max(0, response.windowEndMs - response.windowStartMs))} y={barTop - 6} height={barHeight + 12} />)}
      <line className="time" x1="0" x2="100%" y1={barTop + barHeight} y2={barTop + barHeight} />
      {images.map((at) => <rect key={at} className="image" x={x(at)} width={x(trial.onMs)} y={barTop} height={barHeight} />)}
      <rect className="drop" x={x(endMs)} width={x(rewardMs)} y={barTop} height={barHeight} />
      <text x="0" y={barTop - 4}>hold</text>
      <text x="100%" y={barTop - 4} textAnchor="end">reward</text>
      <text x="0" y={heightPx - 3}>0</text>
      <text x={x(trial.holdMs)} y={heightPx - 3}>images, response windows shaded</text>
      <text x="100%" y={heightPx - 3} textAnchor="end">{(totalMs / 1000).toFixed(2)} s</text>
    </svg>
  );
}
