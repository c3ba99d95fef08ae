// Connects the loop's decisions to the world: every port's events become inputs, in order of arrival and with their time; every wish of the
// loop becomes a call of a port. Decodes images ahead of the display. Knows nothing about files, windows or rigs.
import { eventCodes, onsetCode } from "../shared/eventCodes.ts";
import type { StepView } from "../shared/contract/plan.ts";
import type { Clock, Display, EventCodes, EyeTracker, Retina, Reward, SpikeSource } from "../shared/ports.ts";
import type { SessionRecordBody } from "../shared/records.ts";
import { FaultError, assertNever, ok } from "../shared/result.ts";
import type { HostTimeNs } from "../shared/units.ts";
import type { ImageBatch } from "../shared/values.ts";
import type { Alarms } from "./alarms.ts";
import type { ChannelFigures } from "./channels.ts";
import { inputOf, plainChannel } from "./inputs.ts";
import type { LoopInput } from "./inputs.ts";
import { createLoopCore } from "./loopCore.ts";
import type { LoopCoreOptions } from "./loopCore.ts";
import type { LoopStatus } from "./loopTypes.ts";
import { shuffleDisc } from "../analysis/localisation.ts";
import type { ImageSource, ProtocolImage } from "./protocols/protocol.ts";
import type { StepLibrary } from "./steps.ts";
import { createRng } from "../shared/rng.ts";

/** The folder of a step, opened: what is in it is known, pixels are read when they are due. */
export interface OpenLibrary extends StepLibrary {
  image(place: number): Promise<ImageBatch>;
}

export interface QueuedPixels {
  readonly label: string;
  readonly kind: "model" | "free";
  readonly image: ImageBatch;
}

export interface ClosedLoopOptions extends Omit<LoopCoreOptions, "effects" | "hasEye" | "hasReward" | "sourceName" | "record"> {
  readonly clock: Clock;
  readonly source: SpikeSource;
  /** null = free viewing: no fixation is asked for. */
  readonly eye: EyeTracker | null;
  /** null = this rig has no juice line. */
  readonly reward: Reward | null;
  /** null or left out: no event codes go out. */
  readonly sync?: EventCodes | null;
  readonly display: Display;
  /** The synthetic rig's eyes; null on real rigs. */
  readonly retina: Retina | null;
  /** One for every step of the plan. */
  readonly libraries: readonly OpenLibrary[];
  /** An image that an earlier run of this session recorded; null where there is none. */
  readonly recordedImage?: (imageId: number) => ImageBatch | null;
  /** How the display's lag is measured before the first trial, or why not. Left out: nothing is recorded of it. */
  readonly displaySetup?: Omit<Extract<LoopInput, { kind: "displaySetup" }>, "kind" | "refreshHz">;
  readonly record: (body: SessionRecordBody, atHostNs: HostTimeNs) => void;
  /** null while the store keeps up; else settles when it has caught up. */
  readonly room: () => Promise<void> | null;
}

export interface ClosedLoop {
  /** Starts the streams and, as soon as the references are ready, the first block. Throws a FaultError where a device does not start. */
  start(): Promise<void>;
  pause(): void;
  resume(): void;
  stop(why?: string): void;
  /** The rest of the block under way is given up. */
  /** Ends the subject's break; changes nothing where there is none. */
  endBreak(): void;
  skipGeneration(): void;
  skipStep(): void;
  /** null = the step under way. */
  repeatStep(step: number | null): void;
  queueImages(images: readonly QueuedPixels[]): void;
  setTarget(thread: number, channel: number): void;
  /** Units were sorted anew: the targets that were left, and those that take their place. */
  unitsResorted(replaced: readonly { readonly from: number; readonly to: number }[]): void;
  rewardNow(pulseMs: number): Promise<void>;
  setRewardMs(pulseMs: number): void;
  /** The display is not there (yet): trials wait. */
  displayLost(reason: string): void;
  /** After the streams have stopped: nothing reaches the session any more. */
  close(): void;
  alarm(alarm: { readonly code: string; readonly severity: "warn" | "fault"; readonly message: string }): void;
  alarmOver(over: { readonly code: string; readonly message: string }): void;
  readonly alarms: Alarms;
  readonly channels: ChannelFigures;
  readonly status: LoopStatus;
  views(): readonly StepView[];
}

const decodeChunk = 8;
const midGrey = 128;
/** Images decoded before all others: more than one would make the first wait for its neighbours. */
const firstChunk = 1;

export function createClosedLoop(options: ClosedLoopOptions): ClosedLoop {
  const { clock, source, display, reward, retina } = options;
  const sync = options.sync ?? null;
  const waiting: LoopInput[] = [];
  const timers = new Set<() => void>();
  const queued = new Map<number, ImageBatch>();
  const bases = new Map<ImageSource, Promise<ImageBatch>>();
  const inWork = new Set<number>();
  let nextQueued = options.resume?.nextQueued ?? 0;
  let pending: ProtocolImage[] = [];
  let decoding: Promise<void> | null = null;
  /** Images made since the newest block asked for its own. */
  let sinceAsked = 0;
  let busy = false;
  let closed = false;
  let pulseRunning: Promise<unknown> | null = null;
  let lineOff = false;

  const core = createLoopCore({
    ...options,
    hasEye: options.eye !== null,
    hasReward: reward !== null,
    sourceName: source.name,
    effects: {
      fixation(visible) {
        display.showFixation(visible);
        sync?.send(visible ? eventCodes.fixationOn : eventCodes.fixationOff);
        retina?.fixationSpot?.(visible, clock.now());
      },
      run: (trialId, flashes) => display.run(trialId, flashes),
      abort(trialId) {
        display.abort(trialId);
        sync?.send(eventCodes.aborted);
      },
      lit(imageId, presentationId, at, where) {
        sync?.send(imageId === null ? eventCodes.imageOff : onsetCode(presentationId));
        if (where === null) retina?.lit(imageId, presentationId, at);
        else retina?.lit(imageId, presentationId, at, where);
      },
      trialTimer: (at, token) => setTimer(at, { kind: "trialTimer", token }),
      deadline: (at, presentationId) => setTimer(at, { kind: "deadline", presentationId }),
      reward: (pulseMs, cause) => watch(deliver(pulseMs, cause)),
      rewardOff() {
        lineOff = true;
        watch(reward?.off());
      },
      decode: (images, ahead) => watch(clock.hold(decodeInOrder(images, ahead))),
      release: (imageIds) => display.release(imageIds),
      askRoom() {
        const room = options.room();
        if (room === null) give({ kind: "room" });
        else watch(clock.hold(room).then(() => give({ kind: "room" })));
      },
    },
  });

  /** One input after the other: what arrives while one is taken waits its turn. */
  function give(input: LoopInput): void {
    if (closed) return;
    waiting.push(input);
    if (busy) return;
    busy = true;
    try {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) core.input(next, clock.now());
    } catch (error) {
      waiting.length = 0;
      core.input({ kind: "failed", message: describe(error) }, clock.now());
    } finally {
      busy = false;
    }
  }

  function setTimer(at: HostTimeNs, input: LoopInput): void {
    const cancel = clock.setTimer(at, () => {
      timers.delete(cancel);
      give(input);
    });
    timers.add(cancel);
  }

  /** What is wrong with a device is an alarm for as long as it lasts. */
  function watchDevice(code: string, device: { onProblem?(listener: (problem: string | null) => void): void } | null, over: string): void {
    device?.onProblem?.((problem) => give(problem === null ? { kind: "alarmOver", code, message: over } : { kind: "alarm", code, severity: "fault", message: problem }));
  }

  /** Work whose failure ends the session with its reason. */
  function watch(work: Promise<unknown> | undefined): void {
    work?.catch((error: unknown) => give({ kind: "failed", message: describe(error) }));
  }

  async function deliver(pulseMs: number, cause: "trial" | "manual"): Promise<void> {
    if (reward === null) throw new FaultError({ code: "noReward", message: "This rig has no reward line: choose one in the rig's settings." });
    sync?.send(eventCodes.reward);
    // One pulse after the other: a hand on the button may meet the trial's own, and neither is refused.
    while (pulseRunning !== null) await pulseRunning;
    if (lineOff) return;
    const pulse = reward.pulse(pulseMs);
    pulseRunning = pulse;
    const given = await pulse.finally(() => { pulseRunning = null; });
    give({ kind: "rewardDone", cause, pulseMs, problem: given.ok ? null : given.error.message });
  }

  async function addImage(imageId: number, label: string, image: ImageBatch): Promise<void> {
    give({ kind: "imageDecoded", imageId, label, image });
    await Promise.all([retina?.see(imageId, image), display.prepare(imageId, image, null)]);
    give({ kind: "imageReady", imageId });
  }

  /** Pixels of images whose sources are of one kind, in order. Codes of one generator go through it together. */
  async function pixelsOf(images: readonly ProtocolImage[]): Promise<readonly ImageBatch[]> {
    const recorded = images.map((i) => options.recordedImage?.(i.imageId) ?? null);
    const first = images[0]?.source;
    if (first?.kind === "latent" && recorded.every((r) => r === null)) {
      const dim = first.latent.length;
      const data = new Float32Array(images.length * dim);
      images.forEach((i, at) => {
        if (i.source.kind === "latent") data.set(i.source.latent, at * dim);
      });
      const decoded = await first.generator.decode({ count: images.length, dim, data });
      const bytes = decoded.width * decoded.height * 3;
      return images.map((_, i) => ({ count: 1, width: decoded.width, height: decoded.height, data: decoded.data.slice(i * bytes, (i + 1) * bytes) }));
    }
    const out: ImageBatch[] = [];
    for (const [i, image] of images.entries()) out.push(recorded[i] ?? (await materialise(image.source)));
    return out;
  }

  async function materialise(source: ImageSource): Promise<ImageBatch> {
    switch (source.kind) {
      case "latent":
        return source.generator.decode({ count: 1, dim: source.latent.length, data: Float32Array.from(source.latent) });
      case "library": {
        const library = options.libraries[source.library];
        if (library === undefined) throw new FaultError({ code: "noLibrary", message: `Expected a folder of images for step ${source.library + 1}, found none.` });
        return library.image(source.place);
      }
      case "queued": {
        const image = queued.get(source.number);
        if (image === undefined) throw new FaultError({ code: "noQueued", message: `Expected image ${source.number} of those that were sent, found none.` });
        return image;
      }
      case "recorded":
        throw new FaultError({ code: "noRecorded", message: "Expected an image that this session has recorded, found none in its file." });
      case "shuffled": {
        const base = await baseOf(source.base);
        const { data } = shuffleDisc({ width: base.width, height: base.height, channels: 3, data: base.data }, source.disc, { diameterPx: source.discDiameterPx, rng: createRng(source.seed) });
        return { ...base, data };
      }
      case "masked": {
        const base = await baseOf(source.base);
        const data = base.data.slice();
        for (let i = 0; i < source.mask.length; i++) {
          if ((source.mask[i] === 1) === source.complement) data.fill(midGrey, i * 3, i * 3 + 3);
        }
        return { ...base, data };
      }
      default:
        return assertNever(source);
    }
  }

  /** Many images may come from one: it is made once. */
  function baseOf(source: ImageSource): Promise<ImageBatch> {
    const known = bases.get(source);
    if (known !== undefined) return known;
    const made = materialise(source);
    bases.clear();
    bases.set(source, made);
    return made;
  }

  /** What is due comes before what is made ready ahead, whatever was asked for first. Settles when nothing is left to make. */
  function decodeInOrder(images: readonly ProtocolImage[], ahead: boolean): Promise<void> {
    const asked = images.filter((i) => !inWork.has(i.imageId));
    const ids = new Set(asked.map((i) => i.imageId));
    const waitingFor = new Set(pending.map((i) => i.imageId));
    pending = ahead ? [...pending, ...asked.filter((i) => !waitingFor.has(i.imageId))] : [...asked, ...pending.filter((i) => !ids.has(i.imageId))];
    if (!ahead) sinceAsked = 0;
    decoding ??= decodePending().finally(() => {
      decoding = null;
    });
    return decoding;
  }

  async function decodePending(): Promise<void> {
    // The first images, then the rest of the first trial, then larger portions.
    for (let first = pending[0]; first !== undefined && !core.ended; first = pending[0]) {
      const size = sinceAsked === 0 ? firstChunk : sinceAsked < options.trial.imagesPerTrial ? options.trial.imagesPerTrial - sinceAsked : decodeChunk;
      let count = 1;
      for (let next = pending[count]; next !== undefined && count < size && togetherWith(next, first); next = pending[count]) count += 1;
      const chunk = pending.slice(0, count);
      pending = pending.slice(count);
      sinceAsked += count;
      for (const { imageId } of chunk) inWork.add(imageId);
      const pixels = await pixelsOf(chunk);
      await Promise.all(chunk.map((c, i) => {
        const image = pixels[i];
        if (image === undefined) throw new Error(`expected the pixels of image ${c.imageId}, got none`);
        return addImage(c.imageId, c.label, image);
      }));
      for (const { imageId } of chunk) inWork.delete(imageId);
    }
    pending = [];
  }

  function togetherWith(a: ProtocolImage, b: ProtocolImage): boolean {
    return a.source.kind === "latent" && b.source.kind === "latent" ? a.source.generator === b.source.generator : a.source.kind === b.source.kind;
  }

  return {
    alarms: core.alarms,
    channels: core.channels,
    async start() {
      display.onReport((report) => give({ kind: "display", report }));
      watchDevice("eye", options.eye, "The eye tracker is back.");
      watchDevice("reward", reward, "The reward line answers again.");
      watchDevice("sync", sync, "Event codes go out again.");
      for (const device of [reward, sync]) {
        const opened = await clock.hold(device?.start?.() ?? Promise.resolve(ok(undefined)));
        if (!opened.ok) throw new FaultError(opened.error);
      }
      sync?.send(eventCodes.sessionBegins);
      if (options.eye !== null) {
        const eye = await clock.hold(options.eye.start((batch) => give({ kind: "eye", batch })));
        if (!eye.ok) throw new FaultError(eye.error);
      }
      const spikes = await clock.hold(source.start((event) => give(inputOf(event))));
      if (!spikes.ok) throw new FaultError(spikes.error);
      if (options.displaySetup !== undefined) give({ kind: "displaySetup", refreshHz: display.geometry().refreshHz, ...options.displaySetup });
      give({ kind: "begin", refreshHz: display.geometry().refreshHz, channels: source.channels().map(plainChannel), silence: "heard", ceilings: "all" });
      options.libraries.forEach(({ labels, widthPx, heightPx }, step) => give({ kind: "library", step, labels: [...labels], widthPx, heightPx }));
    },
    pause: () => give({ kind: "pause" }),
    resume: () => give({ kind: "resume" }),
    stop: (why = "The operator stopped the session.") => give({ kind: "stop", why }),
    endBreak: () => give({ kind: "endBreak" }),
    skipGeneration: () => give({ kind: "skipGeneration" }),
    skipStep: () => give({ kind: "skipStep" }),
    repeatStep(step) {
      const { steps } = core.status.plan;
      if (step !== null && (steps[step] === undefined || steps[step].state === "waiting")) throw new FaultError({ code: "unknownStep", message: `Expected a step that has begun, 1 to ${steps.filter((s) => s.state !== "waiting").length}, got ${step + 1}.` });
      give({ kind: "repeatStep", step });
    },
    queueImages(images) {
      for (const { image } of images) queued.set(nextQueued++, image);
      give({ kind: "queueImages", images: images.map((i) => ({ label: i.label, imageKind: i.kind })) });
    },
    unitsResorted: (replaced) => give({ kind: "unitsResorted", replaced: replaced.map((r) => ({ from: r.from, to: r.to })) }),
    setTarget(thread, channel) {
      const channels = source.channels().length;
      const threads = core.status.targets.length;
      if (thread >= threads) throw new FaultError({ code: "unknownThread", message: `Expected a thread from 0 to ${threads - 1}, got ${thread}.` });
      if (channel >= channels) throw new FaultError({ code: "unknownChannel", message: `Expected a channel from 0 to ${channels - 1}, got ${channel}.` });
      give({ kind: "setTarget", thread, channel });
    },
    rewardNow: (pulseMs) => deliver(pulseMs, "manual"),
    setRewardMs: (pulseMs) => give({ kind: "setReward", pulseMs }),
    displayLost: (reason) => give({ kind: "display", report: { kind: "lost", reason } }),
    close() {
      closed = true;
      for (const cancel of timers) cancel();
      timers.clear();
    },
    alarm: (alarm) => give({ kind: "alarm", ...alarm }),
    alarmOver: (over) => give({ kind: "alarmOver", ...over }),
    get status() {
      return core.status;
    },
    views: () => core.views(),
  };
}

function describe(error: unknown): string {
  if (error instanceof FaultError) return error.message;
  return `A defect of Evoked stopped the session: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}
