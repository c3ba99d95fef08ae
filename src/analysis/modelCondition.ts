// What an image was evolved for, as its name states it. Knows nothing about how images are made or shown.
import type { WeightSign } from "./ablation.ts";

/** What a model image was evolved for. */
export interface ModelCondition {
  /** null = the intact model. */
  readonly sign: WeightSign | null;
  readonly alpha: number;
}

/**
 * The condition that a label or file name states: "control-..." or "positive-0.50-..." as an ablation analysis names its images, with any folders
 * before it. null where it states none.
 */
export function readCondition(label: string): ModelCondition | null {
  const name = label.split(/[\\/]/).at(-1) ?? "";
  if (/^control\b/i.test(name)) return { sign: null, alpha: 0 };
  const match = /^(positive|negative)-(\d(?:\.\d+)?)(?:-|\.|$)/i.exec(name);
  if (match === null) return null;
  const sign = match[1]?.toLowerCase() === "positive" ? "positive" : "negative";
  return { sign, alpha: Number(match[2]) };
}

export function nameCondition(condition: ModelCondition): string {
  return condition.sign === null ? "control" : `${condition.sign} ${condition.alpha}`;
}
