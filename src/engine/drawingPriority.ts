// The right of way for the processes that draw the subject's screen: a page's frames are blind to a late presentation, and a busy processor is
// what makes one late. On Linux a real-time priority where the account may give one, elsewhere the highest that needs no administrator; the threads
// of the browser through which a frame passes, one after the other, then come before the page's own and share a processor, so that none
// has to wake another processor to hand the frame on. Knows nothing about which processes these are.
import { execFile } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { constants, setPriority } from "node:os";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Above every ordinary process, below what keeps a machine alive. */
const realTimePriority = 5;
/** Threads of Chromium that a frame passes on its way to the screen, by the 15 letters that Linux keeps of a name: the page's compositor, the one that draws all, and what carries messages between them. */
const frameThreads: readonly string[] = ["Compositor", "VizCompositorTh", "Chrome_ChildIOT"];

export type RightOfWay = "realTime" | "high" | "ordinary";

/** Raises the processes with all their threads; threads that they start later inherit it. The least that one of them got. */
export async function giveRightOfWay(pids: readonly number[], platform: NodeJS.Platform = process.platform): Promise<RightOfWay> {
  const got = await Promise.all(pids.map(async (pid): Promise<RightOfWay> => {
    if (platform === "linux" && (await run("chrt", ["--all-tasks", "--rr", "--pid", String(realTimePriority), String(pid)]).then(() => true, () => false))) {
      await Promise.all(threadsOf(pid).map(async ({ id, name }) => {
        if (name.startsWith("DedicatedWorker")) await makeOrdinary(id);
        else if (frameThreads.includes(name)) await favourMost(id);
      }));
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

/** A page's worker decodes images ahead of their time: with the right of way of the drawing it would take a core from it. */
async function makeOrdinary(thread: string): Promise<void> {
  await run("chrt", ["--other", "--pid", "0", thread]).catch(() => undefined);
}

async function favourMost(thread: string): Promise<void> {
  await run("chrt", ["--rr", "--pid", String(realTimePriority + 1), thread]).catch(() => undefined);
  const processor = frameProcessor();
  if (processor !== null) await run("taskset", ["--cpu-list", "--pid", String(processor), thread]).catch(() => undefined);
}

function threadsOf(pid: number): readonly { readonly id: string; readonly name: string }[] {
  const folder = `/proc/${pid}/task`;
  const orNone = <T>(look: () => readonly T[]): readonly T[] => {
    try {
      return look();
    } catch {
      // The thread or the process itself is gone.
      return [];
    }
  };
  return orNone(() => readdirSync(folder)).flatMap((id) => orNone(() => [{ id, name: readFileSync(`${folder}/${id}/comm`, "utf8").trim() }]));
}

/** The processor that the threads of a frame share (Linux): of those that this process may use, the last of the fastest, since the first ones get most interrupts. Null where there is only one. */
export function frameProcessor(read: (file: string) => string = (file) => readFileSync(file, "utf8")): number | null {
  const number = (file: string): number => {
    try {
      return Number(read(file));
    } catch {
      // Not told, by a virtual one for instance.
      return 0;
    }
  };
  let allowed: readonly number[];
  try {
    allowed = parseProcessors(/^Cpus_allowed_list:\s*(\S+)/m.exec(read("/proc/self/status"))?.[1] ?? "");
  } catch {
    return null;
  }
  if (allowed.length < 2) return null;
  const kHz = allowed.map((processor) => number(`/sys/devices/system/cpu/cpu${processor}/cpufreq/cpuinfo_max_freq`));
  return allowed[kHz.lastIndexOf(Math.max(...kHz))] ?? null;
}

/** `0-3,8` as Linux writes it. */
function parseProcessors(list: string): readonly number[] {
  return list.split(",").filter((part) => part !== "").flatMap((part) => {
    const [from = 0, to = from] = part.split("-").map(Number);
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
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
