// A spike source over the Open Ephys GUI's ZMQ Interface: the sockets, the heartbeat, the watchdog. What the messages mean is the
// decoder's business. Protocol notes: docs/rigs/open-ephys.md.
import { randomUUID } from "node:crypto";
import type { Request } from "zeromq";
import type { Clock, SpikeSource } from "../../../shared/ports.ts";
import { fault, ok } from "../../../shared/result.ts";
import type { Fault, Result } from "../../../shared/result.ts";
import { addMs } from "../../../shared/units.ts";
import type { AnalogBlock, SourceEvent } from "../../../shared/values.ts";
import type { LineDecoder, Tap } from "../../capture/decoding.ts";
import { takeControl } from "./control.ts";
import { createOpenEphysDecoder } from "./decoder.ts";
import type { OpenEphysDecoder } from "./decoder.ts";
import type { OpenEphysOptions } from "./options.ts";
import { openSubscription } from "./subscription.ts";
import type { Subscription } from "./subscription.ts";

const heartbeatMs = 2000;
/** The program forgets a client that has been silent for so long; so do we with the program. */
const heartbeatDeadMs = 5000;
/** Samples of a block where no continuous data tell: 1024 is the largest that the program's audio settings offer by default. */
const blockSamplesMax = 1024;

interface Running {
  readonly listener: (event: SourceEvent) => void;
  readonly decoder: OpenEphysDecoder;
  readonly uuid: string;
  readonly subscription: Subscription;
  requester: Request | null;
  cancelHeartbeat: () => void;
  /** Something has answered: a connection, a message, a heartbeat. */
  hasPeer: boolean;
  onPeer: () => void;
}

/** The decoder on its own. */
export function decodeOpenEphys(options: OpenEphysOptions, emit: (event: SourceEvent) => void): LineDecoder {
  const decoder = createOpenEphysDecoder({ ...options, blockSamplesMax }, emit);
  return {
    take: (_lane, parts, arrivedHostNs) => decoder.take(parts, arrivedHostNs),
    settle: (nowHostNs) => decoder.settle(nowHostNs),
    finish: (nowHostNs) => decoder.finish(nowHostNs),
    channels: () => decoder.channels(),
    get packets() {
      return decoder.status().messages;
    },
  };
}

export function createOpenEphysSource({ clock, options, tap }: { readonly clock: Clock; readonly options: OpenEphysOptions; readonly tap?: Tap }): SpikeSource {
  const dataAddress = `tcp://${options.host}:${options.dataPort}`;
  const heartbeatAddress = options.heartbeatPort === null ? null : `tcp://${options.host}:${options.heartbeatPort}`;
  const httpAddress = `http://${options.host}:${options.httpPort}`;
  /** Leaves the GUI as it was found. */
  let giveBack = async (): Promise<void> => undefined;
  let running: Running | null = null;
  let onAnalog: ((block: AnalogBlock) => void) | null = null;
  let last: Running | null = null;

  async function start(listener: (event: SourceEvent) => void): Promise<Result<void, Fault>> {
    if (running !== null) return fault("alreadyRunning", "Expected the Open Ephys source to be stopped, but it is running. Stop it before starting it again.");
    let zmq: typeof import("zeromq");
    try {
      zmq = await import("zeromq");
    } catch (error) {
      return fault("driverMissing", `The ZeroMQ library could not be loaded: ${messageOf(error)}. Reinstall the program, or choose another rig.`);
    }

    const decoder = createOpenEphysDecoder(
      { sampleRateHz: options.sampleRateHz, holdBackMs: options.holdBackMs, blockSamplesMax, electrodes: options.electrodes, areas: options.areas, photodiodeLine: options.photodiodeLine },
      (event) => {
        if (running?.decoder === decoder) listener(event);
      },
    );

    function seePeer(): void {
      if (current.hasPeer) return;
      current.hasPeer = true;
      current.onPeer();
    }

    let subscription: Subscription;
    try {
      subscription = openSubscription({
        zmq, clock, address: dataAddress, staleMs: options.staleMs, lostMs: options.lostMs, onPeer: seePeer,
        onMessage(parts, now) {
          tap?.(0, parts, now);
          decoder.take(parts, now);
        },
        onAway: (away, now) => decoder.away(away, now),
        onWatch: (now) => decoder.settle(now),
      });
    } catch (error) {
      return fault("badAddress", `Expected the address of the Open Ephys GUI's ZMQ Interface, like tcp://127.0.0.1:5556, got ${dataAddress} (${messageOf(error)}). Correct host and port of the rig.`);
    }
    const current: Running = { listener, decoder, uuid: randomUUID(), subscription, requester: null, cancelHeartbeat: () => undefined, hasPeer: false, onPeer: () => undefined };
    running = current;

    async function beat(): Promise<void> {
      if (running !== current || heartbeatAddress === null) return;
      try {
        current.requester ??= openRequester(heartbeatAddress);
        await current.requester.send(JSON.stringify({ application: "Evoked", uuid: current.uuid, type: "heartbeat" }));
        await current.requester.receive();
        if (running !== current) return;
        seePeer();
      } catch {
        // No answer in time: a request socket that waits for one is of no more use.
        current.requester?.close();
        current.requester = null;
      }
      if (running === current) current.cancelHeartbeat = clock.setTimer(addMs(clock.now(), heartbeatMs), () => void beat());
    }

    function openRequester(address: string): Request {
      const socket = new zmq.Request({ linger: 0, sendTimeout: heartbeatDeadMs, receiveTimeout: heartbeatDeadMs });
      socket.connect(address);
      return socket;
    }

    decoder.onContinuous(onAnalog);
    const taken = await takeControl(httpAddress, options.control);
    if (!taken.ok) {
      close(current);
      return taken;
    }
    giveBack = taken.value;
    if (running !== current) {
      // Stopped meanwhile.
      await giveControlBack();
      return ok(undefined);
    }

    if (decoder.channels().length > 0) listener({ kind: "channels", channels: decoder.channels() });
    subscription.begin();
    void beat();

    const hasAnswered = await new Promise<boolean>((resolve) => {
      const cancel = clock.setTimer(addMs(clock.now(), options.startTimeoutMs), () => resolve(false));
      current.onPeer = () => {
        cancel();
        resolve(true);
      };
      if (current.hasPeer) current.onPeer();
    });
    if (!hasAnswered && running === current) {
      close(current);
      await giveControlBack();
      return fault(
        "noAnswer",
        `Expected the Open Ephys GUI at ${dataAddress}, but nothing answered for ${options.startTimeoutMs / 1000} s. Start the GUI with a ZMQ Interface in its signal chain, and check host and port of the rig.`,
      );
    }
    return ok(undefined);
  }

  async function giveControlBack(): Promise<void> {
    const give = giveBack;
    giveBack = async () => undefined;
    await give();
  }

  function close(current: Running): void {
    running = null;
    last = current;
    current.cancelHeartbeat();
    current.onPeer();
    current.subscription.close();
    current.requester?.close();
  }

  return {
    name: "Open Ephys GUI",
    channels: () => [...((running ?? last)?.decoder.channels() ?? [])],
    start,
    status() {
      const shown = running ?? last;
      const counts = shown?.decoder.status();
      return {
        connected: running !== null && running.subscription.connected,
        address: dataAddress,
        spikesReceived: counts?.spikes ?? 0,
        packetsReceived: counts?.messages ?? 0,
        packetsLost: counts?.messagesLost ?? 0,
        malformedPackets: counts?.messagesMalformed ?? 0,
        newestHostNs: shown?.subscription.newestHostNs ?? null,
      };
    },
    analog(next) {
      onAnalog = next;
      running?.decoder.onContinuous(next);
    },
    async stop() {
      const current = running;
      if (current === null) return;
      // What is held goes out before the end.
      current.decoder.finish(clock.now());
      close(current);
      await giveControlBack();
      current.listener({ kind: "end", reason: "The Open Ephys source was stopped." });
    },
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
