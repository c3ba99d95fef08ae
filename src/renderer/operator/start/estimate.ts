// How many images a step shows and about how long it takes, before it has begun. Pure. Knows nothing about how it runs.
import type { AppDescription, PlanStep, SessionConfig } from "../../../shared/contract/index.ts";

export interface Estimate {
  /** null = it depends on what is sent while it runs, or on a folder. */
  readonly images: number | null;
  readonly minutes: number | null;
}

/** References of the built-in folder. */
const builtInReferences = 26;
/** From the spot's onset to the gaze inside, for an animal that works. */
const waitMs = 450;
/** Share of images that count: broken fixations and blinks make the others come again. */
const countedShare = 0.85;

export function estimateStep(step: PlanStep, draft: SessionConfig, app: AppDescription | null, targetKnown: boolean): Estimate {
  const images = imagesOf(step, app, targetKnown);
  if (images === null) return { images: null, minutes: null };
  return { images, minutes: (Math.ceil(images / countedShare / imagesPerTrial(step, draft)) * trialMs(step, draft)) / 60_000 };
}

/** Sums of what is known; `open` where a step's length is not. */
export function estimatePlan(steps: readonly PlanStep[], draft: SessionConfig, app: AppDescription | null): { readonly steps: readonly Estimate[]; readonly images: number; readonly minutes: number; readonly open: boolean } {
  const each = steps.map((step, i) => estimateStep(step, draft, app, steps.slice(0, i).some((s) => s.protocol === "diverseSet" && s.suggestTarget)));
  return { steps: each, images: each.reduce((sum, e) => sum + (e.images ?? 0), 0), minutes: each.reduce((sum, e) => sum + (e.minutes ?? 0), 0), open: each.some((e) => e.images === null) };
}

function imagesPerTrial(step: PlanStep, draft: SessionConfig): number {
  return Math.max(1, step.imagesPerTrial ?? draft.trial.imagesPerTrial);
}

function trialMs(step: PlanStep, draft: SessionConfig): number {
  const { trial } = draft;
  return waitMs + trial.holdMs + imagesPerTrial(step, draft) * ((step.onMs ?? trial.onMs) + (step.offMs ?? trial.offMs)) + trial.rewardMs + trial.interTrialMs;
}

function imagesOf(step: PlanStep, app: AppDescription | null, targetKnown: boolean): number | null {
  switch (step.protocol) {
    case "rfMapping": return step.columns * step.rows * step.imageCount * step.repeats;
    case "diverseSet": return step.imageCount * step.repeats;
    case "evolution": {
      const populations = step.threads.map((t) => t.populationSize ?? populationOf(t.generator, app));
      const evolved = populations.reduce((a, b) => a + b, 0);
      const tuning = step.tuningRepeats > 0 && !targetKnown && step.threads.some((t) => t.target === "auto") ? builtInReferences * step.tuningRepeats : 0;
      const again = step.confirmRepeats === 0 ? 0 : 3 * step.threads.length * step.confirmRepeats + builtInReferences * Math.ceil(step.confirmRepeats / 3);
      return tuning + step.generations * step.repeats * (evolved + step.referencesPerGeneration) + again;
    }
    case "localisation": return step.discCount * step.discRepeats + step.intactRepeats + 2 * step.maskedRepeats;
    case "validation": {
      if (step.source !== "fit") return null;
      const { alphas, signs, runs } = step.fit;
      const conditions = 1 + signs.length * alphas.filter((a) => a > 0).length;
      return conditions * runs * step.repeats + (step.naturalCount ?? 160) * step.naturalRepeats;
    }
    case "images": return step.imageCount === null ? null : step.imageCount * step.repeats;
    case "lab": return null;
  }
}

/** Hansen's 4 + 3 ln d, which the optimizers begin with; 30 where the generator's dimension is not known. */
function populationOf(generator: string, app: AppDescription | null): number {
  const dim = Number(/^(\d+)-d\b/.exec(app?.models.find((m) => m.id === generator)?.detail ?? "")?.[1] ?? Number.NaN);
  return Number.isFinite(dim) ? 4 + Math.floor(3 * Math.log(dim)) : 30;
}
