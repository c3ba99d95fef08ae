// Work on recorded sessions: how far it is, how it ended, cancel. Knows nothing about what the work does.
import { ActButton, Panel } from "../parts.tsx";
import { nameOf } from "./browse.ts";
import { isOpen } from "./jobs.ts";
import type { Job } from "../../../shared/contract/index.ts";

const stateWords: Readonly<Record<Job["state"], string>> = { waiting: "○ waiting", running: "↻", done: "✓ done", failed: "■ not all went well", cancelled: "cancelled" };

export function JobsPanel({ jobs, mayOperate, onCancel }: { readonly jobs: readonly Job[]; readonly mayOperate: boolean; readonly onCancel: (jobId: string) => void }) {
  const open = jobs.filter(isOpen).length;
  return (
    <Panel name="jobs" title="Work" aside={<span>{open === 0 ? "" : `${open} under way, one after the other`}</span>}>
      {jobs.length === 0 ? <p className="waiting">Verifications, exports and imports stand here with their results</p> : null}
      <ol className="jobs">
        {jobs.map((job) => (
          <li key={job.id} data-testid="job" data-kind={job.kind} data-state={job.state}>
            <div className="job-head">
              <b>{job.title}</b>
              <span className={job.state === "failed" ? "state-unreadable" : job.state === "done" ? "good" : "quiet"}>{stateWords[job.state]}{job.state === "running" ? ` ${Math.round(job.share * 100)} %` : ""}</span>
              {mayOperate && isOpen(job) ? <ActButton className="chip" data-testid="cancel-job" onClick={() => onCancel(job.id)}>cancel</ActButton> : null}
            </div>
            {isOpen(job) ? <div className="job-bar" role="progressbar" aria-label={job.title} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(job.share * 100)}><i style={{ transform: `scaleX(${job.share})` }} /></div> : null}
            {job.state === "running" && job.stage !== "" ? <p className="quiet job-stage">{job.stage}</p> : null}
            <ul>
              {job.results.map((r, i) => (
                <li key={i} className={r.ok ? "" : "state-unreadable"} data-testid="job-result" data-ok={r.ok}>
                  {r.ok ? "✓" : "■"} {job.files.length > 1 || r.format !== null ? <b>{r.format ?? ""}{job.files.length > 1 ? ` ${nameOf(r.file)}` : ""} </b> : null}{r.message}
                  {r.path === null ? null : <code title={r.path}>{r.path}</code>}
                </li>
              ))}
            </ul>
          </li>
        ))}
      </ol>
    </Panel>
  );
}
