// Building blocks of every screen: panel, key cap, age, level mark, image, dialog. Knows nothing about sessions.
import { createContext, useContext, useEffect, useRef, type ReactNode } from "react";
import { formatAge } from "./format.ts";
import { useNowMs } from "./hooks.ts";
import { useImage } from "./images.ts";
import { phaseOf, type AgeOf } from "./uiState.ts";
import { useStore, useUi } from "./store.ts";
import type { Level } from "../../shared/contract/index.ts";

export function Key({ children }: { readonly children: ReactNode }) {
  return <kbd>{children}</kbd>;
}

const iconPaths = {
  back: "M13 2v12L3 8z", on: "M3 2v12l10-6z", farBack: "M8 2v12L0 8zM16 2v12L8 8z", farOn: "M0 2v12l8-6zM8 2v12l8-6z", hold: "M3 2h4v12H3zM9 2h4v12H9z",
} as const;

/** Drawn, not set: no font has all of them. */
export function Icon({ name }: { readonly name: keyof typeof iconPaths }) {
  return <svg className="icon" viewBox="0 0 16 16" aria-hidden="true"><path d={iconPaths[name]} /></svg>;
}

export function Panel(props: { readonly name: string; readonly title: ReactNode; readonly aside?: ReactNode; readonly age?: AgeOf; /** What comes several times a second: its age shows once nothing new has come for a second. null = nothing is to come. */ readonly since?: object | null; readonly children: ReactNode }) {
  return (
    <section className={`panel panel-${props.name}`} data-testid={`panel-${props.name}`}>
      <header className="panel-head">
        <h2>{props.title}</h2>
        {props.age === undefined ? null : <Age of={props.age} />}
        {props.since == null ? null : <AgeSince of={props.since} />}
        {props.aside === undefined ? null : <div className="panel-aside">{props.aside}</div>}
      </header>
      {props.children}
    </section>
  );
}

/** After how long a stream's silence is not normal while a session runs, ms. */
const lateAfterMs: Readonly<Record<AgeOf, number>> = { live: 1000, eye: 1000, screen: 12_000, presentation: 20_000, generation: Number.POSITIVE_INFINITY, view: 20_000, log: Number.POSITIVE_INFINITY, report: Number.POSITIVE_INFINITY, timing: 20_000 };

/** After how long the engine's own silence makes everything late, ms: it speaks ten times a second. */
const silentAfterMs = 2000;

/** How old a panel's data is, when that is over a second. */
function Age({ of }: { readonly of: AgeOf }) {
  const nowMs = useNowMs();
  const atMs = useStore().get().ages[of];
  const phase = useUi(phaseOf);
  const linkDown = useUi((s) => s.link === "down");
  // Read at the tick, not at every event.
  const { ages: { live: liveMs }, snapshot } = useStore().get();
  // In a break nothing is to come of images.
  const resting = snapshot?.live?.trialState === "break";
  const going = phase === "running" || phase === "paused" || phase === "stopping";
  const silent = linkDown || nowMs - (liveMs ?? nowMs) > silentAfterMs;
  // What never came yet is as old as the engine's last word, once that is late.
  const sinceMs = atMs ?? (silent ? liveMs : null);
  if (sinceMs === null || !going) return null;
  const ageMs = nowMs - sinceMs;
  if (ageMs < 1000) return null;
  const late = silent || (phase === "running" && !resting && ageMs > lateAfterMs[of]);
  return <span className={late ? "age late" : "age"} data-testid="age">{late ? "▲ " : ""}{formatAge(ageMs)} old</span>;
}

function AgeSince({ of }: { readonly of: object }) {
  const nowMs = useNowMs();
  const came = useRef({ of, atMs: nowMs });
  if (came.current.of !== of) came.current = { of, atMs: nowMs };
  const ageMs = nowMs - came.current.atMs;
  return ageMs < 1000 ? null : <span className="age late" data-testid="age">▲ {formatAge(ageMs)} old</span>;
}

const levelMarks: Readonly<Record<Level, { readonly mark: string; readonly word: string }>> = {
  ok: { mark: "●", word: "in order" }, warn: { mark: "▲", word: "warning" }, fault: { mark: "■", word: "fault" }, off: { mark: "○", word: "off" },
};

/** Shape and colour both tell the level. */
export function LevelMark({ level }: { readonly level: Level }) {
  return <span className={`level level-${level}`} role="img" aria-label={levelMarks[level].word}>{levelMarks[level].mark}</span>;
}

export function SessionImage(props: { readonly session: string; readonly file: string | null; readonly imageId: number | null; readonly alt: string }) {
  const image = useImage(props.session, props.file, props.imageId);
  return image === null ? <span className="image-wait" role="img" aria-label={props.alt} /> : <img className="session-image" src={image.url} alt={props.alt} draggable={false} />;
}

/** Gives a reward; null where there is none to give (no session, or a watching window). */
export const RewardContext = createContext<(() => void) | null>(null);

/** The one button that a dialog must not hide: everything behind a modal dialog is out of reach. */
export function RewardAnyway({ inline }: { /** In a line with other buttons, not in the corner of a dialog. */ readonly inline?: boolean }) {
  const reward = useContext(RewardContext);
  const pulseMs = useUi((s) => s.snapshot?.live?.reward.pulseMs ?? null);
  if (reward === null) return null;
  return <ActButton className={inline === true ? "reward-anyway inline" : "reward-anyway"} data-testid="reward-anyway" tabIndex={-1} onClick={reward}>Reward {pulseMs === null ? "" : `${pulseMs} ms`} <Key>R</Key><Key>F8</Key></ActButton>;
}

/** A modal dialog: Esc and the backdrop close it; focus comes back to where it was. The reward stays within reach. */
export function Dialog(props: { readonly title: ReactNode; readonly onClose: () => void; readonly wide?: boolean; readonly children: ReactNode; readonly testid?: string }) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = ref.current;
    if (dialog === null || dialog.open) return;
    dialog.showModal();
    // A dialog with nothing to choose would hold the focus there, where Enter gives juice.
    if (document.activeElement?.classList.contains("reward-anyway") === true) dialog.focus();
  }, []);
  return (
    <dialog
      ref={ref} tabIndex={-1}
      className={props.wide === true ? "wide" : ""}
      data-testid={props.testid}
      onCancel={(event) => {
        // A dialog inside this one says cancel through it.
        if (event.target !== ref.current) return;
        event.preventDefault();
        props.onClose();
      }}
      onClick={(event) => {
        if (event.target === ref.current) props.onClose();
      }}
    >
      <div className="dialog-body">
        <h3>{props.title}</h3>
        {props.children}
        <RewardAnyway />
      </div>
    </dialog>
  );
}

/** Asks once. Enter does it, Esc does not; Space does nothing, since it means pause everywhere else. */
export function Confirm(props: { readonly title: string; readonly text: ReactNode; readonly doIt: string; readonly leave: string; readonly onDo: () => void; readonly onClose: () => void }) {
  const go = useRef<HTMLButtonElement>(null);
  useEffect(() => go.current?.focus(), []);
  const ignoreSpace = (event: React.KeyboardEvent): void => {
    if (event.key === " ") event.preventDefault();
  };
  return (
    <Dialog title={props.title} onClose={props.onClose} testid="confirm-dialog">
      <p>{props.text}</p>
      <div className="dialog-buttons" onKeyDown={ignoreSpace} onKeyUp={ignoreSpace}>
        <button type="button" data-testid="cancel" onClick={props.onClose}>{props.leave} <Key>Esc</Key></button>
        <button type="button" data-testid="confirm" className="danger" ref={go} onClick={props.onDo}>{props.doIt} <Key>Enter</Key></button>
      </div>
    </Dialog>
  );
}

/** A button that leaves the keyboard's focus where it is when clicked: after a click on Reward, Space still means pause. */
export function ActButton({ children, ...rest }: React.ButtonHTMLAttributes<HTMLButtonElement>) {
  return <button type="button" onMouseDown={(event) => event.preventDefault()} {...rest}>{children}</button>;
}
