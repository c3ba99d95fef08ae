// The right of way for the processes that draw the subject's screen: a page's frames are blind to a late presentation, and a busy processor is
// what makes one late. On Linux a real-time priority where the account may give one, elsewhere the highest that needs no administrator.
// Knows nothing about which processes these are.
import { execFile } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { constants, setPriority } from "node:os";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Above every ordinary process, below what keeps a machine alive. */
const realTimePriority = 5;

export type RightOfWay = "realTime" | "high" | "ordinary";

/** Raises the processes with all their threads; threads that they start later inherit it. The least that one of them got. */
export async function giveRightOfWay(pids: readonly number[], platform: NodeJS.Platform = process.platform): Promise<RightOfWay> {
  const got = await Promise.all(pids.map(async (pid): Promise<RightOfWay> => {
    if (platform === "linux" && (await run("chrt", ["--all-tasks", "--rr", "--pid", String(realTimePriority), String(pid)]).then(() => true, () => false))) {
      await Promise.all(workersOf(pid).map((thread) => run("chrt", ["--other", "--pid", "0", String(thread)]).catch(() => undefined)));
      return "realTime";
    }
    try {
      // Windows: its class "high". On macOS and Linux this needs a right of its own.
      setPriority(pid, constants.priority.PRIORITY_HIGH);
      return "high";
    } catch {
      return "ordinary";
    }
  }));
  return (["ordinary", "high"] as const).find((least) => got.includes(least)) ?? (got.length === 0 ? "ordinary" : "realTime");
}

/** Threads of a page's workers. They decode images ahead of their time: with the right of way of the drawing they would take a core from it. */
function workersOf(pid: number): readonly string[] {
  const folder = `/proc/${pid}/task`;
  try {
    return readdirSync(folder).filter((thread) => readFileSync(`${folder}/${thread}/comm`, "utf8").startsWith("DedicatedWorker"));
  } catch {
    // A thread or the process itself is gone.
    return [];
  }
}

/** What the operator is told. */
export function describeRightOfWay(got: RightOfWay): string {
  switch (got) {
    case "realTime":
      return "The subject's screen is drawn at real-time priority.";
    case "high":
      return "The subject's screen is drawn at high priority.";
    case "ordinary":
      return "The subject's screen is drawn at ordinary priority: a busy processor may hold up images. docs/display.md says how to give this account the right to more.";
  }
}
