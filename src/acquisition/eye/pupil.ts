// Pupil Labs (Pupil Capture or Service) over its network API: gaze as it is published. Protocol notes: docs/rigs/eye.md. Knows nothing about degrees.
import { decode } from "@msgpack/msgpack";
import type { Subscriber } from "zeromq";
import { z } from "zod";
import type { Clock } from "../../shared/ports.ts";
import { fault, ok } from "../../shared/result.ts";
import { nsPerMs, nsPerS } from "../../shared/units.ts";
import type { RawGaze } from "./gaze.ts";

export const pupilOptionsSchema = z.strictObject({
  host: z.string().min(1).default("127.0.0.1").meta({ description: "Computer on which Pupil Capture runs." }),
  port: z.number().int().min(1).max(65_535).default(50_020).meta({ description: "Port of Pupil Remote." }),
  topic: z.string().min(1).default("gaze.").meta({ description: "Beginning of the topics to listen to: gaze. for all eyes, gaze.3d.0. for one." }),
  confidenceMin: z.number().min(0).max(1).default(0.6).meta({ description: "Below this confidence the eye counts as not seen." }),
  startTimeoutMs: z.number().int().min(100).max(60_000).default(3000).meta({ description: "How long a start waits for the program to answer.", unit: "ms" }),
});
export type PupilOptions = z.infer<typeof pupilOptionsSchema>;

const gazeMessage = z.object({ norm_pos: z.array(z.number()).min(2), confidence: z.number(), timestamp: z.number() });

/** How often the program's clock is asked, ms. */
const clockEveryMs = 5000;

export function createPupil({ clock, options }: { readonly clock: Clock; readonly options: PupilOptions }): RawGaze {
  const remote = `tcp://${options.host}:${options.port}`;
  let stopping: (() => Promise<void>) | null = null;
  let clockWords = "";

  return {
    name: "Pupil Labs",
    address: remote,
    isDegrees: false,
    get clockWords() {
      return clockWords;
    },
    async start(listener) {
      let zmq: typeof import("zeromq");
      try {
        zmq = await import("zeromq");
      } catch (error) {
        return fault("driverMissing", `The ZeroMQ library could not be loaded: ${messageOf(error)}. Install the program again.`);
      }
      let running = true;
      let subscriber: Subscriber | null = null;
      let offsetNs: number | null = null;
      let bestRoundNs = Infinity;
      let timer: NodeJS.Timeout | null = null;
      let malformed = 0;

      async function ask(text: string): Promise<string> {
        const socket = new zmq.Request({ linger: 0, sendTimeout: options.startTimeoutMs, receiveTimeout: options.startTimeoutMs });
        try {
          socket.connect(remote);
          await socket.send(text);
          const [answer] = await socket.receive();
          return String(answer);
        } finally {
          socket.close();
        }
      }

      /** The clock with the shortest way there and back, which is forgotten slowly: clocks drift. */
      async function measureClock(): Promise<void> {
        for (let i = 0; i < 5 && running; i++) {
          const sentNs = clock.now();
          const theirs = Number(await ask("t"));
          const roundNs = clock.now() - sentNs;
          if (Number.isFinite(theirs) && roundNs <= bestRoundNs) {
            bestRoundNs = roundNs;
            offsetNs = sentNs + roundNs / 2 - theirs * nsPerS;
            clockWords = `the program's clock ±${(roundNs / 2 / nsPerMs).toFixed(2)} ms`;
          }
        }
        bestRoundNs += 0.2 * nsPerMs;
      }

      async function listen(port: string): Promise<void> {
        const socket = new zmq.Subscriber({ linger: 0, receiveHighWaterMark: 10_000, reconnectInterval: 200, reconnectMaxInterval: 1000 });
        subscriber = socket;
        socket.connect(`tcp://${options.host}:${port}`);
        socket.subscribe(options.topic);
        try {
          for await (const parts of socket) {
            if (!running) return;
            take(parts);
          }
        } catch (error) {
          if (running) listener.problem(`Pupil Labs at ${remote}: ${messageOf(error)}.`);
        }
      }

      let lastNs = Number.NEGATIVE_INFINITY;
      function take(parts: readonly Uint8Array[]): void {
        const [, payload] = parts;
        if (payload === undefined || offsetNs === null) return;
        const parsed = gazeMessage.safeParse(decodeOrNull(payload));
        if (!parsed.success) {
          malformed += 1;
          if (malformed === 1) listener.problem(`Pupil Labs at ${remote} sends gaze that this version cannot read: expected norm_pos, confidence and timestamp.`);
          return;
        }
        const { norm_pos: place, confidence, timestamp } = parsed.data;
        // Two eyes are published apart and may overtake each other.
        const ns = Math.max(lastNs + 1, Math.round(timestamp * nsPerS + offsetNs));
        lastNs = ns;
        listener.samples({ clock: "host", timesNs: Float64Array.of(ns), x: Float64Array.of(place[0] ?? 0), y: Float64Array.of(place[1] ?? 0), valid: Uint8Array.of(confidence >= options.confidenceMin ? 1 : 0) });
      }

      try {
        await measureClock();
        void listen(await ask("SUB_PORT"));
      } catch (error) {
        running = false;
        return fault("noAnswer", `Expected Pupil Capture at ${remote}, but it did not answer (${messageOf(error)}). Start it with its Pupil Remote plugin, and check host and port.`);
      }
      timer = setInterval(() => void measureClock().catch(() => undefined), clockEveryMs);
      stopping = async () => {
        running = false;
        if (timer !== null) clearInterval(timer);
        subscriber?.close();
      };
      return ok(undefined);
    },
    async stop() {
      await stopping?.();
      stopping = null;
    },
  };
}

function decodeOrNull(payload: Uint8Array): unknown {
  try {
    return decode(payload);
  } catch {
    return null;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
