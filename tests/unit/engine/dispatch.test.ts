import fc from "fast-check";
import { expect, test } from "vitest";
import { createDispatch, nearest } from "../../../src/engine/dispatch.ts";
import { methods } from "../../../src/shared/contract/index.ts";
import { aStandInEngine } from "../../support/hosts/standInEngine.ts";
import type { Caller } from "../../../src/engine/engineTypes.ts";

const operator: Caller = { id: "operator", access: ["view", "operate", "stimulus"] };
const watcher: Caller = { id: "watcher", access: ["view"] };

function aDispatch(): { run: (caller: Caller, method: string, args?: unknown) => ReturnType<ReturnType<typeof createDispatch>>; bugs: string[]; engine: ReturnType<typeof aStandInEngine>; dispatch: ReturnType<typeof createDispatch> } {
  const bugs: string[] = [];
  const engine = aStandInEngine();
  const dispatch = createDispatch({ handlers: engine.handlers, logBug: (text) => bugs.push(text) });
  return { run: (caller, method, args) => dispatch(caller, { id: 7, method, args }), bugs, engine, dispatch };
}

test("a call is answered under its own id with the handler's value", async () => {
  expect(await aDispatch().run(watcher, "clock.ping", {})).toEqual({ id: 7, result: { ok: true, value: { hostNs: 1 } } });
});

test("defaults are filled in before the handler sees a config", async () => {
  const reply = await aDispatch().run(operator, "session.start", { config: {} });
  expect(reply.result).toEqual({ ok: true, value: { file: "synthetic.evoked" } });
});

test("arguments left out are an empty object", async () => {
  expect((await aDispatch().run(watcher, "session.snapshot")).result.ok).toBe(true);
});

test("a wrong argument names its path, what was expected and what came", async () => {
  const { run } = aDispatch();
  expect((await run(operator, "reward.pulse", { pulseMs: 5000 })).result).toEqual({
    ok: false,
    error: { code: "badArguments", message: "reward.pulse: expected number of at most 1000 at arguments.pulseMs, got 5000." },
  });
  expect((await run(operator, "session.start", { config: { trial: { onMs: "long" } } })).result).toMatchObject({
    error: { code: "badArguments", message: 'session.start: expected number at arguments.config.trial.onMs, got "long".' },
  });
  expect((await run(operator, "session.start", { config: { response: { windowStartMs: 100, windowEndMs: 50 } } })).result).toMatchObject({
    error: { message: "session.start: expected windowEndMs after windowStartMs at arguments.config.response.windowEndMs, got 50." },
  });
  expect((await run(operator, "clock.ping", { extra: 1 })).result).toMatchObject({ error: { message: expect.stringContaining('expected no "extra"') as unknown } });
});

test("an unknown method is named with the near miss", async () => {
  const { run } = aDispatch();
  expect((await run(operator, "session.strat")).result).toMatchObject({ ok: false, error: { code: "unknownMethod", message: expect.stringContaining("Did you mean session.start?") as unknown } });
  expect((await run(operator, "toString")).result).toMatchObject({ error: { code: "unknownMethod" } });
});

test("a watcher may look at everything and act on nothing", async () => {
  const { run, engine } = aDispatch();
  for (const name of Object.keys(methods)) {
    const { result } = await run(watcher, name, {});
    const code = result.ok ? "" : result.error.code;
    expect([name, code === "accessDenied"]).toEqual([name, Reflect.get(Reflect.get(methods, name) as object, "access") !== "view"]);
  }
  expect(engine.calls.every((call) => call.caller === watcher)).toBe(true);
});

test("a fault thrown anywhere below comes back as data, and a bug as a bug with its stack in the log", async () => {
  const { run, bugs } = aDispatch();
  expect((await run(operator, "session.note", { text: "fault" })).result).toEqual({ ok: false, error: { code: "standInFault", message: "expected a fault, got one" } });
  expect(bugs).toEqual([]);
  expect((await run(operator, "session.note", { text: "bug" })).result).toMatchObject({ ok: false, error: { code: "bug" } });
  expect(bugs.join()).toMatch(/session\.note failed for operator: Error: a stand-in bug\n.*standInEngine/s);
});

test("nothing that comes off a wire makes dispatch throw", async () => {
  const { dispatch } = aDispatch();
  await fc.assert(fc.asyncProperty(fc.oneof(fc.anything(), fc.record({ id: fc.anything(), method: fc.oneof(fc.string(), fc.constantFrom(...Object.keys(methods), "__proto__", "constructor")), args: fc.anything() })), async (frame) => {
    const reply = await dispatch(watcher, frame);
    expect(typeof reply.id).toBe("number");
    if (!reply.result.ok) expect(reply.result.error.message).not.toBe("");
  }), { numRuns: 300 });
});

test("a name far from every other has no near miss", () => {
  expect(nearest("zzz", ["demo", "serve"])).toBeNull();
  expect(nearest("serv", ["demo", "serve"])).toBe("serve");
});
