// External task mode: another program runs the subject and shows the images. Which folder and which event codes are agreed with it. Knows nothing about
// files or rigs.
import { z } from "zod";

const code = z.number().int().min(1).max(65_535);

export const externalTaskConfig = z.object({
  /** Folder that both programs reach; made where it is missing. */
  folder: z.string().trim().min(1),
  /** Codes of images. Blocks take the lower and the upper half in turn, so that a code of the block before is never taken for one of this: no block has more images than half of them. */
  firstCode: code.default(64),
  lastCode: code.default(255),
  /** An image is replaced by blank; null = the other program sends none and is trusted with the duration. */
  offCode: code.nullable().default(32),
  /** The trial was broken off: images whose time or response window it reaches do not count. */
  abortedCode: code.default(33),
  /** All images of the block have been shown; what did not arrive is asked for again. This code and the next one, in turn. */
  blockDoneCode: code.default(34),
  /** An image that was on for longer or shorter by more does not count. */
  durationToleranceMs: z.number().min(1).max(200).default(20),
  /** Without a code for this long an alarm is raised. */
  silentS: z.number().min(1).max(3600).default(60),
  /** What an onset is: the code itself, or the photodiode's mark near it (within 60 ms). */
  onset: z.enum(["code", "photodiode"]).default("code"),
}).refine((e) => e.lastCode > e.firstCode, { message: "expected lastCode after firstCode", path: ["lastCode"] })
  .refine((e) => [e.offCode, e.abortedCode, e.blockDoneCode, e.blockDoneCode + 1].every((c) => c === null || c < e.firstCode || c > e.lastCode), { message: "expected the other codes outside of the images' codes", path: ["firstCode"] })
  .refine((e) => new Set([e.offCode ?? 0, e.abortedCode, e.blockDoneCode, e.blockDoneCode + 1]).size === 4, { message: "expected different codes for image off, aborted and block done", path: ["offCode"] });

/** Codes of a block: the i-th image has `first + i`. */
export function codesOfBlock({ firstCode, lastCode, blockDoneCode }: Pick<ExternalTaskConfig, "firstCode" | "lastCode" | "blockDoneCode">, block: number): { readonly first: number; readonly count: number; readonly done: number } {
  const count = Math.floor((lastCode - firstCode + 1) / 2);
  return { first: firstCode + (block % 2) * count, count, done: blockDoneCode + (block % 2) };
}
export type ExternalTaskConfig = z.infer<typeof externalTaskConfig>;
