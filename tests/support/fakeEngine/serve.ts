// Serves the built windows with the fake engine behind them: node tests/support/fakeEngine/serve.ts --at 12 --running
// EVOKED_PAGES names another folder of built windows. Knows nothing about what the engine pretends. Not for the network: loopback only, no token.
import { createServer, type Server } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import { parseArgs } from "node:util";
import { WebSocketServer } from "ws";
import { createFakeEngine, fakeDefaults, type FakeEngine, type FakeOptions } from "./fakeEngine.ts";
import { methods } from "../../../src/shared/contract/index.ts";
import { pageHeaders } from "../../../src/shared/pageSecurity.ts";
import { fault } from "../../../src/shared/result.ts";
import type { MethodName } from "../../../src/shared/contract/index.ts";

const folder = process.env["EVOKED_PAGES"] ?? join(import.meta.dirname, "../../../out/renderer");
const types: Readonly<Record<string, string>> = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2" };

export interface FakeHost {
  readonly url: string;
  readonly engine: FakeEngine;
  /** Cuts every link, as a crash of the engine would. */
  cut(): void;
  close(): Promise<void>;
}

export async function serveFakeEngine(options: Partial<FakeOptions> = {}, port = 0): Promise<FakeHost> {
  const engine = createFakeEngine(options);
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://fake.invalid").pathname;
    const name = path === "/" ? "/index.html" : path === "/stimulus" ? "/stimulus.html" : normalize(path);
    readFile(join(folder, name)).then(
      (body) => response.writeHead(200, { ...pageHeaders([`ws://${request.headers.host ?? ""}`]), "content-type": types[extname(name)] ?? "application/octet-stream" }).end(body),
      () => response.writeHead(404).end(),
    );
  });
  const sockets = new WebSocketServer({ server, path: "/api" });
  sockets.on("connection", (socket) => {
    const stop = engine.subscribe((event) => socket.send(JSON.stringify(event)));
    socket.on("close", stop);
    socket.on("message", (data) => {
      const frame = JSON.parse(String(data)) as { id: number; method: MethodName; args: unknown };
      void answer(engine, frame).then((result) => socket.send(JSON.stringify({ id: frame.id, result })));
    });
  });
  await listen(server, port);
  const address = server.address();
  const bound = typeof address === "object" && address !== null ? address.port : port;
  return {
    url: `http://127.0.0.1:${bound}/`, engine,
    cut: () => sockets.clients.forEach((socket) => socket.terminate()),
    close: () => new Promise((resolve) => {
      engine.close();
      sockets.clients.forEach((socket) => socket.terminate());
      sockets.close();
      server.closeAllConnections();
      server.close(() => resolve());
    }),
  };
}

async function answer(engine: FakeEngine, frame: { readonly method: MethodName; readonly args: unknown }): Promise<unknown> {
  const args = methods[frame.method].args.safeParse(frame.args);
  if (!args.success) return fault("badArguments", `${frame.method}: ${args.error.issues[0]?.message ?? ""} at ${args.error.issues[0]?.path.join(".") ?? ""}`);
  // The table pairs schema and handler of one name; indexing both by a variable loses that.
  const handler = engine.handlers[frame.method] as ((args: unknown, caller: unknown) => Promise<unknown>) | undefined;
  return handler === undefined ? fault("notFaked", `The fake engine has no ${frame.method}.`) : await handler(args.data, null);
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { port: { type: "string", default: "5199" }, at: { type: "string" }, generations: { type: "string" }, speed: { type: "string" }, threads: { type: "string" }, running: { type: "boolean" }, alarms: { type: "boolean" }, watcher: { type: "boolean" }, fault: { type: "boolean" } } });
  const host = await serveFakeEngine({
    at: Number(values.at ?? fakeDefaults.at), generations: Number(values.generations ?? fakeDefaults.generations), speed: Number(values.speed ?? 1), threads: Number(values.threads ?? 1),
    running: values.running === true, alarms: values.alarms === true, mayOperate: values.watcher !== true, check: values.fault === true ? "fault" : "ok",
  }, Number(values.port));
  console.log(host.url);
}
