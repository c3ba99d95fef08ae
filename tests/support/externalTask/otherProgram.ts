// A program that runs the subject in external task mode, as NIMH MonkeyLogic would: polls the agreed folder, shows the images of a block in trials of its
// own on the synthetic rig, and sends event codes. It makes the mistakes it is told to make. It knows Evoked by the files alone.
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import type { SyntheticWorld } from "../../../src/engine/rig.ts";
import type { Clock } from "../../../src/shared/ports.ts";
import { addMs } from "../../../src/shared/units.ts";

const current = z.object({ schema: z.literal("evoked.externalTask"), version: z.literal(1), session: z.string(), state: z.enum(["show", "wait", "ended"]), block: z.number(), manifest: z.string() });
const manifest = z.object({
  schema: z.literal("evoked.externalTask"), version: z.literal(1), session: z.string(), block: z.number(), onMs: z.number(), offMs: z.number(),
  codes: z.object({ imageOff: z.number().nullable(), aborted: z.number(), blockDone: z.number() }),
  images: z.array(z.object({ order: z.number(), code: z.number(), imageId: z.number(), presentationId: z.number(), file: z.string(), sha256: z.string() })),
});
type Block = z.infer<typeof manifest>;
type BlockImage = Block["images"][number];

/** By the running number of the image shown, from 1. */
export interface Mistakes {
  /** The animal looks away in the middle of it: the trial is broken off, its images that were not done come again later. */
  readonly breaksAt?: readonly number[];
  /** Its code gets lost on the way. */
  readonly lostCodeAt?: readonly number[];
  readonly lostOffAt?: readonly number[];
  /** Shown and coded a second time at the end of the trial. */
  readonly againAt?: readonly number[];
  /** A code that belongs to nothing is sent before it. */
  readonly strayCodeAt?: readonly { readonly at: number; readonly code: number }[];
  /** Stays on for twice as long. */
  readonly tooLongAt?: readonly number[];
  /** Says nothing for so long before the block with this number. */
  readonly silentBeforeBlock?: { readonly block: number; readonly ms: number };
}

export interface OtherProgram {
  /** Images put on the screen, in order. */
  readonly shown: readonly { readonly imageId: number; readonly presentationId: number; readonly whole: boolean }[];
  readonly blocks: readonly Block[];
  stop(): void;
}

const pollMs = 20;
const interTrialMs = 300;

export function startOtherProgram({ clock, folder, subject, imagesPerTrial = 4, mistakes = {} }: { readonly clock: Clock; readonly folder: string; readonly subject: SyntheticWorld; readonly imagesPerTrial?: number; readonly mistakes?: Mistakes }): OtherProgram {
  const shown: { imageId: number; presentationId: number; whole: boolean }[] = [];
  const blocks: Block[] = [];
  let count = 0;
  let reshown = 1_000_000;
  let stopped = false;
  const after = (ms: number, then: () => void): void => void clock.setTimer(addMs(clock.now(), ms), () => {
    if (!stopped) then();
  });
  const has = (list: readonly number[] | undefined, n: number): boolean => list?.includes(n) === true;

  function poll(): void {
    const path = join(folder, "current.json");
    if (existsSync(path)) {
      const now = current.parse(JSON.parse(readFileSync(path, "utf8")));
      if (now.state === "show" && now.block !== blocks.at(-1)?.block) {
        const block = manifest.parse(JSON.parse(readFileSync(join(folder, now.manifest), "utf8")));
        for (const image of block.images) {
          const bytes = readFileSync(join(folder, dirname(now.manifest), image.file));
          if (createHash("sha256").update(bytes).digest("hex") !== image.sha256) throw new Error(`expected ${image.file} to have the hash of the manifest`);
        }
        blocks.push(block);
        const wait = mistakes.silentBeforeBlock?.block === block.block ? mistakes.silentBeforeBlock.ms : 0;
        after(wait, () => trial(block, [...block.images]));
        return;
      }
    }
    after(pollMs, poll);
  }

  function trial(block: Block, left: readonly BlockImage[]): void {
    if (left.length === 0) {
      subject.strobe(block.codes.blockDone, clock.now());
      after(pollMs, poll);
      return;
    }
    show(block, left.slice(0, imagesPerTrial), left.slice(imagesPerTrial), []);
  }

  function show(block: Block, rest: readonly BlockImage[], later: readonly BlockImage[], again: readonly BlockImage[]): void {
    const [image, ...others] = rest.length > 0 ? rest : again;
    const isAgain = rest.length === 0;
    if (image === undefined) {
      after(interTrialMs, () => trial(block, later));
      return;
    }
    count += 1;
    const n = count;
    for (const stray of mistakes.strayCodeAt ?? []) if (stray.at === n) subject.strobe(stray.code, clock.now());
    const presentationId = isAgain ? reshown++ : image.presentationId;
    subject.lit(image.imageId, presentationId, clock.now());
    if (!has(mistakes.lostCodeAt, n)) subject.strobe(image.code, clock.now());
    if (has(mistakes.breaksAt, n)) {
      after(block.onMs / 2, () => {
        subject.lit(null, presentationId, clock.now());
        subject.strobe(block.codes.aborted, clock.now());
        shown.push({ imageId: image.imageId, presentationId, whole: false });
        // It was not done, nor was the one before it if its response was still to come: both come again; a repetition that was done is ignored.
        const redo = isAgain ? [] : [{ ...image }, ...others];
        after(interTrialMs * 2, () => trial(block, [...later, ...redo]));
      });
      return;
    }
    after(block.onMs * (has(mistakes.tooLongAt, n) ? 2 : 1), () => {
      subject.lit(null, presentationId, clock.now());
      if (block.codes.imageOff !== null && !has(mistakes.lostOffAt, n)) subject.strobe(block.codes.imageOff, clock.now());
      shown.push({ imageId: image.imageId, presentationId, whole: true });
      const more = has(mistakes.againAt, n) ? [...again, image] : again;
      after(block.offMs, () => (isAgain ? show(block, [], later, others) : show(block, others, later, more)));
    });
  }

  after(pollMs, poll);
  return {
    shown, blocks,
    stop() {
      stopped = true;
    },
  };
}
