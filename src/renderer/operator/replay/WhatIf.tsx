// What the session would have given with another response window, target channel or optimizer, beside what it gave.
// Knows nothing about how it is computed.
import { useEffect, useMemo, useState } from "react";
import { CartesianGrid, ComposedChart, Line, ResponsiveContainer, XAxis, YAxis } from "recharts";
import { currentPalette } from "../draw/palette.ts";
import { formatRate, niceCeiling } from "../format.ts";
import { useTheme } from "../hooks.ts";
import { Dialog, Key } from "../parts.tsx";
import { ChoiceField, NumberField } from "../start/fields.tsx";
import { useUi } from "../store.ts";
import { channelLabel, targetOf } from "../uiState.ts";
import type { EngineClient, WhatIfCurves } from "../../../shared/contract/index.ts";

interface Change {
  readonly windowStartMs: number | null;
  readonly windowEndMs: number | null;
  readonly target: number;
  /** "" = as recorded. */
  readonly optimizer: string;
}

type Answer = { readonly kind: "none" } | { readonly kind: "asked" } | { readonly kind: "problem"; readonly message: string } | { readonly kind: "curves"; readonly curves: WhatIfCurves };

export function WhatIfDialog({ client, file, onClose }: { readonly client: EngineClient; readonly file: string; readonly onClose: () => void }) {
  const response = useUi((s) => s.snapshot?.response);
  const channels = useUi((s) => s.snapshot?.channels);
  const target = useUi(targetOf) ?? 0;
  const optimizers = useUi((s) => s.app?.optimizers);
  const recorded = useMemo((): Change => ({ windowStartMs: response?.windowStartMs ?? 70, windowEndMs: response?.windowEndMs ?? 170, target, optimizer: "" }), [response, target]);
  const [change, setChange] = useState<Change>(recorded);
  const [answer, setAnswer] = useState<Answer>({ kind: "none" });
  const badWindow = change.windowStartMs === null || change.windowEndMs === null || Number.isNaN(change.windowStartMs) || Number.isNaN(change.windowEndMs) || change.windowEndMs <= change.windowStartMs;

  const ask = async (): Promise<void> => {
    if (badWindow) return;
    setAnswer({ kind: "asked" });
    const { windowStartMs, windowEndMs, optimizer } = change;
    const result = await client.call("sessions.whatIf", { file, target: change.target, ...(windowStartMs === null ? {} : { windowStartMs }), ...(windowEndMs === null ? {} : { windowEndMs }), ...(optimizer === "" ? {} : { optimizer }) });
    if (!result.ok && result.error.code === "cancelled") return;
    setAnswer(result.ok ? { kind: "curves", curves: result.value } : { kind: "problem", message: result.error.message });
  };
  // The recorded curve stands there from the start, to compare with.
  useEffect(() => { void ask(); }, []);

  return (
    <Dialog title={<>What if <span className="quiet">the recorded responses, scored otherwise; the file stays as it is</span></>} onClose={onClose} testid="what-if-dialog" wide>
      <div className="what-if">
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void ask();
          }}
        >
          <div className="fields halves">
            <NumberField label="Response from" unit="ms" step={10} value={change.windowStartMs} testid="what-if-from" onChange={(windowStartMs) => setChange((c) => ({ ...c, windowStartMs }))} />
            <NumberField label="Response to" unit="ms" step={10} value={change.windowEndMs} testid="what-if-to" problem={badWindow ? "after its start" : null} onChange={(windowEndMs) => setChange((c) => ({ ...c, windowEndMs }))} />
          </div>
          <ChoiceField label="Target channel" value={String(change.target)} testid="what-if-target" choices={(channels ?? []).map((c) => ({ value: String(c.index), label: `${channelLabel(c)}${c.index === recorded.target ? ", as recorded" : ""}` }))} onChange={(v) => setChange((c) => ({ ...c, target: Number(v) }))} />
          <ChoiceField label="Optimizer" value={change.optimizer} testid="what-if-optimizer" choices={[{ value: "", label: "as recorded" }, ...(optimizers ?? []).map((o) => ({ value: o.name, label: o.title }))]} onChange={(optimizer) => setChange((c) => ({ ...c, optimizer }))} />
          <button type="submit" className="primary" data-testid="what-if-go" disabled={badWindow || answer.kind === "asked"}>{answer.kind === "asked" ? "Computing" : "Compute"} <Key>Enter</Key></button>
          <p className="quiet">Another window or target scores the spikes that were recorded. Another optimizer would have shown other images: it is run on a model of the recorded responses, and so is the recorded one.</p>
        </form>
        <div className="what-if-result" data-testid="what-if-result" data-state={answer.kind} data-target={answer.kind === "curves" ? answer.curves.target : ""} data-window={answer.kind === "curves" ? `${answer.curves.windowStartMs}:${answer.curves.windowEndMs}` : ""} data-optimizer={answer.kind === "curves" ? (answer.curves.surrogate?.optimizer ?? "") : ""}>
          <Outcome answer={answer} />
        </div>
      </div>
    </Dialog>
  );
}

interface Row {
  readonly generation: number;
  readonly evolved: number | null;
  readonly reference: number | null;
  readonly evolvedOtherwise: number | null;
  readonly referenceOtherwise: number | null;
}

function Outcome({ answer }: { readonly answer: Answer }) {
  const optimizers = useUi((s) => s.app?.optimizers);
  if (answer.kind === "problem") return <p className="status fault" role="alert">■ {answer.message}</p>;
  if (answer.kind !== "curves") return <p className="waiting">{answer.kind === "asked" ? "Computing beside the engine; a running session does not feel it" : ""}</p>;
  const { curves } = answer;
  const surrogate = curves.surrogate;
  const rows = surrogate === null
    ? curves.generations.map((g): Row => ({ generation: g.generation, evolved: g.recorded.evolved, reference: g.recorded.reference, evolvedOtherwise: g.otherwise.evolved, referenceOtherwise: g.otherwise.reference }))
    : surrogate.recordedOptimizer.map((rate, generation): Row => ({ generation, evolved: rate, reference: null, evolvedOtherwise: surrogate.otherOptimizer[generation] ?? null, referenceOtherwise: null }));
  const last = rows.at(-1);
  const name = surrogate === null ? "otherwise" : (optimizers?.find((o) => o.name === surrogate.optimizer)?.title ?? surrogate.optimizer);
  return (
    <>
      <div className="legend">
        <span className="legend-evolved">{surrogate === null ? "evolved, recorded" : "recorded optimizer, on the model"}</span>
        <span className="legend-otherwise">{surrogate === null ? "evolved, otherwise" : `${name}, on the model`}</span>
        {surrogate === null ? <span className="legend-reference">references, recorded (thick) and otherwise (thin)</span> : null}
      </div>
      <CurveChart rows={rows} />
      <p>
        Last generation: <b className="legend-value">{formatRate(last?.evolved)}</b> spikes/s as recorded, <b>{formatRate(last?.evolvedOtherwise)}</b> {surrogate === null ? `with ${curves.windowStartMs} to ${curves.windowEndMs} ms` : `with ${name}`}.
        {surrogate === null ? "" : <span className={surrogate.r2 === null || surrogate.r2 < 0.1 ? "caution" : "quiet"}> The model explains {surrogate.r2 === null ? "nothing" : `${Math.round(Math.max(0, surrogate.r2) * 100)} %`} of held-out responses{surrogate.r2 === null || surrogate.r2 < 0.1 ? ": too little to choose an optimizer by." : "."}</span>}
      </p>
    </>
  );
}

function CurveChart({ rows }: { readonly rows: readonly Row[] }) {
  const theme = useTheme();
  const colours = useMemo(() => currentPalette(), [theme]);
  const max = niceCeiling(Math.max(5, ...rows.flatMap((r) => [r.evolved ?? 0, r.reference ?? 0, r.evolvedOtherwise ?? 0, r.referenceOtherwise ?? 0])));
  const last = rows.at(-1)?.generation ?? 0;
  const every = [1, 2, 5, 10, 20, 50, 100].find((n) => last / n <= 12) ?? 200;
  const tick = { fill: colours.dim, fontSize: 12 };
  return (
    <div className="chart">
      <span className="axis-unit">spikes/s</span>
      <ResponsiveContainer width="100%" height="100%">
        <ComposedChart data={[...rows]} margin={{ top: 14, right: 16, bottom: 2, left: 0 }}>
          <CartesianGrid stroke={colours.line} vertical={false} />
          <XAxis dataKey="generation" type="number" domain={[0, Math.max(1, last)]} ticks={Array.from({ length: Math.floor(last / every) + 1 }, (_, i) => i * every)} interval={0} allowDecimals={false} tickLine={false} axisLine={{ stroke: colours.line }} tick={tick} height={22} />
          <YAxis type="number" domain={[0, max]} ticks={[0, 0.25, 0.5, 0.75, 1].map((f) => f * max)} tickFormatter={(v: number) => String(Math.round(v * 10) / 10)} tickLine={false} axisLine={false} tick={tick} width={44} />
          <Line dataKey="reference" stroke={colours.reference} strokeWidth={2.5} strokeDasharray="8 5" dot={false} activeDot={false} isAnimationActive={false} connectNulls />
          <Line dataKey="referenceOtherwise" stroke={colours.reference} strokeWidth={1} dot={false} activeDot={false} isAnimationActive={false} connectNulls />
          <Line dataKey="evolved" stroke={colours.evolved} strokeWidth={3} dot={false} activeDot={false} isAnimationActive={false} connectNulls />
          <Line dataKey="evolvedOtherwise" stroke={colours.target} strokeWidth={2} dot={{ r: 2.5, fill: colours.target, strokeWidth: 0 }} activeDot={false} isAnimationActive={false} connectNulls />
        </ComposedChart>
      </ResponsiveContainer>
      <span className="axis-unit x">generation</span>
    </div>
  );
}
