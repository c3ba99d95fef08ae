// Gaze against the fixation window. Knows nothing about trackers.
import { memo, useCallback } from "react";
import { drawGaze, type GazeView } from "../draw/gaze.ts";
import { useLiveCanvas } from "../hooks.ts";
import { Key, Panel } from "../parts.tsx";
import { readMs, useStore, useUi, useUiPaced } from "../store.ts";
import type { Area } from "../draw/area.ts";
import type { UiState } from "../uiState.ts";

const selectGaze = (s: UiState): UiState["gaze"] => s.gaze;

export const GazePanel = memo(function GazePanel({ acting }: { readonly acting: boolean }) {
  const store = useStore();
  const draw = useCallback((area: Area, gaze: GazeView["gaze"]) => drawGaze(area, { gaze, windowDeg: store.get().snapshot?.response.fixationWindowDeg ?? 1 }), [store]);
  const canvas = useLiveCanvas(selectGaze, draw);
  return (
    <Panel name="gaze" title="Gaze" age="eye" aside={<><GazeWords />{acting ? <span><Key>C</Key> recentre</span> : null}</>}>
      <canvas ref={canvas} data-testid="gaze" role="img" aria-label="Gaze and fixation window" />
    </Panel>
  );
});

const selectWords = (s: UiState): string => {
  if (s.gaze === null) return "";
  if (!s.gaze.valid) return "eye not seen";
  return s.gaze.inWindow ? "inside" : "outside";
};

const selectHold = (s: UiState): number | null => s.gaze?.holdFraction ?? null;

function GazeWords() {
  const where = useUi(selectWords);
  const hold = useUiPaced(selectHold, readMs);
  return (
    <>
      <b className={where === "inside" ? "good" : where === "" ? "" : "bad"}>{where}</b>
      {hold === null ? null : <span>held {Math.round(hold * 100)} %</span>}
    </>
  );
}
