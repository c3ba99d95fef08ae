import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

import { forkModelsProcess, startModels } from "../../../src/models/client.ts";
import type { ModelsOptions } from "../../../src/models/client.ts";
import type { FromModels, ModelsPort, ToModels } from "../../../src/models/messages.ts";
import type { ModelsNotice } from "../../../src/models/runtime.ts";
import { createScheduler } from "../../../src/models/scheduler.ts";
import { FaultError, unwrap } from "../../../src/shared/result.ts";
import { someImages, someLatents } from "../../contract/modelsSuite.ts";

const modelsDir = fileURLToPath(new URL("../../../models", import.meta.url));

async function aProcess(options: Partial<ModelsOptions> = {}) {
  const notices: ModelsNotice[] = [];
  const pids: number[] = [];
  const models = unwrap(
    await startModels({
      modelsDirs: [modelsDir], provider: "cpu", onNotice: (notice) => notices.push(notice),
      openPort: async () => {
        const port = await forkModelsProcess();
        pids.push(port.pid);
        return port;
      },
      ...options,
    }),
  );
  return { models, notices, pids };
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(() => "no fault", (error: unknown) => (error instanceof FaultError ? error.code : String(error)));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("the models process", () => {
  it("computes what the same models compute in this process", async () => {
    const { models } = await aProcess();
    const here = unwrap(await startModels({ modelsDirs: [modelsDir], provider: "cpu", inProcess: true }));
    const latents = someLatents(3, 64, 8);
    const images = await unwrap(await models.generator("shapes-g1")).decode(latents);
    expect(images).toEqual(await unwrap(await here.generator("shapes-g1")).decode(latents));
    const layers = ["conv3", "penultimate"];
    expect(await unwrap(await models.encoder("shapes-relu")).features(images, layers)).toEqual(await unwrap(await here.encoder("shapes-relu")).features(images, layers));
    expect(models.report().map((line) => [line.id, line.provider])).toEqual([["shapes-g1", "cpu"], ["shapes-relu", "cpu"]]);
    await models.close();
    await here.close();
  });

  it("fails the calls under way when it is killed, is started again, and goes on with the same handles", async () => {
    const { models, notices, pids } = await aProcess();
    const generator = unwrap(await models.generator("shapes-g1"));
    const before = await generator.decode(someLatents(2, 64, 8));
    const lost = codeOf(generator.decode(someLatents(400, 64, 8)));
    process.kill(pids[0] ?? 0, "SIGKILL");
    expect(await lost).toBe("modelsCrashed");
    expect(await generator.decode(someLatents(2, 64, 8))).toEqual(before);
    expect(pids.length).toBe(2);
    expect(notices.map((notice) => notice.kind)).toEqual(["crashed", "restarted"]);
    expect(notices[0]?.message).toContain("SIGKILL");
    await models.close();
    expect(pids.some(isAlive)).toBe(false);
  });

  it("fails calls after closing with a sentence, and leaves no process behind", async () => {
    const { models, pids } = await aProcess();
    const generator = unwrap(await models.generator("shapes-g1"));
    await models.close();
    expect(await codeOf(generator.decode(someLatents(1, 64, 8)))).toBe("modelsClosed");
    expect(pids.some(isAlive)).toBe(false);
  });

  it("answers with a fault where its entry file is not there", async () => {
    const result = await startModels({ modelsDirs: [modelsDir], openPort: () => forkModelsProcess("/no/such/process.ts") });
    expect(result).toMatchObject({ ok: false, error: { code: expect.stringMatching(/^models(Crashed|Down)$/) } });
  });
});

/** A line to a process that is not one: dies when told to, remembers what it was sent. */
function aFakeLine(answer: (message: ToModels) => FromModels | null | "die") {
  const sent: (ToModels | FromModels)[] = [];
  let receive: (message: unknown) => void = () => undefined;
  let closed: (reason: string) => void = () => undefined;
  const port: ModelsPort = {
    post(message) {
      sent.push(message);
      if (message.kind !== "start" && message.kind !== "call") return;
      const reply = answer(message);
      if (reply === "die") queueMicrotask(() => closed("signal SIGSEGV"));
      else if (reply !== null) queueMicrotask(() => receive(reply));
    },
    onMessage: (listener) => {
      receive = listener;
    },
    onClosed: (listener) => {
      closed = listener;
    },
    close: () => Promise.resolve(),
  };
  return { port, sent, receive: (message: FromModels) => receive(message) };
}

describe("a models process that keeps dying", () => {
  it("is not tried again with the provider that took it down", async () => {
    const lines: ReturnType<typeof aFakeLine>[] = [];
    const models = unwrap(
      await startModels({
        modelsDirs: [],
        openPort: async () => {
          const line = aFakeLine((message) => {
            if (message.kind !== "call") return null;
            if (message.call.method === "entries") return { kind: "answer", id: message.id, value: [] };
            if (lines.length > 1) return { kind: "answer", id: message.id, value: { ok: false, error: { code: "x", message: "x" } } };
            line.receive({ kind: "trying", provider: "webgpu" });
            return "die";
          });
          lines.push(line);
          return line.port;
        },
      }),
    );
    expect(await models.generator("shapes-g1")).toMatchObject({ ok: false, error: { code: "modelsCrashed" } });
    await models.generator("shapes-g1");
    const start = lines[1]?.sent[0];
    if (start?.kind !== "start") throw new Error("expected a start message first");
    expect(start.settings.banned.get("webgpu")).toMatch(/took the models process down \(signal SIGSEGV\)/);
    await models.close();
  });

  it("is given up after six deaths within a minute, with a sentence that says so", async () => {
    let starts = 0;
    const models = unwrap(
      await startModels({
        modelsDirs: [],
        openPort: async () => {
          starts++;
          return aFakeLine((message) => (message.kind === "call" && message.call.method === "entries" ? { kind: "answer", id: message.id, value: [] } : message.kind === "call" ? "die" : null)).port;
        },
      }),
    );
    const codes = [];
    for (let i = 0; i < 10; i++) {
      const result = await models.generator("shapes-g1");
      codes.push(result.ok ? "ok" : result.error.code);
    }
    expect(codes.at(-1)).toBe("modelsDown");
    expect(starts).toBe(6);
    await models.close();
  });
});

describe("the scheduler", () => {
  it("lets urgent work overtake waiting background work, and keeps order among equals", async () => {
    const scheduler = createScheduler();
    const done: string[] = [];
    const work = (name: string) => async () => {
      done.push(name);
      await Promise.resolve();
    };
    await Promise.all([
      scheduler.run("background", work("b1")), scheduler.run("background", work("b2")), scheduler.run("soon", work("s1")), scheduler.run("live", work("l1")), scheduler.run("live", work("l2")),
    ]);
    expect(done).toEqual(["b1", "l1", "l2", "s1", "b2"]);
  });
  it("goes on after work that fails", async () => {
    const scheduler = createScheduler();
    await expect(scheduler.run("live", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(await scheduler.run("live", () => Promise.resolve(5))).toBe(5);
  });
});

describe("urgent work", () => {
  it("is decoded before a long background job is through", async () => {
    const models = unwrap(await startModels({ modelsDirs: [modelsDir], provider: "cpu", inProcess: true, batchMax: 4 }));
    const generator = unwrap(await models.generator("shapes-g1"));
    const joined = unwrap(await models.latentEncoder("shapes-g1", "shapes-relu"));
    await joined.features(someLatents(2, 64, 8), ["logits"]);
    const done: string[] = [];
    const long = joined.features(someLatents(120, 64, 8), ["logits"]).then(() => done.push("long"));
    const short = generator.decode(someLatents(1, 64, 8)).then(() => done.push("short"));
    await Promise.all([long, short]);
    expect(done).toEqual(["short", "long"]);
    expect((await unwrap(await models.encoder("shapes-relu")).features(someImages(1, 20, 20), ["logits"]))[0]?.length).toBe(10);
    await models.close();
  });
});
