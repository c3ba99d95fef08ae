// The packaging file is one that electron-builder accepts, and names what the app cannot do without.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { expect, test } from "vitest";
import { z } from "zod";

const require = createRequire(import.meta.url);
const { load } = z.object({ load: z.custom<(text: string) => unknown>((value) => typeof value === "function") }).parse(require("js-yaml"));
const { validateSchema } = z.object({ validateSchema: z.custom<(schema: unknown, data: unknown) => void>((value) => typeof value === "function") }).parse(require("app-builder-lib/out/util/config/schemaValidator.js"));

const config = load(readFileSync("electron-builder.yml", "utf8"));
const schema: unknown = require("app-builder-lib/scheme.json");

test("electron-builder accepts the packaging file, and would refuse a misspelt key", () => {
  expect(() => validateSchema(schema, config)).not.toThrow();
  expect(() => validateSchema(schema, { ...z.record(z.string(), z.unknown()).parse(config), asarUnpak: [] })).toThrow(/asarUnpak/);
});

test("native code stays outside the archive, models beside it, and nothing is rebuilt", () => {
  expect(config).toMatchObject({
    npmRebuild: false,
    asarUnpack: expect.arrayContaining(["**/*.node", "node_modules/onnxruntime-node/bin/**"]) as unknown,
    extraResources: [expect.objectContaining({ from: "models", to: "models" })] as unknown,
  });
});
