// Evoked's end of the retina link: a retina, an eye and a reward line that are in a simulator in another process. Connects when the source
// starts. Knows nothing about the driver through which the spikes come.
import { connect } from "node:net";
import type { Socket } from "node:net";
import type { Clock, EyeTracker, Retina, Reward, SpikeSource } from "../../shared/ports.ts";
import { FaultError, fault, ok } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import type { HostTimeNs } from "../../shared/units.ts";
import type { EyeBatch } from "../../shared/values.ts";
import { createFrameReader, encodeFrame, fromSimulator, linkVersion } from "./linkFrames.ts";
import type { FromSimulator, ToSimulator } from "./linkFrames.ts";

const connectMsMax = 5000;
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
  let onBroken: (reason: string) => void = () => undefined;
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
        eyeListener?.({
          timesRigNs: new Float64Array(bytes.slice(0, count * 8).buffer),
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
        onBroken(`the simulator at ${address} closed the retina link`);
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
        const opened = await open();
        if (!opened.ok) throw new FaultError(opened.error);
        const { width, height } = image;
        const answer = await ask({ kind: "see", id: nextId++, imageId, width, height }, image.data.subarray(0, width * height * 3));
        if (answer?.kind === "seen" && answer.problem !== null) throw new FaultError({ code: "simulator", message: `The simulator could not take image ${imageId}: ${answer.problem}.` });
      },
      lit: (imageId, presentationId, atHostNs, where) => say({ kind: "lit", imageId, presentationId, atHostNs, where: where ?? null }),
      fixationSpot: (visible, atHostNs) => say({ kind: "spot", visible, atHostNs }),
    },
    eye: {
      name: "Simulator's eye",
      async start(listener) {
        if (eyeListener !== null) return fault("alreadyRunning", "Expected the simulator's eye to be stopped, but it is running. Stop it before starting it again.");
        eyeListener = listener;
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
      async start(listener) {
        const opened = await open();
        if (!opened.ok) return opened;
        onBroken = (reason) => listener({ kind: "fault", fault: { kind: "lost", reason }, arrivedHostNs: clock.now() });
        const started = await source.start(listener);
        if (!started.ok) await close();
        return started;
      },
      async stop() {
        onBroken = () => undefined;
        await source.stop();
        await close();
      },
    }),
  };
}
