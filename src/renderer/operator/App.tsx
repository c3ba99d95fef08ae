// Chooses the screen: start, running session, or review of a recorded one. Knows nothing about panels.
import { Component, useCallback, useEffect, useMemo, useState } from "react";
import { Console } from "./Console.tsx";
import { createDeeds, type Notice } from "./commands.ts";
import { createPlayer, type Player } from "./replay/player.ts";
import { SessionsScreen } from "./sessions/SessionsScreen.tsx";
import { StartScreen } from "./start/StartScreen.tsx";
import { createStore, StoreContext, useStore, useUi } from "./store.ts";
import { openSubjectScreen } from "./subjectScreen.ts";
import { emptyState, foldState, phaseOf } from "./uiState.ts";
import type { UiStore } from "./store.ts";
import type { RendererClient } from "../client.ts";
import type { SessionConfig, SessionSummary } from "../../shared/contract/index.ts";

interface Reviewed {
  readonly store: UiStore;
  readonly summary: SessionSummary;
  readonly player: Player;
}

const noticeMs = 8000;

export function App({ client }: { readonly client: RendererClient }) {
  const store = useStore();
  const phase = useUi(phaseOf);
  const known = useUi((s) => s.snapshot !== null);
  const [notice, setNotice] = useState<Notice | null>(null);
  const [review, setReview] = useState<Reviewed | null>(null);
  const [browsing, setBrowsing] = useState(false);
  const [chosenFile, setChosenFile] = useState<string | null>(null);
  const [displayId, setDisplayId] = useState<string | null>(null);
  const deeds = useMemo(() => createDeeds(client, store, (n) => setNotice({ ...n, atMs: performance.now() })), [client, store]);

  useEffect(() => {
    if (notice === null) return;
    const timer = setTimeout(() => setNotice(null), notice.severity === "fault" ? noticeMs : noticeMs / 3);
    return () => clearTimeout(timer);
  }, [notice]);

  const openScreen = useCallback(() => {
    void openSubjectScreen(client, displayId).then((opened) => {
      if (!opened.ok) setNotice({ severity: "fault", text: opened.error.message, atMs: performance.now() });
    });
  }, [client, displayId]);

  const start = useCallback(async (config: SessionConfig): Promise<string | null> => {
    setDisplayId(config.display.displayId);
    // First the window: it needs the very click (or key) that this is.
    const opened = config.display.kind === "window" ? await openSubjectScreen(client, config.display.displayId) : null;
    if (opened !== null && !opened.ok) return opened.error.message;
    const answer = await deeds.start(config);
    return answer.ok ? null : answer.error.message;
  }, [client, deeds]);

  const openReview = useCallback((summary: SessionSummary) => {
    void client.call("sessions.open", { file: summary.file }).then((answer) => {
      if (!answer.ok) return setNotice({ severity: "fault", text: answer.error.message, atMs: performance.now() });
      const base = { ...emptyState, app: store.get().app };
      const reviewed = createStore(foldState(base, { type: "review", file: summary.file, snapshot: answer.value }));
      setReview({ summary, store: reviewed, player: createPlayer({ client, store: reviewed, file: summary.file, recorded: answer.value, nowMs: () => performance.now() }) });
    });
  }, [client, store]);

  useEffect(() => () => review?.player.close(), [review]);

  const idle = phase === "idle" || phase === "review";
  useEffect(() => { document.title = titleOf(phase); }, [phase]);
  // A session that starts while a review is open (in another window, say) is what counts.
  useEffect(() => {
    if (idle) return;
    setReview(null);
    setBrowsing(false);
  }, [idle]);

  if (!known) return <Waiting client={client} />;
  if (!idle) return <Console client={client} deeds={deeds} notice={notice} onOpenScreen={openScreen} review={null} />;
  if (review !== null) {
    const { summary } = review;
    return (
      <StoreContext value={review.store}>
        <Console
          client={client} deeds={deeds} notice={notice} onOpenScreen={openScreen}
          review={{ file: summary.file, player: review.player, interrupted: summary.state === "interrupted", onClose: () => setReview(null), onResume: () => void deeds.resumeRecorded(summary.file) }}
        />
      </StoreContext>
    );
  }
  if (browsing) return <SessionsScreen client={client} deeds={deeds} notice={notice} chosen={chosenFile} onChoose={setChosenFile} onOpen={openReview} onClose={() => setBrowsing(false)} />;
  return <StartScreen client={client} notice={notice} onStart={start} onOpenScreen={openScreen} onReview={openReview} onBrowse={() => setBrowsing(true)} />;
}

function titleOf(phase: string): string {
  return phase === "idle" ? "Evoked" : `${phase.charAt(0).toUpperCase()}${phase.slice(1)} · Evoked`;
}

function Waiting({ client }: { readonly client: RendererClient }) {
  const link = useUi((s) => s.link);
  const [slow, setSlow] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setSlow(true), 800);
    return () => clearTimeout(timer);
  }, []);
  return <div className="first-link">{slow ? <p>{link === "down" ? (client.downReason ?? "No link to the engine. This page needs the whole address that Evoked printed. Trying again.") : "Linking to the engine"}</p> : null}</div>;
}

/** A defect in one window must not look like a quiet session. */
export class Catcher extends Component<{ readonly children: React.ReactNode }, { readonly error: Error | null }> {
  override state: { readonly error: Error | null } = { error: null };
  static getDerivedStateFromError(error: Error): { readonly error: Error } {
    return { error };
  }
  override render(): React.ReactNode {
    if (this.state.error === null) return this.props.children;
    return (
      <div className="first-link" role="alert">
        <p>■ A defect stopped this window: {this.state.error.message}. The session goes on in the engine.</p>
        <button type="button" onClick={() => window.location.reload()} autoFocus>Load the window again</button>
      </div>
    );
  }
}

/** Pictures in shades of one dim red, for the red theme's style sheet to refer to. */
export function RedImageFilter() {
  return (
    <svg width="0" height="0" aria-hidden="true" className="defs">
      <filter id="red-image" colorInterpolationFilters="sRGB"><feColorMatrix type="matrix" values="0.3 0.62 0.1 0 0.03  0.05 0.13 0.01 0 0  0.04 0.1 0.01 0 0  0 0 0 1 0" /></filter>
    </svg>
  );
}
