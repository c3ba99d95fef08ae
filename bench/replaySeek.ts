// Seeks in the replay of a session, forward from the nearest of the states kept along it, beside recomputing from the beginning.
// node bench/replaySeek.ts [--generations N] [--seed S] [--seeks N]
import { mkdtempSync, rmSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runHeadlessSession } from "../src/engine/headless.ts";
import { builtInModels } from "../src/engine/paths.ts";
import { openPlayback } from "../src/engine/playback.ts";
import { sessionConfig } from "../src/shared/contract/index.ts";
import type { ReplayStatus } from "../src/shared/contract/index.ts";
import { unwrap } from "../src/shared/result.ts";
import { createRng } from "../src/shared/rng.ts";

const { values } = parseArgs({ options: { generations: { type: "string", default: "30" }, seed: { type: "string", default: "7" }, seeks: { type: "string", default: "40" } } });
const folder = mkdtempSync(join(tmpdir(), "evoked-bench-"));
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function play(file: string) {
  let status: ReplayStatus | null = null;
  const playback = unwrap(openPlayback(file, (event, payload) => {
    if (event === "replay") status = payload as ReplayStatus;
  }));
  return { playback, durationMs: (): number => status?.durationMs ?? 0, seek: async (toMs: number): Promise<number> => {
    const from = performance.now();
    await playback.seek(toMs);
    return performance.now() - from;
  } };
}

const quantile = (sorted: readonly number[], q: number): number => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
const summary = (times: readonly number[]): { readonly median: number; readonly max: number } => {
  const sorted = [...times].sort((a, b) => a - b);
  return { median: quantile(sorted, 0.5), max: sorted.at(-1) ?? Number.NaN };
};

try {
  const config = sessionConfig.parse({ seed: Number(values.seed), display: { kind: "timed" }, evolution: { generations: Number(values.generations) } });
  const { session } = unwrap(await runHeadlessSession({ config, fast: true, modelFolders: [builtInModels], sessionFolder: folder }));
  const one = play(session);
  await one.seek(0);
  const durationMs = one.durationMs();
  // As long as a person takes to look at the console: states are made meanwhile.
  const untilMs = performance.now() + 10_000;
  while (performance.now() < untilMs) await wait(100);
  const rng = createRng(1);
  const places = Array.from({ length: Number(values.seeks) }, () => rng.uniform() * durationMs);
  const nearest: number[] = [];
  for (const place of places) {
    nearest.push(await one.seek(place));
    await wait(100);
  }
  one.playback.close();
  const beginning: number[] = [];
  for (const place of places.slice(0, 10)) {
    const fresh = play(session);
    beginning.push(await fresh.seek(place));
    fresh.playback.close();
  }
  const [withStates, without] = [summary(nearest), summary(beginning)];
  console.log(JSON.stringify({ bench: "replaySeek", sessionSeconds: durationMs / 1000, seekMs: withStates, fromBeginningMs: without, ratio: without.median / withStates.median, load: loadavg()[0] }));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
