// Reward line and event codes on a board at a serial port, as ports. Knows nothing about the lines that are spoken.
import { z } from "zod";
import type { EventCodes, Reward } from "../../shared/ports.ts";
import { fault } from "../../shared/result.ts";
import { boardAnswerMs } from "./board.ts";
import type { Board } from "./board.ts";

const path = z.string().min(1).default("/dev/ttyACM0").meta({ description: "Serial port of the board: /dev/ttyACM0 or /dev/ttyUSB0 on Linux, COM3 on Windows, /dev/tty.usbmodem1 on macOS." });

export const serialRewardOptionsSchema = z.strictObject({
  path,
  baudRate: z.number().int().min(9600).default(115_200).meta({ description: "Bits per second; 115200 for the firmware of this project." }),
  answerMs: z.number().int().min(20).max(5000).default(boardAnswerMs).meta({ description: "How long an answer of the board is waited for before it is asked again.", unit: "ms" }),
  pulseMsMax: z.number().int().min(1).max(1000).default(500).meta({ description: "Longest pulse that is asked for. The board has a limit of its own.", unit: "ms" }),
});

export const serialCodesOptionsSchema = z.strictObject({
  path,
  baudRate: z.number().int().min(9600).default(115_200).meta({ description: "Bits per second; 115200 for the firmware of this project." }),
  holdMs: z.number().int().min(1).max(100).default(5).meta({ description: "How long the strobe stays up; some systems miss less than 5 ms.", unit: "ms" }),
});

export function createBoardReward({ board, address, pulseMsMax }: { readonly board: Board; readonly address: string; readonly pulseMsMax: number }): Reward {
  const longest = (): number => Math.min(pulseMsMax, board.pulseMsMax ?? pulseMsMax);
  return {
    name: `Reward board at ${address}`,
    get pulseMsMax() {
      return longest();
    },
    start: () => board.start(),
    async pulse(pulseMs) {
      if (!(pulseMs > 0 && pulseMs <= longest())) return fault("rewardOutOfRange", `Expected a reward pulse of more than 0 and at most ${longest()} ms, got ${pulseMs} ms. Choose a length in that range.`);
      return await board.pulse(Math.max(1, Math.round(pulseMs)));
    },
    off: () => board.off(),
    stop: () => board.stop(),
    status: () => board.status(),
    onProblem: (listener) => board.onProblem(listener),
  };
}

export function createBoardCodes({ board, address, holdMs }: { readonly board: Board; readonly address: string; readonly holdMs: number }): EventCodes {
  let listener: (problem: string | null) => void = () => undefined;
  return {
    name: `Event codes of the board at ${address}`,
    start: () => board.start(),
    send(code) {
      if (!board.code(code, holdMs)) listener(`Event code ${code} could not be sent: the board at ${address} is away.`);
    },
    stop: () => board.stop(),
    status: () => board.status(),
    onProblem(next) {
      listener = next;
      board.onProblem(next);
    },
  };
}
