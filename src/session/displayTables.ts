// How the display behaved, as rows: calibrations and flips (migration 3). Knows nothing about who measured it.
import { assertNever } from "../shared/result.ts";
import type { DisplayCalibrationRecord, FlipRecord } from "../shared/records.ts";
import { hostTimeNs } from "../shared/units.ts";
import { insertInto, keyOf, rowsOf } from "./rows.ts";
import type { Keyed, Select, Stored } from "./rows.ts";
import type { Connection } from "./sqlite.ts";

/** Prepares the inserts once; the function returned stores one record. */
export function prepareDisplayInserts(db: Connection): (record: Stored<DisplayCalibrationRecord | FlipRecord>) => void {
  const calibration = insertInto(db, "display_calibrations", [
    "seq", "host_ns", "refresh_hz", "photodiode_code", "flash_count", "mark_count", "durations_seen_count", "lag_median_ms", "lag_mean_ms", "lag_sd_ms", "lag_min_ms", "lag_max_ms", "skipped_because",
  ]);
  const flip = insertInto(db, "flips", [
    "seq", "host_ns", "presentation_id", "planned_host_ns", "onset_host_ns", "offset_host_ns", "frames_planned", "frames_shown", "late_frames", "frames_seen", "frames_repeated",
    "frames_dropped", "onset_error_ms",
  ]);
  return (r) => {
    switch (r.kind) {
      case "displayCalibration":
        calibration.run(r.seq, r.hostNs, r.refreshHz, r.photodiodeCode, r.flashes, r.marks, r.durationsSeen, r.lagMsMedian, r.lagMsMean, r.lagMsSd, r.lagMsMin, r.lagMsMax, r.skipped);
        return;
      case "flip":
        flip.run(
          r.seq, r.hostNs, r.presentationId, r.plannedHostNs, r.onsetHostNs, r.offsetHostNs, r.framesPlanned, r.framesShown, r.lateFrames, r.framesSeen, r.framesRepeated,
          r.framesDropped, r.onsetErrorMs,
        );
        return;
      default:
        assertNever(r);
    }
  };
}

interface CalibrationRow extends Keyed {
  readonly refresh_hz: number;
  readonly photodiode_code: DisplayCalibrationRecord["photodiodeCode"];
  readonly flash_count: number;
  readonly mark_count: number;
  readonly durations_seen_count: number;
  readonly lag_median_ms: number | null;
  readonly lag_mean_ms: number | null;
  readonly lag_sd_ms: number | null;
  readonly lag_min_ms: number | null;
  readonly lag_max_ms: number | null;
  readonly skipped_because: string;
}

interface FlipRow extends Keyed {
  readonly presentation_id: number;
  readonly planned_host_ns: number;
  readonly onset_host_ns: number;
  readonly offset_host_ns: number | null;
  readonly frames_planned: number;
  readonly frames_shown: number;
  readonly late_frames: number;
  readonly frames_seen: number | null;
  readonly frames_repeated: number | null;
  readonly frames_dropped: number | null;
  readonly onset_error_ms: number | null;
}

export function readDisplayCalibrations(db: Connection, where: Select): Stored<DisplayCalibrationRecord>[] {
  return rowsOf<CalibrationRow>(db, "*", "display_calibrations", where).map((row) => ({
    ...keyOf(row),
    kind: "displayCalibration",
    refreshHz: row.refresh_hz,
    photodiodeCode: row.photodiode_code,
    flashes: row.flash_count,
    marks: row.mark_count,
    durationsSeen: row.durations_seen_count,
    lagMsMedian: row.lag_median_ms,
    lagMsMean: row.lag_mean_ms,
    lagMsSd: row.lag_sd_ms,
    lagMsMin: row.lag_min_ms,
    lagMsMax: row.lag_max_ms,
    skipped: row.skipped_because,
  }));
}

export function readFlips(db: Connection, where: Select): Stored<FlipRecord>[] {
  return rowsOf<FlipRow>(db, "*", "flips", where).map((row) => ({
    ...keyOf(row),
    kind: "flip",
    presentationId: row.presentation_id,
    plannedHostNs: hostTimeNs(row.planned_host_ns),
    onsetHostNs: hostTimeNs(row.onset_host_ns),
    offsetHostNs: row.offset_host_ns === null ? null : hostTimeNs(row.offset_host_ns),
    framesPlanned: row.frames_planned,
    framesShown: row.frames_shown,
    lateFrames: row.late_frames,
    framesSeen: row.frames_seen,
    framesRepeated: row.frames_repeated,
    framesDropped: row.frames_dropped,
    onsetErrorMs: row.onset_error_ms,
  }));
}
