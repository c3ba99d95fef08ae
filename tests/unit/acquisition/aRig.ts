// One constructor for synthetic rigs in tests, and a session that shows images to one. Knows nothing about loops or scores.
import { createSyntheticRig } from "../../../src/acquisition/synthetic/rig.ts";
import type { SyntheticRig } from "../../../src/acquisition/synthetic/rig.ts";
import { defaultRigOptions } from "../../../src/acquisition/synthetic/options.ts";
import type { SyntheticRigOptions } from "../../../src/acquisition/synthetic/options.ts";
import { drawPatterns } from "../../../src/acquisition/synthetic/patterns.ts";
import { createVirtualClock } from "../../../src/loop/clock.ts";
import type { VirtualClock } from "../../../src/loop/clock.ts";
import { createRng } from "../../../src/shared/rng.ts";
import { hostTimeNs, nsPerMs } from "../../../src/shared/units.ts";
import type { RigTimeNs } from "../../../src/shared/units.ts";
import type { EyeBatch, ImageBatch, RigMark, SourceEvent, SourceFault } from "../../../src/shared/values.ts";

export function aVirtualClock(): VirtualClock {
  return createVirtualClock({ settle: () => new Promise((resolve) => setImmediate(resolve)) });
}

export interface RigSetup {
  readonly seed?: number | string;
  readonly options?: Partial<SyntheticRigOptions>;
}

export function aRig({ seed = 7, options = {} }: RigSetup = {}): { readonly rig: SyntheticRig; readonly clock: VirtualClock } {
  const clock = aVirtualClock();
  return { rig: createSyntheticRig({ seed, clock, encoder: null, options }), clock };
}

export const defaults = defaultRigOptions;

/** `count` different images, 64 px. */
export function someImages(count: number, seed: number | string = "test images"): readonly ImageBatch[] {
  return Array.from({ length: count }, (_, index) => drawPatterns(createRng(seed).fork(index), 5, 64)).map((batch, index) => {
    const bytes = batch.width * batch.height * 3;
    const place = index % 5;
    return { count: 1, width: batch.width, height: batch.height, data: batch.data.slice(place * bytes, (place + 1) * bytes) };
  });
}

export interface Shown {
  readonly events: readonly SourceEvent[];
  readonly spikes: readonly { readonly timeRigNs: number; readonly channel: number; readonly unit: number }[];
  readonly marks: readonly RigMark[];
  readonly faults: readonly SourceFault[];
  readonly eye: readonly EyeBatch[];
  readonly rig: SyntheticRig;
  readonly endRigNs: RigTimeNs;
}

export interface Show {
  /** Presentations in order: image number and, where wanted, extra time before it. */
  readonly presentations: readonly { readonly imageId: number; readonly extraMs?: number; readonly onMs?: number }[];
  readonly images: readonly ImageBatch[];
  readonly soaMs?: number;
  readonly leadMs?: number;
  readonly tailMs?: number;
}

/** Shows images to a rig on a virtual clock and gives back everything that came out. */
export async function show(setup: RigSetup, { presentations, images, soaMs = 250, leadMs = 500, tailMs = 500 }: Show): Promise<Shown> {
  const { rig, clock } = aRig(setup);
  const events: SourceEvent[] = [];
  const eye: EyeBatch[] = [];
  let isDone = false;
  let failure: unknown = null;

  const at = (ms: number, what: () => void) => clock.setTimer(hostTimeNs(ms * nsPerMs), what);
  async function begin(): Promise<void> {
    for (const [imageId, image] of images.entries()) await rig.retina.see(imageId, image);
    const started = await rig.source.start((event) => events.push(event));
    if (!started.ok) throw new Error(started.error.message);
    await rig.eye.start((batch) => eye.push(batch));
    let ms = clock.now() / nsPerMs + leadMs;
    for (const [presentationId, { imageId, extraMs = 0, onMs = 100 }] of presentations.entries()) {
      ms += extraMs;
      const onMsAt = ms;
      at(onMsAt, () => rig.retina.lit(imageId, presentationId, clock.now()));
      at(onMsAt + onMs, () => rig.retina.lit(null, presentationId, clock.now()));
      ms += soaMs;
    }
    at(ms + tailMs, () => {
      isDone = true;
    });
  }
  const begun = clock.hold(begin()).catch((error: unknown) => {
    failure = error;
    isDone = true;
  });
  await clock.run(() => isDone);
  await begun;
  if (failure !== null) throw failure;
  const endRigNs = rig.truth.clock.toRig(clock.now());
  await rig.source.stop();
  await rig.eye.stop();

  const spikes = events.flatMap((event) =>
    event.kind === "spikes" ? Array.from(event.batch.timesRigNs, (timeRigNs, i) => ({ timeRigNs, channel: event.batch.channels[i] ?? -1, unit: event.batch.units[i] ?? -1 })) : [],
  );
  return {
    events,
    spikes,
    marks: events.flatMap((event) => (event.kind === "mark" ? [event.mark] : [])),
    faults: events.flatMap((event) => (event.kind === "fault" ? [event.fault] : [])),
    eye,
    rig,
    endRigNs,
  };
}

/** Spikes per channel from `fromMs` to `toMs` after each onset mark, [onset][channel]. */
export function countsAfter(shown: Shown, fromMs: number, toMs: number): number[][] {
  const onsets = shown.marks.filter((mark) => mark.kind === "photodiode" && mark.state).map((mark) => mark.rigNs);
  const counts = onsets.map(() => new Array<number>(shown.rig.source.channels().length).fill(0));
  for (const spike of shown.spikes) {
    for (const [index, onset] of onsets.entries()) {
      const row = counts[index];
      if (row !== undefined && spike.timeRigNs >= onset + fromMs * nsPerMs && spike.timeRigNs < onset + toMs * nsPerMs) row[spike.channel] = (row[spike.channel] ?? 0) + 1;
    }
  }
  return counts;
}
