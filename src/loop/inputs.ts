// Everything that reaches the loop from outside, as data. A session file holds them all in order, so that replay can give the same ones to
// the same code. Knows nothing about what the loop makes of them.
import { z } from "zod";
import type { SessionRecord, SessionRecordBody } from "../shared/records.ts";
import type { ChannelInfo, EyeBatch, ImageBatch, SourceEvent } from "../shared/values.ts";
import { hostTimeNs, rigTimeNs } from "../shared/units.ts";

const hostNs = z.number().transform(hostTimeNs);
const rigNs = z.number().transform(rigTimeNs);

const sourceFault = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("gap"), lostPackets: z.number(), stream: z.string(), atRigNs: rigNs, continuousOnly: z.boolean().optional() }).transform(({ continuousOnly, ...gap }) => (continuousOnly === undefined ? gap : { ...gap, continuousOnly })),
  z.object({ kind: z.literal("stale"), ageMs: z.number() }),
  z.object({ kind: z.literal("lost"), reason: z.string() }),
  z.object({ kind: z.literal("reconnected"), awayMs: z.number() }),
  z.object({ kind: z.literal("clockJump"), jumpMs: z.number(), atRigNs: rigNs }),
  z.object({ kind: z.literal("malformed"), reason: z.string(), packets: z.number() }),
  z.object({ kind: z.literal("overflow"), droppedSpikes: z.number() }),
  z.object({ kind: z.literal("disorder"), duplicated: z.number(), reordered: z.number(), stream: z.string() }),
]);

const geometry = z.object({ kind: z.enum(["timed", "window", "external"]), widthPx: z.number(), heightPx: z.number(), refreshHz: z.number() });

const displayReport = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("onset"), presentationId: z.number(), flipHostNs: hostNs, plannedHostNs: hostNs }),
  z.object({ kind: z.literal("offset"), presentationId: z.number(), flipHostNs: hostNs, framesShown: z.number(), lateFrames: z.number() }),
  z.object({ kind: z.literal("end"), trialId: z.number(), aborted: z.boolean(), endHostNs: hostNs }),
  z.object({ kind: z.literal("missing"), trialId: z.number(), imageId: z.number() }),
  z.object({ kind: z.literal("lost"), reason: z.string() }),
  z.object({ kind: z.literal("attached"), geometry }),
]);

const channelInfo = z.object({ index: z.number(), name: z.string(), area: z.string(), positionMm: z.object({ x: z.number(), y: z.number() }).nullable() });

/** The inputs that are written as JSON. */
const smallInput = z.discriminatedUnion("kind", [
  /** The streams run; the display draws at this rate. Rules that runs recorded before them lack. silence: in which time a channel is silent (before, all time of the rig's clock); ceilings: of which presentations a noise ceiling is (before, of an even number). */
  z.object({ kind: z.literal("begin"), refreshHz: z.number(), channels: z.array(channelInfo), silence: z.literal("heard").optional(), ceilings: z.literal("all").optional() })
    .transform(({ silence, ceilings, ...begin }) => ({ ...begin, ...(silence === undefined ? {} : { silence }), ...(ceilings === undefined ? {} : { ceilings }) })),
  /** The display at the start of a run: flash the patch so often before the first trial, or why not. */
  z.object({
    kind: z.literal("displaySetup"), refreshHz: z.number(), photodiodeCode: z.enum(["onset", "frames"]),
    flashes: z.number(), onFrames: z.number(), offFrames: z.number(), skipped: z.string(),
  }),
  z.object({ kind: z.literal("channels"), channels: z.array(channelInfo) }),
  z.object({ kind: z.literal("fault"), fault: sourceFault }),
  z.object({ kind: z.literal("sourceEnd"), reason: z.string() }),
  z.object({ kind: z.literal("display"), report: displayReport }),
  /** Decoded, seen by the rig's retina where it has one, and ready to be drawn. */
  z.object({ kind: z.literal("imageReady"), imageId: z.number() }),
  z.object({ kind: z.literal("trialTimer"), token: z.number() }),
  z.object({ kind: z.literal("deadline"), presentationId: z.number() }),
  z.object({ kind: z.literal("rewardDone"), cause: z.enum(["trial", "manual"]), pulseMs: z.number(), problem: z.string().nullable() }),
  /** The store can take another generation. */
  z.object({ kind: z.literal("room") }),
  z.object({ kind: z.literal("alarm"), code: z.string(), severity: z.enum(["warn", "fault"]), message: z.string() }),
  z.object({ kind: z.literal("alarmOver"), code: z.string(), message: z.string() }),
  z.object({ kind: z.literal("failed"), message: z.string() }),
  z.object({ kind: z.literal("pause") }),
  z.object({ kind: z.literal("resume") }),
  z.object({ kind: z.literal("stop"), why: z.string() }),
  z.object({ kind: z.literal("endBreak") }),
  z.object({ kind: z.literal("skipGeneration") }),
  z.object({ kind: z.literal("skipStep") }),
  z.object({ kind: z.literal("repeatStep"), step: z.number().nullable() }),
  /** The operator sent images; their pixels follow as any others' do. */
  z.object({ kind: z.literal("queueImages"), images: z.array(z.object({ label: z.string(), imageKind: z.enum(["model", "free"]) })) }),
  /** What is in the folder of a step of the configured plan. */
  z.object({ kind: z.literal("library"), step: z.number(), labels: z.array(z.string()), widthPx: z.number(), heightPx: z.number() }),
  z.object({ kind: z.literal("setTarget"), thread: z.number(), channel: z.number() }),
  z.object({ kind: z.literal("setReward"), pulseMs: z.number() }),
  /** The operator sorted units anew: targets that were left and those that take their place. */
  z.object({ kind: z.literal("unitsResorted"), replaced: z.array(z.object({ from: z.number(), to: z.number() })) }),
]);
export type SmallInput = z.infer<typeof smallInput>;

export type LoopInput =
  | SmallInput
  | { readonly kind: "spikes"; readonly batch: Extract<SourceEvent, { kind: "spikes" }>["batch"] }
  | { readonly kind: "mark"; readonly mark: Extract<SourceEvent, { kind: "mark" }>["mark"] }
  | { readonly kind: "eye"; readonly batch: EyeBatch }
  | { readonly kind: "imageDecoded"; readonly imageId: number; readonly label: string; readonly image: ImageBatch };

/** How a source's event reaches the loop. */
export function inputOf(event: SourceEvent): LoopInput {
  switch (event.kind) {
    case "spikes":
      return { kind: "spikes", batch: event.batch };
    case "mark":
      return { kind: "mark", mark: event.mark };
    case "channels":
      return { kind: "channels", channels: event.channels.map(plainChannel) };
    case "fault":
      return { kind: "fault", fault: event.fault };
    case "end":
      return { kind: "sourceEnd", reason: event.reason };
  }
}

export function plainChannel(c: ChannelInfo): z.infer<typeof channelInfo> {
  return { index: c.index, name: c.name, area: c.area, positionMm: c.positionMm === null ? null : { ...c.positionMm } };
}

/** The record of a small input. */
export function recordOf(input: SmallInput): SessionRecordBody {
  return { kind: "event", category: "input", severity: "info", code: input.kind, message: "", dataJson: JSON.stringify(input) };
}

/** The input that a record stands for; null for a record of something that the loop or the engine did. Throws on a damaged one. */
export function inputOfRecord(record: SessionRecord, pixels: (imageId: number) => ImageBatch): LoopInput | null {
  switch (record.kind) {
    case "spikes":
      return { kind: "spikes", batch: record.batch };
    case "eye":
      return { kind: "eye", batch: record.batch };
    case "mark":
      return { kind: "mark", mark: { kind: record.markKind, rigNs: record.rigNs, line: record.line, state: record.state, word: record.word } };
    case "image":
      return { kind: "imageDecoded", imageId: record.imageId, label: record.label, image: pixels(record.imageId) };
    case "event":
      return record.category === "input" ? smallInput.parse(JSON.parse(record.dataJson)) : null;
    default:
      return null;
  }
}
