// From a detector's raw boxes to what is in the image. Knows nothing about sessions.

import type { Detection, Detections } from "../shared/ports.ts";

/**
 * Non-maximum suppression within each class (Redmon & Farhadi 2018 practice: boxes in order of score, dropping those that
 * overlap a kept one by more than `overlapMax`). `rows` is [boxes, width] of (cx, cy, w, h, object score, class scores ...)
 * in pixels of the detector's input; a box's score is object score times best class score.
 */
export function suppressOverlaps(
  rows: Float32Array,
  width: number,
  scale: { readonly x: number; readonly y: number },
  options: { readonly scoreMin: number; readonly overlapMax: number; readonly boxesMax: number },
): Detections {
  let objectness = 0;
  const found: Detection[] = [];
  for (let start = 0; start + width <= rows.length; start += width) {
    let classIndex = -1;
    let best = 1;
    for (let c = 5; c < width; c++) {
      const share = rows[start + c] ?? 0;
      if (classIndex === -1 || share > best) {
        best = share;
        classIndex = c - 5;
      }
    }
    const score = (rows[start + 4] ?? 0) * best;
    if (score > objectness) objectness = score;
    if (score < options.scoreMin) continue;
    found.push({
      xPx: (rows[start] ?? 0) * scale.x, yPx: (rows[start + 1] ?? 0) * scale.y,
      widthPx: (rows[start + 2] ?? 0) * scale.x, heightPx: (rows[start + 3] ?? 0) * scale.y,
      score, classIndex,
    });
  }
  found.sort((a, b) => b.score - a.score);
  const boxes: Detection[] = [];
  for (const box of found) {
    if (boxes.length >= options.boxesMax) break;
    if (boxes.every((kept) => kept.classIndex !== box.classIndex || measureOverlap(kept, box) <= options.overlapMax)) boxes.push(box);
  }
  return { objectness, boxes };
}

/** Intersection over union. */
export function measureOverlap(a: Detection, b: Detection): number {
  const side = (centreA: number, sizeA: number, centreB: number, sizeB: number) =>
    Math.max(0, Math.min(centreA + sizeA / 2, centreB + sizeB / 2) - Math.max(centreA - sizeA / 2, centreB - sizeB / 2));
  const shared = side(a.xPx, a.widthPx, b.xPx, b.widthPx) * side(a.yPx, a.heightPx, b.yPx, b.heightPx);
  const union = a.widthPx * a.heightPx + b.widthPx * b.heightPx - shared;
  return union > 0 ? shared / union : 0;
}
