import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { makeCommitQueue, streamDelayMsMax } from "../../../src/session/commitQueue.ts";
import type { SessionRecord } from "../../../src/shared/records.ts";
import { fault, ok } from "../../../src/shared/result.ts";
import { aSession } from "./aSession.ts";

const all = [...aSession({ generations: 1 })];
const streams = all.filter((record) => record.kind === "spikes" || record.kind === "eye");
const trials = all.filter((record) => record.kind === "trial");

function aQueue(failAt = Number.POSITIVE_INFINITY) {
  const transactions: (readonly SessionRecord[])[] = [];
  const failures: string[] = [];
  const queue = makeCommitQueue({
    commit(records) {
      transactions.push(records);
      return transactions.length === failAt ? fault("diskFull", "full") : ok(undefined);
    },
    onCommitted: () => undefined,
    onFailed: (failure) => failures.push(failure.code),
  });
  return { queue, transactions, failures };
}

describe("a commit queue", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "setImmediate", "clearTimeout", "clearImmediate"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test("gathers streams for up to 100 ms into one transaction", () => {
    const { queue, transactions } = aQueue();
    queue.push(streams.slice(0, 2));
    vi.advanceTimersByTime(streamDelayMsMax - 1);
    queue.push(streams.slice(2, 4));
    expect(transactions).toStrictEqual([]);
    vi.advanceTimersByTime(1);
    expect(transactions).toStrictEqual([streams.slice(0, 4)]);
  });

  test("commits at once, with everything before it, what somebody waits for", () => {
    const { queue, transactions } = aQueue();
    queue.push(streams.slice(0, 2));
    queue.push(trials.slice(0, 1));
    vi.advanceTimersByTime(0);
    expect(transactions).toStrictEqual([[...streams.slice(0, 2), ...trials.slice(0, 1)]]);
    vi.advanceTimersByTime(1000);
    expect(transactions.length).toBe(1);
  });

  test("waits with everything, in order, while another program holds the file", () => {
    const committed: SessionRecord[] = [];
    const failures: string[] = [];
    let tries = 0;
    const queue = makeCommitQueue({
      commit(records) {
        tries += 1;
        if (tries <= 5) return fault("sessionLocked", "held");
        committed.push(...records);
        return ok(undefined);
      },
      onCommitted: () => undefined,
      onFailed: (failure) => failures.push(failure.code),
    });
    queue.push(trials.slice(0, 1));
    vi.advanceTimersByTime(0);
    queue.push(streams.slice(0, 2));
    queue.push(trials.slice(1, 2));
    vi.advanceTimersByTime(100);
    expect([tries, committed, failures]).toEqual([1, [], []]);
    vi.advanceTimersByTime(2000);
    expect(committed).toStrictEqual([...trials.slice(0, 1), ...streams.slice(0, 2), ...trials.slice(1, 2)]);
    expect(failures).toEqual([]);
  });

  test("a file that is still held at the end is a failure, after some tries", () => {
    const failures: string[] = [];
    let tries = 0;
    const queue = makeCommitQueue({ commit: () => { tries += 1; return fault("sessionLocked", "held"); }, onCommitted: () => undefined, onFailed: (failure) => failures.push(failure.code) });
    queue.push(trials.slice(0, 1));
    queue.close();
    expect(failures).toEqual(["sessionLocked"]);
    expect(tries).toBeGreaterThan(3);
    vi.advanceTimersByTime(5000);
    expect(failures).toHaveLength(1);
  });

  test("commits nothing after a failure, so that the file has no holes", () => {
    const { queue, transactions, failures } = aQueue(2);
    for (const trial of trials) {
      queue.push([trial]);
      vi.advanceTimersByTime(0);
    }
    queue.drain();
    expect(trials.length).toBeGreaterThan(1);
    queue.push(streams);
    queue.drain();
    expect(transactions.length).toBe(2);
    expect(failures).toStrictEqual(["diskFull"]);
  });

  test("cuts a long wait into transactions that fit the memory, in order", () => {
    const { queue, transactions } = aQueue();
    const state = new Uint8Array(40 * 2 ** 20);
    const generations = all.flatMap((record) => (record.kind === "generation" ? [record, record, record] : [])).map((record) => ({ ...record, stateBefore: state, stateAfter: state }));
    queue.push([...generations, ...trials]);
    queue.drain();
    expect(transactions.length).toBe(4);
    expect(transactions.flat()).toStrictEqual([...generations, ...trials]);
  });
});
