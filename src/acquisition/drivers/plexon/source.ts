// A spike source over Plexon's client libraries (OPXClient, PlexClient), asked by the native addon's thread. Only where the library is: on the recording computer
// itself (Windows), or behind a bridge. Notes: docs/rigs/plexon.md.
import type { Clock, SpikeSource } from "../../../shared/ports.ts";
import { fault, ok } from "../../../shared/result.ts";
import type { Fault, Result } from "../../../shared/result.ts";
import { addMs, msBetween, nsPerMs, rigTimeNs } from "../../../shared/units.ts";
import type { HostTimeNs } from "../../../shared/units.ts";
import type { ChannelInfo, SourceEvent, SourceFault } from "../../../shared/values.ts";
import { loadAddon } from "../../native/addon.ts";
import type { NativePlexonPoller } from "../../native/addon.ts";
import { createTurns, recordKinds, recordWords } from "../../native/records.ts";
import { createSpikeHold } from "../../spikeHold.ts";
import type { SpikeHold } from "../../spikeHold.ts";
import { arrivalsOn } from "../udp/receiver.ts";
import { plexonLibraries } from "./options.ts";
import type { PlexonOptions } from "./options.ts";

const watchMs = 100;
const ringRecords = 1 << 18;
const turnRecords = 1 << 14;
/** Times further back than this are the server's clock begun again. */
const jumpBackMs = 250;
/** Event channels of the server's own. */
const strobeEvent = 257;
const startEvent = 258;
const stopEvent = 259;

interface Running {
  readonly listener: (event: SourceEvent) => void;
  readonly poller: NativePlexonPoller;
  readonly hold: SpikeHold;
  readonly channels: ChannelInfo[];
  cancelWatch: () => void;
  newestHostNs: HostTimeNs | null;
  awaySinceHostNs: HostTimeNs | null;
  polls: number;
  lost: number;
  malformed: number;
}

export function createPlexonSource({ clock, options }: { readonly clock: Clock; readonly options: PlexonOptions }): SpikeSource {
  let running: Running | null = null;
  let last: Running | null = null;

  function start(listener: (event: SourceEvent) => void): Promise<Result<void, Fault>> {
    return Promise.resolve(begin(listener));
  }

  function begin(listener: (event: SourceEvent) => void): Result<void, Fault> {
    if (running !== null) return fault("alreadyRunning", "Expected the Plexon source to be stopped, but it is running. Stop it before starting it again.");
    const addon = loadAddon();
    if (!addon.ok) return addon;
    const { PlexonPoller, monotonicNs } = addon.value;
    const drain = (): void => {
      if (running !== current) return;
      const { words, doubles, count } = turns.take();
      take(words, doubles, count);
      // More than a turn's worth: the event loop goes round first.
      if (turns.wasFull) setImmediate(drain);
    };
    const usual = options.client === "auto" ? [...plexonLibraries.opx, ...plexonLibraries.plex] : plexonLibraries[options.client];
    let poller: NativePlexonPoller;
    try {
      poller = new PlexonPoller({ libraries: options.library === null ? usual : [options.library], client: options.client, pollIntervalUs: Math.round(options.pollMs * 1000), countDropped: options.countDropped, ringRecords, wakeIntervalUs: 1000 }, drain);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      return fault("noServer", `Expected Plexon's server on this computer, but ${reason}. Start OmniPlex's server, name the client library in the rig's settings, or run evoked rig bridge on the Plexon computer and choose the rig plexon-bridge.`);
    }
    const turns = createTurns(poller, turnRecords);
    const channels: ChannelInfo[] = [];
    const indexOf = new Map<number, number>();
    let changed = false;
    const emit = (event: SourceEvent): void => {
      if (running === current) listener(event);
    };
    const current: Running = { listener, poller, hold: createSpikeHold(emit), channels, cancelWatch: () => undefined, newestHostNs: null, awaySinceHostNs: null, polls: 0, lost: 0, malformed: 0 };
    running = current;
    const tickNs = poller.status().microsecondsPerTick * 1000;
    let baseNs = 0;
    let newestNs = Number.NEGATIVE_INFINITY;
    const { hold } = current;
    for (let channel = 1; channel <= options.channels; channel++) channelIndex(channel);
    changed = false;
    if (channels.length > 0) listener({ kind: "channels", channels: [...channels] });
    current.cancelWatch = clock.setTimer(addMs(clock.now(), watchMs), watch);
    return ok(undefined);

    function channelIndex(channel: number): number {
      const known = indexOf.get(channel);
      if (known !== undefined) return known;
      const index = channels.length;
      const name = `${options.channelPrefix}${String(channel).padStart(3, "0")}`;
      channels.push({ index, name, area: options.areas.find(({ prefix }) => name.startsWith(prefix))?.area ?? "", positionMm: null });
      indexOf.set(channel, index);
      changed = true;
      return index;
    }

    function report(sourceFault: SourceFault, arrived: HostTimeNs): void {
      emit({ kind: "fault", fault: sourceFault, arrivedHostNs: arrived });
    }

    function timeOf(low: number, high: number, arrived: HostTimeNs): number {
      const deviceNs = (low + high * 0x1_0000_0000) * tickNs;
      let timeNs = baseNs + deviceNs;
      if (timeNs < newestNs - jumpBackMs * nsPerMs) {
        // The server's clock begins again; rig time goes on.
        hold.flush(arrived);
        const elapsedNs = current.newestHostNs === null ? 0 : Math.max(0, arrived - current.newestHostNs);
        const goesOnNs = Math.max(hold.watermarkNs(), newestNs + elapsedNs);
        report({ kind: "clockJump", jumpMs: (timeNs - goesOnNs) / nsPerMs, atRigNs: rigTimeNs(goesOnNs) }, arrived);
        baseNs = goesOnNs - deviceNs;
        timeNs = goesOnNs;
        newestNs = timeNs;
      }
      newestNs = Math.max(newestNs, timeNs);
      return timeNs;
    }

    function takeEvent(event: number, word: number, timeNs: number, arrived: HostTimeNs): void {
      const rigNs = rigTimeNs(timeNs);
      if (event === strobeEvent) hold.addMark({ kind: "strobe", rigNs, line: 0, state: true, word }, arrived);
      else if (event === stopEvent) {
        current.awaySinceHostNs ??= arrived;
        report({ kind: "lost", reason: "The Plexon server stopped the recording; start it again in OmniPlex" }, arrived);
      } else if (event === options.photodiodeEvent) hold.addMark({ kind: "photodiode", rigNs, line: 0, state: true, word: null }, arrived);
      else if (event !== startEvent) hold.addMark({ kind: "ttl", rigNs, line: event, state: true, word: null }, arrived);
    }

    function take(words: Uint32Array, doubles: Float64Array, count: number): void {
      const arrivedOf = arrivalsOn(clock, { monotonicNs });
      for (let i = 0; i < count; i++) {
        const at = i * recordWords;
        const head = words[at + 4] ?? 0;
        const kind = (head >>> 16) & 0xff;
        const channel = head & 0xffff;
        const a = words[at + 5] ?? 0;
        const arrived = arrivedOf(doubles[i * 4 + 1] ?? 0);
        if (current.awaySinceHostNs !== null && (kind === recordKinds.spike || (kind === recordKinds.digital && channel === startEvent))) {
          report({ kind: "reconnected", awayMs: msBetween(current.awaySinceHostNs, arrived) }, arrived);
          current.awaySinceHostNs = null;
        }
        if (kind === recordKinds.spike) hold.add(timeOf(words[at] ?? 0, words[at + 1] ?? 0, arrived), channelIndex(channel), head >>> 24);
        else if (kind === recordKinds.digital) takeEvent(channel, a, timeOf(words[at] ?? 0, words[at + 1] ?? 0, arrived), arrived);
        else if (kind === recordKinds.malformed) {
          current.malformed += 1;
          report({ kind: "malformed", reason: `Plexon's client library answered with its error ${a | 0}; what the server held may come with a later answer`, packets: 1 }, arrived);
        } else if (kind === recordKinds.overflow) report({ kind: "overflow", droppedSpikes: a }, arrived);
        else if (kind === recordKinds.poll) {
          current.polls += 1;
          const dropped = (words[at + 6] ?? 0) + (words[at + 7] ?? 0);
          if (dropped > 0) {
            current.lost += dropped;
            report({ kind: "gap", lostPackets: dropped, stream: "the Plexon server", atRigNs: rigTimeNs(Math.max(hold.watermarkNs(), newestNs)) }, arrived);
          }
          if (changed) {
            changed = false;
            emit({ kind: "channels", channels: [...channels] });
          }
          // What one answer holds is not in time order; a spike comes once its waveform has ended.
          hold.deliver(newestNs - options.holdBackMs * nsPerMs, arrived);
        }
        current.newestHostNs = arrived;
      }
    }

    function watch(): void {
      if (running !== current) return;
      const now = clock.now();
      const ageMs = msBetween(current.newestHostNs ?? now, now);
      current.newestHostNs ??= now;
      if (ageMs >= options.staleMs && current.awaySinceHostNs === null) {
        current.awaySinceHostNs = current.newestHostNs;
        report({ kind: "stale", ageMs }, now);
      }
      current.cancelWatch = clock.setTimer(addMs(now, watchMs), watch);
    }
  }

  return {
    name: "Plexon",
    channels: () => [...((running ?? last)?.channels ?? [])],
    start,
    status() {
      const shown = running ?? last;
      return {
        connected: running !== null && running.awaySinceHostNs === null,
        address: running === null ? (options.library ?? "Plexon's client library") : `${running.poller.status().library} (${running.poller.status().client})`,
        spikesReceived: shown?.hold.counts().spikes ?? 0,
        packetsReceived: shown?.polls ?? 0,
        packetsLost: shown?.lost ?? 0,
        malformedPackets: shown?.malformed ?? 0,
        newestHostNs: shown?.newestHostNs ?? null,
      };
    },
    stop() {
      const current = running;
      if (current === null) return Promise.resolve();
      // What is held goes out before the end.
      current.hold.flush(clock.now());
      running = null;
      last = current;
      current.cancelWatch();
      current.poller.stop();
      current.listener({ kind: "end", reason: "The Plexon source was stopped." });
      return Promise.resolve();
    },
  };
}
