// Another program as the subject's screen: it is given each block's images in a folder, shows them in trials of its own, and says what it showed by
// event codes on the recording system. Onset and end of a presentation are reported once the stream has passed its window, so that a trial that the
// other side broke off in it takes the presentation with it. Knows nothing about scores, files or MonkeyLogic.
import { codesOfBlock } from "../../shared/contract/externalTask.ts";
import type { ExternalTaskConfig } from "../../shared/contract/externalTask.ts";
import type { Clock, ClockMap, Display, DisplayReport, PlannedFlash, SpikeSource } from "../../shared/ports.ts";
import { addMs, hostTimeNs, nsPerMs } from "../../shared/units.ts";
import type { HostTimeNs } from "../../shared/units.ts";
import type { PixelSquare } from "../../shared/visualAngle.ts";
import type { ImageBatch, RigMark, SourceEvent } from "../../shared/values.ts";
import { pngOfRgb } from "../diverseSet/pool.ts";
import { fileOf, hashOf } from "./blockFolder.ts";
import type { BlockFolder, BlockImage } from "./blockFolder.ts";

export interface ExternalAlarm {
  readonly code: "externalSilent" | "externalUnknown" | "externalMissing" | "externalRepeated" | "externalNoOff" | "externalFolder";
  readonly severity: "warn" | "fault";
  readonly message: string;
}

export interface ExternalDisplay extends Display {
  /** The source with this display listening: it hears every event after the loop has. */
  around(source: SpikeSource): SpikeSource;
  /** `over`: the alarm of this code is over. */
  onAlarm(listener: (alarm: ExternalAlarm | { readonly over: ExternalAlarm["code"]; readonly message: string }) => void): void;
}

export interface ExternalDisplayOptions {
  readonly clock: Clock;
  readonly folder: () => Promise<BlockFolder>;
  readonly settings: ExternalTaskConfig;
  readonly backgroundGrey: number;
  /** Direction and size of an image by its place on the screen (null = the session's) and a side of its own, px (null = the place's). */
  readonly degreesOf: (placement: PixelSquare | null, sizePx: number | null) => Pick<BlockImage, "sizeDeg" | "centreXDeg" | "centreYDeg">;
  /** The presentation is decided this long after its onset: image and response window. */
  readonly decidedAfterMs: number;
  /** Host-to-rig map of the session; null before its first pair of times. */
  readonly map: () => ClockMap | null;
}

/** Frames of a millisecond: the other program's frames are not known here, durations come from the codes. */
const refreshHz = 1000;
const watchMs = 1000;
/** An image whose end is not told within so many times its duration has none. */
const offLateFactor = 3;

interface Shown {
  readonly flash: PlannedFlash;
  readonly code: number;
  /** The presentation that may count; null while none does. */
  onsetRigNs: number | null;
  offsetRigNs: number | null;
  arrivedHostNs: HostTimeNs;
  settled: boolean;
}

interface Running {
  readonly trialId: number;
  readonly block: number;
  readonly byCode: ReadonlyMap<number, Shown>;
  readonly firstCode: number;
  readonly doneCode: number;
  /** The image that is on, by the codes. */
  lit: Shown | null;
  /** The other program says that it has shown all. */
  isOver: boolean;
  unknown: number;
  repeated: number;
  lastCodeHostNs: HostTimeNs;
}

export function createExternalDisplay(options: ExternalDisplayOptions): ExternalDisplay {
  const { clock, settings } = options;
  const pngs = new Map<number, Uint8Array>();
  const sizesPx = new Map<number, number | null>();
  let report: (report: DisplayReport) => void = () => undefined;
  let tell: Parameters<ExternalDisplay["onAlarm"]>[0] = () => undefined;
  const raised = new Set<ExternalAlarm["code"]>();
  let running: Running | null = null;
  let opening: Promise<BlockFolder> | null = null;
  let blocks = 0;
  let watermarkRigNs = Number.NEGATIVE_INFINITY;
  let silent = false;
  let closed = false;
  let watching = false;
  /** Writes follow each other: current.json must not go back in time. */
  let writing: Promise<void> = Promise.resolve();

  const folder = (): Promise<BlockFolder> => (opening ??= options.folder());

  function write(work: (to: BlockFolder) => Promise<void>): Promise<void> {
    writing = writing.then(async () => work(await folder()));
    const mine = writing;
    writing = mine.catch(() => undefined);
    return clock.hold(mine);
  }

  function failed(error: unknown): void {
    alarm({ code: "externalFolder", severity: "fault", message: `The folder of the external task cannot be written: ${error instanceof Error ? error.message : String(error)}. Trials wait: make room or give access, then pause and go on.` });
  }

  function alarm(what: ExternalAlarm): void {
    raised.add(what.code);
    tell(what);
  }

  function over(code: ExternalAlarm["code"], message: string): void {
    if (raised.delete(code)) tell({ over: code, message });
  }

  // ---- a block ---------------------------------------------------------------------------------------------------------------

  function publish(trialId: number, flashes: readonly PlannedFlash[]): void {
    blocks += 1;
    // What was wrong with one block stands until the next begins.
    for (const code of ["externalUnknown", "externalRepeated", "externalNoOff"] as const) over(code, `Block ${blocks} begins.`);
    const codes = codesOfBlock(settings, blocks);
    const byCode = new Map<number, Shown>();
    flashes.forEach((flash, i) => byCode.set(codes.first + i, { flash, code: codes.first + i, onsetRigNs: null, offsetRigNs: null, arrivedHostNs: clock.now(), settled: false }));
    const mine: Running = { trialId, block: blocks, byCode, firstCode: codes.first, doneCode: codes.done, lit: null, isOver: false, unknown: 0, repeated: 0, lastCodeHostNs: clock.now() };
    running = mine;
    const first = flashes[0];
    const manifest = {
      backgroundGrey: options.backgroundGrey, block: blocks, onMs: first?.onFrames ?? 0, offMs: first?.offFrames ?? 0,
      codes: { imageOff: settings.offCode, aborted: settings.abortedCode, blockDone: codes.done },
      images: [...byCode.values()].map(({ flash, code }, i) => ({ order: i + 1, code, imageId: flash.imageId, presentationId: flash.presentationId, file: fileOf(flash.imageId), sha256: hashOf(pngs.get(flash.imageId) ?? new Uint8Array()), ...options.degreesOf(flash.placement ?? null, sizesPx.get(flash.imageId) ?? null) })),
    };
    write((to) => to.writeBlock(manifest, pngs)).then(() => over("externalFolder", "The folder of the external task can be written again."), (error: unknown) => {
      failed(error);
      if (running === mine) end(true);
    });
    watch();
  }

  function end(aborted: boolean): void {
    const mine = running;
    if (mine === null) return;
    running = null;
    const missing = [...mine.byCode.values()].filter((s) => !s.settled).length;
    if (missing > 0 && !aborted) alarm({ code: "externalMissing", severity: "warn", message: `${missing} of ${mine.byCode.size} images of block ${mine.block} were not shown whole, or their codes did not arrive; they are asked for again.` });
    if (missing === 0) over("externalMissing", `All images of block ${mine.block} were shown.`);
    const { trialId, block } = mine;
    write((to) => to.say("wait", block)).catch(failed);
    report({ kind: "end", trialId, aborted, endHostNs: clock.now() });
  }

  // ---- codes -----------------------------------------------------------------------------------------------------------------

  function takeMark(mark: RigMark, arrivedHostNs: HostTimeNs): void {
    const { word } = mark;
    if (mark.kind !== "strobe" || word === null || running === null) return;
    const mine = running;
    const isImage = word >= settings.firstCode && word <= settings.lastCode;
    if (!isImage && word !== settings.offCode && word !== settings.abortedCode && word !== mine.doneCode) return;
    mine.lastCodeHostNs = clock.now();
    if (silent) {
      silent = false;
      over("externalSilent", "The other program sends codes again.");
    }
    if (isImage) {
      if (mine.lit !== null && mine.lit.offsetRigNs === null && settings.offCode === null) mine.lit.offsetRigNs = mark.rigNs;
      mine.lit = null;
      turnOn(mine, mine.byCode.get(word), word, mark.rigNs, arrivedHostNs);
    } else if (word === settings.offCode) {
      if (mine.lit !== null) mine.lit.offsetRigNs = mark.rigNs;
      mine.lit = null;
    } else if (word === settings.abortedCode) {
      mine.lit = null;
      // Images whose own time or response window reaches beyond the break do not count.
      for (const shown of mine.byCode.values()) {
        if (!shown.settled && shown.onsetRigNs !== null && shown.onsetRigNs + options.decidedAfterMs * nsPerMs > mark.rigNs) shown.onsetRigNs = null;
      }
    } else mine.isOver = true;
  }

  function turnOn(mine: Running, shown: Shown | undefined, word: number, rigNs: number, arrivedHostNs: HostTimeNs): void {
    if (shown === undefined) {
      unknown(mine, word);
      return;
    }
    if (shown.settled || shown.onsetRigNs !== null) {
      mine.repeated += 1;
      if (mine.repeated === 1) alarm({ code: "externalRepeated", severity: "warn", message: `Code ${word} of block ${mine.block} came again after its image had been shown: the repetition is recorded and not counted. More of them in this block are only recorded.` });
      return;
    }
    shown.onsetRigNs = rigNs;
    shown.offsetRigNs = null;
    shown.arrivedHostNs = arrivedHostNs;
    mine.lit = shown;
  }

  function unknown(mine: Running, word: number): void {
    mine.unknown += 1;
    if (mine.unknown === 1) alarm({ code: "externalUnknown", severity: "warn", message: `Code ${word} belongs to no image of block ${mine.block}, which has ${mine.firstCode} to ${mine.firstCode + mine.byCode.size - 1}. Check that the other program reads current.json anew for every trial, and that no other code lies between ${settings.firstCode} and ${settings.lastCode}.` });
  }

  // ---- decisions -------------------------------------------------------------------------------------------------------------

  function decide(): void {
    const mine = running;
    if (mine === null) return;
    const due = [...mine.byCode.values()].filter((s) => !s.settled && s.onsetRigNs !== null && watermarkRigNs >= s.onsetRigNs + options.decidedAfterMs * nsPerMs).sort((a, b) => (a.onsetRigNs ?? 0) - (b.onsetRigNs ?? 0));
    for (const shown of due) settle(shown);
    if (running !== mine) return;
    const open = [...mine.byCode.values()].filter((s) => !s.settled);
    if (open.length === 0 || (mine.isOver && open.every((s) => s.onsetRigNs === null))) end(false);
  }

  function settle(shown: Shown): void {
    const { flash, onsetRigNs, offsetRigNs, arrivedHostNs } = shown;
    if (onsetRigNs === null) return;
    const plannedMs = flash.onFrames;
    if (offsetRigNs === null && settings.offCode !== null && watermarkRigNs < onsetRigNs + Math.max(options.decidedAfterMs, plannedMs * offLateFactor) * nsPerMs) return;
    shown.settled = true;
    const measuredMs = offsetRigNs === null ? null : (offsetRigNs - onsetRigNs) / nsPerMs;
    if (measuredMs === null && settings.offCode !== null) alarm({ code: "externalNoOff", severity: "warn", message: `No code for the end of image ${flash.imageId} arrived; how long it was shown is not known, and it is asked for again.` });
    // Without a code for the end the other program is trusted with the duration.
    const framesShown = settings.offCode === null || (measuredMs !== null && Math.abs(measuredMs - plannedMs) <= settings.durationToleranceMs) ? flash.onFrames : Math.round(measuredMs ?? 0);
    const flipHostNs = hostOf(onsetRigNs, arrivedHostNs);
    report({ kind: "onset", presentationId: flash.presentationId, flipHostNs, plannedHostNs: flipHostNs });
    report({ kind: "offset", presentationId: flash.presentationId, flipHostNs: addMs(flipHostNs, measuredMs ?? plannedMs), framesShown, lateFrames: 0 });
  }

  /** The host time that the session's map puts at this rig time. */
  function hostOf(rigNs: number, arrivedHostNs: HostTimeNs): HostTimeNs {
    const map = options.map();
    let host: number = arrivedHostNs;
    // The clocks run at nearly one rate: two steps are exact to the nanosecond.
    if (map !== null) for (let i = 0; i < 3; i++) host -= map.toRig(hostTimeNs(Math.round(host))) - rigNs;
    return hostTimeNs(Math.round(host));
  }

  function take(event: SourceEvent): void {
    if (closed) return;
    if (event.kind === "mark") takeMark(event.mark, event.arrivedHostNs);
    if (event.kind === "spikes") {
      watermarkRigNs = Math.max(watermarkRigNs, event.batch.watermarkRigNs);
      decide();
    }
    // Times before a jump cannot be placed any more.
    if (event.kind === "fault" && event.fault.kind === "clockJump" && running !== null) {
      watermarkRigNs = Number.NEGATIVE_INFINITY;
      running.lit = null;
      for (const shown of running.byCode.values()) if (!shown.settled) shown.onsetRigNs = null;
    }
  }

  function watch(): void {
    if (watching) return;
    watching = true;
    clock.setTimer(addMs(clock.now(), watchMs), () => {
      watching = false;
      if (closed || running === null) return;
      if (!silent && clock.now() - running.lastCodeHostNs > settings.silentS * 1000 * nsPerMs) {
        silent = true;
        alarm({ code: "externalSilent", severity: "fault", message: `The other program has sent no code of block ${running.block} for ${settings.silentS} s. Check that it runs, that it reads ${settings.folder}, and that its event codes reach the recording system.` });
      }
      watch();
    });
  }

  return {
    name: "another program (external task)",
    geometry: () => ({ kind: "external", widthPx: 1920, heightPx: 1080, refreshHz }),
    place: () => undefined,
    onReport(listener) {
      report = listener;
    },
    onAlarm(listener) {
      tell = listener;
    },
    async prepare(imageId: number, image: ImageBatch, sizePx: number | null) {
      sizesPx.set(imageId, sizePx);
      pngs.set(imageId, await pngOfRgb(image.data, image.width, image.height));
    },
    release(imageIds) {
      for (const id of imageIds) {
        pngs.delete(id);
        sizesPx.delete(id);
      }
    },
    showFixation: () => undefined,
    run(trialId, flashes) {
      const missing = flashes.find((f) => !pngs.has(f.imageId));
      if (missing !== undefined) {
        report({ kind: "missing", trialId, imageId: missing.imageId });
        report({ kind: "end", trialId, aborted: true, endHostNs: clock.now() });
        return;
      }
      publish(trialId, flashes);
    },
    abort(trialId) {
      if (running?.trialId !== trialId) return;
      // Not from within the call: the loop takes one input after the other.
      clock.setTimer(clock.now(), () => {
        if (running?.trialId === trialId) end(true);
      });
    },
    around: (source) => ({
      get name() {
        return source.name;
      },
      channels: () => source.channels(),
      start: (listener) => source.start((event) => {
        listener(event);
        take(event);
      }),
      status: () => source.status(),
      stop: () => source.stop(),
    }),
    async close() {
      closed = true;
      running = null;
      await write((to) => to.say("ended", blocks)).catch(() => undefined);
    },
  };
}
