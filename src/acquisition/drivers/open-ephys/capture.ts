// Reads a capture of the ZMQ Interface and lays it out in blocks of the program's clock, so that it can be played again.
// Knows nothing about sockets. File format: for each multipart message a u32 LE count of parts, then for each part a u32 LE length and
// its bytes.
import { err, ok } from "../../../shared/result.ts";
import type { Result } from "../../../shared/result.ts";
import { parseMessage } from "./message.ts";
import type { DataMessage, Message, ProtocolError } from "./message.ts";

export interface CapturedMessage {
  readonly parts: readonly Uint8Array[];
  readonly message: Message;
}

const partsMax = 64;

/** Errors name the byte at which the file stops making sense. */
export function parseCapture(bytes: Uint8Array): Result<readonly CapturedMessage[], ProtocolError> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const messages: CapturedMessage[] = [];
  let at = 0;
  while (at < bytes.length) {
    const startsAt = at;
    if (at + 4 > bytes.length) return err({ reason: `expected a count of parts at byte ${at}, got the end of the file` });
    const partCount = view.getUint32(at, true);
    at += 4;
    if (partCount === 0 || partCount > partsMax) return err({ reason: `expected 1 to ${partsMax} parts at byte ${startsAt}, got ${partCount}` });
    const parts: Uint8Array[] = [];
    for (let part = 0; part < partCount; part++) {
      if (at + 4 > bytes.length) return err({ reason: `expected the length of part ${part} at byte ${at}, got the end of the file` });
      const length = view.getUint32(at, true);
      at += 4;
      if (at + length > bytes.length) return err({ reason: `expected ${length} bytes of part ${part} at byte ${at}, got ${bytes.length - at}` });
      parts.push(bytes.subarray(at, at + length));
      at += length;
    }
    const message = parseMessage(parts);
    if (!message.ok) return err({ reason: `message at byte ${startsAt}: ${message.error.reason}` });
    messages.push({ parts, message: message.value });
  }
  return ok(messages);
}

export interface LaidOutMessage {
  /** Block of the program's clock, 0-based, in which the message was published. */
  readonly block: number;
  /** First sample of that block, in the capture's own numbering (it starts again where the recorded file was played in a loop). */
  readonly blockSampleNum: number;
  readonly messageNum: number;
  /** null: a continuous data message that the capture left out. */
  readonly captured: CapturedMessage | null;
  /** Place among the continuous channels, for a message that was left out. */
  readonly channelPlace: number;
}

export interface LaidOutCapture {
  readonly messages: readonly LaidOutMessage[];
  readonly blockCount: number;
  readonly samplesPerBlock: number;
  readonly sampleRateHz: number;
  readonly stream: string;
  /** Names of the continuous channels, in the order of their messages. */
  readonly channelNames: readonly string[];
}

/**
 * Finds the block of each message: a block is its spikes and events followed by one data message for each continuous channel, so
 * message numbers that are missing in multiples of the channel count are blocks whose data were left out.
 */
export function layOutCapture(captured: readonly CapturedMessage[]): Result<LaidOutCapture, ProtocolError> {
  const channels: DataMessage[] = [];
  for (const { message } of captured) {
    if (message.kind !== "data") continue;
    if (channels.some((known) => known.channelNum === message.channelNum)) break;
    channels.push(message);
  }
  const first = channels[0];
  if (first === undefined) return err({ reason: "expected at least one continuous data message in the capture, for the sample rate and the length of a block" });
  const channelCount = channels.length;
  const samplesPerBlock = first.sampleCount;

  const messages: LaidOutMessage[] = [];
  let block = 0;
  let blockSampleNum = 0;
  let dataInBlock = 0;
  let previousSampleNum = -Infinity;
  let expected = captured[0]?.message.messageNum ?? 1;

  function nextBlock(): void {
    block += 1;
    blockSampleNum += samplesPerBlock;
    dataInBlock = 0;
  }

  for (const one of captured) {
    const { message } = one;
    let missing = message.messageNum - expected;
    if (missing < 0) return err({ reason: `expected message ${expected} or later, got ${message.messageNum}` });
    for (; missing > 0; missing--) {
      messages.push({ block, blockSampleNum, messageNum: message.messageNum - missing, captured: null, channelPlace: dataInBlock });
      dataInBlock += 1;
      if (dataInBlock === channelCount) nextBlock();
    }
    if (message.kind === "data") {
      blockSampleNum = message.sampleNum;
    } else if (message.kind !== "other") {
      if (dataInBlock !== 0) return err({ reason: `expected message numbers to be missing in multiples of ${channelCount}, got ${dataInBlock} before message ${message.messageNum}` });
      // The recorded file began again.
      if (message.sampleNum < previousSampleNum - 10 * samplesPerBlock) {
        blockSampleNum = Math.floor(message.sampleNum / samplesPerBlock) * samplesPerBlock;
        previousSampleNum = -Infinity;
      }
      previousSampleNum = Math.max(previousSampleNum, message.sampleNum);
    }
    messages.push({ block, blockSampleNum, messageNum: message.messageNum, captured: one, channelPlace: dataInBlock });
    if (message.kind === "data") {
      dataInBlock += 1;
      if (dataInBlock === channelCount) nextBlock();
    }
    expected = message.messageNum + 1;
  }
  // The data of the last block.
  if (messages.at(-1)?.block === block) {
    for (let messageNum = expected; dataInBlock < channelCount; dataInBlock++, messageNum++) {
      messages.push({ block, blockSampleNum, messageNum, captured: null, channelPlace: dataInBlock });
    }
    block += 1;
  }
  return ok({ messages, blockCount: block, samplesPerBlock, sampleRateHz: first.sampleRateHz, stream: first.stream, channelNames: channels.map((channel) => channel.channelName) });
}
