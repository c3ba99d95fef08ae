import { Tensor } from "onnxruntime-node";
import { describe, expect, it } from "vitest";

import { openSession } from "../../../src/models/providers.ts";
import type { CompiledModel, ProviderName, ProviderSettings, SessionMaker } from "../../../src/models/providers.ts";
import { unwrap } from "../../../src/shared/result.ts";

const model: CompiledModel = {
  file: new Uint8Array(), input: { name: "x", type: "float32", dims: [2] }, constants: [],
  outputs: [{ name: "y", type: "float32", dims: [2] }], probe: { count: 2, data: Float32Array.of(1, 2, 3, 4) },
};

type Behaviour = { readonly factor?: number; readonly waitMs?: number; readonly fails?: string; readonly failsRunning?: string; readonly outputs?: number };

/** Sessions that double their input, each provider in its own way. */
function aRuntime(behaviours: Partial<Record<ProviderName, Behaviour>>) {
  const released: string[] = [];
  const runtime: SessionMaker = {
    providers: () => ["cuda", "webgpu", "cpu"],
    async create(_file, options) {
      const provider = options.executionProviders?.[0];
      const name = provider === "cuda" || provider === "webgpu" ? provider : "cpu";
      const behaviour = behaviours[name] ?? {};
      if (behaviour.fails !== undefined) throw new Error(behaviour.fails);
      return {
        async run(feeds) {
          if (behaviour.failsRunning !== undefined) throw new Error(behaviour.failsRunning);
          await new Promise((resolve) => setTimeout(resolve, behaviour.waitMs ?? 5));
          const data = feeds["x"]?.data;
          if (!(data instanceof Float32Array)) throw new Error("expected floats");
          return { y: new Tensor("float32", data.map((value) => value * (behaviour.factor ?? 2)).slice(0, behaviour.outputs ?? 4), [behaviour.outputs ?? 4]) };
        },
        async release() {
          released.push(name);
        },
      };
    },
  };
  return { runtime, released };
}

async function open(behaviours: Partial<Record<ProviderName, Behaviour>>, changes: Partial<ProviderSettings> = {}) {
  const { runtime, released } = aRuntime(behaviours);
  const result = await openSession(model, { wanted: "auto", threads: 1, banned: new Map(), runtime, ...changes });
  return { result, released };
}

describe("the choice of an execution provider", () => {
  it("takes the best that agrees with the CPU and is faster", async () => {
    const { result, released } = await open({ cuda: { waitMs: 1 }, cpu: { waitMs: 40 } });
    expect(unwrap(result).provider).toBe("cuda");
    expect(released).toEqual(["cpu"]);
  });
  it("leaves one that drifts for the next, saying by how much", async () => {
    const { result, released } = await open({ cuda: { factor: 2.02, waitMs: 1 }, webgpu: { waitMs: 1 }, cpu: { waitMs: 40 } });
    expect(unwrap(result).provider).toBe("webgpu");
    expect(unwrap(result).attempts[0]).toMatchObject({ provider: "cuda", used: false, reason: expect.stringMatching(/something else than the CPU: largest difference 1\.0 %/) });
    expect(released).toEqual(["cuda", "cpu"]);
  });
  it("leaves one that gives NaN, one that cannot start and one that fails while running", async () => {
    for (const behaviour of [{ factor: Number.NaN }, { fails: "no device" }, { failsRunning: "device lost" }]) {
      const { result } = await open({ cuda: behaviour, webgpu: { fails: "no adapter" } });
      expect(unwrap(result).provider).toBe("cpu");
      expect(unwrap(result).attempts.map((attempt) => [attempt.provider, attempt.used])).toEqual([["cuda", false], ["webgpu", false], ["cpu", true]]);
    }
  });
  it("leaves a slower one under auto and keeps it when it was asked for", async () => {
    const slow = { cuda: { waitMs: 60 }, webgpu: { fails: "no adapter" }, cpu: { waitMs: 2 } };
    expect(unwrap((await open(slow)).result).provider).toBe("cpu");
    expect(unwrap((await open(slow, { wanted: "cuda" })).result).provider).toBe("cuda");
  });
  it("does not touch a provider that is banned, and gives the reason", async () => {
    const tried: (string | null)[] = [];
    const { result } = await open({ webgpu: { fails: "no" } }, { banned: new Map([["cuda", "It crashed."]]), onTrying: (provider) => tried.push(provider) });
    expect(unwrap(result).attempts[0]).toMatchObject({ provider: "cuda", used: false, reason: "It crashed." });
    expect(tried).toEqual(["webgpu", null]);
  });
  it("refuses the model, not the provider, where the CPU cannot run it", async () => {
    expect((await open({ cpu: { fails: "Protobuf parsing failed" } })).result).toMatchObject({ ok: false, error: { code: "modelRefused" } });
    expect((await open({ cpu: { fails: "std::bad_alloc" } })).result).toMatchObject({ ok: false, error: { code: "outOfMemory" } });
    expect((await open({ cpu: { factor: Number.NaN } })).result).toMatchObject({ ok: false, error: { code: "modelNaN" } });
    expect((await open({ cpu: { outputs: 2 } })).result).toMatchObject({ ok: false, error: { code: "modelShape" } });
  });
});
