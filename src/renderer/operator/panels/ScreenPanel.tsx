// What the subject sees now, and what the target said to the last images. Knows nothing about the stimulus window itself.
import { memo, useCallback, useMemo } from "react";
import { drawMirror } from "../draw/mirror.ts";
import { kindOf, kindWords } from "../draw/psth.ts";
import { drawThumbs } from "../draw/thumbs.ts";
import { formatRate, formatRemaining } from "../format.ts";
import { useLiveCanvas } from "../hooks.ts";
import { useImages } from "../images.ts";
import { ActButton, Key, Panel } from "../parts.tsx";
import { readMs, useStore, useUi, useUiPaced } from "../store.ts";
import type { Area } from "../draw/area.ts";
import type { Commands } from "../commands.ts";
import { phaseOf, type UiState } from "../uiState.ts";

const shownImages = 5;

const trialWords: Readonly<Record<string, string>> = {
  waitFixation: "waiting for the gaze", waitImages: "next images on their way", break: "break", hold: "holding fixation", images: "showing images", interTrial: "between trials",
  timeOut: "time-out", reward: "reward", blanking: "images taken off", stopped: "no trials",
};

/** The mirror runs this far behind: an image that is on for 100 ms must reach this window before its turn. */
const mirrorDelayMs = 200;

interface Delayed {
  get(): UiState["screen"];
  subscribe(listener: () => void): () => void;
}

/** What the screen showed `mirrorDelayMs` ago; images are asked for at once. */
function useDelayedScreen(): Delayed {
  const store = useStore();
  const images = useImages();
  return useMemo(() => {
    const listeners = new Set<() => void>();
    let shown = store.get().screen;
    let heard = shown;
    const listen = (): void => {
      const { screen, snapshot, file } = store.get();
      if (screen === heard) return;
      heard = screen;
      if (screen?.imageId != null) images.get(snapshot?.session?.id ?? "", file, screen.imageId);
      store.drawAt(performance.now() + mirrorDelayMs, () => {
        shown = screen;
        for (const listener of listeners) listener();
      });
    };
    return {
      get: () => shown,
      subscribe(listener) {
        const stop = store.onEvery(listen);
        listeners.add(listener);
        return () => {
          stop();
          listeners.delete(listener);
        };
      },
    };
  }, [store, images]);
}

const selectNothing = (): null => null;

export const ScreenPanel = memo(function ScreenPanel({ commands }: { readonly commands: Commands | null }) {
  const images = useImages();
  const store = useStore();
  const delayed = useDelayedScreen();
  const draw = useCallback((area: Area) => {
    const screen = delayed.get();
    const imageId = screen?.imageId ?? null;
    const held = imageId === null ? null : images.get(store.get().snapshot?.session?.id ?? "", store.get().file, imageId);
    drawMirror(area, { image: held?.element ?? null, lit: imageId !== null, fixation: screen?.fixation === true });
  }, [delayed, images, store]);
  const canvas = useLiveCanvas(selectNothing, draw, 0, delayed.subscribe);
  const resting = useUi(isResting);
  return (
    <Panel name="screen" title={resting ? "Break" : "On the subject's screen"} age="screen" aside={<><Where />{commands === null ? null : <EndBreak commands={commands} />}</>}>
      <div className="mirror"><canvas ref={canvas} data-testid="screen-mirror" role="img" aria-label="Mirror of the subject's screen" title={`Mirror, ${mirrorDelayMs / 1000} s behind the screen`} /></div>
      <LastImages />
    </Panel>
  );
});

function Where() {
  const place = useUiPaced(selectPlace, readMs);
  return <span>{place}</span>;
}

const isResting = (s: UiState): boolean => phaseOf(s) === "running" && s.snapshot?.live?.trialState === "break";

/** Only while there is a break. */
function EndBreak({ commands }: { readonly commands: Commands }) {
  const resting = useUi(isResting);
  return resting ? <ActButton className="chip" data-testid="end-break" onClick={() => commands.run("endBreak")}>end it <Key>O</Key></ActButton> : null;
}

const selectPlace = (s: UiState): string => {
  const phase = phaseOf(s);
  if (phase !== "running" && phase !== "paused" && !s.replaying) return "";
  const state = s.snapshot?.live?.trialState ?? "";
  if (state === "break") return `${formatRemaining(s.snapshot?.live?.breakLeftMs ?? null)} left`;
  if (s.screen !== null && s.screen.imageInTrial > 0 && state === "images") return `image ${s.screen.imageInTrial} of ${s.screen.imagesInTrial}`;
  return trialWords[state] ?? state;
};

const selectPresentations = (s: UiState): UiState["presentations"] => s.presentations;

/** Newest first. */
const newest = (presentations: UiState["presentations"]): UiState["presentations"] => presentations.slice(-shownImages).toReversed();

function LastImages() {
  const shown = newest(useUiPaced(selectPresentations, readMs));
  const canvas = useThumbs();
  return (
    <ol className="last-images" aria-label="Last images, newest first">
      <li className="thumbs" aria-hidden="true"><canvas ref={canvas} /></li>
      {Array.from({ length: shownImages }, (_, i) => {
        const p = shown[i];
        if (p === undefined) return <li key={`place ${i}`} className="empty"><span className="thumb" /><b>–</b></li>;
        const kind = kindOf(p);
        const word = kindWords[p.kind] ?? p.kind;
        return (
          // By place, not by image: the same five elements for good.
          <li key={`place ${i}`} className={p.excluded === null ? kind : `${kind} excluded`} title={p.excluded === null ? word : `${word}, does not count: ${p.excluded}`}>
            <span className="thumb" role="img" aria-label={`${word} image ${p.imageId}`} data-testid="last-image" data-image={p.imageId} />
            <b>{p.excluded === null ? formatRate(p.rateHz) : "again"}</b>
          </li>
        );
      })}
      <li className="unit">spikes/s, newest first</li>
    </ol>
  );
}

function useThumbs(): React.RefCallback<HTMLCanvasElement> {
  const images = useImages();
  const store = useStore();
  const { draw, also } = useMemo(() => {
    /** One that was drawn had not come yet. */
    let waits = false;
    return {
      draw(area: Area, presentations: UiState["presentations"]): void {
        const { snapshot, file } = store.get();
        const shown = newest(presentations);
        const thumbs = Array.from({ length: shownImages }, (_, i) => {
          const p = shown[i];
          return { image: p === undefined ? null : (images.get(snapshot?.session?.id ?? "", file, p.imageId)?.element ?? null), faded: p?.excluded != null };
        });
        waits = thumbs.some((t, i) => t.image === null && i < shown.length);
        drawThumbs(area, thumbs);
      },
      also: (listener: () => void): (() => void) => images.subscribe(() => { if (waits) listener(); }),
    };
  }, [images, store]);
  return useLiveCanvas(selectPresentations, draw, readMs, also);
}
