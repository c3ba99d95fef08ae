// The session file's one writer as the engine holds it: a Store whose records are committed in a thread of their own. Knows nothing
// about SQL.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { Store, StoreStatus } from "../shared/ports.ts";
import type { SessionInfo, SessionRecord } from "../shared/records.ts";
import { err, fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { bytesOfRecord } from "./commitQueue.ts";
import { diskThresholds } from "./diskWatch.ts";
import type { DiskLevel, DiskThresholds } from "./diskWatch.ts";
import type { RunInfo } from "./writerCore.ts";
import type { FromWriter, OpenOrder, ToWriter } from "./writerMessages.ts";
import { serveWriter } from "./writerService.ts";

/** File extension of session files. */
export const sessionExtension = ".evoked";

export interface SessionWriterStatus extends StoreStatus {
  /** Bytes of records that wait to be committed. */
  readonly queuedBytes: number;
  /** At the growth of the last minute; null while unknown. */
  readonly minutesLeft: number | null;
  /** "stop": end the recording now, while there is room to end it cleanly. */
  readonly diskLevel: DiskLevel;
}

export interface SessionWriter extends Store {
  readonly file: string;
  /** The seq that the next record must have. */
  readonly nextSeq: number;
  status(): SessionWriterStatus;
  /** Commits everything, marks the run as ended and lets go of the file. */
  close(): Promise<void>;
  /** Commits everything and lets go of the file without marking the run as ended: it stays "interrupted" and can be resumed. */
  abandon(): Promise<void>;
}

export interface WriterOptions {
  /** Where commits run. "caller" blocks the caller at each commit: for tests only. Default "worker". */
  readonly thread?: "worker" | "caller";
  /** The queue holds at most this many bytes, then the writer fails with `storeOverflow`. Default 1 GiB. */
  readonly queuedBytesMax?: number;
  /** The file never grows beyond this. Default: no limit. */
  readonly sizeBytesMax?: number;
  readonly disk?: DiskThresholds;
  /** The time at which a run ends, ISO 8601. Default: the computer's clock. */
  readonly now?: () => string;
}

export interface NewSession extends WriterOptions {
  /** Folder for the file; made where it does not exist. */
  readonly folder: string;
  /** Default: start time and subject, e.g. "2025-11-22_13-45-00_sub-A.evoked", numbered where taken. */
  readonly fileName?: string;
  readonly info: SessionInfo;
}

/** Starts a new session file. Errors: `sessionExists` (an explicit name that is taken), `sessionLocked`, `notWritable`, `cannotOpen`, `diskFull`. */
export async function createSession(options: NewSession): Promise<Result<SessionWriter, Fault>> {
  const { folder, fileName, info } = options;
  const file = fileName !== undefined ? join(folder, fileName) : freeName(folder, info);
  if (!file.endsWith(sessionExtension)) return fault("badFileName", `Expected a file name ending in ${sessionExtension}, got ${fileName ?? file}.`);
  return openWriter({ kind: "create", file, info, limits: { sizeBytesMax: options.sizeBytesMax ?? null }, thresholds: options.disk ?? diskThresholds }, options);
}

/** Goes on with a session that was interrupted (or ended). Errors: `sessionLocked`, `cannotOpen`, `notASession`, `sessionNewer`, `notWritable`. */
export async function resumeSession(file: string, run: RunInfo, options: WriterOptions = {}): Promise<Result<SessionWriter, Fault>> {
  return openWriter({ kind: "resume", file, run, limits: { sizeBytesMax: options.sizeBytesMax ?? null }, thresholds: options.disk ?? diskThresholds }, options);
}

function freeName(folder: string, info: SessionInfo): string {
  const at = new Date(info.startedUtc);
  const time = Number.isNaN(at.getTime()) ? "session" : at.toISOString().slice(0, 19).replace("T", "_").replaceAll(":", "-");
  const subject = info.subject.id.replaceAll(/[^A-Za-z0-9]+/g, "");
  const stem = `${time}_sub-${subject === "" ? "unknown" : subject}`;
  for (let number = 1; ; number++) {
    const file = join(folder, `${stem}${number === 1 ? "" : `_${number}`}${sessionExtension}`);
    if (![file, `${file}-wal`, `${file}-journal`].some((path) => existsSync(path))) return file;
  }
}

/** The far side of the writer: somewhere that takes messages and, at the end, stops. */
interface Far {
  post(message: ToWriter): void;
  /** Whether the process stays alive for it. */
  hold(alive: boolean): void;
}

function farThread(order: OpenOrder, answer: (message: FromWriter) => void): Far {
  const worker = new Worker(new URL("./writer.worker.ts", import.meta.url), { workerData: order });
  let ended = false;
  worker.on("message", (message: FromWriter) => {
    if (message.kind === "closed" || message.kind === "refused") ended = true;
    answer(message);
  });
  worker.on("error", (error) => {
    ended = true;
    answer({ kind: "failed", fault: { code: "writerCrashed", message: `The writer of the session file failed: ${error.message}. Everything committed before is safe; stop, then resume the session.` } });
    answer({ kind: "closed", fault: null });
  });
  worker.on("exit", (code) => {
    if (ended) return;
    ended = true;
    answer({ kind: "failed", fault: { code: "writerCrashed", message: `The writer of the session file ended unexpectedly (exit code ${code}). Everything committed before is safe; stop, then resume the session.` } });
    answer({ kind: "closed", fault: null });
  });
  return {
    post: (message) => worker.postMessage(message),
    hold: (alive) => (alive ? worker.ref() : worker.unref()),
  };
}

function farHere(order: OpenOrder, answer: (message: FromWriter) => void): Far {
  const serve = serveWriter(order, answer);
  return { post: (message) => serve?.(message), hold: () => undefined };
}

function openWriter(order: OpenOrder, options: WriterOptions): Promise<Result<SessionWriter, Fault>> {
  const queuedBytesMax = options.queuedBytesMax ?? 2 ** 30;
  const now = options.now ?? (() => new Date().toISOString());
  let appended = 0;
  let committed = 0;
  let nextSeq = 1;
  let queuedBytes = 0;
  /** Sizes of the records that wait, oldest first, after `released` that no longer do. */
  let sizes: number[] = [];
  let released = 0;
  let outbox: SessionRecord[] = [];
  let sizeBytes = 0;
  let disk: { diskFreeBytes: number | null; minutesLeft: number | null; level: DiskLevel } = { diskFreeBytes: null, minutesLeft: null, level: "ok" };
  let failure: Fault | null = null;
  let state: "opening" | "open" | "closing" | "closed" = "opening";
  let tickets = 0;
  const flushes = new Map<number, () => void>();
  let settleOpen: (result: Result<SessionWriter, Fault>) => void = () => undefined;
  let settleClose: () => void = () => undefined;
  const closed = new Promise<void>((resolve) => (settleClose = resolve));

  const release = (count: number): void => {
    for (let i = 0; i < count; i++) queuedBytes -= sizes[released + i] ?? 0;
    released += count;
    committed += count;
    // Cut the list now and then, not at every commit.
    if (released * 2 > sizes.length) {
      sizes = sizes.slice(released);
      released = 0;
    }
  };

  const onMessage = (message: FromWriter): void => {
    switch (message.kind) {
      case "opened":
        nextSeq = message.lastSeq + 1;
        disk = message.disk;
        sizeBytes = message.sizeBytes;
        state = "open";
        settleOpen(ok(writer));
        return;
      case "refused":
        state = "closed";
        settleOpen(err(message.fault));
        return;
      case "appended":
        // The answer to another order.
        return;
      case "committed":
        release(message.count);
        sizeBytes = message.sizeBytes;
        return;
      case "failed":
        failure ??= message.fault;
        return;
      case "flushed":
        flushes.get(message.ticket)?.();
        flushes.delete(message.ticket);
        return;
      case "disk":
        disk = message.disk;
        sizeBytes = message.sizeBytes;
        return;
      case "closed":
        if (state === "opening") settleOpen(err(failure ?? { code: "writerCrashed", message: "The writer of the session file ended before it began." }));
        state = "closed";
        failure ??= message.fault;
        for (const settle of flushes.values()) settle();
        flushes.clear();
        settleClose();
        return;
    }
  };

  const post = (message: ToWriter): void => far.post(message);

  /** Everything appended in one turn travels as one message. */
  const send = (): void => {
    const records = outbox;
    outbox = [];
    if (records.length > 0 && state !== "closed") post({ kind: "append", records });
  };

  const flush = (): Promise<void> => {
    if (state === "closed") return Promise.resolve();
    send();
    return new Promise((resolve) => {
      const ticket = ++tickets;
      far.hold(true);
      flushes.set(ticket, () => {
        if (flushes.size <= 1) far.hold(false);
        resolve();
      });
      post({ kind: "flush", ticket });
    });
  };

  const end = (endedUtc: string | null): Promise<void> => {
    if (state === "open") {
      send();
      state = "closing";
      far.hold(true);
      // A run that lost records did not end well: it stays interrupted.
      post({ kind: "close", endedUtc: failure === null ? endedUtc : null });
    }
    return closed;
  };

  const writer: SessionWriter = {
    file: order.file,
    get nextSeq() {
      return nextSeq;
    },
    append(record) {
      if (state !== "open") throw new Error(`expected an open session file, got a record (${record.kind}) for one that is ${state}`);
      if (record.seq !== nextSeq) throw new Error(`expected record ${nextSeq}, got ${record.seq} (${record.kind})`);
      nextSeq++;
      appended++;
      const size = bytesOfRecord(record);
      sizes.push(size);
      queuedBytes += size;
      if (failure !== null) return;
      if (queuedBytes > queuedBytesMax) {
        failure = {
          code: "storeOverflow",
          message: `The disk cannot keep up: ${appended - committed} records (${Math.round(queuedBytes / 2 ** 20)} MiB) wait to be written. Stop the recording; choose a faster disk or record fewer channels.`,
        };
        return;
      }
      outbox.push(record);
      if (outbox.length === 1) queueMicrotask(send);
    },
    flush,
    status: () => ({
      queuedRecords: appended - committed,
      committedRecords: committed,
      queuedBytes,
      sizeBytes,
      diskFreeBytes: disk.diskFreeBytes,
      minutesLeft: disk.minutesLeft,
      diskLevel: disk.level,
      failure,
    }),
    close: () => end(now()),
    abandon: () => end(null),
  };

  const opened = new Promise<Result<SessionWriter, Fault>>((resolve) => (settleOpen = resolve));
  const far = options.thread === "caller" ? farHere(order, (message) => queueMicrotask(() => onMessage(message))) : farThread(order, onMessage);
  void opened.then(() => {
    if (state === "open") far.hold(false);
  });
  return opened;
}
