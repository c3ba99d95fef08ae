// What the display tests of this computer said, kept beside the rig profiles: one line a test, in a file for each computer (a home folder may be
// shared by several). Knows nothing about how a display is tested.
import { appendFileSync, mkdirSync, readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { windowFacts } from "../shared/contract/index.ts";
import type { Device, DisplayStatus, DisplayTestResult } from "../shared/contract/index.ts";

const displayVerdict = z.object({
  atUtc: z.string(),
  /** Rig whose screen it was, "" where the test did not say. */
  rig: z.string(),
  good: z.boolean(),
  /** One sentence: what is wrong, or what it is good enough for. */
  reason: z.string(),
  onMs: z.number(), offMs: z.number(),
  widthPx: z.number(), heightPx: z.number(), refreshHz: z.number(),
  window: windowFacts.nullable(),
});
export type DisplayVerdict = z.infer<typeof displayVerdict>;

export interface DisplayVerdicts {
  add(result: DisplayTestResult): void;
  /** The newest on this computer: of this rig, else of another. */
  last(rig: string): DisplayVerdict | null;
}

/** `folder` null: nothing outlives the process. */
export function openDisplayVerdicts(folder: string | null, { host = hostname(), now = () => new Date() }: { readonly host?: string; readonly now?: () => Date } = {}): DisplayVerdicts {
  const file = folder === null ? null : join(folder, `${host.replace(/[^A-Za-z0-9._-]/g, "_")}.jsonl`);
  const verdicts: DisplayVerdict[] = file === null ? [] : readVerdicts(file);
  return {
    add({ good, findings, verdict, task, widthPx, heightPx, times, window }) {
      const reason = good ? verdict : findings.filter((f) => f.level === "fault").map((f) => f.message).join(" ");
      const kept: DisplayVerdict = { atUtc: now().toISOString(), rig: task.rig ?? "", good, reason, onMs: task.onMs, offMs: task.offMs, widthPx, heightPx, refreshHz: times.refreshHz, window };
      verdicts.push(kept);
      if (file === null || folder === null) return;
      try {
        mkdirSync(folder, { recursive: true });
        // After a line that a crash cut short, too, a new one begins.
        appendFileSync(file, `\n${JSON.stringify(kept)}\n`);
      } catch {
        // It is known until the program ends; the next start asks for a test again.
      }
    },
    last: (rig) => verdicts.findLast((v) => v.rig === rig) ?? verdicts.at(-1) ?? null,
  };
}

function readVerdicts(file: string): DisplayVerdict[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return [];
  }
  return text.split("\n").flatMap((line) => {
    if (line === "") return [];
    try {
      const read = displayVerdict.safeParse(JSON.parse(line));
      return read.success ? [read.data] : [];
    } catch {
      // Cut short by a crash.
      return [];
    }
  });
}

const refreshToleranceShare = 0.01;

/** The verdict as a line of the rig check: what was found and when, or why a test is asked for. */
export function describeVerdict({ verdict, rig, status, secondsLeft }: { readonly verdict: DisplayVerdict | null; readonly rig: string; readonly status: DisplayStatus | null; /** Of a test that runs now; null: none runs. */ readonly secondsLeft: number | null }): Pick<Device, "level" | "value" | "detail"> {
  if (secondsLeft !== null) return { level: "off", value: `testing, ${Math.ceil(secondsLeft)} s`, detail: "Leave the subject's screen uncovered meanwhile." };
  if (verdict === null) return { level: "warn", value: "not tested", detail: "No display test on this computer yet. Open the subject's screen and press T." };
  const when = new Date(verdict.atUtc).toLocaleString("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
  if (verdict.rig !== "" && verdict.rig !== rig) return { level: "warn", value: "other rig", detail: `Tested on ${when} with the rig "${verdict.rig}", ${verdict.good ? "good enough there" : "not good enough there"}, not with this one. Press T.` };
  const change = status === null || !status.attached ? null : changeOf(verdict, status);
  if (change !== null) return { level: "warn", value: "screen changed", detail: `${change} since the test on ${when}. Press T to test again.` };
  return { level: verdict.good ? "ok" : "fault", value: verdict.good ? "good enough" : "not good enough", detail: `${when}, ${verdict.widthPx} x ${verdict.heightPx} px at ${verdict.refreshHz.toFixed(2)} Hz: ${verdict.reason}` };
}

/** What is another screen, or another place of the window on it; null where nothing is. */
function changeOf(verdict: DisplayVerdict, now: DisplayStatus): string | null {
  if (verdict.widthPx !== now.widthPx || verdict.heightPx !== now.heightPx) return `The window is ${now.widthPx} x ${now.heightPx} px, no longer ${verdict.widthPx} x ${verdict.heightPx}`;
  if (Math.abs(verdict.refreshHz / now.refreshHz - 1) > refreshToleranceShare) return `The display refreshes at ${now.refreshHz.toFixed(2)} Hz, no longer ${verdict.refreshHz.toFixed(2)}`;
  const [before, after] = [verdict.window, now.window];
  if (before === null || after === null) return null;
  if (before.pixelRatio !== after.pixelRatio) return `Display scaling is ${Math.round(after.pixelRatio * 100)} %, no longer ${Math.round(before.pixelRatio * 100)} %`;
  if (before.screenWidthPx !== after.screenWidthPx || before.screenHeightPx !== after.screenHeightPx) return `The screen is ${after.screenWidthPx} x ${after.screenHeightPx} px, no longer ${before.screenWidthPx} x ${before.screenHeightPx}`;
  return before.fullScreen === after.fullScreen ? null : `The window is ${after.fullScreen ? "full screen" : "not full screen any more"}`;
}
