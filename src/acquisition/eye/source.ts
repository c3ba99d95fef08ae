// Gaze that comes on the recording system's own line, in degrees and on its clock. Knows nothing about which system it is.
import { fault, ok } from "../../shared/result.ts";
import type { SpikeSource } from "../../shared/ports.ts";
import type { RawGaze } from "./gaze.ts";

export function createSourceEye({ source }: { readonly source: SpikeSource }): RawGaze {
  return {
    name: `Gaze of ${source.name}`,
    address: source.name,
    isDegrees: true,
    async start(listener) {
      if (source.gaze === undefined) return fault("noGaze", `Expected a recording system that sends gaze, but ${source.name} sends none. Choose another eye tracker.`);
      source.gaze((batch) => listener.samples(batch));
      return ok(undefined);
    },
    async stop() {
      source.gaze?.(null);
    },
  };
}
