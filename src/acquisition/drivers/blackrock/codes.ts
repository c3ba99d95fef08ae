// Event codes as comments in a Blackrock system: it stores each with the time of its own clock and sends it back to whoever listens. No wire is needed;
// the time is that of the packet's arrival. Protocol notes: docs/rigs/sync.md. Knows nothing about what the codes mean.
import { createSocket } from "node:dgram";
import type { Socket } from "node:dgram";
import { z } from "zod";
import type { EventCodes } from "../../../shared/ports.ts";
import { fault, ok } from "../../../shared/result.ts";
import { blackrockProtocols, commentOfCode, commentRequest } from "./packets.ts";

export const blackrockCodesOptionsSchema = z.strictObject({
  host: z.string().min(1).nullable().default(null).meta({ description: "Address of the device; none: the rig's own where it is a Blackrock, else 192.168.137.128." }),
  sendPort: z.number().int().min(1).max(65_535).nullable().default(null).meta({ description: "Port on which the device takes requests; none: the rig's own, else 51001." }),
  protocol: z.enum(["auto", ...blackrockProtocols]).default("auto").meta({ description: "Version of the packets; auto: as the rig's settings say, else 4.1." }),
});

export interface BlackrockCodesOptions {
  readonly host: string;
  readonly sendPort: number;
  readonly protocol: (typeof blackrockProtocols)[number];
}

export function createBlackrockCodes(options: BlackrockCodesOptions): EventCodes {
  const { host, sendPort, protocol } = options;
  const address = `${host}:${sendPort}`;
  let socket: Socket | null = null;
  let listener: (problem: string | null) => void = () => undefined;
  let problem: string | null = null;
  let sent = 0;

  function say(next: string | null): void {
    if (next === problem) return;
    problem = next;
    listener(next);
  }

  return {
    name: "Comments in the Blackrock system",
    start: () =>
      new Promise((resolve) => {
        const made = createSocket("udp4");
        made.once("error", (error) => resolve(fault("socketFailed", `A socket for comments to ${address} could not be opened: ${error.message}. Check the network of the rig.`)));
        made.bind(0, () => {
          made.removeAllListeners("error");
          made.on("error", (error) => say(`Comments do not reach the Blackrock system at ${address} (${error.message}). Check the network of the rig.`));
          socket = made;
          resolve(ok(undefined));
        });
      }),
    send(code) {
      if (socket === null) return;
      sent += 1;
      socket.send(commentRequest(protocol, commentOfCode(code)), sendPort, host, (error) => say(error === null ? null : `Event code ${code} could not be sent to the Blackrock system at ${address} (${error.message}). Check the network of the rig.`));
    },
    async stop() {
      const open = socket;
      socket = null;
      if (open !== null) await new Promise<void>((resolve) => open.close(() => resolve()));
    },
    status: () => ({ connected: socket !== null && problem === null, address, newestHostNs: null, problem, detail: sent === 0 ? "" : `${sent} ${sent === 1 ? "comment" : "comments"}` }),
    onProblem(next) {
      listener = next;
    },
  };
}
