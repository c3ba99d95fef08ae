// The writing side of a session file behind messages: opens, commits, watches the disk, closes. Runs in the worker thread, or in the
// caller's thread in tests. Knows nothing about threads.
import { performance } from "node:perf_hooks";
import { makeCommitQueue } from "./commitQueue.ts";
import { makeDiskWatch } from "./diskWatch.ts";
import { appendCore, createCore, resumeCore } from "./writerCore.ts";
import type { AppendOrder, FromWriter, OpenOrder, ToWriter } from "./writerMessages.ts";

const diskEveryMs = 1000;

/** Opens the file and answers `opened` or `refused`. The function returned takes every later message; null where refused or all is done. */
export function serveWriter(order: OpenOrder | AppendOrder, answer: (message: FromWriter) => void): ((message: ToWriter) => void) | null {
  if (order.kind === "append") {
    const appended = appendCore(order.file, order.run, order.bodies);
    answer(appended.ok ? { kind: "appended", appended: appended.value } : { kind: "refused", fault: appended.error });
    return null;
  }
  const opened = order.kind === "create" ? createCore(order.file, order.info, order.limits) : resumeCore(order.file, order.run, order.limits);
  if (!opened.ok) {
    answer({ kind: "refused", fault: opened.error });
    return null;
  }
  const core = opened.value;
  let failed = false;
  const watch = makeDiskWatch(order.thresholds);
  const readDisk = () => watch.read(performance.now(), core.sizeBytes(), core.diskFreeBytes());
  const queue = makeCommitQueue({
    commit: (records) => core.commit(records),
    onCommitted: (count) => answer({ kind: "committed", count, sizeBytes: core.sizeBytes() }),
    onFailed: (failure) => {
      failed = true;
      answer({ kind: "failed", fault: failure });
    },
  });
  const timer = setInterval(() => answer({ kind: "disk", disk: readDisk(), sizeBytes: core.sizeBytes() }), diskEveryMs);
  timer.unref();
  answer({ kind: "opened", lastSeq: core.lastSeq(), disk: readDisk(), sizeBytes: core.sizeBytes() });

  return (message) => {
    switch (message.kind) {
      case "append":
        queue.push(message.records);
        return;
      case "flush":
        queue.drain();
        answer({ kind: "flushed", ticket: message.ticket });
        return;
      case "close": {
        clearInterval(timer);
        queue.close();
        const closed = core.close(failed ? null : message.endedUtc);
        answer({ kind: "closed", fault: closed.ok ? null : closed.error });
        return;
      }
    }
  };
}
