// What a subject may drink: counts every pulse in ml, over the session and, in a ledger on disk, over the day; warns near a limit and gives no more
// beyond it. Knows nothing about valves or trials.
import { appendFileSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { RewardConfig } from "../shared/contract/index.ts";
import type { Reward } from "../shared/ports.ts";
import { fault } from "../shared/result.ts";
import { fitRewardFlow, rewardMl } from "../shared/rewardFlow.ts";

/** From this share of a limit on the operator is warned. */
const warnShare = 0.9;

const ledgerLine = z.object({ utc: z.string(), ms: z.number(), ml: z.number() });

export interface RewardTotals {
  readonly sessionMl: number;
  /** Of this subject and local day, over all sessions of this computer. */
  readonly dayMl: number;
  readonly sessionMlMax: number | null;
  readonly dayMlMax: number | null;
}

export interface LimitedReward extends Reward {
  readonly totals: RewardTotals;
}

export interface RewardLimitOptions {
  readonly reward: Reward;
  readonly config: Pick<RewardConfig, "calibration" | "sessionMlMax" | "dayMlMax"> | null;
  /** Where nothing was weighed. */
  readonly mlPerS: number;
  readonly subject: string;
  /** Folder of the ledgers, one file a subject; null: nothing is kept beyond the session. */
  readonly folder: string | null;
  /** Begins, changes or ends: near a limit, or beyond it (`stop`). */
  readonly onLimit: (limit: { readonly severity: "warn" | "fault"; readonly message: string; readonly stop: boolean } | null) => void;
  readonly today?: () => Date;
}

export function limitReward(options: RewardLimitOptions): LimitedReward {
  const { reward, config } = options;
  const today = options.today ?? (() => new Date());
  const flow = fitRewardFlow(config?.calibration ?? []);
  const sessionMlMax = config?.sessionMlMax ?? null;
  const dayMlMax = config?.dayMlMax ?? null;
  const file = options.folder === null ? null : join(options.folder, `${options.subject}.jsonl`);
  let sessionMl = 0;
  let day = dayOf(today());
  let dayMl = file === null ? 0 : readDay(file, day);
  let told = "";
  /** A line that a crash cut short is left alone: the first of this run begins a new one. */
  let isBegun = false;

  const limits = (): readonly { readonly what: string; readonly given: number; readonly max: number }[] => [
    ...(sessionMlMax === null ? [] : [{ what: "of this session", given: sessionMl, max: sessionMlMax }]),
    ...(dayMlMax === null ? [] : [{ what: `of ${options.subject}'s day`, given: dayMl, max: dayMlMax }]),
  ];

  function tell(limit: Parameters<RewardLimitOptions["onLimit"]>[0]): void {
    const key = limit === null ? "" : limit.severity;
    if (key === told) return;
    told = key;
    options.onLimit(limit);
  }

  function turnDay(): void {
    const now = dayOf(today());
    if (now === day) return;
    day = now;
    dayMl = file === null ? 0 : readDay(file, day);
  }

  function count(pulseMs: number): void {
    const ml = rewardMl(pulseMs, flow, options.mlPerS);
    sessionMl += ml;
    dayMl += ml;
    if (file !== null) {
      try {
        mkdirSync(options.folder ?? "", { recursive: true });
        appendFileSync(file, `${isBegun ? "" : "\n"}${JSON.stringify({ utc: today().toISOString(), ms: pulseMs, ml: Math.round(ml * 1e6) / 1e6 })}\n`);
        isBegun = true;
      } catch (error) {
        tell({ severity: "warn", stop: false, message: `The day's reward of ${options.subject} could not be noted in ${file}: ${error instanceof Error ? error.message : String(error)}. It is counted for this session only.` });
        return;
      }
    }
    const near = limits().find((l) => l.given >= l.max * warnShare);
    if (near !== undefined) tell({ severity: "warn", stop: false, message: `${near.given.toFixed(1)} of the ${near.max} ml ${near.what} are given.` });
  }

  return {
    ...reward,
    name: reward.name,
    get pulseMsMax() {
      return reward.pulseMsMax;
    },
    async pulse(pulseMs) {
      turnDay();
      const ml = rewardMl(pulseMs, flow, options.mlPerS);
      const over = limits().find((l) => l.given + ml > l.max);
      if (over !== undefined) {
        const message = `${over.given.toFixed(1)} of the ${over.max} ml ${over.what} are given: no more reward. End the session, or raise the limit in the rig's profile.`;
        tell({ severity: "fault", stop: true, message });
        return fault("rewardLimit", message);
      }
      const given = await reward.pulse(pulseMs);
      // Where it cannot be told whether it was given, it counts: a limit errs on the subject's side.
      if (given.ok) count(given.value.pulseMs);
      else if (given.error.code === "rewardUnknown" || given.error.code === "rewardNoAnswer" || given.error.code === "rewardStopped") count(pulseMs);
      return given;
    },
    get totals() {
      turnDay();
      return { sessionMl, dayMl, sessionMlMax, dayMlMax };
    },
  };
}

/** The local calendar day, e.g. "2026-11-28". */
function dayOf(at: Date): string {
  return `${at.getFullYear()}-${String(at.getMonth() + 1).padStart(2, "0")}-${String(at.getDate()).padStart(2, "0")}`;
}

function readDay(file: string, day: string): number {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return 0;
  }
  let ml = 0;
  for (const line of text.split("\n")) {
    if (line === "") continue;
    try {
      const entry = ledgerLine.parse(JSON.parse(line));
      if (dayOf(new Date(entry.utc)) === day) ml += entry.ml;
    } catch {
      // A line that a crash cut short: one pulse at most.
    }
  }
  return ml;
}
