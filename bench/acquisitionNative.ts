// Spikes over UDP to decided responses: 384 channels at 100 spikes/s through the Blackrock driver and the bridge, received by the addon's
// thread and, for comparison, by Node's own sockets; a second core 40 % busy. Nothing may be lost. Then how far the rate can be raised.
// The sender is a program of its own (native/tools/burst.cpp), compiled here. Times are compared on the one monotonic clock that the sender,
// the receive thread and this process share.
// node bench/acquisitionNative.ts [--seconds N] [--compare-seconds N] [--ramp-seconds N] [--paths blackrock,bridge] [--busy SHARE]
// Without flags it takes 12 minutes: each path for 5. --ramp-seconds 0 leaves out how far the rate can be raised.
import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createSocket } from "node:dgram";
import { mkdtempSync, rmSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { blackrockOptionsSchema } from "../src/acquisition/drivers/blackrock/options.ts";
import { createBlackrockSource } from "../src/acquisition/drivers/blackrock/source.ts";
import { bridgeOptionsSchema } from "../src/acquisition/drivers/plexon/bridgeOptions.ts";
import { createBridgeSource } from "../src/acquisition/drivers/plexon/bridgeSource.ts";
import { createRealClock } from "../src/engine/realClock.ts";
import { createResponseCollector } from "../src/loop/responses.ts";
import { unwrap } from "../src/shared/result.ts";
import { rigTimeNs } from "../src/shared/units.ts";

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "300" }, "compare-seconds": { type: "string", default: "20" }, "ramp-seconds": { type: "string", default: "2" }, paths: { type: "string", default: "blackrock,bridge" }, busy: { type: "string", default: "0.4" } },
});
const channels = 384;
const spikesPerS = 38_400;
const datagramUs = 1000;
/** A window closes this often: overlapping ones, so that the tails have samples. */
const windowEveryMs = 10;
const folder = mkdtempSync(join(tmpdir(), "evoked-bench-native-"));
const sender = join(folder, "burst");

type Path = "blackrock" | "bridge";
type By = "addon" | "node";

interface Outcome {
  readonly sentSpikes: number;
  readonly receivedSpikes: number;
  readonly lostPackets: number;
  readonly faults: number;
  readonly windows: number;
  /** From the sending of the packet that lets the watermark pass a window's end to that window's counts, ms. */
  readonly sentToDecidedMs: Percentiles;
  /** From the arrival stamp of that packet, ms. By Node the stamp is taken when JavaScript has its turn, and is blind to what came before. */
  readonly arrivalToDecidedMs: Percentiles;
  /** Of one core, this process whole. */
  readonly cpuShare: number;
  readonly senderCpuShare: number;
  /** What the sender managed of what it was asked. */
  readonly senderShare: number;
}

interface Percentiles {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

function percentiles(times: number[]): Percentiles {
  const sorted = Float64Array.from(times).sort();
  const at = (share: number) => Number((sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN).toFixed(3));
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1) };
}

async function freePort(): Promise<number> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}

/** Senders that run: none outlives this program. */
const senders = new Set<ChildProcess>();
const monotonicNs = (): number => Number(process.hrtime.bigint());

async function measure(path: Path, by: By, rate: number, seconds: number): Promise<Outcome> {
  const port = await freePort();
  const child = spawn(sender, [path, String(port), String(channels), String(rate), String(seconds), String(datagramUs)], { stdio: ["ignore", "pipe", "inherit"] });
  senders.add(child);
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
  void ended.then(() => senders.delete(child));
  const clock = createRealClock();
  const source =
    path === "blackrock"
      ? createBlackrockSource({ clock, options: blackrockOptionsSchema.parse({ device: "nPlay", sendPort: port, receivePort: 0, localAddress: "127.0.0.1", holdBackMs: 0, protocol: "4.1", receiveBy: by }) })
      : createBridgeSource({ clock, options: bridgeOptionsSchema.parse({ port, localAddress: "127.0.0.1", receiveBy: by }) });
  const collector = createResponseCollector({ channelCount: () => channels, windowStartMs: 70, windowEndMs: 170, baselineStartMs: -50, baselineEndMs: 0 });
  let receivedSpikes = 0;
  let faults = 0;
  let windows = 0;
  let nextOnsetNs = Number.NaN;
  const sentToDecided: number[] = [];
  const arrivalToDecided: number[] = [];
  let cpu = process.cpuUsage();
  let beganMs = 0;
  unwrap(
    await source.start((event) => {
      if (event.kind === "fault") {
        faults += 1;
        process.stderr.write(`${path} by ${by}: ${JSON.stringify(event.fault)}\n`);
      }
      if (event.kind !== "spikes") return;
      const { batch } = event;
      if (receivedSpikes === 0 && batch.timesRigNs.length > 0) {
        cpu = process.cpuUsage();
        beganMs = performance.now();
        nextOnsetNs = batch.watermarkRigNs;
      }
      receivedSpikes += batch.timesRigNs.length;
      if (Number.isNaN(nextOnsetNs)) return;
      for (; nextOnsetNs < batch.watermarkRigNs + 100e6; nextOnsetNs += windowEveryMs * 1e6) collector.open(windows++, rigTimeNs(nextOnsetNs));
      const decided = collector.add(batch);
      if (decided.length === 0) return;
      // The sender's times are its own clock, which is this computer's; the watermark is when the newest packet was sent.
      const sentMs = (monotonicNs() - batch.watermarkRigNs) / 1e6;
      const arrivalMs = (clock.now() - batch.arrivedHostNs) / 1e6;
      for (let i = 0; i < decided.length; i++) {
        sentToDecided.push(sentMs);
        arrivalToDecided.push(arrivalMs);
      }
    }),
  );
  await ended;
  const wallMs = performance.now() - beganMs;
  const used = process.cpuUsage(cpu);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const { packetsLost } = source.status();
  await source.stop();
  const sent: { readonly spikes: number; readonly cpuS: number } = JSON.parse(said);
  return {
    sentSpikes: sent.spikes, receivedSpikes, lostPackets: packetsLost, faults, windows: sentToDecided.length,
    sentToDecidedMs: percentiles(sentToDecided), arrivalToDecidedMs: percentiles(arrivalToDecided),
    cpuShare: Number(((used.user + used.system) / 1000 / wallMs).toFixed(3)), senderCpuShare: Number((sent.cpuS / (seconds + 1.5)).toFixed(3)), senderShare: Number((sent.spikes / (rate * seconds)).toFixed(3)),
  };
}

/** Keeps one core busy for that share of its time, in steps of 10 ms; pinned to the last core where that can be done. */
function keepBusy(share: number): ChildProcess {
  const program = `const busyMs = ${share * 10}; const cell = new Int32Array(new SharedArrayBuffer(4)); for (;;) { const until = performance.now() + busyMs; while (performance.now() < until); Atomics.wait(cell, 0, 0, ${10 - share * 10}); }`;
  const args = ["-e", program];
  try {
    execFileSync("taskset", ["--version"], { stdio: "ignore" });
    return spawn("taskset", ["-c", "1", process.execPath, ...args], { stdio: "ignore" });
  } catch {
    return spawn(process.execPath, args, { stdio: "ignore" });
  }
}

/** Doubles the rate, then closes in, while nothing is lost and the tail stays below 5 ms. */
async function findLimit(path: Path, seconds: number): Promise<{ readonly sustainedSpikesPerS: number; readonly limit: string }> {
  let good = spikesPerS;
  let bad = Number.POSITIVE_INFINITY;
  let limit = "none up to the highest rate tried";
  for (let step = 0; step < 7; step++) {
    const rate = bad === Number.POSITIVE_INFINITY ? good * 2 : Math.round((good + bad) / 2);
    if (rate > 3_000_000 || bad / good < 1.15) break;
    const got = await measure(path, "addon", rate, seconds);
    const lost = got.sentSpikes - got.receivedSpikes;
    const problem =
      got.senderShare < 0.97 ? `the sender manages ${got.senderShare} of the rate (its core is full)` : lost > 0 || got.lostPackets > 0 ? `${lost} spikes lost` : got.sentToDecidedMs.p999 > 5 ? `p99.9 is ${got.sentToDecidedMs.p999} ms` : null;
    process.stderr.write(`${path} at ${rate} spikes/s: ${problem ?? `well, p99.9 ${got.sentToDecidedMs.p999} ms, ${got.cpuShare} of a core`}\n`);
    if (problem === null) good = rate;
    else {
      bad = rate;
      limit = `at ${rate} spikes/s ${problem}, with this process at ${got.cpuShare} of a core`;
    }
  }
  return { sustainedSpikesPerS: good, limit };
}

const seconds = Number(values.seconds);
const compareSeconds = Math.min(seconds, Number(values["compare-seconds"]));
execFileSync("c++", ["-O2", "-std=c++17", "-o", sender, join(import.meta.dirname, "..", "native", "tools", "burst.cpp")]);
const busy = keepBusy(Number(values.busy));
try {
  for (const path of ["blackrock", "bridge"] as const) {
    if (!values.paths.split(",").includes(path)) continue;
    const addon = await measure(path, "addon", spikesPerS, seconds);
    const node = await measure(path, "node", spikesPerS, compareSeconds);
    const rampSeconds = Number(values["ramp-seconds"]);
    const limit = rampSeconds > 0 ? await findLimit(path, rampSeconds) : {};
    process.stdout.write(
      `${JSON.stringify({
        bench: "acquisitionNative", path, channels, spikesPerS, seconds, busySecondCore: Number(values.busy), addon, node, nodeSeconds: compareSeconds,
        nodeToAddon: { sentToDecidedP99: ratio(node.sentToDecidedMs.p99, addon.sentToDecidedMs.p99), sentToDecidedP999: ratio(node.sentToDecidedMs.p999, addon.sentToDecidedMs.p999), cpu: ratio(node.cpuShare, addon.cpuShare) },
        ...limit, load: loadavg()[0],
      })}\n`,
    );
  }
} finally {
  busy.kill();
  for (const child of senders) child.kill();
  rmSync(folder, { recursive: true, force: true });
}

function ratio(one: number, other: number): number {
  return Number((one / other).toFixed(2));
}
