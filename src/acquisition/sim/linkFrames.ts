// Frames of the retina link, between Evoked and a simulator in another process: what the subject sees goes out, gaze and the end of reward
// pulses come back. Pure; knows nothing about sockets.
//
// A frame: u32 LE length of what follows, u32 LE length of the JSON, the JSON, bytes (pixels, samples). Limits are checked before anything
// is kept.
import { z } from "zod";
import { err, ok } from "../../shared/result.ts";
import type { Result } from "../../shared/result.ts";

export const linkVersion = 2;
const frameBytesMax = 64 * 1024 * 1024;
const headerBytesMax = 64 * 1024;

const id = z.number().int().min(0);
const ns = z.number();

/** From Evoked to the simulator. Host times are those of Evoked's clock. */
export const toSimulator = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("hello"), version: z.number(), token: z.string() }),
  z.object({ kind: z.literal("see"), id, imageId: z.number().int(), width: z.number().int().min(1).max(8192), height: z.number().int().min(1).max(8192) }),
  z.object({ kind: z.literal("lit"), imageId: z.number().int().nullable(), presentationId: z.number().int(), atHostNs: ns, where: z.object({ centreXDeg: z.number(), centreYDeg: z.number(), sizeDeg: z.number() }).nullable() }),
  z.object({ kind: z.literal("spot"), visible: z.boolean(), atHostNs: ns }),
  z.object({ kind: z.literal("recentre") }),
  /** A word is strobed into the digital port. */
  z.object({ kind: z.literal("word"), word: z.number().int().min(0).max(65_535), atHostNs: ns }),
  z.object({ kind: z.literal("pulse"), id, pulseMs: z.number() }),
  z.object({ kind: z.literal("rewardOff") }),
  z.object({ kind: z.literal("pong"), simulatorNs: ns, hostNs: ns }),
]);
export type ToSimulator = z.infer<typeof toSimulator>;

/** From the simulator to Evoked. */
export const fromSimulator = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("welcome"), version: z.number(), rewardMsMax: z.number().positive() }),
  z.object({ kind: z.literal("refused"), message: z.string() }),
  z.object({ kind: z.literal("seen"), id, problem: z.string().nullable() }),
  z.object({ kind: z.literal("pulsed"), id, pulseMs: z.number(), code: z.string().nullable(), message: z.string() }),
  z.object({ kind: z.literal("ping"), simulatorNs: ns }),
  /** Bytes: count float64 times, then count float32 x, count float32 y, count u8 valid. */
  z.object({ kind: z.literal("eye"), count: z.number().int().min(0) }),
]);
export type FromSimulator = z.infer<typeof fromSimulator>;

const noBytes = new Uint8Array(0);

export function encodeFrame(message: ToSimulator | FromSimulator, bytes: Uint8Array = noBytes): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(message));
  const frame = new Uint8Array(8 + json.length + bytes.length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, 4 + json.length + bytes.length, true);
  view.setUint32(4, json.length, true);
  frame.set(json, 8);
  frame.set(bytes, 8 + json.length);
  return frame;
}

export interface FrameReader<T> {
  /** Takes a piece of the stream; whole frames come out. An error is final: the peer speaks another language. */
  take(piece: Uint8Array): Result<readonly { readonly message: T; readonly bytes: Uint8Array }[], string>;
}

export function createFrameReader<T>(schema: z.ZodType<T>): FrameReader<T> {
  let held: Uint8Array = noBytes;
  return {
    take(piece) {
      if (held.length === 0) held = piece;
      else {
        const joined = new Uint8Array(held.length + piece.length);
        joined.set(held);
        joined.set(piece, held.length);
        held = joined;
      }
      const frames: { readonly message: T; readonly bytes: Uint8Array }[] = [];
      let at = 0;
      while (held.length - at >= 8) {
        const view = new DataView(held.buffer, held.byteOffset + at);
        const length = view.getUint32(0, true);
        const headerLength = view.getUint32(4, true);
        if (length < 4 || length > frameBytesMax || headerLength > headerBytesMax || headerLength > length - 4) return err(`expected a frame of the retina link, got lengths ${length} and ${headerLength}`);
        if (held.length - at < 4 + length) break;
        const json = held.subarray(at + 8, at + 8 + headerLength);
        let parsed: unknown;
        try {
          parsed = JSON.parse(new TextDecoder().decode(json));
        } catch {
          return err("expected JSON in a frame of the retina link");
        }
        const message = schema.safeParse(parsed);
        if (!message.success) return err(`expected a message of the retina link: ${z.prettifyError(message.error)}`);
        // A copy of its own: a Buffer would share its memory.
        frames.push({ message: message.data, bytes: new Uint8Array(held.subarray(at + 8 + headerLength, at + 4 + length)) });
        at += 4 + length;
      }
      held = at === held.length ? noBytes : new Uint8Array(held.subarray(at));
      return ok(frames);
    },
  };
}
