// One time axis for a whole session: seconds since its start. Rig times and host times of every run are placed on it.
// Knows nothing about file formats.
import type { ClockRecord } from "../../shared/records.ts";
import { nsPerS } from "../../shared/units.ts";
import type { SessionReader, SessionRun } from "../reader.ts";
import type { Stored } from "../tables.ts";

export interface Timeline {
  /** Seconds since the session's start of a time on the rig clock, as record `seq` holds it. */
  rigS(rigNs: number, seq: number): number;
  /** The same for a time on the host clock. */
  hostS(hostNs: number, seq: number): number;
  /** The run that a record belongs to, 0-based. */
  runOf(seq: number): number;
}

interface RunClock {
  readonly run: SessionRun;
  readonly maps: readonly Stored<ClockRecord>[];
  readonly firstHostNs: number;
  /** Rig time at which the axis shows `offsetS`. */
  readonly zeroRigNs: number;
  readonly offsetS: number;
}

/** rigNs = anchorRigNs + (hostNs - anchorHostNs) * (1 + driftPpm / 1e6); a drift that was not known counts as none. */
function toRig(map: ClockRecord, hostNs: number): number {
  const drift = Number.isFinite(map.driftPpm) ? map.driftPpm : 0;
  return map.anchorRigNs + (hostNs - map.anchorHostNs) * (1 + drift / 1e6);
}

/** The newest clock map at a record, or the first of the run for records before it. */
function mapAt(maps: readonly Stored<ClockRecord>[], seq: number): ClockRecord | undefined {
  let low = 0;
  let high = maps.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((maps[middle]?.seq ?? 0) <= seq) low = middle + 1;
    else high = middle;
  }
  return maps[Math.max(0, low - 1)];
}

/**
 * The start is the host time of a run's first record, which is the run's recorded start. A later run whose rig clock went on is on the
 * same axis; one whose rig clock started again is placed by the computer's clock.
 */
export function makeTimeline(reader: SessionReader): Timeline {
  const maps = reader.clockMaps();
  const clocks: RunClock[] = [];
  let lastRigNs = Number.NEGATIVE_INFINITY;
  for (const run of reader.runs()) {
    const own = maps.filter((map) => map.seq >= run.firstSeq && map.seq <= run.lastSeq);
    const { firstHostNs, firstRigNs, lastRigNs: newestRigNs } = reader.span(run.run);
    const first = own[0];
    // Without a clock map the host's zero is taken for the rig's: nothing better is known.
    const mappedRigNs = first !== undefined ? toRig(first, firstHostNs) : (firstRigNs ?? firstHostNs);
    // Nothing comes before zero, not even by the error of the map.
    const startRigNs = Math.min(mappedRigNs, firstRigNs ?? mappedRigNs);
    const before = clocks[0];
    const goesOn = before !== undefined && (firstRigNs === null || firstRigNs > lastRigNs);
    const offsetS = before === undefined || goesOn ? 0 : (Date.parse(run.startedUtc) - Date.parse(before.run.startedUtc)) / 1000;
    clocks.push({ run, maps: own, firstHostNs, zeroRigNs: goesOn ? before.zeroRigNs : startRigNs, offsetS: Number.isFinite(offsetS) ? offsetS : 0 });
    lastRigNs = Math.max(lastRigNs, newestRigNs ?? Number.NEGATIVE_INFINITY);
  }
  const clockOf = (seq: number): RunClock => {
    const clock = clocks.find(({ run }) => seq <= run.lastSeq) ?? clocks.at(-1);
    if (clock === undefined) throw new Error("expected a session with at least one run, got none");
    return clock;
  };
  const rigS = (rigNs: number, seq: number): number => {
    const clock = clockOf(seq);
    return (rigNs - clock.zeroRigNs) / nsPerS + clock.offsetS;
  };
  return {
    rigS,
    hostS(hostNs, seq) {
      const clock = clockOf(seq);
      const map = mapAt(clock.maps, seq);
      return map !== undefined ? rigS(toRig(map, hostNs), seq) : rigS(clock.zeroRigNs + (hostNs - clock.firstHostNs), seq);
    },
    runOf: (seq) => clocks.indexOf(clockOf(seq)),
  };
}
