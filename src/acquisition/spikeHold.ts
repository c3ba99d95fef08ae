// Spikes and marks that wait until the stream's clock has passed them, then go out in time order with the watermark. Shared by drivers whose
// packets are not in time order. Knows nothing about protocols.
import { rigTimeNs } from "../shared/units.ts";
import type { HostTimeNs } from "../shared/units.ts";
import type { RigMark, SourceEvent } from "../shared/values.ts";

export interface SpikeHold {
  add(timeNs: number, channel: number, unit: number): void;
  addMark(mark: RigMark, arrivedHostNs: HostTimeNs): void;
  /** Delivers everything before this rig time, marks first. Does nothing where the watermark is there already. */
  deliver(upToNs: number, arrivedHostNs: HostTimeNs): void;
  /** Delivers all that is held: nothing older can come any more. */
  flush(arrivedHostNs: HostTimeNs): void;
  watermarkNs(): number;
  /** Newest time that was added or passed. */
  newestNs(): number;
  counts(): { readonly spikes: number; /** Came after the watermark had passed them; delivered all the same. */ readonly lateSpikes: number };
}

export function createSpikeHold(emit: (event: SourceEvent) => void): SpikeHold {
  let times = new Float64Array(4096);
  let channels = new Uint16Array(4096);
  let units = new Uint8Array(4096);
  let count = 0;
  let marks: { readonly mark: RigMark; readonly arrivedHostNs: HostTimeNs }[] = [];
  let watermark = 0;
  let newest = 0;
  let lastArrived = Number.NEGATIVE_INFINITY;
  let spikes = 0;
  let lateSpikes = 0;

  function grow(): void {
    const longer = new Float64Array(times.length * 2);
    longer.set(times);
    times = longer;
    const moreChannels = new Uint16Array(longer.length);
    moreChannels.set(channels);
    channels = moreChannels;
    const moreUnits = new Uint8Array(longer.length);
    moreUnits.set(units);
    units = moreUnits;
  }

  function deliver(upToNs: number, arrived: HostTimeNs): void {
    if (upToNs > watermark) send(upToNs, arrived);
  }

  function send(upToNs: number, arrived: HostTimeNs): void {
    // Sources of several devices hand over in turns: the batch's arrival never goes back.
    const arrivedHostNs = arrived < lastArrived ? (lastArrived as HostTimeNs) : arrived;
    lastArrived = arrivedHostNs;
    if (marks.length > 0) {
      const due = marks.filter(({ mark }) => mark.rigNs < upToNs).sort((a, b) => a.mark.rigNs - b.mark.rigNs);
      if (due.length > 0) {
        marks = marks.filter(({ mark }) => mark.rigNs >= upToNs);
        for (const { mark, arrivedHostNs: markArrived } of due) emit({ kind: "mark", mark, arrivedHostNs: markArrived });
      }
    }
    let due = 0;
    for (let i = 0; i < count; i++) if ((times[i] ?? 0) < upToNs) due += 1;
    const timesRigNs = new Float64Array(due);
    const channelsOut = new Uint16Array(due);
    const unitsOut = new Uint8Array(due);
    let out = 0;
    let kept = 0;
    for (let i = 0; i < count; i++) {
      const time = times[i] ?? 0;
      const channel = channels[i] ?? 0;
      const unit = units[i] ?? 0;
      if (time >= upToNs) {
        times[kept] = time;
        channels[kept] = channel;
        units[kept] = unit;
        kept += 1;
        continue;
      }
      // They come almost in order: each is moved back past the few that are younger; spikes of one time stand by channel.
      let at = out;
      while (at > 0 && ((timesRigNs[at - 1] ?? 0) > time || ((timesRigNs[at - 1] ?? 0) === time && (channelsOut[at - 1] ?? 0) > channel))) at -= 1;
      if (at < out) {
        timesRigNs.copyWithin(at + 1, at, out);
        channelsOut.copyWithin(at + 1, at, out);
        unitsOut.copyWithin(at + 1, at, out);
      }
      timesRigNs[at] = time;
      channelsOut[at] = channel;
      unitsOut[at] = unit;
      out += 1;
    }
    count = kept;
    watermark = upToNs;
    newest = Math.max(newest, upToNs);
    spikes += due;
    emit({ kind: "spikes", batch: { timesRigNs, channels: channelsOut, units: unitsOut, watermarkRigNs: rigTimeNs(upToNs), arrivedHostNs } });
  }

  return {
    add(timeNs, channel, unit) {
      if (count === times.length) grow();
      times[count] = timeNs;
      channels[count] = channel;
      units[count] = unit;
      count += 1;
      if (timeNs > newest) newest = timeNs;
      if (timeNs < watermark) lateSpikes += 1;
    },
    addMark(mark, arrivedHostNs) {
      marks.push({ mark, arrivedHostNs });
      newest = Math.max(newest, mark.rigNs);
    },
    deliver,
    flush(arrivedHostNs) {
      // What is late already goes out as well.
      let after = count > 0 ? watermark + 1 : watermark;
      for (let i = 0; i < count; i++) after = Math.max(after, (times[i] ?? 0) + 1);
      for (const { mark } of marks) after = Math.max(after, mark.rigNs + 1);
      // Late ones too, which the watermark has passed already.
      if (count > 0 || marks.length > 0) send(after, arrivedHostNs);
    },
    watermarkNs: () => watermark,
    newestNs: () => newest,
    counts: () => ({ spikes, lateSpikes }),
  };
}
