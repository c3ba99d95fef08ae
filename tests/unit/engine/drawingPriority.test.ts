// The right of way of what draws the subject's screen, with a real process whose thread has a name that Chromium uses. An account that may not give
// real-time priority is told so, and nothing of it is moved.
import { spawn } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { cpus } from "node:os";
import { describe, expect, it } from "vitest";
import { describeRightOfWay, frameProcessor, giveRightOfWay } from "../../../src/engine/drawingPriority.ts";

const hasLinux = process.platform === "linux";

/** Its first thread is called like the browser's; it ends when its input does. */
async function aProcessNamed(title: string): Promise<{ readonly pid: number; end(): void }> {
  const child = spawn(process.execPath, ["-e", `process.title = ${JSON.stringify(title)}; process.stdin.resume(); process.stdout.write("named");`], { stdio: ["pipe", "pipe", "inherit"] });
  await new Promise((named) => child.stdout.once("data", named));
  return { pid: child.pid ?? 0, end: () => child.kill("SIGKILL") };
}

/** Real-time priority (0 = ordinary) and processors of each thread, the first one's first. */
function threadsOf(pid: number): readonly { readonly priority: number; readonly processors: string }[] {
  return readdirSync(`/proc/${pid}/task`).map(Number).toSorted((a, b) => a - b).map((thread) => {
    const fields = readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8").replace(/^.*\) /, "").split(" ");
    return { priority: Number(fields[37]), processors: /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync(`/proc/${pid}/task/${thread}/status`, "utf8"))?.[1] ?? "" };
  });
}

describe.runIf(hasLinux)("the right of way of the drawing", () => {
  it.each(["Compositor", "VizCompositorTh", "Chrome_ChildIOT"])("puts the thread %s before the others of its process, on one processor", async (title) => {
    const child = await aProcessNamed(title);
    try {
      const before = threadsOf(child.pid);
      const got = await giveRightOfWay([child.pid]);
      const [first, ...others] = threadsOf(child.pid);
      if (got !== "realTime") {
        // This account may not: nothing was confined without the priority that makes up for it.
        expect(threadsOf(child.pid).map(({ processors }) => processors)).toEqual(before.map(({ processors }) => processors));
        return;
      }
      expect(first).toEqual({ priority: 6, processors: cpus().length > 1 ? String(frameProcessor()) : before[0]?.processors });
      expect(new Set(others.map(({ priority }) => priority))).toEqual(new Set([5]));
      expect(new Set(others.map(({ processors }) => processors))).toEqual(new Set([before[0]?.processors]));
    } finally {
      child.end();
    }
  });

  it("leaves a page's worker ordinary, and every other thread free to move", async () => {
    const [worker, main] = [await aProcessNamed("DedicatedWorker"), await aProcessNamed("chromium")];
    try {
      const free = threadsOf(main.pid)[0]?.processors;
      const got = await giveRightOfWay([worker.pid, main.pid]);
      expect(threadsOf(worker.pid)[0]).toEqual({ priority: 0, processors: free });
      expect(threadsOf(main.pid)[0]).toEqual({ priority: got === "realTime" ? 5 : 0, processors: free });
    } finally {
      worker.end();
      main.end();
    }
  });

  it("says what a process that is gone got", async () => {
    expect(await giveRightOfWay([2 ** 22 + 1])).toBe("ordinary");
    expect(await giveRightOfWay([])).toBe("ordinary");
    expect(describeRightOfWay("ordinary")).toContain("docs/display.md");
  });
});

describe("the processor of a frame's threads", () => {
  const machine = (allowed: string, maxKHz: Readonly<Record<number, number>> = {}) => (file: string): string => {
    if (file === "/proc/self/status") return `Name:\tnode\nCpus_allowed:\tff\nCpus_allowed_list:\t${allowed}\nMems_allowed_list:\t0\n`;
    const processor = /^\/sys\/devices\/system\/cpu\/cpu(\d+)\/cpufreq\/cpuinfo_max_freq$/.exec(file)?.[1];
    const kHz = maxKHz[Number(processor)];
    if (kHz === undefined) throw new Error(`ENOENT: ${file}`);
    return `${kHz}\n`;
  };

  it.each([
    { name: "of equal ones the last", allowed: "0-7", maxKHz: {}, expected: 7 },
    { name: "of performance and efficiency cores the last fast one", allowed: "0-5", maxKHz: { 0: 5_000_000, 1: 5_000_000, 2: 5_000_000, 3: 5_000_000, 4: 3_800_000, 5: 3_800_000 }, expected: 3 },
    { name: "the preferred core", allowed: "0-3", maxKHz: { 0: 5_000_000, 1: 5_200_000, 2: 5_000_000, 3: 5_000_000 }, expected: 1 },
    { name: "only of those that the program may use", allowed: "0-1,4", maxKHz: { 0: 1, 1: 1, 2: 9, 3: 9, 4: 1 }, expected: 4 },
    { name: "none where there is but one", allowed: "3", maxKHz: { 3: 1 }, expected: null },
  ])("is $name", ({ allowed, maxKHz, expected }) => {
    expect(frameProcessor(machine(allowed, maxKHz))).toBe(expected);
  });

  it("is none where nothing can be read", () => {
    expect(frameProcessor(() => { throw new Error("ENOENT"); })).toBeNull();
  });
});
