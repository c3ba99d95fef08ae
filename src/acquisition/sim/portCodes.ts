// Event codes into the digital port of a simulated rig, which sends them back as strobed words. Knows nothing about what the codes mean.
import type { Clock, EventCodes } from "../../shared/ports.ts";
import { ok } from "../../shared/result.ts";
import type { HostTimeNs } from "../../shared/units.ts";

export function createPortCodes({ clock, strobe }: { readonly clock: Clock; readonly strobe: (word: number, atHostNs: HostTimeNs) => void }): EventCodes {
  let isOpen = false;
  let sent = 0;
  return {
    name: "Digital port of the simulation",
    async start() {
      isOpen = true;
      return ok(undefined);
    },
    send(code) {
      if (!isOpen) return;
      sent += 1;
      strobe(code, clock.now());
    },
    async stop() {
      isOpen = false;
    },
    status: () => ({ connected: isOpen, address: "simulated", newestHostNs: null, detail: sent === 0 ? "" : `${sent} ${sent === 1 ? "code" : "codes"}`, problem: null }),
    // A port in memory has none.
    onProblem: () => undefined,
  };
}
