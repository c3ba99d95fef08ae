// A sweep's folder: settings, finished results line by line, checkpoints of what is under way. Survives a crash at any instant: results are
// appended whole lines, everything else is written beside its place and renamed. Knows nothing about optimizers or networks.
//
//   sweep.json            settings, units with their weights' hashes, models' hashes, the command
//   results.jsonl         one line per evolution, appended group by group
//   checkpoints/*.ckpt    one file per group under way
import { createHash } from "node:crypto";
import { mkdir, open, readFile, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { fault, ok } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import { keyOf } from "./sweep.ts";
import type { EvolutionResult, GroupKey, SweepSettings, SweepStore } from "./sweep.ts";
import type { LinearUnit } from "./units.ts";

/** Everything that decides a sweep's numbers, and what made it. */
export interface SweepHead {
  readonly format: "evoked-sweep";
  readonly version: 1;
  readonly settings: SweepSettings;
  readonly units: readonly { readonly id: string; readonly title: string; readonly network: string; readonly layer: string; readonly kind: string; readonly weightsSha256: string }[];
  readonly models: readonly { readonly id: string; readonly sha256: string; readonly provider: string }[];
  /** Command that makes it again; "" where it was started from a window. */
  readonly command: string;
  readonly appVersion: string;
}

const resultLine = z.object({
  unit: z.string(), generator: z.string(), run: z.number().int(), sign: z.enum(["positive", "negative"]), alpha: z.number(),
  activation: z.number(), intactActivation: z.number(), generation: z.number().int(), means: z.array(z.number()), latent: z.string(),
  mean: z.object({ activation: z.number(), intactActivation: z.number(), latent: z.string() }),
  /** Lines of this group; a group counts once they are all there. */
  of: z.number().int(),
});

export interface SweepFolder extends SweepStore {
  readonly folder: string;
  readonly head: SweepHead;
  /** Results of all finished groups, in the order they were finished. */
  results(): readonly EvolutionResult[];
}

/** The name of a linear model: what it reads, and with which weights. */
export function hashUnit(unit: Pick<LinearUnit, "network" | "layer" | "intercept" | "weights">): string {
  const hash = createHash("sha256");
  hash.update(`${unit.network}\n${unit.layer}\n${unit.intercept}\n`);
  hash.update(new Uint8Array(unit.weights.buffer, unit.weights.byteOffset, unit.weights.byteLength));
  return hash.digest("hex");
}

/**
 * Opens a sweep's folder, or makes it. A folder that holds another sweep (other settings, units or models) is refused. More runs may be
 * asked for than before: the ones there count. Errors: `sweepOther`, `sweepUnreadable`, `sweepFolder`.
 */
export async function openSweepFolder(folder: string, head: SweepHead): Promise<Result<SweepFolder, Fault>> {
  const headFile = join(folder, "sweep.json");
  const resultsFile = join(folder, "results.jsonl");
  const checkpointFolder = join(folder, "checkpoints");
  try {
    await mkdir(checkpointFolder, { recursive: true });
    const before = await readIfThere(headFile);
    if (before !== null) {
      const difference = describeDifference(before.toString("utf8"), head);
      if (difference !== null) return fault("sweepOther", `The folder ${folder} holds another sweep: ${difference}. Choose another folder with --out, or remove this one.`);
    }
    await writeWhole(headFile, `${JSON.stringify(head, null, 2)}\n`);
    for (const name of await readdir(checkpointFolder)) if (name.endsWith(".tmp")) await rm(join(checkpointFolder, name));
  } catch (error) {
    return fault("sweepFolder", `Could not write the sweep to ${folder}: ${describe(error)}. Check the folder and the free space.`);
  }
  const read = await readResults(resultsFile);
  if (!read.ok) return read;
  const results = new Map<string, readonly EvolutionResult[]>(read.value.groups);
  if (read.value.wholeBytes !== null) {
    // The last line was cut off by a crash: what follows must not be glued to it.
    const file = await open(resultsFile, "r+");
    await file.truncate(read.value.wholeBytes);
    await file.close();
  }
  const checkpointFile = (group: GroupKey): string => join(checkpointFolder, `${createHash("sha256").update(keyOf(group)).digest("hex").slice(0, 20)}.ckpt`);

  return ok({
    folder,
    head,
    results: () => [...results.values()].flat(),
    finished: () => [...results.values()].flatMap((group) => (group[0] === undefined ? [] : [{ unit: group[0].unit, generator: group[0].generator, run: group[0].run }])),
    async finish(group, evolved) {
      const text = evolved.map((result) => `${JSON.stringify({ ...result, latent: toBase64(result.latent), mean: { ...result.mean, latent: toBase64(result.mean.latent) }, of: evolved.length })}\n`).join("");
      const file = await open(resultsFile, "a");
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      results.set(keyOf(group), evolved);
      await rm(checkpointFile(group), { force: true });
    },
    checkpoint: (group) => readIfThere(checkpointFile(group)),
    keep: (group, bytes) => writeWhole(checkpointFile(group), bytes),
  });
}

/** Settings and results of a sweep's folder, to look at. Errors: `sweepMissing`, `sweepUnreadable`. */
export async function readSweepFolder(folder: string): Promise<Result<{ readonly head: SweepHead; readonly results: readonly EvolutionResult[] }, Fault>> {
  try {
    const text = await readIfThere(join(folder, "sweep.json"));
    if (text === null) return fault("sweepMissing", `Expected the folder of a sweep at ${folder}, it has no sweep.json.`);
    const head = JSON.parse(text.toString("utf8")) as SweepHead;
    if (head.format !== "evoked-sweep" || head.version !== 1) return fault("sweepUnreadable", `Expected a sweep of this version in ${folder}, got ${String(head.format)} ${String(head.version)}.`);
    const read = await readResults(join(folder, "results.jsonl"));
    return read.ok ? ok({ head, results: [...read.value.groups.values()].flat() }) : read;
  } catch (error) {
    return fault("sweepUnreadable", `Expected the folder of a sweep at ${folder}, got: ${describe(error)}.`);
  }
}

/** Groups with all their lines. `wholeBytes`: where the file is to be cut because its last line or group is not whole; null for nowhere. */
async function readResults(path: string): Promise<Result<{ readonly groups: Map<string, EvolutionResult[]>; readonly wholeBytes: number | null }, Fault>> {
  const groups = new Map<string, EvolutionResult[]>();
  const bytes = await readIfThere(path);
  if (bytes === null) return ok({ groups, wholeBytes: null });
  let wholeBytes = 0;
  let pending: EvolutionResult[] = [];
  for (let from = 0; from < bytes.length; ) {
    const end = bytes.indexOf(10, from);
    if (end < 0) break;
    let data: unknown;
    try {
      data = JSON.parse(bytes.toString("utf8", from, end));
    } catch {
      break;
    }
    const line = resultLine.safeParse(data);
    if (!line.success) return fault("sweepUnreadable", `Expected a result on every line of ${path}; the line at byte ${from} has none at "${line.error.issues[0]?.path.join(".") ?? ""}". Remove the file to compute the sweep again.`);
    const { of, latent, mean, ...rest } = line.data;
    const result: EvolutionResult = { ...rest, latent: fromBase64(latent), mean: { ...mean, latent: fromBase64(mean.latent) } };
    if (pending[0] !== undefined && keyOf(pending[0]) !== keyOf(result)) pending = [];
    pending.push(result);
    from = end + 1;
    if (pending.length === of) {
      groups.set(keyOf(result), pending);
      pending = [];
      wholeBytes = from;
    }
  }
  return ok({ groups, wholeBytes: wholeBytes === bytes.length ? null : wholeBytes });
}

function describeDifference(beforeText: string, head: SweepHead): string | null {
  let before: SweepHead;
  try {
    before = JSON.parse(beforeText) as SweepHead;
  } catch {
    return "its sweep.json does not read";
  }
  if (before.format !== "evoked-sweep" || before.version !== 1) return "its sweep.json is of another version";
  for (const key of ["seed", "generators", "optimizer", "population", "generations", "signs", "alphas", "rule"] as const) {
    if (JSON.stringify(before.settings[key]) !== JSON.stringify(head.settings[key])) return `its ${key} is ${JSON.stringify(before.settings[key])}, asked for is ${JSON.stringify(head.settings[key])}`;
  }
  for (const unit of head.units) {
    const held = before.units.find((candidate) => candidate.id === unit.id);
    if (held !== undefined && held.weightsSha256 !== unit.weightsSha256) return `its unit ${unit.id} has other weights`;
  }
  for (const model of head.models) {
    const held = before.models.find((candidate) => candidate.id === model.id);
    if (held !== undefined && held.sha256 !== model.sha256) return `its model ${model.id} is another file`;
  }
  return null;
}

/** Beside its place, synced, then renamed: a reader finds the old file or the new one. */
export async function writeWhole(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  const file = await open(temporary, "w");
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}

export async function readIfThere(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}

function toBase64(values: Float32Array): string {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString("base64");
}

function fromBase64(text: string): Float32Array {
  return new Float32Array(Uint8Array.from(Buffer.from(text, "base64")).buffer);
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
