// The end of a network as a graph of its own: its logits are the network's, its gradient is what small steps show, and at the penultimate
// layer it is the weights.
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readLastLinear } from "../../../src/models/lastLinear.ts";
import { startModels } from "../../../src/models/client.ts";
import type { Models } from "../../../src/models/client.ts";
import { readOnnx } from "../../../src/models/onnx/graph.ts";
import { makeTail } from "../../../src/models/onnx/tail.ts";
import { unwrap } from "../../../src/shared/result.ts";
import { createRng } from "../../../src/shared/rng.ts";
import { aTinyEncoderFile } from "./tinyModels.ts";

const modelsDir = fileURLToPath(new URL("../../../models", import.meta.url));
const network = "shapes-relu";
const unit = 3;
let models: Models;
beforeAll(async () => {
  models = unwrap(await startModels({ modelsDirs: [modelsDir], provider: "cpu", inProcess: true }));
});
afterAll(() => models.close());

async function someActivations(layer: string) {
  const rng = createRng("tail");
  const data = Uint8Array.from({ length: 2 * 64 * 64 * 3 }, () => rng.int(256));
  const [own, logits] = await unwrap(await models.encoder(network)).features({ count: 2, width: 64, height: 64, data }, [layer, "logits"]);
  return { own: own ?? new Float32Array(), logits: logits ?? new Float32Array() };
}

describe("the tail of a network", () => {
  it.each(["penultimate", "conv4", "conv2", "conv1"])("from %s gives the network's logits and the slope that small steps show", async (layer) => {
    const { own, logits } = await someActivations(layer);
    const tail = unwrap(await models.layerTail(network, layer));
    const { dim } = tail;
    expect([...(await tail.logits({ count: 2, dim, data: own }))]).toEqual([...logits].map((value) => expect.closeTo(value, 4)));
    const gradient = await tail.gradient({ count: 2, dim, data: own }, unit);
    // Along a direction of units that fire: across zero a rectified unit has no slope.
    const direction = new Float32Array(own.length);
    createRng("direction").fillGaussian(direction);
    own.forEach((value, i) => (direction[i] = value > 0.05 ? direction[i]! : 0));
    const step = 2e-3;
    const moved = async (sign: number) => tail.logits({ count: 2, dim, data: own.map((value, i) => value + sign * step * direction[i]!) });
    const [up, down] = [await moved(1), await moved(-1)];
    for (const row of [0, 1]) {
      let slope = 0;
      for (let i = row * dim; i < (row + 1) * dim; i++) slope += gradient[i]! * direction[i]!;
      const seen = (up[row * 10 + unit]! - down[row * 10 + unit]!) / (2 * step);
      expect(Math.abs(slope - seen)).toBeLessThan(0.02 + 0.02 * Math.abs(seen));
    }
  });

  it("has the weights of the unit as its gradient at the penultimate layer", async () => {
    const { own } = await someActivations("penultimate");
    const tail = unwrap(await models.layerTail(network, "penultimate"));
    const linear = unwrap(await readLastLinear([modelsDir], network));
    const gradient = await tail.gradient({ count: 2, dim: tail.dim, data: own }, unit);
    const weights = [...linear.weights.subarray(unit * tail.dim, (unit + 1) * tail.dim)];
    expect([...gradient]).toEqual([...weights, ...weights]);
  });

  it("is refused with a sentence where a layer or an operator has none", async () => {
    const unknown = await models.layerTail(network, "conv9");
    expect(unknown).toMatchObject({ ok: false, error: { code: "layerUnknown" } });
    const graph = unwrap(readOnnx(aTinyEncoderFile()));
    const past = makeTail({ graph, prefix: "m/", layer: "elsewhere", shape: [3], logits: "features", units: 3, unit: 0 });
    expect(past).toMatchObject({ ok: false, error: { code: "layerTail", message: expect.stringContaining("passes it by") } });
  });
});
