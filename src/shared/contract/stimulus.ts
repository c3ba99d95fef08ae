// What the engine says to the one stimulus window and what that window answers. Nothing here but the draw loop's business.
// Knows nothing about protocols. Host times are ns on the engine's clock; the window converts its own by `clock.ping`.
import { z } from "zod";
import { displayTimes } from "./display.ts";

export const stimulusCommand = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("place"),
    centreXPx: z.number(), centreYPx: z.number(), sizePx: z.number(), fixationDiameterPx: z.number(),
    backgroundGrey: z.number(), photodiodePx: z.number(), photodiodeCode: z.enum(["onset", "frames"]),
    /** Value to send for each value asked for, 256 a channel; images come with it applied, greys of the window's own do not. */
    lut: z.object({ r: z.array(z.number()), g: z.array(z.number()), b: z.array(z.number()) }).nullable(),
  }),
  /** The window asks for its pixels (`stimulus.pixels`), off the thread that draws. sizePx: side on the screen; null = that of the placement. */
  z.object({ kind: z.literal("prepare"), imageId: z.number(), sizePx: z.number().positive().nullable() }),
  z.object({ kind: z.literal("release"), imageIds: z.array(z.number()) }),
  /** xPx, yPx: from the middle of the screen, right and down positive; left out: at the middle. */
  z.object({ kind: z.literal("fixation"), visible: z.boolean(), xPx: z.number().optional(), yPx: z.number().optional() }),
  z.object({
    kind: z.literal("run"), trialId: z.number(),
    /** imageId 0: no image, only the photodiode patch. */
    flashes: z.array(z.object({
      presentationId: z.number(), imageId: z.number(), onFrames: z.number(), offFrames: z.number(),
      placement: z.object({ centreXPx: z.number(), centreYPx: z.number(), sizePx: z.number() }).nullable().optional(),
    })),
  }),
  z.object({ kind: z.literal("abort"), trialId: z.number() }),
  /** Display test: flashes of a picture for so long, outside any session; `tested` follows. */
  z.object({ kind: z.literal("test"), seconds: z.number(), onFrames: z.number(), offFrames: z.number() }),
]);
export type StimulusCommand = z.infer<typeof stimulusCommand>;

/** An image as it is to be sent to the screen, gamma applied: RGBA bytes, base64, rows from the top. */
export interface StimulusPixels {
  readonly widthPx: number;
  readonly heightPx: number;
  readonly rgbaBase64: string;
}

export const stimulusReport = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("onset"), presentationId: z.number(), flipHostNs: z.number(), plannedHostNs: z.number() }),
  z.object({ kind: z.literal("offset"), presentationId: z.number(), flipHostNs: z.number(), framesShown: z.number(), lateFrames: z.number() }),
  z.object({ kind: z.literal("end"), trialId: z.number(), aborted: z.boolean(), endHostNs: z.number() }),
  z.object({ kind: z.literal("prepared"), imageId: z.number() }),
  /** null: the window could not finish the test, e.g. because it was hidden. */
  z.object({ kind: z.literal("tested"), times: displayTimes.nullable() }),
  z.object({ kind: z.literal("missing"), trialId: z.number(), imageId: z.number() }),
  /** The window is alive: sent once a second with its frame statistics. */
  z.object({ kind: z.literal("alive"), frames: z.number(), lateFrames: z.number(), visible: z.boolean() }),
]);
export type StimulusReport = z.infer<typeof stimulusReport>;
