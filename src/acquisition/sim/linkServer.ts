// The simulator's end of the retina link: hears what the subject sees, answers with gaze and the end of reward pulses. One client at a
// time. Knows nothing about protocols or players.
import { timingSafeEqual } from "node:crypto";
import { createServer } from "node:net";
import type { Server, Socket } from "node:net";
import type { Clock, Retina, Reward } from "../../shared/ports.ts";
import { fault, ok } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import { addMs, hostTimeNs } from "../../shared/units.ts";
import type { HostTimeNs } from "../../shared/units.ts";
import type { EyeBatch } from "../../shared/values.ts";
import { createFrameReader, encodeFrame, linkVersion, toSimulator } from "./linkFrames.ts";
import type { FromSimulator, ToSimulator } from "./linkFrames.ts";

const pingMs = 250;
const firstPings = 8;
/** Exchanges of which the fastest gives the difference of the clocks. */
const pingsKept = 40;

export interface LinkServer {
  /** Port that is bound. Errors: `portInUse`. */
  open(): Promise<Result<number, Fault>>;
  eye(batch: EyeBatch): void;
  readonly connected: boolean;
  close(): Promise<void>;
}

export function createLinkServer(options: {
  readonly clock: Clock;
  readonly host: string;
  readonly port: number;
  /** null: whoever connects is welcome; only for loopback. */
  readonly token: string | null;
  readonly retina: Retina;
  readonly reward: Reward;
  readonly recentre: () => void;
  readonly strobe: (word: number, atHostNs: HostTimeNs) => void;
  readonly onClient?: (connected: boolean) => void;
}): LinkServer {
  const { clock, retina, reward } = options;
  let server: Server | null = null;
  let client: Socket | null = null;
  let cancelPing: () => void = () => undefined;
  /** Newest exchanges: client's clock less ours, and how long the exchange took. */
  let exchanges: { readonly offsetNs: number; readonly roundTripNs: number }[] = [];

  function say(message: FromSimulator, bytes?: Uint8Array): void {
    client?.write(encodeFrame(message, bytes));
  }

  /** Client's clock to ours, by the exchange that took least time (Cristian 1989). */
  function toOurs(hostNs: number): HostTimeNs {
    let best = exchanges[0];
    for (const exchange of exchanges) if (best === undefined || exchange.roundTripNs < best.roundTripNs) best = exchange;
    return hostTimeNs(Math.min(hostNs - (best?.offsetNs ?? 0), clock.now()));
  }

  function ping(left: number): void {
    if (client === null) return;
    say({ kind: "ping", simulatorNs: clock.now() });
    cancelPing = clock.setTimer(addMs(clock.now(), left > 0 ? 10 : pingMs), () => ping(left - 1));
  }

  async function take(message: ToSimulator, bytes: Uint8Array): Promise<void> {
    switch (message.kind) {
      case "hello":
        return;
      case "see": {
        const { id, imageId, width, height } = message;
        if (bytes.length !== width * height * 3) {
          say({ kind: "seen", id, problem: `expected ${width * height * 3} bytes of RGB, got ${bytes.length}` });
          return;
        }
        try {
          await retina.see(imageId, { count: 1, width, height, data: bytes });
          say({ kind: "seen", id, problem: null });
        } catch (error) {
          say({ kind: "seen", id, problem: error instanceof Error ? error.message : String(error) });
        }
        return;
      }
      case "lit":
        if (message.where === null) retina.lit(message.imageId, message.presentationId, toOurs(message.atHostNs));
        else retina.lit(message.imageId, message.presentationId, toOurs(message.atHostNs), message.where);
        return;
      case "spot":
        retina.fixationSpot?.(message.visible, toOurs(message.atHostNs));
        return;
      case "recentre":
        options.recentre();
        return;
      case "word":
        options.strobe(message.word, toOurs(message.atHostNs));
        return;
      case "pulse": {
        const given = await reward.pulse(message.pulseMs);
        say(given.ok ? { kind: "pulsed", id: message.id, pulseMs: given.value.pulseMs, code: null, message: "" } : { kind: "pulsed", id: message.id, pulseMs: 0, code: given.error.code, message: given.error.message });
        return;
      }
      case "rewardOff":
        await reward.off();
        return;
      case "pong": {
        const now = clock.now();
        exchanges.push({ offsetNs: message.hostNs - (message.simulatorNs + now) / 2, roundTripNs: now - message.simulatorNs });
        if (exchanges.length > pingsKept) exchanges.shift();
      }
    }
  }

  function isWelcome(token: string): boolean {
    if (options.token === null) return true;
    const expected = Buffer.from(options.token);
    const given = Buffer.from(token);
    return expected.length === given.length && timingSafeEqual(expected, given);
  }

  function refuse(socket: Socket, message: string): void {
    socket.end(encodeFrame({ kind: "refused", message }));
  }

  function accept(socket: Socket): void {
    const reader = createFrameReader(toSimulator);
    let isIn = false;
    socket.setNoDelay(true);
    socket.on("error", () => undefined);
    socket.on("close", () => {
      if (client !== socket) return;
      client = null;
      cancelPing();
      // Nobody is there to end a pulse or to blank the screen.
      void reward.off();
      options.onClient?.(false);
    });
    socket.on("data", (piece) => {
      const frames = reader.take(piece);
      if (!frames.ok) return refuse(socket, frames.error);
      for (const { message, bytes } of frames.value) {
        if (isIn) {
          void take(message, bytes);
          continue;
        }
        if (message.kind !== "hello" || message.version !== linkVersion) return refuse(socket, `Expected version ${linkVersion} of the retina link. Use the same version of Evoked on both sides.`);
        if (!isWelcome(message.token)) return refuse(socket, "The simulator's token is another one. Give the token that it printed.");
        if (client !== null) return refuse(socket, "The simulator has a session already. Stop that one, or start another simulator.");
        isIn = true;
        client = socket;
        exchanges = [];
        say({ kind: "welcome", version: linkVersion, rewardMsMax: reward.pulseMsMax });
        ping(firstPings);
        options.onClient?.(true);
      }
    });
  }

  return {
    open: () =>
      new Promise((resolve) => {
        const listening = createServer(accept);
        listening.once("error", (error: NodeJS.ErrnoException) => resolve(fault("portInUse", `Expected port ${options.port} of ${options.host} to be free for the retina link, but it cannot be bound (${error.code ?? error.message}). Choose another with --link-port.`)));
        listening.listen(options.port, options.host, () => {
          server = listening;
          const address = listening.address();
          resolve(ok(typeof address === "object" && address !== null ? address.port : options.port));
        });
      }),
    eye(batch) {
      if (client === null) return;
      const count = batch.timesRigNs.length;
      const bytes = new Uint8Array(count * 17);
      bytes.set(new Uint8Array(batch.timesRigNs.buffer, batch.timesRigNs.byteOffset, count * 8), 0);
      bytes.set(new Uint8Array(batch.xDeg.buffer, batch.xDeg.byteOffset, count * 4), count * 8);
      bytes.set(new Uint8Array(batch.yDeg.buffer, batch.yDeg.byteOffset, count * 4), count * 12);
      bytes.set(batch.valid.subarray(0, count), count * 16);
      say({ kind: "eye", count }, bytes);
    },
    get connected() {
      return client !== null;
    },
    async close() {
      cancelPing();
      client?.destroy();
      client = null;
      await new Promise<void>((resolve) => (server === null ? resolve() : server.close(() => resolve())));
      server = null;
    },
  };
}
