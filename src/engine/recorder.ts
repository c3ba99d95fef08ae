// Numbers every record of a session and hands it to the store. Knows nothing about what is recorded.
import type { Clock, Store } from "../shared/ports.ts";
import type { SessionRecordBody } from "../shared/records.ts";
import type { HostTimeNs } from "../shared/units.ts";

export interface Recorder {
  /** `atHostNs` is when it happened; records come in the order of their times. */
  record(body: SessionRecordBody, atHostNs?: HostTimeNs): void;
  /** Every record as it was numbered, for the log of a window. */
  onRecord(listener: (body: SessionRecordBody, hostNs: number) => void): void;
  /** null while the store keeps up; else settles when it has caught up. */
  room(): Promise<void> | null;
}

/** Above this many queued records a fast run waits for the store. */
const queuedRecordsMax = 2000;

export function createRecorder({ clock, store, firstSeq }: { readonly clock: Clock; readonly store: Store; readonly firstSeq: number }): Recorder {
  let seq = firstSeq;
  let listener: (body: SessionRecordBody, hostNs: number) => void = () => undefined;
  return {
    record(body, hostNs = clock.now()) {
      store.append({ seq: seq++, hostNs, ...body });
      listener(body, hostNs);
    },
    onRecord(next) {
      listener = next;
    },
    room: () => (store.status().queuedRecords > queuedRecordsMax ? store.flush() : null),
  };
}
