// The parts of the console that only a recorded session has: its header, the image of a generation, its facts.
// Knows nothing about how sessions are stored.
import { formatCount, formatDate, formatDuration, formatRate } from "./format.ts";
import { hasPlan, Wordmark } from "./Header.tsx";
import { PlanStrip } from "./plan/PlanStrip.tsx";
import { ActButton, Key, Panel, SessionImage } from "./parts.tsx";
import { useUi } from "./store.ts";
import { channelLabel, targetOf } from "./uiState.ts";
import { useJobs, verificationOf, type Verification } from "./sessions/jobs.ts";
import type { Action } from "./keys.ts";
import type { ReviewOf } from "./Console.tsx";
import type { EngineClient, GalleryItem } from "../../shared/contract/index.ts";

export function ReviewHeader({ client, review, mayOperate, run }: { readonly client: EngineClient; readonly review: ReviewOf; readonly mayOperate: boolean; readonly run: (action: Action) => void }) {
  const session = useUi((s) => s.snapshot?.session ?? null);
  const progress = useUi((s) => s.snapshot?.live?.progress ?? null);
  const replaying = useUi((s) => s.replaying);
  const planned = useUi(hasPlan);
  const verification = verificationOf(useJobs(client), review.file);
  return (
    <header className="top review-top">
      <Wordmark />
      <div className="who"><b>{session?.subject ?? "–"}</b><span>{session === null ? "" : session.rig}</span></div>
      <span className="pill recorded" data-testid="phase" data-phase="review"><i aria-hidden="true">↺</i>{replaying ? "Replay, recorded" : "Recorded"} {session === null ? "" : formatDate(session.startedUtc)}</span>
      {review.interrupted ? <span className="caution">▲ interrupted</span> : null}
      {planned ? <PlanStrip short /> : <span className="grow" />}
      <VerificationWord verification={verification} />
      <dl className="times">
        {progress === null ? null : <div><dt>{replaying ? "presentations then" : "presentations"}</dt><dd>{formatCount(progress.presentations)}</dd></div>}
        {progress === null ? null : <div><dt>{replaying ? "into the session" : "lasted"}</dt><dd>{formatDuration(progress.elapsedMs)}</dd></div>}
      </dl>
      {mayOperate ? <ActButton data-testid="what-if-button" onClick={() => run("whatIf")}>What if <Key>I</Key></ActButton> : null}
      {mayOperate ? <ActButton data-testid="verify-button" disabled={verification?.state === "waiting"} onClick={() => run("verify")}>Verify <Key>K</Key></ActButton> : null}
      <ActButton data-testid="notes-button" onClick={() => run("laterNote")}>Notes <Key>M</Key></ActButton>
      {review.interrupted && mayOperate ? <ActButton className="primary" data-testid="resume-button" onClick={review.onResume}>Resume the session <Key>U</Key></ActButton> : null}
      <ActButton data-testid="close-review" onClick={review.onClose}>Close <Key>Esc</Key></ActButton>
    </header>
  );
}

export function VerificationWord({ verification }: { readonly verification: Verification | null }) {
  if (verification === null) return null;
  const { state, share, message } = verification;
  if (state === "waiting") return <span className="verify-state quiet" data-testid="verification" data-state={state}>{share === 0 ? "○ to be verified" : `↻ verifying ${Math.round(share * 100)} %`}</span>;
  return <span className={`verify-state ${state === "identical" ? "good" : state === "different" ? "state-unreadable" : "caution"}`} data-testid="verification" data-state={state} title={message}>{state === "identical" ? "✓" : state === "different" ? "■" : "▲"} {message}</span>;
}

/** In the place of the subject's screen: the image of the generation, large. */
export function ReviewScreenPanel({ items, standing }: { readonly items: readonly GalleryItem[]; readonly standing: number | null }) {
  const session = useUi((s) => s.snapshot?.session?.id ?? "");
  const file = useUi((s) => s.file);
  const item = standing === null ? items.at(-1) : (items.findLast((i) => i.generation <= standing) ?? items[0]);
  return (
    <Panel name="screen" title={item === undefined ? "No image" : `Generation ${item.generation}`} aside={item === undefined ? null : <span><b>{formatRate(item.rateHz)}</b> spikes/s</span>}>
      <div className="large-image">{item === undefined ? <p className="waiting">No generation was completed</p> : <SessionImage session={session} file={file} imageId={item.imageId} alt={`Image of generation ${item.generation}`} />}</div>
    </Panel>
  );
}

export function SessionFacts() {
  const session = useUi((s) => s.snapshot?.session ?? null);
  const progress = useUi((s) => s.snapshot?.live?.progress ?? null);
  const target = useUi((s) => channelLabel(s.snapshot?.channels.find((c) => c.index === targetOf(s)), targetOf(s) ?? undefined));
  if (session === null) return <Panel name="facts" title="Session"><p className="waiting">The file says nothing about itself</p></Panel>;
  const all: readonly (readonly [string, string])[] = [
    ["Target", target], ["Rig", session.rig], ["Generator", session.generator], ["Optimizer", session.optimizer], ["Computed on", session.provider], ["Seed", String(session.seed)],
    ...(progress === null ? [] : [["Presentations", `${formatCount(progress.presentations)}, ${formatCount(progress.excluded)} excluded`] as const]),
    ["File", session.file.split(/[\\/]/).at(-1) ?? session.file],
  ];
  // An imported session does not know all of it.
  const rows = all.filter(([, value]) => value !== "");
  return (
    <Panel name="facts" title="Session">
      <dl className="facts">{rows.map(([name, value]) => <div key={name}><dt>{name}</dt><dd title={value}>{value}</dd></div>)}</dl>
    </Panel>
  );
}
