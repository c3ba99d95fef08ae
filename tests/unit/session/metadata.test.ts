import { describe, expect, test } from "vitest";
import { checkMetadata, dandiPath } from "../../../src/session/metadata.ts";
import type { SessionInfo, SubjectInfo } from "../../../src/shared/records.ts";
import { anInfo } from "./aSession.ts";

function codes(subject: Partial<SubjectInfo>, session: Partial<SessionInfo> = {}): string[] {
  const info = anInfo(session);
  return checkMetadata({ ...info, subject: { ...info.subject, ...subject } }).map(({ code }) => code);
}

describe("metadata before a recording", () => {
  test("that an archive takes gives no fault", () => {
    expect(codes({})).toStrictEqual([]);
    expect(codes({ age: null, dateOfBirth: "2016-02-29" })).toStrictEqual([]);
    expect(codes({ age: "P12Y3M" })).toStrictEqual([]);
    expect(codes({ age: "P90D" })).toStrictEqual([]);
    expect(codes({ species: "http://purl.obolibrary.org/obo/NCBITaxon_9544" })).toStrictEqual([]);
    expect(codes({}, { startedUtc: "2025-11-22T14:45:00+01:00", experimenters: [] })).toStrictEqual([]);
  });

  test.each<[string, Partial<SubjectInfo>, Partial<SessionInfo>, string]>([
    ["an empty subject id", { id: " " }, {}, "subjectId"],
    ["a subject id with a slash", { id: "a/b" }, {}, "subjectId"],
    ["a common name as species", { species: "rhesus monkey" }, {}, "subjectSpecies"],
    ["a species of one word", { species: "Macaca" }, {}, "subjectSpecies"],
    ["neither age nor date of birth", { age: null }, {}, "subjectAge"],
    ["an age in words", { age: "7 years" }, {}, "subjectAge"],
    ["an empty duration", { age: "P" }, {}, "subjectAge"],
    ["an empty duration of hours", { age: "P1YT" }, {}, "subjectAge"],
    ["a date that does not exist", { age: null, dateOfBirth: "2015-02-30" }, {}, "subjectDateOfBirth"],
    ["a birth after the session", { dateOfBirth: "2026-01-01" }, {}, "subjectDateOfBirth"],
    ["a weight of nothing", { weightKg: 0 }, {}, "subjectWeight"],
    ["a session id that is no UUID", {}, { id: "session 1" }, "sessionId"],
    ["a start without a zone", {}, { startedUtc: "2025-11-22T13:45:00" }, "sessionStart"],
    ["no description", {}, { description: "" }, "sessionDescription"],
    ["an experimenter without a given name", {}, { experimenters: ["Jane Doe"] }, "experimenter"],
  ])("with %s gives one fault, in a sentence that says what was expected", (_, subject, session, code) => {
    expect(codes(subject, session)).toStrictEqual([code]);
    const info = anInfo(session);
    expect(checkMetadata({ ...info, subject: { ...info.subject, ...subject } })[0]?.message).toMatch(/^Expected .*\.$/);
  });

  test("gives a file name of the archive's form", () => {
    const info = anInfo();
    expect(dandiPath({ ...info, subject: { ...info.subject, id: "Monkey_A-1" } })).toStrictEqual({
      folder: "sub-MonkeyA1",
      name: "sub-MonkeyA1_ses-20251122T134500_behavior+ecephys+image.nwb",
    });
  });
});
