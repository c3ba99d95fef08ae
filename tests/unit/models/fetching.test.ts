import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { findFetchableWay, parseCatalogue, readCatalogue } from "../../../src/models/catalogue.ts";
import type { PublishedModel } from "../../../src/models/catalogue.ts";
import { downloadsDirOf, fetchModel } from "../../../src/models/fetching.ts";
import type { FetchProgress } from "../../../src/models/fetching.ts";
import { importFolder, importWeights } from "../../../src/models/importing.ts";
import { listInventory } from "../../../src/models/inventory.ts";
import { readRegistry } from "../../../src/models/registry.ts";
import { unwrap } from "../../../src/shared/result.ts";
import { aFileServer } from "./fileServer.ts";
import type { FileServer } from "./fileServer.ts";
import { aManifestFor, aModelsDir, aTinyEncoderFile } from "./tinyModels.ts";

const builtInDir = fileURLToPath(new URL("../../../models", import.meta.url));
let dir: string;
let server: FileServer;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "evoked-fetch-"));
  server = await aFileServer({ files: { "tiny.pth": aTinyEncoderFile() } });
});
afterEach(async () => {
  await server.close();
  await rm(dir, { recursive: true, force: true });
});

function aPublished(changes: Partial<PublishedModel["ways"][number]["files"][number]> = {}): PublishedModel {
  return {
    id: "tiny", title: "Tiny", kind: "encoder", purpose: "tests", licence: "MIT",
    ways: [{ title: "its file", converter: { script: "tiny.py", arguments: [] }, files: [{ name: "tiny.pth", format: "pytorch", url: server.url("tiny.pth"), page: null, sha256: null, sha256Begins: null, aboutMB: null, ...changes }] }],
  };
}

/** A stand-in for Python that runs a converter: a shell script that gets the converter's command line. */
async function aConverter(body: string): Promise<string> {
  const path = join(dir, "python.sh");
  await writeFile(path, `#!/bin/sh\n# $1 script, $2 weights, $3 --out, $4 folder\n${body}\n`);
  await chmod(path, 0o755);
  return path;
}

async function aGoodConverter(): Promise<string> {
  const manifest = JSON.stringify(aManifestFor(aTinyEncoderFile()));
  return aConverter(`cp "$2" "$4/tiny.onnx"\ncat > "$4/manifest.json" <<'END'\n${manifest}\nEND`);
}

const place = async (python: string) => ({ modelsDir: join(dir, "models"), convertDir: "convert", replace: false, python });

describe("fetching a published model", () => {
  it("downloads, converts and installs it, telling how far it is", async () => {
    const seen: FetchProgress[] = [];
    const fetched = unwrap(await fetchModel(aPublished(), { ...(await place(await aGoodConverter())), onProgress: (progress) => seen.push(progress) }));
    expect(fetched.model?.manifest.id).toBe("tiny");
    expect((await readRegistry([join(dir, "models")])).map((entry) => [entry.id, entry.problem])).toEqual([["tiny", null]]);
    expect(new Set(seen.map((progress) => progress.phase))).toEqual(new Set(["downloading", "converting"]));
    expect((await readdir(join(dir, "models"))).sort()).toEqual([".downloads", "tiny"]);
  });
  it("records the hash of a file whose publisher names none, and refuses another file at that address later", async () => {
    const options = { ...(await place(await aGoodConverter())), downloadOnly: true };
    const first = unwrap(await fetchModel(aPublished(), options));
    expect(first.recorded.map((one) => one.name)).toEqual(["tiny.pth"]);
    await rm(join(downloadsDirOf(options.modelsDir), "tiny.pth"));
    expect(unwrap(await fetchModel(aPublished(), options)).recorded).toEqual([]);
    await rm(join(downloadsDirOf(options.modelsDir), "tiny.pth"));
    server.change({ files: { "tiny.pth": aTinyEncoderFile({ weight: Float32Array.of(6, 6, 6) }) } });
    expect(await fetchModel(aPublished(), options)).toMatchObject({ ok: false, error: { code: "hashWrong" } });
  });
  it("says where to get a model that has no address, downloading nothing", async () => {
    const result = await fetchModel(aPublished({ url: null, how: "Ask its authors." }), await place(await aGoodConverter()));
    expect(result).toMatchObject({ ok: false, error: { code: "noAddress", message: expect.stringContaining("Ask its authors. Then run: evoked models import tiny tiny.pth") } });
    expect(server.requests).toEqual([]);
  });
});

describe("importing weight files", () => {
  it("gives the converter's own sentence where it refuses a file, and leaves nothing behind", async () => {
    const python = await aConverter('echo "refused: The file is a song. Get the weights." >&2\nexit 3');
    const weights = join(dir, "song.pth");
    await writeFile(weights, "la");
    const [way] = aPublished().ways;
    if (way === undefined) throw new Error("expected a way");
    expect(await importWeights(aPublished(), way, [weights], await place(python))).toMatchObject({ ok: false, error: { code: "weightsRefused", message: "song.pth was not taken for tiny. The file is a song. Get the weights." } });
    expect(await readdir(join(dir, "models"))).toEqual([]);
  });
  it("holds what a converter made against its manifest before it is installed", async () => {
    const manifest = JSON.stringify(aManifestFor(aTinyEncoderFile({ weight: Float32Array.of(1, 1, 1) })));
    const python = await aConverter(`cp "$2" "$4/tiny.onnx"\ncat > "$4/manifest.json" <<'END'\n${manifest}\nEND`);
    expect(await fetchModel(aPublished(), await place(python))).toMatchObject({ ok: false, error: { code: "modelHashWrong" } });
    expect(await readdir(join(dir, "models"))).toEqual([".downloads"]);
  });
  it("reports a converter that breaks, with its last line", async () => {
    const python = await aConverter('echo "Traceback ..." >&2\necho "ValueError: seven" >&2\nexit 1');
    expect(await fetchModel(aPublished(), await place(python))).toMatchObject({ ok: false, error: { code: "converterFailed", message: expect.stringContaining("ValueError: seven") } });
  });
  it("asks for all files of a model, and for files that are there", async () => {
    const [way] = aPublished().ways;
    if (way === undefined) throw new Error("expected a way");
    const where = await place(await aGoodConverter());
    expect(await importWeights(aPublished(), way, [], where)).toMatchObject({ ok: false, error: { code: "filesExpected" } });
    expect(await importWeights(aPublished(), way, [join(dir, "nowhere.pth")], where)).toMatchObject({ ok: false, error: { code: "fileMissing" } });
  });
});

describe("importing a finished model", () => {
  it("copies it into the user's folder, once, and replaces it when told to", async () => {
    const file = aTinyEncoderFile();
    const source = await aModelsDir(file, aManifestFor(file));
    const modelsDir = join(dir, "models");
    const first = unwrap(await importFolder(join(source.dir, "tiny"), { modelsDir, replace: false }));
    expect(new Uint8Array(await readFile(join(first.folder, "tiny.onnx")))).toEqual(file);
    expect(await importFolder(join(source.dir, "tiny"), { modelsDir, replace: false })).toMatchObject({ ok: false, error: { code: "modelTwice" } });
    expect((await importFolder(join(source.dir, "tiny"), { modelsDir, replace: true })).ok).toBe(true);
    expect(await readdir(modelsDir)).toEqual(["tiny"]);
    await source.remove();
  });
  it("refuses a folder without a manifest and a file of another architecture", async () => {
    const file = aTinyEncoderFile({ outputName: "fc8" });
    const source = await aModelsDir(file, aManifestFor(file));
    const modelsDir = join(dir, "models");
    expect(await importFolder(join(source.dir, "tiny"), { modelsDir, replace: false })).toMatchObject({ ok: false, error: { code: "modelNames" } });
    await mkdir(join(dir, "empty"));
    expect(await importFolder(join(dir, "empty"), { modelsDir, replace: false })).toMatchObject({ ok: false, error: { code: "manifestUnreadable" } });
    await source.remove();
  });
});

describe("the catalogue", () => {
  it("describes every model that an analysis needs, with a way to each", async () => {
    const catalogue = unwrap(await readCatalogue(builtInDir));
    expect(catalogue.models.map((model) => model.id)).toEqual(expect.arrayContaining(["deepsim-fc6", "biggan-deep-256", "alexnet", "vgg16", "resnet50", "resnet50-linf-0.5", "resnet50-linf-8", "resnet50-simsiam", "resnet18-relu", "resnet18-tanh", "resnet50-ssl", "yolov7", "lpips-alex"]));
    for (const model of catalogue.models) {
      const fetchable = findFetchableWay(model) !== null;
      // Whatever no program can download has a sentence for a person.
      expect(fetchable || model.ways.every((way) => way.files.some((file) => file.how !== undefined))).toBe(true);
      for (const file of model.ways.flatMap((way) => way.files)) expect(file.url === null || file.url.startsWith("https://")).toBe(true);
    }
  });
  it("is refused where an analysis needs a model that it does not describe", () => {
    expect(parseCatalogue({ models: [], analyses: [{ id: "a", title: "A", needs: ["ghost"], standIns: [] }] })).toMatchObject({ ok: false, error: { message: expect.stringContaining('"ghost"') } });
  });
  it("tells for every analysis whether it runs, on what, and what is missing", async () => {
    const catalogue = unwrap(await readCatalogue(builtInDir));
    const overview = listInventory({ catalogue, entries: await readRegistry([builtInDir]), builtInDir, folder: dir });
    const byId = new Map(overview.analyses.map((analysis) => [analysis.id, analysis]));
    expect(byId.get("objectness")).toMatchObject({ state: "standIn", missing: ["yolov7"], sentence: expect.stringContaining("shapes-detector") });
    expect(byId.get("perceptual")).toMatchObject({ state: "missing", missing: ["lpips-alex"] });
    expect(overview.models.find((model) => model.id === "shapes-g1")).toMatchObject({ state: "builtIn", howToGet: null });
    expect(overview.models.find((model) => model.id === "alexnet")).toMatchObject({ state: "missing", fetchable: true, howToGet: expect.stringContaining("evoked models fetch alexnet") });
    expect(overview.models.find((model) => model.id === "yolov7")).toMatchObject({ state: "missing", fetchable: false, howToGet: expect.stringContaining("export.py") });
  });
});
