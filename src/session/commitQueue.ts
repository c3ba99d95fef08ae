// When records are committed: at once with a presentation, trial, generation or anything an operator did; within 100 ms for the
// streams. Whatever is waiting goes into one transaction, in order. Knows nothing about SQL or threads.
import type { SessionRecord } from "../shared/records.ts";
import type { Fault, Result } from "../shared/result.ts";

/** Streams wait up to this long for company, so that a commit is paid ten times a second and not for every packet. */
export const streamDelayMsMax = 100;
/** One transaction holds at most this many bytes (states of large optimizers make more than one). */
const transactionBytesMax = 64 * 2 ** 20;

/** Kinds that may wait: the rest is committed at once. An image waits for the presentation that needs it. */
function mayWait(kind: SessionRecord["kind"]): boolean {
  return kind === "spikes" || kind === "eye" || kind === "clock" || kind === "mark" || kind === "image";
}

/** Bytes of a record that matter for memory and transactions: its arrays. */
export function bytesOfRecord(record: SessionRecord): number {
  switch (record.kind) {
    case "spikes":
      return 256 + record.batch.timesRigNs.byteLength + record.batch.channels.byteLength + record.batch.units.byteLength;
    case "eye":
      return 256 + record.batch.timesRigNs.length * 17;
    case "image":
      return 256 + record.rgb.byteLength + (record.latent?.byteLength ?? 0);
    case "presentation":
      return 256 + (record.counts?.byteLength ?? 0) + (record.baselineCounts?.byteLength ?? 0);
    case "generation":
      return 256 + record.stateBefore.byteLength + record.stateAfter.byteLength + record.scores.byteLength + record.rngState.length;
    case "neuronModel":
      return 256 + record.coefficientsHz.byteLength;
    case "visualisation":
      return 256 + record.rgb.byteLength + record.latent.byteLength;
    default:
      return 256;
  }
}

/** How long until a file that another program holds is tried again; each try waits for the lock itself too (writerCore). */
const heldRetryMs = 200;
/** Tries where nothing may wait any more: at the end of a recording. */
const heldTriesMax = 8;

export interface CommitQueue {
  push(records: readonly SessionRecord[]): void;
  /** Commits everything that waits. Returns once it is committed or has failed; a file that stays held by another program is a failure here. */
  drain(): void;
  close(): void;
}

export interface CommitQueueOptions {
  readonly commit: (records: readonly SessionRecord[]) => Result<void, Fault>;
  /** After every transaction: how many records it held. */
  readonly onCommitted: (count: number) => void;
  /** The first failure. Nothing is committed after it, so that what is in the file has no holes. That another program holds the file (`sessionLocked`) is none while records may wait. */
  readonly onFailed: (failure: Fault) => void;
}

export function makeCommitQueue({ commit, onCommitted, onFailed }: CommitQueueOptions): CommitQueue {
  let waiting: SessionRecord[] = [];
  let urgent = false;
  let failed = false;
  /** Another program has the file locked: what comes waits for the next try. */
  let held = false;
  let timer: NodeJS.Timeout | null = null;
  let immediate: NodeJS.Immediate | null = null;

  const commitWaiting = (mayHold: boolean): void => {
    if (timer !== null) clearTimeout(timer);
    if (immediate !== null) clearImmediate(immediate);
    timer = null;
    immediate = null;
    urgent = false;
    held = false;
    const records = waiting;
    waiting = [];
    for (let start = 0; start < records.length && !failed; ) {
      let end = start;
      for (let bytes = 0; end < records.length && bytes < transactionBytesMax; end++) {
        const record = records[end];
        if (record !== undefined) bytes += bytesOfRecord(record);
      }
      const part = records.slice(start, end);
      const result = commit(part);
      if (result.ok) onCommitted(part.length);
      else if (mayHold && result.error.code === "sessionLocked") {
        held = true;
        waiting = records.slice(start);
        timer = setTimeout(() => commitWaiting(true), heldRetryMs);
        return;
      } else {
        failed = true;
        onFailed(result.error);
      }
      start = end;
    }
  };

  const drain = (): void => {
    for (let tries = 1; tries < heldTriesMax; tries++) {
      commitWaiting(true);
      if (!held) return;
    }
    commitWaiting(false);
  };

  return {
    push(records) {
      if (failed) return;
      for (const record of records) {
        waiting.push(record);
        if (!mayWait(record.kind)) urgent = true;
      }
      if (held) return;
      // A turn later: everything that has already arrived joins the transaction.
      if (urgent) immediate ??= setImmediate(() => commitWaiting(true));
      else timer ??= setTimeout(() => commitWaiting(true), streamDelayMsMax);
    },
    drain,
    close() {
      drain();
    },
  };
}
