// Gaze as it comes, and the calibration: points one after the other on the subject's screen, taken by hand while the eye is still. Knows nothing
// about trackers.
import { useState } from "react";
import { ActButton, Key, Panel } from "../operator/parts.tsx";
import { gazeDeg } from "../../shared/eyeCalibration.ts";
import { calibrationWords } from "./rigView.ts";
import type { EyeAction, RigState } from "../../shared/contract/index.ts";

export function EyePanel({ state, mayOperate, onAct, onAccept }: { readonly state: RigState | null; readonly mayOperate: boolean; readonly onAct: (action: EyeAction) => void; readonly onAccept: () => void }) {
  const [points, setPoints] = useState<5 | 9>(9);
  const [model, setModel] = useState<"affine" | "quadratic">("affine");
  const [reachDeg, setReachDeg] = useState(6);
  const calibration = state?.calibration ?? null;
  const taken = calibration?.taken.filter((t) => t !== null).length ?? 0;
  const usable = mayOperate && state !== null && state.gaze.canCalibrate;
  return (
    <Panel name="rig-gaze" title="Gaze" since={state} aside={<span className="quiet">{state === null ? "" : state.gaze.seen ? "eye seen" : "eye not seen"}{state?.gaze.rawX == null ? "" : ` · raw ${state.gaze.rawX.toFixed(1)}, ${state.gaze.rawY?.toFixed(1) ?? ""}`}</span>}>
      <GazePlot state={state} reachDeg={calibration === null ? 10 : Math.max(...calibration.targets.map((t) => Math.abs(t.xDeg))) * 1.4} />
      <p className={calibration?.fit != null && calibration.fit.rmsDeg > 1 ? "warn" : "quiet"} role="status" data-testid="rig-calibration">{state === null ? "" : calibrationWords(state)}</p>
      {calibration === null ? (
        <div className="rig-calibrate">
          <div className="segments" role="radiogroup" aria-label="Points">{([5, 9] as const).map((n) => <button key={n} type="button" role="radio" aria-checked={points === n} onClick={() => { setPoints(n); if (n === 5) setModel("affine"); }}>{n} points</button>)}</div>
          <div className="segments" role="radiogroup" aria-label="Fit">{(["affine", "quadratic"] as const).map((m) => <button key={m} type="button" role="radio" aria-checked={model === m} disabled={m === "quadratic" && points === 5} onClick={() => setModel(m)}>{m}</button>)}</div>
          <label className="input"><span className="unit">±</span><input type="number" min={1} max={20} step={0.5} value={reachDeg} aria-label="Reach" onChange={(event) => { if (event.target.valueAsNumber >= 1 && event.target.valueAsNumber <= 20) setReachDeg(event.target.valueAsNumber); }} /><span className="unit">°</span></label>
          <ActButton className="primary" data-testid="rig-calibrate" disabled={!usable} onClick={() => onAct({ action: "begin", points, model, reachDeg })}>Calibrate</ActButton>
          <ActButton data-testid="rig-recentre" disabled={!mayOperate || state === null} title="Where the eye looks now is the middle" onClick={() => onAct({ action: "recentre" })}>Recentre <Key>Z</Key></ActButton>
        </div>
      ) : calibration.state === "showing" ? (
        <div className="rig-calibrate">
          <b className="number">Point {(calibration.at ?? 0) + 1} of {calibration.targets.length}</b>
          <span className="quiet">{calibration.stillness === null ? "eye not seen" : `moves by ${calibration.stillness.toFixed(2)}`}</span>
          <ActButton className="primary" data-testid="rig-take" disabled={calibration.stillness === null} onClick={() => onAct({ action: "take" })}>Take <Key>Space</Key></ActButton>
          <ActButton onClick={() => onAct({ action: "skip" })}>Skip <Key>S</Key></ActButton>
          <ActButton disabled={taken === 0} onClick={() => onAct({ action: "back" })}>Once more <Key>⌫</Key></ActButton>
          <ActButton onClick={() => onAct({ action: "cancel" })}>Cancel <Key>Esc</Key></ActButton>
        </div>
      ) : (
        <div className="rig-calibrate">
          <b className="number" data-testid="rig-fit">{calibration.fit === null ? "no fit" : `${calibration.fit.rmsDeg.toFixed(2)}° residual`}</b>
          <span className="quiet">{taken} of {calibration.targets.length} points</span>
          <ActButton className="primary" data-testid="rig-accept" disabled={calibration.fit === null} onClick={onAccept}>Accept</ActButton>
          <ActButton onClick={() => onAct({ action: "back" })}>Last point again <Key>⌫</Key></ActButton>
          <ActButton onClick={() => onAct({ action: "cancel" })}>Discard <Key>Esc</Key></ActButton>
        </div>
      )}
    </Panel>
  );
}

const sidePx = 400;

function GazePlot({ state, reachDeg }: { readonly state: RigState | null; readonly reachDeg: number }) {
  const scale = (0.47 * sidePx) / reachDeg;
  const place = (xDeg: number, yDeg: number): readonly [number, number] => [sidePx / 2 + clamp(xDeg, reachDeg) * scale, sidePx / 2 - clamp(yDeg, reachDeg) * scale];
  const calibration = state?.calibration ?? null;
  const gaze = state?.gaze;
  const trace = gaze === undefined ? [] : gaze.xDeg.map((x, i) => place(x, gaze.yDeg[i] ?? 0).map((v) => v.toFixed(1)).join(","));
  const last = gaze === undefined || gaze.xDeg.length === 0 ? null : place(gaze.xDeg.at(-1) ?? 0, gaze.yDeg.at(-1) ?? 0);
  const rings = [reachDeg / 4, reachDeg / 2, reachDeg].map((r) => Math.round(r * 10) / 10);
  // Without a calibration degrees mean nothing: only the points are drawn.
  const inDegrees = gaze !== undefined && (gaze.isCalibrated || !gaze.canCalibrate);
  return (
    <svg className="rig-gaze-plot" viewBox={`0 0 ${sidePx} ${sidePx}`} role="img" aria-label="Gaze in degrees">
      {rings.map((r) => <g key={r}><circle cx={sidePx / 2} cy={sidePx / 2} r={r * scale} className="ring" /><text x={sidePx / 2 + 4} y={sidePx / 2 - r * scale + 12} className="tick">{r}°</text></g>)}
      <path d={`M${sidePx / 2} 0V${sidePx}M0 ${sidePx / 2}H${sidePx}`} className="axis" />
      {inDegrees && trace.length > 1 ? <polyline points={trace.join(" ")} className="trace" /> : null}
      {inDegrees && last !== null ? <circle cx={last[0]} cy={last[1]} r={5} className={gaze.seen ? "gaze" : "gaze lost"} /> : null}
      {calibration?.targets.map((t, i) => {
        const [x, y] = place(t.xDeg, t.yDeg);
        const point = calibration.taken[i] ?? null;
        const seen = point === null || calibration.fit === null ? null : gazeDeg(calibration.fit, point.rawX, point.rawY);
        const [sx, sy] = seen === null ? [x, y] : place(seen.xDeg, seen.yDeg);
        const rejected = calibration.fit?.rejected.includes(i) === true;
        return (
          <g key={`${t.xDeg},${t.yDeg}`}>
            <circle cx={x} cy={y} r={calibration.at === i ? 13 : 8} className={calibration.at === i ? "target now" : point === null ? "target" : "target taken"} />
            {seen === null ? null : <><line x1={x} y1={y} x2={sx} y2={sy} className={rejected ? "residual rejected" : "residual"} /><circle cx={sx} cy={sy} r={4} className={rejected ? "found rejected" : "found"} /></>}
          </g>
        );
      })}
    </svg>
  );
}

function clamp(value: number, reach: number): number {
  return Math.max(-reach * 1.05, Math.min(reach * 1.05, value));
}
