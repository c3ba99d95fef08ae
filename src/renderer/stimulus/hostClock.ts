// This window's clock against the engine's, from pings: the answer with the shortest round trip wins. Knows nothing about links.

export interface Ping {
  /** When the question left and when the answer came, ms on this window's clock. */
  readonly sentMs: number;
  readonly receivedMs: number;
  /** The engine's host time in the answer, ns. */
  readonly hostNs: number;
}

export interface HostClock {
  readonly pings: readonly Ping[];
  /** hostNs = windowMs * 1e6 + offsetNs; null before the first ping. */
  readonly offsetNs: number | null;
  readonly roundTripMs: number | null;
}

export const unknownHostClock: HostClock = { pings: [], offsetNs: null, roundTripMs: null };

/** Adds a ping and forgets those older than `keepMs`, so that a slow drift between the two clocks is followed. */
export function addPing(clock: HostClock, ping: Ping, keepMs = 60_000): HostClock {
  const pings = [...clock.pings, ping].filter((p) => ping.receivedMs - p.receivedMs <= keepMs);
  const best = pings.reduce((a, b) => (roundTrip(b) <= roundTrip(a) ? b : a));
  return { pings, offsetNs: best.hostNs - ((best.sentMs + best.receivedMs) / 2) * 1e6, roundTripMs: roundTrip(best) };
}

/** Host time of a moment on this window's clock, ns. Only after the first ping. */
export function toHostNs(clock: HostClock, windowMs: number): number {
  if (clock.offsetNs === null) throw new Error("expected at least one ping before a time is converted");
  return windowMs * 1e6 + clock.offsetNs;
}

function roundTrip(ping: Ping): number {
  return ping.receivedMs - ping.sentMs;
}
