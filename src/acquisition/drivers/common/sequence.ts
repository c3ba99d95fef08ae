// Puts numbered packets in order: holds one that came too early for a moment, drops one that came twice, counts what never came. Knows
// nothing about what is in a packet or how it travels.
export interface SequenceOutcome<T> {
  /** In order, with the count of packets that are missing before each. */
  readonly packets: readonly { readonly packet: T; readonly lostBefore: number }[];
  readonly duplicated: number;
  readonly reordered: number;
  /** The numbering went back by more than any disorder: the sender was started again. */
  readonly restarted: boolean;
}

export interface Sequence<T> {
  take(number: number, packet: T): SequenceOutcome<T>;
  /** No more will come for now: what is held goes out, and what is missing before it is lost. */
  giveUp(): SequenceOutcome<T>;
  readonly waiting: number;
}

/**
 * `size`: numbers run from 0 to size - 1 and wrap. `windowPackets`: as many are held for one that is missing. A number that lies further back
 * than `restartPackets` is a restart.
 */
export function createSequence<T>({ size, windowPackets, restartPackets }: { readonly size: number; readonly windowPackets: number; readonly restartPackets: number }): Sequence<T> {
  let expected: number | null = null;
  const early = new Map<number, T>();
  const recent: number[] = [];

  const ahead = (number: number, from: number): number => {
    const steps = (((number - from) % size) + size) % size;
    return steps > size / 2 ? steps - size : steps;
  };

  function remember(number: number): void {
    recent.push(number);
    if (recent.length > 4 * windowPackets) recent.shift();
  }

  /** Lets the packets go that follow without a hole, or, past a hole that is given up, the next ones. */
  function drain(givesUp: boolean, out: { packet: T; lostBefore: number }[]): void {
    while (early.size > 0 && expected !== null) {
      const next = early.get(expected);
      if (next !== undefined) {
        early.delete(expected);
        out.push({ packet: next, lostBefore: 0 });
        remember(expected);
        expected = (expected + 1) % size;
        continue;
      }
      if (!givesUp && early.size < windowPackets) return;
      const from: number = expected;
      let nearest = Infinity;
      for (const number of early.keys()) nearest = Math.min(nearest, ahead(number, from));
      const number = (from + nearest) % size;
      const packet = early.get(number);
      if (packet === undefined) return;
      early.delete(number);
      out.push({ packet, lostBefore: nearest });
      remember(number);
      expected = (number + 1) % size;
    }
  }

  return {
    take(number, packet) {
      const out: { packet: T; lostBefore: number }[] = [];
      if (expected === null) {
        expected = (number + 1) % size;
        remember(number);
        return { packets: [{ packet, lostBefore: 0 }], duplicated: 0, reordered: 0, restarted: false };
      }
      const steps = ahead(number, expected);
      if (steps < -restartPackets || (steps < 0 && !recent.includes(number) && steps < -2 * windowPackets)) {
        drain(true, out);
        expected = (number + 1) % size;
        recent.length = 0;
        remember(number);
        out.push({ packet, lostBefore: 0 });
        return { packets: out, duplicated: 0, reordered: 0, restarted: true };
      }
      // It has been delivered, waits already, or was given up as lost and told as such: in each case its moment has passed.
      if (steps < 0 || early.has(number)) return { packets: [], duplicated: recent.includes(number) || early.has(number) ? 1 : 0, reordered: 0, restarted: false };
      const fillsHole = steps === 0 && early.size > 0;
      early.set(number, packet);
      drain(false, out);
      return { packets: out, duplicated: 0, reordered: fillsHole ? 1 : 0, restarted: false };
    },
    giveUp() {
      const out: { packet: T; lostBefore: number }[] = [];
      drain(true, out);
      return { packets: out, duplicated: 0, reordered: 0, restarted: false };
    },
    get waiting() {
      return early.size;
    },
  };
}
