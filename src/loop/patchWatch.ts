// The rig's photodiode marks as images: which mark is an onset, when the light went off again, how many refreshes were seen. Marks of a box
// with two states (word null) and levels of a graded photodiode (word 0 to 3, shared/patchCode.ts) alike. Knows nothing about presentations.
import { readImage } from "../analysis/photodiode.ts";
import type { LevelChange, SeenImage } from "../analysis/photodiode.ts";
import { patchLevelMax } from "../shared/patchCode.ts";
import { nsPerMs } from "../shared/units.ts";
import type { RigMark } from "../shared/values.ts";

/** Longer than any image that is waited for. */
const keptMs = 10_000;

export interface PatchWatch {
  /** Takes a mark. true: it is an image's onset, false: it is a change within one, or its end. */
  take(mark: RigMark): boolean;
  /** The image whose onset is at this rig time; null where its end has not come. */
  imageAt(onsetRigNs: number): SeenImage | null;
  /** This rig reports when the light goes off. */
  readonly seesEnds: boolean;
  /** This rig tells levels of light: it is a photodiode that sees the patch as it is, no box with pulses of its own. */
  readonly isGraded: boolean;
}

export function createPatchWatch({ periodNs }: { readonly periodNs: () => number }): PatchWatch {
  let lit: LevelChange[] = [];
  let images: { readonly onsetRigNs: number; readonly seen: SeenImage }[] = [];
  let onsetRigNs = 0;
  let seesEnds = false;
  let hasPhotodiode = false;
  let isGraded = false;

  return {
    take(mark) {
      // Where there is a photodiode, a strobe beside it says which image, not how long.
      if (mark.kind === "photodiode") hasPhotodiode = true;
      else if (hasPhotodiode) return false;
      if (mark.kind === "photodiode" && mark.word !== null) isGraded = true;
      const level = mark.word === null || mark.kind !== "photodiode" ? (mark.state ? patchLevelMax : 0) : mark.word;
      const change: LevelChange = { atMs: mark.rigNs / nsPerMs, level };
      if (level === 0) {
        if (lit.length > 0) {
          images.push({ onsetRigNs, seen: readImage(lit, change.atMs, periodNs() / nsPerMs) });
          images = images.filter((image) => mark.rigNs - image.onsetRigNs < keptMs * nsPerMs);
          seesEnds = true;
        }
        lit = [];
        return false;
      }
      // A box that never tells of the end: every rise is an onset.
      if (lit.length > 0 && mark.word !== null) {
        lit.push(change);
        return false;
      }
      lit = [change];
      onsetRigNs = mark.rigNs;
      return true;
    },
    imageAt: (at) => images.find((image) => image.onsetRigNs === at)?.seen ?? null,
    get isGraded() {
      return isGraded;
    },
    get seesEnds() {
      return seesEnds;
    },
  };
}
