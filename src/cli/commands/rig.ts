// `evoked rig`: what can be done with recording systems beside a session. Knows nothing about protocols.
import { writeFile } from "node:fs/promises";
import { InvalidArgumentError } from "commander";
import type { Command } from "commander";
import { builtInModels, userModels } from "../../engine/paths.ts";
import { defaultBridgePort, runBridge } from "../../engine/rigTools/bridge.ts";
import { playable, simulate } from "../../engine/rigTools/simulate.ts";
import { rigKinds } from "../../engine/rig.ts";
import { registerCheck, registerRecord, registerReplayCapture } from "./rigLine.ts";
import { complain, parseOptions, stopOnSignal } from "./sessionOptions.ts";

export function registerRig(program: Command): void {
  const rig = program.command("rig").summary("check, record, play and simulate recording systems").description("Works with recording systems beside a session: what there is, whether it can be heard, what it sent, and a stand-in for it.");
  registerList(rig);
  registerCheck(rig);
  registerRecord(rig);
  registerReplayCapture(rig);
  registerSim(rig);
  registerBridge(rig);
}

function registerList(rig: Command): void {
  rig
    .command("list")
    .summary("the rigs and their settings, and the protocols that can be simulated")
    .option("--json", "as one JSON line")
    .action((flags: { readonly json?: true }) => {
      if (flags.json === true) {
        process.stdout.write(`${JSON.stringify({ rigs: rigKinds, playable })}\n`);
        return;
      }
      const rigs = rigKinds.map((r) => `${r.kind}: ${r.title}. ${r.description}\n${r.options.map((o) => `  ${o.name}${o.unit === "" ? "" : ` (${o.unit})`}, default ${String(o.default)}: ${o.description}`).join("\n")}`);
      const played = playable.map((p) => `  ${p.kind.padEnd(16)} ${p.title}, ${p.tickHz} ticks/s`);
      process.stdout.write(`${rigs.join("\n\n")}\n\nProtocols for evoked rig sim --as:\n${played.join("\n")}\n`);
    });
}

interface SimFlags {
  readonly as: string;
  readonly host: string;
  readonly port?: number;
  readonly linkPort: number;
  readonly token?: string;
  readonly seed: number;
  readonly encoder: string;
  readonly rigOption?: readonly string[];
  readonly fault: readonly unknown[];
  readonly seconds?: number;
  readonly config?: string;
  readonly json?: true;
}

function registerSim(rig: Command): void {
  rig
    .command("sim")
    .summary("play the synthetic rig in the place of a recording system")
    .description(
      "Plays the synthetic rig (neurons, eye, juice line, photodiode) over a recording system's protocol, so that the real driver can be exercised end to\n" +
        "end, with a closed loop: a session that is started with the configuration that --config writes tells the simulator what the subject sees.\n" +
        "Runs until Ctrl-C.",
    )
    .requiredOption("--as <protocol>", `one of ${playable.map((p) => p.kind).join(", ")}`)
    .option("--host <address>", "address to bind; other than this computer's own it needs the token", "127.0.0.1")
    .option("--port <n>", "first port of the protocol, 0 for any that is free (default: the protocol's own)", wholeNumber)
    .option("--link-port <n>", "port on which the simulator is told what the subject sees, 0 for any that is free", wholeNumber, 0)
    .option("--token <text>", "what a session must say to be let in (default: none on this computer, else one that is made and printed)")
    .option("--seed <n>", "fixes the neurons and everything they do", wholeNumber, 1)
    .option("--encoder <model>", "what the neurons read; none: a small built-in hierarchy", "plain-relu")
    .option("--rig-option <name=value...>", "an option of the synthetic rig, see evoked rig list")
    .option("--fault <json>", 'a fault of the transport, e.g. {"kind":"lose","share":0.001}; may be given several times', collectJson, [])
    .option("--seconds <n>", "stop by itself after so long", wholeNumber)
    .option("--config <file>", "write a session configuration with this rig, for evoked run --config")
    .option("--json", "print the configuration as one JSON line when the simulator is up, and its counts as another at the end")
    .addHelpText(
      "after",
      "\nFaults: lose, duplicate, reorder (share of the packets); loseAt (atMs, packets), stall (atMs, durationMs: held back, then all at once),\nrubbish (atMs), restart (atMs, durationMs). The rig's own faults (silent or noisy channel, clock jump, marks lost) are its option `faults`.\n\nExample\n  evoked rig sim --as open-ephys --config sim.json &\n  evoked run --config sim.json --generations 3",
    )
    .action(async (flags: SimFlags) => {
      const stop = stopOnSignal();
      const started = await simulate({
        as: flags.as, host: flags.host, port: flags.port ?? null, linkPort: flags.linkPort, token: flags.token ?? null, seed: flags.seed,
        encoder: flags.encoder === "none" ? null : flags.encoder, rigOptions: parseOptions(flags.rigOption ?? []), faults: flags.fault, modelFolders: [builtInModels, userModels],
        onClient: (connected) => process.stderr.write(connected ? "a session has connected\n" : "the session has gone\n"),
      });
      if (!started.ok) return complain(started.error);
      const simulator = started.value;
      const { rigConfig } = simulator;
      if (flags.config !== undefined) await writeFile(flags.config, `${JSON.stringify({ rig: rigConfig, display: { kind: "timed" } }, null, 2)}\n`);
      if (flags.json === true) process.stdout.write(`${JSON.stringify({ rig: rigConfig })}\n`);
      else {
        process.stdout.write(
          `Playing the synthetic rig (seed ${flags.seed}, ${simulator.rig.source.channels().length} channels) as ${flags.as}.\n` +
            `Rig          ${rigConfig.kind}, ${Object.entries(rigConfig.options).flatMap(([name, value]) => (typeof value === "number" || typeof value === "string" ? [`${name}=${value}`] : [])).join(", ")}\n` +
            `Retina link  ${rigConfig.simulator.host}:${rigConfig.simulator.port}${rigConfig.simulator.token === "" ? "" : `, token ${rigConfig.simulator.token}`}\n` +
            `${flags.config === undefined ? "" : `Session      evoked run --config ${flags.config}\n`}Ctrl-C ends it.\n`,
        );
      }
      await ended(stop, flags.seconds ?? null);
      const status = simulator.status();
      await simulator.stop();
      process.stdout.write(flags.json === true ? `${JSON.stringify(status)}\n` : `${status.blocks} blocks, ${status.spikes} spikes, ${status.marks} marks played${status.lateChanges > 0 ? `; ${status.lateChanges} changes of the image came too late for their place in the stream` : ""}.\n`);
    });
}

interface BridgeFlags {
  readonly rig: string;
  readonly rigOption?: readonly string[];
  readonly host: string;
  readonly port: number;
  readonly seed: number;
  readonly seconds?: number;
  readonly json?: true;
}

function registerBridge(rig: Command): void {
  rig
    .command("bridge")
    .summary("forward a recording system's spikes from this computer to Evoked on another")
    .description(
      "Runs on the recording computer (a Plexon PC): listens to the recording system there and forwards spikes, events and faults over UDP, numbered, so\n" +
        "that nothing is lost unseen. On Evoked's computer choose the rig plexon-bridge and name this one's address. Runs until Ctrl-C.",
    )
    .option("--rig <kind>", "what to listen to, see evoked rig list", "plexon")
    .option("--rig-option <name=value...>", "an option of that rig")
    .option("--host <address>", "address to bind; 0.0.0.0 for every one", "0.0.0.0")
    .option("--port <n>", "UDP port, 0 for any that is free", wholeNumber, defaultBridgePort)
    .option("--seed <n>", "of the synthetic rig", wholeNumber, 1)
    .option("--seconds <n>", "stop by itself after so long", wholeNumber)
    .option("--json", "print where it listens as one JSON line, and its counts as another at the end")
    .addHelpText("after", "\nThe protocol is described in docs/rigs/plexon.md.\n\nExample\n  evoked rig bridge --rig-option channels=32\n  evoked rig bridge --rig synthetic --host 127.0.0.1")
    .action(async (flags: BridgeFlags) => {
      const stop = stopOnSignal();
      const started = await runBridge({ rig: flags.rig, rigOptions: parseOptions(flags.rigOption ?? []), seed: flags.seed, host: flags.host, port: flags.port, onNews: (sentence) => process.stderr.write(`${sentence}\n`) });
      if (!started.ok) return complain(started.error);
      const bridge = started.value;
      process.stdout.write(flags.json === true ? `${JSON.stringify({ host: flags.host, port: bridge.port, source: bridge.source })}\n` : `Forwarding ${bridge.source} on UDP port ${bridge.port} of ${flags.host}. Ctrl-C ends it.\n`);
      await ended(stop, flags.seconds ?? null);
      const status = bridge.status();
      await bridge.stop();
      process.stdout.write(flags.json === true ? `${JSON.stringify(status)}\n` : `${status.source.spikesReceived} spikes in, ${status.records} spikes and marks out in ${status.datagrams} datagrams to ${status.receivers.length} receivers; ${status.source.packetsLost} packets of the source lost.\n`);
    });
}

async function ended(stop: AbortSignal, seconds: number | null): Promise<void> {
  await new Promise<void>((resolve) => {
    // Keeps the process alive until the signal.
    const timer = setTimeout(resolve, seconds === null ? 2 ** 31 - 1 : seconds * 1000);
    stop.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isInteger(value) || value < 0) throw new InvalidArgumentError(`expected a whole number from 0, got "${text}".`);
  return value;
}

function collectJson(text: string, before: readonly unknown[]): readonly unknown[] {
  try {
    return [...before, JSON.parse(text)];
  } catch {
    throw new InvalidArgumentError(`expected JSON, got ${text}`);
  }
}
