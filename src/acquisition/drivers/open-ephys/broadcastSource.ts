// A spike source over the Open Ephys GUI's Event Broadcaster. What the messages mean is the decoder's business, whether the program is there the
// subscription's. Protocol notes: docs/rigs/open-ephys.md.
import type { Clock, SpikeSource } from "../../../shared/ports.ts";
import { fault, ok } from "../../../shared/result.ts";
import { addMs } from "../../../shared/units.ts";
import type { SourceEvent } from "../../../shared/values.ts";
import type { LineDecoder, Tap } from "../../capture/decoding.ts";
import { createBroadcastDecoder } from "./broadcastDecoder.ts";
import type { BroadcastStream } from "./broadcastDecoder.ts";
import type { BroadcastOptions } from "./broadcastOptions.ts";
import { takeControl } from "./control.ts";
import { openSubscription } from "./subscription.ts";
import type { Subscription } from "./subscription.ts";

interface Running {
  readonly listener: (event: SourceEvent) => void;
  readonly decoder: BroadcastStream;
  readonly subscription: Subscription;
  onPeer: () => void;
  isSettling: boolean;
  giveBack: () => Promise<void>;
}

/** The decoder on its own. */
export function decodeBroadcast(options: BroadcastOptions, emit: (event: SourceEvent) => void): LineDecoder {
  const decoder = createBroadcastDecoder(options, emit);
  return {
    take: (_lane, parts, arrivedHostNs) => decoder.take(parts, arrivedHostNs),
    settle: (nowHostNs) => decoder.settle(nowHostNs),
    finish: (nowHostNs) => decoder.finish(nowHostNs),
    channels: () => decoder.stream.channels(),
    get packets() {
      return decoder.packets;
    },
  };
}

export function createBroadcastSource({ clock, options, tap }: { readonly clock: Clock; readonly options: BroadcastOptions; readonly tap?: Tap }): SpikeSource {
  const address = `tcp://${options.host}:${options.port}`;
  let running: Running | null = null;
  let last: Running | null = null;
  let isStarting = false;

  /** Events that are there already go out in one batch. */
  function settleSoon(current: Running): void {
    if (current.isSettling) return;
    current.isSettling = true;
    setImmediate(() => {
      current.isSettling = false;
      if (running === current) current.decoder.settle(clock.now());
    });
  }

  function close(current: Running): void {
    running = null;
    last = current;
    current.onPeer();
    current.subscription.close();
  }

  return {
    name: "Open Ephys GUI, Event Broadcaster",
    channels: () => (running ?? last)?.decoder.stream.channels() ?? [],
    async start(listener) {
      if (running !== null || isStarting) return fault("alreadyRunning", "Expected the Open Ephys source to be stopped, but it is running. Stop it before starting it again.");
      isStarting = true;
      try {
        let zmq: typeof import("zeromq");
        try {
          zmq = await import("zeromq");
        } catch (error) {
          return fault("driverMissing", `The ZeroMQ library could not be loaded: ${messageOf(error)}. Reinstall the program, or choose another rig.`);
        }
        const decoder = createBroadcastDecoder(options, (event) => {
          if (running?.decoder === decoder) listener(event);
        });
        let subscription: Subscription;
        try {
          subscription = openSubscription({
            zmq, clock, address, staleMs: options.staleMs, lostMs: options.lostMs,
            onPeer: () => current.onPeer(),
            onMessage(parts, now) {
              tap?.(0, parts, now);
              decoder.take(parts, now);
              settleSoon(current);
            },
            onAway: (away, now) => decoder.stream.away(away, now),
            onWatch: (now) => decoder.settle(now),
          });
        } catch (error) {
          return fault("badAddress", `Expected the address of the Open Ephys GUI's Event Broadcaster, like tcp://127.0.0.1:5557, got ${address} (${messageOf(error)}). Correct host and port of the rig.`);
        }
        const current: Running = { listener, decoder, subscription, onPeer: () => undefined, isSettling: false, giveBack: async () => undefined };
        running = current;
        const taken = await takeControl(`http://${options.host}:${options.httpPort}`, options.control);
        if (!taken.ok) {
          close(current);
          return taken;
        }
        current.giveBack = taken.value;
        if (running !== current) {
          // Stopped meanwhile.
          await current.giveBack();
          return ok(undefined);
        }
        decoder.stream.announce();
        subscription.begin();
        const hasAnswered = await new Promise<boolean>((resolve) => {
          const cancel = clock.setTimer(addMs(clock.now(), options.startTimeoutMs), () => resolve(false));
          current.onPeer = () => {
            cancel();
            resolve(true);
          };
          if (subscription.hasPeer) current.onPeer();
        });
        if (!hasAnswered && running === current) {
          close(current);
          await current.giveBack();
          return fault(
            "noAnswer",
            `Expected the Open Ephys GUI's Event Broadcaster at ${address}, but nothing answered for ${options.startTimeoutMs / 1000} s. Start the GUI with an Event Broadcaster in its signal chain, and check host and port of the rig (a ZMQ Interface takes the same port for its heartbeat).`,
          );
        }
        return ok(undefined);
      } finally {
        isStarting = false;
      }
    },
    status() {
      const shown = running ?? last;
      const counts = shown?.decoder.stream.counts;
      return {
        connected: running !== null && running.subscription.connected,
        address,
        spikesReceived: counts?.spikes ?? 0,
        packetsReceived: shown?.decoder.packets ?? 0,
        // The protocol has no numbers: a loss cannot be seen.
        packetsLost: 0,
        malformedPackets: counts?.packetsMalformed ?? 0,
        newestHostNs: shown?.subscription.newestHostNs ?? null,
      };
    },
    async stop() {
      const current = running;
      if (current === null) return;
      // What is held goes out before the end.
      current.decoder.finish(clock.now());
      close(current);
      await current.giveBack();
      current.listener({ kind: "end", reason: "The Open Ephys source was stopped." });
    },
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
