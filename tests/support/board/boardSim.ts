// The reward board's firmware, built and run in simavr on a pseudo-terminal: what a test sees of its pins, in cycles of the simulated chip.
import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const source = resolve(import.meta.dirname, "..", "..", "..", "native", "firmware");
export const cyclesPerMs = 16_000;

/** Why the board cannot be simulated here; null where it can. */
export const boardMissing: string | null = (() => {
  if (process.platform !== "linux") return "simavr is run on Linux only";
  const missing = ["avr-gcc", "cc", "make"].filter((program) => !process.env["PATH"]?.split(":").some((folder) => existsSync(join(folder, program))));
  if (!existsSync("/usr/include/simavr/sim_avr.h")) missing.push("libsimavr-dev");
  if (!existsSync("/usr/include/libelf.h")) missing.push("libelf-dev");
  return missing.length === 0 ? null : `${missing.join(", ")} not installed (Debian: gcc-avr avr-libc libsimavr-dev libelf-dev)`;
})();

let built: string | null = null;

/** Folder with board.elf and board_sim. */
function build(): string {
  if (built !== null) return built;
  const folder = mkdtempSync(join(tmpdir(), "evoked-board-"));
  execFileSync("make", ["-s", "-C", source, `BUILD=${folder}`, "sim"], { stdio: "pipe" });
  built = folder;
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface PinChange {
  readonly pin: "reward" | "strobe" | "code";
  readonly value: number;
  readonly cycle: number;
}

export interface BoardSim {
  /** A path that stays while the board is unplugged and plugged in again. */
  readonly path: string;
  readonly changes: readonly PinChange[];
  /** Pulses of the reward line that are over, ms of the chip's time. */
  pulsesMs(): readonly number[];
  readonly lineIsOn: boolean;
  /** The board loses power or its cable: its terminal is gone. */
  unplug(): Promise<void>;
  plugIn(): Promise<void>;
  stop(): Promise<void>;
}

export async function aBoard(): Promise<BoardSim> {
  const folder = build();
  const home = mkdtempSync(join(tmpdir(), "evoked-port-"));
  const path = join(home, "board");
  const changes: PinChange[] = [];
  let child: ChildProcess | null = null;

  async function plugIn(): Promise<void> {
    const next = spawn(join(folder, "board_sim"), [join(folder, "board.elf")], { stdio: ["pipe", "pipe", "inherit"] });
    child = next;
    await new Promise<void>((ready, failed) => {
      next.once("error", failed);
      createInterface({ input: next.stdout }).on("line", (line) => {
        const [what, first, cycle] = line.split(" ");
        if (what === "pty" && first !== undefined) {
          rmSync(path, { force: true });
          symlinkSync(first, path);
          ready();
        } else if (what === "reward" || what === "strobe" || what === "code") changes.push({ pin: what, value: Number(first), cycle: Number(cycle) });
      });
    });
  }

  async function unplug(): Promise<void> {
    const gone = child;
    child = null;
    if (gone === null) return;
    const ended = new Promise((done) => gone.once("exit", done));
    gone.stdin?.end();
    await ended;
    rmSync(path, { force: true });
  }

  await plugIn();
  return {
    path, changes, unplug, plugIn,
    pulsesMs() {
      const line = changes.filter((c) => c.pin === "reward");
      return line.flatMap((c, i) => (c.value === 1 && line[i + 1] !== undefined ? [((line[i + 1]?.cycle ?? 0) - c.cycle) / cyclesPerMs] : []));
    },
    get lineIsOn() {
      return changes.findLast((c) => c.pin === "reward")?.value === 1;
    },
    async stop() {
      await unplug();
      rmSync(home, { recursive: true, force: true });
    },
  };
}
