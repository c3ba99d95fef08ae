// The synthetic juice line: bounded pulses on the clock, each recorded. Knows nothing about who earned them.
import type { Clock, Reward } from "../../shared/ports.ts";
import { fault, ok } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import { addMs, msBetween } from "../../shared/units.ts";
import type { HostTimeNs } from "../../shared/units.ts";

export function createSyntheticReward(options: {
  readonly clock: Clock;
  readonly pulseMsMax: number;
  /** The board does not answer: an injected fault. */
  readonly isDead?: () => boolean;
  readonly onDelivered: (delivered: { readonly atHostNs: HostTimeNs; readonly pulseMs: number }) => void;
}): Reward {
  const { clock, pulseMsMax } = options;
  let endPulse: (() => void) | null = null;
  return {
    name: "Synthetic reward",
    pulseMsMax,
    async pulse(pulseMs): Promise<Result<{ readonly pulseMs: number }, Fault>> {
      if (!(pulseMs > 0 && pulseMs <= pulseMsMax)) {
        return fault("rewardOutOfRange", `Expected a reward pulse of more than 0 and at most ${pulseMsMax} ms, got ${pulseMs} ms. Choose a length in that range.`);
      }
      if (options.isDead?.() === true) return fault("rewardNoAnswer", "Expected the reward line to answer, but the synthetic rig was told that it does not. Nothing was given.");
      if (endPulse !== null) return fault("rewardBusy", "Expected the reward line to be off, but a pulse is running. Wait for its end, or turn the line off.");
      const startHostNs = clock.now();
      return await new Promise((resolve) => {
        const finish = () => {
          cancel();
          endPulse = null;
          const givenMs = Math.min(pulseMs, msBetween(startHostNs, clock.now()));
          options.onDelivered({ atHostNs: startHostNs, pulseMs: givenMs });
          resolve(ok({ pulseMs: givenMs }));
        };
        const cancel = clock.setTimer(addMs(startHostNs, pulseMs), finish);
        endPulse = finish;
      });
    },
    async off() {
      endPulse?.();
    },
  };
}
