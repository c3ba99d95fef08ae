// Time and memory of installed models on this machine, and the batch size that follows. Knows nothing about who asks.

import { fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { startModels } from "./client.ts";

export interface BenchLine {
  readonly id: string;
  readonly provider: string;
  readonly threads: number;
  /** Items of one run, chosen by measurement. */
  readonly batch: number;
  readonly msPerItem: number;
  /** Growth of the models process per item of a run. */
  readonly bytesPerItem: number;
  /** Providers left, with their reasons. */
  readonly left: readonly { readonly provider: string; readonly reason: string }[];
}

export interface BenchOptions {
  readonly modelsDirs: readonly string[];
  readonly ids: readonly string[];
  readonly provider?: string;
  readonly threads?: number;
  /** File whose measurements are replaced by these. */
  readonly settingsFile: string;
  readonly onLine?: (line: BenchLine) => void;
}

/** Measures each model in a models process of its own, so that one's memory is not counted for the next. Errors: those of opening. */
export async function benchModels(options: BenchOptions): Promise<Result<readonly BenchLine[], Fault>> {
  const lines: BenchLine[] = [];
  const threads = options.threads;
  for (const id of options.ids) {
    const started = await startModels({
      modelsDirs: options.modelsDirs, settingsFile: options.settingsFile, measureAnew: true,
      ...(options.provider === undefined ? {} : { provider: options.provider }), ...(threads === undefined ? {} : { threads }),
    });
    if (!started.ok) return started;
    const models = started.value;
    try {
      const kind = models.entries().find((entry) => entry.id === id)?.manifest?.kind;
      if (kind === undefined) return fault("modelUnknown", `Expected an installed model (${models.list().map((model) => model.id).join(", ")}), got "${id}".`);
      const opened = await (kind === "generator" ? models.generator(id) : kind === "encoder" ? models.encoder(id) : models.detector(id));
      if (!opened.ok) return opened;
      const report = models.report().find((one) => one.id === id);
      if (report?.tuning == null) throw new Error(`expected a measurement of ${id}`);
      const line = {
        id, provider: report.provider, threads: report.threads, batch: report.tuning.batch, msPerItem: report.tuning.msPerItem, bytesPerItem: report.tuning.bytesPerItem,
        left: report.attempts.filter((attempt) => !attempt.used).map(({ provider, reason }) => ({ provider, reason })),
      };
      options.onLine?.(line);
      lines.push(line);
    } finally {
      await models.close();
    }
  }
  return ok(lines);
}
