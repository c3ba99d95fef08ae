// A trial as it will run, to scale: hold, images with their response windows, reward. Knows nothing about forms.
import type { SessionConfig } from "../../../shared/contract/index.ts";

/** In parts of the height, between the words above and below. */
const windowTop = "24%";
const windowHeight = "50%";
const barTop = "36%";
const barHeight = "26%";
const lineAt = "62%";

export function TrialSketch({ trial, response }: { readonly trial: SessionConfig["trial"]; readonly response: SessionConfig["response"] }) {
  const soaMs = trial.onMs + trial.offMs;
  const endMs = trial.holdMs + trial.imagesPerTrial * soaMs;
  const rewardMs = Math.max(trial.rewardMs, 0);
  const totalMs = endMs + rewardMs;
  if (!Number.isFinite(totalMs) || totalMs <= 0 || trial.imagesPerTrial > 40) return null;
  const images = Array.from({ length: Math.max(0, Math.floor(trial.imagesPerTrial)) }, (_, i) => trial.holdMs + i * soaMs);
  const x = (ms: number): string => `${(100 * ms) / totalMs}%`;
  return (
    <svg className="trial-sketch" width="100%" role="img" aria-label={`One trial lasts ${(totalMs / 1000).toFixed(2)} s`}>
      {images.map((at) => <rect key={`w${at}`} className="window" x={x(at + response.windowStartMs)} width={x(Math.max(0, response.windowEndMs - response.windowStartMs))} y={windowTop} height={windowHeight} />)}
      <line className="time" x1="0" x2="100%" y1={lineAt} y2={lineAt} />
      {images.map((at) => <rect key={at} className="image" x={x(at)} width={x(trial.onMs)} y={barTop} height={barHeight} />)}
      <rect className="drop" x={x(endMs)} width={x(rewardMs)} y={barTop} height={barHeight} />
      <text x="0" y="10">hold</text>
      <text x="100%" y="10" textAnchor="end">reward</text>
      <text x="0" y="100%" dy="-3">0</text>
      <text x={x(trial.holdMs)} y="100%" dy="-3">images, response windows shaded</text>
      <text x="100%" y="100%" dy="-3" textAnchor="end">{(totalMs / 1000).toFixed(2)} s</text>
    </svg>
  );
}
