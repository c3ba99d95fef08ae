// The reward board: the real firmware in simavr, the real serial driver, a pseudo-terminal between them.
import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { createBoard } from "../../src/acquisition/serial/board.ts";
import type { Board } from "../../src/acquisition/serial/board.ts";
import { createBoardCodes, createBoardReward } from "../../src/acquisition/serial/devices.ts";
import { createSerialLink } from "../../src/acquisition/serial/link.ts";
import { createRealClock } from "../../src/engine/realClock.ts";
import { unwrap } from "../../src/shared/result.ts";
import { aBoard, boardMissing, cyclesPerMs } from "../support/board/boardSim.ts";
import type { BoardSim } from "../support/board/boardSim.ts";
import { testReward } from "./acquisitionSuite.ts";
import { passReal } from "../support/passReal.ts";

const clock = createRealClock();
const undo: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const one of undo.splice(0).toReversed()) await one();
});

async function aHost(): Promise<{ readonly sim: BoardSim; readonly board: Board; readonly problems: (string | null)[] }> {
  const sim = await aBoard();
  undo.push(() => sim.stop());
  // A machine that is busy with other tests runs the simulated chip slowly.
  const board = createBoard({ clock, path: sim.path, baudRate: 115_200, answerMs: 3000 });
  const problems: (string | null)[] = [];
  board.onProblem((problem) => problems.push(problem));
  unwrap(await board.start());
  undo.push(() => board.stop());
  return { sim, board, problems };
}

/** Lines to the firmware and back, with nobody in between. */
async function aRawLink(): Promise<{ readonly sim: BoardSim; readonly said: string[]; readonly say: (text: string) => void }> {
  const sim = await aBoard();
  undo.push(() => sim.stop());
  const said: string[] = [];
  let text = "";
  const link = createSerialLink({
    path: sim.path, baudRate: 115_200, onBack: () => undefined, onAway: () => undefined,
    onBytes(bytes) {
      text += bytes.toString("latin1");
      const lines = text.split("\n");
      text = lines.pop() ?? "";
      said.push(...lines);
    },
  });
  unwrap(await link.open());
  undo.push(() => link.close());
  link.send("\nP\n");
  await passReal(() => said.includes("P"));
  return { sim, said, say: (line) => void link.send(line) };
}

describe.skipIf(boardMissing !== null)(`the reward board${boardMissing === null ? "" : ` (skipped: ${boardMissing})`}`, () => {
  testReward({
    name: "board, firmware in simavr",
    cutMsMin: 0,
    async make() {
      const { sim, board } = await aHost();
      return { reward: createBoardReward({ board, address: sim.path, pulseMsMax: 500 }), clock, pass: passReal, dispose: async () => undefined };
    },
  });

  it("times pulses to the cycle", async () => {
    const { sim, board } = await aHost();
    for (const ms of [1, 20, 50, 137]) expect(await board.pulse(ms)).toEqual({ ok: true, value: { pulseMs: ms } });
    // The interrupt waits for the instruction in hand: 4 cycles at most, a quarter of a microsecond.
    sim.pulsesMs().forEach((ms, i) => expect(Math.abs(ms - [1, 20, 50, 137][i]!) * cyclesPerMs).toBeLessThanOrEqual(40));
    expect(sim.pulsesMs()).toHaveLength(4);
  });

  it("gives a pulse with a number that it knows only once, and answers again", async () => {
    const { sim, said, say } = await aRawLink();
    say("R 5 30\n");
    await passReal(() => said.includes("D 5 30"));
    say("R 5 30\nR 5 30\n");
    await passReal(() => said.filter((line) => line === "D 5 30").length === 3);
    say("R 6 20\nR 6 20\n");
    await passReal(() => said.includes("D 6 20"));
    expect(sim.pulsesMs().map(Math.round)).toEqual([30, 20]);
  });

  it("never opens the line for what is too long, zero, busy or garbage", async () => {
    const { sim, said, say } = await aRawLink();
    say("R 1 1001\nR 2 0\nR 3 99999999999\nR x y\nR 4\nnonsense that is longer than any line that a host of this board has ever sent\n\n");
    await passReal(() => said.filter((line) => line.startsWith("E ")).length >= 6);
    expect(sim.pulsesMs()).toEqual([]);
    expect(sim.lineIsOn).toBe(false);
    say("R 7 100\nR 8 100\n");
    await passReal(() => said.includes("D 7 100"));
    expect(said).toContain("E 8 busy");
    expect(sim.pulsesMs().map(Math.round)).toEqual([100]);
  });

  it("turns the line off when the host falls silent", async () => {
    const { sim, said, say } = await aRawLink();
    say("R 9 1000\n");
    await passReal(() => said.some((line) => line.startsWith("D 9")));
    const [pulse] = sim.pulsesMs();
    expect(pulse).toBeGreaterThan(380);
    expect(pulse).toBeLessThan(420);
  });

  it("turns the line off when the host's program is killed", async () => {
    const sim = await aBoard();
    undo.push(() => sim.stop());
    const host = spawn(process.execPath, [resolve(import.meta.dirname, "..", "support", "board", "hostThatDies.ts"), sim.path], { stdio: ["ignore", "pipe", "inherit"] });
    await new Promise((done) => host.stdout.once("data", done));
    await passReal(() => sim.lineIsOn);
    host.kill("SIGKILL");
    await passReal(() => !sim.lineIsOn);
    expect(sim.pulsesMs()[0]).toBeLessThan(1000);
  });

  it("turns the line off at once when the rig is closed in the middle of a pulse", async () => {
    const { sim, board } = await aHost();
    const given = board.pulse(900);
    await passReal(() => sim.lineIsOn);
    await board.stop();
    expect(await given).toMatchObject({ ok: false, error: { code: "rewardStopped" } });
    await passReal(() => !sim.lineIsOn);
    // Well before the watchdog.
    expect(sim.pulsesMs()[0]).toBeLessThan(380);
  });

  it("says that it is gone and what that means, and works again when it is back", async () => {
    const { sim, board, problems } = await aHost();
    const given = board.pulse(900);
    await passReal(() => sim.lineIsOn);
    await sim.unplug();
    expect(await given).toMatchObject({ ok: false, error: { code: "rewardUnknown" } });
    expect(problems.at(-1)).toMatch(/is gone/);
    expect(await board.pulse(20)).toMatchObject({ ok: false, error: { code: "rewardAway" } });
    await sim.plugIn();
    await passReal(() => problems.at(-1) === null);
    await passReal(() => board.status().connected);
    expect(await board.pulse(20)).toEqual({ ok: true, value: { pulseMs: 20 } });
  });

  it("puts event codes on the port: the bits first, the strobe a millisecond later, for as long as asked", async () => {
    const { sim, board } = await aHost();
    const codes = createBoardCodes({ board, address: sim.path, holdMs: 5 });
    for (const code of [17, 200, 255]) codes.send(code);
    await passReal(() => board.codesStrobed === 3);
    await passReal(() => sim.changes.filter((c) => c.pin === "strobe" && c.value === 0).length >= 4);
    let bits = 0;
    let bitsAt = 0;
    let up = 0;
    const seen: { readonly code: number; readonly setupMs: number; readonly holdMs: number }[] = [];
    for (const change of sim.changes) {
      if (change.pin === "code") {
        bits = change.value;
        bitsAt = change.cycle;
      } else if (change.pin === "strobe" && change.value === 1) up = change.cycle;
      else if (change.pin === "strobe" && up > 0) seen.push({ code: bits, setupMs: Math.round((up - bitsAt) / cyclesPerMs), holdMs: Math.round((change.cycle - up) / cyclesPerMs) });
    }
    expect(seen).toEqual([17, 200, 255].map((code) => ({ code, setupMs: 1, holdMs: 5 })));
  });

  it("that is not there is named with the ports that are", async () => {
    const board = createBoard({ clock, path: "/dev/no-such-port", baudRate: 115_200 });
    expect(await board.start()).toMatchObject({ ok: false, error: { code: "noPort", message: expect.stringMatching(/^Expected a serial port \/dev\/no-such-port.*\.$/) } });
  });
});
