import { expect, it } from "vitest";
import { decodeLsl, encodeLslSamples, lslLanes } from "../../../src/acquisition/drivers/lsl/decoder.ts";
import { lslOptionsSchema } from "../../../src/acquisition/drivers/lsl/options.ts";
import { hostTimeNs } from "../../../src/shared/units.ts";
import type { SourceEvent } from "../../../src/shared/values.ts";

it("a piece of a capture that is no samples is told and passed over; what follows counts", () => {
  const events: SourceEvent[] = [];
  const decoder = decodeLsl(lslOptionsSchema.parse({}), (event) => events.push(event));
  const [times, values] = encodeLslSamples({ timesS: Float64Array.of(1), values: Float64Array.of(7), texts: null });
  const whole = [times!, values!, new Uint8Array(0)];
  const damaged = [[times!, values!, new TextEncoder().encode("[\"7\"")], [times!.subarray(1), values!], [times!, new Uint8Array(0)], []];
  for (const parts of damaged) decoder.take(lslLanes.markers, parts, hostTimeNs(0));
  decoder.take(lslLanes.markers, whole, hostTimeNs(1));
  decoder.finish(hostTimeNs(2));
  expect(events.flatMap((event) => (event.kind === "fault" && event.fault.kind === "malformed" ? [event.fault.packets] : []))).toEqual([1, 1, 1, 1]);
  expect(events.flatMap((event) => (event.kind === "mark" ? [event.mark.word] : []))).toEqual([7]);
});
