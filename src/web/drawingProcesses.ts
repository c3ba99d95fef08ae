// Which of a browser's processes draw the subject's screen, read from Linux's /proc, and their right of way. Elsewhere a page's process cannot be
// told from the others from outside, and none is favoured. Knows nothing about what is drawn.
import { readFileSync, readdirSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { describeRightOfWay, giveRightOfWay } from "../engine/drawingPriority.ts";

/** A page that just linked itself may still be starting its worker. */
const settleMs = 500;

/** Favours those of the Chromium with this profile. A sentence for the operator; null where none was found. */
export async function favourDrawing(profileFolder: string): Promise<string | null> {
  await wait(settleMs);
  const pids = findDrawing(profileFolder);
  return pids.length === 0 ? null : describeRightOfWay(await giveRightOfWay(pids));
}

/** What of the machine is read; in tests a stand-in. */
export interface ProcessTable {
  pids(): readonly number[];
  /** Arguments of a process; [] where it is gone. */
  argumentsOf(pid: number): readonly string[];
  /** Names of its threads. */
  threadNames(pid: number): readonly string[];
}

/** Of the Chromium whose profile is `profileFolder`: the GPU process, which presents, and the renderer of the subject's screen, the only page that decodes in a worker. */
export function findDrawing(profileFolder: string, table: ProcessTable = procTable): readonly number[] {
  return table.pids().filter((pid) => {
    const args = table.argumentsOf(pid);
    if (!args.includes(`--user-data-dir=${profileFolder}`)) return false;
    return args.includes("--type=gpu-process") || (args.includes("--type=renderer") && table.threadNames(pid).some((name) => name.startsWith("DedicatedWorker")));
  });
}

const procTable: ProcessTable = {
  pids: () => read(() => readdirSync("/proc").map(Number).filter((pid) => Number.isInteger(pid))),
  // Chromium writes its children's arguments anew, in one piece with spaces between. A folder with a space in its name is not recognized.
  argumentsOf: (pid) => read(() => readFileSync(`/proc/${pid}/cmdline`, "utf8").split(/[\0 ]+/)),
  threadNames: (pid) => read(() => readdirSync(`/proc/${pid}/task`).map((task) => readFileSync(`/proc/${pid}/task/${task}/comm`, "utf8").trim())),
};

function read<T>(look: () => readonly T[]): readonly T[] {
  try {
    return look();
  } catch {
    return [];
  }
}
