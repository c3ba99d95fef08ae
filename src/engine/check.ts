// The check before a session: every part with a level and one sentence. Starts nothing that a subject would notice. Knows nothing about forms.
import { statfs } from "node:fs/promises";
import type { Models } from "../models/client.ts";
import { checkWritable } from "../session/folder.ts";
import { checkMetadata } from "../session/metadata.ts";
import { stepsOf } from "../shared/contract/index.ts";
import type { Check, SessionConfig } from "../shared/contract/index.ts";
import { builtInReferences } from "./paths.ts";
import { loadReferences } from "./references.ts";
import { checkPlan } from "./plans.ts";
import { checkRig } from "./rig.ts";
import { generatorsOf } from "./stepImages.ts";

const diskWarnBytes = 5e9;

export async function checkSession(config: SessionConfig, world: { readonly models: Models; readonly folder: string; readonly screenAttached: boolean; readonly screenProblem?: string | null; readonly protocolFolder: string }): Promise<readonly Check[]> {
  const checks: Check[] = [];
  const add = (id: string, label: string, problem: string | null, fine: string): void => {
    checks.push({ id, label, level: problem === null ? "ok" : "fault", message: problem ?? fine });
  };
  const steps = stepsOf(config);
  for (const id of generatorsOf(steps)) {
    const generator = await world.models.generator(id);
    add("generator", "Generator", generator.ok ? null : generator.error.message, generator.ok ? `${generator.value.identity.title} on ${generator.value.identity.provider}` : "");
  }
  const rig = await checkRig(config.rig);
  add("rig", "Rig", rig.ok ? null : rig.error.message, rig.ok ? rig.value : "");
  if (config.rig.kind === "synthetic") {
    const encoder = await world.models.encoder(config.models.encoder);
    add("encoder", "Encoder of the synthetic neurons", encoder.ok ? null : encoder.error.message, encoder.ok ? encoder.value.identity.title : "");
  }
  for (const step of steps) {
    if (step.protocol !== "evolution" || step.referencesPerGeneration === 0) continue;
    const references = await loadReferences(step.referenceFolder ?? builtInReferences, 64);
    add("references", "Reference images", references.ok ? null : references.error.message, references.ok ? `${references.value.length} images` : "");
  }
  if (config.plan.length > 0) {
    const problems = await checkPlan(steps, world.protocolFolder);
    add("plan", "Session plan", problems.length === 0 ? null : problems.join(" "), `${steps.length} ${steps.length === 1 ? "step" : "steps"}`);
  }
  checks.push(await checkFolder(world.folder));
  for (const problem of checkMetadata({ subject: config.subject, experimenters: config.experimenters, startedUtc: new Date().toISOString() })) {
    checks.push({ id: `metadata.${problem.code}`, label: "Subject", level: "warn", message: problem.message });
  }
  checks.push({
    id: "screen", label: "Subject's screen", level: config.display.kind === "window" && world.screenAttached && (world.screenProblem ?? null) !== null ? "warn" : "ok",
    message: config.display.kind === "timed" ? "No screen: the engine times the images itself."
      : config.display.kind === "external" ? `Another program shows the images of ${config.display.external?.folder ?? "a folder that is not named yet"}.`
      : !world.screenAttached ? "Opens when the session starts."
      : (world.screenProblem ?? null) === null ? "Open and answering." : `Open, but ${world.screenProblem}`,
  });
  return checks;
}

async function checkFolder(folder: string): Promise<Check> {
  const writable = checkWritable(folder);
  if (!writable.ok) return { id: "folder", label: "Session folder", level: "fault", message: writable.error.message };
  try {
    const disk = await statfs(folder);
    const free = disk.bavail * disk.bsize;
    return { id: "folder", label: "Session folder", level: free < diskWarnBytes ? "warn" : "ok", message: `${folder}, ${(free / 1e9).toFixed(0)} GB free` };
  } catch (error) {
    return { id: "folder", label: "Session folder", level: "fault", message: `The free space of ${folder} cannot be read: ${error instanceof Error ? error.message : String(error)}. Choose another folder.` };
  }
}
