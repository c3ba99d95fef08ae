// The synthetic rig: a world with neurons, an eye, a juice line and a clock of its own, seen through the ports. Knows nothing about
// trials, scores or windows. Everything it does follows from one seed and from what it is shown.
import { createRng } from "../../shared/rng.ts";
import type { Clock, Encoder, EyeTracker, Retina, Reward, SpikeSource, VisualPlacement } from "../../shared/ports.ts";
import { assertNever, fault, ok } from "../../shared/result.ts";
import { hostTimeNs, nsPerMs, rigTimeNs } from "../../shared/units.ts";
import type { HostTimeNs, RigTimeNs } from "../../shared/units.ts";
import type { ImageBatch, RigMark, SourceEvent, SourceFault } from "../../shared/values.ts";
import { openPhotodiodeLine } from "./photodiodeLine.ts";
import type { PhotodiodeLine } from "./photodiodeLine.ts";
import { createEarlyVision } from "./earlyVision.ts";
import { createSyntheticEye } from "./eye.ts";
import { defaultRigOptions } from "./options.ts";
import type { RigFault, SyntheticRigOptions } from "./options.ts";
import { chooseLayers, planPopulation, tunePopulation } from "./population.ts";
import type { TunedPopulation } from "./population.ts";
import { createSyntheticReward } from "./reward.ts";
import { createSpikeTrains } from "./spikeTrains.ts";
import { createTimeCourse } from "./timeCourse.ts";
import { fieldGain, fieldInDegrees } from "./visualField.ts";
import type { FieldFrame } from "./visualField.ts";
import { areaNames } from "./truth.ts";
import type { AreaName, GroundTruth, InjectedFault, ResponseWindow } from "./truth.ts";

export interface SyntheticRig {
  readonly source: SpikeSource;
  readonly eye: EyeTracker;
  readonly reward: Reward;
  readonly retina: Retina;
  readonly truth: GroundTruth;
  /** Another program strobes a word into the rig's digital port at this host time. */
  strobe(word: number, atHostNs: HostTimeNs): void;
}

/** The stream is counted in packets of this length for loss reports. */
const packetMs = 20;
/** Silence after which the stream is reported stale, as a driver's watchdog would. */
const staleMs = 500;
/** Images whose responses are kept; a session has some thousands. */
const knownImagesMax = 50_000;
const seeBatchMax = 16;

const courses = {
  V1: createTimeCourse({ riseMs: 4, transientMs: 25, sustained: 0.5, decayMs: 12 }),
  V4: createTimeCourse({ riseMs: 6, transientMs: 35, sustained: 0.5, decayMs: 15 }),
  PIT: createTimeCourse({ riseMs: 8, transientMs: 45, sustained: 0.5, decayMs: 18 }),
} satisfies Record<AreaName, ReturnType<typeof createTimeCourse>>;

/** Something that happens at a place in the stream. */
interface StreamMoment {
  readonly atRigNs: number;
  readonly order: number;
  readonly happen: () => void;
}

/**
 * Makes a rig with 96 channels (V1, V4, PIT). `encoder` is what its neurons read; null: a small built-in hierarchy.
 * Nothing runs before `source.start` or `eye.start`. Throws where the options name layers that the encoder has not.
 */
export function createSyntheticRig(options: {
  readonly seed: number | string;
  readonly clock: Clock;
  readonly encoder: Encoder | null;
  readonly options?: Partial<SyntheticRigOptions>;
}): SyntheticRig {
  const { clock } = options;
  const settings: SyntheticRigOptions = { ...defaultRigOptions, ...options.options };
  const encoder = options.encoder ?? createEarlyVision();
  const rng = createRng(options.seed).fork("synthetic rig");

  // ------------------------------------------------------------------------------------------------------------
  // The rig's clock: its own rate and offset. Inside the rig time is continuous; a clock jump changes what is reported.
  const bornHostNs = clock.now();
  const rate = 1 + settings.driftPpm / 1e6;
  const offsetNs = Math.round((1 + 9 * rng.fork("clock").uniform()) * 1e9);
  const innerRigNs = (hostNs: number) => Math.round((hostNs - bornHostNs) * rate) + offsetNs;
  const jumps: { readonly fromInnerNs: number; readonly totalNs: number }[] = [];
  const reported = (innerNs: number): RigTimeNs => {
    let totalNs = 0;
    for (const jump of jumps) if (innerNs >= jump.fromInnerNs) totalNs = jump.totalNs;
    return rigTimeNs(innerNs + totalNs);
  };

  // What a recording system with this sample clock would say: the tick in which it happened. Without ticks, the nanosecond.
  const { tickHz, blockTicks } = settings;
  const nsOfTick = (tick: number) => Math.round((tick * 1e9) / (tickHz ?? 1e9));
  // A tick's own nanosecond was rounded, by half of one at most.
  const tickOf = (ns: number) => Math.floor(((Math.floor(ns) + 0.5) * (tickHz ?? 1e9)) / 1e9);
  const onTick = (ns: number) => (tickHz === null ? ns : nsOfTick(tickOf(ns)));
  const onBlock = (ns: number, lagTicks: number) => (tickHz === null ? ns : nsOfTick(Math.floor(tickOf(ns) / blockTicks) * blockTicks - lagTicks));

  // ------------------------------------------------------------------------------------------------------------
  // Neurons
  const layers = chooseLayers(encoder.layers, settings.layers);
  const population = planPopulation({
    rng: rng.fork("population"),
    channelsPerArray: settings.channelsPerArray,
    silentChannels: settings.silentChannels,
    noisyChannels: settings.noisyChannels,
    multiUnitShare: settings.multiUnitShare,
    layers,
  });
  const { units, trueChannels } = population;
  const noisyChannels = trueChannels.filter((channel) => channel.kind === "noisy").map((channel) => channel.index);
  const channelOf = Uint16Array.from([...units.map((unit) => unit.channel), ...noisyChannels]);
  const sortedUnitOf = Uint8Array.from([...units.map((unit) => unit.sortedUnit), ...noisyChannels.map(() => 0)]);

  let tuning: Promise<TunedPopulation> | null = null;
  let tuned: TunedPopulation | null = null;
  function ready(): Promise<TunedPopulation> {
    tuning ??= tunePopulation({ rng: rng.fork("tuning"), units, encoder }).then((population) => {
      tuned = population;
      return population;
    });
    return tuning;
  }

  const responses = new Map<number, { readonly fingerprint: number; readonly evokedHz: Float32Array }>();

  function createTrains(startRigNs: number) {
    return createSpikeTrains({
      rng: rng.fork("spikes"),
      units,
      courseOf: (unit) => courses[unit.area],
      areas: areaNames,
      startRigNs,
      gainSpread: settings.gainSpread,
      driftAmplitude: settings.driftAmplitude,
      lineNoise: { unitIndices: noisyChannels.map((_, place) => units.length + place), frequencyHz: settings.lineFrequencyHz },
    });
  }
  // One for the gains, which do not depend on a start.
  const gains = createTrains(0);

  // ------------------------------------------------------------------------------------------------------------
  // The stream
  let listener: ((event: SourceEvent) => void) | null = null;
  let trains = gains;
  let startRigNs = 0;
  let emittedRigNs = 0;
  let moments: StreamMoment[] = [];
  let momentCount = 0;
  let cancelTick: (() => void) | null = null;
  let photodiodeLine: PhotodiodeLine | null = null;
  let spikesReceived = 0;
  let packetsReceived = 0;
  let packetsLost = 0;
  let malformedPackets = 0;
  let newestHostNs: HostTimeNs | null = null;
  let isDropping = 0;
  /** Faults that last: how many of each are on. */
  const lasting = { noSpikes: 0, noMarks: 0, eyeNotSeen: 0, eyeSilent: 0, rewardDead: 0 };
  let staleSinceRigNs: number | null = null;
  const stalls: { readonly fromInnerNs: number; readonly toInnerNs: number }[] = [];
  /** Spikes that are held back while the stream's clock goes on; null for none. */
  let heldBack: { readonly timesRigNs: number[]; readonly channels: number[]; readonly units: number[] } | null = null;
  const silenced = new Set<number>();
  const buzzing = new Set<number>();
  const injected: InjectedFault[] = [];
  let lateChanges = 0;
  let unseenImages = 0;

  function schedule(atRigNs: number, happen: () => void): void {
    // Something told too late for its place in the stream comes as soon as it can.
    moments.push({ atRigNs: Math.max(onTick(atRigNs), emittedRigNs), order: momentCount++, happen });
    moments.sort((a, b) => a.atRigNs - b.atRigNs || a.order - b.order);
  }

  function report(sourceFault: SourceFault): void {
    if (sourceFault.kind === "gap") packetsLost += sourceFault.lostPackets;
    if (sourceFault.kind === "malformed") malformedPackets += sourceFault.packets;
    listener?.({ kind: "fault", fault: sourceFault, arrivedHostNs: clock.now() });
  }

  function note(kind: string, atInnerNs: number, detail: string): void {
    injected.push({ kind, atRigNs: reported(atInnerNs), detail });
  }

  /** Emits everything before `untilRigNs` (the rig's inner time): moments at their place, spikes between them. */
  function emitUntil(untilRigNs: number): void {
    while (listener !== null && emittedRigNs < untilRigNs) {
      const next = moments[0];
      const stepRigNs = next !== undefined && next.atRigNs < untilRigNs ? next.atRigNs : untilRigNs;
      if (stepRigNs > emittedRigNs) emitSpikes(stepRigNs);
      while (listener !== null && moments[0] !== undefined && moments[0].atRigNs <= stepRigNs && moments[0].atRigNs < untilRigNs) moments.shift()?.happen();
    }
  }

  function emitSpikes(untilRigNs: number): void {
    const fromRigNs = emittedRigNs;
    const taken = trains.take(untilRigNs);
    emittedRigNs = untilRigNs;
    if (isDropping > 0) return;
    const buzz = buzzing.size === 0 ? [] : buzzBetween(fromRigNs, untilRigNs);
    const timesRigNs = new Float64Array(taken.count + buzz.length * buzzing.size);
    const channels = new Uint16Array(timesRigNs.length);
    const unitIds = new Uint8Array(timesRigNs.length);
    // Jumps take effect at moments, so all of one step is reported with one shift.
    const shiftNs = reported(fromRigNs) - fromRigNs;
    let count = 0;
    let buzzNext = 0;
    for (let i = 0; i <= taken.count; i++) {
      const timeNs = i < taken.count ? (taken.timesRigNs[i] ?? 0) : Infinity;
      for (; buzzNext < buzz.length && (buzz[buzzNext] ?? 0) <= timeNs; buzzNext++) {
        for (const channel of buzzing) {
          timesRigNs[count] = onTick(buzz[buzzNext] ?? 0) + shiftNs;
          channels[count++] = channel;
        }
      }
      if (i === taken.count) break;
      const unit = taken.units[i] ?? 0;
      const channel = channelOf[unit] ?? 0;
      if (silenced.has(channel) || lasting.noSpikes > 0) continue;
      if (heldBack !== null) {
        heldBack.timesRigNs.push(onTick(timeNs) + shiftNs);
        heldBack.channels.push(channel);
        heldBack.units.push(sortedUnitOf[unit] ?? 0);
        continue;
      }
      timesRigNs[count] = onTick(timeNs) + shiftNs;
      channels[count] = channel;
      unitIds[count++] = sortedUnitOf[unit] ?? 0;
    }
    spikesReceived += count;
    packetsReceived += 1;
    newestHostNs = clock.now();
    const isWhole = count === timesRigNs.length;
    listener?.({
      kind: "spikes",
      batch: {
        timesRigNs: isWhole ? timesRigNs : timesRigNs.slice(0, count),
        channels: isWhole ? channels : channels.slice(0, count),
        units: isWhole ? unitIds : unitIds.slice(0, count),
        watermarkRigNs: rigTimeNs(untilRigNs + shiftNs),
        arrivedHostNs: clock.now(),
      },
    });
  }

  /** After the stream's clock has passed them. */
  function emitHeld({ timesRigNs, channels, units: unitIds }: NonNullable<typeof heldBack>): void {
    spikesReceived += timesRigNs.length;
    packetsReceived += 1;
    listener?.({
      kind: "spikes",
      batch: {
        timesRigNs: Float64Array.from(timesRigNs), channels: Uint16Array.from(channels), units: Uint8Array.from(unitIds),
        watermarkRigNs: rigTimeNs(reported(emittedRigNs)), arrivedHostNs: clock.now(),
      },
    });
  }

  /** 100 Hz interference: times between two rig times. */
  function buzzBetween(fromRigNs: number, toRigNs: number): number[] {
    const periodNs = 10 * nsPerMs;
    const times: number[] = [];
    for (let at = Math.ceil(fromRigNs / periodNs) * periodNs; at < toRigNs; at += periodNs) times.push(at);
    return times;
  }

  function tick(): void {
    if (listener === null) return;
    const nowNs = clock.now();
    const untilRigNs = onBlock(innerRigNs(nowNs - settings.delayMs * nsPerMs), settings.lagTicks);
    const stall = stalls.find((candidate) => untilRigNs >= candidate.fromInnerNs && untilRigNs < candidate.toInnerNs);
    if (stall === undefined) {
      if (staleSinceRigNs !== null) report({ kind: "reconnected", awayMs: (untilRigNs - staleSinceRigNs) / nsPerMs });
      staleSinceRigNs = null;
      emitUntil(untilRigNs);
    } else {
      emitUntil(Math.min(untilRigNs, stall.fromInnerNs));
      const ageMs = (untilRigNs - stall.fromInnerNs) / nsPerMs;
      if (ageMs >= staleMs && staleSinceRigNs === null) {
        staleSinceRigNs = stall.fromInnerNs;
        report({ kind: "stale", ageMs });
      }
    }
    if (listener !== null) cancelTick = clock.setTimer(hostTimeNs(nowNs + settings.batchMs * nsPerMs), tick);
  }

  function emitMark(kind: RigMark["kind"], innerNs: number, state: boolean, word: number | null = null): void {
    listener?.({ kind: "mark", mark: { kind, rigNs: reported(onTick(innerNs)), line: 0, state, word }, arrivedHostNs: clock.now() });
  }

  // ------------------------------------------------------------------------------------------------------------
  // Injected faults. Those at a time are laid out at the start, those of a presentation when its image is lit.
  function dropBetween(fromInnerNs: number, toInnerNs: number, lost: (packets: number) => void): void {
    schedule(fromInnerNs, () => {
      isDropping += 1;
    });
    schedule(toInnerNs, () => {
      isDropping -= 1;
      lost(Math.max(1, Math.ceil((toInnerNs - fromInnerNs) / (packetMs * nsPerMs))));
    });
  }

  function layOut(rigFault: RigFault): void {
    if (!("atMs" in rigFault)) return;
    const atNs = startRigNs + Math.round(rigFault.atMs * nsPerMs);
    switch (rigFault.kind) {
      case "dropPackets": {
        const endNs = atNs + rigFault.packets * packetMs * nsPerMs;
        dropBetween(atNs, endNs, (lostPackets) => {
          note("dropPackets", atNs, `${lostPackets} packets lost`);
          report({ kind: "gap", lostPackets, stream: "spikes", atRigNs: reported(endNs) });
        });
        return;
      }
      case "stall":
        stalls.push({ fromInnerNs: atNs, toInnerNs: atNs + rigFault.durationMs * nsPerMs });
        schedule(atNs, () => note("stall", atNs, `nothing for ${rigFault.durationMs} ms`));
        return;
      case "disconnect": {
        const endNs = atNs + rigFault.durationMs * nsPerMs;
        schedule(atNs, () => {
          note("disconnect", atNs, `away for ${rigFault.durationMs} ms`);
          report({ kind: "lost", reason: "The synthetic rig was told to go away." });
        });
        dropBetween(atNs, endNs, (lostPackets) => {
          report({ kind: "reconnected", awayMs: rigFault.durationMs });
          report({ kind: "gap", lostPackets, stream: "spikes", atRigNs: reported(endNs) });
        });
        return;
      }
      case "silenceChannel":
        schedule(atNs, () => {
          note("silenceChannel", atNs, `channel ${rigFault.channel} silent`);
          silenced.add(rigFault.channel);
        });
        return;
      case "noiseOnChannel":
        schedule(atNs, () => {
          note("noiseOnChannel", atNs, `100 Hz on channel ${rigFault.channel}`);
          buzzing.add(rigFault.channel);
        });
        return;
      case "clockJump":
        schedule(atNs, () => {
          jumps.push({ fromInnerNs: atNs, totalNs: (jumps.at(-1)?.totalNs ?? 0) + rigFault.jumpMs * nsPerMs });
          note("clockJump", atNs, `${rigFault.jumpMs} ms`);
          report({ kind: "clockJump", jumpMs: rigFault.jumpMs, atRigNs: reported(atNs) });
        });
        return;
      case "spikesLate": {
        const endNs = atNs + Math.round(rigFault.durationMs * nsPerMs);
        schedule(atNs, () => {
          note("spikesLate", atNs, `for ${rigFault.durationMs} ms, by ${rigFault.byMs} ms`);
          heldBack = { timesRigNs: [], channels: [], units: [] };
        });
        schedule(endNs, () => {
          const held = heldBack;
          heldBack = null;
          schedule(endNs + Math.round(rigFault.byMs * nsPerMs), () => void (held !== null && emitHeld(held)));
        });
        return;
      }
      case "noSpikes":
      case "noMarks":
      case "eyeNotSeen":
      case "eyeSilent":
      case "rewardDead": {
        const { kind, durationMs } = rigFault;
        schedule(atNs, () => {
          note(kind, atNs, `for ${durationMs} ms`);
          lasting[kind] += 1;
        });
        schedule(atNs + Math.round(durationMs * nsPerMs), () => void (lasting[kind] -= 1));
        return;
      }
      case "malformedPacket":
        schedule(atNs, () => {
          note("malformedPacket", atNs, "1 packet");
          report({ kind: "malformed", reason: "The synthetic rig was told to send a packet that cannot be read.", packets: 1 });
        });
        return;
      default:
        assertNever(rigFault);
    }
  }

  // ------------------------------------------------------------------------------------------------------------
  // What the animal sees
  const shown: { presentationId: number; imageId: number; onsetRigNs: number; offsetRigNs: number | null }[] = [];

  const frame: FieldFrame = { centreXDeg: settings.fieldXDeg, centreYDeg: settings.fieldYDeg, sizeDeg: settings.fieldDeg };

  /** Rates of an image that is shown somewhere: as much of them as the units' fields are covered. */
  function seenAt(evokedHz: Float32Array, where: VisualPlacement | undefined): Float32Array {
    if (where === undefined || (where.centreXDeg === frame.centreXDeg && where.centreYDeg === frame.centreYDeg && where.sizeDeg === frame.sizeDeg)) return evokedHz;
    return evokedHz.map((rate, index) => {
      const unit = units[index];
      return unit === undefined ? rate : Math.min(unit.ceilingHz, rate * fieldGain(unit.receptiveField, frame, where));
    });
  }

  function lit(imageId: number | null, presentationId: number, atHostNs: HostTimeNs, where?: VisualPlacement): void {
    // Nobody records.
    if (listener === null) return;
    const changeRigNs = innerRigNs(atHostNs) + Math.round(settings.displayLagMs * nsPerMs);
    if (changeRigNs < emittedRigNs) lateChanges += 1;
    // A flash of the photodiode patch alone.
    if (presentationId < 0) {
      mark(presentationId, changeRigNs, imageId !== null);
      return;
    }
    const current = shown.at(-1);
    const isLit = current !== undefined && current.offsetRigNs === null;
    if (isLit && (imageId !== null || current.presentationId === presentationId)) {
      current.offsetRigNs = changeRigNs;
      trains.end(current.presentationId, changeRigNs);
      if (imageId === null) mark(current.presentationId, changeRigNs, false);
    }
    if (imageId === null) return;
    shown.push({ presentationId, imageId, onsetRigNs: changeRigNs, offsetRigNs: null });
    trains.begin({
      presentationId,
      onsetRigNs: changeRigNs,
      evokedHz() {
        const response = responses.get(imageId);
        if (response === undefined) unseenImages += 1;
        return response === undefined ? null : seenAt(response.evokedHz, where);
      },
    });
    mark(presentationId, changeRigNs, true);
    for (const rigFault of settings.faults) {
      if (rigFault.kind === "spikesLost" && rigFault.presentationId === presentationId) {
        dropBetween(changeRigNs + 100 * nsPerMs, changeRigNs + 140 * nsPerMs, (lostPackets) => {
          note("spikesLost", changeRigNs, `${lostPackets} packets lost during presentation ${presentationId}`);
          report({ kind: "gap", lostPackets, stream: "spikes", atRigNs: reported(changeRigNs + 140 * nsPerMs) });
        });
      }
    }
  }

  const markRng = rng.fork("marks");

  function mark(presentationId: number, atInnerNs: number, state: boolean): void {
    if (!settings.photodiode || settings.photodiodePort !== null) return;
    const isHit = (kind: RigFault["kind"]) => settings.faults.some((rigFault) => rigFault.kind === kind && "presentationId" in rigFault && rigFault.presentationId === presentationId);
    if (isHit("markLost")) {
      if (state) note("markLost", atInnerNs, `no mark for presentation ${presentationId}`);
      return;
    }
    if (lasting.noMarks > 0) return;
    const markNs = settings.markJitterMs === 0 ? atInnerNs : atInnerNs + Math.round(settings.markJitterMs * nsPerMs * markRng.gaussian());
    schedule(markNs, () => emitMark("photodiode", markNs, state));
    if (state && isHit("markDoubled")) {
      note("markDoubled", atInnerNs, `two marks for presentation ${presentationId}`);
      schedule(atInnerNs + 7 * nsPerMs, () => emitMark("photodiode", atInnerNs + 7 * nsPerMs, true));
    }
  }

  // Images announced in one turn of the event loop go through the encoder together.
  let pending: { readonly imageId: number; readonly image: ImageBatch; readonly fingerprint: number }[] = [];
  let seeing: Promise<void> | null = null;

  function see(imageId: number, image: ImageBatch): Promise<void> {
    if (image.count < 1) throw new Error(`expected an image, got a batch of ${image.count}`);
    const fingerprint = fingerprintOf(image);
    if (responses.get(imageId)?.fingerprint === fingerprint) return Promise.resolve();
    pending.push({ imageId, image, fingerprint });
    seeing ??= clock.hold(seePending());
    return seeing;
  }

  async function seePending(): Promise<void> {
    const population = await ready();
    try {
      while (pending[0] !== undefined) {
        const { width, height } = pending[0].image;
        const other = pending.findIndex(({ image }) => image.width !== width || image.height !== height);
        const group = pending.splice(0, Math.min(seeBatchMax, other === -1 ? pending.length : other));
        const bytesEach = width * height * 3;
        const data = new Uint8Array(group.length * bytesEach);
        for (const [place, { image }] of group.entries()) data.set(image.data.subarray(0, bytesEach), place * bytesEach);
        const rates = await population.evoked({ count: group.length, width, height, data });
        for (const [place, { imageId, fingerprint }] of group.entries()) {
          responses.set(imageId, { fingerprint, evokedHz: rates.slice(place * units.length, (place + 1) * units.length) });
        }
        while (responses.size > knownImagesMax) {
          const oldest = responses.keys().next();
          if (oldest.done !== true) responses.delete(oldest.value);
        }
      }
    } finally {
      pending = [];
      seeing = null;
    }
  }

  // ------------------------------------------------------------------------------------------------------------
  // Truth
  const spikeWindow: ResponseWindow = { windowStartMs: 70, windowEndMs: 170, onMs: 100 };

  /** Mean intensity of a unit's time course over a window. */
  function meanIntensity(unitIndex: number, window: ResponseWindow): number {
    const unit = units[unitIndex];
    if (unit === undefined) throw new Error(`expected a unit below ${units.length}, got ${unitIndex}`);
    const course = courses[unit.area];
    let sum = 0;
    let steps = 0;
    for (let ms = window.windowStartMs + 0.25; ms < window.windowEndMs; ms += 0.5) {
      sum += course.intensity(ms - unit.latencyMs) * course.remaining(ms - unit.latencyMs - window.onMs);
      steps += 1;
    }
    return steps === 0 ? 0 : sum / steps;
  }

  function channelRates(evokedHz: Float32Array, offset: number, window: ResponseWindow): Float64Array {
    const rates = new Float64Array(trueChannels.length);
    for (const channel of trueChannels) {
      rates[channel.index] = channel.units.reduce(
        (sum, unit) => sum + unit.baselineHz + (evokedHz[offset + unit.index] ?? 0) * meanIntensity(unit.index, window),
        channel.kind === "noisy" ? settings.lineFrequencyHz : 0,
      );
    }
    return rates;
  }

  const rewards: { readonly atRigNs: RigTimeNs; readonly pulseMs: number }[] = [];
  const toRig = (hostNs: HostTimeNs) => reported(innerRigNs(hostNs));
  const eye = createSyntheticEye({ clock, rng: rng.fork("eye"), eye: settings.eye, toRig, track: () => (lasting.eyeSilent > 0 ? "silent" : lasting.eyeNotSeen > 0 ? "lost" : "ok") });

  return {
    source: {
      name: "Synthetic rig",
      channels: () => population.channels,
      async start(newListener) {
        if (listener !== null) return fault("alreadyRunning", "Expected the synthetic rig to be stopped, but it is running. Stop it before starting it again.");
        listener = newListener;
        try {
          await clock.hold(ready());
        } catch (error) {
          listener = null;
          tuning = null;
          const reason = error instanceof Error ? error.message : String(error);
          return fault("encoderFailed", `The synthetic rig's neurons could not be tuned to the encoder "${encoder.identity.id}": ${reason}. Choose another encoder, or none.`);
        }
        if (settings.photodiodePort !== null && photodiodeLine === null) {
          const opened = await openPhotodiodeLine(settings.photodiodePort, () => clock.now(), ({ atHostNs, level }) => {
            const atNs = innerRigNs(atHostNs);
            schedule(atNs, () => emitMark("photodiode", atNs, level > 0, level));
          });
          if (!opened.ok) {
            listener = null;
            return opened;
          }
          photodiodeLine = opened.value;
        }
        // Stopped while tuning.
        if (listener !== newListener) return ok(undefined);
        startRigNs = onBlock(innerRigNs(clock.now()), 0);
        emittedRigNs = startRigNs;
        trains = createTrains(startRigNs);
        moments = [];
        stalls.length = 0;
        silenced.clear();
        buzzing.clear();
        isDropping = 0;
        Object.assign(lasting, { noSpikes: 0, noMarks: 0, eyeNotSeen: 0, eyeSilent: 0, rewardDead: 0 });
        for (const rigFault of settings.faults) layOut(rigFault);
        newListener({ kind: "channels", channels: population.channels });
        cancelTick = clock.setTimer(hostTimeNs(clock.now() + settings.batchMs * nsPerMs), tick);
        return ok(undefined);
      },
      status: () => ({
        connected: listener !== null,
        address: `seed ${options.seed}`,
        spikesReceived,
        packetsReceived,
        packetsLost,
        malformedPackets,
        newestHostNs,
      }),
      async stop() {
        cancelTick?.();
        cancelTick = null;
        photodiodeLine?.close();
        photodiodeLine = null;
        const last = listener;
        listener = null;
        last?.({ kind: "end", reason: "The synthetic rig was stopped." });
      },
    },
    eye: eye.tracker,
    reward: createSyntheticReward({
      clock,
      pulseMsMax: settings.rewardMsMax,
      isDead: () => lasting.rewardDead > 0,
      onDelivered: ({ atHostNs, pulseMs }) => rewards.push({ atRigNs: toRig(atHostNs), pulseMs }),
    }),
    retina: { see, lit, fixationSpot: eye.fixationSpot },
    strobe(word, atHostNs) {
      const atInnerNs = innerRigNs(atHostNs);
      if (listener !== null) schedule(atInnerNs, () => emitMark("strobe", atInnerNs, true, word));
    },
    truth: {
      channels: trueChannels,
      units,
      async ready() {
        await ready();
      },
      fieldDeg(unitIndex) {
        const unit = units[unitIndex];
        if (unit === undefined) throw new Error(`expected a unit below ${units.length}, got ${unitIndex}`);
        return fieldInDegrees(unit.receptiveField, frame);
      },
      readout(unitIndex) {
        const readout = tuned?.readouts[unitIndex];
        if (readout === undefined) throw new Error(`expected a tuned unit below ${units.length}, got ${unitIndex}${tuned === null ? " before ready()" : ""}`);
        return readout;
      },
      async responseHz(images, window = spikeWindow) {
        const evokedHz = await (await ready()).evoked(images);
        const rates = new Float64Array(images.count * trueChannels.length);
        for (let row = 0; row < images.count; row++) rates.set(channelRates(evokedHz, row * units.length, window), row * trueChannels.length);
        return rates;
      },
      responseOfHz(imageId, window = spikeWindow) {
        const response = responses.get(imageId);
        return response === undefined ? null : channelRates(response.evokedHz, 0, window);
      },
      clock: {
        driftPpm: settings.driftPpm,
        toRig,
        toHost: (rigNs) => {
          let innerNs: number = rigNs;
          for (const jump of jumps) if (rigNs >= jump.fromInnerNs + jump.totalNs) innerNs = rigNs - jump.totalNs;
          return hostTimeNs((innerNs - offsetNs) / rate + bornHostNs);
        },
      },
      gain: (presentationId, unitIndex) => gains.gain(presentationId, unitIndex),
      onsets: () =>
        shown.map((one) => ({
          presentationId: one.presentationId,
          imageId: one.imageId,
          onsetRigNs: reported(one.onsetRigNs),
          offsetRigNs: one.offsetRigNs === null ? null : reported(one.offsetRigNs),
        })),
      rewards: () => rewards,
      faults: () => injected,
      late: () => ({ lateChanges, unseenImages }),
    },
  };
}

/** A 32-bit hash of an image (FNV-1a over its bytes), to tell an image that is announced again from a new one under its number. */
function fingerprintOf(image: ImageBatch): number {
  let hash = 0x811c9dc5 ^ image.width;
  const { data } = image;
  for (let i = 0; i < data.length; i++) hash = Math.imul(hash ^ (data[i] ?? 0), 0x01000193);
  return hash >>> 0;
}
