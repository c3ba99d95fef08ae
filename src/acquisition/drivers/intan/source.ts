// A spike source over Intan RHX's TCP ports: sets RHX up, connects, watches, connects again. What the bytes mean is the decoder's business.
// Protocol notes: docs/rigs/intan.md.
import { z } from "zod";
import type { Clock, SpikeSource } from "../../../shared/ports.ts";
import { err, fault, ok } from "../../../shared/result.ts";
import type { Result } from "../../../shared/result.ts";
import { addMs, msBetween } from "../../../shared/units.ts";
import type { HostTimeNs } from "../../../shared/units.ts";
import type { SourceEvent } from "../../../shared/values.ts";
import type { LineDecoder, Tap } from "../../capture/decoding.ts";
import { openTcp } from "../common/tcp.ts";
import type { TcpConnection } from "../common/tcp.ts";
import { openIntanControl } from "./control.ts";
import type { IntanControl } from "./control.ts";
import { createIntanDecoder } from "./decoder.ts";
import type { IntanDecoder } from "./decoder.ts";
import type { IntanOptions } from "./options.ts";

const watchMs = 200;
const retryMs = 1000;
const defaultBlocksPerWrite = 10;
const defaultSampleRateHz = 30_000;
/** What the first digital input is called on RHX's different controllers. */
const digitalInputNames = ["DIGITAL-IN-01", "DIGITAL-IN-1", "DIGITAL-IN-00"];

interface Running {
  readonly listener: (event: SourceEvent) => void;
  readonly decoder: IntanDecoder;
  control: IntanControl | null;
  connections: TcpConnection[];
  startedRun: boolean;
  newestHostNs: HostTimeNs | null;
  connectedHostNs: HostTimeNs;
  isConnecting: boolean;
  isSettling: boolean;
  cancelWatch: () => void;
  cancelRetry: () => void;
}

/** Lanes of a capture. */
const lanes = { waveforms: 0, spikes: 1, settings: 2 };
/** What RHX said of itself, as a capture keeps it. */
const settingsSchema = z.object({ rateHz: z.number().positive(), writeBlocks: z.number().int().min(1) });

/** The decoder on its own; what RHX would be asked for is in the capture, or else in the options. */
export function decodeIntan(options: IntanOptions, emit: (event: SourceEvent) => void): LineDecoder {
  let settings = { rateHz: options.sampleRateHz ?? defaultSampleRateHz, writeBlocks: options.blocksPerWrite ?? defaultBlocksPerWrite };
  const makeDecoder = (): IntanDecoder => createIntanDecoder({ ...options, ...settings }, emit);
  let decoder = makeDecoder();
  return {
    take(lane, [piece], arrivedHostNs) {
      if (piece === undefined) return;
      if (lane === lanes.settings) {
        // Said before the first data; a rig that was connected again says the same.
        const said = settingsSchema.safeParse(JSON.parse(new TextDecoder().decode(piece)));
        if (!said.success || decoder.packets > 0) return;
        settings = said.data;
        decoder = makeDecoder();
        return;
      }
      if (lane === lanes.spikes) decoder.spikes(piece, arrivedHostNs);
      else decoder.waveforms(piece, arrivedHostNs);
    },
    settle: (nowHostNs) => decoder.settle(nowHostNs),
    finish: (nowHostNs) => decoder.finish(nowHostNs),
    channels: () => decoder.stream.channels(),
    get packets() {
      return decoder.packets;
    },
  };
}

export function createIntanSource({ clock, options, tap }: { readonly clock: Clock; readonly options: IntanOptions; readonly tap?: Tap }): SpikeSource {
  const address = `${options.host}:${[options.commandPort, options.waveformPort, options.spikePort].filter((port) => port !== null).join(", ")}`;
  let running: Running | null = null;
  let isStarting = false;
  let last: Running | null = null;

  interface SetUp {
    readonly control: IntanControl | null;
    readonly rateHz: number;
    readonly writeBlocks: number;
    readonly startsRun: boolean;
  }

  /** Asks RHX how it runs, and sets it up where it stands still. Errors: for the end of a sentence. */
  async function setUp(): Promise<Result<SetUp, string>> {
    if (options.commandPort === null) return ok({ control: null, rateHz: options.sampleRateHz ?? defaultSampleRateHz, writeBlocks: options.blocksPerWrite ?? defaultBlocksPerWrite, startsRun: false });
    const opened = await openIntanControl({ host: options.host, port: options.commandPort, timeoutMs: options.startTimeoutMs, onEnd: () => undefined });
    if (!opened.ok) return err(`the command port: ${opened.error}`);
    const control = opened.value;
    const prepared = await prepare(control);
    if (!prepared.ok) control.close();
    return prepared;
  }

  async function prepare(control: IntanControl): Promise<Result<SetUp, string>> {
    const mode = await control.get("RunMode");
    if (!mode.ok) return mode;
    const rate = options.sampleRateHz === null ? await control.get("SampleRateHertz") : ok(String(options.sampleRateHz));
    if (!rate.ok) return rate;
    const isStopped = mode.value.toLowerCase() === "stop";
    if (isStopped && options.setUp) {
      const chosen = await choose(control);
      if (!chosen.ok) return chosen;
    }
    const blocks = options.blocksPerWrite === null ? await control.get("TCPNumberDataBlocksPerWrite") : ok(String(options.blocksPerWrite));
    const rateHz = Number(rate.value);
    if (!(rateHz > 0)) return err(`expected a sample rate, got "${rate.value}"`);
    if (options.waveformPort !== null) {
      const listens = await control.listen("Waveform");
      if (!listens.ok) return listens;
    }
    if (options.spikePort !== null) {
      const listens = await control.listen("Spike");
      if (!listens.ok) return listens;
    }
    return ok({ control, rateHz, writeBlocks: blocks.ok ? Math.max(1, Number(blocks.value) || 1) : defaultBlocksPerWrite, startsRun: isStopped && options.setUp });
  }

  /** What RHX is to send. Only while it stands still. */
  async function choose(control: IntanControl): Promise<Result<void, string>> {
    const wanted: [string, string][] = [["TCPNumberDataBlocksPerWrite", "1"]];
    for (const channel of options.channels) {
      if (options.spikePort !== null) wanted.push([`${channel}.TCPDataOutputEnabledSpike`, "true"]);
      if (options.band === "wide") wanted.push([`${channel}.TCPDataOutputEnabled`, "true"]);
      if (options.band === "low") wanted.push([`${channel}.TCPDataOutputEnabledLow`, "true"]);
      if (options.band === "high") wanted.push([`${channel}.TCPDataOutputEnabledHigh`, "true"]);
    }
    control.execute("ClearAllDataOutputs");
    await pause();
    for (const [parameter, value] of wanted) {
      const done = await control.set(parameter, value);
      if (!done.ok) return err(`${parameter}: ${done.error}`);
    }
    if (!options.digitalIn) return ok(undefined);
    let problem = "";
    for (const name of digitalInputNames) {
      const done = await control.set(`${name}.TCPDataOutputEnabled`, "true");
      if (done.ok) return ok(undefined);
      problem = done.error;
    }
    return err(`the digital inputs: ${problem}`);
  }

  async function connectPorts(current: Running): Promise<Result<void, string>> {
    const ends = (reason: string): void => {
      if (running === current) lose(current, reason);
    };
    const ports: { readonly port: number; readonly take: (piece: Uint8Array) => void }[] = [];
    // The spike port first: RHX begins to write to whichever is there.
    if (options.spikePort !== null) ports.push({ port: options.spikePort, take: (piece) => receive(current, lanes.spikes, piece) });
    if (options.waveformPort !== null) ports.push({ port: options.waveformPort, take: (piece) => receive(current, lanes.waveforms, piece) });
    for (const { port, take } of ports) {
      const opened = await openTcp({ host: options.host, port, timeoutMs: options.startTimeoutMs, onData: take, onEnd: ends });
      if (!opened.ok) {
        closePorts(current);
        return err(`port ${port}: ${opened.error}`);
      }
      current.connections.push(opened.value);
    }
    current.connectedHostNs = clock.now();
    return ok(undefined);
  }

  function receive(current: Running, lane: number, piece: Uint8Array): void {
    if (running !== current) return;
    const now = clock.now();
    current.newestHostNs = now;
    tap?.(lane, [piece], now);
    if (lane === lanes.spikes) current.decoder.spikes(piece, now);
    else current.decoder.waveforms(piece, now);
    if (current.isSettling) return;
    current.isSettling = true;
    // What the other port was sent before must be read first: one whole turn of the event loop.
    setImmediate(() => {
      setImmediate(() => {
        current.isSettling = false;
        if (running === current) current.decoder.settle(clock.now());
      });
    });
  }

  function closePorts(current: Running): void {
    for (const connection of current.connections) connection.close();
    current.connections = [];
  }

  function lose(current: Running, reason: string): void {
    closePorts(current);
    current.control?.close();
    current.control = null;
    current.decoder.stream.away({ kind: "lost", reason: `Intan RHX at ${options.host}: ${reason}` }, clock.now());
    retry(current);
  }

  function retry(current: Running): void {
    current.cancelRetry();
    current.cancelRetry = clock.setTimer(addMs(clock.now(), retryMs), () => {
      void (async () => {
        if (running !== current || current.isConnecting) return;
        current.isConnecting = true;
        const again = await setUp();
        const connected = again.ok ? await connectPorts(current) : again;
        current.isConnecting = false;
        if (running !== current) {
          closePorts(current);
          if (again.ok) again.value.control?.close();
          return;
        }
        if (again.ok) current.control = again.value.control;
        if (!connected.ok || !again.ok) {
          current.control?.close();
          current.control = null;
          retry(current);
          return;
        }
        if (again.value.startsRun) {
          current.startedRun = true;
          await again.value.control?.set("RunMode", "Run");
        }
      })();
    });
  }

  function watch(current: Running): void {
    if (running !== current) return;
    const now = clock.now();
    const ageMs = msBetween(current.newestHostNs ?? current.connectedHostNs, now);
    if (ageMs >= options.staleMs && !current.decoder.stream.isAway) current.decoder.stream.away({ kind: "stale", ageMs }, now);
    current.cancelWatch = clock.setTimer(addMs(now, watchMs), () => watch(current));
  }

  return {
    name: "Intan RHX",
    channels: () => (running ?? last)?.decoder.stream.channels() ?? [],
    async start(listener) {
      if (running !== null || isStarting) return fault("alreadyRunning", "Expected the Intan source to be stopped, but it is running. Stop it before starting it again.");
      if (options.waveformPort === null && options.spikePort === null) return fault("rigOptions", "Expected a waveform port or a spike port in the settings of Intan RHX, got neither. Choose at least one.");
      isStarting = true;
      try {
        const ready = await setUp();
        const refused = (reason: string) =>
          fault("noAnswer", `Expected Intan RHX at ${options.host}, but ${reason}. In RHX open Network, Remote TCP Control, and press Connect at Commands${options.commandPort === null ? ", Waveform Output and Spike Output" : " (it stops listening whenever a program leaves it)"}; then check host and ports of the rig.`);
        if (!ready.ok) return refused(ready.error);
        const { control, rateHz, writeBlocks, startsRun } = ready.value;
        const current: Running = {
          listener, control, connections: [], startedRun: startsRun, newestHostNs: null, connectedHostNs: clock.now(), isConnecting: false, isSettling: false,
          cancelWatch: () => undefined, cancelRetry: () => undefined,
          decoder: createIntanDecoder({ ...options, rateHz, writeBlocks }, (event) => {
            if (running === current) listener(event);
          }),
        };
        running = current;
        tap?.(lanes.settings, [new TextEncoder().encode(JSON.stringify({ rateHz, writeBlocks }))], clock.now());
        current.decoder.stream.announce();
        const connected = await connectPorts(current);
        if (!connected.ok) {
          running = null;
          control?.close();
          return refused(connected.error);
        }
        if (startsRun) {
          const run = await control?.set("RunMode", "Run");
          if (run?.ok === false) {
            await stop();
            return refused(run.error);
          }
        }
        watch(current);
        return ok(undefined);
      } finally {
        isStarting = false;
      }
    },
    status() {
      const shown = running ?? last;
      const counts = shown?.decoder.stream.counts;
      return {
        connected: running !== null && running.connections.length > 0 && !running.decoder.stream.isAway,
        address,
        spikesReceived: counts?.spikes ?? 0,
        packetsReceived: shown?.decoder.packets ?? 0,
        packetsLost: counts?.packetsLost ?? 0,
        malformedPackets: counts?.packetsMalformed ?? 0,
        newestHostNs: shown?.newestHostNs ?? null,
      };
    },
    stop,
  };

  async function stop(): Promise<void> {
    const current = running;
    if (current === null) return;
    // What is held goes out before the end.
    current.decoder.finish(clock.now());
    running = null;
    last = current;
    current.cancelWatch();
    current.cancelRetry();
    if (current.startedRun) await current.control?.set("RunMode", "Stop");
    closePorts(current);
    current.control?.close();
    current.listener({ kind: "end", reason: "The Intan source was stopped." });
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 5));
}
