// Connects the loop's decisions to the world: every port's events become inputs, in order of arrival and with their time; every wish of the
// loop becomes a call of a port. Decodes images ahead of the display. Knows nothing about files, windows or rigs.
import { eventCodes, onsetCode } from "../shared/eventCodes.ts";
import type { Clock, Display, EventCodes, EyeTracker, Retina, Reward, SpikeSource } from "../shared/ports.ts";
import type { SessionRecordBody } from "../shared/records.ts";
import { FaultError, ok } from "../shared/result.ts";
import type { HostTimeNs } from "../shared/units.ts";
import type { ImageBatch } from "../shared/values.ts";
import type { Alarms } from "./alarms.ts";
import type { ChannelFigures } from "./channels.ts";
import { inputOf, plainChannel } from "./inputs.ts";
import type { LoopInput } from "./inputs.ts";
import { createLoopCore } from "./loopCore.ts";
import type { LoopCoreOptions } from "./loopCore.ts";
import type { LoopStatus } from "./loopTypes.ts";
import type { ImagesToDecode } from "./generations.ts";

export interface ReferenceImage {
  readonly label: string;
  readonly image: ImageBatch;
}

export interface ClosedLoopOptions extends Omit<LoopCoreOptions, "effects" | "hasEye" | "hasReward" | "sourceName" | "referenceCount" | "record"> {
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
  readonly references: readonly ReferenceImage[];
  /** Side of a thread's images on the screen, px; null = the display's own. Left out: null for all. */
  readonly sizePxOf?: (thread: number) => number | null;
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
  skipGeneration(): void;
  setTarget(thread: number, channel: number): void;
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
}

const decodeChunk = 8;
/** Images decoded before all others: more than one would make the first wait for its neighbours. */
const firstChunk = 1;

export function createClosedLoop(options: ClosedLoopOptions): ClosedLoop {
  const { clock, source, display, reward, retina } = options;
  const sync = options.sync ?? null;
  const waiting: LoopInput[] = [];
  const timers = new Set<() => void>();
  let busy = false;
  let closed = false;

  const core = createLoopCore({
    ...options,
    referenceCount: options.references.length,
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
      lit(imageId, presentationId, at) {
        sync?.send(imageId === null ? eventCodes.imageOff : onsetCode(presentationId));
        retina?.lit(imageId, presentationId, at);
      },
      trialTimer: (at, token) => setTimer(at, { kind: "trialTimer", token }),
      deadline: (at, presentationId) => setTimer(at, { kind: "deadline", presentationId }),
      reward: (pulseMs, cause) => watch(deliver(pulseMs, cause)),
      rewardOff: () => watch(reward?.off()),
      decode: (generations, order) => watch(clock.hold(decodeInOrder(generations, order))),
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
    const given = await reward.pulse(pulseMs);
    give({ kind: "rewardDone", cause, pulseMs, problem: given.ok ? null : given.error.message });
  }

  async function addImage(imageId: number, label: string, image: ImageBatch, sizePx: number | null): Promise<void> {
    give({ kind: "imageDecoded", imageId, label, image });
    await Promise.all([retina?.see(imageId, image), display.prepare(imageId, image, sizePx)]);
    give({ kind: "imageReady", imageId });
  }

  async function decodeInOrder(generations: readonly ImagesToDecode[], order: readonly number[]): Promise<void> {
    const where = new Map<number, { readonly g: ImagesToDecode; readonly individual: number }>();
    for (const g of generations) g.imageIds.forEach((imageId, individual) => where.set(imageId, { g, individual }));
    const due = order.flatMap((imageId) => {
      const found = where.get(imageId);
      return found === undefined ? [] : [{ imageId, ...found }];
    });
    // The first images, then the rest of the first trial, then larger portions.
    for (let from = 0; from < due.length && !core.ended; ) {
      const size = from === 0 ? firstChunk : from < options.trial.imagesPerTrial ? options.trial.imagesPerTrial - from : decodeChunk;
      const first = due[from];
      if (first === undefined) break;
      let to = from + 1;
      while (to < due.length && to - from < size && due[to]?.g === first.g) to += 1;
      const chunk = due.slice(from, to);
      from = to;
      const { dim, data } = first.g.latents;
      const latents = new Float32Array(chunk.length * dim);
      chunk.forEach((c, i) => latents.set(data.subarray(c.individual * dim, (c.individual + 1) * dim), i * dim));
      const decoded = await first.g.thread.generator.decode({ count: chunk.length, dim, data: latents });
      const bytes = decoded.width * decoded.height * 3;
      await Promise.all(chunk.map((c, i) => addImage(c.imageId, c.g.labels?.[c.individual] ?? "", { count: 1, width: decoded.width, height: decoded.height, data: decoded.data.slice(i * bytes, (i + 1) * bytes) }, options.sizePxOf?.(first.g.thread.index) ?? null)));
    }
  }

  async function addReferences(): Promise<void> {
    for (const [i, reference] of options.references.entries()) await addImage(core.referenceImageId(i), reference.label, reference.image, null);
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
      give({ kind: "begin", refreshHz: display.geometry().refreshHz, channels: source.channels().map(plainChannel) });
      await clock.hold(addReferences());
    },
    pause: () => give({ kind: "pause" }),
    resume: () => give({ kind: "resume" }),
    stop: (why = "The operator stopped the session.") => give({ kind: "stop", why }),
    skipGeneration: () => give({ kind: "skipGeneration" }),
    setTarget(thread, channel) {
      const channels = source.channels().length;
      if (options.threads[thread] === undefined) throw new FaultError({ code: "unknownThread", message: `Expected a thread from 0 to ${options.threads.length - 1}, got ${thread}.` });
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
  };
}

function describe(error: unknown): string {
  if (error instanceof FaultError) return error.message;
  return `A defect of Evoked stopped the session: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}
