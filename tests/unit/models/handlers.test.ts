import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { createModelsHandlers } from "../../../src/engine/modelsHandlers.ts";
import { startModels } from "../../../src/models/client.ts";
import type { Models } from "../../../src/models/client.ts";
import { measurePerceptualDistances } from "../../../src/models/perceptual.ts";
import { modelsInOrder, progressShare, progressWords } from "../../../src/renderer/models/modelsView.ts";
import type { ModelFetch, ModelLine } from "../../../src/shared/contract/index.ts";
import { unwrap } from "../../../src/shared/result.ts";

const modelsDir = fileURLToPath(new URL("../../../models", import.meta.url));
const caller = { id: "window", access: ["view", "operate"] } as const;

let dir: string;
let models: Models;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "evoked-handlers-"));
  models = unwrap(await startModels({ modelsDirs: [modelsDir, dir], provider: "cpu", inProcess: true }));
});
afterAll(async () => {
  await models.close();
  await rm(dir, { recursive: true });
});

function theHandlers(changes: { readonly running?: boolean; readonly own?: boolean } = {}) {
  const told: ModelFetch[] = [];
  const over = Promise.withResolvers<ModelFetch>();
  const handlers = createModelsHandlers({
    models, modelFolders: changes.own === false ? [modelsDir] : [modelsDir, dir], isSessionRunning: () => changes.running === true,
    emitFetch: (progress) => {
      told.push(progress);
      if (progress.message !== null) over.resolve(progress);
    },
  });
  return { handlers, told, over: over.promise };
}

describe("the models methods of the engine", () => {
  it("list what is there and what is missing", async () => {
    const overview = unwrap(await theHandlers().handlers["models.list"]({}, caller));
    expect(overview.folder).toBe(dir);
    expect(overview.models.find((model) => model.id === "shapes-relu")?.state).toBe("builtIn");
    expect(overview.analyses.find((analysis) => analysis.id === "objectness")?.state).toBe("standIn");
  });
  it("check an installed model, and say which there are where it is none", async () => {
    const { handlers } = theHandlers();
    expect(unwrap(await handlers["models.verify"]({ id: "shapes-relu" }, caller))).toMatchObject({ ok: true, message: expect.stringMatching(/probe batch are right; cpu/) });
    expect(unwrap(await handlers["models.verify"]({ id: "ghost" }, caller))).toMatchObject({ ok: false, message: expect.stringContaining("shapes-relu") });
  });
  it("tell the end of a fetch that cannot be made, with the sentence", async () => {
    const { handlers, told, over } = theHandlers();
    unwrap(await handlers["models.fetch"]({ id: "yolov7" }, caller));
    expect(await over).toMatchObject({ id: "yolov7", phase: "failed", message: expect.stringContaining("export.py") });
    expect(told.filter((progress) => progress.message !== null).length).toBe(1);
  });
  it("fetch nothing while a session runs, nor without a folder, nor two at once", async () => {
    expect(await theHandlers({ running: true }).handlers["models.fetch"]({ id: "alexnet" }, caller)).toMatchObject({ ok: false, error: { code: "sessionRunning" } });
    expect(await theHandlers({ own: false }).handlers["models.fetch"]({ id: "alexnet" }, caller)).toMatchObject({ ok: false, error: { code: "noFolder" } });
    const { handlers, over } = theHandlers();
    const [first, second] = await Promise.all([handlers["models.fetch"]({ id: "yolov7" }, caller), handlers["models.fetch"]({ id: "alexnet" }, caller)]);
    expect([first.ok, second.ok]).toEqual([true, false]);
    await over;
  });
});

describe("the models screen's words", () => {
  const line = (id: string, state: ModelLine["state"], kind: string): ModelLine => ({ id, title: id, kind, state, purpose: "", licence: "", problem: null, howToGet: null, fetchable: false, sizeBytes: null, detail: "", source: "", provider: null });
  it("put what is refused first and what is missing last", () => {
    const listed = [line("a", "missing", "generator"), line("b", "builtIn", "encoder"), line("c", "builtIn", "generator"), line("d", "problem", "detector"), line("e", "ready", "encoder")];
    expect(modelsInOrder(listed).map((model) => model.id)).toEqual(["d", "e", "c", "b", "a"]);
  });
  it("tell how far a download is, with and without a known size", () => {
    const at: ModelFetch = { id: "a", phase: "downloading", file: "a.pth", receivedBytes: 25e6, totalBytes: 100e6, message: null };
    expect([progressShare(at), progressWords(at)]).toEqual([0.25, "25 of 100 MB"]);
    expect([progressShare({ ...at, totalBytes: null }), progressWords({ ...at, totalBytes: null })]).toEqual([0, "25 MB"]);
    expect(progressShare({ ...at, phase: "converting" })).toBe(1);
  });
});

describe("perceptual distances", () => {
  it("are squared Euclidean distances of the images' vectors", () => {
    expect([...measurePerceptualDistances(Float32Array.of(0, 0, 3, 4), Float32Array.of(0, 0, 1, 0), 2)]).toEqual([0, 1, 25, 20]);
    expect(() => measurePerceptualDistances(Float32Array.of(1), Float32Array.of(1, 2), 2)).toThrow(/expected vectors of 2/);
  });
});
