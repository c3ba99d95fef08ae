// Reading a session that is being recorded.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { openSession } from "../../../src/session/reader.ts";
import { createSession } from "../../../src/session/writer.ts";
import { unwrap } from "../../../src/shared/result.ts";
import { hostTimeNs } from "../../../src/shared/units.ts";
import { anInfo } from "./aSession.ts";

const folder = mkdtempSync(join(tmpdir(), "evoked-frozen-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it("shows a frozen reader the session as it stood when it was opened, while the recording goes on", async () => {
  const writer = unwrap(await createSession({ folder, info: anInfo(), thread: "caller" }));
  const note = async (): Promise<void> => {
    writer.append({ kind: "event", category: "note", severity: "info", code: "note", message: "n", dataJson: "", seq: writer.nextSeq, hostNs: hostTimeNs(writer.nextSeq) });
    await writer.flush();
  };
  await note();
  const frozen = unwrap(openSession(writer.file, { frozen: true }));
  const live = unwrap(openSession(writer.file));
  await note();
  await note();
  expect(live.events()).toHaveLength(3);
  expect(frozen.events()).toHaveLength(1);
  expect(frozen.lastSeq()).toBe(1);
  frozen.close();
  live.close();
  await writer.close();
});
