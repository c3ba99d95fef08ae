// From official weight files, or from a folder with a finished model, to a model in the user's folder. The converters in
// models/convert do the conversion and the comparison with their framework; here their result is checked and put in its place.
// Knows nothing about downloads.

import { spawn } from "node:child_process";
import { cp, mkdir, readFile, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

import type { ModelManifest } from "../shared/manifest.ts";
import { fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import type { OfficialWay, PublishedModel } from "./catalogue.ts";
import { checkModel, describe, manifestFileName, parseManifest } from "./registry.ts";

export interface ImportPlace {
  /** The user's models folder. */
  readonly modelsDir: string;
  /** Folder of the converters. */
  readonly convertDir: string;
  /** Take the place of a model with the same id. */
  readonly replace: boolean;
  /** Python with torch, torchvision and onnx; found by itself where left out. */
  readonly python?: string;
}

export interface ImportedModel {
  readonly manifest: ModelManifest;
  readonly folder: string;
}

const pythonNeeds = "import torch, torchvision, onnx, numpy";

/** The first Python that has what the converters need. Errors: `pythonMissing`. */
export async function findPython(named: string | undefined = process.env["EVOKED_PYTHON"]): Promise<Result<string, Fault>> {
  const candidates = named === undefined ? ["/usr/bin/python3", "python3", "python"] : [named];
  for (const candidate of candidates) {
    const run = await runProgram(candidate, ["-c", pythonNeeds]);
    if (run.code === 0) return ok(candidate);
  }
  return fault(
    "pythonMissing",
    `Expected a Python with torch, torchvision and onnx to convert weights, found none (tried ${candidates.join(", ")}). On Debian or Ubuntu: apt-get install python3-torch python3-torchvision python3-onnx; elsewhere: pip install torch torchvision onnx. A Python of your own is named by EVOKED_PYTHON.`,
  );
}

interface ProgramRun {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs a program to its end; a program that is not there answers with code null. */
function runProgram(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<ProgramRun> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
    let out = "";
    let err = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (out = (out + text).slice(-20_000)));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (err = (err + text).slice(-20_000)));
    child.on("error", () => resolve({ code: null, out, err }));
    child.on("close", (code) => resolve({ code, out, err }));
  });
}

/**
 * Converts official weight files and installs the model. Nothing in the files is executed. Errors: `filesExpected`, `fileMissing`,
 * `modelTwice`, `pythonMissing`, `weightsRefused` (with the converter's sentence), `converterFailed`, those of the registry.
 */
export async function importWeights(model: PublishedModel, way: OfficialWay, files: readonly string[], place: ImportPlace, source = ""): Promise<Result<ImportedModel, Fault>> {
  if (files.length !== way.files.length) {
    return fault("filesExpected", `Expected ${way.files.length} file${way.files.length === 1 ? "" : "s"} for ${model.id} (${way.files.map((file) => file.name).join(", ")}), got ${files.length}. Name them in that order.`);
  }
  for (const file of files) {
    if (!(await isFile(file))) return fault("fileMissing", `Expected the weight file ${file}, but it is not there. Check the path.`);
  }
  const target = join(place.modelsDir, model.id);
  const taken = await refuseTaken(target, place.replace);
  if (taken !== null) return { ok: false, error: taken };
  const python = place.python === undefined ? await findPython() : ok(place.python);
  if (!python.ok) return python;

  const workDir = join(place.modelsDir, `.import-${model.id}-${process.pid}`);
  await mkdir(workDir, { recursive: true });
  try {
    const run = await runProgram(
      python.value,
      [join(place.convertDir, way.converter.script), ...way.converter.arguments, ...files, "--out", workDir, ...(source === "" ? [] : ["--source", source])],
      { EVOKED_NODE: process.execPath, ELECTRON_RUN_AS_NODE: "1", PYTHONWARNINGS: "ignore", PYTHONDONTWRITEBYTECODE: "1" },
    );
    if (run.code !== 0) {
      const refused = /^refused: (.+)$/m.exec(run.err)?.[1];
      if (refused !== undefined) return fault("weightsRefused", `${files.map((file) => basename(file)).join(", ")} was not taken for ${model.id}. ${refused}`);
      if (/MemoryError|DefaultCPUAllocator|Killed/.test(run.err) || run.code === null) return fault("converterFailed", `The converter of ${model.id} was ended, most likely for lack of memory. Close other programs and try again.`);
      return fault("converterFailed", `The converter of ${model.id} failed: ${run.err.trim().split("\n").at(-1) ?? `exit code ${run.code}`}. Please report it with the versions of torch and onnx.`);
    }
    const checked = await readFinished(workDir);
    if (!checked.ok) return checked;
    if (checked.value.id !== model.id) return fault("converterFailed", `Expected the converter to make "${model.id}", it made "${checked.value.id}". Please report it.`);
    return ok({ manifest: checked.value, folder: await install(workDir, target) });
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
}

/** Installs a model that is an ONNX file with its manifest, from a folder. Errors: those of the registry, `modelTwice`. */
export async function importFolder(folder: string, place: Pick<ImportPlace, "modelsDir" | "replace">): Promise<Result<ImportedModel, Fault>> {
  const checked = await readFinished(folder);
  if (!checked.ok) return checked;
  const manifest = checked.value;
  if (!/^[\w.-]+$/.test(manifest.id) || manifest.id.startsWith(".")) return fault("manifestInvalid", `Expected a model id of letters, digits, dots and dashes, got "${manifest.id}". Change it in the manifest.`);
  const target = join(place.modelsDir, manifest.id);
  const taken = await refuseTaken(target, place.replace);
  if (taken !== null) return { ok: false, error: taken };
  const workDir = join(place.modelsDir, `.import-${manifest.id}-${process.pid}`);
  try {
    await mkdir(workDir, { recursive: true });
    for (const name of [manifest.file, manifestFileName]) await cp(join(folder, name), join(workDir, name));
    return ok({ manifest, folder: await install(workDir, target) });
  } catch (error) {
    return fault("importFailed", `${manifest.id} could not be copied to ${place.modelsDir}: ${describe(error)}. Check the space and the permissions there.`);
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
}

async function readFinished(folder: string): Promise<Result<ModelManifest, Fault>> {
  const path = join(folder, manifestFileName);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    return fault("manifestUnreadable", `Expected a manifest in ${path}: ${describe(error)}. Name a folder with an ONNX file and its manifest, or: evoked models import ID WEIGHTS.`);
  }
  const manifest = parseManifest(text, path);
  if (!manifest.ok) return manifest;
  if (basename(manifest.value.file) !== manifest.value.file) return fault("manifestInvalid", `Expected the name of a file beside the manifest, got "${manifest.value.file}".`);
  let file: Buffer;
  try {
    file = await readFile(join(folder, manifest.value.file));
  } catch (error) {
    return fault("modelFileMissing", `The model file ${join(folder, manifest.value.file)} could not be read: ${describe(error)}.`);
  }
  const checked = checkModel(new Uint8Array(file.buffer, file.byteOffset, file.byteLength), manifest.value);
  return checked.ok ? ok(manifest.value) : checked;
}

async function refuseTaken(target: string, replace: boolean): Promise<Fault | null> {
  if (replace || !(await stat(target).then(() => true, () => false))) return null;
  return { code: "modelTwice", message: `There is a model in ${target} already. Add --replace to put the new one in its place.` };
}

/** Renames into place: a reader of the folder sees the old model or the new one, never a half. */
async function install(workDir: string, target: string): Promise<string> {
  await mkdir(dirname(target), { recursive: true });
  const old = `${dirname(target)}/.old-${basename(target)}-${process.pid}`;
  const had = await rename(target, old).then(() => true, () => false);
  await rename(workDir, target);
  if (had) await rm(old, { recursive: true, force: true });
  return target;
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then((found) => found.isFile(), () => false);
}
