// Plays in the place of Intan RHX: remote control, waveform output and spike output, one block of 128 samples a write. Waveforms are noise
// with the spikes in it, for channels whose samples were asked for. Protocol notes: docs/rigs/intan.md. Knows nothing about the driver.
import { createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { z } from "zod";
import { fault, ok } from "../../../shared/result.ts";
import type { Fault, Result } from "../../../shared/result.ts";
import { createRng } from "../../../shared/rng.ts";
import type { PlayedBlock, PlayerKind, PlayerWorld, ProtocolPlayer } from "../player.ts";
import { createWire } from "../wire.ts";

const tickHz = 20_000;
const framesPerBlock = 128;
/** Digital inputs: a word's bits on 1 to 8, its strobe, the photodiode. */
const strobeLine = 9;
const photodiodeLine = 10;
/** How long a strobe stays up: 1 ms. */
const strobeTicks = 20;
const portNames = "ABCDEFGH";
/** Noise of the amplifier and depth of a spike, µV. */
const noiseMicrovolts = 10;
const spikeMicrovolts = [-40, -90, -120, -95, -60, -25, 5, 22, 28, 24, 17, 11, 6, 3];

export const intanPlayer: PlayerKind = {
  kind: "intan",
  rig: "intan",
  title: "Intan RHX's TCP outputs",
  grid: { tickHz, blockTicks: framesPerBlock, batchMs: 25, lagTicks: framesPerBlock },
  options: z.strictObject({}),
  create: createIntanPlayer,
};

/** Native names of the rig's channels, 128 to a port. */
export function intanChannelName(index: number): string {
  return `${portNames[Math.floor(index / 128)] ?? "H"}-${String(index % 128).padStart(3, "0")}`;
}

interface Packet {
  readonly waveforms: Uint8Array;
  readonly spikes: Uint8Array;
}

function createIntanPlayer(world: PlayerWorld): ProtocolPlayer {
  const firstPort = world.port ?? 5000;
  const ports = { command: firstPort, waveform: firstPort === 0 ? 0 : firstPort + 1, spike: firstPort === 0 ? 0 : firstPort + 2 };
  const servers: Server[] = [];
  const sockets = new Set<Socket>();
  let waveform: Socket | null = null;
  let spike: Socket | null = null;
  let isRunning = false;
  let onHeard: () => void = () => undefined;
  let parameters = new Map<string, string>();
  const rng = createRng(world.seed).fork("intan noise");
  const encode = new TextEncoder();
  /** Spikes whose shape reaches into the next block. */
  let shapes: { readonly tick: number; readonly channel: number }[] = [];
  let word = 0;
  let strobeEndTick = Infinity;

  const wire = createWire<Packet>({
    clock: world.clock,
    seed: world.seed,
    faults: world.faults,
    transmit({ waveforms, spikes }) {
      waveform?.write(waveforms);
      if (spikes.length > 0) spike?.write(spikes);
    },
    rubbish: () => ({ waveforms: new Uint8Array(37).fill(0xaa), spikes: new Uint8Array(0) }),
  });

  function reset(): void {
    parameters = new Map([["runmode", "Stop"], ["sampleratehertz", String(tickHz)], ["tcpnumberdatablocksperwrite", "10"]]);
    isRunning = false;
  }
  reset();

  function valueOf(parameter: string): string {
    if (/^TCPWaveformDataOutputConnectionStatus$/i.test(parameter)) return waveform === null ? "Pending" : "Connected";
    if (/^TCPSpikeDataOutputConnectionStatus$/i.test(parameter)) return spike === null ? "Pending" : "Connected";
    return parameters.get(parameter.toLowerCase()) ?? "False";
  }

  function command(text: string, socket: Socket): void {
    const [verb = "", parameter = "", ...rest] = text.trim().split(/\s+/);
    if (verb === "") return;
    switch (verb.toLowerCase()) {
      case "get":
        if (/^DIGITAL-IN-(?!01\b)/i.test(parameter)) socket.write("Unrecognized parameter");
        // RHX leaves the channel out of its answer.
        else socket.write(`Return: ${parameter.slice(parameter.lastIndexOf(".") + 1)} ${valueOf(parameter)}`);
        return;
      case "set": {
        const value = rest.join(" ");
        if (parameter.toLowerCase() !== "runmode" && isRunning) {
          socket.write("Error - the controller is running");
          return;
        }
        parameters.set(parameter.toLowerCase(), value);
        if (parameter.toLowerCase() === "runmode") {
          isRunning = value.toLowerCase() === "run";
          if (isRunning) onHeard();
        }
        return;
      }
      case "execute":
        if (parameter.toLowerCase() === "clearalldataoutputs") for (const name of [...parameters.keys()]) if (name.includes("dataoutputenabled")) parameters.delete(name);
        return;
      default:
        socket.write("Error - Unrecognized command");
    }
  }

  function serve(port: number, take: (socket: Socket) => void): Promise<Result<number, Fault>> {
    return new Promise((resolve) => {
      const server = createServer((socket) => {
        socket.setNoDelay(true);
        sockets.add(socket);
        socket.on("error", () => undefined);
        socket.on("close", () => sockets.delete(socket));
        take(socket);
      });
      server.once("error", (error: NodeJS.ErrnoException) => resolve(fault("portInUse", `Expected port ${port} of ${world.host} to be free, but it cannot be bound (${error.code ?? error.message}). Choose another with --port, or stop the program that uses it.`)));
      server.listen(port, world.host, () => {
        servers.push(server);
        const bound = server.address();
        resolve(ok(typeof bound === "object" && bound !== null ? bound.port : port));
      });
    });
  }

  const isEnabled = (channel: number, output: string) => valueOf(`${intanChannelName(channel)}.TCPDataOutputEnabled${output}`).toLowerCase() === "true";

  function encodeBlock(firstTick: number, block: PlayedBlock, spikes: readonly { readonly tick: number; readonly channel: number; readonly unit: number }[]): Packet {
    const bands = world.channels.flatMap((_, channel) => ["", "Low", "High"].filter((output) => isEnabled(channel, output)).map(() => channel));
    const hasDigital = valueOf("DIGITAL-IN-01.TCPDataOutputEnabled").toLowerCase() === "true";
    const frameBytes = 4 + 2 * (bands.length + (hasDigital ? 1 : 0));
    const waveforms = new Uint8Array(4 + framesPerBlock * frameBytes);
    const view = new DataView(waveforms.buffer);
    view.setUint32(0, 0x2ef07a08, true);
    if (bands.length > 0) shapes = [...shapes.filter((one) => one.tick + spikeMicrovolts.length > firstTick), ...spikes];
    for (let frame = 0; frame < framesPerBlock; frame++) {
      const tick = firstTick + frame;
      const at = 4 + frame * frameBytes;
      view.setUint32(at, tick >>> 0, true);
      for (const [place, channel] of bands.entries()) {
        let microvolts = noiseMicrovolts * rng.gaussian();
        for (const shape of shapes) if (shape.channel === channel && tick >= shape.tick) microvolts += spikeMicrovolts[tick - shape.tick] ?? 0;
        view.setUint16(at + 4 + 2 * place, Math.max(0, Math.min(65_535, 32_768 + Math.round(microvolts / 0.195))), true);
      }
      if (tick >= strobeEndTick) {
        word &= ~(1 << (strobeLine - 1));
        strobeEndTick = Infinity;
      }
      for (const mark of block.marks) {
        if (mark.tick !== tick) continue;
        if (mark.word !== null) {
          word = (word & ~0xff) | (mark.word & 0xff) | (1 << (strobeLine - 1));
          strobeEndTick = tick + strobeTicks;
          continue;
        }
        const bit = mark.kind === "photodiode" ? photodiodeLine - 1 : mark.line;
        word = mark.state ? word | (1 << bit) : word & ~(1 << bit);
      }
      if (hasDigital) view.setUint16(at + 4 + 2 * bands.length, word, true);
    }
    const sent = spikes.filter((one) => isEnabled(one.channel, "Spike"));
    const records = new Uint8Array(sent.length * 14);
    const recordView = new DataView(records.buffer);
    for (const [i, one] of sent.entries()) {
      recordView.setUint32(i * 14, 0x3ae2710f, true);
      records.set(encode.encode(intanChannelName(one.channel)), i * 14 + 4);
      recordView.setUint32(i * 14 + 9, one.tick >>> 0, true);
      recordView.setUint8(i * 14 + 13, one.unit === 0 ? 64 : one.unit);
    }
    return { waveforms, spikes: records };
  }

  return {
    eye: null,
    async open() {
      const command_ = await serve(ports.command, (socket) => socket.on("data", (piece) => piece.toString("latin1").split(";").forEach((text) => command(text, socket))));
      if (!command_.ok) return command_;
      const waveform_ = await serve(ports.waveform, (socket) => {
        waveform = socket;
        socket.on("close", () => {
          if (waveform === socket) waveform = null;
        });
      });
      if (!waveform_.ok) return waveform_;
      const spike_ = await serve(ports.spike, (socket) => {
        spike = socket;
        socket.on("close", () => {
          if (spike === socket) spike = null;
        });
      });
      if (!spike_.ok) return spike_;
      ports.command = command_.value;
      ports.waveform = waveform_.value;
      ports.spike = spike_.value;
      return ok(undefined);
    },
    driverOptions: () => ({
      host: world.host,
      commandPort: ports.command,
      waveformPort: ports.waveform,
      spikePort: ports.spike,
      channels: world.channels.map((_, index) => intanChannelName(index)),
      areas: world.channels.flatMap((channel, index) => (channel.area === "" ? [] : [{ prefix: intanChannelName(index), area: channel.area }])),
      photodiodeLine,
    }),
    heard: () =>
      new Promise((resolve) => {
        if (isRunning) resolve();
        onHeard = resolve;
      }),
    play(block) {
      if (!isRunning) return;
      let next = 0;
      for (let firstTick = block.fromTick; firstTick < block.untilTick; firstTick += framesPerBlock) {
        const spikes: { tick: number; channel: number; unit: number }[] = [];
        for (; next < block.spikeTicks.length && (block.spikeTicks[next] ?? 0) < firstTick + framesPerBlock; next++) spikes.push({ tick: block.spikeTicks[next] ?? 0, channel: block.spikeChannels[next] ?? 0, unit: block.spikeUnits[next] ?? 0 });
        wire.send(encodeBlock(firstTick, block, spikes));
      }
    },
    async close() {
      wire.drain();
      for (const socket of sockets) socket.destroy();
      await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
      waveform = null;
      spike = null;
      reset();
    },
  };
}
