// Whether those who watch slow a session down: the same real-time session on the synthetic rig with nobody watching, with a second viewer that reads,
// and with one that has stopped reading (SIGSTOP) with all its sockets open. Prints one JSON line; speeds are presentations a second, ratios to the first.
//   node bench/viewers.ts [--seconds 20]
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { WebSocket } from "ws";
import { openSession } from "../src/session/reader.ts";
import { sessionConfig } from "../src/shared/contract/index.ts";
import { unwrap } from "../src/shared/result.ts";
import { nsPerS } from "../src/shared/units.ts";
import { serve } from "../src/web/serve.ts";

const { values } = parseArgs({ options: { seconds: { type: "string", default: "20" } } });
const folder = mkdtempSync(join(tmpdir(), "evoked-bench-"));
const pages = join(folder, "pages");
mkdirSync(pages);
for (const page of ["index.html", "stimulus.html"]) writeFileSync(join(pages, page), "<!doctype html><title>bench</title>");

/** A viewer in a process of its own: links, and counts what it gets. */
const viewer = `
  import { WebSocket } from "ws";
  const socket = new WebSocket(process.argv[1]);
  let bytes = 0;
  socket.on("message", (data) => { bytes += data.length; });
  socket.on("open", () => console.log("linked"));
  process.on("SIGTERM", () => { console.log(bytes); process.exit(0); });
  setInterval(() => undefined, 1000);`;

type Watching = "nobody" | "live" | "stopped";

async function measure(watching: Watching): Promise<{ readonly presentationsPerS: number; readonly viewerBytes: number; readonly hostMemoryMB: number }> {
  const sessions = join(folder, watching);
  const served = unwrap(await serve({ host: "127.0.0.1", port: 0, allowRemote: false, sessions, rendererFolder: pages }, () => undefined));
  // The one who starts it gets nothing but the session's own state.
  const operator = new WebSocket(`${served.operatorUrl.replace("http", "ws").replace("/?", "/api?")}&events=session`);
  await new Promise((resolve) => operator.once("open", resolve));
  const call = (id: number, method: string, args: unknown): Promise<string> => new Promise((resolve) => {
    const listen = (data: Buffer): void => {
      const text = data.toString("utf8");
      if (!text.startsWith(`{"id":${id},`)) return;
      operator.off("message", listen);
      resolve(text);
    };
    operator.on("message", listen);
    operator.send(JSON.stringify({ id, method, args }));
  });
  let child: ReturnType<typeof spawn> | null = null;
  let viewerBytes = 0;
  if (watching !== "nobody") {
    const made = spawn(process.execPath, ["--input-type=module", "-e", viewer, `${served.viewerUrl.replace("http", "ws").replace("/?", "/api?")}`], { stdio: ["ignore", "pipe", "inherit"], cwd: import.meta.dirname });
    child = made;
    await new Promise<void>((resolve) => made.stdout.on("data", (data: Buffer) => {
      if (data.toString("utf8").startsWith("linked")) resolve();
      else viewerBytes = Number(data.toString("utf8"));
    }));
  }
  const started = await call(1, "session.start", { config: sessionConfig.parse({ seed: 7, display: { kind: "timed" }, evolution: { generations: 60, tuningRepeats: 1 } }) });
  if (!started.includes('"ok":true')) throw new Error(`expected the session to start, got ${started.slice(0, 500)}`);
  if (watching === "stopped") child?.kill("SIGSTOP");
  await new Promise((resolve) => setTimeout(resolve, Number(values.seconds) * 1000));
  const hostMemoryMB = process.memoryUsage().rss / 1e6;
  await call(2, "session.stop", {});
  if (child !== null) {
    child.kill("SIGCONT");
    child.kill("SIGTERM");
    await new Promise((resolve) => child.once("exit", resolve));
  }
  operator.close();
  await served.close();
  const reader = unwrap(openSession(String(/"file":"([^"]+)"/.exec(started)?.[1])));
  const shown = reader.presentations();
  const first = shown[0]?.hostNs ?? 0;
  const last = shown.at(-1)?.hostNs ?? 0;
  reader.close();
  return { presentationsPerS: (shown.length - 1) / ((last - first) / nsPerS), viewerBytes, hostMemoryMB };
}

try {
  const nobody = await measure("nobody");
  const live = await measure("live");
  const stopped = await measure("stopped");
  console.log(JSON.stringify({
    bench: "viewers", seconds: Number(values.seconds), nobody, live, stopped, liveToNobody: live.presentationsPerS / nobody.presentationsPerS, stoppedToNobody: stopped.presentationsPerS / nobody.presentationsPerS, load: loadavg()[0],
  }));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
