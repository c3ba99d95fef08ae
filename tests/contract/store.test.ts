// The store contract over the session file, with the writer in its thread and in the caller's.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unwrap } from "../../src/shared/result.ts";
import { openSession } from "../../src/session/reader.ts";
import { createSession } from "../../src/session/writer.ts";
import { anInfo } from "../unit/session/aSession.ts";
import { testStore } from "./storeSuite.ts";

for (const thread of ["worker", "caller"] as const) {
  testStore(`session file, writer in the ${thread}'s thread`, async () => {
    const folder = mkdtempSync(join(tmpdir(), "evoked-store-"));
    const store = unwrap(await createSession({ folder, info: anInfo(), thread }));
    return {
      store,
      readBack() {
        const reader = unwrap(openSession(store.file));
        const records = [...reader.records()];
        reader.close();
        return records;
      },
      async dispose() {
        await store.close();
        rmSync(folder, { recursive: true });
      },
    };
  });
}
