// Plays a capture of the ZMQ Interface over real sockets, in the place of the Open Ephys GUI: data on a publisher, heartbeats answered.
// Paced by the sample numbers of the capture. Knows nothing about the driver that listens.
import { readFile } from "node:fs/promises";
import type { Reply, XPublisher } from "zeromq";
import { fault, ok } from "../../../shared/result.ts";
import type { Fault, Result } from "../../../shared/result.ts";
import { layOutCapture, parseCapture } from "./capture.ts";
import type { LaidOutCapture, LaidOutMessage } from "./capture.ts";

export interface PlayOptions {
  readonly file: string;
  /** Address to bind, e.g. "tcp://127.0.0.1:5556"; port 0 or "*" picks a free one. */
  readonly endpoint: string;
  /** Address on which heartbeats are answered; null: none. */
  readonly heartbeatEndpoint?: string | null;
  /** Times real time. */
  readonly speed?: number;
  /** false: once; "continue": again and again with message and sample numbers going on; "restart": with the capture's own numbers. */
  readonly loop?: false | "continue" | "restart";
  /**
   * What to do about continuous data messages that the capture left out. "fill": publish them with silent samples, as many as there
   * were; "renumber": number the others without holes; "asIs": leave the holes.
   */
  readonly leftOut?: "fill" | "renumber" | "asIs";
  /** Message numbers of the capture that are lost on the way, in the first round. */
  readonly drop?: readonly number[];
  /** Wait for a subscriber before the first message. */
  readonly waitForSubscriber?: boolean;
}

export interface CapturePlayer {
  /** Where it is bound, with the port that was picked. */
  readonly endpoint: string;
  readonly heartbeatEndpoint: string | null;
  readonly capture: LaidOutCapture;
  /** Settles at the end of the capture, or when stopped. */
  readonly done: Promise<void>;
  sent(): { readonly messages: number; readonly spikes: number; readonly dropped: number; readonly rounds: number };
  /** A TTL event at the present place in the stream. */
  ttl(line: number, state: boolean): void;
  /** Sends any parts at the present place, e.g. a malformed message. */
  inject(parts: readonly Uint8Array[]): void;
  /** Closes the sockets; the stream goes on unheard ("lose") or waits ("wait"). */
  goAway(stream: "lose" | "wait"): Promise<void>;
  comeBack(): Promise<void>;
  stop(): Promise<void>;
}

const tickMs = 4;

export async function playCapture(options: PlayOptions): Promise<Result<CapturePlayer, Fault>> {
  const { speed = 1, loop = false, leftOut = "fill", waitForSubscriber = true } = options;
  let bytes: Uint8Array;
  try {
    bytes = await readFile(options.file);
  } catch (error) {
    return fault("fileUnreadable", `Expected a capture of the Open Ephys ZMQ Interface at ${options.file}, but it cannot be read: ${messageOf(error)}.`);
  }
  const parsed = parseCapture(bytes);
  if (!parsed.ok) return fault("notACapture", `Expected a capture of the Open Ephys ZMQ Interface at ${options.file}: ${parsed.error.reason}.`);
  const laidOut = layOutCapture(parsed.value);
  if (!laidOut.ok) return fault("notACapture", `Expected a whole capture of the Open Ephys ZMQ Interface at ${options.file}: ${laidOut.error.reason}.`);
  const capture = laidOut.value;
  const zmq = await import("zeromq");

  const dropped = new Set(options.drop ?? []);
  const blockMs = (capture.samplesPerBlock / capture.sampleRateHz) * 1000;
  const silence = new Uint8Array(capture.samplesPerBlock * 4);
  const firstMessageNum = capture.messages[0]?.messageNum ?? 1;
  const lastMessageNum = capture.messages.at(-1)?.messageNum ?? 1;
  const dataEnvelope = new TextEncoder().encode("DATA\0");
  const eventEnvelope = new TextEncoder().encode("EVENT\0");

  let publisher: XPublisher | null = null;
  let reply: Reply | null = null;
  let boundEndpoint = options.endpoint;
  let boundHeartbeat: string | null = options.heartbeatEndpoint ?? null;
  let hasSubscriber = false;
  let onSubscriber: (() => void) | null = null;
  let isStopped = false;
  let isWaiting = false;
  let timer: NodeJS.Timeout | null = null;
  let settle: () => void = () => undefined;
  const done = new Promise<void>((resolve) => {
    settle = resolve;
  });

  // Place in the capture.
  let next = 0;
  let round = 0;
  let startMs = 0;
  /** Numbers that were added to the capture's own: earlier rounds, injected messages, holes that were closed. */
  let addedMessages = 0;
  let addedSamples = 0;
  let presentSample = 0;
  let presentMessageNum = firstMessageNum - 1;
  const sent = { messages: 0, spikes: 0, dropped: 0, rounds: 0 };

  async function open(): Promise<void> {
    const socket = new zmq.XPublisher({ linger: 200, sendHighWaterMark: 0 });
    await socket.bind(boundEndpoint);
    boundEndpoint = socket.lastEndpoint ?? boundEndpoint;
    publisher = socket;
    void listen(socket);
    if (boundHeartbeat === null) return;
    const answering = new zmq.Reply({ linger: 0 });
    await answering.bind(boundHeartbeat);
    boundHeartbeat = answering.lastEndpoint ?? boundHeartbeat;
    reply = answering;
    void answer(answering);
  }

  async function listen(socket: XPublisher): Promise<void> {
    try {
      for await (const [subscription] of socket) {
        if (subscription?.[0] !== 1) continue;
        hasSubscriber = true;
        onSubscriber?.();
      }
    } catch {
      // Closed while waiting.
    }
  }

  async function answer(socket: Reply): Promise<void> {
    try {
      for await (const [request] of socket) {
        let isHeartbeat = false;
        try {
          JSON.parse(String(request));
          isHeartbeat = true;
        } catch {
          // The program answers nonsense too.
        }
        await socket.send(isHeartbeat ? "heartbeat received" : "JSON message could not be read");
      }
    } catch {
      // Closed while waiting.
    }
  }

  // Messages go out one after the other, whatever the socket's pace.
  let sending: Promise<void> = Promise.resolve();
  function send(parts: readonly Uint8Array[]): void {
    const socket = publisher;
    if (socket === null) return;
    sending = sending.then(() => socket.send([...parts])).catch(() => undefined);
  }

  function header(fields: Readonly<Record<string, unknown>>): Uint8Array {
    return new TextEncoder().encode(JSON.stringify(fields, null, 2));
  }

  /** The capture's header with the numbers of this round. */
  function renumbered(original: Uint8Array, messageNum: number, sampleNum: number): Uint8Array {
    // Only digits change; everything else stays byte for byte as the program wrote it.
    const text = new TextDecoder().decode(original);
    return new TextEncoder().encode(text.replace(/("message_num":\s*)\d+/, `$1${messageNum}`).replace(/("sample_num":\s*)-?\d+/, `$1${sampleNum}`));
  }

  function play(one: LaidOutMessage): void {
    if (one.captured === null && leftOut === "renumber") addedMessages -= 1;
    const messageNum = one.messageNum + addedMessages;
    // With numbers that go on, the loops inside the capture are straightened too.
    const blockSample = loop === "continue" ? one.block * capture.samplesPerBlock + addedSamples : one.blockSampleNum;
    presentSample = blockSample;
    presentMessageNum = messageNum;
    if (round === 0 && dropped.has(one.messageNum)) {
      sent.dropped += 1;
      return;
    }
    if (one.captured === null) {
      if (leftOut !== "fill") return;
      const fields = {
        message_num: messageNum,
        type: "data",
        content: {
          stream: capture.stream,
          channel_num: one.channelPlace,
          channel_name: capture.channelNames[one.channelPlace] ?? "",
          num_samples: capture.samplesPerBlock,
          sample_num: blockSample,
          sample_rate: capture.sampleRateHz,
        },
        data_size: silence.length,
        timestamp: Date.now(),
      };
      send([dataEnvelope, header(fields), silence]);
    } else {
      const { parts, message } = one.captured;
      const [envelope, original, ...rest] = parts;
      if (envelope === undefined || original === undefined) return;
      const sampleNum = message.kind === "other" ? 0 : message.sampleNum - one.blockSampleNum + blockSample;
      const isAsRecorded = messageNum === one.messageNum && (message.kind === "other" || sampleNum === message.sampleNum);
      send([envelope, isAsRecorded ? original : renumbered(original, messageNum, sampleNum), ...rest]);
      if (message.kind === "spike" && publisher !== null) sent.spikes += 1;
    }
    if (publisher !== null) sent.messages += 1;
  }

  function tick(): void {
    timer = null;
    if (isStopped) return;
    if (!isWaiting) {
      // A block is published when its last sample has been recorded.
      const dueBlocks = ((performance.now() - startMs) * speed) / blockMs - round * capture.blockCount;
      for (;;) {
        const one = capture.messages[next];
        if (one === undefined || one.block + 1 > dueBlocks) break;
        play(one);
        next += 1;
      }
      if (next >= capture.messages.length) {
        sent.rounds += 1;
        if (loop === false) {
          void sending.then(settle);
          return;
        }
        next = 0;
        round += 1;
        if (loop === "continue") {
          addedMessages += lastMessageNum - firstMessageNum + 1;
          addedSamples += capture.blockCount * capture.samplesPerBlock;
        } else {
          addedMessages = 0;
        }
      }
    }
    timer = setTimeout(tick, tickMs);
  }

  function begin(): void {
    if (timer !== null || isStopped || startMs !== 0) return;
    startMs = performance.now();
    timer = setTimeout(tick, tickMs);
  }

  try {
    await open();
  } catch (error) {
    await close();
    return fault("portInUse", `Expected ${boundEndpoint}${boundHeartbeat === null ? "" : ` and ${boundHeartbeat}`} to be free, but it cannot be bound: ${messageOf(error)}. Choose another port, or stop the program that uses it.`);
  }
  if (waitForSubscriber && !hasSubscriber) onSubscriber = begin;
  else begin();

  async function close(): Promise<void> {
    await sending;
    publisher?.close();
    reply?.close();
    publisher = null;
    reply = null;
  }

  let waitingSinceMs = 0;
  return ok({
    endpoint: boundEndpoint,
    heartbeatEndpoint: boundHeartbeat,
    capture,
    done,
    sent: () => ({ ...sent }),
    ttl(line, state) {
      addedMessages += 1;
      const payload = new Uint8Array(10);
      const view = new DataView(payload.buffer);
      view.setUint8(0, line);
      view.setUint8(1, state ? 1 : 0);
      view.setBigUint64(2, state ? 1n << BigInt(line) : 0n, true);
      const fields = {
        message_num: presentMessageNum + 1,
        type: "event",
        content: { stream: capture.stream, source_node: 100, type: 3, sample_num: presentSample },
        data_size: payload.length,
        timestamp: Date.now(),
      };
      presentMessageNum += 1;
      send([eventEnvelope, header(fields), payload]);
      sent.messages += 1;
    },
    inject: send,
    async goAway(stream) {
      isWaiting = stream === "wait";
      waitingSinceMs = performance.now();
      await close();
    },
    async comeBack() {
      await open();
      if (isWaiting) startMs += performance.now() - waitingSinceMs;
      isWaiting = false;
    },
    async stop() {
      isStopped = true;
      if (timer !== null) clearTimeout(timer);
      await close();
      settle();
    },
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
