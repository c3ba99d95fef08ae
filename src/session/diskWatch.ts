// How long the disk lasts: growth of the file against free space. Knows nothing about files or clocks; it is told both.

export type DiskLevel =
  | "ok"
  /** Tell the operator. */
  | "low"
  /** End the recording now, while there is room to end it cleanly. */
  | "stop";

export interface DiskThresholds {
  readonly lowMinutes: number;
  readonly lowBytes: number;
  readonly stopMinutes: number;
  readonly stopBytes: number;
}

export const diskThresholds: DiskThresholds = { lowMinutes: 30, lowBytes: 2 * 2 ** 30, stopMinutes: 2, stopBytes: 256 * 2 ** 20 };

export interface DiskReading {
  readonly diskFreeBytes: number | null;
  /** At the growth of the last minute; null before there is enough to tell, or where the file does not grow. */
  readonly minutesLeft: number | null;
  readonly level: DiskLevel;
}

const windowMs = 60_000;
const historyMsMin = 5_000;

export interface DiskWatch {
  /** Takes a reading: monotonic time in ms, bytes of the file, free bytes on its disk. */
  read(atMs: number, sizeBytes: number, diskFreeBytes: number | null): DiskReading;
}

export function makeDiskWatch(thresholds: DiskThresholds = diskThresholds): DiskWatch {
  let history: { readonly atMs: number; readonly sizeBytes: number }[] = [];
  return {
    read(atMs, sizeBytes, diskFreeBytes) {
      history = [...history.filter((past) => past.atMs >= atMs - windowMs), { atMs, sizeBytes }];
      const oldest = history[0];
      const spanMs = oldest === undefined ? 0 : atMs - oldest.atMs;
      const grownBytes = oldest === undefined ? 0 : sizeBytes - oldest.sizeBytes;
      const minutesLeft = diskFreeBytes !== null && spanMs >= historyMsMin && grownBytes > 0 ? (diskFreeBytes * spanMs) / grownBytes / 60_000 : null;
      return { diskFreeBytes, minutesLeft, level: levelOf(diskFreeBytes, minutesLeft, thresholds) };
    },
  };
}

function levelOf(freeBytes: number | null, minutesLeft: number | null, t: DiskThresholds): DiskLevel {
  if (freeBytes === null) return "ok";
  const minutes = minutesLeft ?? Number.POSITIVE_INFINITY;
  if (freeBytes < t.stopBytes || minutes < t.stopMinutes) return "stop";
  return freeBytes < t.lowBytes || minutes < t.lowMinutes ? "low" : "ok";
}
