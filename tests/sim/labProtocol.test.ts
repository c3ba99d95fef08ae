// A protocol of the lab's own, the one of docs/protocols.md, from its module to a replayed session.
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runHeadless } from "../../src/engine/headless.ts";
import { loadLabModule, loadLabProtocols } from "../../src/engine/labProtocols.ts";
import { checkPlan } from "../../src/engine/plans.ts";
import { verifySession } from "../../src/engine/replay.ts";
import { readResumePoint } from "../../src/engine/resume.ts";
import { startModels } from "../../src/models/client.ts";
import type { Models } from "../../src/models/client.ts";
import { openSession } from "../../src/session/reader.ts";
import { planFile, sessionConfig } from "../../src/shared/contract/index.ts";
import { unwrap } from "../../src/shared/result.ts";

const root = join(import.meta.dirname, "..", "..");
const source = join(root, "tests", "fixtures", "protocols", "sizeTuning.mjs");
const folder = mkdtempSync(join(tmpdir(), "evoked-lab-"));
const protocols = join(folder, "protocols");
const step = { protocol: "lab" as const, name: "sizeTuning", folder: join(root, "models", "references"), settings: { steps: 3, repeats: 2 } };
let models: Models;

beforeAll(async () => {
  mkdirSync(protocols);
  copyFileSync(source, join(protocols, "sizeTuning.mjs"));
  models = unwrap(await startModels({ modelsDirs: [join(root, "models")], inProcess: true, provider: "cpu", threads: 1 }));
}, 60_000);
afterAll(async () => {
  await models.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("a lab's own protocol", () => {
  it("is the one that docs/protocols.md shows, word for word", () => {
    expect(readFileSync(join(root, "docs", "protocols.md"), "utf8")).toContain(readFileSync(source, "utf8").trim());
  });

  it("runs as a step, adapts to the responses, is recorded with its hash, replays bit for bit, and is refused when its source is another", async () => {
    const config = sessionConfig.parse({ seed: 4, display: { kind: "timed" }, plan: [step] });
    const run = unwrap(await runHeadless({ models, fast: true, sessionFolder: folder, config, protocolFolder: protocols }));
    const reader = unwrap(openSession(run.session));
    const shown = reader.presentations().filter((p) => p.excluded === null);
    // Three sizes twice, then three finer ones around the best.
    expect([...Map.groupBy(shown, (p) => p.block).values()].map((b) => b.length)).toEqual([6, 6]);
    expect(new Set(shown.filter((p) => p.block === 0).map((p) => p.placement?.sizeDeg))).toEqual(new Set([0.5, 2, 8]));
    expect(reader.steps().map((s) => s.sourceSha256)).toEqual(new Array(2).fill(unwrap(loadLabModule(protocols, "sizeTuning")).sha256));
    expect(run.steps[0]?.sentences[0]).toContain("responds most at");
    reader.close();
    expect(unwrap(await verifySession(run.session, undefined, protocols)).firstDifference).toBeNull();
    // Another source under the same name decides otherwise: it is not replayed with, nor gone on with.
    const changed = join(folder, "changed");
    mkdirSync(changed);
    writeFileSync(join(changed, "sizeTuning.mjs"), readFileSync(source, "utf8").replace("default: 6", "default: 7"));
    const refused = await verifySession(run.session, undefined, changed);
    expect(refused.ok ? "" : refused.error.code).toBe("protocolChanged");
    expect(refused.ok ? "" : refused.error.message).toContain("is not the one that the session was recorded with");
    const missing = await verifySession(run.session, undefined, join(folder, "nowhere"));
    expect(missing.ok ? "" : missing.error.message).toContain("Put the module there");
    expect(readResumePoint(run.session).ok).toBe(false);
  }, 60_000);

  it("is checked before a session: unknown names, wrong settings and modules that export something else are said", async () => {
    writeFileSync(join(protocols, "broken.mjs"), "export default { title: 3 };");
    const steps = planFile.parse({ name: "own", steps: [{ ...step, settings: { repeats: "many" } }, { ...step, name: "none" }, { ...step, name: "broken" }, { ...step, settings: { colour: 1 } }] }).steps;
    const problems = await checkPlan(steps, protocols);
    expect(problems).toHaveLength(4);
    expect(problems[0]).toContain("expected repeats to be a number");
    expect(problems[1]).toContain("found none");
    expect(problems[2]).toContain('is not right at "default.title"');
    expect(problems[3]).toContain('got "colour"');
    expect(loadLabProtocols(protocols, [steps[1] ?? steps[0]!]).ok).toBe(false);
  });
});
