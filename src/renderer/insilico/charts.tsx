// Small figures of the in-silico screen in SVG: curves with intervals, scatter, weights. Knows nothing about where their numbers come from.
import { axisTicks, conditionWords, numberWords } from "./insilicoView.ts";
import type { SweepCurve, UnitCard } from "../../shared/contract/index.ts";

const view = { width: 400, height: 320, left: 46, right: 10, top: 10, bottom: 34 } as const;

/** One measure against ablation strength: positive as circles, negative as squares, the intact unit dashed. */
export function Curve({ curve, at }: { readonly curve: SweepCurve; readonly at: { readonly sign: string; readonly alpha: number } | null }) {
  const { control, points } = curve;
  const all = [...points, ...(control === null ? [] : [control])];
  const means = all.map((p) => p.mean);
  // Wide intervals do not flatten the curve: the axis shows the means' own range as far again on both sides, what lies beyond is cut off.
  const room = Math.max(...means) - Math.min(...means);
  const values = all.flatMap((p) => [p.mean, Math.max(p.low ?? p.mean, Math.min(...means) - room), Math.min(p.high ?? p.mean, Math.max(...means) + room)]);
  const ticks = axisTicks(values, 4);
  const [low, high] = [ticks[0] ?? 0, ticks.at(-1) ?? 1];
  const x = (alpha: number): number => view.left + alpha * (view.width - view.left - view.right);
  const y = (value: number): number => view.height - view.bottom - ((Math.min(high, Math.max(low, value)) - low) / (high - low || 1)) * (view.height - view.bottom - view.top);
  return (
    <svg className="chart" viewBox={`0 0 ${view.width} ${view.height}`} role="img" aria-label={`${curve.title} against ablation strength`}>
      {ticks.map((tick) => <g key={tick}><line className="grid" x1={view.left} x2={view.width - view.right} y1={y(tick)} y2={y(tick)} /><text className="tick" x={view.left - 6} y={y(tick) + 4} textAnchor="end">{numberWords(tick)}</text></g>)}
      {[0, 0.5, 1].map((tick) => <text key={tick} className="tick" x={x(tick)} y={view.height - view.bottom + 15} textAnchor="middle">{tick}</text>)}
      <text className="tick" x={(view.left + view.width - view.right) / 2} y={view.height - 4} textAnchor="middle">ablation strength α</text>
      {control === null ? null : (
        <g className="series-control">
          {control.low === null || control.high === null ? null : <rect x={view.left} width={view.width - view.left - view.right} y={y(control.high)} height={Math.max(0, y(control.low) - y(control.high))} />}
          <line x1={view.left} x2={view.width - view.right} y1={y(control.mean)} y2={y(control.mean)} />
        </g>
      )}
      {(["positive", "negative"] as const).map((sign) => {
        const own = points.filter((p) => p.sign === sign);
        if (own.length === 0) return null;
        const path = control === null ? own : [{ alpha: 0, ...control }, ...own];
        const banded = path.every((p) => p.low !== null && p.high !== null);
        return (
          <g key={sign} className={`series-${sign}`}>
            {banded ? <polygon points={[...path.map((p) => `${x(p.alpha)},${y(p.high ?? 0)}`), ...path.toReversed().map((p) => `${x(p.alpha)},${y(p.low ?? 0)}`)].join(" ")} /> : null}
            <polyline points={path.map((p) => `${x(p.alpha)},${y(p.mean)}`).join(" ")} />
            {own.map((p) => {
              const size = at !== null && at.sign === sign && at.alpha === p.alpha ? 6 : 3.5;
              const label = `${conditionWords(sign, p.alpha)}: ${numberWords(p.mean)}${p.low === null ? "" : ` [${numberWords(p.low)}, ${numberWords(p.high)}]`}${p.p === null ? "" : `, p ${numberWords(p.p, 2)}`}`;
              return sign === "positive"
                ? <circle key={p.alpha} cx={x(p.alpha)} cy={y(p.mean)} r={size}><title>{label}</title></circle>
                : <rect key={p.alpha} x={x(p.alpha) - size} y={y(p.mean) - size} width={2 * size} height={2 * size}><title>{label}</title></rect>;
            })}
          </g>
        );
      })}
    </svg>
  );
}

/** Measured against predicted rates of single images: fitted hollow, held-out filled. */
export function Scatter({ card, large = false }: { readonly card: UnitCard; readonly large?: boolean }) {
  const { measured, predicted, isTest } = card.scatter;
  const size = large ? 320 : 132;
  const pad = large ? 38 : 6;
  const ticks = axisTicks([...measured, ...predicted], large ? 5 : 2);
  const [low, high] = [ticks[0] ?? 0, ticks.at(-1) ?? 1];
  const place = (value: number): number => pad + ((value - low) / (high - low || 1)) * (size - pad - 6);
  return (
    <svg className="chart scatter" viewBox={`0 0 ${size} ${size}`} role="img" aria-label={`${card.name}: measured against predicted rates`}>
      <line className="grid" x1={place(low)} y1={size - place(low)} x2={place(high)} y2={size - place(high)} strokeDasharray="2 4" />
      <rect className="frame" x={pad} y={6} width={size - pad - 6} height={size - pad - 6} />
      {large ? ticks.map((tick) => <g key={tick}><text className="tick" x={place(tick)} y={size - pad + 15} textAnchor="middle">{numberWords(tick)}</text><text className="tick" x={pad - 5} y={size - place(tick) + 4} textAnchor="end">{numberWords(tick)}</text></g>) : null}
      {large ? <text className="tick" x={(size + pad) / 2} y={size - 4} textAnchor="middle">predicted, spikes/s</text> : null}
      {large ? <text className="tick" x={pad + 5} y={19}>measured, spikes/s</text> : null}
      {/* The few that were held out lie on top. */}
      {[false, true].flatMap((test) => measured.map((y, i) => (isTest[i] === true) === test ? <circle key={i} className={test ? "test" : "train"} cx={place(predicted[i] ?? 0)} cy={size - place(y)} r={large ? 3.4 : 2} /> : null))}
    </svg>
  );
}

/** Histogram of weights: negative left, positive right. */
export function Weights({ card }: { readonly card: UnitCard }) {
  const { edges, counts } = card.weights;
  const most = Math.max(1, ...counts);
  const width = 132;
  const bar = width / Math.max(1, counts.length);
  return (
    <svg className="chart weights" viewBox={`0 0 ${width} 30`} role="img" aria-label={`${card.name}: distribution of weights`} preserveAspectRatio="none">
      {counts.map((count, i) => <rect key={i} className={(edges[i] ?? 0) + (edges[i + 1] ?? 0) < 0 ? "negative" : "positive"} x={i * bar} width={Math.max(0.5, bar - 0.6)} y={30 - (28 * count) / most} height={(28 * count) / most} />)}
    </svg>
  );
}
