// Rates of a rig's channels in the last session of a subject, and what has become of each since. Knows nothing about devices.
import { listSessions, openSession } from "../session/reader.ts";
import { z } from "zod";
import { responseConfig } from "../shared/contract/index.ts";
import type { RigChannel } from "../shared/contract/index.ts";

export interface LastRates {
  readonly file: string;
  readonly startedUtc: string;
  /** "baseline": before images, which is what a rig check hears as well; "session": over all of it, where there is no baseline. */
  readonly of: "baseline" | "session";
  /** Over how long they were measured. */
  readonly seconds: number;
  /** Spikes/s by channel name. */
  readonly rates: ReadonlyMap<string, number>;
}

/** Seconds of baseline below which the whole session is a better measure. */
const baselineSMin = 4;
/** Sessions that were too short to tell. */
const durationSMin = 10;

/** The newest session of this subject on this rig; null where there is none that can be read. */
export function readLastRates(folder: string, subject: string, rig: string): LastRates | null {
  const listed = listSessions(folder);
  if (!listed.ok) return null;
  const newest = listed.value.sessions.filter((s) => s.subjectId === subject && s.rig === rig && s.durationS > durationSMin).toSorted((a, b) => b.startedUtc.localeCompare(a.startedUtc))[0];
  if (newest === undefined) return null;
  const opened = openSession(newest.file);
  if (!opened.ok) return null;
  const reader = opened.value;
  try {
    const { baselineStartMs, baselineEndMs } = baselineOf(reader.info().configJson);
    const seconds = (baselineEndMs - baselineStartMs) / 1000;
    const counts: number[] = [];
    let baselineS = 0;
    for (const { baselineCounts, excluded } of reader.presentations()) {
      if (baselineCounts === null || excluded === "spikesLost") continue;
      baselineS += seconds;
      baselineCounts.forEach((count, channel) => void (counts[channel] = (counts[channel] ?? 0) + count));
    }
    const common = { file: newest.file, startedUtc: newest.startedUtc };
    if (baselineS >= baselineSMin) return { ...common, of: "baseline", seconds: baselineS, rates: new Map(reader.channels().map((c) => [c.name, (counts[c.index] ?? 0) / baselineS])) };
    const total = reader.spikeCounts();
    return { ...common, of: "session", seconds: newest.durationS, rates: new Map(reader.channels().map((c) => [c.name, (total[c.index] ?? 0) / newest.durationS])) };
  } finally {
    reader.close();
  }
}

const recordedResponse = z.object({ response: z.object({ baselineStartMs: z.number(), baselineEndMs: z.number() }) });

function baselineOf(configJson: string): { readonly baselineStartMs: number; readonly baselineEndMs: number } {
  try {
    const read = recordedResponse.safeParse(JSON.parse(configJson));
    if (read.success) return read.data.response;
  } catch {
    // Of another program.
  }
  return responseConfig.parse({});
}

/**
 * What has become of a channel that fired `count` times in `seconds`, against its rate over `lastSeconds` of the last session: it has changed where a
 * Poisson process of one rate would not differ so, by six standard deviations, and by more than twofold.
 */
export function compareRate({ count, seconds, lastRateHz, lastSeconds }: { readonly count: number; readonly seconds: number; readonly lastRateHz: number | null; readonly lastSeconds: number }): RigChannel["state"] {
  if (count === 0) return lastRateHz !== null && lastRateHz * Math.min(seconds, lastSeconds) > 10 ? "lost" : "silent";
  if (lastRateHz === null) return "ok";
  if (lastRateHz === 0) return count > 10 ? "new" : "ok";
  const expected = lastRateHz * seconds;
  if (Math.abs(count - expected) <= 6 * Math.sqrt(expected * (1 + seconds / lastSeconds) + 1)) return "ok";
  return count > 2 * expected ? "rose" : count < expected / 2 ? "fell" : "ok";
}
