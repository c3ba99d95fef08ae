// What the photodiode patch says: the stimulus window writes it, photodiode marks and traces are read by it. Knows nothing about either.
//
// Code "onset": white while an image is on, black otherwise: one rise an image, its fall the image's end.
// Code "frames": black while no image is on. While one is, its refreshes are numbered: refresh k of presentation p has the level
// 1 + (p + k) mod 3. From the light alone follow: the onset and which presentation it is (mod 3), the end, a refresh that was shown twice (the
// level stays) and one that was never shown (the level skips one), up to two in a row. The last refresh keeps the level of the one before: a screen that
// fell behind, and would stay so for as long as every refresh changes something, catches up in it, so that the image ends in time.

/** Brightness of the patch: 0 is black, `patchLevelMax` is white. */
export type PatchLevel = 0 | 1 | 2 | 3;
export const patchLevelMax = 3;

/** Level of refresh `frame` (0 = the first) of a presentation that is lit for `litFrames` under the code "frames". With fewer than three all are told. */
export function patchLevelOf(presentationId: number, frame: number, litFrames: number): PatchLevel {
  const told = litFrames < 3 ? frame : Math.min(frame, litFrames - 2);
  const place = (((presentationId + told) % 3) + 3) % 3;
  return place === 0 ? 1 : place === 1 ? 2 : 3;
}

/** Refreshes from one level to another within an image: 0 = the same again, 1 = the next one, 2 = one was left out. */
export function refreshesBetween(from: number, to: number): number {
  return (((to - from) % 3) + 3) % 3;
}

/** Values sent for the levels: a third of the light each. On a screen that is not linearised a gamma of 2.2 is assumed. */
export function patchGreys(isLinear: boolean): readonly [number, number, number, number] {
  return isLinear ? [0, 85, 170, 255] : [0, 155, 212, 255];
}
