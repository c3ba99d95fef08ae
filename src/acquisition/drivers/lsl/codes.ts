// Event codes as an LSL marker stream of Evoked's own, which whatever records LSL takes beside the other streams. Knows nothing about what the codes
// mean.
import { hostname } from "node:os";
import { z } from "zod";
import type { EventCodes } from "../../../shared/ports.ts";
import { ok } from "../../../shared/result.ts";
import { loadLsl } from "./library.ts";
import type { Lsl, LslOutlet } from "./library.ts";

export const lslCodesOptionsSchema = z.strictObject({
  name: z.string().min(1).default("Evoked events").meta({ description: "Name of the stream, as recorders list it." }),
  type: z.string().min(1).default("Markers").meta({ description: "Type of the stream." }),
  library: z.string().nullable().default(null).meta({ description: "File of the liblsl library; none: EVOKED_LIBLSL, then the system's own." }),
});
export type LslCodesOptions = z.infer<typeof lslCodesOptionsSchema>;

export function createLslCodes(options: LslCodesOptions): EventCodes {
  let open: { readonly lsl: Lsl; readonly outlet: LslOutlet } | null = null;
  let sent = 0;
  let unheard = 0;
  return {
    name: `LSL markers "${options.name}"`,
    async start() {
      const library = await loadLsl(options.library);
      if (!library.ok) return library;
      const lsl = library.value;
      // The same identity after a restart: recorders find the stream again.
      open = { lsl, outlet: lsl.openOutlet({ name: options.name, type: options.type, channelCount: 1, sourceId: `evoked events ${hostname()} ${options.name}`, isInt: true }) };
      return ok(undefined);
    },
    send(code) {
      if (open === null) return;
      sent += 1;
      if (!open.outlet.hasConsumers()) unheard += 1;
      open.outlet.push([code], open.lsl.localClockS());
    },
    async stop() {
      open?.outlet.close();
      open = null;
    },
    status: () => ({
      connected: open !== null, address: `lsl: ${options.name}`, newestHostNs: null, problem: null,
      detail: [open?.outlet.hasConsumers() === true ? "a recorder listens" : "no recorder listens", ...(sent === 0 ? [] : [`${sent} ${sent === 1 ? "code" : "codes"}`]), ...(unheard === 0 ? [] : [`${unheard} of them unheard`])].join(", "),
    }),
    // An outlet takes whatever it is given; whether somebody records is said in its line.
    onProblem: () => undefined,
  };
}
