// The time between two trials across a step of the plan against that within a step, in real time on the synthetic rig: what the next step needs
// should be ready when the last trial of the step before is over. One JSON line, ms.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runHeadless } from "../src/engine/headless.ts";
import { builtInModels, builtInReferences } from "../src/engine/paths.ts";
import { startModels } from "../src/models/client.ts";
import { openSession } from "../src/session/reader.ts";
import { sessionConfig } from "../src/shared/contract/index.ts";
import { unwrap } from "../src/shared/result.ts";

const folder = mkdtempSync(join(tmpdir(), "evoked-bench-"));
const models = unwrap(await startModels({ modelsDirs: [builtInModels] }));
try {
  const run = unwrap(await runHeadless({
    models, fast: false, sessionFolder: folder,
    config: sessionConfig.parse({
      seed: 1, display: { kind: "timed" },
      plan: [
        { protocol: "rfMapping", columns: 3, rows: 3, imageCount: 2, repeats: 1 },
        { protocol: "diverseSet", folder: builtInReferences, imageCount: 20, repeats: 1 },
        { protocol: "images", folder: builtInReferences, imageCount: 10, repeats: 1 },
        { protocol: "evolution", generations: 2, confirmRepeats: 2, threads: [{}] },
        { protocol: "localisation", discCount: 6, discRepeats: 1, intactRepeats: 2, maskedRepeats: 1 },
      ],
    }),
  }));
  const reader = unwrap(openSession(run.session));
  const stepOf = new Map(reader.presentations().map((p) => [p.trialId, p.step]));
  const trials = [...reader.trials()].sort((a, b) => a.startHostNs - b.startHostNs);
  const gaps = trials.slice(1).flatMap((trial, i) => {
    const before = trials[i];
    const [from, to] = [stepOf.get(before?.trialId ?? 0), stepOf.get(trial.trialId)];
    // After a failed trial there is a time-out of another length.
    return before === undefined || before.outcome !== "correct" || from === undefined || to === undefined ? [] : [{ across: from !== to, ms: (trial.startHostNs - before.endHostNs) / 1e6 }];
  });
  reader.close();
  const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
  const [across, within] = [gaps.filter((g) => g.across).map((g) => g.ms), gaps.filter((g) => !g.across).map((g) => g.ms)];
  process.stdout.write(`${JSON.stringify({ bench: "planSteps", unit: "ms", interTrialMs: 300, across: { n: across.length, median: median(across), max: Math.max(...across) }, within: { n: within.length, median: median(within), max: Math.max(...within) }, ratioOfMedians: median(across) / median(within) })}\n`);
} finally {
  await models.close();
  rmSync(folder, { recursive: true, force: true });
}
