// What every source over a spike stream does alike at its ends: it starts once at a time, and its status is the stream's. Knows nothing about protocols.
import { fault } from "../../../shared/result.ts";
import type { Fault, Result } from "../../../shared/result.ts";
import type { HostTimeNs } from "../../../shared/units.ts";
import type { SourceStatus } from "../../../shared/values.ts";
import type { SpikeStream } from "./spikeStream.ts";

/** Lets one start through at a time, and none while the source runs. `name`: for the middle of a sentence. Errors: `alreadyRunning` and those of the start. */
export function startsOnce(name: string, isRunning: () => boolean): (begin: () => Promise<Result<void, Fault>>) => Promise<Result<void, Fault>> {
  let isStarting = false;
  return async (begin) => {
    if (isRunning() || isStarting) return fault("alreadyRunning", `Expected ${name} to be stopped, but it is running. Stop it before starting it again.`);
    isStarting = true;
    try {
      return await begin();
    } finally {
      isStarting = false;
    }
  };
}

/** `shown`: the run that is on, or the last one; null before the first. */
export function statusOfStream(shown: { readonly stream: SpikeStream; readonly packets: number; readonly newestHostNs: HostTimeNs | null } | null, { address, connected }: Pick<SourceStatus, "address" | "connected">): SourceStatus {
  const counts = shown?.stream.counts;
  return {
    connected,
    address,
    spikesReceived: counts?.spikes ?? 0,
    packetsReceived: shown?.packets ?? 0,
    packetsLost: counts?.packetsLost ?? 0,
    malformedPackets: counts?.packetsMalformed ?? 0,
    newestHostNs: shown?.newestHostNs ?? null,
  };
}
