// Clock domains, ids and unit conversions. Knows nothing about where a time comes from.

declare const brand: unique symbol;
type Brand<T, B extends string> = T & { readonly [brand]: B };

/** Nanoseconds on the rig's clock since the source started. A float64 holds 104 days exactly. */
export type RigTimeNs = Brand<number, "RigTimeNs">;
/** Nanoseconds on this computer's monotonic clock (or the virtual clock) since the engine started. */
export type HostTimeNs = Brand<number, "HostTimeNs">;

export function rigTimeNs(ns: number): RigTimeNs {
  if (!Number.isFinite(ns)) throw new Error(`expected a finite rig time in ns, got ${ns}`);
  return ns as RigTimeNs;
}

export function hostTimeNs(ns: number): HostTimeNs {
  if (!Number.isFinite(ns)) throw new Error(`expected a finite host time in ns, got ${ns}`);
  return ns as HostTimeNs;
}

export const nsPerMs = 1e6;
export const nsPerS = 1e9;

export function addMs<T extends RigTimeNs | HostTimeNs>(time: T, ms: number): T {
  return (time + ms * nsPerMs) as T;
}

/** Later minus earlier, in ms; both on the same clock. */
export function msBetween<T extends RigTimeNs | HostTimeNs>(earlier: T, later: T): number {
  return (later - earlier) / nsPerMs;
}
