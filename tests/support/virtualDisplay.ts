// A monitor that is not there: an X server with the dummy driver at a chosen refresh rate, for measurements of display timing without one.
// Needs Xorg and its dummy driver (Debian: xserver-xorg-core, xserver-xorg-video-dummy, x11-xserver-utils). Knows nothing about what is shown.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { setPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fault, ok } from "../../src/shared/result.ts";
import type { Fault, Result } from "../../src/shared/result.ts";

export interface VirtualDisplay {
  /** For DISPLAY. */
  readonly name: string;
  readonly refreshHz: number;
  readonly serverPid: number;
  close(): Promise<void>;
}

/** Full HD at 119.97 Hz: clock in MHz, then the horizontal and vertical timing. */
const modeline = ["297.2", "1920", "1968", "2000", "2080", "1080", "1083", "1088", "1191", "+hsync", "+vsync"];
const refreshHz = 297.2e6 / (2080 * 1191);

const config = `
Section "Device"
  Identifier "dummy"
  Driver "dummy"
  VideoRam 256000
EndSection
Section "Monitor"
  Identifier "monitor"
  HorizSync 5.0-1000.0
  VertRefresh 5.0-300.0
EndSection
Section "Screen"
  Identifier "screen"
  Device "dummy"
  Monitor "monitor"
  DefaultDepth 24
  SubSection "Display"
    Depth 24
    Virtual 3840 1080
  EndSubSection
EndSection
`;

/** The subject's screen at the left, 1920 x 1080 at 119.97 Hz; with `second` an operator's at its right. Errors: `noXorg`, `xorg`. */
export async function startVirtualDisplay({ second = false }: { readonly second?: boolean } = {}): Promise<Result<VirtualDisplay, Fault>> {
  for (const program of ["Xorg", "xrandr"]) {
    if (spawnSync("which", [program]).status !== 0) return fault("noXorg", `${program} is not installed: apt-get install xserver-xorg-core xserver-xorg-video-dummy x11-xserver-utils.`);
  }
  const folder = mkdtempSync(join(tmpdir(), "evoked-display-"));
  writeFileSync(join(folder, "xorg.conf"), config);
  let number = 90;
  while (existsSync(`/tmp/.X11-unix/X${number}`) || existsSync(`/tmp/.X${number}-lock`)) number += 1;
  const name = `:${number}`;
  const server = spawn("Xorg", [name, "-config", join(folder, "xorg.conf"), "-noreset", "-nolisten", "tcp", "-ac", "-logfile", join(folder, "log")], { stdio: "ignore" });
  favour(server.pid);
  const close = async (): Promise<void> => {
    const gone = new Promise((resolve) => server.once("exit", resolve));
    if (server.exitCode === null && server.signalCode === null) {
      server.kill("SIGTERM");
      await gone;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  const xrandr = (...args: string[]): boolean => spawnSync("xrandr", ["-display", name, ...args], { stdio: "ignore" }).status === 0;
  for (let tries = 0; !xrandr(); tries++) {
    if (tries > 100 || server.exitCode !== null) {
      await close();
      return fault("xorg", "Xorg did not start with its dummy driver: it needs xserver-xorg-video-dummy, and usually root.");
    }
    await wait(100);
  }
  const outputs = second ? ["DUMMY0", "DUMMY1"] : ["DUMMY0"];
  const ready = xrandr("--newmode", "fhd120", ...modeline) && outputs.every((output, i) => xrandr("--addmode", output, "fhd120") && xrandr("--output", output, "--mode", "fhd120", "--pos", `${i * 1920}x0`));
  if (!ready) {
    await close();
    return fault("xorg", "Xorg runs, but did not take the 120 Hz mode.");
  }
  return ok({ name, refreshHz, serverPid: server.pid ?? 0, close });
}

/** What stands for hardware (the monitor, the photodiode) must not wait for a busy processor, as hardware does not. Without the right to it, it does. */
export function favour(pid: number | undefined): void {
  if (pid === undefined) return;
  if (spawnSync("chrt", ["--all-tasks", "--rr", "--pid", "50", String(pid)], { stdio: "ignore" }).status === 0) return;
  try {
    setPriority(pid, -15);
  } catch {
    // An ordinary user may not.
  }
}

/** Keeps a process to these processors. */
export function confine(pid: number, processors: readonly number[]): void {
  spawnSync("taskset", ["--all-tasks", "--cpu-list", "--pid", processors.join(","), String(pid)], { stdio: "ignore" });
}
