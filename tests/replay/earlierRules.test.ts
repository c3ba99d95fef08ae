// Recordings of before a rule was made replay by the rule that they were made with.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, expect, it } from "vitest";
import { runHeadless } from "../../src/engine/headless.ts";
import { verifySession } from "../../src/engine/replay.ts";
import { startModels } from "../../src/models/client.ts";
import { sessionConfig } from "../../src/shared/contract/index.ts";
import { unwrap } from "../../src/shared/result.ts";

const folder = mkdtempSync(join(tmpdir(), "evoked-rules-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it("a noise ceiling of an odd number of presentations is of all of them, and of an even number where the recording says nothing of it", async () => {
  const models = unwrap(await startModels({ modelsDirs: [join(import.meta.dirname, "..", "..", "models")], inProcess: true, provider: "cpu", threads: 1 }));
  const config = sessionConfig.parse({ seed: 4, display: { kind: "timed" }, plan: [{ protocol: "diverseSet", imageCount: 10, repeats: 3 }] });
  const { session } = unwrap(await runHeadless({ models, fast: true, sessionFolder: folder, config }));
  await models.close();
  expect(unwrap(await verifySession(session)).firstDifference).toBeNull();

  const file = new Database(session);
  file.prepare("UPDATE events SET data_json = json_remove(data_json, '$.ceilings') WHERE category = 'input' AND code = 'begin'").run();
  file.close();
  const difference = unwrap(await verifySession(session)).firstDifference;
  const median = (text: string | undefined): number => Number(/Noise ceiling.*?median r ([\d.]+) over/.exec(text ?? "")?.[1]);
  const [all, even] = [median(difference?.recorded), median(difference?.replayed)];
  // Spearman-Brown of a single presentation to three and to two.
  const single = (ceiling: number, times: number): number => ceiling ** 2 / (times - (times - 1) * ceiling ** 2);
  expect(all).toBeGreaterThan(even);
  expect(Math.abs(single(all, 3) - single(even, 2))).toBeLessThan(0.02);
}, 60_000);
