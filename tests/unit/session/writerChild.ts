// A process that opens, reads or records a session, to be refused or killed by a test. One JSON line a step on standard output.
//   create FOLDER | resume FILE | count FILE | record FOLDER [seed]
import { writeSync } from "node:fs";
import { openSession } from "../../../src/session/reader.ts";
import { createSession, resumeSession } from "../../../src/session/writer.ts";
import { unwrap } from "../../../src/shared/result.ts";
import { aSession, anInfo } from "./aSession.ts";

const [task = "", place = "", seed = "1"] = process.argv.slice(2);

function say(value: unknown): void {
  try {
    writeSync(1, `${JSON.stringify(value)}\n`);
  } catch (error) {
    // The pipe is full: what is not said is not acknowledged.
    if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) throw error;
  }
}

if (task === "create" || task === "resume") {
  const opened =
    task === "create" ? await createSession({ folder: place, info: anInfo() }) : await resumeSession(place, { startedUtc: "2025-11-22T15:00:00.000Z", appVersion: "0", hostKind: "test" });
  say(opened.ok ? { opened: true } : opened.error);
  if (opened.ok) await opened.value.close();
} else if (task === "count") {
  const opened = openSession(place);
  if (opened.ok) {
    say({ records: [...opened.value.records()].length });
    opened.value.close();
  } else say(opened.error);
} else if (task === "record") {
  const writer = unwrap(await createSession({ folder: place, info: anInfo() }));
  // As a session does: the loop runs on while the writer commits; now and then it hears how far the writer is.
  let told = 0;
  for (const record of aSession({ seed: Number(seed), generations: 1_000_000 })) {
    writer.append(record);
    if (record.seq % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    const { committedRecords } = writer.status();
    if (committedRecords > told) {
      told = committedRecords;
      say({ committed: told });
    }
  }
} else throw new Error(`expected create, resume, count or record, got ${task}`);
