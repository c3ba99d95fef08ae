// Packets that came twice or out of order and were put right: told together, at most once a second, so that a network that does it all the time is no
// flood of reports. Pure but for its state; knows nothing about protocols.
import { msBetween } from "../../../shared/units.ts";
import type { HostTimeNs } from "../../../shared/units.ts";
import type { SourceFault } from "../../../shared/values.ts";

const reportMs = 1000;

export interface Disorder {
  count(what: { readonly duplicated?: number; readonly reordered?: number }): void;
  /** Reports what there is, if the last report is long enough ago or this is the last one. */
  tell(nowHostNs: HostTimeNs, isLast?: boolean): void;
}

/** `stream`: what the packets are of, for the end of a sentence. */
export function createDisorder(stream: string, report: (fault: SourceFault, nowHostNs: HostTimeNs) => void): Disorder {
  let duplicated = 0;
  let reordered = 0;
  let toldHostNs: HostTimeNs | null = null;
  return {
    count(what) {
      duplicated += what.duplicated ?? 0;
      reordered += what.reordered ?? 0;
    },
    tell(nowHostNs, isLast = false) {
      if (duplicated + reordered === 0) return;
      if (!isLast && toldHostNs !== null && msBetween(toldHostNs, nowHostNs) < reportMs) return;
      toldHostNs = nowHostNs;
      report({ kind: "disorder", duplicated, reordered, stream }, nowHostNs);
      duplicated = 0;
      reordered = 0;
    },
  };
}
