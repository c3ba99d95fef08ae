// Does the image get better: mean rate per generation of evolved images and references. Knows nothing about optimizers.
import { memo, useMemo } from "react";
import { Area, CartesianGrid, ComposedChart, Line, ReferenceDot, ReferenceLine, ResponsiveContainer, XAxis, YAxis } from "recharts";
import { curveRows, halfWidth, type CurveRow } from "../curveData.ts";
import { formatRate, niceCeiling, ratioOf } from "../format.ts";
import { currentPalette } from "../draw/palette.ts";
import { useTheme } from "../hooks.ts";
import { ActButton, Key, Panel } from "../parts.tsx";
import { useUi } from "../store.ts";
import { channelLabel, curveUpTo, generationsOf, isChoosing, targetOf, targetsOf, type UiState } from "../uiState.ts";
import type { CurvePoint } from "../../../shared/contract/index.ts";

export const CurvePanel = memo(function CurvePanel({ threads, thread, marked, onThread }: { /** Evolutions that are offered. */ readonly threads: readonly number[]; readonly thread: number; readonly marked: number | null; readonly onThread: (thread: number) => void }) {
  // The curve array is a new one only when a generation came.
  const curve = useUi((s) => s.snapshot?.curve);
  const atGeneration = useUi((s) => s.atGeneration);
  const generations = useUi(generationsOf);
  const window = useUi((s) => s.snapshot?.response);
  const target = useUi(selectTargetName);
  const names = useUi(selectThreadNames);
  const all = useMemo(() => curveUpTo(curve ?? [], thread, null), [curve, thread]);
  const points = useMemo(() => curveUpTo(curve ?? [], thread, atGeneration), [curve, thread, atGeneration]);
  const others = useMemo(() => threads.filter((t) => t !== thread).map((t): OtherCurve => ({ thread: t, points: curveUpTo(curve ?? [], t, atGeneration) })), [threads, thread, curve, atGeneration]);
  return (
    <Panel
      name="curve" age="generation"
      title={<>Evolution <b className="target-name">{target}</b></>}
      aside={<>
        {threads.length > 1 ? threads.map((t) => <ActButton key={t} className={t === thread ? "chip on" : "chip"} data-testid={`curve-thread-${t + 1}`} aria-pressed={t === thread} onClick={() => onThread(t)}><b className="thread-number">{t + 1}</b>{names.split("\n")[t]}</ActButton>) : null}
        {threads.length > 1 ? <Key>E</Key> : null}
        <span className="legend-evolved">evolved</span><span className="legend-reference">reference</span>
        <span className="quiet">mean and 95 % interval, {window === undefined ? "" : `${window.windowStartMs}–${window.windowEndMs} ms after onset`}</span>
      </>}
    >
      <div className="curve-body" data-testid="curve" data-points={points.length} data-thread={thread}>
        {points.length === 0 ? <Waiting /> : <Chart points={points} all={all} others={others} thread={thread} generations={generations} marked={marked} />}
        {points.length === 0 ? null : <Newest points={points} />}
      </div>
    </Panel>
  );
});

interface OtherCurve {
  readonly thread: number;
  readonly points: readonly CurvePoint[];
}

const selectThreadNames = (s: UiState): string => (isChoosing(s) ? "" : targetsOf(s).map((t) => channelLabel(s.snapshot?.channels.find((c) => c.index === t), t)).join("\n"));

const selectTargetName = (s: UiState): string => {
  if (isChoosing(s)) return "target not chosen yet";
  const target = targetOf(s);
  return target === null ? "" : channelLabel(s.snapshot?.channels.find((c) => c.index === target), target);
};

function Waiting() {
  const text = useUi((s) => {
    if (s.snapshot?.phase === "starting") return "Starting the rig and the models";
    const progress = s.snapshot?.live?.progress;
    if (progress === undefined || progress.imagesInBlock === 0) return "The first point comes with the first generation";
    const left = progress.imagesInBlock - progress.imageInBlock;
    return isChoosing(s) ? `Measuring what the channels respond to; the first generation begins after ${left} more images` : `The first point comes after ${left} more images`;
  });
  return <p className="waiting">{text}</p>;
}

const Chart = memo(function Chart(props: { readonly points: readonly CurvePoint[]; readonly all: readonly CurvePoint[]; readonly others: readonly OtherCurve[]; readonly thread: number; readonly generations: number; readonly marked: number | null }) {
  const theme = useTheme();
  const colours = useMemo(() => currentPalette(), [theme]);
  const rows = useMemo(() => withOthers(curveRows(props.points).map(cutAtZero), props.others), [props.points, props.others]);
  const max = useMemo(() => niceCeiling(Math.max(5, ...curveRows(props.all).flatMap((r) => [r.evolvedBand?.[1] ?? r.evolved, r.referenceBand?.[1] ?? r.reference ?? 0]), ...props.others.flatMap((o) => o.points.map((p) => p.evolvedMean)))), [props.all, props.others]);
  const ticks = useMemo(() => evenTicks(props.generations), [props.generations]);
  const few = rows.length < 3;
  return (
    <div className="chart">
      <span className="axis-unit">spikes/s</span>
      <ResponsiveContainer width="100%" height="100%" debounce={60}>
        <ComposedChart data={[...rows]} margin={{ top: 14, right: 16, bottom: 2, left: 0 }}>
          <CartesianGrid stroke={colours.line} vertical={false} />
          <XAxis dataKey="generation" type="number" domain={[0, Math.max(1, props.generations)]} ticks={ticks} interval={0} allowDecimals={false} tickLine={false} axisLine={{ stroke: colours.line }} tick={{ fill: colours.dim, fontSize: 12 }} height={22} />
          <YAxis type="number" domain={[0, max]} ticks={[0, 0.25, 0.5, 0.75, 1].map((f) => f * max)} tickFormatter={(v: number) => String(Math.round(v * 10) / 10)} tickLine={false} axisLine={false} tick={{ fill: colours.dim, fontSize: 12 }} width={44} />
          <Area dataKey="referenceBand" stroke="none" fill={colours.reference} fillOpacity={0.2} isAnimationActive={false} activeDot={false} />
          <Area dataKey="evolvedBand" stroke="none" fill={colours.evolved} fillOpacity={0.26} isAnimationActive={false} activeDot={false} />
          {props.others.map((o) => <Line key={o.thread} dataKey={otherKey(o.thread)} stroke={colours.evolved} strokeOpacity={0.6} strokeWidth={1.25} dot={o.points.length < 3 ? { r: 2, fill: colours.evolved } : false} isAnimationActive={false} activeDot={false} />)}
          {props.others.length === 0 ? null : [...props.others, { thread: props.thread, points: props.points }].map((o) => {
            const last = o.points.at(-1);
            return last === undefined ? null : <ReferenceDot key={o.thread} x={last.generation} y={last.evolvedMean} r={0} label={{ value: o.thread + 1, position: "right", fill: colours.evolved, fontSize: o.thread === props.thread ? 15 : 11, fontWeight: o.thread === props.thread ? 700 : 400 }} />;
          })}
          {props.marked === null ? null : <ReferenceLine x={props.marked} stroke={colours.target} strokeDasharray="2 3" />}
          <Line dataKey="reference" stroke={colours.reference} strokeWidth={2.5} strokeDasharray="8 5" dot={few ? { r: 3, strokeDasharray: "none", fill: colours.reference } : false} isAnimationActive={false} activeDot={false} connectNulls />
          <Line dataKey="evolved" stroke={colours.evolved} strokeWidth={3} dot={few ? { r: 4, fill: colours.evolved } : false} isAnimationActive={false} activeDot={false} />
        </ComposedChart>
      </ResponsiveContainer>
      <span className="axis-unit x">generation</span>
    </div>
  );
});

/** The large figures beside the curve: always in one place, to be read from across the room. */
const Newest = memo(function Newest({ points }: { readonly points: readonly CurvePoint[] }) {
  const p = points.at(-1);
  const ratio = ratioOf(p?.evolvedMean, p?.referenceMean);
  return (
    <dl className="newest">
      <div className="evolved">
        <dt>evolved</dt>
        <dd data-testid="evolved-newest">{formatRate(p?.evolvedMean)}</dd>
        <dd className="small">{p === undefined || p.evolvedCount < 2 ? "spikes/s" : <>± {formatRate(halfWidth(p.evolvedSem, p.evolvedCount))} spikes/s</>}</dd>
      </div>
      <div className="reference">
        <dt>reference</dt>
        <dd data-testid="reference-newest">{formatRate(p?.referenceMean)}</dd>
        <dd className="small">{p === undefined || p.referenceSem === null || p.referenceCount < 2 ? "spikes/s" : <>± {formatRate(halfWidth(p.referenceSem, p.referenceCount))} spikes/s</>}</dd>
      </div>
      <div className="ratio">
        <dd data-testid="ratio">{ratio === null ? "–" : `${ratio}×`}</dd>
        <dd className="small">the reference</dd>
      </div>
      <div className="minor">
        <dd className="small">{p === undefined ? "" : <>best {formatRate(p.evolvedBest)} spikes/s</>}</dd>
        <dd className="small">{p === undefined || p.stepSize === 0 ? "" : <>step size {p.stepSize.toPrecision(3)}</>}</dd>
        {p === undefined || p.missing === 0 ? null : <dd className="small caution">▲ {p.missing} without a response</dd>}
      </div>
    </dl>
  );
});

function otherKey(thread: number): string {
  return `thread${thread}`;
}

type ChartRow = CurveRow & Readonly<Record<string, unknown>>;

/** The rows of the chosen evolution with the other evolutions' means in their generations. */
function withOthers(rows: readonly CurveRow[], others: readonly OtherCurve[]): readonly ChartRow[] {
  return rows.map((row) => ({ ...row, ...Object.fromEntries(others.map((o) => [otherKey(o.thread), o.points.find((p) => p.generation === row.generation)?.evolvedMean ?? null])) }));
}

function cutAtZero(row: CurveRow): CurveRow {
  const cut = (band: CurveRow["evolvedBand"]): CurveRow["evolvedBand"] => (band === null ? null : [Math.max(0, band[0]), Math.max(0, band[1])]);
  return { ...row, evolvedBand: cut(row.evolvedBand), referenceBand: cut(row.referenceBand) };
}

function evenTicks(generations: number): number[] {
  const step = [1, 2, 5, 10, 20, 25, 50, 100, 200].find((s) => generations / s <= 10) ?? 200;
  return Array.from({ length: Math.floor(generations / step) + 1 }, (_, i) => i * step);
}
