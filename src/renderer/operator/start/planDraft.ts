// The steps of the session that the start screen will begin: added, removed, moved, copied. A draft without a plan is one evolution with the draft's own
// settings, as it was before there were plans. Pure. Knows nothing about fields.
import { planFile, stepsOf, type PlanStep, type SessionConfig } from "../../../shared/contract/index.ts";

export const stepsMax = 50;

export function draftSteps(draft: SessionConfig): readonly PlanStep[] {
  return stepsOf(draft);
}

/** Path of a step's settings in the draft: ["plan", 2], or ["evolution"] where the draft has no plan. */
export function pathOfStep(draft: SessionConfig, index: number): readonly (string | number)[] {
  return draft.plan.length === 0 ? ["evolution"] : ["plan", index];
}

/** One plain evolution is kept as it always was, so that a session of one looks like one. */
export function withSteps(draft: SessionConfig, steps: readonly PlanStep[]): SessionConfig {
  const [first] = steps;
  if (first === undefined) return draft;
  if (steps.length === 1 && first.protocol === "evolution" && first.title === "" && first.imagesPerTrial === null && first.onMs === null && first.offMs === null) {
    const { protocol: _protocol, title: _title, imagesPerTrial: _images, onMs: _on, offMs: _off, ...evolution } = first;
    return { ...draft, evolution, plan: [] };
  }
  return { ...draft, plan: [...steps] };
}

/** A new step after the one at `after`. */
export function addStep(draft: SessionConfig, step: PlanStep, after: number): SessionConfig {
  const steps = draftSteps(draft);
  return steps.length >= stepsMax ? draft : withSteps(draft, [...steps.slice(0, after + 1), step, ...steps.slice(after + 1)]);
}

/** The last one stays. */
export function removeStep(draft: SessionConfig, index: number): SessionConfig {
  const steps = draftSteps(draft);
  return steps.length < 2 ? draft : withSteps(draft, steps.filter((_, i) => i !== index));
}

export function copyStep(draft: SessionConfig, index: number): SessionConfig {
  const step = draftSteps(draft)[index];
  return step === undefined ? draft : addStep(draft, structuredClone(step), index);
}

/** The step at `index` comes to stand at `to`. */
export function moveStep(draft: SessionConfig, index: number, to: number): SessionConfig {
  const steps = [...draftSteps(draft)];
  if (to < 0 || to >= steps.length || index === to) return draft;
  const [moved] = steps.splice(index, 1);
  if (moved === undefined) return draft;
  steps.splice(to, 0, moved);
  return withSteps(draft, steps);
}

/** Problems of one step, by path below it: { "columns": "at least 2" }. */
export function problemsOfStep(problems: Readonly<Record<string, string>>, base: readonly (string | number)[]): Readonly<Record<string, string>> {
  const prefix = `${base.join(".")}.`;
  return Object.fromEntries(Object.entries(problems).flatMap(([path, text]) => (path.startsWith(prefix) ? [[path.slice(prefix.length), text]] : [])));
}

/** What is wrong with a plan's name; null = it can be saved under it. */
export function nameProblem(name: string): string | null {
  const parsed = planFile.shape.name.safeParse(name);
  return parsed.success ? null : name.trim() === "" ? "a name is needed" : (parsed.error.issues[0]?.message ?? "another name is needed");
}

/** Things in the order of the steps that cannot work, in the words of who set them up; empty = it hangs together. */
export function planWarnings(steps: readonly PlanStep[]): readonly { readonly index: number; readonly text: string }[] {
  return steps.flatMap((step, index) => {
    const before = steps.slice(0, index);
    if (step.protocol === "localisation" && step.source !== "file" && !before.some((s) => s.protocol === "evolution")) return [{ index, text: "It takes its image from an evolution, but none comes before it." }];
    if (step.protocol === "validation" && step.source === "fit" && !before.some((s) => s.protocol === "diverseSet")) return [{ index, text: "Models are fitted to the diverse set, but none comes before it." }];
    if (step.protocol === "validation" && step.naturalCount !== 0 && !before.some((s) => s.protocol === "diverseSet")) return [{ index, text: "There is no diverse set before it: no natural images will be shown for comparison." }];
    if (step.protocol === "lab" && step.name === "") return [{ index, text: "It needs the name of a module." }];
    return [];
  });
}
