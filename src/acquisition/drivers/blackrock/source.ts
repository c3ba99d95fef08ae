// A spike source over Blackrock's NSP, hubs and Gemini systems: sockets, the handshake, the watchdog. What the packets mean is the decoder's
// business. Protocol notes: docs/rigs/blackrock.md.
import type { Clock, SpikeSource } from "../../../shared/ports.ts";
import { fault, ok } from "../../../shared/result.ts";
import type { Fault, Result } from "../../../shared/result.ts";
import { addMs, hostTimeNs, msBetween } from "../../../shared/units.ts";
import type { HostTimeNs } from "../../../shared/units.ts";
import type { ChannelInfo, SourceEvent, SourceStatus } from "../../../shared/values.ts";
import { recordKinds, recordWords } from "../../native/records.ts";
import type { RecordBatch } from "../../native/records.ts";
import { createSpikeHold } from "../../spikeHold.ts";
import type { SpikeHold } from "../../spikeHold.ts";
import { arrivalsOn, noteOnReceiver, openReceiver } from "../udp/receiver.ts";
import type { Receiver } from "../udp/receiver.ts";
import { createBlackrockDecoder } from "./decoder.ts";
import type { BlackrockDecoder } from "./decoder.ts";
import { blackrockDevices } from "./options.ts";
import type { BlackrockOptions } from "./options.ts";
import { blackrockProtocols, configurationRequest, detectProtocol, packetTypes, readChannelInfo, readHead, readProcessorInfo, readSystemInfo, runLevelRequest, runLevels } from "./packets.ts";
import type { BlackrockProtocol, ChannelInfoPacket } from "./packets.ts";

const watchMs = 100;
/** A silent device is asked to run this often, ms. */
const askMs = 1000;
/** Requests of the handshake are repeated this often, ms of real time. */
const requestMs = 100;
/** The configuration has come once nothing of it has been heard for so long, ms. */
const configurationQuietMs = 400;
/** A device that streams but does not answer is taken as it is after so long, ms. */
const configurationWaitMs = 1500;
const detectDatagrams = 2;
/** Time stamps further apart than this between two counts of packets (10 ms) are ns: 33 ms in ticks. */
const ticksBetweenCountsMax = 100_000;

/** One device: its socket, and what the handshake found out. */
interface Device {
  readonly name: string;
  readonly host: string;
  readonly sendPort: number;
  receiver: Receiver | null;
  protocol: BlackrockProtocol | null;
  decoder: BlackrockDecoder | null;
  /** Handshake: takes batches until the decoder does. */
  onBatch: (batch: RecordBatch) => void;
  /** What its clock has passed, rig time; not considered while it is silent. */
  watermarkNs: number;
  newestHostNs: HostTimeNs | null;
  isSilent: boolean;
  askedHostNs: HostTimeNs | null;
}

interface Running {
  readonly listener: (event: SourceEvent) => void;
  readonly devices: readonly Device[];
  readonly hold: SpikeHold;
  readonly channels: ChannelInfo[];
  cancelWatch: () => void;
  isStreaming: boolean;
}

interface Handshake {
  readonly protocol: BlackrockProtocol;
  readonly tickHz: number;
  readonly channels: readonly ChannelInfoPacket[];
}

export function createBlackrockSource({ clock, options }: { readonly clock: Clock; readonly options: BlackrockOptions }): SpikeSource {
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
    const devices: Device[] = places.map(({ name, host, sendPort }) => ({ name, host, sendPort, receiver: null, protocol: null, decoder: null, onBatch: () => undefined, watermarkNs: Number.NEGATIVE_INFINITY, newestHostNs: null, isSilent: false, askedHostNs: null }));
    const channels: ChannelInfo[] = [];
    const emit = (event: SourceEvent): void => {
      if (running === current && current.isStreaming) listener(event);
    };
    const current: Running = { listener, devices, hold: createSpikeHold(emit), channels, cancelWatch: () => undefined, isStreaming: false };
    running = current;

    for (const [index, device] of devices.entries()) {
      const opened = await openReceiver(
        {
          by: options.receiveBy, protocol: options.protocol === "auto" ? "raw" : `blackrock-${options.protocol}`, localAddress: options.localAddress, localPort: places[index]?.receivePort ?? 0,
          peerAddress: device.host, receiveBufferBytes: options.receiveBufferBytes,
        },
        (batch) => device.onBatch(batch),
      );
      if (!opened.ok) {
        await close(current);
        return opened;
      }
      device.receiver = opened.value;
    }
    const shaken = await Promise.all(devices.map((device) => shakeHands(device, current)));
    if (running !== current) return fault("stopped", "The Blackrock source was stopped while it started.");
    const handshakes: Handshake[] = [];
    for (const one of shaken) {
      if (!one.ok) {
        await close(current);
        return one;
      }
      handshakes.push(one.value);
    }
    let changed = false;
    const origin = { at: null };
    for (const [index, device] of devices.entries()) {
      const handshake = handshakes[index];
      if (handshake === undefined) continue;
      const indexOf = new Map<number, number>();
      const addChannel = (channel: number, label: string): number => {
        const known = indexOf.get(channel);
        if (known !== undefined) return known;
        const isTaken = label === "" || channels.some((one) => one.name === label);
        const name = isTaken ? `${device.name} ${channel}` : label;
        const place = channels.length;
        channels.push({ index: place, name, area: options.areas.find(({ prefix }) => name.startsWith(prefix))?.area ?? "", positionMm: null });
        indexOf.set(channel, place);
        changed = true;
        return place;
      };
      const inputs = handshake.channels.filter((one) => one.isConnected && one.isAnalogInput && one.detectsSpikes && one.channel !== options.photodiodeChannel);
      for (const one of inputs.toSorted((a, b) => a.channel - b.channel)) addChannel(one.channel, one.label);
      const digital = handshake.channels.filter((one) => one.isDigitalInput);
      device.decoder = createBlackrockDecoder(
        {
          name: device.name, origin, protocol: handshake.protocol, tickHz: handshake.tickHz, holdBackMs: options.holdBackMs, noise: options.noise, photodiodeLine: options.photodiodeLine, photodiodeChannel: options.photodiodeChannel,
          digitalChannels: digital.length === 0 ? null : new Set(digital.map((one) => one.channel)), channelIndex: (channel) => indexOf.get(channel) ?? addChannel(channel, ""),
        },
        {
          spike: (timeNs, channel, unit) => current.hold.add(timeNs, channel, unit),
          mark: (mark, arrived) => current.hold.addMark(mark, arrived),
          fault: (sourceFault, arrived) => emit({ kind: "fault", fault: sourceFault, arrivedHostNs: arrived }),
          reached(watermarkNs, arrived) {
            device.watermarkNs = Math.max(device.watermarkNs, watermarkNs);
            // The whole has passed what the slowest device that is heard has passed.
            let lowest = Number.POSITIVE_INFINITY;
            for (const one of devices) if (!one.isSilent) lowest = Math.min(lowest, one.watermarkNs);
            if (changed) {
              changed = false;
              emit({ kind: "channels", channels: [...channels] });
            }
            if (Number.isFinite(lowest)) current.hold.deliver(lowest, arrived);
          },
          restart(arrived) {
            current.hold.flush(arrived);
            return Math.max(current.hold.watermarkNs(), current.hold.newestNs());
          },
        },
      );
      device.onBatch = (batch) => takeBatch(device, batch);
    }
    changed = false;
    current.isStreaming = true;
    if (channels.length > 0) listener({ kind: "channels", channels: [...channels] });
    current.cancelWatch = clock.setTimer(addMs(clock.now(), watchMs), watch);
    return ok(undefined);

    function takeBatch(device: Device, batch: RecordBatch): void {
      const { receiver, decoder } = device;
      if (running !== current || receiver === null || decoder === null) return;
      const hostNow = clock.now();
      // Heard before what is in the batch is delivered: a device that is back holds up the others again.
      const wasSilent = device.isSilent;
      device.isSilent = false;
      if (decoder.take(batch, arrivalsOn(clock, receiver))) device.newestHostNs = hostNow;
      else device.isSilent = wasSilent;
    }

    function watch(): void {
      if (running !== current) return;
      const now = clock.now();
      for (const device of devices) {
        const ageMs = msBetween(device.newestHostNs ?? now, now);
        device.newestHostNs ??= now;
        if (ageMs < options.staleMs) continue;
        if (!device.isSilent) device.decoder?.silent(ageMs, now);
        device.isSilent = true;
        // A device that was started again must be told to run.
        if (!options.setRunning || device.protocol === null || (device.askedHostNs !== null && msBetween(device.askedHostNs, now) < askMs)) continue;
        device.askedHostNs = now;
        device.receiver?.send(device.host, device.sendPort, runLevelRequest(device.protocol, runLevels.running));
      }
      current.cancelWatch = clock.setTimer(addMs(now, watchMs), watch);
    }
  }

  /** Finds out protocol, time unit and channels. On real time, whatever the session's clock. */
  function shakeHands(device: Device, current: Running): Promise<Result<Handshake, Fault>> {
    const { receiver } = device;
    if (receiver === null) throw new Error("expected an open receiver");
    const datagrams: Uint8Array[] = [];
    const channels = new Map<number, ChannelInfoPacket>();
    const beganMs = performance.now();
    let knownSinceMs: number | null = null;
    let heardConfigurationMs: number | null = null;
    let isComplete = false;
    let runLevel: number | null = null;
    let tickHz = 0;
    let isGemini: boolean | null = null;
    let countTime: number | null = null;
    let countStep: number | null = null;
    let requests = 0;

    if (options.protocol !== "auto") know(options.protocol);

    function know(protocol: BlackrockProtocol): void {
      device.protocol = protocol;
      knownSinceMs = performance.now();
      if (options.protocol === "auto") receiver?.setProtocol(`blackrock-${protocol}`);
    }

    function takeConfiguration(bytes: Uint8Array): void {
      if (device.protocol === null) {
        datagrams.push(bytes);
        if (datagrams.length > detectDatagrams) datagrams.shift();
        const found = detectProtocol(datagrams);
        if (found !== null) know(found);
        return;
      }
      const { protocol } = device;
      const head = readHead(protocol, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0);
      if (head === null) return;
      const payload = bytes.subarray(head.headSize, head.headSize + head.payloadSize);
      if (head.type === packetTypes.sysRepRunLevel || head.type === packetTypes.sysRep) {
        const info = readSystemInfo(payload);
        if (info !== null) {
          runLevel = info.runLevel;
          if (info.tickHz > 0) tickHz = info.tickHz;
        }
        if (head.type === packetTypes.sysRep && heardConfigurationMs !== null) isComplete = true;
      } else if (head.type === packetTypes.procRep) {
        const info = readProcessorInfo(payload);
        if (info !== null) isGemini = /gemini/i.test(info.name);
        heardConfigurationMs = performance.now();
      } else if (head.type === packetTypes.chanRep) {
        const info = readChannelInfo(payload);
        if (info !== null) channels.set(info.channel, info);
        heardConfigurationMs = performance.now();
      }
    }

    device.onBatch = (batch) => {
      for (let i = 0; i < batch.count; i++) {
        const at = i * recordWords;
        const kind = ((batch.words[at + 4] ?? 0) >>> 16) & 0xff;
        if (kind === recordKinds.blob) takeConfiguration(batch.takeBlob(batch.words[at + 5] ?? 0));
        if (kind === recordKinds.monitor) {
          const time = (batch.words[at] ?? 0) + (batch.words[at + 1] ?? 0) * 0x1_0000_0000;
          if (countTime !== null && time > countTime) countStep = Math.min(countStep ?? Number.POSITIVE_INFINITY, time - countTime);
          countTime = time;
        }
      }
    };

    function request(): void {
      requests += 1;
      if (device.protocol === null) {
        // Not known: asked in each in turn; a device does not answer what it cannot read.
        const protocol = blackrockProtocols[requests % blackrockProtocols.length];
        if (protocol !== undefined && options.setRunning) receiver?.send(device.host, device.sendPort, runLevelRequest(protocol, runLevels.running));
        return;
      }
      if (runLevel === null && options.setRunning) receiver?.send(device.host, device.sendPort, runLevelRequest(device.protocol, runLevels.running));
      if (heardConfigurationMs === null) receiver?.send(device.host, device.sendPort, configurationRequest(device.protocol));
    }

    function unit(): number | null {
      if (options.timeUnit === "ns") return 1e9;
      const ticks = tickHz > 0 ? tickHz : options.tickHz;
      if (options.timeUnit === "ticks" || device.protocol === "3.11") return ticks;
      if (isGemini !== null) return isGemini ? 1e9 : ticks;
      return countStep === null ? null : countStep > ticksBetweenCountsMax ? 1e9 : ticks;
    }

    return new Promise((resolve) => {
      const finish = (result: Result<Handshake, Fault>): void => {
        clearInterval(timer);
        device.onBatch = () => undefined;
        resolve(result);
      };
      let lastRequestMs = Number.NEGATIVE_INFINITY;
      const step = (): void => {
        const now = performance.now();
        if (running !== current) return finish(fault("stopped", "The Blackrock source was stopped while it started."));
        const failure = receiver.status().failure;
        if (failure !== null) return finish(fault("socketFailed", `The socket to ${device.host} failed: ${failure}. Check the network of the rig.`));
        const tickRate = unit();
        const isQuiet = heardConfigurationMs !== null && now - heardConfigurationMs > configurationQuietMs;
        const isMute = knownSinceMs !== null && heardConfigurationMs === null && countTime !== null && now - knownSinceMs > configurationWaitMs;
        if (device.protocol !== null && tickRate !== null && (isComplete || isQuiet || isMute)) {
          if (runLevel !== null && runLevel !== runLevels.running && runLevel !== runLevels.stressed) {
            return finish(fault("notRunning", `Expected ${device.name} at ${device.host} to run, but its run level is ${runLevel}. Start it in Central (or Trellis), then start the rig again.`));
          }
          return finish(ok({ protocol: device.protocol, tickHz: tickRate, channels: [...channels.values()] }));
        }
        if (now - beganMs > options.startTimeoutMs) {
          const heard = receiver.status().datagrams;
          const missing = heard === 0 ? "but nothing came" : device.protocol === null ? `but its ${heard} datagrams are of none of the protocols 3.11, 4.0 and 4.1` : "but it did not say enough to read its times";
          return finish(fault("noAnswer", `Expected packets of ${device.name} at ${device.host} within ${options.startTimeoutMs / 1000} s, ${missing}. Check that the system is on, that this computer's address is in its network (192.168.137.x), and address, ports and protocol of the rig.`));
        }
        if (now - lastRequestMs >= requestMs) {
          lastRequestMs = now;
          request();
        }
      };
      const timer = setInterval(step, 10);
      step();
    });
  }

  async function close(current: Running): Promise<void> {
    lastStatus = { ...statusOf(current), connected: false };
    lastChannels = current.channels;
    if (running === current) running = null;
    current.cancelWatch();
    for (const device of current.devices) await device.receiver?.close();
  }

  function statusOf({ devices, hold, isStreaming }: Running): SourceStatus {
    const counts = devices.map((device) => device.decoder?.status());
    const sum = (of: (one: NonNullable<(typeof counts)[number]>) => number) => counts.reduce((total, one) => total + (one === undefined ? 0 : of(one)), 0);
    const newest = devices.flatMap(({ newestHostNs }) => (newestHostNs === null ? [] : [newestHostNs]));
    return {
      connected: isStreaming && devices.every((device) => !device.isSilent && device.decoder?.status().isRunning !== false),
      address: devices.map(({ receiver }, index) => `${places[index]?.host}:${places[index]?.receivePort}${receiver === null ? "" : noteOnReceiver(receiver.status(), { by: options.receiveBy, receiveBufferBytes: options.receiveBufferBytes })}`).join(", "),
      spikesReceived: hold.counts().spikes,
      packetsReceived: sum((one) => one.packets),
      packetsLost: sum((one) => one.lost),
      malformedPackets: sum((one) => one.malformed),
      newestHostNs: newest.length === 0 ? null : hostTimeNs(Math.max(...newest)),
    };
  }

  return {
    name: "Blackrock",
    channels: () => [...(running?.channels ?? lastChannels)],
    start,
    status: () => (running === null ? (lastStatus ?? { connected: false, address, spikesReceived: 0, packetsReceived: 0, packetsLost: 0, malformedPackets: 0, newestHostNs: null }) : statusOf(running)),
    async stop() {
      const current = running;
      if (current === null) return;
      // What is held goes out before the end.
      current.hold.flush(clock.now());
      const wasStreaming = current.isStreaming;
      await close(current);
      if (wasStreaming) current.listener({ kind: "end", reason: "The Blackrock source was stopped." });
    },
  };
}
