// Searching and sorting the list of past sessions.
import { describe, expect, it } from "vitest";
import { gainOf, searchSessions, sortSessions } from "../../../src/renderer/operator/sessions/browse.ts";
import type { SessionSummary } from "../../../src/shared/contract/index.ts";

function aSession(own: Partial<SessionSummary>): SessionSummary {
  return {
    file: `/data/${own.subject ?? "x"}-${own.startedUtc ?? ""}.evoked`, id: "1", subject: "otto", startedUtc: "2026-11-22T12:00:00.000Z", durationS: 60, rig: "Synthetic rig", protocol: "evolution", generations: 3, presentations: 90, target: "PIT-03",
    evolvedLast: 30, referenceLast: 10, state: "finished", thumbnailImageId: 1, sizeBytes: 1000, problem: null, ...own,
  };
}

const sessions = [
  aSession({ subject: "otto", target: "PIT-10" }), aSession({ subject: "anna", target: "PIT-9", startedUtc: "2026-10-01T12:00:00.000Z", state: "interrupted", evolvedLast: null, sizeBytes: 3000 }),
  aSession({ subject: "berta", target: "V4-01", startedUtc: "2025-11-22T12:00:00.000Z", referenceLast: 0, sizeBytes: 2000 }),
];
const subjects = (list: readonly SessionSummary[]): string => list.map((s) => s.subject).join(" ");

describe("search", () => {
  it("finds every word somewhere in subject, date, target, rig or state", () => {
    expect(subjects(searchSessions(sessions, "ANNA", "all"))).toBe("anna");
    expect(subjects(searchSessions(sessions, "2026-11-22", "all"))).toBe("otto");
    expect(subjects(searchSessions(sessions, "22 nov", "all"))).toBe("otto berta");
    expect(subjects(searchSessions(sessions, "pit interrupted", "all"))).toBe("anna");
    expect(subjects(searchSessions(sessions, "pit v4", "all"))).toBe("");
    expect(subjects(searchSessions(sessions, "  ", "finished"))).toBe("otto berta");
  });
});

describe("sorting", () => {
  it("goes by number where there are numbers, also inside names", () => {
    expect(subjects(sortSessions(sessions, { key: "target", descending: false }))).toBe("anna otto berta");
    expect(subjects(sortSessions(sessions, { key: "size", descending: true }))).toBe("anna berta otto");
    expect(subjects(sortSessions(sessions, { key: "date", descending: true }))).toBe("otto anna berta");
  });

  it("puts sessions without a gain last", () => {
    expect(gainOf(sessions[0] ?? aSession({}))).toBe(3);
    expect(sortSessions(sessions, { key: "gain", descending: true })[0]?.subject).toBe("otto");
  });
});
