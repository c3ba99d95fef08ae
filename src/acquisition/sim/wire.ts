// A wire between a player and its driver on which faults can be injected: packets that are lost, doubled, swapped, held back, replaced by
// rubbish. Seeded, so that a test meets the same faults every time. Knows nothing about protocols.
import { z } from "zod";
import type { Clock } from "../../shared/ports.ts";
import { createRng } from "../../shared/rng.ts";
import { addMs, nsPerMs } from "../../shared/units.ts";

const share = z.number().min(0).max(1).meta({ description: "Share of all packets." });
const atMs = z.number().min(0).meta({ description: "Time since the first packet.", unit: "ms" });

export const wireFaultSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("lose"), share }),
  z.strictObject({ kind: z.literal("loseAt"), atMs, packets: z.number().int().min(1).default(1) }),
  z.strictObject({ kind: z.literal("duplicate"), share }),
  z.strictObject({ kind: z.literal("reorder"), share }),
  z.strictObject({ kind: z.literal("stall"), atMs, durationMs: z.number().positive().default(2000) }),
  z.strictObject({ kind: z.literal("cut"), atMs, durationMs: z.number().positive().default(2000) }),
  z.strictObject({ kind: z.literal("rubbish"), atMs }),
  z.strictObject({ kind: z.literal("restart"), atMs, durationMs: z.number().positive().default(500) }),
  /** Acquisition stopped and started again in a program that goes on: its numbers go on where they stopped. */
  z.strictObject({ kind: z.literal("pause"), atMs, durationMs: z.number().positive().default(2000) }),
]);
export type WireFault = z.infer<typeof wireFaultSchema>;

export interface WireCounts {
  readonly sent: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
  readonly rubbish: number;
}

export interface Wire<T> {
  send(packet: T): void;
  counts(): WireCounts;
  /** Sends what is held back. */
  drain(): void;
}

/** `transmit` puts a packet on the real wire; `rubbish` makes one that no driver can read (null: the protocol has none). */
export function createWire<T>(options: {
  readonly clock: Clock;
  readonly seed: number | string;
  readonly faults: readonly WireFault[];
  readonly transmit: (packet: T) => void;
  readonly rubbish: (() => T) | null;
}): Wire<T> {
  const { clock, faults, transmit } = options;
  const rng = createRng(options.seed).fork("wire");
  let firstNs: number | null = null;
  const counts = { sent: 0, lost: 0, duplicated: 0, reordered: 0, rubbish: 0 };
  const shareOf = (kind: "lose" | "duplicate" | "reorder") => faults.reduce((sum, one) => sum + (one.kind === kind ? one.share : 0), 0);
  const lose = shareOf("lose");
  const duplicate = shareOf("duplicate");
  const reorder = shareOf("reorder");
  const losing = faults.flatMap((one) => (one.kind === "loseAt" ? [{ atMs: one.atMs, left: one.packets }] : []));
  const rubbishAt = faults.flatMap((one) => (one.kind === "rubbish" ? [one.atMs] : []));
  const cuts = faults.flatMap((one) => (one.kind === "cut" ? [one] : []));
  const stalls = faults.flatMap((one) => (one.kind === "stall" ? [one] : []));
  let swapped: T | null = null;
  let stalled: T[] = [];
  let cancelStall: (() => void) | null = null;

  const sinceMs = () => (clock.now() - (firstNs ?? clock.now())) / nsPerMs;

  function put(packet: T): void {
    counts.sent += 1;
    transmit(packet);
  }

  function release(): void {
    cancelStall = null;
    const burst = stalled;
    stalled = [];
    for (const packet of burst) put(packet);
  }

  function pass(packet: T): void {
    const now = sinceMs();
    const stall = stalls.find((one) => now >= one.atMs && now < one.atMs + one.durationMs);
    if (stall !== undefined || cancelStall !== null) {
      stalled.push(packet);
      if (stall !== undefined) cancelStall ??= clock.setTimer(addMs(clock.now(), stall.atMs + stall.durationMs - now), release);
      return;
    }
    put(packet);
  }

  return {
    send(packet) {
      firstNs ??= clock.now();
      const now = sinceMs();
      while (rubbishAt[0] !== undefined && now >= rubbishAt[0]) {
        rubbishAt.shift();
        if (options.rubbish === null) continue;
        counts.rubbish += 1;
        pass(options.rubbish());
      }
      const due = losing.find((one) => now >= one.atMs && one.left > 0);
      if (due !== undefined) {
        due.left -= 1;
        counts.lost += 1;
        return;
      }
      // A cable that was pulled: nothing comes, and nothing is kept for later.
      if (cuts.some((one) => now >= one.atMs && now < one.atMs + one.durationMs)) {
        counts.lost += 1;
        return;
      }
      if (lose > 0 && rng.uniform() < lose) {
        counts.lost += 1;
        return;
      }
      if (reorder > 0 && swapped === null && rng.uniform() < reorder) {
        counts.reordered += 1;
        swapped = packet;
        return;
      }
      pass(packet);
      if (swapped !== null) {
        pass(swapped);
        swapped = null;
      }
      if (duplicate > 0 && rng.uniform() < duplicate) {
        counts.duplicated += 1;
        pass(packet);
      }
    },
    counts: () => ({ ...counts }),
    drain() {
      if (swapped !== null) pass(swapped);
      swapped = null;
      cancelStall?.();
      release();
    },
  };
}
