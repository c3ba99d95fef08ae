// The main job on a virtual clock against real time: how many times faster than the session's own clock, and the share of the parts.
// node bench/fastSession.ts [--generations N] [--seed S]
import { mkdtempSync, rmSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runHeadlessSession } from "../src/engine/headless.ts";
import { builtInModels } from "../src/engine/paths.ts";
import { verifySession } from "../src/engine/replay.ts";
import { sessionConfig } from "../src/shared/contract/index.ts";
import { unwrap } from "../src/shared/result.ts";

const { values } = parseArgs({ options: { generations: { type: "string", default: "30" }, seed: { type: "string", default: "7" } } });
const folder = mkdtempSync(join(tmpdir(), "evoked-bench-"));
try {
  const config = sessionConfig.parse({ seed: Number(values.seed), display: { kind: "timed" }, evolution: { generations: Number(values.generations) } });
  const run = unwrap(await runHeadlessSession({ config, fast: true, modelFolders: [builtInModels], sessionFolder: folder }));
  const verified = unwrap(await verifySession(run.session));
  console.log(
    JSON.stringify({
      bench: "fastSession", generations: run.generations, images: run.images, sessionSeconds: run.rigSeconds, wallSeconds: run.wallSeconds, timesRealTime: run.rigSeconds / run.wallSeconds,
      replay: { identical: verified.identical, wallSeconds: verified.wallSeconds, timesRealTime: verified.sessionSeconds / verified.wallSeconds }, load: loadavg()[0],
    }),
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
