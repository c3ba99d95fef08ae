// `evoked rig check`, `record` and `replay-capture`: is the rig there, what does it send, what did it send. Knows nothing about protocols.
import { join } from "node:path";
import { InvalidArgumentError } from "commander";
import type { Command } from "commander";
import { openDisplayVerdicts } from "../../engine/displayVerdicts.ts";
import { defaultSessionFolder, userRigs } from "../../engine/paths.ts";
import { createRealClock } from "../../engine/realClock.ts";
import { checkRigOnce } from "../../engine/rigCheck.ts";
import { decodeCapture, recordCapture } from "../../engine/rigTools/captures.ts";
import { rigKinds } from "../../engine/rig.ts";
import { readRigProfile } from "../../engine/rigProfiles.ts";
import { complain, parseOptions, readSessionConfig, stopOnSignal } from "./sessionOptions.ts";

interface RigFlags {
  readonly rig?: string;
  readonly rigOption?: readonly string[];
  readonly profile?: string;
  readonly config?: string;
  readonly json?: true;
}

function addRigOptions(command: Command): Command {
  return command
    .option("--rig <kind>", `one of ${rigKinds.map((r) => r.kind).join(", ")}`)
    .option("--rig-option <name=value...>", "an option of that rig, e.g. host=127.0.0.1")
    .option("--profile <name>", "a rig under its name, as the rig check keeps it")
    .option("--config <file>", "the rig of a session configuration, as evoked rig sim writes it");
}

async function rigOf(flags: RigFlags) {
  const profile = flags.profile === undefined ? null : readRigProfile(userRigs, flags.profile);
  if (profile !== null && !profile.ok) return profile;
  const rig = profile?.value.rig ?? (flags.rig === undefined ? undefined : { kind: flags.rig, options: parseOptions(flags.rigOption ?? []) });
  const config = await readSessionConfig(flags.config === undefined ? {} : { config: flags.config }, rig === undefined ? {} : { rig });
  // Unlike a session's, a rig that is named here goes before the file's.
  return config.ok && rig !== undefined ? await readSessionConfig({}, { ...config.value, rig }) : config;
}

export function registerCheck(rig: Command): void {
  addRigOptions(rig.command("check"))
    .summary("is every device of the rig there, and what does it send")
    .description("Opens the rig without a session, listens, and says of every device whether it answers, how old its newest data are and what it sends. The exit code is 0 where a session could be run.")
    .option("--seconds <n>", "how long to listen, at least 6: rates need 5 s", positive, 6)
    .option("--subject <id>", "whose last session the rates are compared with", "synthetic")
    .option("--sessions <folder>", "where the sessions are", defaultSessionFolder)
    .option("--reward <ms>", "give one reward pulse of this length", positive)
    .option("--sync", "send twenty words and say how many come back, how late and how evenly")
    .option("--json", "as one JSON line")
    .action(async (flags: RigFlags & { readonly seconds: number; readonly subject: string; readonly sessions: string; readonly reward?: number; readonly sync?: true }) => {
      const config = await rigOf(flags);
      if (!config.ok) return complain(config.error);
      const { rig: chosen, response, display } = config.value;
      const verdicts = openDisplayVerdicts(join(userRigs, "displays"));
      const checked = await checkRigOnce(
        { rig: chosen, response, display, subject: flags.subject, folder: null },
        { clock: createRealClock(), sessionFolder: flags.sessions, rewardFolder: null, screen: null, display: { last: (name) => verdicts.last(name), secondsLeft: null, status: null }, listenMs: Math.max(6, flags.seconds) * 1000, ...(flags.reward === undefined ? {} : { rewardMs: flags.reward }), sync: flags.sync === true },
      );
      if (!checked.ok) return complain(checked.error);
      const state = checked.value;
      const isFit = state.verdict.level === "ok" || state.verdict.level === "warn";
      if (!isFit) process.exitCode = 1;
      if (flags.json === true) {
        process.stdout.write(`${JSON.stringify({ title: state.title, fit: isFit, verdict: state.verdict, devices: state.devices, channels: state.channels, marks: state.marks.length, rewardTest: state.rewardTest, syncTest: state.syncTest })}\n`);
        return;
      }
      const lines = state.devices.map((d) => `${d.level.padEnd(6)} ${d.label.padEnd(28)} ${d.value.padEnd(22)} ${d.ageMs === null ? "" : `${d.ageMs.toFixed(0)} ms old`.padEnd(14)} ${d.detail}`.trimEnd());
      const rates = state.channels.map((c) => c.rateHz);
      const notWell = state.channels.filter((c) => c.state !== "ok").map((c) => `${c.name} ${c.state}`);
      process.stdout.write(
        `${state.title}\n${lines.join("\n")}\n` +
          `${rates.length} channels, ${rates.reduce((a, b) => a + b, 0).toFixed(0)} spikes/s${rates.length === 0 ? "" : `, each ${Math.min(...rates).toFixed(1)} to ${Math.max(...rates).toFixed(1)}`}${notWell.length === 0 ? "" : `; ${notWell.slice(0, 12).join(", ")}${notWell.length > 12 ? ` and ${notWell.length - 12} more` : ""}`}\n` +
          `${[state.rewardTest, state.syncTest].flatMap((test) => (test === null ? [] : [`${test.ok === true ? "ok" : "fault"}: ${test.message}\n`])).join("")}` +
          `${state.verdict.level}: ${state.verdict.message}\n`,
      );
    });
}

export function registerRecord(rig: Command): void {
  addRigOptions(rig.command("record"))
    .summary("write what the rig's line carries to a capture file")
    .description("Listens through the rig's driver and writes every piece of its line, as it came and with the time at which it came, to a file that evoked rig replay-capture decodes. Ctrl-C ends it.")
    .argument("<file>", "capture file to write; it must not exist")
    .option("--seconds <n>", "stop by itself after so long", positive)
    .option("--notes <text>", "what is to be remembered of it", "")
    .option("--json", "as one JSON line")
    .action(async (file: string, flags: RigFlags & { readonly seconds?: number; readonly notes: string }) => {
      const config = await rigOf(flags);
      if (!config.ok) return complain(config.error);
      const signal = stopOnSignal();
      const stop = flags.seconds === undefined ? signal : AbortSignal.any([signal, AbortSignal.timeout(flags.seconds * 1000)]);
      const recorded = await recordCapture({ rig: config.value.rig, file, notes: flags.notes, stop });
      if (!recorded.ok) return complain(recorded.error);
      const { pieces, bytes, spikes, seconds, faults } = recorded.value;
      process.stdout.write(flags.json === true ? `${JSON.stringify(recorded.value)}\n` : `${pieces} pieces, ${bytes} bytes, ${spikes} spikes in ${seconds.toFixed(1)} s to ${file}${describeFaults(faults)}\n`);
    });
}

export function registerReplayCapture(rig: Command): void {
  rig
    .command("replay-capture")
    .summary("decode a capture again: counts, channels, gaps")
    .description("Gives a capture to the rig's driver as if the rig sent it, and prints what came out. Also for a raw file that another program saved of the line: then name the rig and, where it has several, the lane.")
    .argument("<file>", "capture of evoked rig record, or a raw file")
    .option("--rig <kind>", "the rig that sent it (default: the capture's own)")
    .option("--lane <name>", "line of a raw file, e.g. waveforms or spikes of intan")
    .option("--rig-option <name=value...>", "an option of that rig, over the capture's own")
    .option("--json", "as one JSON line")
    .addHelpText("after", "\nExample\n  evoked rig replay-capture tests/fixtures/acquisition/intan-rhx-3.4.0-spikes.bin --rig intan --lane spikes --rig-option sampleRateHz=20000 waveformPort=null")
    .action(async (file: string, flags: { readonly rig?: string; readonly lane?: string; readonly rigOption?: readonly string[]; readonly json?: true }) => {
      const decoded = await decodeCapture({ file, rig: flags.rig ?? null, lane: flags.lane ?? null, options: parseOptions(flags.rigOption ?? []) });
      if (!decoded.ok) return complain(decoded.error);
      const d = decoded.value;
      if (flags.json === true) {
        process.stdout.write(`${JSON.stringify(d)}\n`);
        return;
      }
      process.stdout.write(
        `${d.rig}: ${d.packets} packets in ${d.pieces} pieces${d.bytesLeft > 0 ? `, ${d.bytesLeft} bytes left over` : ""}\n` +
          `${d.spikes} spikes, ${d.marks} marks${d.firstRigS === null || d.lastRigS === null ? "" : `, rig time ${d.firstRigS.toFixed(3)} to ${d.lastRigS.toFixed(3)} s`}\n` +
          `${d.channels.map((c) => `  ${c.name.padEnd(16)} ${c.area.padEnd(6)} ${c.spikes}`).join("\n")}\n` +
          `${d.gaps === 0 ? "no gap" : `${d.gaps} gaps, ${d.lostPackets} packets lost, of which ${d.lostContinuousOnly} held continuous data only`}${describeFaults(d.faults)}\n${d.messages.map((m) => `  ${m}\n`).join("")}`,
      );
    });
}

function describeFaults(faults: Readonly<Record<string, number>>): string {
  const named = Object.entries(faults).map(([kind, count]) => `${kind} ${count}`);
  return named.length === 0 ? "" : ` (reports: ${named.join(", ")})`;
}

function positive(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value > 0) || !Number.isFinite(value)) throw new InvalidArgumentError(`expected a number above 0, got "${text}".`);
  return value;
}
