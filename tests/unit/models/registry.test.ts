import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

import { checkModel, parseManifest, readRegistry } from "../../../src/models/registry.ts";
import { startModels } from "../../../src/models/client.ts";
import { aManifestFor, aModelsDir, aTinyEncoderFile } from "./tinyModels.ts";
import type { TinyOptions } from "./tinyModels.ts";

function refusal(options: TinyOptions, changes: Parameters<typeof aManifestFor>[1] = {}) {
  const file = aTinyEncoderFile(options);
  const result = checkModel(file, aManifestFor(file, changes));
  return result.ok ? "accepted" : `${result.error.code}: ${result.error.message}`;
}

describe("a model file against its manifest", () => {
  it("accepts a file that is what its manifest says", () => {
    expect(refusal({})).toBe("accepted");
  });
  it("refuses another hash, naming both", () => {
    const file = aTinyEncoderFile();
    const result = checkModel(file, aManifestFor(aTinyEncoderFile({ weight: Float32Array.of(9, 9, 9) })));
    expect(result).toMatchObject({ ok: false, error: { code: "modelHashWrong", message: expect.stringMatching(/expected sha256 [0-9a-f]{16}.*got [0-9a-f]{16}/) } });
  });
  it("refuses a truncated file even where its hash was recorded", () => {
    const file = aTinyEncoderFile().subarray(0, 90);
    expect(checkModel(file, aManifestFor(file))).toMatchObject({ ok: false, error: { code: "modelUnreadable" } });
  });
  it("refuses a Python pickle without running anything of it", () => {
    // GLOBAL os.system, as a hostile checkpoint would have it.
    const pickle = new TextEncoder().encode("\u0080\u0002cos\nsystem\nX\u0004\u0000\u0000\u0000trueq\u0001\u0085R.");
    expect(checkModel(pickle, aManifestFor(pickle))).toMatchObject({ ok: false, error: { code: "modelUnreadable" } });
  });
  it("refuses another architecture by the names of its inputs and outputs", () => {
    expect(refusal({ inputName: "data" })).toMatch(/^modelNames: .*"data".*/);
    expect(refusal({ outputName: "fc8" })).toMatch(/^modelNames: .*expected an output "features", its graph has "fc8"/);
  });
  it("refuses another shape, saying both", () => {
    expect(refusal({ sizePx: 16 })).toMatch(/^modelShape: .*\[batch, 3, 8, 8\], got \[batch, 3, 16, 16\]/);
  });
  it("refuses a batch dimension that is not free", () => {
    expect(refusal({ fixedBatch: true })).toMatch(/^modelShape: .*free batch dimension/);
  });
  it("refuses NaN and infinite weights", () => {
    expect(refusal({ weight: Float32Array.of(1, Number.NaN, 3) })).toMatch(/^modelNaN: .*"w"/);
    expect(refusal({ weight: Float32Array.of(1, 2, Infinity) })).toMatch(/^modelNaN/);
  });
  it("refuses a weight shorter than its shape", () => {
    expect(refusal({ weightDims: [1, 4, 1, 1] })).toMatch(/^modelUnreadable: .*"w"/);
  });
  it("refuses operator sets it cannot join with its own steps", () => {
    expect(refusal({ opset: 9 })).toMatch(/^modelOpset: .*got 9/);
    expect(refusal({ opset: 99 })).toMatch(/^modelOpset/);
  });
  it("refuses operators of unknown domains and weights in other files", () => {
    expect(refusal({ domain: "evil.example" })).toMatch(/^modelOperators: .*evil\.example/);
    expect(refusal({ external: true })).toMatch(/^modelExternalData/);
  });
  it("refuses a manifest whose layers do not add up", () => {
    expect(refusal({}, { layers: [{ name: "features", output: "features", dim: 191, shape: [3, 8, 8] }] })).toMatch(/^manifestInvalid/);
    expect(refusal({}, { penultimate: "fc7" })).toMatch(/^manifestInvalid: .*"fc7"/);
  });
});

describe("the registry", () => {
  it("lists a folder's models, and a folder that does not exist as empty", async () => {
    const file = aTinyEncoderFile();
    const { dir, remove } = await aModelsDir(file, aManifestFor(file));
    const entries = await readRegistry([dir, join(dir, "nowhere")]);
    expect(entries.map((entry) => [entry.id, entry.problem])).toEqual([["tiny", null]]);
    await remove();
  });
  it("keeps what is broken in the list with a sentence", async () => {
    const file = aTinyEncoderFile();
    for (const [manifest, code] of [
      ["{ not json", "manifestUnreadable"],
      [{ ...aManifestFor(file), sha256: "xyz" }, "manifestInvalid"],
      [{ ...aManifestFor(file), sizeBytes: file.length + 1 }, "modelTruncated"],
      [{ ...aManifestFor(file), file: "gone.onnx" }, "modelFileMissing"],
      [{ ...aManifestFor(file), file: "../tiny/tiny.onnx" }, "manifestInvalid"],
    ] as const) {
      const { dir, remove } = await aModelsDir(file, manifest);
      const [entry] = await readRegistry([dir]);
      expect(entry?.problem?.code).toBe(code);
      expect(entry?.problem?.message.length).toBeGreaterThan(30);
      await remove();
    }
  });
  it("uses the first of two models with one name and says where the other is", async () => {
    const file = aTinyEncoderFile();
    const one = await aModelsDir(file, aManifestFor(file));
    const two = await aModelsDir(file, aManifestFor(file));
    const entries = await readRegistry([one.dir, two.dir]);
    expect(entries.map((entry) => entry.problem?.code ?? "fine")).toEqual(["fine", "modelTwice"]);
    expect(entries[1]?.problem?.message).toContain(one.dir);
    await one.remove();
    await two.remove();
  });
  it("names the field of a manifest that does not fit", () => {
    const file = aTinyEncoderFile();
    const result = parseManifest(JSON.stringify({ ...aManifestFor(file), input: { name: "image", width: -1, height: 8, range: [0, 1] } }), "x.json");
    expect(result).toMatchObject({ ok: false, error: { message: expect.stringContaining('"input.width"') } });
  });
  it("answers an unknown model with the names that there are", async () => {
    const file = aTinyEncoderFile();
    const { dir, remove } = await aModelsDir(file, aManifestFor(file));
    const models = await startModels({ modelsDirs: [dir], inProcess: true, provider: "cpu" });
    if (!models.ok) throw new Error(models.error.message);
    expect(await models.value.encoder("alexnet")).toMatchObject({ ok: false, error: { code: "modelUnknown", message: expect.stringContaining("tiny") } });
    expect(await models.value.generator("tiny")).toMatchObject({ ok: false, error: { code: "modelKind" } });
    await models.value.close();
    await remove();
  });
  it("starts with no models at all", async () => {
    const dir = await mkdtemp(join(tmpdir(), "evoked-empty-"));
    const models = await startModels({ modelsDirs: [dir], inProcess: true });
    expect(models.ok && models.value.list()).toEqual([]);
    await rm(dir, { recursive: true });
  });
});
