import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { z } from "zod";
import { linkInProcess } from "../../../src/engine/link.ts";
import { fileOf } from "../../../src/engine/pageFiles.ts";
import { fault, ok, unwrap } from "../../../src/shared/result.ts";
import { accessOfToken, allowedHosts, makeTokens } from "../../../src/web/access.ts";
import { closeCodes, startWebHost } from "../../../src/web/webHost.ts";
import { until } from "../../support/hosts/callerClient.ts";
import { aLive, aStandInEngine } from "../../support/hosts/standInEngine.ts";
import type { IncomingHttpHeaders } from "node:http";
import type { Engine } from "../../../src/engine/engineTypes.ts";
import type { WebHost, WebHostOptions } from "../../../src/web/webHost.ts";

let folder = "";
const cleanups: (() => Promise<unknown>)[] = [];
const tokens = makeTokens();

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "evoked-web-"));
  mkdirSync(join(folder, "renderer", "assets"), { recursive: true });
  writeFileSync(join(folder, "renderer", "index.html"), "<!doctype html><title>Evoked</title>");
  writeFileSync(join(folder, "renderer", "assets", "index-abc.js"), "export {};");
  writeFileSync(join(folder, "secret.txt"), "secret");
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function options(engine: Engine, change: Partial<WebHostOptions> = {}): WebHostOptions {
  return { engine: linkInProcess(engine, () => undefined), rendererFolder: join(folder, "renderer"), host: "127.0.0.1", port: 0, mayLeaveLoopback: false, tokens, ...change };
}

async function aHost(engine: Engine = aStandInEngine(), change: Partial<WebHostOptions> = {}): Promise<WebHost> {
  const host = unwrap(await startWebHost(options(engine, change)));
  cleanups.push(() => host.close());
  return host;
}

interface Answer { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: string }

function get(host: WebHost, path: string, headers: Record<string, string> = {}, method = "GET"): Promise<Answer> {
  return new Promise((done, failed) => {
    const asked = request({ host: "127.0.0.1", port: host.port, path, headers, method }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (part) => { body += String(part); }).on("end", () => done({ status: response.statusCode ?? 0, headers: response.headers, body }));
    });
    asked.on("error", failed).end();
  });
}

/** Opens a socket; answers how the attempt ended. */
function link(host: WebHost, query: string, headers: Record<string, string> = {}): Promise<{ socket: WebSocket; outcome: string; messages: string[] }> {
  const socket = new WebSocket(`ws://127.0.0.1:${host.port}/api${query}`, { headers });
  const messages: string[] = [];
  socket.on("message", (data) => messages.push(String(data)));
  return new Promise((done) => {
    const end = (outcome: string): void => done({ socket, outcome, messages });
    socket.on("unexpected-response", (_, response) => end(`refused ${response.statusCode ?? 0}`));
    socket.on("close", (code) => end(`closed ${code}`));
    socket.on("error", () => undefined);
    // The host accepts before it judges the token, so that it can say why: wait for an answer.
    socket.on("open", () => socket.send(JSON.stringify({ id: 0, method: "clock.ping" })));
    socket.on("message", () => end("open"));
  });
}

test("a page needs a token, its files do not, and all carry strict headers", async () => {
  const host = await aHost();
  const page = await get(host, `/?token=${tokens.view}`);
  expect(page.status).toBe(200);
  expect(page.body).toContain("<title>Evoked</title>");
  expect(page.headers["content-security-policy"]).toBe(`default-src 'self'; img-src 'self' data: blob:; connect-src 'self' ws://127.0.0.1:${host.port}; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`);
  expect(page.headers).toMatchObject({ "x-content-type-options": "nosniff", "x-frame-options": "DENY", "referrer-policy": "no-referrer", "cache-control": "no-store" });
  expect((await get(host, "/")).status).toBe(403);
  expect((await get(host, "/?token=wrong")).body).toContain("the whole address that Evoked printed");
  const asset = await get(host, "/assets/index-abc.js");
  expect([asset.status, asset.headers["content-type"]]).toEqual([200, "text/javascript; charset=utf-8"]);
  expect(asset.headers["cache-control"]).toContain("immutable");
  expect((await get(host, "/nothing.js")).status).toBe(404);
  expect((await get(host, "/", {}, "POST")).status).toBe(405);
});

test.each(["/../secret.txt", "/..%2fsecret.txt", "/%2e%2e/secret.txt", "/..%5csecret.txt", "/assets/../../secret.txt", "/%", "/a%00.html", "//etc/passwd", "/.env"])("the path %s leads nowhere", async (path) => {
  const host = await aHost();
  // An HTTP client tidies paths up, so the request is written by hand.
  const answer = await new Promise<string>((done) => {
    const socket = connect(host.port, "127.0.0.1", () => socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${host.port}\r\nConnection: close\r\n\r\n`));
    let text = "";
    socket.setEncoding("utf8").on("data", (part) => { text += String(part); }).on("close", () => done(text));
  });
  expect(answer).toMatch(/^HTTP\/1.1 (404|403|400) /);
  expect(answer).not.toContain("secret\n");
});

test("opens the subject's screen in a browser of its own for the operator alone, and says so where it cannot", async () => {
  const opened: string[] = [];
  const host = await aHost(undefined, { openSubject: (url) => opened.push(url) < 3 });
  const ask = async (query: string, headers: Record<string, string> = {}, method = "POST"): Promise<number> => (await get(host, `/subject?${query}`, headers, method)).status;
  const operator = `token=${tokens.operate}`;
  expect(await ask(operator)).toBe(204);
  expect(await ask(operator, { origin: `http://127.0.0.1:${host.port}` })).toBe(204);
  const answers = [await ask(`token=${tokens.view}`), await ask(""), await ask(operator, { origin: "http://elsewhere.example" }), await ask(operator, {}, "GET")];
  expect(answers).toEqual([403, 403, 403, 405]);
  expect(opened).toEqual([1, 2].map(() => `http://127.0.0.1:${host.port}/stimulus.html?token=${tokens.operate}`));
  // The third browser does not open.
  expect(await ask(operator)).toBe(200);
  const without = await aHost();
  expect((await get(without, `/subject?${operator}`, {}, "POST")).status).toBe(200);
});

test("the worker of the subject's screen gets an image's pixels as bytes, with a token that may show images", async () => {
  const asked: unknown[] = [];
  const stand = aStandInEngine();
  const held = fault("notPrepared", "Expected image 8 to be one that was prepared, but it was released or never was.");
  const handlers: Engine["handlers"] = {
    ...stand.handlers,
    "stimulus.pixels": async ({ imageId }, caller) => {
      asked.push([imageId, caller.access]);
      return imageId === 7 ? ok({ widthPx: 2, heightPx: 1, rgbaBase64: Buffer.from([1, 2, 3, 255, 4, 5, 6, 255]).toString("base64") }) : held;
    },
  };
  const gone: string[] = [];
  const host = await aHost({ ...stand, handlers, callerGone: (id) => void gone.push(id) });
  const good = await fetch(`http://127.0.0.1:${host.port}/pixels?token=${tokens.operate}&image=7`);
  expect([good.status, good.headers.get("x-width"), good.headers.get("x-height"), good.headers.get("cache-control")]).toEqual([200, "2", "1", "no-store"]);
  expect(new Uint8Array(await good.arrayBuffer())).toEqual(Uint8Array.of(1, 2, 3, 255, 4, 5, 6, 255));
  const answers = await Promise.all([`token=${tokens.operate}&image=8`, `token=${tokens.view}&image=7`, "image=7", `token=${tokens.operate}&image=seven`, `token=${tokens.operate}`].map((query) => get(host, `/pixels?${query}`)));
  expect(answers.map((answer) => answer.status)).toEqual([404, 403, 403, 400, 400]);
  expect(answers[0]?.body).toContain("was released");
  expect((await get(host, `/pixels?token=${tokens.operate}&image=7`, {}, "POST")).status).toBe(405);
  expect(asked).toEqual([[7, ["stimulus"]], [8, ["stimulus"]]]);
  // Nobody stays behind at the engine.
  expect(gone).toHaveLength(2);
});

test("no path whatever names a file outside the folder", () => {
  fc.assert(fc.property(fc.array(fc.constantFrom("..", ".", "/", "%2e", "%2f", "%5c", "\\", "a", "C:", "~", "%00", "assets")), (parts) => {
    const file = fileOf("/srv/renderer", `/${parts.join("")}`);
    if (file !== null) expect(file.startsWith("/srv/renderer/")).toBe(true);
  }));
});

test("a page under another name (DNS rebinding) gets nothing", async () => {
  const host = await aHost();
  expect((await get(host, `/?token=${tokens.operate}`, { host: "evil.example" })).status).toBe(421);
  expect((await get(host, `/?token=${tokens.operate}`, { host: `evil.example:${host.port}` })).status).toBe(421);
  expect((await get(host, `/?token=${tokens.operate}`, { host: `localhost:${host.port}` })).status).toBe(200);
  expect((await link(host, `?token=${tokens.operate}`, { host: `evil.example:${host.port}` })).outcome).toBe("refused 421");
});

test("a page of another origin cannot open a link, even with the token", async () => {
  const host = await aHost();
  for (const origin of ["http://evil.example", "null", "https://127.0.0.1", `http://127.0.0.1:${host.port + 1}`, "file://"]) {
    expect([origin, (await link(host, `?token=${tokens.operate}`, { origin })).outcome]).toEqual([origin, "refused 403"]);
  }
  const own = await link(host, `?token=${tokens.operate}`, { origin: `http://127.0.0.1:${host.port}` });
  expect(own.outcome).toBe("open");
  own.socket.close();
});

test("a link without a valid token is ended with a reason before anything is called", async () => {
  const engine = aStandInEngine();
  const host = await aHost(engine);
  for (const query of ["", "?token=", "?token=wrong", `?token=${tokens.view}x`]) expect((await link(host, query)).outcome).toBe(`closed ${closeCodes.noToken}`);
  expect((await link(host, `/other?token=${tokens.view}`)).outcome).toBe("refused 404");
  expect(engine.calls).toEqual([]);
});

test("the engine hears when a window is gone", async () => {
  const engine = aStandInEngine();
  const host = await aHost(engine);
  const { socket } = await link(host, `?token=${tokens.view}`);
  socket.terminate();
  await until("the engine heard", () => engine.gone.length === 1);
  expect(engine.gone[0]).toBe(engine.calls[0]?.caller.id);
});

test("a window that asks for some events gets only those", async () => {
  const engine = aStandInEngine();
  const host = await aHost(engine);
  const { socket, messages } = await link(host, `?token=${tokens.view}&events=session`);
  engine.emit({ event: "live", payload: aLive(0), callerId: null });
  engine.emit({ event: "session", payload: { phase: "idle" }, callerId: null });
  await until("the session event came", () => messages.length === 2);
  expect(messages[1]).toBe('{"event":"session","payload":{"phase":"idle"}}');
  socket.close();
});

test("a watcher that does not read loses live frames, never results, and holds nobody up", async () => {
  const engine = aStandInEngine();
  const host = await aHost(engine);
  const slow = await link(host, `?token=${tokens.view}`);
  const quick = await link(host, `?token=${tokens.view}`);
  slow.socket.pause();
  const frames = 4000;
  for (let n = 0; n < frames; n++) {
    engine.emit({ event: "live", payload: aLive(n), callerId: null });
    engine.emit({ event: "replayed", payload: { event: "live", payload: aLive(n) }, callerId: null });
    if (n % 100 === 0) await new Promise((done) => setImmediate(done));
  }
  engine.emit({ event: "generation", payload: { point: { thread: 0, generation: 1, evolvedMean: 1, evolvedSem: 0, evolvedBest: 1, evolvedCount: 1, referenceMean: null, referenceSem: null, referenceCount: 0, stepSize: 1, missing: 0 }, gallery: [] }, callerId: null });
  // While one reads nothing, the other has everything.
  await until("the quick one got the generation", () => quick.messages.some((message) => message.includes('"event":"generation"')), 20_000);
  slow.socket.send(JSON.stringify({ id: 1, method: "app.describe" }));
  slow.socket.resume();
  const has = (messages: string[], part: string): boolean => messages.some((message) => message.includes(part));
  await until("the slow one got the generation and its answer", () => has(slow.messages, '"generation"') && has(slow.messages, '"id":1'), 20_000);
  const lives = slow.messages.filter((message) => message.includes('"event":"live"')).length;
  expect(lives).toBeLessThan(frames);
  expect(slow.messages.filter((message) => message.includes('"event":"replayed"')).length).toBeLessThan(frames);
  expect(has(slow.messages, '"event":"generation"')).toBe(true);
  for (const { socket } of [slow, quick]) socket.close();
}, 60_000);

test("a watcher that never reads: what waits for it is bounded, and when it reads again it gets the newest state and the count of what it missed", async () => {
  const engine = aStandInEngine();
  const host = await aHost(engine);
  const slow = await link(host, `?token=${tokens.view}`);
  slow.socket.pause();
  const before = bytesHeld();
  const frames = 20_000;
  for (let n = 0; n < frames; n++) {
    engine.emit({ event: "live", payload: aLive(n), callerId: null });
    if (n % 100 === 0) await new Promise((done) => setImmediate(done));
  }
  // All of them would be 50 MB and more.
  expect(bytesHeld() - before).toBeLessThan(30e6);
  slow.socket.resume();
  const live = (): number[] => slow.messages.filter((m) => m.includes('"event":"live"')).map((m) => liveShape.parse(JSON.parse(m)).payload.progress.generation);
  await until("the newest state came", () => live().at(-1) === frames - 1, 30_000);
  const skipped = slow.messages.filter((m) => m.includes('"event":"linkSlow"')).map((m) => slowShape.parse(JSON.parse(m)).payload.skipped).reduce((a, b) => a + b, 0);
  expect(skipped).toBeGreaterThan(frames / 2);
  expect(live().length + skipped).toBe(frames);
  expect(live()).toEqual(live().toSorted((a, b) => a - b));
  slow.socket.close();
}, 60_000);

/** Of this process, with no garbage in it: how much of that lies about depends on how busy the machine is. */
function bytesHeld(): number {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const liveShape = z.object({ payload: z.object({ progress: z.object({ generation: z.number() }) }) });
const slowShape = z.object({ payload: z.object({ skipped: z.number() }) });

test("a port in use, a foreign address and a remote address without leave are sentences", async () => {
  const first = await aHost();
  const second = await startWebHost(options(aStandInEngine(), { port: first.port }));
  expect(second).toMatchObject({ ok: false, error: { code: "portInUse", message: expect.stringMatching(new RegExp(`port ${first.port} of 127.0.0.1.*--port ${first.port + 1}.*--port 0`)) as unknown } });
  expect(await startWebHost(options(aStandInEngine(), { host: "0.0.0.0" }))).toMatchObject({ ok: false, error: { code: "notLoopback", message: expect.stringContaining("--allow-remote") as unknown } });
  expect(await startWebHost(options(aStandInEngine(), { host: "192.0.2.1", mayLeaveLoopback: true }))).toMatchObject({ ok: false, error: { code: "addressNotHere" } });
});

test("with leave, another address is served by the names of this machine, and still needs the token", async () => {
  const host = await aHost(aStandInEngine(), { host: "0.0.0.0", mayLeaveLoopback: true });
  expect((await get(host, "/")).status).toBe(403);
  expect((await get(host, `/?token=${tokens.view}`)).status).toBe(200);
  expect(host.operatorUrl).toBe(`http://127.0.0.1:${host.port}/?token=${tokens.operate}`);
  expect([...allowedHosts("0.0.0.0", 80)]).toContain("127.0.0.1");
});

test("tokens are long, differ, and give what they say", () => {
  const made = makeTokens();
  expect(made.operate).not.toBe(made.view);
  expect(made.operate).toMatch(/^[\w-]{32}$/);
  expect(accessOfToken(made, made.operate)).toContain("operate");
  expect(accessOfToken(made, made.view)).toEqual(["view"]);
  expect(accessOfToken(made, null)).toBeNull();
});
