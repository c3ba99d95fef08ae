// What goes over the one link between a host and the engine's own process, parsed on both sides. Knows nothing about either.
import { z } from "zod";
import { events } from "../shared/contract/index.ts";
import type { EngineOptions } from "./engineTypes.ts";
import type { EngineFrame, EventName } from "../shared/contract/index.ts";

const access = z.array(z.enum(["view", "operate", "stimulus"]));
const eventName = z.custom<EventName>((name) => typeof name === "string" && Object.hasOwn(events, name), "expected the name of an event");
const engineOptions = z.object({
  host: z.enum(["electron", "web", "cli"]),
  modelFolders: z.array(z.string()).readonly(),
  sessionFolder: z.string(),
  modelsInProcess: z.boolean().exactOptional(),
}) satisfies z.ZodType<EngineOptions>;

/** Host -> engine. */
export const toEngine = z.discriminatedUnion("kind", [
  /** First of all. `forward` names the broadcast events that the host itself wants; null = all. */
  z.object({ kind: z.literal("start"), options: engineOptions, forward: z.array(eventName).nullable() }),
  z.object({ kind: z.literal("attach"), callerId: z.string(), access }),
  /** As attach, over a port of its own that came with the message. `events` names the broadcasts it wants; null = all. */
  z.object({ kind: z.literal("attachPort"), callerId: z.string(), access, events: z.array(eventName).nullable() }),
  z.object({ kind: z.literal("frame"), callerId: z.string(), frame: z.unknown() }),
  z.object({ kind: z.literal("detach"), callerId: z.string() }),
  z.object({ kind: z.literal("close") }),
]);
export type ToEngine = z.infer<typeof toEngine>;

const fault = z.object({ code: z.string(), message: z.string() });
const engineFrame = z.custom<EngineFrame>((frame) => typeof frame === "object" && frame !== null && ("event" in frame || "id" in frame), "expected a frame with id or event");

/** Engine -> host. */
export const fromEngine = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("ready") }),
  z.object({ kind: z.literal("failed"), error: fault }),
  /** callerId null = an event for everybody. */
  z.object({ kind: z.literal("frame"), callerId: z.string().nullable(), frame: engineFrame }),
  /** A bug's stack, or the last words before the process ends. */
  z.object({ kind: z.literal("problem"), text: z.string() }),
]);
export type FromEngine = z.infer<typeof fromEngine>;
