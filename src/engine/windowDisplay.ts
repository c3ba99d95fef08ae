// The stimulus window as the loop's display: commands out as contract events, reports in as contract calls. Knows nothing about how the
// window draws. A window that falls silent or goes away is reported as lost; images are sent again to one that comes back.
import type { DisplayTimes, WindowFacts } from "../shared/contract/display.ts";
import type { StimulusCommand, StimulusPixels, StimulusReport } from "../shared/contract/stimulus.ts";
import type { GammaTables } from "../shared/gamma.ts";
import type { Clock, Display, DisplayGeometry, DisplayReport, StimulusPlacement } from "../shared/ports.ts";
import { assertNever, fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { addMs, hostTimeNs } from "../shared/units.ts";
import type { ImageBatch } from "../shared/values.ts";

export interface WindowDisplay extends Display {
  readonly attachedCaller: string | null;
  attach(callerId: string, geometry: DisplayGeometry, facts?: WindowFacts | null): void;
  /** How the attached window sits on its screen; null where it did not say, or there is none. */
  readonly facts: WindowFacts | null;
  /** Runs a test of the display; null where the window could not finish it. Only without a session. */
  test(test: { readonly seconds: number; readonly onFrames: number; readonly offFrames: number }): Promise<DisplayTimes | null>;
  detach(callerId: string, reason: string): void;
  report(callerId: string, report: StimulusReport): void;
  /** An image that was prepared and not released, with the screen's gamma in it. Error: `notPrepared`. */
  pixels(imageId: number): Result<StimulusPixels, Fault>;
  readonly frames: { readonly total: number; readonly late: number; readonly aliveHostNs: number | null };
}

/** A window sends `alive` once a second; silence longer than this is a fault. */
const silentAfterMs = 4000;
const testTimeoutMs = 10_000;

export function createWindowDisplay({ clock, send }: { readonly clock: Clock; readonly send: (callerId: string, command: StimulusCommand) => void }): WindowDisplay {
  let caller: string | null = null;
  let geometry: DisplayGeometry = { kind: "window", widthPx: 1920, heightPx: 1080, refreshHz: 60 };
  let placement: StimulusPlacement | null = null;
  let fixation = false;
  let listener: (report: DisplayReport) => void = () => undefined;
  const images = new Map<number, { readonly image: ImageBatch; readonly sizePx: number | null }>();
  const waiting = new Map<number, () => void>();
  let total = 0;
  let late = 0;
  let alive: number | null = null;
  let facts: WindowFacts | null = null;
  let tested: ((times: DisplayTimes | null) => void) | null = null;
  let closed = false;
  let watching = false;

  function command(c: StimulusCommand): void {
    if (caller !== null) send(caller, c);
  }

  function sendImage(imageId: number, sizePx: number | null): void {
    command({ kind: "prepare", imageId, sizePx });
  }

  function endTest(times: DisplayTimes | null): void {
    tested?.(times);
    tested = null;
  }

  function lose(reason: string): void {
    caller = null;
    facts = null;
    endTest(null);
    // A screen that is gone prepares nothing; whoever waits goes on, and the images are sent again when one attaches.
    for (const done of waiting.values()) done();
    waiting.clear();
    listener({ kind: "lost", reason });
  }

  function watch(): void {
    if (closed) {
      watching = false;
      return;
    }
    clock.setTimer(addMs(clock.now(), 1000), () => {
      if (caller !== null && alive !== null && clock.now() - alive > silentAfterMs * 1e6) lose(`the stimulus window has been silent for ${silentAfterMs / 1000} s`);
      watch();
    });
  }

  return {
    name: "stimulus window",
    get attachedCaller() {
      return caller;
    },
    get frames() {
      return { total, late, aliveHostNs: alive };
    },
    get facts() {
      return facts;
    },
    test({ seconds, onFrames, offFrames }) {
      endTest(null);
      return new Promise((resolve) => {
        tested = resolve;
        if (caller === null) endTest(null);
        else command({ kind: "test", seconds, onFrames, offFrames });
        // A window that is covered gets no frames and never ends.
        clock.setTimer(addMs(clock.now(), seconds * 1000 + testTimeoutMs), () => {
          if (tested === resolve) endTest(null);
        });
      });
    },
    attach(callerId, next, nextFacts = null) {
      caller = callerId;
      geometry = next;
      facts = nextFacts;
      alive = clock.now();
      if (!watching) {
        watching = true;
        watch();
      }
      if (placement !== null) command({ kind: "place", ...placement, lut: plainLut(placement.lut) });
      for (const [imageId, { sizePx }] of images) sendImage(imageId, sizePx);
      command({ kind: "fixation", visible: fixation });
      listener({ kind: "attached", geometry });
    },
    detach(callerId, reason) {
      if (caller === callerId) lose(reason);
    },
    report(callerId, r) {
      if (callerId !== caller) return;
      alive = clock.now();
      switch (r.kind) {
        case "onset":
          listener({ kind: "onset", presentationId: r.presentationId, flipHostNs: hostTimeNs(Math.round(r.flipHostNs)), plannedHostNs: hostTimeNs(Math.round(r.plannedHostNs)) });
          return;
        case "offset":
          listener({ kind: "offset", presentationId: r.presentationId, flipHostNs: hostTimeNs(Math.round(r.flipHostNs)), framesShown: r.framesShown, lateFrames: r.lateFrames });
          return;
        case "end":
          listener({ kind: "end", trialId: r.trialId, aborted: r.aborted, endHostNs: hostTimeNs(Math.round(r.endHostNs)) });
          return;
        case "prepared":
          waiting.get(r.imageId)?.();
          waiting.delete(r.imageId);
          return;
        case "missing":
          listener({ kind: "missing", trialId: r.trialId, imageId: r.imageId });
          return;
        case "tested":
          endTest(r.times);
          return;
        case "alive":
          total = r.frames;
          late = r.lateFrames;
          return;
        default:
          assertNever(r);
      }
    },
    pixels(imageId) {
      const held = images.get(imageId);
      if (held === undefined) return fault("notPrepared", `Expected image ${imageId} to be one that was prepared, but it was released or never was.`);
      const { image } = held;
      return ok({ widthPx: image.width, heightPx: image.height, rgbaBase64: toRgbaBase64(image, placement?.lut ?? null) });
    },
    geometry: () => geometry,
    place(next) {
      placement = next;
      command({ kind: "place", ...next, lut: plainLut(next.lut) });
    },
    onReport(next) {
      listener = next;
    },
    prepare(imageId, image, sizePx) {
      images.set(imageId, { image, sizePx });
      if (caller === null) return Promise.resolve();
      return new Promise((resolve) => {
        waiting.set(imageId, resolve);
        sendImage(imageId, sizePx);
      });
    },
    release(imageIds) {
      for (const id of imageIds) images.delete(id);
      command({ kind: "release", imageIds: [...imageIds] });
    },
    showFixation(visible, at) {
      fixation = visible;
      command({ kind: "fixation", visible, ...at });
    },
    run(trialId, flashes) {
      if (caller === null) {
        listener({ kind: "end", trialId, aborted: true, endHostNs: clock.now() });
        return;
      }
      command({ kind: "run", trialId, flashes: flashes.map((flash) => ({ ...flash, placement: flash.placement ?? null })) });
    },
    abort(trialId) {
      command({ kind: "abort", trialId });
    },
    async close() {
      closed = true;
      command({ kind: "fixation", visible: false });
      command({ kind: "release", imageIds: [...images.keys()] });
      images.clear();
    },
  };
}

function plainLut(lut: GammaTables | null): { r: number[]; g: number[]; b: number[] } | null {
  return lut === null ? null : { r: [...lut.r], g: [...lut.g], b: [...lut.b] };
}

/** The screen's gamma is taken care of here, once an image, never while drawing. */
function toRgbaBase64(image: ImageBatch, lut: GammaTables | null): string {
  const pixels = image.width * image.height;
  const rgba = Buffer.alloc(pixels * 4, 255);
  const [r, g, b] = lut === null ? [identity, identity, identity] : [lut.r, lut.g, lut.b];
  for (let i = 0; i < pixels; i++) {
    rgba[i * 4] = r[image.data[i * 3] ?? 0] ?? 0;
    rgba[i * 4 + 1] = g[image.data[i * 3 + 1] ?? 0] ?? 0;
    rgba[i * 4 + 2] = b[image.data[i * 3 + 2] ?? 0] ?? 0;
  }
  return rgba.toString("base64");
}

const identity: readonly number[] = Array.from({ length: 256 }, (_, value) => value);
