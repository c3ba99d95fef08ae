// Evoked's end of the retina link: a retina, an eye and a reward line that are in a simulator in another process. Connects when the source
// starts, and again when the simulator has been started again: what its subject had seen is shown to it afresh. Knows nothing about the driver through
// which the spikes come but what that tells of its stream.
import { connect } from "node:net";
import type { Socket } from "node:net";
import type { Clock, EyeTracker, Retina, Reward, SpikeSource } from "../../shared/ports.ts";
import { FaultError, fault, ok } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import { addMs, msBetween, nsPerMs } from "../../shared/units.ts";
import type { HostTimeNs } from "../../shared/units.ts";
import type { EyeBatch, ImageBatch, SourceEvent } from "../../shared/values.ts";
import { createFrameReader, encodeFrame, fromSimulator, linkVersion } from "./linkFrames.ts";
import type { FromSimulator, ToSimulator } from "./linkFrames.ts";

const connectMsMax = 5000;
const retryMs = 500;
/** Images that a simulator which was started again is shown afresh: those that were lit last. */
const imagesMax = 256;
/** Longest pulse that is asked for before the simulator has said its own. */
const rewardMsMaxDefault = 500;

export interface SimulatorLink {
  readonly retina: Retina;
  readonly eye: EyeTracker;
  readonly reward: Reward;
  /** A word into the digital port of the rig that is simulated. */
  strobe(word: number, atHostNs: HostTimeNs): void;
  /** The source with the link's life: connected before it starts, closed after it stops; a link that breaks is a fault of the stream. */
  around(source: SpikeSource): SpikeSource;
}

export function createSimulatorLink({ clock, host, port, token }: { readonly clock: Clock; readonly host: string; readonly port: number; readonly token: string }): SimulatorLink {
  const address = `${host}:${port}`;
  let socket: Socket | null = null;
  let connecting: Promise<Result<void, Fault>> | null = null;
  let eyeListener: ((batch: EyeBatch) => void) | null = null;
  /** Who hears of the link; null while no source runs: then it is not made again. */
  let listener: ((event: SourceEvent) => void) | null = null;
  let brokenSinceHostNs: HostTimeNs | null = null;
  /** The driver's own stream is away: its return is its own to tell. */
  let isStreamAway = false;
  let cancelRetry: () => void = () => undefined;
  /** Calls that wait for the link to be back; true: it is. */
  let returning: ((isBack: boolean) => void)[] = [];
  const images = new Map<number, ImageBatch>();
  let spot: { readonly visible: boolean; readonly atHostNs: HostTimeNs } | null = null;
  /** Rig time less the simulator's: what the driver added when the simulator's clock began again, ns. */
  let restartedNs = 0;
  let newestGazeNs = Number.NEGATIVE_INFINITY;
  let rewardMsMax = rewardMsMaxDefault;
  let nextId = 0;
  const waiting = new Map<number, (message: Extract<FromSimulator, { readonly id: number }> | null) => void>();

  function say(message: ToSimulator, bytes?: Uint8Array): void {
    socket?.write(encodeFrame(message, bytes));
  }

  function ask(message: Extract<ToSimulator, { readonly id: number }>, bytes?: Uint8Array): Promise<Extract<FromSimulator, { readonly id: number }> | null> {
    if (socket === null) return Promise.resolve(null);
    return new Promise((resolve) => {
      waiting.set(message.id, resolve);
      say(message, bytes);
    });
  }

  function take(message: FromSimulator, bytes: Uint8Array): void {
    switch (message.kind) {
      case "welcome":
        rewardMsMax = message.rewardMsMax;
        return;
      case "refused":
        return;
      case "seen":
      case "pulsed":
        waiting.get(message.id)?.(message);
        waiting.delete(message.id);
        return;
      case "ping":
        say({ kind: "pong", simulatorNs: message.simulatorNs, hostNs: clock.now() });
        return;
      case "eye": {
        const { count } = message;
        if (bytes.length !== count * 17) return;
        // The bytes of a frame are its own: the arrays may be views of copies.
        const timesRigNs = new Float64Array(bytes.slice(0, count * 8).buffer).map((time) => time + restartedNs);
        // A simulator that was just started again, whose clock the driver has not tied to rig time yet: its gaze would lie in the past.
        if ((timesRigNs[0] ?? 0) < newestGazeNs) return;
        newestGazeNs = timesRigNs.at(-1) ?? newestGazeNs;
        eyeListener?.({
          timesRigNs,
          xDeg: new Float32Array(bytes.slice(count * 8, count * 12).buffer),
          yDeg: new Float32Array(bytes.slice(count * 12, count * 16).buffer),
          valid: bytes.slice(count * 16),
        });
      }
    }
  }

  function noAnswer(reason: string): Result<void, Fault> {
    return fault("noSimulator", `Expected a simulator at ${address}, but ${reason}. Start it with "evoked rig sim", and check address and token in the rig's settings.`);
  }

  function open(): Promise<Result<void, Fault>> {
    connecting ??= new Promise((resolve) => {
      const made = connect({ host, port, noDelay: true });
      const reader = createFrameReader(fromSimulator);
      const give = (result: Result<void, Fault>): void => {
        clearTimeout(timer);
        if (!result.ok) {
          connecting = null;
          made.destroy();
        }
        resolve(result);
      };
      const timer = setTimeout(() => give(noAnswer(`nothing answered for ${connectMsMax / 1000} s`)), connectMsMax);
      made.on("connect", () => made.write(encodeFrame({ kind: "hello", version: linkVersion, token })));
      made.on("error", (error) => give(noAnswer(error.message)));
      made.on("close", () => {
        connecting = null;
        if (socket !== made) return give(noAnswer("it closed the connection"));
        socket = null;
        for (const answer of waiting.values()) answer(null);
        waiting.clear();
        lose();
      });
      made.on("data", (piece) => {
        const frames = reader.take(piece);
        if (!frames.ok) return void made.destroy();
        for (const { message, bytes } of frames.value) {
          if (message.kind === "refused") return give(fault("simulatorRefused", `The simulator at ${address} refused: ${message.message}`));
          take(message, bytes);
          if (message.kind === "welcome") {
            socket = made;
            give(ok(undefined));
          }
        }
      });
    });
    return connecting;
  }

  /** The simulator is gone: said once, then it is looked for until it is back or the source stops. */
  function lose(): void {
    if (listener === null) return;
    if (brokenSinceHostNs === null) {
      brokenSinceHostNs = clock.now();
      listener({ kind: "fault", fault: { kind: "lost", reason: `the simulator at ${address} closed the retina link; it is looked for again` }, arrivedHostNs: brokenSinceHostNs });
    }
    cancelRetry = clock.setTimer(addMs(clock.now(), retryMs), () => void lookAgain());
  }

  async function lookAgain(): Promise<void> {
    const opened = await open();
    if (listener === null) return;
    if (!opened.ok) return lose();
    // The subject of a simulator that was started again has seen nothing yet.
    for (const [imageId, image] of images) await show(imageId, image);
    if (spot !== null) say({ kind: "spot", ...spot });
    const since = brokenSinceHostNs;
    if (socket === null || since === null || listener === null) return;
    brokenSinceHostNs = null;
    for (const resolve of returning.splice(0)) resolve(true);
    const now = clock.now();
    if (!isStreamAway) listener({ kind: "fault", fault: { kind: "reconnected", awayMs: msBetween(since, now) }, arrivedHostNs: now });
  }

  function show(imageId: number, image: ImageBatch): Promise<Extract<FromSimulator, { readonly id: number }> | null> {
    const { width, height } = image;
    return ask({ kind: "see", id: nextId++, imageId, width, height }, image.data.subarray(0, width * height * 3));
  }

  /** Keeps it for a simulator that is started again, as the newest of all. */
  function keep(imageId: number, image: ImageBatch): void {
    images.delete(imageId);
    images.set(imageId, image);
    for (const oldest of images.keys()) {
      if (images.size <= imagesMax) break;
      images.delete(oldest);
    }
  }

  function forget(): void {
    listener = null;
    brokenSinceHostNs = null;
    for (const resolve of returning.splice(0)) resolve(false);
  }

  /** What the driver says, in its place among what the link has to say. */
  function pass(event: SourceEvent): void {
    if (event.kind === "fault") {
      if (event.fault.kind === "lost" || event.fault.kind === "stale") isStreamAway = true;
      if (event.fault.kind === "clockJump" && event.fault.jumpMs < 0) restartedNs -= event.fault.jumpMs * nsPerMs;
      if (event.fault.kind === "reconnected") {
        isStreamAway = false;
        // Spikes alone are no rig: the link's own return will say that all of it is back.
        if (brokenSinceHostNs !== null) return;
      }
    }
    listener?.(event);
  }

  async function close(): Promise<void> {
    const made = socket;
    socket = null;
    connecting = null;
    for (const answer of waiting.values()) answer(null);
    waiting.clear();
    if (made !== null) await new Promise<void>((resolve) => made.end(() => resolve()));
  }

  return {
    retina: {
      async see(imageId, image) {
        keep(imageId, image);
        if (brokenSinceHostNs === null) {
          const opened = await open();
          if (!opened.ok && listener === null) throw new FaultError(opened.error);
        }
        const answer = socket === null ? null : await show(imageId, image);
        // Gone in the middle of it: the subject sees it when the link is back.
        if (answer === null && listener !== null && !(await new Promise<boolean>((resolve) => returning.push(resolve)))) return;
        if (answer?.kind === "seen" && answer.problem !== null) throw new FaultError({ code: "simulator", message: `The simulator could not take image ${imageId}: ${answer.problem}.` });
      },
      lit(imageId, presentationId, atHostNs, where) {
        const image = imageId === null ? undefined : images.get(imageId);
        if (imageId !== null && image !== undefined) keep(imageId, image);
        say({ kind: "lit", imageId, presentationId, atHostNs, where: where ?? null });
      },
      fixationSpot(visible, atHostNs) {
        spot = { visible, atHostNs };
        say({ kind: "spot", visible, atHostNs });
      },
    },
    eye: {
      name: "Simulator's eye",
      async start(onGaze) {
        if (eyeListener !== null) return fault("alreadyRunning", "Expected the simulator's eye to be stopped, but it is running. Stop it before starting it again.");
        eyeListener = onGaze;
        const opened = await open();
        if (!opened.ok) eyeListener = null;
        return opened;
      },
      recentre: () => say({ kind: "recentre" }),
      async stop() {
        eyeListener = null;
      },
    },
    reward: {
      name: "Simulator's reward line",
      get pulseMsMax() {
        return rewardMsMax;
      },
      async pulse(pulseMs) {
        if (!(pulseMs > 0 && pulseMs <= rewardMsMax)) return fault("rewardOutOfRange", `Expected a reward pulse of more than 0 and at most ${rewardMsMax} ms, got ${pulseMs} ms. Choose a length in that range.`);
        const answer = await ask({ kind: "pulse", id: nextId++, pulseMs });
        if (answer?.kind !== "pulsed") return fault("noSimulator", `The simulator at ${address} is gone: no reward was given.`);
        return answer.code === null ? ok({ pulseMs: answer.pulseMs }) : fault(answer.code, answer.message);
      },
      async off() {
        say({ kind: "rewardOff" });
      },
    },
    strobe: (word, atHostNs) => say({ kind: "word", word, atHostNs }),
    around: (source) => ({
      ...source,
      async start(onEvent) {
        const opened = await open();
        if (!opened.ok) return opened;
        listener = onEvent;
        isStreamAway = false;
        restartedNs = 0;
        newestGazeNs = Number.NEGATIVE_INFINITY;
        const started = await source.start(pass);
        if (!started.ok) {
          forget();
          await close();
        }
        return started;
      },
      async stop() {
        cancelRetry();
        await source.stop();
        forget();
        await close();
      },
    }),
  };
}
