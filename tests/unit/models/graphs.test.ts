import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { startModels } from "../../../src/models/client.ts";
import { composeModel, makeResizeWeights, takePiece } from "../../../src/models/onnx/compose.ts";
import { readOnnx } from "../../../src/models/onnx/graph.ts";
import { joinWire, readFields, readText, writeBytes, writeInt } from "../../../src/models/onnx/protobuf.ts";
import { unwrap } from "../../../src/shared/result.ts";
import { aManifestFor, aModelsDir, aTinyEncoderFile } from "./tinyModels.ts";

describe("messages on the wire", () => {
  it("reads back the fields that were written, whatever their order and size", () => {
    const field = fc.oneof(
      fc.record({ number: fc.integer({ min: 1, max: 3000 }), int: fc.maxSafeInteger() }),
      fc.record({ number: fc.integer({ min: 1, max: 3000 }), text: fc.string({ unit: "grapheme" }) }),
    );
    fc.assert(
      fc.property(fc.array(field), (fields) => {
        const wire = fields.flatMap((item) => ("int" in item ? writeInt(item.number, item.int) : writeBytes(item.number, item.text)));
        const read = [...readFields(joinWire(wire))].map((item) => (item.bytes === null ? { number: item.number, int: item.value } : { number: item.number, text: readText(item.bytes) }));
        expect(read).toEqual(fields.map((item) => ("int" in item ? { ...item, int: item.int + 0 } : item)));
      }),
      { numRuns: 200 },
    );
  });
  it("never runs past the end of random bytes: it reads them or says what is wrong", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const result = readOnnx(bytes);
        expect(result.ok || result.error.code === "modelUnreadable").toBe(true);
      }),
      { numRuns: 300 },
    );
  });
  it("says that every proper prefix of a model is damaged or gives a smaller graph, and never throws", () => {
    const file = aTinyEncoderFile();
    for (let length = 0; length < file.length; length++) expect(() => readOnnx(file.subarray(0, length))).not.toThrow();
  });
});

describe("a composed graph", () => {
  it("has the network's names under a prefix and leaves out what no output needs", () => {
    const graph = unwrap(readOnnx(aTinyEncoderFile()));
    const file = composeModel({
      opset: 17, irVersion: 8, pieces: [takePiece(graph, "a/"), takePiece(graph, "b/")],
      inputs: [{ name: "a/image", elementType: 1, dims: [3, 8, 8] }], constants: [], outputs: [{ name: "a/features", elementType: 1, dims: [3, 8, 8] }],
    });
    const back = unwrap(readOnnx(file));
    expect(back.weights.map((weight) => weight.name)).toEqual(["a/w"]);
    expect(back.inputs.map((input) => input.name)).toEqual(["a/image"]);
    expect(back.outputs[0]?.shape).toEqual([null, 3, 8, 8]);
  });
});

describe("resizing", () => {
  it("keeps a flat image flat: the weights of every target pixel add up to 1", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 300 }), fc.double({ min: 0.3, max: 1, noNaN: true }), (from, to, keep) => {
        const weights = makeResizeWeights(from, to, keep);
        for (let target = 0; target < to; target++) {
          let sum = 0;
          for (let source = 0; source < from; source++) sum += weights[source * to + target] ?? 0;
          expect(sum).toBeCloseTo(1, 4);
        }
      }),
      { numRuns: 60 },
    );
  });
  it("is the identity at equal size", () => {
    const weights = makeResizeWeights(7, 7, 1);
    weights.forEach((weight, i) => expect(weight).toBeCloseTo(i % 8 === 0 ? 1 : 0, 6));
  });
  it("averages pairs when halving, with the tails of a triangular filter (Pillow's bilinear)", () => {
    // Pillow 9.4: resize of 8 to 4 gives interior weights 1/8, 3/8, 3/8, 1/8.
    const weights = makeResizeWeights(8, 4, 1);
    expect([1, 2, 3, 4].map((source) => weights[source * 4 + 1])).toEqual([0.125, 0.375, 0.375, 0.125]);
  });
  it("gives a network the pixels in its own scale, order of channels and size", async () => {
    const file = aTinyEncoderFile({ weight: Float32Array.of(1, 10, 100) });
    const manifest = aManifestFor(file, { input: { name: "image", width: 8, height: 8, range: [0, 1], channels: "bgr", mean: [0.5, 0.25, 0], std: [0.5, 1, 2], keep: 1 } });
    const { dir, remove } = await aModelsDir(file, manifest);
    const models = unwrap(await startModels({ modelsDirs: [dir], inProcess: true, provider: "cpu" }));
    const encoder = unwrap(await models.encoder("tiny"));
    const data = new Uint8Array(16 * 16 * 3);
    for (let i = 0; i < 256; i++) data.set([255, 51, 0], i * 3); // R 1, G 0.2, B 0
    const [features] = await encoder.features({ count: 1, width: 16, height: 16, data }, ["features"]);
    // Planes in order B, G, R, each (value - mean) / std, times the weight of its plane.
    const planes = [0, 1, 2].map((plane) => features?.[plane * 64 + 27] ?? Number.NaN);
    expect(planes[0]).toBeCloseTo((0 - 0.5) / 0.5, 4);
    expect(planes[1]).toBeCloseTo(10 * (0.2 - 0.25), 4);
    expect(planes[2]).toBeCloseTo((100 * 1) / 2, 4);
    await models.close();
    await remove();
  });
});
