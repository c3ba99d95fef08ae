// The session file under load: 96 channels at 100 spikes/s, 1 kHz gaze, a new image and a presentation every 250 ms, in real time;
// then the highest spike rate that it sustains. Prints one JSON line.
//   node bench/session.ts [--seconds 60] [--channels 96] [--rate 100] [--px 128] [--folder /tmp]
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { openSession } from "../src/session/reader.ts";
import { createSession } from "../src/session/writer.ts";
import type { SessionWriter } from "../src/session/writer.ts";
import type { SessionRecordBody } from "../src/shared/records.ts";
import { unwrap } from "../src/shared/result.ts";
import { createRng } from "../src/shared/rng.ts";
import { hostTimeNs, rigTimeNs } from "../src/shared/units.ts";
import type { EyeBatch, SpikeBatch } from "../src/shared/values.ts";
import { anInfo, someChannels, someGaze, someRgb, someSpikes } from "../tests/unit/session/aSession.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    channels: { type: "string", default: "96" },
    rate: { type: "string", default: "100" },
    px: { type: "string", default: "128" },
    folder: { type: "string", default: tmpdir() },
  },
});
const seconds = Number(values.seconds);
const channels = Number(values.channels);
const rateHz = Number(values.rate);
const imagePx = Number(values.px);

const rng = createRng("bench");
const batchMs = 20;
/** One second of spikes and gaze, shifted in time as it repeats, so that making them costs nothing. */
const spikeBatches = Array.from({ length: 1000 / batchMs }, (_, i) => someSpikes(rng, { channels, rateHz, fromRigNs: i * batchMs * 1e6, toRigNs: (i + 1) * batchMs * 1e6 }));
const gazeBatches = Array.from({ length: 1000 / batchMs }, (_, i) => someGaze(rng, i * batchMs * 1e6, (i + 1) * batchMs * 1e6));
const images = Array.from({ length: 16 }, () => someRgb(rng, imagePx));
const latent = Float64Array.from({ length: 64 }, () => rng.gaussian());

function shiftSpikes(batch: SpikeBatch, byNs: number): SpikeBatch {
  return { ...batch, timesRigNs: batch.timesRigNs.map((time) => time + byNs), watermarkRigNs: rigTimeNs(batch.watermarkRigNs + byNs) };
}

function shiftGaze(batch: EyeBatch, byNs: number): EyeBatch {
  return { ...batch, timesRigNs: batch.timesRigNs.map((time) => time + byNs) };
}

interface Feeder {
  readonly spikes: () => number;
  append(body: SessionRecordBody): void;
  /** Everything of one step of 20 ms. */
  step(number: number): void;
}

function makeFeeder(writer: SessionWriter): Feeder {
  let spikes = 0;
  let imageId = 0;
  const appendMs: number[] = [];
  const append = (body: SessionRecordBody): void => {
    const start = performance.now();
    writer.append({ ...body, seq: writer.nextSeq, hostNs: hostTimeNs(0) });
    appendMs.push(performance.now() - start);
  };
  return {
    spikes: () => spikes,
    append,
    step(number) {
      const second = Math.floor((number * batchMs) / 1000);
      const batch = spikeBatches[number % spikeBatches.length];
      const gaze = gazeBatches[number % gazeBatches.length];
      if (batch === undefined || gaze === undefined) throw new Error("expected a second of batches");
      spikes += batch.timesRigNs.length;
      append({ kind: "spikes", batch: shiftSpikes(batch, second * 1e9) });
      append({ kind: "eye", batch: shiftGaze(gaze, second * 1e9) });
      if (number % 12 !== 0) return;
      imageId++;
      append({
        kind: "image", imageId, imageKind: "evolved", thread: 0, generation: 0, individual: imageId, step: 0, key: `image/${imageId}`, label: "", widthPx: imagePx, heightPx: imagePx, rgb: images[imageId % images.length] ?? new Uint8Array(), latent,
      });
      append({
        kind: "presentation", presentationId: imageId, trialId: 1, imageId, thread: 0, generation: 0, scheduledHostNs: hostTimeNs(0), flipHostNs: hostTimeNs(0), onsetRigNs: rigTimeNs(number * batchMs * 1e6), onsetSource: "photodiode",
        framesPlanned: 12, framesShown: 12, lateFrames: 0, counts: new Uint16Array(channels), baselineCounts: new Uint16Array(channels), rateHz: 10, targetChannel: 0, windowStartMs: 70, windowEndMs: 170, excluded: null, step: 0, block: 0, item: imageId, placement: null,
      });
    },
  };
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0;
}

async function open(folder: string, fileName: string): Promise<SessionWriter> {
  const writer = unwrap(await createSession({ folder, fileName, info: anInfo() }));
  writer.append({ seq: 1, hostNs: hostTimeNs(0), kind: "channels", channels: someChannels(channels) });
  await writer.flush();
  return writer;
}

/** Real time: steps are due every 20 ms, and how late they come says what the writer costs the thread that feeds it. */
async function sustained(folder: string): Promise<Record<string, number>> {
  const writer = await open(folder, "sustained.evoked");
  const feeder = makeFeeder(writer);
  const steps = (seconds * 1000) / batchMs;
  const lateMs: number[] = [];
  const stepMs: number[] = [];
  let backlogMax = 0;
  const cpuBefore = process.cpuUsage();
  const mainBefore = process.threadCpuUsage();
  const start = performance.now();
  for (let number = 0; number < steps; number++) {
    const dueMs = start + number * batchMs;
    const waitMs = dueMs - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    const beganMs = performance.now();
    lateMs.push(beganMs - dueMs);
    feeder.step(number);
    stepMs.push(performance.now() - beganMs);
    backlogMax = Math.max(backlogMax, writer.status().queuedRecords);
  }
  await writer.flush();
  const wallMs = performance.now() - start;
  const cpu = process.cpuUsage(cpuBefore);
  const main = process.threadCpuUsage(mainBefore);
  const { sizeBytes, failure, minutesLeft } = writer.status();
  if (failure !== null) throw new Error(failure.message);
  await writer.close();
  const reader = unwrap(openSession(writer.file));
  const { spikes, eyeSamples } = reader.streamCounts();
  const presentations = reader.presentations().length;
  reader.close();
  stepMs.sort((a, b) => a - b);
  return {
    seconds: wallMs / 1000,
    spikes,
    spikesLost: feeder.spikes() - spikes,
    eyeSamplesLost: Math.round(steps * batchMs) - eyeSamples,
    presentationsLost: Math.ceil(steps / 12) - presentations,
    // All threads but the feeding one: the writer with its garbage collection and compression.
    writerCpuPercent: ((cpu.user + cpu.system - main.user - main.system) / 1000 / wallMs) * 100,
    stepP99Ms: quantile(stepMs, 0.99),
    stepMaxMs: stepMs.at(-1) ?? 0,
    backlogMaxRecords: backlogMax,
    megabytesPerHour: (sizeBytes / 1e6 / wallMs) * 3_600_000,
    minutesLeft: minutesLeft ?? -1,
  };
}

/** As fast as the disk takes it: the feeder waits whenever 2,000 records are queued. Batches of 100 ms at a hundred times the rate. */
async function highest(folder: string): Promise<Record<string, number>> {
  const writer = await open(folder, "highest.evoked");
  const dense = someSpikes(createRng("dense"), { channels, rateHz: rateHz * 10, fromRigNs: 0, toRigNs: 1e8 });
  const start = performance.now();
  let spikes = 0;
  for (let number = 0; performance.now() - start < 5000; number++) {
    writer.append({ seq: writer.nextSeq, hostNs: hostTimeNs(0), kind: "spikes", batch: shiftSpikes(dense, number * 1e8) });
    spikes += dense.timesRigNs.length;
    if (writer.status().queuedRecords > 200) await writer.flush();
  }
  await writer.flush();
  const spikesPerS = spikes / ((performance.now() - start) / 1000);
  await writer.close();
  return { spikesPerS, spikesPerSPerChannel: spikesPerS / channels };
}

const folder = mkdtempSync(join(values.folder, "evoked-bench-"));
try {
  const load = await sustained(folder);
  const most = await highest(folder);
  process.stdout.write(`${JSON.stringify({ bench: "session", channels, rateHz, imagePx, ...load, highest: most })}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
