// Session plans as JSON files of the user's, one file a plan, beside those that come with Evoked. Knows nothing about sessions.
import { mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { planFile, planStep } from "../shared/contract/index.ts";
import type { Handlers, PlanFile, PlanStep, PlanSummary, ProtocolDescription } from "../shared/contract/index.ts";
import { fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { builtInPlans } from "./builtInPlans.ts";
import type { Caller } from "./engineTypes.ts";
import { labNames, loadLabModule, loadLabProtocols } from "./labProtocols.ts";

/** Errors: `planUnreadable`, `badPlan` with the place that is not right. */
export async function readPlanFile(file: string): Promise<Result<PlanFile, Fault>> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    return fault("planUnreadable", `Expected a session plan in ${file}, could not read it: ${error instanceof Error ? error.message : String(error)}`);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return fault("badPlan", `Expected JSON in ${file}, got: ${error instanceof Error ? error.message : String(error)}`);
  }
  const plan = planFile.safeParse(json);
  if (plan.success) return ok(plan.data);
  const first = plan.error.issues[0];
  return fault("badPlan", `The plan in ${file} is not right at "${first?.path.join(".") ?? ""}": ${first?.message ?? "unknown"}. Correct it there, or save the plan again.`);
}

/** Names: a built-in plan, a plan of the folder, or the path of a file. Errors: those of readPlanFile, `unknownPlan`. */
export async function findPlan(nameOrFile: string, planFolder: string): Promise<Result<PlanFile, Fault>> {
  const builtIn = builtInPlans.find((p) => p.name === nameOrFile);
  if (builtIn !== undefined) return ok(builtIn);
  if (/\.json$|[\\/]/.test(nameOrFile)) return readPlanFile(nameOrFile);
  const names = await planNames(planFolder);
  if (names.includes(nameOrFile)) return readPlanFile(fileOf(planFolder, nameOrFile));
  return fault("unknownPlan", `Expected a plan of ${[...builtInPlans.map((p) => p.name), ...names].join(", ")} or the path of a JSON file, got "${nameOrFile}".`);
}

export async function listPlans(planFolder: string): Promise<readonly PlanSummary[]> {
  const own = await Promise.all(
    (await planNames(planFolder)).map(async (name): Promise<PlanSummary> => {
      const plan = await readPlanFile(fileOf(planFolder, name));
      return plan.ok ? summaryOf({ ...plan.value, name }, fileOf(planFolder, name), false) : { name, description: "", file: fileOf(planFolder, name), builtIn: false, protocols: [], problem: plan.error.message };
    }),
  );
  return [...builtInPlans.map((p) => summaryOf(p, "", true)), ...own];
}

/** Whole or not at all. Errors: `planNotSaved`, `planBuiltIn`. */
export async function savePlan(plan: PlanFile, planFolder: string): Promise<Result<PlanSummary, Fault>> {
  if (builtInPlans.some((p) => p.name === plan.name)) return fault("planBuiltIn", `The plan "${plan.name}" comes with Evoked and cannot be changed. Save yours under another name.`);
  const file = fileOf(planFolder, plan.name);
  try {
    await mkdir(planFolder, { recursive: true });
    await writeFile(`${file}.new`, `${JSON.stringify(plan, null, 2)}\n`);
    await rename(`${file}.new`, file);
  } catch (error) {
    return fault("planNotSaved", `The plan could not be written to ${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
  return ok(summaryOf(plan, file, false));
}

export function createPlanHandlers({ planFolder, protocolFolder }: { readonly planFolder: string; readonly protocolFolder: string }): Pick<Handlers<Caller>, "plans.list" | "plans.load" | "plans.save" | "plans.remove" | "protocols.list"> {
  return {
    "plans.list": async () => ok(await listPlans(planFolder)),
    "plans.load": ({ name }) => findPlan(name, planFolder),
    "plans.save": ({ plan }) => savePlan(plan, planFolder),
    "plans.remove": async ({ name }) => {
      if (builtInPlans.some((p) => p.name === name)) return fault("planBuiltIn", `The plan "${name}" comes with Evoked and cannot be removed.`);
      if (!(await planNames(planFolder)).includes(name)) return fault("unknownPlan", `Expected a plan of ${planFolder}, got "${name}".`);
      await rm(fileOf(planFolder, name));
      return ok(null);
    },
    "protocols.list": async () => ok([...builtInProtocols, ...labNames(protocolFolder).map((name) => describeLab(protocolFolder, name))]),
  };
}

function describeLab(folder: string, name: string): ProtocolDescription {
  const loaded = loadLabModule(folder, name);
  if (!loaded.ok) return { protocol: "lab", name, title: name, description: "", defaults: null, options: [], problem: loaded.error.message };
  const { title, description, options } = loaded.value.definition;
  const defaults = planStep.safeParse({ protocol: "lab", name, settings: Object.fromEntries(options.map((o) => [o.name, o.default])) });
  return { protocol: "lab", name, title, description, defaults: defaults.success ? defaults.data : null, options, problem: null };
}

/** Everything that can be known before a session: folders, files, what a step needs of those before it, own protocols. A sentence for each. */
export async function checkPlan(steps: readonly PlanStep[], protocolFolder: string): Promise<readonly string[]> {
  const problems: string[] = [];
  const of = (index: number, sentence: string): void => void problems.push(`Step ${index + 1} (${steps[index]?.protocol ?? ""}): ${sentence}`);
  for (const [index, step] of steps.entries()) {
    const folder = step.protocol === "evolution" ? step.referenceFolder : "folder" in step ? step.folder : null;
    if (folder !== null) {
      const names = await readdir(folder).catch(() => null);
      if (names === null) of(index, `expected a folder at ${folder}, found none.`);
      else if (!names.some((n) => /\.(png|jpe?g)$/i.test(n))) of(index, `expected PNG or JPEG files in ${folder}, found none.`);
    }
    const before = (protocol: PlanStep["protocol"]): boolean => steps.slice(0, index).some((s) => s.protocol === protocol);
    if (step.protocol === "localisation" && step.source !== "file" && !before("evolution")) of(index, "it needs an evolution before it, or an image file.");
    if (step.protocol === "localisation" && step.source === "file" && step.imageFile === null) of(index, "choose an image file.");
    if (step.protocol === "validation" && step.source === "folder" && step.folder === null) of(index, "choose a folder of images.");
    if (step.protocol === "validation" && step.source === "fit" && !before("diverseSet")) of(index, "models are fitted to a diverse set: it needs one before it.");
    if (step.protocol === "rfMapping" && step.carryOver === "channel" && step.channel === null) of(index, "choose the channel whose field is carried over.");
    if (step.protocol === "lab") {
      const loaded = loadLabProtocols(protocolFolder, [step]);
      if (!loaded.ok) of(index, loaded.error.message);
    }
  }
  return problems;
}

/** One line a step. */
export function describePlan(plan: PlanFile): string {
  return [plan.name, ...plan.steps.map((step, i) => `  ${i + 1}  ${step.title === "" ? (step.protocol === "lab" ? step.name : (builtInProtocols.find((p) => p.protocol === step.protocol)?.title ?? step.protocol)) : step.title}`)].join("\n");
}

async function planNames(planFolder: string): Promise<readonly string[]> {
  const names = await readdir(planFolder).catch((): string[] => []);
  return names.flatMap((n) => (n.endsWith(".json") ? [n.slice(0, -".json".length)] : [])).sort();
}

function fileOf(planFolder: string, name: string): string {
  return join(planFolder, `${name}.json`);
}

function summaryOf(plan: PlanFile, file: string, builtIn: boolean): PlanSummary {
  return { name: plan.name, description: plan.description, file, builtIn, protocols: plan.steps.map((s) => (s.protocol === "lab" ? s.name : s.protocol)), problem: null };
}

export const builtInProtocols: readonly ProtocolDescription[] = [
  { protocol: "rfMapping", title: "Receptive fields", description: "Small images on a grid around the fixation spot. Gives every channel's map, centre and size; later steps are placed there." },
  { protocol: "diverseSet", title: "Diverse set", description: "Many images, each a number of times. Gives every channel's tuning, selectivity and noise ceiling, and suggests the target." },
  { protocol: "evolution", title: "Evolution", description: "Evolves the images that the target prefers, with reference images among them." },
  { protocol: "localisation", title: "Feature localisation", description: "Shuffles discs of the evolved image to find the part of it that drives the target, and shows that part alone." },
  { protocol: "validation", title: "Model validation", description: "Shows images of neuron models and their ablations back, against images of the diverse set." },
  { protocol: "images", title: "Images", description: "A folder of images, each a number of times." },
].map((p): ProtocolDescription => {
  const defaults = planStep.parse({ protocol: p.protocol });
  return { ...p, protocol: defaults.protocol, name: "", defaults, options: [], problem: null };
});
