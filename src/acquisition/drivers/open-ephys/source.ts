// A spike source over the Open Ephys GUI's ZMQ Interface: the sockets, the heartbeat, the watchdog. What the messages mean is the
// decoder's business. Protocol notes: docs/rigs/open-ephys.md.
import { randomUUID } from "node:crypto";
import type { Request, Subscriber } from "zeromq";
import type { Clock, SpikeSource } from "../../../shared/ports.ts";
import { fault, ok } from "../../../shared/result.ts";
import type { Fault, Result } from "../../../shared/result.ts";
import { addMs, msBetween } from "../../../shared/units.ts";
import type { HostTimeNs } from "../../../shared/units.ts";
import type { AnalogBlock, SourceEvent } from "../../../shared/values.ts";
import type { LineDecoder, Tap } from "../../capture/decoding.ts";
import { readMode, setMode } from "./control.ts";
import type { OpenEphysMode } from "./control.ts";
import { createOpenEphysDecoder } from "./decoder.ts";
import type { OpenEphysDecoder } from "./decoder.ts";
import type { OpenEphysOptions } from "./options.ts";

const watchMs = 200;
const heartbeatMs = 2000;
/** The program forgets a client that has been silent for so long; so do we with the program. */
const heartbeatDeadMs = 5000;
/** Messages that may wait in the socket: minutes of a busy rig. More is loss, and the numbering shows it. */
const queueMax = 500_000;
/** Samples of a block where no continuous data tell: 1024 is the largest that the program's audio settings offer by default. */
const blockSamplesMax = 1024;

interface Running {
  readonly listener: (event: SourceEvent) => void;
  readonly decoder: OpenEphysDecoder;
  readonly uuid: string;
  subscriber: Subscriber;
  requester: Request | null;
  cancelWatch: () => void;
  cancelHeartbeat: () => void;
  /** Something has answered: a connection, a message, a heartbeat. */
  hasPeer: boolean;
  onPeer: () => void;
  isAway: boolean;
  newestHostNs: HostTimeNs | null;
  freshSinceHostNs: HostTimeNs;
  lastHeartbeatHostNs: HostTimeNs | null;
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
  /** Mode in which the GUI was found, where it was changed. */
  let modeBefore: OpenEphysMode | null = null;
  let running: Running | null = null;
  let onAnalog: ((block: AnalogBlock) => void) | null = null;
  let last: { readonly decoder: OpenEphysDecoder; readonly newestHostNs: HostTimeNs | null } | null = null;

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

    function openSubscriber(): Subscriber {
      const socket = new zmq.Subscriber({ linger: 0, receiveHighWaterMark: queueMax, reconnectInterval: 100, reconnectMaxInterval: 1000 });
      try {
        socket.connect(dataAddress);
      } catch (error) {
        socket.close();
        throw error;
      }
      socket.subscribe();
      return socket;
    }

    let subscriber: Subscriber;
    try {
      subscriber = openSubscriber();
    } catch (error) {
      return fault("badAddress", `Expected the address of the Open Ephys GUI's ZMQ Interface, like tcp://127.0.0.1:5556, got ${dataAddress} (${messageOf(error)}). Correct host and port of the rig.`);
    }
    const current: Running = {
      listener,
      decoder,
      uuid: randomUUID(),
      subscriber,
      requester: null,
      cancelWatch: () => undefined,
      cancelHeartbeat: () => undefined,
      hasPeer: false,
      onPeer: () => undefined,
      isAway: false,
      newestHostNs: null,
      freshSinceHostNs: clock.now(),
      lastHeartbeatHostNs: null,
    };
    running = current;

    function seePeer(): void {
      if (current.hasPeer) return;
      current.hasPeer = true;
      current.onPeer();
    }

    async function receive(socket: Subscriber): Promise<void> {
      socket.events.on("handshake", seePeer);
      socket.events.on("disconnect", () => {
        if (running !== current || current.subscriber !== socket || current.isAway) return;
        current.isAway = true;
        decoder.away({ kind: "lost", reason: `The Open Ephys GUI closed the connection at ${dataAddress}` }, clock.now());
      });
      try {
        for await (const parts of socket) {
          if (running !== current || current.subscriber !== socket) return;
          const now = clock.now();
          current.newestHostNs = now;
          current.isAway = false;
          seePeer();
          tap?.(0, parts, now);
          decoder.take(parts, now);
        }
      } catch (error) {
        // A socket that is closed while it waits ends this way; anything else is for the watchdog to mend.
        if (running === current && current.subscriber === socket) decoder.away({ kind: "lost", reason: messageOf(error) }, clock.now());
      }
    }

    function watch(): void {
      if (running !== current) return;
      const now = clock.now();
      decoder.settle(now);
      const sinceHostNs = current.newestHostNs ?? current.freshSinceHostNs;
      const ageMs = msBetween(sinceHostNs, now);
      if (ageMs >= options.staleMs && !current.isAway) {
        current.isAway = true;
        decoder.away({ kind: "stale", ageMs }, now);
      }
      if (ageMs >= options.lostMs && msBetween(current.freshSinceHostNs, now) >= options.lostMs) {
        current.freshSinceHostNs = now;
        const socket = current.subscriber;
        try {
          current.subscriber = openSubscriber();
          socket.close();
          void receive(current.subscriber);
        } catch (error) {
          decoder.away({ kind: "lost", reason: messageOf(error) }, now);
        }
      }
      current.cancelWatch = clock.setTimer(addMs(now, watchMs), watch);
    }

    async function beat(): Promise<void> {
      if (running !== current || heartbeatAddress === null) return;
      try {
        current.requester ??= openRequester(heartbeatAddress);
        await current.requester.send(JSON.stringify({ application: "Evoked", uuid: current.uuid, type: "heartbeat" }));
        await current.requester.receive();
        if (running !== current) return;
        current.lastHeartbeatHostNs = clock.now();
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
    if (options.control !== "none") {
      const taken = await takeControl();
      if (!taken.ok) {
        close(current);
        return taken;
      }
    }

    if (decoder.channels().length > 0) listener({ kind: "channels", channels: decoder.channels() });
    void receive(subscriber);
    void beat();
    current.cancelWatch = clock.setTimer(addMs(clock.now(), watchMs), watch);

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

  /** Asks the GUI to acquire or record, and remembers how it was. */
  async function takeControl(): Promise<Result<void, Fault>> {
    const wanted = options.control === "record" ? "RECORD" : "ACQUIRE";
    const was = await readMode(httpAddress);
    // Recording already is acquiring too; it is not stopped for a session that asks for less.
    const isThere = was.ok && (was.value === wanted || was.value === "RECORD");
    const done = !was.ok ? was : isThere ? ok(undefined) : await setMode(httpAddress, wanted);
    if (!was.ok || !done.ok) return fault("noControl", `Expected the Open Ephys GUI to ${options.control} with the session, but ${!was.ok ? was.error : done.ok ? "" : done.error}. Check its HTTP server's port in the rig's settings, or start it by hand and set control to none.`);
    modeBefore = isThere ? null : was.value;
    return ok(undefined);
  }

  async function giveControlBack(): Promise<void> {
    const mode = modeBefore;
    modeBefore = null;
    if (mode !== null) await setMode(httpAddress, mode);
  }

  function close(current: Running): void {
    running = null;
    last = { decoder: current.decoder, newestHostNs: current.newestHostNs };
    current.cancelWatch();
    current.cancelHeartbeat();
    current.onPeer();
    current.subscriber.close();
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
        connected: running !== null && running.hasPeer && !running.isAway,
        address: dataAddress,
        spikesReceived: counts?.spikes ?? 0,
        packetsReceived: counts?.messages ?? 0,
        packetsLost: counts?.messagesLost ?? 0,
        malformedPackets: counts?.messagesMalformed ?? 0,
        newestHostNs: shown?.newestHostNs ?? null,
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
