// Every channel's rate beside that of the last session: what has fallen silent, what rose or fell. Knows nothing about where it comes from.
import { Panel } from "../operator/parts.tsx";
import { formatRate } from "../operator/format.ts";
import { channelsToShow, ratesWords } from "./rigView.ts";
import type { RigChannel, RigState } from "../../shared/contract/index.ts";

const words: Readonly<Record<RigChannel["state"], string>> = { ok: "", silent: "silent", lost: "fell silent", new: "was silent", rose: "rose", fell: "fell" };
const signs: Readonly<Record<RigChannel["state"], string>> = { ok: "", silent: "·", lost: "■", new: "▲", rose: "▲", fell: "▼" };
const oddMax = 12;

export function RatesPanel({ state }: { readonly state: RigState | null }) {
  const channels = state === null ? [] : channelsToShow(state);
  const most = Math.max(1, ...channels.map((c) => Math.max(c.rateHz, c.lastRateHz ?? 0)));
  const odd = channels.filter((c) => c.state !== "ok");
  const last = state?.comparedWith ?? null;
  return (
    <Panel name="rig-rates" title="Spikes/s by channel" since={state} aside={<span className="quiet">{state === null ? "" : last === null ? "no session of this subject on this rig to compare with" : `bar: now · tick: ${last.of === "baseline" ? "before images" : "mean"}, ${dayOf(last.startedUtc)}`}</span>}>
      {state === null || last === null ? null : <p className={channels.some((c) => c.state === "lost") ? "warn" : "quiet"} data-testid="rig-rates-words">{ratesWords(state)}</p>}
      <div className="rig-bars" role="img" aria-label={`${channels.length} channels, ${odd.length} to look at`}>
        {(state?.channels ?? []).map((c) => (
          <i key={c.name} className={`bar ${c.state}`} title={`${c.area} ${c.name}: ${formatRate(c.rateHz)} spikes/s${c.lastRateHz === null ? "" : `, last session ${formatRate(c.lastRateHz)}`}${words[c.state] === "" ? "" : `, ${words[c.state]}`}`}>
            <b style={{ height: `${Math.max(c.rateHz > 0 ? 2 : 0, 100 * Math.sqrt(c.rateHz / most))}%` }} />
            {c.lastRateHz === null ? null : <u style={{ bottom: `${100 * Math.sqrt(c.lastRateHz / most)}%` }} />}
          </i>
        ))}
      </div>
      <ol className="rig-odd" data-testid="rig-odd">
        {odd.slice(0, oddMax).map((c) => <li key={c.name} className={c.state}><b>{signs[c.state]} {c.area === "" || c.name.startsWith(c.area) ? c.name : `${c.area} ${c.name}`}</b><span className="number">{c.lastRateHz === null ? formatRate(c.rateHz) : `${formatRate(c.lastRateHz)} → ${formatRate(c.rateHz)}`}</span><span className="quiet">{words[c.state]}</span></li>)}
        {odd.length > oddMax ? <li className="quiet">and {odd.length - oddMax} more</li> : null}
      </ol>
    </Panel>
  );
}

function dayOf(utc: string): string {
  return new Date(utc).toLocaleString("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
}
