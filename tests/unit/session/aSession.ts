// Seeded fake sessions for tests and benchmarks: every kind of record, in an order that a real session could have.
// Knows nothing about SQL or the loop.
import type { AddedRecordBody } from "../../../src/session/append.ts";
import type { SessionInfo, SessionRecord, SessionRecordBody } from "../../../src/shared/records.ts";
import { createRng } from "../../../src/shared/rng.ts";
import type { Rng } from "../../../src/shared/rng.ts";
import { hostTimeNs, rigTimeNs } from "../../../src/shared/units.ts";
import type { ChannelInfo, EyeBatch, ImageKind, SpikeBatch } from "../../../src/shared/values.ts";

export interface SessionOptions {
  readonly seed?: number;
  readonly channels?: number;
  readonly generations?: number;
  /** Evolved images per generation. */
  readonly population?: number;
  readonly references?: number;
  readonly imagePx?: number;
  readonly latentDim?: number;
  readonly rateHz?: number;
  readonly firstSeq?: number;
}

export function anInfo(over: Partial<SessionInfo> = {}): SessionInfo {
  return {
    id: "6f9b0c1e-6a5d-4c64-9a53-0f4b1f3f6f10",
    subject: { id: "A1", species: "Macaca mulatta", sex: "M", age: "P7Y", dateOfBirth: null, weightKg: 9.5, description: "" },
    startedUtc: "2025-11-22T13:45:00.000Z",
    seed: "7",
    rig: "Synthetic rig",
    protocol: "evolution",
    configJson: JSON.stringify({ generations: 3, window: { startMs: 70, endMs: 170 } }),
    appVersion: "0.1.0",
    hostKind: "test",
    description: "Evolution of preferred images for one channel",
    experimenters: ["Doe, Jane"],
    lab: "Test lab",
    institution: "Test institute",
    ...over,
  };
}

const areas = ["V1", "V4", "PIT"];

export function someChannels(count: number): ChannelInfo[] {
  return Array.from({ length: count }, (_, index) => {
    const area = areas[Math.floor((index * areas.length) / count)] ?? "";
    return { index, name: `CH${index + 1}`, area, positionMm: index % 7 === 6 ? null : { x: (index % 8) * 0.4, y: Math.floor(index / 8) * 0.4 } };
  });
}

/** Poisson spikes of all channels between two rig times, in time order, whole ns. */
export function someSpikes(rng: Rng, { channels, rateHz, fromRigNs, toRigNs }: { channels: number; rateHz: number; fromRigNs: number; toRigNs: number }): SpikeBatch {
  const spikes: { timeNs: number; channel: number; unit: number }[] = [];
  const spanNs = toRigNs - fromRigNs;
  const expected = (channels * rateHz * spanNs) / 1e9;
  const count = Math.max(0, Math.round(expected + Math.sqrt(expected) * rng.gaussian()));
  for (let i = 0; i < count; i++) spikes.push({ timeNs: fromRigNs + Math.floor(rng.uniform() * spanNs), channel: rng.int(channels), unit: rng.int(20) === 0 ? 1 : 0 });
  spikes.sort((a, b) => a.timeNs - b.timeNs);
  return {
    timesRigNs: Float64Array.from(spikes, (s) => s.timeNs),
    channels: Uint16Array.from(spikes, (s) => s.channel),
    units: Uint8Array.from(spikes, (s) => s.unit),
    watermarkRigNs: rigTimeNs(toRigNs),
    arrivedHostNs: hostTimeNs(toRigNs + 3e6),
  };
}

/** 1 kHz gaze near the fixation spot. */
export function someGaze(rng: Rng, fromRigNs: number, toRigNs: number): EyeBatch {
  const count = Math.max(0, Math.round((toRigNs - fromRigNs) / 1e6));
  return {
    timesRigNs: Float64Array.from({ length: count }, (_, i) => fromRigNs + i * 1e6),
    xDeg: Float32Array.from({ length: count }, () => rng.gaussian() * 0.1),
    yDeg: Float32Array.from({ length: count }, () => rng.gaussian() * 0.1),
    valid: Uint8Array.from({ length: count }, () => (rng.int(500) === 0 ? 0 : 1)),
  };
}

/** A soft grating with a little noise: deflates about as well as a generated image. */
export function someRgb(rng: Rng, sizePx: number): Uint8Array {
  const [fx, fy, phase] = [rng.uniform() * 0.3, rng.uniform() * 0.3, rng.uniform() * 6];
  const rgb = new Uint8Array(sizePx * sizePx * 3);
  for (let i = 0; i < rgb.length; i++) {
    const x = Math.floor(i / 3) % sizePx;
    const y = Math.floor(i / 3 / sizePx);
    rgb[i] = 128 + 90 * Math.sin(fx * x + fy * y + phase + (i % 3)) + 6 * rng.uniform();
  }
  return rgb;
}

/** What can be made of a recording: a model, an ablation of it, two images evolved for that, an export. Some values are missing on purpose. */
export function someAnalyses(rng: Rng, { channel = 1, features = 10, imagePx = 8 }: { channel?: number; features?: number; imagePx?: number } = {}): AddedRecordBody[] {
  const name = { weightsSha256: `${rng.int(10)}f`.repeat(32), encoderId: "fake-encoder", encoderSha256: "cd".repeat(32), layer: "penultimate" };
  const condition = { weightsSha256: name.weightsSha256, sign: "negative", alpha: 0.3, rule: "atMost" } as const;
  const image = (run: number): AddedRecordBody => ({
    kind: "visualisation", ...condition, generatorId: "fake-generator", generatorSha256: "ab".repeat(32), run, seed: 7, imageOf: run === 0 ? "best" : "mean", generation: run === 0 ? 12 : null,
    activationHz: run === 0 ? 40 + rng.uniform() : Number.NaN, intactActivationHz: 30 + rng.uniform(), objectEnergy: run === 0 ? 0.2 : null, objectness: null,
    settingsJson: JSON.stringify({ generations: 20 }), widthPx: imagePx, heightPx: imagePx, rgb: someRgb(rng, imagePx), latent: Float32Array.from({ length: 6 }, () => rng.gaussian()),
  });
  return [
    {
      kind: "neuronModel", ...name, channel, channelName: `CH${channel + 1}`, method: "pls", components: 2, penalty: null, split: "holdOut", splitSeed: 7, trainImages: 40, testImages: 10,
      r2Train: 0.8, r2Test: 0.5 + 0.1 * rng.uniform(), r: 0.7, noiseCeilingR: 0.9, noiseCorrectedR: 0.7 / 0.9, positiveToNegative: null, converged: true,
      settingsJson: JSON.stringify({ kinds: ["evolved"] }), interceptHz: rng.gaussian(), coefficientsHz: Float64Array.from({ length: features }, () => rng.gaussian()),
    },
    { kind: "ablation", ...name, unit: `CH${channel + 1}`, sign: condition.sign, alpha: condition.alpha, rule: condition.rule, weights: features, zeroed: 2, removedShare: 0.25 + 0.01 * rng.uniform() },
    image(0),
    image(1),
    { kind: "export", atUtc: "2025-11-22T16:00:00.000Z", format: "nwb", path: "/exports/one.nwb", sizeBytes: 123456, sha256: "ef".repeat(32), checks: 321, appVersion: "0.1.0" },
    { kind: "export", atUtc: "2025-11-22T16:05:00.000Z", format: "csv", path: "/exports/one-csv", sizeBytes: 2345, sha256: null, checks: 12, appVersion: "0.1.0" },
  ];
}

/** The one constructor of session records in tests. Lazy: a long session need not fit in memory. */
export function* aSession(options: SessionOptions = {}): Generator<SessionRecord> {
  const { seed = 1, channels = 12, generations = 3, population = 6, references = 2, imagePx = 16, latentDim = 8, rateHz = 20, firstSeq = 1 } = options;
  const rng = createRng(seed).fork("aSession");
  const perTrial = 5;
  const target = 1 % channels;
  const rigAhead = 5e9; // the rig clock started 5 s before the host clock
  let seq = firstSeq;
  let nowNs = 0;
  let spikesUntil = rigAhead;
  let trialId = 0;
  let presentationId = 0;
  let imageId = 0;
  let state: Uint8Array = Uint8Array.from({ length: 64 }, () => rng.int(256));
  const make = (body: SessionRecordBody): SessionRecord => ({ ...body, seq: seq++, hostNs: hostTimeNs(nowNs) });

  yield make({ kind: "devices", devices: [{ role: "spikes", name: "Fake rig", detail: "96 channels" }, { role: "reward", name: "Fake juice", detail: "" }] });
  yield make({ kind: "channels", channels: someChannels(channels) });
  yield make({ kind: "model", role: "generator", id: "fake-generator", sha256: "ab".repeat(32), provider: "cpu" });
  yield make({ kind: "event", category: "operator", severity: "info", code: "start", message: "Session started", dataJson: "" });
  yield make({ kind: "step", step: 0, state: "begun", protocol: "evolution", title: "Evolution", settingsJson: JSON.stringify({ protocol: "evolution" }), sourceSha256: null, dataJson: JSON.stringify({ firstThread: 0, library: 0 }) });
  yield make({ kind: "clock", anchorHostNs: hostTimeNs(0), anchorRigNs: rigTimeNs(rigAhead), driftPpm: 12.5, uncertaintyMs: Number.NaN });

  yield make({
    kind: "displayCalibration", refreshHz: 119.97, photodiodeCode: "onset", flashes: 20, marks: 20, durationsSeen: 20, lagMsMedian: 8.3, lagMsMean: 8.25, lagMsSd: 0.4, lagMsMin: 7.5, lagMsMax: 9, skipped: "",
  });

  const image = (imageKind: ImageKind, generation: number | null, individual: number | null): SessionRecord =>
    make({
      kind: "image",
      step: 0,
      key: `${imageKind}/${imageId}`,
      imageId: ++imageId,
      imageKind,
      thread: imageKind === "reference" ? null : 0,
      generation,
      individual,
      label: imageKind === "reference" ? `reference-${imageId}.png` : "",
      widthPx: imagePx,
      heightPx: imagePx,
      rgb: someRgb(rng, imagePx),
      latent: imageKind === "reference" ? null : Float64Array.from({ length: latentDim }, () => rng.gaussian()),
    });
  const referenceIds: number[] = [];
  for (let i = 0; i < references; i++) {
    yield image("reference", null, null);
    referenceIds.push(imageId);
  }

  for (let generation = 0; generation < generations; generation++) {
    const evolvedIds: number[] = [];
    for (let individual = 0; individual < population; individual++) {
      yield image("evolved", generation, individual);
      evolvedIds.push(imageId);
    }
    const order = rng.shuffle([...evolvedIds, ...referenceIds]);
    const rates = new Map<number, number>();
    for (let start = 0; start < order.length; start += perTrial) {
      const shown = order.slice(start, start + perTrial);
      trialId++;
      const startNs = nowNs;
      for (const shownId of shown) {
        nowNs += 250e6;
        const toRigNs = nowNs + rigAhead;
        for (let from = spikesUntil; from < toRigNs; from += 50e6) {
          yield make({ kind: "spikes", batch: someSpikes(rng, { channels, rateHz, fromRigNs: from, toRigNs: Math.min(toRigNs, from + 50e6) }) });
        }
        yield make({ kind: "eye", batch: someGaze(rng, spikesUntil, toRigNs) });
        spikesUntil = toRigNs;
        const onsetRigNs = rigTimeNs(toRigNs - 245e6);
        yield make({ kind: "mark", markKind: "photodiode", rigNs: onsetRigNs, line: 0, state: true, word: null, presentationId: presentationId + 1 });
        const broken = rng.int(15) === 0;
        const isReference = referenceIds.includes(shownId);
        const counts = Uint16Array.from({ length: channels }, () => rng.int(8));
        const rateHzShown = broken ? null : (counts[target] ?? 0) * 10 + (isReference ? 0 : generation * 3);
        if (rateHzShown !== null) rates.set(shownId, rateHzShown);
        yield make({
          kind: "flip", presentationId: presentationId + 1, plannedHostNs: hostTimeNs(nowNs - 246e6), onsetHostNs: hostTimeNs(nowNs - 245e6), offsetHostNs: hostTimeNs(nowNs - 145e6),
          framesPlanned: 12, framesShown: broken ? 5 : 12, lateFrames: 0, framesSeen: broken ? null : 12, framesRepeated: null, framesDropped: null, onsetErrorMs: 0.25,
        });
        yield make({
          kind: "presentation",
          step: 0,
          block: generation,
          item: shownId,
          placement: shownId % 4 === 0 ? { centreXDeg: 1.5, centreYDeg: -2, sizeDeg: 1 + rng.uniform(), centreXPx: 1010, centreYPx: 610, sizePx: 40 } : null,
          presentationId: ++presentationId,
          trialId,
          imageId: shownId,
          thread: isReference ? null : 0,
          generation,
          scheduledHostNs: hostTimeNs(nowNs - 246e6),
          flipHostNs: hostTimeNs(nowNs - 245e6 + rng.int(1000)),
          onsetRigNs,
          onsetSource: "photodiode",
          framesPlanned: 12,
          framesShown: broken ? 5 : 12,
          lateFrames: 0,
          counts: broken ? null : counts,
          baselineCounts: broken ? null : Uint16Array.from({ length: channels }, () => rng.int(3)),
          rateHz: rateHzShown,
          targetChannel: target,
          windowStartMs: 70,
          windowEndMs: 170,
          excluded: broken ? "fixationBroken" : null,
        });
      }
      yield make({
        kind: "trial",
        trialId,
        startHostNs: hostTimeNs(startNs),
        endHostNs: hostTimeNs(nowNs),
        outcome: "correct",
        imagesPlanned: shown.length,
        imagesCompleted: shown.length,
        rewardMs: 120,
      });
      yield make({ kind: "reward", pulseMs: 120, cause: "trial", delivered: true });
      nowNs += 500e6;
    }
    const scores = Float64Array.from(evolvedIds, (id) => rates.get(id) ?? Number.NaN);
    const known = [...scores].filter((score) => !Number.isNaN(score));
    const after = Uint8Array.from({ length: 64 }, () => rng.int(256));
    yield make({
      kind: "generation",
      thread: 0,
      generation,
      targetChannel: target,
      optimizer: "fake",
      stateBefore: state,
      stateAfter: after,
      rngState: JSON.stringify(rng.state()),
      scores,
      evolvedMean: known.reduce((sum, score) => sum + score, 0) / known.length,
      evolvedSem: 1.5,
      referenceMean: references === 0 ? Number.NaN : 12,
      referenceSem: references === 0 ? Number.NaN : 0.5,
      stepSize: 0.3 / (generation + 1),
      missing: scores.length - known.length,
      bestImageId: evolvedIds[0] ?? null,
    });
    state = after;
  }
  for (const body of someAnalyses(rng.fork("analyses"), { channel: target })) yield make(body);
  yield make({ kind: "event", category: "operator", severity: "info", code: "stop", message: "Session ended", dataJson: JSON.stringify({ by: "operator" }) });
}
