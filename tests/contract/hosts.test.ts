// One suite for every way to the engine: in this process, in a process of its own, over a WebSocket.
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { linkInProcess } from "../../src/engine/link.ts";
import { describeEnd, startEngineProcess } from "../../src/engine/processClient.ts";
import { unwrap } from "../../src/shared/result.ts";
import { makeTokens } from "../../src/web/access.ts";
import { closeCodes, startWebHost } from "../../src/web/webHost.ts";
import { aCaller, until } from "../support/hosts/callerClient.ts";
import { aStandInEngine } from "../support/hosts/standInEngine.ts";
import type { TestCaller } from "../support/hosts/callerClient.ts";
import type { EngineDown, EngineLink } from "../../src/engine/link.ts";
import type { Access, EngineFrame } from "../../src/shared/contract/index.ts";

interface TestHost {
  attach(access: readonly Access[]): Promise<{ caller: TestCaller; detach: () => void }>;
  readonly log: string[];
  readonly link: EngineLink;
}

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const entry = new URL("../support/hosts/standInProcess.ts", import.meta.url);
const engineOptions = { host: "web", modelFolders: [], sessionFolder: "sessions" } as const;

async function aProcessLink(log: string[] = []): Promise<EngineLink> {
  const link = unwrap(await startEngineProcess({ engine: engineOptions, entry, log: (text) => log.push(text), closeTimeoutMs: 3000 }));
  cleanups.push(() => link.close());
  return link;
}

function attachTo(link: EngineLink): TestHost["attach"] {
  let count = 0;
  return (access) => {
    const received: { frame: (frame: EngineFrame) => void } = { frame: () => undefined };
    const end = link.attach({ id: `test-${count++}`, access }, (frame) => received.frame(frame));
    const caller = aCaller((frame) => end.send(frame));
    received.frame = (frame) => caller.receive(frame);
    const stop = link.onBroadcast((frame) => caller.receive(frame));
    return Promise.resolve({ caller, detach: () => { stop(); end.detach(); } });
  };
}

async function aWebHost(link: EngineLink): Promise<TestHost["attach"]> {
  const tokens = makeTokens();
  const host = unwrap(await startWebHost({ engine: link, rendererFolder: "tests/support/hosts/pages", host: "127.0.0.1", port: 0, mayLeaveLoopback: false, tokens }));
  cleanups.push(() => host.close());
  return async (access) => {
    const socket = new WebSocket(`ws://127.0.0.1:${host.port}/api?token=${access.includes("operate") ? tokens.operate : tokens.view}`);
    const caller = aCaller((frame) => socket.send(JSON.stringify(frame)));
    socket.on("message", (data) => caller.receive(JSON.parse(String(data)) as EngineFrame));
    await new Promise((done, failed) => socket.once("open", done).once("error", failed));
    return { caller, detach: () => socket.close() };
  };
}

const makers: Record<string, () => Promise<TestHost>> = {
  "in this process": () => {
    const log: string[] = [];
    const link = linkInProcess(aStandInEngine(), (text) => log.push(text));
    return Promise.resolve({ attach: attachTo(link), log, link });
  },
  "in a process of its own": async () => {
    const log: string[] = [];
    const link = await aProcessLink(log);
    return { attach: attachTo(link), log, link };
  },
  "over a WebSocket": async () => {
    const log: string[] = [];
    const link = linkInProcess(aStandInEngine(), (text) => log.push(text));
    return { attach: await aWebHost(link), log, link };
  },
  "over a WebSocket to a process of its own": async () => {
    const log: string[] = [];
    const link = await aProcessLink(log);
    return { attach: await aWebHost(link), log, link };
  },
};

const all: readonly Access[] = ["view", "operate", "stimulus"];

describe.each(Object.keys(makers))("the engine %s", (name) => {
  const make = makers[name];
  if (make === undefined) throw new Error(`no maker ${name}`);

  test("answers calls, refuses acts of a watcher, and tells everybody what happened", async () => {
    const host = await make();
    const operator = await host.attach(all);
    const watcher = await host.attach(["view"]);
    expect(await operator.caller.call("clock.ping")).toEqual({ ok: true, value: { hostNs: 1 } });
    expect(await watcher.caller.call("session.start", { config: {} })).toMatchObject({ ok: false, error: { code: "accessDenied" } });
    expect(await watcher.caller.call("app.describe")).toMatchObject({ value: { mayOperate: false } });
    expect(await operator.caller.call("app.describe")).toMatchObject({ value: { mayOperate: true } });
    expect(await operator.caller.call("session.start", { config: {} })).toEqual({ ok: true, value: { file: "synthetic.evoked" } });
    const started = { event: "session", payload: { phase: "running" } };
    await until("both heard of the start", () => [operator, watcher].every(({ caller }) => caller.events.length === 1));
    expect(operator.caller.events).toEqual([started]);
    expect(watcher.caller.events).toEqual([started]);
  });

  test("hands an event for one caller to that caller alone", async () => {
    const host = await make();
    const operator = await host.attach(all);
    const stimulus = await host.attach(all);
    await stimulus.caller.call("stimulus.attach", { widthPx: 10, heightPx: 10, refreshHz: 60 });
    await operator.caller.call("session.note", { text: "stimulus" });
    await until("the command came", () => stimulus.caller.events.length === 1);
    expect(stimulus.caller.events[0]).toEqual({ event: "stimulus", payload: { kind: "fixation", visible: true } });
    expect(operator.caller.events).toEqual([]);
  });

  test("turns a bug into data and keeps its stack for the log", async () => {
    const host = await make();
    const { caller } = await host.attach(all);
    expect(await caller.call("session.note", { text: "bug" })).toMatchObject({ ok: false, error: { code: "bug" } });
    await until("the stack is in the log", () => host.log.join().includes("a stand-in bug"));
    expect(await caller.call("clock.ping")).toMatchObject({ ok: true });
  });

  test("says once that it was closed, also to those who ask late", async () => {
    const host = await make();
    const told: EngineDown[] = [];
    host.link.onDown((down) => told.push(down));
    const down = await host.link.close();
    expect(down.expected).toBe(true);
    host.link.onDown((late) => told.push(late));
    expect(told).toEqual([down, down]);
  });
});

test("an engine that refuses its options is a fault of startEngineProcess", async () => {
  const refused = await startEngineProcess({ engine: { ...engineOptions, sessionFolder: "refuse" }, entry, log: () => undefined });
  expect(refused).toEqual({ ok: false, error: { code: "folderNotWritable", message: "expected a folder that can be written, got refuse" } });
});

test("an engine that cannot even be loaded is a fault with its last words", async () => {
  const missing = await startEngineProcess({ engine: engineOptions, entry: new URL("./nothingHere.ts", import.meta.url), log: () => undefined });
  expect(missing).toMatchObject({ ok: false, error: { code: "engineDied", message: expect.stringMatching(/exit code 1.*Cannot find module/s) as unknown } });
});

test.each([["die", 134], ["uncaught", 70]])("the death of the engine (%s) is told to every window with its exit code, and ends their links", async (note, exitCode) => {
  const link = await aProcessLink();
  const attach = await aWebHost(link);
  const windows = [await attach(all), await attach(["view"])];
  const told: EngineDown[] = [];
  link.onDown((down) => told.push(down));
  void windows[0]?.caller.call("session.note", { text: note });
  await until("both windows were told", () => windows.every(({ caller }) => caller.events.some(({ event }) => event === "log")));
  for (const { caller } of windows) expect(caller.events.at(-1)).toMatchObject({ payload: { severity: "fault", code: "engineDown", message: expect.stringContaining(`exit code ${exitCode}`) as unknown } });
  expect(told).toMatchObject([{ expected: false, exitCode }]);
});

test("what the engine prints goes to the host's log, not to its standard output", async () => {
  const log: string[] = [];
  const link = await aProcessLink(log);
  const { caller } = await attachTo(link)(all);
  await caller.call("session.note", { text: "print" });
  await until("the print came", () => log.join("").includes("the stand-in prints\n"));
});

test("a signal is named where the engine has no exit code", () => {
  expect(describeEnd({ exitCode: null, signal: "SIGKILL", stage: "running", lastWords: "" }).message).toContain("signal SIGKILL");
  expect(closeCodes.engineDown).toBeGreaterThanOrEqual(4000);
});
