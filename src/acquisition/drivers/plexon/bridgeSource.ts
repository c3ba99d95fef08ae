// A spike source over Evoked's own bridge: the socket, the hellos, the watchdog. What the datagrams mean is the decoder's business. The
// protocol is described in docs/rigs/plexon.md.
import type { Clock, SpikeSource } from "../../../shared/ports.ts";
import { fault, ok } from "../../../shared/result.ts";
import type { Fault, Result } from "../../../shared/result.ts";
import { addMs, msBetween } from "../../../shared/units.ts";
import type { HostTimeNs } from "../../../shared/units.ts";
import type { SourceEvent } from "../../../shared/values.ts";
import type { LineDecoder, Tap } from "../../capture/decoding.ts";
import { RecordWriter } from "../../native/records.ts";
import { arrivalsOn, noteOnReceiver, openReceiver } from "../udp/receiver.ts";
import type { Receiver } from "../udp/receiver.ts";
import { createBridgeDecoder } from "./bridgeDecoder.ts";
import type { BridgeDecoder } from "./bridgeDecoder.ts";
import type { BridgeOptions } from "./bridgeOptions.ts";
import { createBridgeParser } from "./bridgeParser.ts";
import { helloMs, writeHello } from "./bridgeProtocol.ts";

const watchMs = 20;

interface Running {
  readonly listener: (event: SourceEvent) => void;
  readonly receiver: Receiver;
  readonly decoder: BridgeDecoder;
  /** Hellos go out on real time, whatever the session's clock. */
  readonly hello: NodeJS.Timeout;
  cancelWatch: () => void;
  newestHostNs: HostTimeNs | null;
  isAway: boolean;
}

/** The decoder on its own, for captures: a piece is a datagram. */
export function decodeBridge(options: BridgeOptions, emit: (event: SourceEvent) => void): LineDecoder {
  const decoder = createBridgeDecoder({ areas: options.areas }, emit);
  const parse = createBridgeParser();
  const writer = new RecordWriter();
  return {
    take(_lane, [datagram], arrivedHostNs) {
      if (datagram === undefined) return;
      parse(datagram, arrivedHostNs, writer);
      decoder.take(writer.take(), () => arrivedHostNs);
    },
    settle: (nowHostNs) => decoder.settle(nowHostNs),
    finish: (nowHostNs) => decoder.finish(nowHostNs),
    channels: () => decoder.channels() ?? [],
    get packets() {
      return decoder.status().datagrams;
    },
  };
}

export function createBridgeSource({ clock, options, tap }: { readonly clock: Clock; readonly options: BridgeOptions; readonly tap?: Tap }): SpikeSource {
  const address = `${options.host}:${options.port}`;
  let running: Running | null = null;
  let last: { readonly decoder: BridgeDecoder; readonly newestHostNs: HostTimeNs | null } | null = null;
  let isStarting = false;

  async function start(listener: (event: SourceEvent) => void): Promise<Result<void, Fault>> {
    if (running !== null || isStarting) return fault("alreadyRunning", "Expected the bridge's source to be stopped, but it is running. Stop it before starting it again.");
    isStarting = true;
    try {
      return await open(listener);
    } finally {
      isStarting = false;
    }
  }

  async function open(listener: (event: SourceEvent) => void): Promise<Result<void, Fault>> {
    // What comes before the channels are known waits: the stream begins with their list.
    let early: SourceEvent[] | null = [];
    const decoder = createBridgeDecoder({ areas: options.areas }, (event) => {
      if (early !== null) early.push(event);
      else if (running?.decoder === decoder) listener(event);
    });
    let newestHostNs: HostTimeNs | null = null;
    const opened = await openReceiver({ by: options.receiveBy, protocol: "bridge", localAddress: options.localAddress, localPort: 0, peerAddress: options.host, receiveBufferBytes: options.receiveBufferBytes }, (batch) => {
      const hostNow = clock.now();
      newestHostNs = hostNow;
      if (running?.decoder === decoder) {
        running.newestHostNs = hostNow;
        running.isAway = false;
      }
      decoder.take(batch, arrivalsOn(clock, receiver));
    }, tap === undefined ? null : (bytes, arrivedOn) => tap(0, [bytes], arrivedOn(clock)));
    if (!opened.ok) return opened;
    const receiver: Receiver = opened.value;
    const say = (): void => receiver.send(options.host, options.port, writeHello(decoder.channels() === null));
    say();
    const hello = setInterval(say, helloMs);
    const beganMs = performance.now();
    while (decoder.channels() === null) {
      if (performance.now() - beganMs > options.startTimeoutMs) {
        clearInterval(hello);
        await receiver.close();
        return fault("noAnswer", `Expected the bridge at ${address}, but ${newestHostNs === null ? "nothing answered" : "it named no channels"} for ${options.startTimeoutMs / 1000} s. Start evoked rig bridge on the recording computer, let its firewall pass UDP port ${options.port}, and check the address of the rig.`);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const current: Running = { listener, receiver, decoder, hello, cancelWatch: () => undefined, newestHostNs, isAway: false };
    running = current;
    const channels = decoder.channels();
    if (channels !== null) listener({ kind: "channels", channels });
    const waited = early;
    early = null;
    for (const event of waited) if (event.kind !== "channels") listener(event);
    current.cancelWatch = clock.setTimer(addMs(clock.now(), watchMs), watch);
    return ok(undefined);

    function watch(): void {
      if (running !== current) return;
      const now = clock.now();
      decoder.settle(now);
      const ageMs = msBetween(current.newestHostNs ?? now, now);
      current.newestHostNs ??= now;
      if (ageMs >= options.staleMs && !current.isAway) {
        current.isAway = true;
        decoder.away({ kind: "stale", ageMs }, now);
      }
      current.cancelWatch = clock.setTimer(addMs(now, watchMs), watch);
    }
  }

  return {
    name: "Evoked bridge",
    channels: () => [...((running ?? last)?.decoder.channels() ?? [])],
    start,
    status() {
      const shown = running ?? last;
      const counts = shown?.decoder.status();
      return {
        connected: running !== null && !running.isAway,
        address: `${address}${counts === undefined || counts.source === "" ? "" : ` (${counts.source})`}${running === null ? "" : noteOnReceiver(running.receiver.status(), { by: options.receiveBy, receiveBufferBytes: options.receiveBufferBytes })}`,
        spikesReceived: counts?.spikes ?? 0,
        packetsReceived: counts?.datagrams ?? 0,
        packetsLost: counts?.lost ?? 0,
        malformedPackets: counts?.malformed ?? 0,
        newestHostNs: shown?.newestHostNs ?? null,
      };
    },
    async stop() {
      const current = running;
      if (current === null) return;
      // What is held goes out before the end.
      current.decoder.finish(clock.now());
      running = null;
      last = { decoder: current.decoder, newestHostNs: current.newestHostNs };
      clearInterval(current.hello);
      current.cancelWatch();
      await current.receiver.close();
      current.listener({ kind: "end", reason: "The bridge's source was stopped." });
    },
  };
}
