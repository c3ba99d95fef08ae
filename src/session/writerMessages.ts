// What the writer's two threads say to each other. Knows nothing about either.
import type { SessionInfo, SessionRecord, SessionRecordBody } from "../shared/records.ts";
import type { Fault } from "../shared/result.ts";
import type { DiskReading, DiskThresholds } from "./diskWatch.ts";
import type { Appended, RunInfo, WriterLimits } from "./writerCore.ts";

export type OpenOrder =
  | { readonly kind: "create"; readonly file: string; readonly info: SessionInfo; readonly limits: WriterLimits; readonly thresholds: DiskThresholds }
  | { readonly kind: "resume"; readonly file: string; readonly run: RunInfo; readonly limits: WriterLimits; readonly thresholds: DiskThresholds };

/** Adds to a session that is not recorded; answered by `appended` or `refused`, and nothing follows. */
export interface AppendOrder {
  readonly kind: "append";
  readonly file: string;
  readonly run: RunInfo;
  readonly bodies: readonly SessionRecordBody[];
}

export type ToWriter =
  | { readonly kind: "append"; readonly records: readonly SessionRecord[] }
  | { readonly kind: "flush"; readonly ticket: number }
  /** endedUtc null: let go without marking the run as ended. */
  | { readonly kind: "close"; readonly endedUtc: string | null };

export type FromWriter =
  | { readonly kind: "opened"; readonly lastSeq: number; readonly disk: DiskReading; readonly sizeBytes: number }
  | { readonly kind: "refused"; readonly fault: Fault }
  | { readonly kind: "appended"; readonly appended: Appended }
  | { readonly kind: "committed"; readonly count: number; readonly sizeBytes: number }
  | { readonly kind: "failed"; readonly fault: Fault }
  | { readonly kind: "flushed"; readonly ticket: number }
  | { readonly kind: "disk"; readonly disk: DiskReading; readonly sizeBytes: number }
  | { readonly kind: "closed"; readonly fault: Fault | null };
