// What an interrupted session had reached, read from its file in the terms of the loop. Changes nothing in the file. Knows nothing about SQL.
import { decodeOptimizerState } from "../evolve/index.ts";
import type { OptimizerState } from "../evolve/index.ts";
import type { ResumePoint } from "../loop/loopTypes.ts";
import { z } from "zod";
import { openSession } from "../session/reader.ts";
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

/** Errors: those of opening a session, `badConfig`, `sessionComplete`. */
export function readResumePoint(file: string): Result<PastSession, Fault> {
  const opened = openSession(file);
  if (!opened.ok) return opened;
  const reader = opened.value;
  try {
    const info = reader.info();
    const config = sessionConfig.safeParse(JSON.parse(info.configJson));
    if (!config.success) return fault("badConfig", `Expected ${file} to hold a session configuration of this version, got: ${config.error.issues[0]?.message ?? "something else"}.`);
    const past = reader.resumePoint();
    const lastDone = Math.max(-1, ...past.threads.map((t) => t.last?.generation ?? -1));
    if (lastDone + 1 >= config.data.evolution.generations) return fault("sessionComplete", `All ${config.data.evolution.generations} generations of ${file} are done: there is nothing to resume. Start a new session instead.`);
    const targets = new Map(config.data.evolution.threads.flatMap((t, i): [number, number][] => (t.target === "auto" ? [] : [[i, t.target]])));
    for (const event of reader.events()) {
      if (event.code !== "target" && event.code !== "setTarget") continue;
      const chosen = targetEvent.safeParse(JSON.parse(event.dataJson === "" ? "{}" : event.dataJson));
      if (chosen.success) targets.set(chosen.data.thread, chosen.data.channel);
    }
    const threads = config.data.evolution.threads.every((_, i) => targets.has(i))
      ? config.data.evolution.threads.map((_, i) => {
          const last = past.threads.find((t) => t.thread === i)?.last ?? null;
          return { optimizer: last === null ? null : unwrap(decodeOptimizerState(last.stateAfter)), target: targets.get(i) ?? 0 };
        })
      : [];
    const measured = new Map(past.threads.flatMap((t) => t.presentations).map((p) => [p.presentationId, p]));
    const begun = threads.length > 0;
    return ok({
      id: info.id,
      startedUtc: info.startedUtc,
      config: config.data,
      threads,
      point: {
        generation: begun ? lastDone + 1 : null,
        nextImageId: past.nextImageId,
        nextPresentationId: past.nextPresentationId,
        nextTrialId: past.nextTrialId,
        imageIds: begun ? past.threads.flatMap((t) => t.images.flatMap((i) => (i.individual === null ? [] : [{ thread: t.thread, individual: i.individual, imageId: i.imageId }]))) : [],
        referenceImageIds: reader.images().filter((i) => i.imageKind === "reference").map((i) => i.imageId),
        measured: begun
          ? [...measured.values()].sort((a, b) => a.presentationId - b.presentationId).flatMap((p) => {
              if (p.excluded !== null || p.counts === null) return [];
              const windowS = (p.windowEndMs - p.windowStartMs) / 1000;
              return [{ imageId: p.imageId, ratesHz: Array.from(p.counts, (c) => c / windowS) }];
            })
          : [],
      },
    });
  } catch (error) {
    if (error instanceof FaultError) return err({ code: error.code, message: error.message });
    throw error;
  } finally {
    reader.close();
  }
}
