// The window's ablations over the death of the program: what was under way is in the list again, goes on, and gives the same images.
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { createInsilicoHandlers } from "../../../src/engine/insilico/handlers.ts";
import type { Caller } from "../../../src/engine/engineTypes.ts";
import { readSweepFolder } from "../../../src/engine/insilico/sweepFiles.ts";
import { builtInModels } from "../../../src/engine/paths.ts";
import type { Models } from "../../../src/models/client.ts";
import { sweepArgs } from "../../../src/shared/contract/index.ts";
import type { SweepLine } from "../../../src/shared/contract/index.ts";
import { fault, ok, unwrap } from "../../../src/shared/result.ts";
import { createRng } from "../../../src/shared/rng.ts";
import { aGenerator, anEncoder, latentDim, someModels } from "./support.ts";

const root = mkdtempSync(join(tmpdir(), "evoked-handlers-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const caller = {} as Caller;
const features = 128;

/** Models under plain-relu's name, whose classes the units are. `features` after which the program is dead: nothing answers any more. */
function aProgram(folder: string, options: { readonly diesAfter?: number; readonly withTail?: boolean } = {}) {
  const rng = createRng("wide");
  const mixing = Float32Array.from({ length: features * latentDim }, () => rng.gaussian());
  let asked = 0;
  const encoder = {
    ...anEncoder("plain-relu"),
    layers: [{ name: "penultimate", dim: features }, { name: "conv4", dim: features }],
    features: async (images: { readonly count: number; readonly data: Uint8Array; readonly width: number; readonly height: number }) => {
      const out = new Float32Array(images.count * features);
      for (let i = 0; i < images.count; i++) for (let f = 0; f < features; f++) {
        let sum = 0;
        for (let d = 0; d < latentDim; d++) sum += mixing[f * latentDim + d]! * (images.data[i * images.width * images.height * 3 + d]! / 127.5 - 1);
        out[i * features + f] = Math.max(0, sum);
      }
      return [out];
    },
  };
  const parts = someModels({ generators: [aGenerator()], encoders: [encoder] });
  const linear = (f: number, unit: number): number => Math.sin(f * 1.7 + unit);
  const models: Models = {
    ...parts,
    async latentEncoder(generator, id) {
      const joined = unwrap(await parts.latentEncoder(generator, id));
      return ok({ ...joined, features: async (...args) => {
        asked += 1;
        if (asked > (options.diesAfter ?? Number.POSITIVE_INFINITY)) return new Promise(() => undefined);
        return joined.features(...args);
      } });
    },
    layerTail: async () => options.withTail !== true ? fault("layerTail", "no tail") : ok({
      encoder: encoder.identity, layer: "conv4", dim: features, units: 10,
      logits: async ({ count, data }) => Float32Array.from({ length: count * 10 }, (_, i) => Array.from({ length: features }, (_v, f) => data[Math.floor(i / 10) * features + f]! * linear(f, i % 10)).reduce((a, b) => a + b, 0)),
      gradient: async ({ count }, unit) => Float32Array.from({ length: count * features }, (_, i) => linear(i % features, unit)),
    }),
  };
  const lines: SweepLine[] = [];
  const handlers = createInsilicoHandlers({ models, poolModels: models, modelFolders: [builtInModels], sessionFolder: folder, hostKind: "cli", emit: (line) => void lines.push(line) });
  const reaches = async (state: SweepLine["state"]): Promise<SweepLine> => {
    await expect.poll(() => lines.at(-1)?.state, { timeout: 50_000, interval: 5 }).toBe(state);
    return lines.at(-1)!;
  };
  return { handlers, lines, reaches, asked: () => asked };
}

const args = (layer: string | null) => sweepArgs.parse({ units: { from: "classes", network: "plain-relu", names: ["star", "ring"], layer }, generators: ["plain"], alphas: [0, 0.5, 1], runs: 2, generations: 14, population: 6 });

async function resultsOf(folder: string) {
  const [name = ""] = readdirSync(join(folder, "analyses"));
  return unwrap(await readSweepFolder(join(folder, "analyses", name))).results.toSorted((a, b) => `${a.unit} ${a.run} ${a.sign} ${a.alpha}`.localeCompare(`${b.unit} ${b.run} ${b.sign} ${b.alpha}`));
}

describe.each([["the last weights", null], ["another layer", "conv4"]] as const)("An ablation from the window, at %s", (name, layer) => {
  it("goes on after the program died in the middle, and comes to the same as one that never stopped", async () => {
    const whole = join(root, `${name} whole`);
    const first = aProgram(whole, { withTail: true });
    unwrap(await first.handlers["insilico.start"](args(layer), caller));
    await first.reaches("finished");

    const cut = join(root, `${name} cut`);
    const dying = aProgram(cut, { withTail: true, diesAfter: Math.floor(first.asked() * 0.6) });
    unwrap(await dying.handlers["insilico.start"](args(layer), caller));
    await expect.poll(() => dying.asked(), { timeout: 50_000, interval: 5 }).toBeGreaterThan(Math.floor(first.asked() * 0.6));

    // The next program finds it; it asks no network for gradients until something runs.
    const looking = aProgram(cut);
    const [line] = unwrap(await looking.handlers["insilico.list"]({}, caller));
    expect(line).toMatchObject({ state: "stopped", message: "" });
    expect(line!.groupsDone).toBeGreaterThan(0);
    const next = aProgram(cut, { withTail: true });
    unwrap(await next.handlers["insilico.resume"]({ id: line!.id }, caller));
    const { command } = unwrap(await next.handlers["insilico.results"]({ id: line!.id }, caller));
    expect(command.includes("--layer conv4")).toBe(layer !== null);
    await next.reaches("finished");
    expect(next.asked()).toBeLessThan(first.asked());
    expect(await resultsOf(cut)).toEqual(await resultsOf(whole));
  }, 120_000);
});

describe("Two ablations", () => {
  it("are not started at once, however fast they are asked for", async () => {
    const program = aProgram(join(root, "twice"));
    const answers = await Promise.all([1, 2].map(async () => program.handlers["insilico.start"](args(null), caller)));
    expect(answers.map((answer) => (answer.ok ? "started" : answer.error.code))).toEqual(["started", "analysisRunning"]);
    await program.handlers.close();
  });

  it("a layer that the network cannot be differentiated at is refused with its sentence, and no folder is made", async () => {
    const folder = join(root, "refused");
    expect(await aProgram(folder).handlers["insilico.start"](args("conv4"), caller)).toMatchObject({ ok: false, error: { code: "layerTail" } });
    expect(unwrap(await aProgram(folder).handlers["insilico.list"]({}, caller))).toEqual([]);
  });
});
