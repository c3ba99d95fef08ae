// The machine's monotonic clock as the loop's clock. Knows nothing about the loop.
import type { Clock } from "../shared/ports.ts";
import { hostTimeNs, nsPerMs } from "../shared/units.ts";

/** Host time starts at zero when the clock is made. Timers are those of Node, never early by more than its millisecond rounding. */
export function createRealClock(): Clock {
  const origin = performance.now();
  const now = (): number => Math.round((performance.now() - origin) * nsPerMs);
  return {
    now: () => hostTimeNs(now()),
    setTimer(at, fire) {
      const handle = setTimeout(fire, Math.max(0, Math.ceil((at - now()) / nsPerMs)));
      return () => clearTimeout(handle);
    },
    hold: (work) => work,
  };
}
