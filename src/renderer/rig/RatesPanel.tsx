// Every channel's rate beside that of the last session: what has fallen silent, what is new. Knows nothing about where it comes from.
import { Panel } from "../operator/parts.tsx";
import { channelsToShow } from "./rigView.ts";
import type { RigChannel, RigState } from "../../shared/contract/index.ts";

const words: Readonly<Record<RigChannel["state"], string>> = { ok: "", silent: "silent", lost: "fired last time", new: "silent last time", changed: "changed" };

export function RatesPanel({ state }: { readonly state: RigState | null }) {
  const channels = state === null ? [] : channelsToShow(state);
  const most = Math.max(1, ...channels.map((c) => Math.max(c.rateHz, c.lastRateHz ?? 0)));
  const odd = channels.filter((c) => c.state !== "ok");
  return (
    <Panel name="rig-rates" title="Spikes/s by channel" aside={<span className="quiet">{state === null ? "" : state.comparedWith === null ? "no session of this subject on this rig to compare with" : "bar: now · tick: last session"}</span>}>
      <div className="rig-bars" role="img" aria-label={`${channels.length} channels, ${odd.length} to look at`}>
        {(state?.channels ?? []).map((c) => (
          <i key={c.name} className={`bar ${c.state}`} title={`${c.area} ${c.name}: ${c.rateHz.toFixed(1)} spikes/s${c.lastRateHz === null ? "" : `, last session ${c.lastRateHz.toFixed(1)}`}${words[c.state] === "" ? "" : `, ${words[c.state]}`}`}>
            <b style={{ height: `${Math.max(c.rateHz > 0 ? 2 : 0, 100 * Math.sqrt(c.rateHz / most))}%` }} />
            {c.lastRateHz === null ? null : <u style={{ bottom: `${100 * Math.sqrt(c.lastRateHz / most)}%` }} />}
          </i>
        ))}
      </div>
      <ol className="rig-odd" data-testid="rig-odd">
        {odd.slice(0, 8).map((c) => <li key={c.name} className={c.state}><b>{c.area === "" || c.name.startsWith(c.area) ? c.name : `${c.area} ${c.name}`}</b><span>{c.rateHz.toFixed(1)}{c.lastRateHz === null ? "" : ` · was ${c.lastRateHz.toFixed(1)}`}</span><span className="quiet">{words[c.state]}</span></li>)}
        {odd.length > 8 ? <li className="quiet">and {odd.length - 8} more</li> : null}
      </ol>
    </Panel>
  );
}
