// Marks of a real photodiode, or of a program that watches the screen as one, for the synthetic rig: datagrams on loopback, each a line
// `<monotonic ns> <level>` (CLOCK_MONOTONIC of this computer; level 0 to 3 of shared/patchCode.ts). Knows nothing about the rig's clock.
import { createSocket } from "node:dgram";
import { fault, ok } from "../../shared/result.ts";
import { hostTimeNs } from "../../shared/units.ts";
import type { Fault, Result } from "../../shared/result.ts";
import type { HostTimeNs } from "../../shared/units.ts";

export interface PhotodiodeChange {
  /** When the light changed. */
  readonly atHostNs: HostTimeNs;
  readonly level: number;
}

export interface PhotodiodeLine {
  close(): void;
}

/** A change from before this is none of the present session's. */
const agoMsMax = 5000;

/** `now`: the host clock. Errors: `photodiodePort` where the port is taken. */
export function openPhotodiodeLine(port: number, now: () => HostTimeNs, listener: (change: PhotodiodeChange) => void): Promise<Result<PhotodiodeLine, Fault>> {
  const socket = createSocket("udp4");
  // Once for all marks: between two readings of the clocks this program may stand still, and an image would be longer by it.
  const aheadNs = hostAheadOfMonotonic(now);
  socket.on("message", (message) => {
    const nowNs = process.hrtime.bigint();
    for (const line of message.toString("latin1").split("\n")) {
      const [at = "", level = ""] = line.trim().split(" ");
      if (!/^\d{1,19}$/.test(at) || !/^[0-3]$/.test(level)) continue;
      const agoNs = Number(nowNs - BigInt(at));
      if (agoNs >= 0 && agoNs < agoMsMax * 1e6) listener({ atHostNs: hostTimeNs(Number(BigInt(at) + aheadNs)), level: Number(level) });
    }
  });
  return new Promise((resolve) => {
    socket.once("error", (error) => {
      socket.close();
      resolve(fault("photodiodePort", `UDP port ${port} of this computer cannot be listened to (${error.message}). Choose another photodiode port.`));
    });
    socket.bind(port, "127.0.0.1", () => {
      socket.removeAllListeners("error");
      // A datagram that cannot be read is no reason to end a session.
      socket.on("error", () => undefined);
      let isOpen = true;
      resolve(ok({
        close() {
          if (isOpen) socket.close();
          isOpen = false;
        },
      }));
    });
  });
}

/** Host time less CLOCK_MONOTONIC, ns, from the pair of readings that lay closest together. */
function hostAheadOfMonotonic(now: () => HostTimeNs): bigint {
  let best = { apartNs: Number.POSITIVE_INFINITY, aheadNs: 0n };
  for (let tries = 0; tries < 64; tries++) {
    const before = process.hrtime.bigint();
    const hostNs = BigInt(Math.round(now()));
    const apart = process.hrtime.bigint() - before;
    if (Number(apart) < best.apartNs) best = { apartNs: Number(apart), aheadNs: hostNs - before - apart / 2n };
  }
  return best.aheadNs;
}
