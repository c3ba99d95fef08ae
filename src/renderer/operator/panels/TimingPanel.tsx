// How the subject's screen keeps time: missed frames, onsets against the plan, lag of the light. Knows nothing about how it is measured.
import { memo } from "react";
import { drawTiming } from "../draw/timing.ts";
import { formatCount } from "../format.ts";
import { useLiveCanvas } from "../hooks.ts";
import { Panel } from "../parts.tsx";
import { useUi } from "../store.ts";
import type { FrameTiming } from "../../../shared/contract/index.ts";
import type { UiState } from "../uiState.ts";

const selectTiming = (s: UiState): FrameTiming | null => s.snapshot?.timing ?? null;

export const TimingPanel = memo(function TimingPanel() {
  const timing = useUi(selectTiming);
  const canvas = useLiveCanvas(selectTiming, drawTiming);
  return (
    <Panel name="timing" title="Frame timing" age="timing" aside={timing === null ? null : <span className="quiet">{timing.refreshHz === null ? "" : `${timing.refreshHz.toFixed(1)} Hz`}</span>}>
      {timing === null ? <p className="waiting">No image has been shown yet</p> : (
        <>
          <dl className="timing-figures">
            <div className={timing.missed > 0 ? "is-missed" : ""}><dd data-testid="timing-missed" data-images={timing.images}>{timing.missed > 0 ? "▲ " : ""}{formatCount(timing.missed)}</dd><dt>of {formatCount(timing.images)} missed frames</dt></div>
            <div><dd>{timing.deviationMsMax.toFixed(1)}<small>ms</small></dd><dt>furthest off plan</dt></div>
            <div><dd data-testid="timing-lag">{timing.lag.n === 0 ? "–" : <>{timing.lag.meanMs.toFixed(1)}<small>ms</small></>}</dd><dt>lag{timing.lag.n < 2 ? "" : `, SD ${timing.lag.sdMs.toFixed(2)}`}</dt></div>
          </dl>
          <canvas ref={canvas} data-testid="frame-timing" role="img" aria-label="Deviation of the last images from their plan, and the distribution of the display's lag" title="Above: the last 150 images, flip less plan in ms; a red column missed frames. Below: images by lag from flip to light, logarithmic." />
        </>
      )}
    </Panel>
  );
});
