// Targets beside the channels that a source names: sorted units of their own, and several channels or units taken as one. They are channels like any
// other from here on, with numbers after the source's; their spikes are the source's, given once more. Units that were sorted anew get new
// channels, so that nothing is counted across a change. Knows nothing about sessions.
import type { ChannelsConfig } from "../shared/contract/rig.ts";
import type { SpikeSource } from "../shared/ports.ts";
import type { ChannelInfo, SourceEvent, SpikeBatch } from "../shared/values.ts";

/** A channel that was left and the one that takes its place. */
export interface ReplacedTarget {
  readonly from: number;
  readonly to: number;
}

export interface UnitTargets extends SpikeSource {
  /** The operator has sorted units anew, on these channels (by name) or on all: their units' targets, and merges that have units of theirs, begin anew. */
  resort(channelNames: readonly string[] | null): readonly ReplacedTarget[];
}

interface Member {
  readonly channel: string;
  /** null = all spikes of the channel. */
  readonly unit: number | null;
}

interface Target {
  readonly index: number;
  readonly name: string;
  readonly members: readonly Member[];
  /** 1 at first; higher after the units were sorted anew. */
  readonly sorting: number;
  live: boolean;
}

/** The source itself where nothing is asked for beside its channels. */
export function withUnitTargets(source: SpikeSource, config: ChannelsConfig, past: readonly ChannelInfo[] = []): SpikeSource & Partial<UnitTargets> {
  return config.units.length === 0 && config.merges.length === 0 ? source : createUnitTargets(source, config, past);
}

/** `past`: the channels of the run that is gone on with; they keep their numbers, in whatever order they appear now. */
export function createUnitTargets(source: SpikeSource, config: ChannelsConfig, past: readonly ChannelInfo[] = []): UnitTargets {
  let own: ChannelInfo[] = [];
  let targets: Target[] = [];
  /** Number here of the source's channel. */
  let places: number[] = [];
  let names: string[] = [];
  let listener: ((event: SourceEvent) => void) | null = null;
  const everyUnit = config.units.includes("*");
  const unitChannels = new Set(config.units);
  /** By the source's channel: targets that want all of its spikes, and by unit. */
  let ofChannel: { all: number[]; byUnit: Map<number, number[]> }[] = [];
  let sortingOf = new Map<string, number>();
  let merged = false;

  function clear(): void {
    own = past.map((c) => ({ ...c }));
    targets = [];
    places = [];
    names = [];
    ofChannel = [];
    sortingOf = new Map();
    merged = false;
    for (const c of past) {
      const [, name, sorting] = /^(.+):\d+ \(sorting (\d+)\)$/.exec(c.name) ?? [];
      if (name !== undefined) sortingOf.set(name, Math.max(sortingOf.get(name) ?? 1, Number(sorting)));
    }
  }

  /** The number of a name that is known from before, or a new one. */
  function place(channel: Omit<ChannelInfo, "index">): number {
    const known = past.findIndex((c) => c.name === channel.name);
    if (known >= 0) return known;
    own.push({ ...channel, index: own.length });
    return own.length - 1;
  }

  function memberOf(text: string): Member {
    // A channel may have a colon in its name.
    const colon = text.lastIndexOf(":");
    const unit = colon > 0 ? text.slice(colon + 1) : "";
    return names.includes(text) || !/^\d{1,3}$/.test(unit) ? { channel: text, unit: null } : { channel: text.slice(0, colon), unit: Number(unit) };
  }

  function addTarget(name: string, members: readonly Member[], sorting: number): Target {
    const area = own.find((c) => c.name === members[0]?.channel)?.area ?? "";
    // No place on the array: it shares that of its channel.
    const target: Target = { index: place({ name: sorting === 1 ? name : `${name} (sorting ${sorting})`, area, positionMm: null }), name, members, sorting, live: true };
    targets.push(target);
    route();
    return target;
  }

  function route(): void {
    ofChannel = names.map((channel) => {
      const all: number[] = [];
      const byUnit = new Map<number, number[]>();
      for (const target of targets) {
        if (!target.live) continue;
        for (const member of target.members) {
          if (member.channel !== channel) continue;
          if (member.unit === null) all.push(target.index);
          else byUnit.set(member.unit, [...(byUnit.get(member.unit) ?? []), target.index]);
        }
      }
      return { all, byUnit };
    });
  }

  function takeChannels(list: readonly ChannelInfo[]): void {
    for (let i = places.length; i < list.length; i++) {
      const channel = list[i];
      if (channel === undefined) continue;
      places.push(place(channel));
      names.push(channel.name);
    }
    if (!merged && list.length > 0) {
      merged = true;
      for (const merge of config.merges) {
        const members = merge.members.map(memberOf);
        const later = past.flatMap((c) => (c.name.startsWith(`${merge.name} (sorting `) ? [Number(/\d+(?=\)$)/.exec(c.name)?.[0] ?? 1)] : []));
        addTarget(merge.name, members, Math.max(1, ...later));
      }
    }
    route();
  }

  const hasUnits = (channel: string): boolean => everyUnit || unitChannels.has(channel);

  function takeSpikes(batch: SpikeBatch): SpikeBatch {
    const { length } = batch.timesRigNs;
    // A unit that fires for the first time is a target from this spike on.
    let grown = false;
    let extra = 0;
    for (let i = 0; i < length; i++) {
      const from = batch.channels[i] ?? 0;
      const unit = batch.units[i] ?? 0;
      const name = names[from];
      let routes = ofChannel[from];
      if (name === undefined || routes === undefined) continue;
      if (unit > 0 && hasUnits(name)) {
        const wanted = `${name}:${unit}`;
        const sorting = sortingOf.get(name) ?? 1;
        if (!targets.some((t) => t.live && t.name === wanted && t.sorting === sorting)) {
          addTarget(wanted, [{ channel: name, unit }], sorting);
          routes = ofChannel[from] ?? routes;
          grown = true;
        }
      }
      extra += routes.all.length + (routes.byUnit.get(unit)?.length ?? 0);
    }
    if (grown) tellChannels();
    const timesRigNs = new Float64Array(length + extra);
    const channels = new Uint16Array(length + extra);
    const units = new Uint8Array(length + extra);
    let at = 0;
    const put = (i: number, channel: number): void => {
      timesRigNs[at] = batch.timesRigNs[i] ?? 0;
      channels[at] = channel;
      units[at++] = batch.units[i] ?? 0;
    };
    for (let i = 0; i < length; i++) {
      const from = batch.channels[i] ?? 0;
      put(i, places[from] ?? from);
      const routes = ofChannel[from];
      if (routes === undefined) continue;
      for (const target of routes.all) put(i, target);
      for (const target of routes.byUnit.get(batch.units[i] ?? 0) ?? []) put(i, target);
    }
    return { ...batch, timesRigNs, channels, units };
  }

  function tellChannels(): void {
    listener?.({ kind: "channels", channels: own.map((c) => ({ ...c })) });
  }

  return {
    ...source,
    name: source.name,
    channels: () => own,
    async start(next) {
      clear();
      listener = next;
      takeChannels(source.channels());
      const started = await source.start((event) => {
        switch (event.kind) {
          case "channels":
            takeChannels(event.channels);
            tellChannels();
            return;
          case "spikes":
            next({ kind: "spikes", batch: takeSpikes(event.batch) });
            return;
          default:
            next(event);
        }
      });
      if (!started.ok) listener = null;
      return started;
    },
    async stop() {
      await source.stop();
      listener = null;
    },
    resort(channelNames) {
      const affected = (member: Member): boolean => member.unit !== null && (channelNames === null || channelNames.includes(member.channel));
      const replaced: ReplacedTarget[] = [];
      for (const name of names) if (channelNames === null || channelNames.includes(name)) sortingOf.set(name, (sortingOf.get(name) ?? 1) + 1);
      for (const target of targets.filter((t) => t.live && t.members.some(affected))) {
        target.live = false;
        replaced.push({ from: target.index, to: addTarget(target.name, target.members, target.sorting + 1).index });
      }
      route();
      if (replaced.length > 0) tellChannels();
      return replaced;
    },
  };
}
