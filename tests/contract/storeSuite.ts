// What every Store must do. Run it over each maker of stores.
import { afterEach, describe, expect, test } from "vitest";
import type { Store } from "../../src/shared/ports.ts";
import type { SessionRecord } from "../../src/shared/records.ts";
import { aSession } from "../unit/session/aSession.ts";

export interface StoreUnderTest {
  readonly store: Store;
  /** What a reader finds now, in order. */
  readBack(): SessionRecord[];
  dispose(): Promise<void>;
}

export function testStore(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(`a store (${name})`, () => {
    let made: StoreUnderTest[] = [];
    const aStore = async (): Promise<StoreUnderTest> => {
      const one = await make();
      made.push(one);
      return one;
    };
    afterEach(async () => {
      for (const one of made) await one.dispose();
      made = [];
    });

    test("gives back every record of every kind as it was, in order", async () => {
      const { store, readBack } = await aStore();
      const records = [...aSession({ seed: 3 })];
      for (const record of records) store.append(record);
      await store.flush();
      expect(readBack()).toStrictEqual(records);
    });

    test("acknowledges a flush only when everything appended before it can be read", async () => {
      const { store, readBack } = await aStore();
      const records = [...aSession({ seed: 4, generations: 1 })];
      for (let start = 0; start < records.length; start += 17) {
        for (const record of records.slice(start, start + 17)) store.append(record);
        await store.flush();
        expect(readBack().length).toBe(Math.min(records.length, start + 17));
      }
    });

    test("commits streams by itself within half a second", async () => {
      const { store } = await aStore();
      for (const record of aSession({ generations: 0 })) store.append(record);
      for (let waits = 0; waits < 50 && store.status().queuedRecords > 0; waits++) await new Promise((resolve) => setTimeout(resolve, 10));
      expect(store.status().queuedRecords).toBe(0);
    });

    test("counts what waits and what is committed", async () => {
      const { store } = await aStore();
      const records = [...aSession({ generations: 1 })];
      for (const record of records) store.append(record);
      const before = store.status();
      expect(before.queuedRecords + before.committedRecords).toBe(records.length);
      await store.flush();
      expect(store.status()).toMatchObject({ queuedRecords: 0, committedRecords: records.length, failure: null });
      expect(store.status().sizeBytes).toBeGreaterThan(0);
    });

    test("commits what is still waiting when it is closed, and may be closed twice", async () => {
      const { store, readBack } = await aStore();
      const records = [...aSession({ seed: 5, generations: 1 })];
      for (const record of records) store.append(record);
      await store.close();
      await store.close();
      expect(readBack()).toStrictEqual(records);
    });

    test("settles a flush with nothing to commit, also after it is closed", async () => {
      const { store } = await aStore();
      await store.flush();
      await store.close();
      await store.flush();
      expect(store.status().failure).toBeNull();
    });

    test("refuses a record out of sequence and one after it is closed, as bugs", async () => {
      const { store } = await aStore();
      const [first, second, third] = [...aSession()];
      if (first === undefined || second === undefined || third === undefined) throw new Error("expected three records");
      store.append(first);
      expect(() => store.append(third)).toThrow(/expected record 2, got 3/);
      await store.close();
      expect(() => store.append(second)).toThrow(/expected an open session file/);
    });
  });
}
