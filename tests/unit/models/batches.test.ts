import { describe, expect, it } from "vitest";

import { startModels } from "../../../src/models/client.ts";
import { unwrap } from "../../../src/shared/result.ts";
import { createRng } from "../../../src/shared/rng.ts";
import { aGeneratorManifestFor, aLinearGeneratorFile, aModelsDir } from "./tinyModels.ts";

describe("a generator that multiplies rows of latents with one matrix", () => {
  it("gives every last bit of a batch also for its items one by one", async () => {
    // ONNX Runtime multiplies a single row with another kernel than several: without care the last bits differ.
    const [dim, sizePx, count] = [64, 16, 5];
    const weight = new Float32Array(dim * 3 * sizePx * sizePx);
    createRng("weights").fillGaussian(weight);
    const file = aLinearGeneratorFile(dim, sizePx, weight);
    const { dir, remove } = await aModelsDir(file, aGeneratorManifestFor(file, dim, sizePx));
    const models = unwrap(await startModels({ modelsDirs: [dir], provider: "cpu", inProcess: true }));
    const generator = unwrap(await models.generator("tiny"));
    const data = new Float32Array(count * dim);
    createRng("latents").fillGaussian(data);
    const all = (await generator.decodeParts({ count, dim, data })).masks ?? new Float32Array();
    for (let i = 0; i < count; i++) {
      const one = (await generator.decodeParts({ count: 1, dim, data: data.slice(i * dim, (i + 1) * dim) })).masks;
      expect(one).toEqual(all.slice(i * sizePx * sizePx, (i + 1) * sizePx * sizePx));
    }
    await models.close();
    await remove();
  });
});
