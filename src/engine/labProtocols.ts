// Protocols of the lab's own: modules in a folder, each one file without imports, so that the hash of the file stands for all that it does.
// Knows nothing about how they run.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { z } from "zod";
import { parseLabSettings } from "../loop/protocols/lab.ts";
import type { LabDefinition } from "../loop/protocols/lab.ts";
import type { LabProtocols } from "../loop/protocols/registry.ts";
import type { PlanStep } from "../shared/contract/index.ts";
import { FaultError, fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";

const scalar = z.union([z.number(), z.string(), z.boolean()]);
const definition = z.object({
  title: z.string().min(1), description: z.string(),
  options: z.array(z.object({ name: z.string().min(1), unit: z.string(), default: scalar, min: z.number().optional(), max: z.number().optional(), choices: z.array(z.string()).optional(), description: z.string() })),
  open: z.custom<LabDefinition["open"]>((v) => typeof v === "function", "expected a function"),
});

const extensions = [".mjs", ".js"] as const;

export interface LabModule {
  readonly name: string;
  readonly file: string;
  readonly sha256: string;
  readonly definition: LabDefinition;
}

/** Names of the modules in a folder; a folder that does not exist has none. */
export function labNames(folder: string): readonly string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).flatMap((n) => (extensions.some((e) => extname(n) === e) ? [n.slice(0, -extname(n).length)] : [])).sort();
}

/** Errors: `noProtocol`, `badProtocol`. */
export function loadLabModule(folder: string, name: string): Result<LabModule, Fault> {
  const file = extensions.map((e) => join(folder, `${name}${e}`)).find((f) => existsSync(f));
  if (file === undefined) return fault("noProtocol", `Expected the protocol "${name}" as ${join(folder, `${name}.mjs`)}, found none. Put the module there, or set EVOKED_PROTOCOLS to its folder.`);
  try {
    const source = readFileSync(file);
    const sha256 = createHash("sha256").update(source).digest("hex");
    // Under its hash: a module that was changed while the app runs is another module.
    const copies = join(tmpdir(), "evoked-protocols");
    mkdirSync(copies, { recursive: true });
    const copy = join(copies, `${name}-${sha256}.mjs`);
    writeFileSync(copy, source);
    const loaded: unknown = createRequire(import.meta.url)(copy);
    const parsed = z.object({ default: definition }).safeParse(loaded);
    if (!parsed.success) {
      const first = parsed.error.issues[0];
      return fault("badProtocol", `The protocol in ${file} is not right at "${first?.path.join(".") ?? ""}": ${first?.message ?? "unknown"}. docs/protocols.md shows what a module exports.`);
    }
    const { title, description, open } = parsed.data.default;
    const options = parsed.data.default.options.map((o) => ({
      name: o.name, unit: o.unit, default: o.default, description: o.description,
      ...(o.min === undefined ? {} : { min: o.min }), ...(o.max === undefined ? {} : { max: o.max }), ...(o.choices === undefined ? {} : { choices: o.choices }),
    }));
    return ok({ name, file, sha256, definition: { title, description, options, open } });
  } catch (error) {
    return fault("badProtocol", `The protocol in ${file} could not be loaded: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/**
 * The own protocols that a plan names. `recorded`: hashes that a session was recorded with; another source decides otherwise and is refused.
 * Errors: those of loadLabModule, `labSettings`, `protocolChanged`.
 */
export function loadLabProtocols(folder: string, steps: readonly PlanStep[], recorded: ReadonlyMap<string, string> = new Map()): Result<LabProtocols, Fault> {
  const out = new Map<string, { readonly definition: LabDefinition; readonly sha256: string }>();
  for (const [index, step] of steps.entries()) {
    if (step.protocol !== "lab") continue;
    const loaded = loadLabModule(folder, step.name);
    if (!loaded.ok) return loaded;
    const wanted = recorded.get(step.name);
    if (wanted !== undefined && wanted !== loaded.value.sha256) {
      return fault("protocolChanged", `The protocol "${step.name}" in ${loaded.value.file} is not the one that the session was recorded with (sha256 ${loaded.value.sha256.slice(0, 12)}… instead of ${wanted.slice(0, 12)}…): it might decide otherwise. Put the recorded version back to replay or go on with the session.`);
    }
    const settings = parseLabSettings(loaded.value.definition, step.settings);
    if (typeof settings === "string") return fault("labSettings", `Step ${index + 1} (${step.name}): ${settings}.`);
    out.set(step.name, { definition: loaded.value.definition, sha256: loaded.value.sha256 });
  }
  return ok(out);
}

/** For code that knows only exceptions. */
export function requireLabProtocols(...args: Parameters<typeof loadLabProtocols>): LabProtocols {
  const loaded = loadLabProtocols(...args);
  if (!loaded.ok) throw new FaultError(loaded.error);
  return loaded.value;
}
