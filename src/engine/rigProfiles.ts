// Rig profiles: JSON files in one folder, one a rig, with a schema and a version. A file that cannot be read is listed with the reason and never
// touched. Knows nothing about drivers.
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eyeRegistry, rewardRegistry, syncRegistry } from "../acquisition/devices.ts";
import { rigRegistry } from "../acquisition/index.ts";
import { rigProfile, rigProfileName, rigProfileSchema, rigProfileVersion } from "../shared/contract/index.ts";
import type { Handlers, RigConfig, RigProfile, RigProfileLine } from "../shared/contract/index.ts";
import { fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { describeIssues } from "./dispatch.ts";
import type { Caller } from "./engineTypes.ts";

/** By name. A folder that is not there has none. */
export function listRigProfiles(folder: string): readonly RigProfileLine[] {
  let names: readonly string[];
  try {
    names = readdirSync(folder).filter((file) => file.endsWith(".json"));
  } catch {
    return [];
  }
  return names.toSorted((a, b) => a.localeCompare(b)).map((file): RigProfileLine => {
    const name = file.slice(0, -".json".length);
    const read = readRigProfile(folder, name);
    return { name, file: join(folder, file), summary: read.ok ? describeRig(read.value.rig) : "", changedUtc: changedUtc(join(folder, file)), problem: read.ok ? null : read.error.message };
  });
}

/** Errors: `noProfile`, `badProfile`, `newerProfile`. */
export function readRigProfile(folder: string, name: string): Result<RigProfile, Fault> {
  const fitting = rigProfileName.safeParse(name);
  if (!fitting.success) return fault("badProfile", `Expected a name of ${fitting.error.issues[0]?.message.replace("expected ", "") ?? "letters and digits"}, got "${name}".`);
  const file = fileOf(folder, fitting.data);
  let given: unknown;
  try {
    given = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    const names = listNames(folder);
    if (isMissing(error)) return fault("noProfile", `Expected a rig profile "${name}" in ${folder}, found ${names.length === 0 ? "none" : names.join(", ")}. Save one on the rig screen, or name another.`);
    return fault("badProfile", `Expected JSON in ${file}, got: ${error instanceof Error ? error.message : String(error)}. Correct the file or remove it.`);
  }
  const head = headOf(given);
  if (head.schema !== rigProfileSchema) return fault("badProfile", `Expected "schema": "${rigProfileSchema}" in ${file}, got ${JSON.stringify(head.schema) ?? "nothing"}. This is no rig profile.`);
  if (typeof head.version === "number" && head.version > rigProfileVersion) return fault("newerProfile", `${file} is a rig profile of version ${head.version}; this version of Evoked reads up to ${rigProfileVersion}. Install a newer Evoked.`);
  const parsed = rigProfile.safeParse(given);
  return parsed.success ? ok(parsed.data) : fault("badProfile", `${file}: ${describeIssues("profile", parsed.error, given)} Correct the file.`);
}

/** Whole or not at all: a crash leaves the old profile. Errors: `profileNotSaved`. */
export function saveRigProfile(folder: string, profile: RigProfile): Result<RigProfileLine, Fault> {
  const file = fileOf(folder, profile.name);
  const kept: RigProfile = { ...profile, rig: { ...profile.rig, profile: profile.name } };
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(`${file}.new`, `${JSON.stringify(kept, null, 2)}\n`);
    renameSync(`${file}.new`, file);
  } catch (error) {
    return fault("profileNotSaved", `The rig profile could not be written to ${file}: ${error instanceof Error ? error.message : String(error)}. Make room there, or choose another folder with EVOKED_RIGS.`);
  }
  return ok({ name: profile.name, file, summary: describeRig(profile.rig), changedUtc: changedUtc(file), problem: null });
}

/** Errors: `noProfile`. */
export function removeRigProfile(folder: string, name: string): Result<null, Fault> {
  try {
    rmSync(fileOf(folder, rigProfileName.parse(name)));
    return ok(null);
  } catch (error) {
    return isMissing(error) ? fault("noProfile", `Expected a rig profile "${name}" in ${folder}, found none.`) : fault("noProfile", `The rig profile "${name}" could not be removed: ${error instanceof Error ? error.message : String(error)}.`);
  }
}

/** "Open Ephys GUI, ISCAN, Arduino": what stands together. */
export function describeRig(rig: RigConfig): string {
  const title = (registry: readonly { readonly kind: string; readonly title: string }[], kind: string): string => registry.find((d) => d.kind === kind)?.title ?? kind;
  const beside = [[eyeRegistry, rig.eye], [rewardRegistry, rig.reward], [syncRegistry, rig.sync]] as const;
  return [title(rigRegistry, rig.kind), ...beside.flatMap(([registry, device]) => (device === null ? [] : [title(registry, device.kind)]))].join(", ");
}

export type RigProfileHandlers = Pick<Handlers<Caller>, "rigs.list" | "rigs.load" | "rigs.save" | "rigs.remove">;

export function createRigHandlers(folder: string): RigProfileHandlers {
  return {
    "rigs.list": async () => ok(listRigProfiles(folder)),
    "rigs.load": async ({ name }) => readRigProfile(folder, name),
    "rigs.save": async ({ profile }) => saveRigProfile(folder, profile),
    "rigs.remove": async ({ name }) => removeRigProfile(folder, name),
  };
}

function fileOf(folder: string, name: string): string {
  return join(folder, `${name}.json`);
}

function listNames(folder: string): readonly string[] {
  try {
    return readdirSync(folder).filter((file) => file.endsWith(".json")).map((file) => file.slice(0, -".json".length));
  } catch {
    return [];
  }
}

function changedUtc(file: string): string {
  try {
    return statSync(file).mtime.toISOString();
  } catch {
    return "";
  }
}

function headOf(given: unknown): { readonly schema: unknown; readonly version: unknown } {
  return typeof given === "object" && given !== null ? { schema: Reflect.get(given, "schema"), version: Reflect.get(given, "version") } : { schema: undefined, version: undefined };
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
