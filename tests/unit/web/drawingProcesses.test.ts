import { expect, test } from "vitest";
import { findDrawing } from "../../../src/web/drawingProcesses.ts";
import type { ProcessTable } from "../../../src/web/drawingProcesses.ts";

const profile = "/profiles/evoked";
const mine = `--user-data-dir=${profile}`;
const processes: Readonly<Record<number, { readonly args: readonly string[]; readonly threads: readonly string[] }>> = {
  10: { args: ["chromium", mine], threads: ["chromium"] },
  11: { args: ["chromium", "--type=gpu-process", mine], threads: ["chromium", "VizCompositorTh"] },
  12: { args: ["chromium", "--type=renderer", mine], threads: ["chromium", "Compositor"] },
  13: { args: ["chromium", "--type=renderer", mine], threads: ["chromium", "Compositor", "DedicatedWorker"] },
  14: { args: ["chromium", "--type=renderer", "--user-data-dir=/profiles/other"], threads: ["DedicatedWorker"] },
  15: { args: ["chromium", "--type=gpu-process", `${mine}-other`], threads: [] },
};
const table: ProcessTable = { pids: () => Object.keys(processes).map(Number), argumentsOf: (pid) => processes[pid]?.args ?? [], threadNames: (pid) => processes[pid]?.threads ?? [] };

test("of Evoked's own browser, the GPU process and the page that decodes in a worker draw the subject's screen", () => {
  expect(findDrawing(profile, table)).toEqual([11, 13]);
});

test("a process that ended while the table was read is none of them", () => {
  expect(findDrawing(profile, { ...table, argumentsOf: () => [] })).toEqual([]);
});
