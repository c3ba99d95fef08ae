// How long a session takes to export, and how large it is in each format. Prints one JSON line.
//   node bench/sessionExport.ts [--file session.evoked] [--generations 40]      without --file: a made-up session of 96 channels
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { exportFormats, exportSession } from "../src/session/exports/index.ts";
import { openSession } from "../src/session/reader.ts";
import { createSession } from "../src/session/writer.ts";
import { unwrap } from "../src/shared/result.ts";
import { aSession, anInfo } from "../tests/unit/session/aSession.ts";

const { values } = parseArgs({ options: { file: { type: "string" }, generations: { type: "string", default: "40" } } });
const folder = mkdtempSync(join(tmpdir(), "evoked-bench-"));
try {
  let file = values.file;
  if (file === undefined) {
    const writer = unwrap(await createSession({ folder, fileName: "made.evoked", info: anInfo() }));
    for (const record of aSession({ generations: Number(values.generations), population: 30, references: 8, channels: 96, imagePx: 128, latentDim: 64 })) {
      writer.append(record);
      if (record.seq % 500 === 0) await writer.flush();
    }
    await writer.close();
    file = writer.file;
  }
  const opened = performance.now();
  const reader = unwrap(openSession(file));
  const { durationS, presentations } = reader.summary();
  const openMs = performance.now() - opened;
  const { spikes } = reader.streamCounts();
  reader.close();
  const formats: Record<string, { seconds: number; megabytes: number }> = {};
  for (const format of exportFormats) {
    const { wallMs, sizeBytes } = unwrap(await exportSession({ file, format, outDir: folder }));
    formats[format] = { seconds: Math.round(wallMs / 10) / 100, megabytes: Math.round(sizeBytes / 1e5) / 10 };
  }
  process.stdout.write(`${JSON.stringify({ bench: "sessionExport", minutes: durationS / 60, presentations, spikes, megabytes: statSync(file).size / 1e6, openMs, formats })}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
