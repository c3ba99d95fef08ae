// What a session had reached at some record of its file, in the terms of the loop. Changes nothing in the file. Knows nothing about SQL.
import { z } from "zod";
import { decodeOptimizerState, restoreOptimizer } from "../evolve/index.ts";
import type { OptimizerState } from "../evolve/index.ts";
import type { ResumePoint } from "../loop/loopTypes.ts";
import { openSession } from "../session/reader.ts";
import type { SessionReader } from "../session/reader.ts";
import { sessionConfig } from "../shared/contract/index.ts";
import type { SessionConfig } from "../shared/contract/index.ts";
import { FaultError, err, fault, ok, unwrap } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";

export interface PastSession {
  readonly id: string;
  readonly startedUtc: string;
  readonly config: SessionConfig;
  /** One for each thread once its target is known; empty before. optimizer null = no generation was finished. */
  readonly threads: readonly { readonly optimizer: OptimizerState | null; readonly target: number }[];
  readonly point: ResumePoint;
}

const targetEvent = z.object({ thread: z.number().int(), channel: z.number().int() });

/** For going on with a file. Errors: those of opening a session, `badConfig`, `sessionComplete`. */
export function readResumePoint(file: string): Result<PastSession, Fault> {
  const opened = openSession(file);
  if (!opened.ok) return opened;
  try {
    const past = pastAt(opened.value, Number.POSITIVE_INFINITY);
    if ((past.point.generation ?? 0) >= past.config.evolution.generations) {
      return fault("sessionComplete", `All ${past.config.evolution.generations} generations of ${file} are done: there is nothing to resume. Start a new session instead.`);
    }
    return ok(past);
  } catch (error) {
    if (error instanceof FaultError) return err({ code: error.code, message: error.message });
    throw error;
  } finally {
    opened.value.close();
  }
}

export function configOf(reader: SessionReader): SessionConfig {
  const config = sessionConfig.safeParse(JSON.parse(reader.info().configJson));
  if (config.success) return config.data;
  throw new FaultError({ code: "badConfig", message: `Expected ${reader.file} to hold a session configuration of this version, got: ${config.error.issues[0]?.message ?? "something else"}. Open it with the version of Evoked that made it.` });
}

/** What the finished generations of a thread gave. */
function historyOf(
  thread: number,
  file: { readonly generations: ReturnType<SessionReader["generations"]>; readonly images: ReturnType<SessionReader["images"]>; readonly presentations: ReturnType<SessionReader["presentations"]> },
): ResumePoint["history"][number] {
  const own = file.generations.filter((g) => g.thread === thread);
  const references = new Set(file.images.filter((i) => i.imageKind === "reference").map((i) => i.imageId));
  let best: ResumePoint["history"][number]["best"] = null;
  for (const g of own) {
    const bestImage = file.images.find((i) => i.imageId === g.bestImageId);
    const rateHz = Math.max(...[...g.scores].filter((s) => !Number.isNaN(s)));
    if (bestImage !== undefined && bestImage.latent !== null && (best === null || rateHz > best.rateHz)) best = { imageId: bestImage.imageId, rateHz, latent: bestImage.latent };
  }
  const first = own[0];
  return {
    thread,
    start: first === undefined ? new Float64Array() : unwrap(restoreOptimizer(unwrap(decodeOptimizerState(first.stateBefore)))).mean(),
    best,
    generations: own.map((g) => ({
      generation: g.generation,
      evolved: [...g.scores].filter((s) => !Number.isNaN(s)),
      references: [...Map.groupBy(file.presentations.filter((p) => p.generation === g.generation && p.excluded === null && references.has(p.imageId)), (p) => p.imageId)].map(([imageId, shown]) => ({
        imageId,
        scores: shown.map((p) => ((p.counts?.[g.targetChannel] ?? 0) / ((p.windowEndMs - p.windowStartMs) / 1000))),
      })),
    })),
  };
}

/** The state of the session just after record `lastSeq`. Throws a FaultError on a file that this version cannot take up. */
export function pastAt(reader: SessionReader, lastSeq: number): PastSession {
  const upTo = <T extends { readonly seq: number }>(rows: readonly T[]): readonly T[] => rows.filter((r) => r.seq <= lastSeq);
  const config = configOf(reader);
  const info = reader.info();
  const generations = upTo(reader.generations({ states: true }));
  const images = upTo(reader.images());
  const presentations = upTo(reader.presentations());
  const trials = upTo(reader.trials());
  const lastDone = Math.max(-1, ...generations.map((g) => g.generation));
  const current = lastDone + 1;

  const targets = new Map(config.evolution.threads.flatMap((t, i): [number, number][] => (t.target === "auto" ? [] : [[i, t.target]])));
  for (const event of upTo(reader.events())) {
    if (event.code !== "target" && (event.code !== "setTarget" || event.category === "input")) continue;
    const chosen = targetEvent.safeParse(JSON.parse(event.dataJson === "" ? "{}" : event.dataJson));
    if (chosen.success) targets.set(chosen.data.thread, chosen.data.channel);
  }
  const begun = config.evolution.threads.every((_, i) => targets.has(i)) && (lastDone >= 0 || images.some((i) => i.generation !== null));
  const threads = begun
    ? config.evolution.threads.map((_, i) => {
        const last = generations.findLast((g) => g.thread === i);
        return { optimizer: last === undefined ? null : unwrap(decodeOptimizerState(last.stateAfter)), target: targets.get(i) ?? 0 };
      })
    : [];
  return {
    id: info.id,
    startedUtc: info.startedUtc,
    config,
    threads,
    point: {
      generation: begun ? current : null,
      nextImageId: Math.max(0, ...images.map((i) => i.imageId)) + 1,
      nextPresentationId: Math.max(0, ...presentations.map((p) => p.presentationId)) + 1,
      nextTrialId: Math.max(0, ...trials.map((t) => t.trialId)) + 1,
      imageIds: begun ? images.flatMap((i) => (i.generation !== current || i.individual === null || i.thread === null ? [] : [{ thread: i.thread, individual: i.individual, imageId: i.imageId }])) : [],
      referenceImageIds: images.filter((i) => i.imageKind === "reference").map((i) => i.imageId),
      measured: begun
        ? presentations.flatMap((p) => {
            if (p.generation !== current || p.excluded !== null || p.counts === null) return [];
            const windowS = (p.windowEndMs - p.windowStartMs) / 1000;
            return [{ imageId: p.imageId, ratesHz: Array.from(p.counts, (c) => c / windowS) }];
          })
        : [],
      history: begun ? config.evolution.threads.map((_, thread) => historyOf(thread, { generations, images, presentations })) : [],
    },
  };
}

/** The latent that another evolution may start from: an image's, or the distribution mean at the end of a thread. Errors: those of opening a session, `noStart`. */
export function readStart(from: { readonly file: string; readonly imageId: number | null; readonly thread: number }): Result<Float64Array, Fault> {
  const opened = openSession(from.file);
  if (!opened.ok) return opened;
  const reader = opened.value;
  try {
    if (from.imageId !== null) {
      const latent = reader.image(from.imageId)?.record.latent ?? null;
      return latent === null ? fault("noStart", `Expected an evolved image ${from.imageId} in ${from.file}, found none with a latent. Choose an image of its gallery.`) : ok(Float64Array.from(latent));
    }
    const last = reader.generations({ states: true }).findLast((g) => g.thread === from.thread);
    if (last === undefined) return fault("noStart", `Expected a finished generation of evolution ${from.thread} in ${from.file}, found none. Choose another session.`);
    return ok(unwrap(restoreOptimizer(unwrap(decodeOptimizerState(last.stateAfter)))).mean());
  } catch (error) {
    if (error instanceof FaultError) return err({ code: error.code, message: error.message });
    throw error;
  } finally {
    reader.close();
  }
}
