// The parts of the console that only a recorded session has: its header, the scrubber over generations, its facts.
// Knows nothing about how sessions are stored.
import { formatCount, formatDate, formatDuration, formatRate } from "./format.ts";
import { Wordmark } from "./Header.tsx";
import { ActButton, Key, Panel, SessionImage } from "./parts.tsx";
import { useUi } from "./store.ts";
import { channelLabel, targetOf } from "./uiState.ts";
import type { Notice } from "./commands.ts";
import type { ReviewOf } from "./Console.tsx";
import type { GalleryItem } from "../../shared/contract/index.ts";

export function ReviewHeader({ review, mayOperate }: { readonly review: ReviewOf; readonly mayOperate: boolean }) {
  const session = useUi((s) => s.snapshot?.session ?? null);
  const elapsedMs = useUi((s) => s.snapshot?.live?.progress.elapsedMs ?? null);
  return (
    <header className="top">
      <Wordmark />
      <div className="who"><b>{session?.subject ?? "–"}</b><span>{session === null ? "" : formatDate(session.startedUtc)}</span></div>
      <span className="pill phase-review" data-testid="phase" data-phase="review"><i aria-hidden="true">↺</i>Review{review.interrupted ? ", interrupted" : ""}</span>
      <span className="grow" />
      <dl className="times"><div><dt>lasted</dt><dd>{formatDuration(elapsedMs)}</dd></div></dl>
      {review.interrupted && mayOperate ? <ActButton className="primary" data-testid="resume-button" onClick={review.onResume}>Resume the session <Key>U</Key></ActButton> : null}
      <ActButton data-testid="close-review" onClick={review.onClose}>Close <Key>Esc</Key></ActButton>
    </header>
  );
}

export function ReviewLine(props: { readonly generations: readonly number[]; readonly standing: number | null; readonly playing: boolean; readonly onStand: (generation: number) => void; readonly onPlay: () => void; readonly notice: Notice | null }) {
  const last = props.generations.at(-1) ?? 0;
  const at = props.standing ?? last;
  if (props.notice?.severity === "fault") return <p className="status fault" role="alert" data-testid="notice">■ {props.notice.text}</p>;
  return (
    <div className="status review">
      <ActButton onClick={props.onPlay}>{props.playing ? "Hold" : "Play"} <Key>Space</Key></ActButton>
      <span>Generation <b data-testid="review-generation">{at}</b> of {last}</span>
      <input
        type="range" min={props.generations[0] ?? 0} max={last} step={1} value={at} data-testid="scrubber" aria-label="Generation"
        onChange={(event) => props.onStand(Number(event.target.value))}
        onPointerUp={(event) => event.currentTarget.blur()}
      />
      <span className="quiet"><Key>←</Key> <Key>→</Key></span>
    </div>
  );
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
  const rows: readonly (readonly [string, string])[] = [
    ["Target", target], ["Rig", session.rig], ["Generator", session.generator], ["Optimizer", session.optimizer], ["Computed on", session.provider], ["Seed", String(session.seed)],
    ...(progress === null ? [] : [["Presentations", `${formatCount(progress.presentations)}, ${formatCount(progress.excluded)} excluded`] as const]),
    ["File", session.file.split(/[\\/]/).at(-1) ?? session.file],
  ];
  return (
    <Panel name="facts" title="Session">
      <dl className="facts">{rows.map(([name, value]) => <div key={name}><dt>{name}</dt><dd title={value}>{value}</dd></div>)}</dl>
    </Panel>
  );
}
