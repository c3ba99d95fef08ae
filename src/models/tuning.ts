// How many items one run of a model takes: chosen by measurement within a memory budget, and kept in a settings file.
// Knows nothing about ONNX Runtime or manifests.

import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { freemem } from "node:os";
import { dirname } from "node:path";
import { z } from "zod";

const tuning = z.object({
  /** Items of one run, at least 2. */
  batch: z.number().int().min(2),
  /** Time of one item at that batch. */
  msPerItem: z.number().nonnegative(),
  /** Growth of the process per item of a run; 0 where it was below what can be seen. Memory of a GPU is not in it. */
  bytesPerItem: z.number().nonnegative(),
  /** What one run was allowed to take. */
  budgetBytes: z.number().nonnegative(),
  /** Set where memory ran out and the batch was halved. */
  halved: z.boolean().default(false),
});

const settingsFile = z.object({
  version: z.literal(1),
  /** Memory that one run may take; null: a quarter of what is free when it is measured. */
  budgetMB: z.number().positive().nullable().default(null),
  /** Execution provider that the user chose; null: the best of the machine. */
  provider: z.string().nullable().default(null),
  tuned: z.record(z.string(), tuning).default({}),
});

export type Tuning = z.infer<typeof tuning>;

export interface TuningStore {
  find(key: string): Tuning | null;
  /** Keeps a measurement; the file follows. */
  save(key: string, value: Tuning): Promise<void>;
  readonly budgetBytes: () => number;
  /** The user's choice; null: the best of the machine. */
  readonly provider: () => string | null;
  saveProvider(provider: string | null): Promise<void>;
}

const budgetShare = 0.25;
const budgetMinBytes = 256e6;

export function measureBudget(freeBytes: number): number {
  return Math.max(budgetMinBytes, freeBytes * budgetShare);
}

/** `path` null: nothing is kept beyond this process. A file that does not read is started anew: it holds measurements only. */
export async function openTuningStore(path: string | null): Promise<TuningStore> {
  let content: z.infer<typeof settingsFile> = { version: 1, budgetMB: null, provider: null, tuned: {} };
  if (path !== null) {
    try {
      content = settingsFile.parse(JSON.parse(await readFile(path, "utf8")));
    } catch {
      // Absent, or of another version.
    }
  }
  let writing = Promise.resolve();
  function change(to: z.infer<typeof settingsFile>): Promise<void> {
    content = to;
    if (path === null) return Promise.resolve();
    writing = writing.then(async () => {
      try {
        await mkdir(dirname(path), { recursive: true });
        await writeFile(`${path}.${process.pid}`, `${JSON.stringify(content, null, 2)}\n`);
        await rename(`${path}.${process.pid}`, path);
      } catch {
        // A settings folder that cannot be written costs a measurement or a choice at the next start, nothing else.
      }
    });
    return writing;
  }

  return {
    find: (key) => content.tuned[key] ?? null,
    budgetBytes: () => (content.budgetMB === null ? measureBudget(freemem()) : content.budgetMB * 1e6),
    provider: () => content.provider,
    saveProvider: (provider) => change({ ...content, provider }),
    save: (key, value) => change({ ...content, tuned: { ...content.tuned, [key]: value } }),
  };
}

export interface TuneOptions {
  /** Runs a batch of this size; false when memory ran out. */
  readonly run: (batch: number) => Promise<boolean>;
  readonly batchMax: number;
  readonly budgetBytes: number;
  /** The whole measurement ends before this time is spent. */
  readonly timeMaxMs: number;
  readonly now: () => number;
  /** Memory of the process. */
  readonly rssBytes: () => number;
}

/** A larger batch must save this share of an item's time to be taken. */
const worthwhile = 0.05;
const timedRuns = 2;

/**
 * Doubles the batch from 2 while time and memory allow and takes the smallest one whose time per item is within 5 % of the best:
 * small batches let urgent work in sooner. The runs warm the session up as well.
 */
export async function chooseBatch({ run, batchMax, budgetBytes, timeMaxMs, now, rssBytes }: TuneOptions): Promise<Tuning> {
  const startMs = now();
  const tried: { readonly batch: number; readonly msPerItem: number }[] = [];
  let bytesPerItem = 0;
  let halved = false;
  for (let batch = 2; batch <= Math.max(2, batchMax); batch *= 2) {
    const last = tried.at(-1);
    if (last !== undefined && now() - startMs + (1 + timedRuns) * batch * last.msPerItem > timeMaxMs) break;
    if (bytesPerItem * batch > budgetBytes) break;
    const rssBefore = rssBytes();
    // The first run allocates and plans; of the others the fastest counts, as other programs only ever add time.
    if (!(await run(batch))) {
      halved = true;
      break;
    }
    bytesPerItem = Math.max(bytesPerItem, (rssBytes() - rssBefore) / batch, 0);
    let fastestMs = Infinity;
    for (let i = 0; i < timedRuns && !halved; i++) {
      const fromMs = now();
      if (await run(batch)) fastestMs = Math.min(fastestMs, now() - fromMs);
      else halved = true;
    }
    if (halved) break;
    tried.push({ batch, msPerItem: fastestMs / batch });
  }
  const best = Math.min(...tried.map((one) => one.msPerItem));
  const chosen = tried.find((one) => one.msPerItem <= best * (1 + worthwhile));
  return { batch: chosen?.batch ?? 2, msPerItem: chosen?.msPerItem ?? 0, bytesPerItem: Math.round(bytesPerItem), budgetBytes: Math.round(budgetBytes), halved };
}
