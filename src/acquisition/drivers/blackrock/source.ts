// A spike source over Blackrock's NSP, hubs and Gemini systems: sockets, requests, the watchdog. What the packets mean is the system's and the
// decoder's business. Protocol notes: docs/rigs/blackrock.md.
import type { Clock, SpikeSource } from "../../../shared/ports.ts";
import { fault, ok } from "../../../shared/result.ts";
import type { Fault, Result } from "../../../shared/result.ts";
import { addMs, hostTimeNs, msBetween } from "../../../shared/units.ts";
import type { HostTimeNs } from "../../../shared/units.ts";
import type { ChannelInfo, SourceEvent, SourceStatus } from "../../../shared/values.ts";
import type { Tap } from "../../capture/decoding.ts";
import type { RecordBatch } from "../../native/records.ts";
import { arrivalsOn, noteOnReceiver, openReceiver } from "../udp/receiver.ts";
import type { Receiver } from "../udp/receiver.ts";
import { blackrockDevices } from "./options.ts";
import type { BlackrockOptions } from "./options.ts";
import { blackrockProtocols, configurationRequest, runLevelRequest, runLevels } from "./packets.ts";
import { createBlackrockSystem } from "./system.ts";
import type { BlackrockSystem } from "./system.ts";

const watchMs = 100;
/** A silent device is asked to run this often, ms. */
const askMs = 1000;
/** Requests of the handshake are repeated this often, ms of real time. */
const requestMs = 100;
/** How often it is looked whether a device that says nothing more has said enough, ms of real time. */
const stepMs = 10;

/** One device: its socket, and when it was heard. */
interface Device {
  readonly name: string;
  readonly host: string;
  readonly sendPort: number;
  receiver: Receiver | null;
  newestHostNs: HostTimeNs | null;
  askedHostNs: HostTimeNs | null;
}

interface Running {
  readonly listener: (event: SourceEvent) => void;
  readonly devices: readonly Device[];
  readonly system: BlackrockSystem;
  cancelWatch: () => void;
}

export function createBlackrockSource({ clock, options, tap }: { readonly clock: Clock; readonly options: BlackrockOptions; readonly tap?: Tap }): SpikeSource {
  let running: Running | null = null;
  let lastStatus: SourceStatus | null = null;
  let lastChannels: readonly ChannelInfo[] = [];
  // Addresses that are set are the first device's.
  const first = blackrockDevices[options.device];
  const places = [
    { name: options.device, host: options.host ?? first.host, sendPort: options.sendPort ?? first.sendPort, receivePort: options.receivePort ?? first.receivePort },
    ...options.moreDevices.map((more) => (typeof more === "string" ? { name: more, ...blackrockDevices[more] } : more)),
  ];
  const address = places.map((place) => `${place.host}:${place.receivePort}`).join(", ");

  async function start(listener: (event: SourceEvent) => void): Promise<Result<void, Fault>> {
    if (running !== null) return fault("alreadyRunning", "Expected the Blackrock source to be stopped, but it is running. Stop it before starting it again.");
    const devices: Device[] = places.map(({ name, host, sendPort }) => ({ name, host, sendPort, receiver: null, newestHostNs: null, askedHostNs: null }));
    const system = createBlackrockSystem(
      devices.map((device) => device.name),
      options,
      (event) => {
        if (running === current) listener(event);
      },
      (place, protocol) => devices[place]?.receiver?.setProtocol(`blackrock-${protocol}`),
    );
    const current: Running = { listener, devices, system, cancelWatch: () => undefined };
    running = current;

    for (const [place, device] of devices.entries()) {
      const opened = await openReceiver(
        {
          by: options.receiveBy, protocol: options.protocol === "auto" ? "raw" : `blackrock-${options.protocol}`, localAddress: options.localAddress, localPort: places[place]?.receivePort ?? 0,
          peerAddress: device.host, receiveBufferBytes: options.receiveBufferBytes,
        },
        (batch) => takeBatch(place, device, batch),
        tap === undefined ? null : (bytes, arrivedOf) => tap(place, [bytes], arrivedOf(clock)),
      );
      if (!opened.ok) {
        await close(current);
        return opened;
      }
      device.receiver = opened.value;
    }
    const heard = await shakeHands(current);
    if (!heard.ok) {
      await close(current);
      return heard;
    }
    current.cancelWatch = clock.setTimer(addMs(clock.now(), watchMs), watch);
    return ok(undefined);

    function takeBatch(place: number, device: Device, batch: RecordBatch): void {
      const { receiver } = device;
      if (running !== current || receiver === null) return;
      const hostNow = clock.now();
      if (system.take(place, batch, arrivalsOn(clock, receiver), performance.now())) device.newestHostNs = hostNow;
    }

    function watch(): void {
      if (running !== current) return;
      const now = clock.now();
      for (const [place, device] of devices.entries()) {
        const ageMs = msBetween(device.newestHostNs ?? now, now);
        device.newestHostNs ??= now;
        if (ageMs < options.staleMs) continue;
        system.silent(place, ageMs, now);
        // A device that was started again must be told to run.
        const { protocol } = system.handshake(place);
        if (!options.setRunning || protocol === null || (device.askedHostNs !== null && msBetween(device.askedHostNs, now) < askMs)) continue;
        device.askedHostNs = now;
        device.receiver?.send(device.host, device.sendPort, runLevelRequest(protocol, runLevels.running));
      }
      current.cancelWatch = clock.setTimer(addMs(now, watchMs), watch);
    }
  }

  /** Asks all devices until each has said how it is to be read. On real time, whatever the session's clock. */
  function shakeHands(current: Running): Promise<Result<void, Fault>> {
    const { devices, system } = current;
    const beganMs = performance.now();
    let requests = 0;

    function request(device: Device, place: number): void {
      const { protocol, runLevel, hasConfiguration } = system.handshake(place);
      if (protocol === null) {
        // Not known: asked in each in turn; a device does not answer what it cannot read.
        const guess = blackrockProtocols[requests % blackrockProtocols.length];
        if (guess !== undefined && options.setRunning) device.receiver?.send(device.host, device.sendPort, runLevelRequest(guess, runLevels.running));
        return;
      }
      if (runLevel === null && options.setRunning) device.receiver?.send(device.host, device.sendPort, runLevelRequest(protocol, runLevels.running));
      if (!hasConfiguration) device.receiver?.send(device.host, device.sendPort, configurationRequest(protocol));
    }

    /** What stands in the way of one device; null: nothing that waiting might not mend. */
    function problemOf(device: Device, place: number, nowMs: number): Result<never, Fault> | null {
      const status = device.receiver?.status();
      if (status === undefined) return null;
      if (status.failure !== null) return fault("socketFailed", `The socket to ${device.host} failed: ${status.failure}. Check the network of the rig.`);
      const { protocol, runLevel, outcome } = system.handshake(place);
      if (outcome(nowMs) !== null) {
        if (runLevel === null || runLevel === runLevels.running || runLevel === runLevels.stressed) return null;
        return fault("notRunning", `Expected ${device.name} at ${device.host} to run, but its run level is ${runLevel}. Start it in Central (or Trellis), then start the rig again.`);
      }
      if (nowMs - beganMs <= options.startTimeoutMs) return null;
      const missing = status.datagrams === 0 ? "but nothing came" : protocol === null ? `but its ${status.datagrams} datagrams are of none of the protocols 3.11, 4.0 and 4.1` : "but it did not say enough to read its times";
      return fault("noAnswer", `Expected packets of ${device.name} at ${device.host} within ${options.startTimeoutMs / 1000} s, ${missing}. Check that the system is on, that this computer's address is in its network (192.168.137.x), and address, ports and protocol of the rig.`);
    }

    return new Promise((resolve) => {
      let lastRequestMs = Number.NEGATIVE_INFINITY;
      const finish = (result: Result<void, Fault>): void => {
        clearInterval(timer);
        resolve(result);
      };
      const step = (): void => {
        const now = performance.now();
        if (running !== current) return finish(fault("stopped", "The Blackrock source was stopped while it started."));
        for (const [place, device] of devices.entries()) {
          const problem = problemOf(device, place, now);
          if (problem !== null) return finish(problem);
        }
        if (system.step(now)) return finish(ok(undefined));
        if (now - lastRequestMs < requestMs) return;
        lastRequestMs = now;
        requests += 1;
        for (const [place, device] of devices.entries()) if (system.handshake(place).outcome(now) === null) request(device, place);
      };
      const timer = setInterval(step, stepMs);
      step();
    });
  }

  async function close(current: Running): Promise<void> {
    lastStatus = { ...statusOf(current), connected: false };
    lastChannels = [...current.system.channels()];
    if (running === current) running = null;
    current.cancelWatch();
    for (const device of current.devices) await device.receiver?.close();
  }

  function statusOf({ devices, system }: Running): SourceStatus {
    const counts = system.statuses();
    const sum = (of: (one: (typeof counts)[number]) => number) => counts.reduce((total, one) => total + of(one), 0);
    const newest = devices.flatMap(({ newestHostNs }) => (newestHostNs === null ? [] : [newestHostNs]));
    return {
      connected: system.isStreaming && devices.every((_, place) => !system.isSilent(place)) && counts.every((one) => one.isRunning),
      address: devices.map(({ receiver }, index) => `${places[index]?.host}:${places[index]?.receivePort}${receiver === null ? "" : noteOnReceiver(receiver.status(), { by: options.receiveBy, receiveBufferBytes: options.receiveBufferBytes })}`).join(", "),
      spikesReceived: system.spikes(),
      packetsReceived: sum((one) => one.packets),
      packetsLost: sum((one) => one.lost),
      malformedPackets: sum((one) => one.malformed),
      newestHostNs: newest.length === 0 ? null : hostTimeNs(Math.max(...newest)),
    };
  }

  return {
    name: "Blackrock",
    channels: () => [...(running?.system.channels() ?? lastChannels)],
    start,
    status: () => (running === null ? (lastStatus ?? { connected: false, address, spikesReceived: 0, packetsReceived: 0, packetsLost: 0, malformedPackets: 0, newestHostNs: null }) : statusOf(running)),
    async stop() {
      const current = running;
      if (current === null) return;
      // What is held goes out before the end.
      current.system.flush(clock.now());
      const wasStreaming = current.system.isStreaming;
      await close(current);
      if (wasStreaming) current.listener({ kind: "end", reason: "The Blackrock source was stopped." });
    },
  };
}
