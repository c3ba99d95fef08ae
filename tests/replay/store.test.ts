// Replay reads what was recorded: however records were batched, flushed, interrupted and resumed, the file gives the same records in
// the same order.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { expect, test } from "vitest";
import { openSession } from "../../src/session/reader.ts";
import { createSession, resumeSession } from "../../src/session/writer.ts";
import { unwrap } from "../../src/shared/result.ts";
import { aSession, anInfo } from "../unit/session/aSession.ts";

const records = [...aSession({ seed: 21, generations: 2, channels: 6 })];

test("the records of a session do not depend on when they were flushed, interrupted or resumed", async () => {
  const folder = mkdtempSync(join(tmpdir(), "evoked-replay-"));
  try {
    let number = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.record({ records: fc.integer({ min: 1, max: 90 }), then: fc.constantFrom("nothing", "flush", "abandon", "close") }), { maxLength: 8 }), async (steps) => {
        let writer = unwrap(await createSession({ folder, fileName: `${++number}.evoked`, info: anInfo(), thread: "caller" }));
        let next = 0;
        for (const step of [...steps, { records: records.length, then: "close" }]) {
          for (const record of records.slice(next, next + step.records)) writer.append(record);
          next = Math.min(records.length, next + step.records);
          if (step.then === "flush") await writer.flush();
          if (step.then === "abandon" || step.then === "close") {
            await (step.then === "close" ? writer.close() : writer.abandon());
            writer = unwrap(await resumeSession(writer.file, { startedUtc: "2025-11-22T15:00:00.000Z", appVersion: "0", hostKind: "test" }, { thread: "caller" }));
            expect(writer.nextSeq).toBe(next + 1);
          }
        }
        await writer.close();
        const reader = unwrap(openSession(writer.file));
        const back = [...reader.records()];
        reader.close();
        expect(isDeepStrictEqual(back, records)).toBe(true);
      }),
      { numRuns: 15 },
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
