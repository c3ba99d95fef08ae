// What windows ask of recorded sessions: verify, export, import, score otherwise, notes, and the timeline of a replay. Long work is a job;
// jobs run one after the other, each in a thread of its own. Knows nothing about formats or transport.
import { randomUUID } from "node:crypto";
import { basename } from "node:path";
import { openSession } from "../session/reader.ts";
import type { SessionReader } from "../session/reader.ts";
import type { Handlers, ImportArgs, Job, JobResult, SessionTimeline, WhatIfCurves } from "../shared/contract/index.ts";
import type { SessionInfo } from "../shared/records.ts";
import { fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { nsPerMs } from "../shared/units.ts";
import type { Caller } from "./engineTypes.ts";
import { exportSessions } from "./exportSession.ts";
import type { ExportJob } from "./exportSession.ts";
import { spanOf } from "./playback.ts";
import type { VerifyReport } from "./replay.ts";
import { addNote, mergeNotes, readNotes } from "../session/laterNotes.ts";
import { runTask } from "./sessionTasks.ts";
import type { WhatIfReport } from "./whatIf.ts";

export type SessionToolMethods =
  | "sessions.timeline" | "sessions.notes" | "sessions.note" | "sessions.mergeNotes" | "sessions.whatIf" | "sessions.verify" | "sessions.export" | "sessions.import" | "sessions.cancelJob" | "sessions.jobs";

export interface SessionTools {
  readonly handlers: Pick<Handlers<Caller>, SessionToolMethods>;
  /** Cancels what runs and waits for it. */
  close(): Promise<void>;
}

export interface SessionToolsOptions {
  readonly sessionFolder: string;
  readonly hostKind: SessionInfo["hostKind"];
  readonly onJob: (job: Job) => void;
}

interface Held {
  job: Job;
  readonly stop: AbortController;
  readonly work: (job: Progress, signal: AbortSignal) => Promise<readonly JobResult[]>;
}

type Progress = (share: number, stage: string, results?: readonly JobResult[]) => void;

const jobsKept = 30;
const said = ["cancelled", "exportCancelled"];

export function createSessionTools({ sessionFolder, hostKind, onJob }: SessionToolsOptions): SessionTools {
  const jobs: Held[] = [];
  let working: Promise<void> | null = null;
  let whatIfStop: AbortController | null = null;

  function change(held: Held, to: Partial<Job>): void {
    held.job = { ...held.job, ...to };
    onJob(held.job);
  }

  function add(kind: Job["kind"], title: string, files: readonly string[], work: Held["work"]): Result<{ readonly jobId: string }, Fault> {
    const held: Held = { job: { id: randomUUID(), kind, title, files: [...files], state: "waiting", share: 0, stage: "", results: [] }, stop: new AbortController(), work };
    jobs.unshift(held);
    jobs.splice(jobsKept);
    onJob(held.job);
    working ??= workOff().finally(() => { working = null; });
    return ok({ jobId: held.job.id });
  }

  async function workOff(): Promise<void> {
    for (let held = next(); held !== undefined; held = next()) {
      const mine = held;
      change(mine, { state: "running" });
      try {
        const results = await mine.work((share, stage, done) => change(mine, { share, stage, ...(done === undefined ? {} : { results: [...done] }) }), mine.stop.signal);
        const state = mine.stop.signal.aborted ? "cancelled" : results.every((r) => r.ok) ? "done" : "failed";
        change(mine, { state, share: state === "cancelled" ? mine.job.share : 1, stage: "", results: [...results] });
      } catch (error) {
        change(mine, { state: "failed", stage: "", results: [...mine.job.results, { file: mine.job.files[0] ?? "", format: null, ok: false, differs: false, message: `A defect ended this work: ${error instanceof Error ? error.message : String(error)}. The sessions are unharmed.`, path: null }] });
      }
    }
  }

  const next = (): Held | undefined => jobs.findLast((held) => held.job.state === "waiting");

  return {
    handlers: {
      "sessions.timeline": async ({ file }) => withReader(file, timelineOf),
      "sessions.notes": async ({ file }) => readNotes(file),
      "sessions.note": async ({ file, text }) => addNote(file, text, new Date().toISOString()),
      "sessions.mergeNotes": async ({ file, from }) => mergeNotes(file, from),
      "sessions.whatIf": async ({ file, windowStartMs, windowEndMs, target, optimizer }) => {
        // The newest question is the one that is looked at.
        whatIfStop?.abort();
        whatIfStop = new AbortController();
        const report = await runTask({
          kind: "whatIf", file,
          change: {
            ...(windowStartMs === undefined ? {} : { windowStartMs }), ...(windowEndMs === undefined ? {} : { windowEndMs }), ...(target === undefined ? {} : { target }),
            ...(optimizer === undefined ? {} : { optimizer }),
          },
        }, { signal: whatIfStop.signal });
        return report.ok ? ok(curvesOf(report.value)) : report;
      },
      "sessions.verify": async ({ files }) => add("verify", titleOf("Verify", files), files, async (progress, signal) => {
        const results: JobResult[] = [];
        for (const [i, file] of files.entries()) {
          if (signal.aborted) break;
          const stage = files.length === 1 ? "replaying" : `replaying ${basename(file)}, ${i + 1} of ${files.length}`;
          progress(i / files.length, stage, results);
          const known = withReader(file, (reader) => whyNot(reader, reader.generations().map((g) => g.optimizer)));
          const report = known.ok && known.value !== null ? fault("nothingToVerify", known.value) : await runTask({ kind: "verify", file }, { signal, onProgress: (share) => progress((i + share) / files.length, stage) });
          if (report.ok || !said.includes(report.error.code)) results.push(verifyResult(file, report));
        }
        return results;
      }),
      "sessions.export": async ({ files, formats, outDir, overwrite }) => add("export", `${titleOf("Export", files)} as ${formats.join(", ")}`, files, (progress, signal) => exportAll({ files, formats, outDir, overwrite, notedBy: hostKind }, progress, signal)),
      "sessions.import": async (args) => add("import", `Import ${basename(args.csvFile)}`, [args.csvFile], (progress, signal) => importOne(args, { folder: args.folder ?? sessionFolder, hostKind }, progress, signal)),
      "sessions.cancelJob": async ({ jobId }) => {
        const held = jobs.find(({ job }) => job.id === jobId);
        if (held === undefined) return fault("noJob", "That work is not known any more; there is nothing to cancel.");
        held.stop.abort();
        if (held.job.state === "waiting") change(held, { state: "cancelled" });
        return ok(null);
      },
      "sessions.jobs": async () => ok(jobs.map(({ job }) => job)),
    },
    async close() {
      whatIfStop?.abort();
      for (const held of jobs) {
        held.stop.abort();
        if (held.job.state === "waiting") held.job = { ...held.job, state: "cancelled" };
      }
      await working;
    },
  };
}

function titleOf(verb: string, files: readonly string[]): string {
  return files.length === 1 ? `${verb} ${basename(files[0] ?? "")}` : `${verb} ${files.length} sessions`;
}

async function exportAll(order: ExportJob, progress: Progress, signal: AbortSignal): Promise<readonly JobResult[]> {
  const outcomes = await exportSessions(order, { signal, onProgress: ({ file, format, index, count, done, stage }) => progress((index + done) / count, `${basename(file)} to ${format}: ${stage}`) });
  return outcomes.flatMap(({ file, format, result, notNoted }): JobResult[] => {
    if (!result.ok) return said.includes(result.error.code) ? [] : [{ file, format, ok: false, differs: false, message: result.error.message, path: null }];
    const { path, sizeBytes, checks } = result.value;
    return [{ file, format, ok: true, differs: false, message: `${(sizeBytes / 1e6).toFixed(1)} MB, ${checks.toLocaleString("en-US")} comparisons with the session equal${notNoted === null ? "" : `. Not noted in the session: ${notNoted}`}`, path }];
  });
}

async function importOne(args: ImportArgs, to: { readonly folder: string; readonly hostKind: SessionInfo["hostKind"] }, progress: Progress, signal: AbortSignal): Promise<readonly JobResult[]> {
  const result = await runTask({ kind: "import", order: { ...args, ...to, now: new Date().toISOString() } }, { signal, onProgress: (share) => progress(share, "reading images") });
  if (!result.ok) return said.includes(result.error.code) ? [] : [{ file: args.csvFile, format: null, ok: false, differs: false, message: result.error.message, path: null }];
  const { file, images, presentations, generations } = result.value;
  return [{ file, format: null, ok: true, differs: false, message: `${presentations} presentations of ${images} images in ${generations} generations`, path: file }];
}

function verifyResult(file: string, report: Result<VerifyReport, Fault>): JobResult {
  if (!report.ok) return { file, format: null, ok: false, differs: false, message: report.error.message, path: null };
  const { identical, compared, firstDifference: d, sessionSeconds, wallSeconds } = report.value;
  const records = Object.values(compared).reduce((sum, n) => sum + n, 0).toLocaleString("en-US");
  const message = identical || d === null
    ? `identical, ${records} records, ${(sessionSeconds / wallSeconds).toFixed(0)} times real time`
    : `differs first at record ${d.seq} (${d.kind}${d.field === "" ? "" : `, ${d.field}`}): recorded ${d.recorded}, replayed ${d.replayed}`;
  return { file, format: null, ok: identical, differs: !identical, message, path: null };
}

function curvesOf(report: WhatIfReport): WhatIfCurves {
  const s = report.surrogate;
  return {
    windowStartMs: report.windowStartMs, windowEndMs: report.windowEndMs, target: report.target,
    generations: report.generations.map(({ generation, recorded, otherwise }) => ({ generation, recorded: ratesOf(recorded), otherwise: ratesOf(otherwise) })),
    surrogate: s === null ? null : { optimizer: s.optimizer, r2: orNull(s.r2), recordedOptimizer: s.recordedOptimizer.map(orNull), otherOptimizer: s.otherOptimizer.map(orNull) },
  };
}

function ratesOf({ evolved, reference }: { readonly evolved: number; readonly reference: number }): { readonly evolved: number | null; readonly reference: number | null } {
  return { evolved: orNull(evolved), reference: orNull(reference) };
}

/** The times at which a playback of the file gets there: by the same sums, so that seeking to one takes in its very record. */
function timelineOf(reader: SessionReader): SessionTimeline {
  const runs = reader.runs().map((run) => ({ ...run, ...spanOf(reader, run) }));
  const starts: number[] = [];
  let durationMs = 0;
  for (const run of runs) {
    starts.push(durationMs);
    durationMs += (run.toNs - run.fromNs) / nsPerMs;
  }
  const at = ({ seq, hostNs }: { readonly seq: number; readonly hostNs: number }): number => {
    const i = Math.max(0, runs.findLastIndex((run) => run.firstSeq <= seq));
    return (starts[i] ?? 0) + (hostNs - (runs[i]?.fromNs ?? 0)) / nsPerMs;
  };
  const generations = reader.generations();
  return {
    durationMs, generations: generations.map((g) => ({ thread: g.thread, generation: g.generation, atMs: at(g) })),
    steps: [...Map.groupBy(reader.steps().filter((s) => s.state === "begun"), (s) => s.step)].flatMap(([step, [first]]) => (first === undefined ? [] : [{ step, protocol: first.protocol, title: first.title, atMs: at(first) }])),
    presentationsMs: reader.presentations().map(at), resumedMs: starts.slice(1), notReplayable: whyNot(reader, generations.map((g) => g.optimizer)),
  };
}

function whyNot(reader: SessionReader, optimizers: readonly string[]): string | null {
  if (optimizers.includes("imported")) return "An imported evolution holds responses and images, but no spikes, gaze or decisions to replay.";
  if (optimizers.length === 0) return `No generation was finished in ${basename(reader.file)}: there is no decision to replay yet.`;
  return null;
}

function withReader<T>(file: string, use: (reader: SessionReader) => T): Result<T, Fault> {
  const opened = openSession(file);
  if (!opened.ok) return opened;
  try {
    return ok(use(opened.value));
  } finally {
    opened.value.close();
  }
}

function orNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
