// From a synthetic rig's events to the blocks that a player plays: what happened in one turn of the rig becomes one block on the tick grid.
// Knows nothing about protocols.
import type { ChannelInfo, SourceEvent } from "../../shared/values.ts";
import type { PlayedBlock, PlayedMark, PlayerKind } from "./player.ts";

export interface Feeder {
  take(event: SourceEvent): void;
  /** Ticks count from here on as if the program had just been started. */
  restart(): void;
  /** What has happened so far is played; what happens until `goOn` is not, and no tick counts for it. */
  pause(): void;
  goOn(): void;
}

/** `onBlock` gets every block once its turn is over, and the rig time (ns, of the rig's own grid) that it reaches. */
export function createFeeder({ grid, onBlock, onChannels }: {
  readonly grid: PlayerKind["grid"];
  readonly onBlock: (block: PlayedBlock, untilRigNs: number) => void;
  readonly onChannels?: (channels: readonly ChannelInfo[]) => void;
}): Feeder {
  const { tickHz, blockTicks } = grid;
  const tickOf = (ns: number) => Math.round((ns * tickHz) / 1e9);
  let batches: Extract<SourceEvent, { readonly kind: "spikes" }>["batch"][] = [];
  let marks: PlayedMark[] = [];
  let baseTick = 0;
  let fromTick: number | null = null;
  let isFlushDue = false;
  let pausedAtTick: number | null = null;

  function flush(): void {
    isFlushDue = false;
    const last = batches.at(-1);
    if (last === undefined) return;
    const untilTick = tickOf(last.watermarkRigNs) - baseTick;
    const count = batches.reduce((sum, batch) => sum + batch.timesRigNs.length, 0);
    const spikeTicks = new Float64Array(count);
    const spikeChannels = new Uint16Array(count);
    const spikeUnits = new Uint8Array(count);
    let at = 0;
    for (const { timesRigNs, channels, units } of batches) {
      for (const [i, time] of timesRigNs.entries()) spikeTicks[at + i] = tickOf(time) - baseTick;
      spikeChannels.set(channels, at);
      spikeUnits.set(units, at);
      at += timesRigNs.length;
    }
    // The first block begins where the first spike's does.
    const first = Math.floor(Math.min(untilTick, spikeTicks[0] ?? untilTick) / blockTicks) * blockTicks;
    const block = { fromTick: Math.min(fromTick ?? first, untilTick), untilTick, spikeTicks, spikeChannels, spikeUnits, marks };
    batches = [];
    marks = [];
    fromTick = untilTick;
    // Before the first spike there is nothing to begin a stream with.
    if (block.fromTick === untilTick || pausedAtTick !== null) return;
    onBlock(block, last.watermarkRigNs);
  }

  function soon(): void {
    if (isFlushDue) return;
    isFlushDue = true;
    queueMicrotask(flush);
  }

  return {
    take(event) {
      switch (event.kind) {
        case "channels":
          onChannels?.(event.channels);
          return;
        case "spikes":
          batches.push(event.batch);
          soon();
          return;
        case "mark":
          marks.push({ tick: tickOf(event.mark.rigNs) - baseTick, kind: event.mark.kind, line: event.mark.line, state: event.mark.state, word: event.mark.kind === "strobe" ? event.mark.word : null });
          return;
        case "fault":
          // A jump of the rig's clock: the next block goes on from there.
          if (event.fault.kind === "clockJump") {
            flush();
            fromTick = tickOf(event.fault.atRigNs) - baseTick;
          }
          return;
        case "end":
          flush();
      }
    },
    restart() {
      flush();
      baseTick += fromTick ?? 0;
      fromTick = 0;
    },
    pause() {
      flush();
      pausedAtTick = fromTick;
    },
    goOn() {
      flush();
      baseTick += (fromTick ?? 0) - (pausedAtTick ?? fromTick ?? 0);
      fromTick = pausedAtTick;
      pausedAtTick = null;
    },
  };
}
