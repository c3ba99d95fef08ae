// Sees channels fall silent or become noisy in the middle of a session. Channels that were so from the start are known to the operator, who
// sees them on the channel map; a change is an alarm. Knows nothing about where spikes come from.
import { nsPerS } from "../shared/units.ts";
import type { Alarms } from "./alarms.ts";
import type { ChannelFigures } from "./channels.ts";

export interface ChannelWatch {
  /** Looks once for each second of the stream. */
  look(watermarkRigNs: number): void;
  /** Nothing comes on these channels any more, and rightly so: targets whose units were sorted anew. */
  leave(indices: readonly number[]): void;
}

/** A channel must have been well for so long before its change is one, s of the stream. */
const wellForS = 5;
/** Spikes/s below which nothing can be said about a channel's silence. */
const activeHz = 0.5;
const namesMax = 6;

export function createChannelWatch(options: { readonly channels: Pick<ChannelFigures, "rates" | "statuses">; readonly alarms: Pick<Alarms, "raise" | "clear">; readonly nameOf: (index: number) => string }): ChannelWatch {
  const { channels, alarms, nameOf } = options;
  /** Seconds for which a channel has been well, and its spikes in them. */
  const wellS: number[] = [];
  const spikes: number[] = [];
  let nextNs = -Infinity;
  const told = new Map<string, string>();
  const left = new Set<number>();

  function tell(code: string, changed: readonly number[], what: string, advice: string): void {
    const before = told.get(code) ?? "";
    if (changed.join() === before) return;
    told.set(code, changed.join());
    if (before !== "") alarms.clear(code, changed.length === 0 ? `No channel that was well before is ${what} any more.` : `Other channels are ${what} now.`);
    if (changed.length === 0) return;
    const names = changed.slice(0, namesMax).map(nameOf).join(", ");
    const more = changed.length > namesMax ? ` and ${changed.length - namesMax} more` : "";
    alarms.raise({ code, severity: "warn", message: `${names}${more} ${changed.length === 1 ? "has" : "have"} become ${what}: ${advice}` });
  }

  return {
    look(watermarkRigNs) {
      if (watermarkRigNs < nextNs) return;
      nextNs = watermarkRigNs + nsPerS;
      const rates = channels.rates();
      const silent: number[] = [];
      const noisy: number[] = [];
      for (const [index, status] of channels.statuses().entries()) {
        if (left.has(index)) continue;
        if (status === "ok") {
          wellS[index] = (wellS[index] ?? 0) + 1;
          spikes[index] = (spikes[index] ?? 0) + (rates[index] ?? 0);
          continue;
        }
        const well = wellS[index] ?? 0;
        if (well < wellForS || (spikes[index] ?? 0) / well < activeHz) continue;
        if (status === "silent") silent.push(index);
        if (status === "noisy") noisy.push(index);
      }
      tell("channelSilent", silent, "silent", "check the headstage and its cable. Results on them count as no spikes.");
      tell("channelNoisy", noisy, "noisy", "look for interference; responses on them are not to be trusted.");
    },
    leave(indices) {
      for (const index of indices) left.add(index);
    },
  };
}
