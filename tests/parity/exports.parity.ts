// Exports of a recorded session as other programs read them: h5py for NWB and MATLAB files, pynwb and its validator where they are installed.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { runHeadlessSession } from "../../src/engine/headless.ts";
import { builtInModels } from "../../src/engine/paths.ts";
import { exportSession } from "../../src/session/exports/index.ts";
import { openSession } from "../../src/session/reader.ts";
import { sessionConfig } from "../../src/shared/contract/index.ts";
import { unwrap } from "../../src/shared/result.ts";

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), "evoked-exports-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const python = process.env["EVOKED_PYTHON"] ?? "/usr/bin/python3";
const hasH5py = await run(python, ["-c", "import h5py"]).then(() => true, () => false);

const found = z.object({
  nwb: z.object({ version: z.string(), spikes: z.number(), unitsSorted: z.boolean(), presentations: z.number(), rateSum: z.number(), generationMeans: z.array(z.number()), latents: z.array(z.number()), stimuli: z.array(z.string()) }),
  mat: z.object({ spikes: z.number(), rateSum: z.number(), generationMeans: z.array(z.number()), words: z.array(z.string()) }),
  pynwb: z.object({ version: z.string(), units: z.number(), trials: z.number(), subject: z.string(), problems: z.array(z.string()) }).nullable(),
});

describe.skipIf(!hasH5py)(`exports${hasH5py ? "" : " (skipped: no Python with h5py; on Debian: apt-get install python3-h5py)"}`, () => {
  it("read in Python as the session holds them", async () => {
    const session = unwrap(await runHeadlessSession({ config: sessionConfig.parse({ seed: 3, display: { kind: "timed" }, evolution: { generations: 3 } }), fast: true, modelFolders: [builtInModels], sessionFolder: folder }));
    const [nwb, mat] = [unwrap(await exportSession({ file: session.session, format: "nwb", outDir: folder })), unwrap(await exportSession({ file: session.session, format: "mat", outDir: folder }))];
    const { stdout } = await run(python, [join(import.meta.dirname, "read_exports.py"), nwb.path, mat.path], { env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1" } });
    const read = found.parse(JSON.parse(stdout));
    const reader = unwrap(openSession(session.session));
    const { spikes } = reader.streamCounts();
    const presentations = reader.presentations();
    const rateSum = presentations.reduce((sum, p) => sum + (p.rateHz ?? 0), 0);
    const generationMeans = reader.generations().map((g) => g.evolvedMean);
    const images = reader.images();
    reader.close();
    expect(read.nwb).toMatchObject({ version: "2.7.0", spikes, unitsSorted: true, presentations: presentations.length, generationMeans });
    expect(read.nwb.latents[0]).toBe(images.length);
    expect(read.mat).toMatchObject({ spikes, generationMeans });
    for (const sum of [read.nwb.rateSum, read.mat.rateSum]) expect(sum).toBeCloseTo(rateSum, 6);
    expect(read.mat.words.every((word) => /^[a-z-]+$/.test(word))).toBe(true);
    if (read.pynwb !== null) expect(read.pynwb).toMatchObject({ subject: "synthetic", problems: [] });
  });
});
