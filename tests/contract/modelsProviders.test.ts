// A provider that is wanted and cannot be had. What WebGPU computes is held against the CPU by tests/parity/webgpu.parity.ts.
import { fileURLToPath } from "node:url";
import { describe, expect, it, vi } from "vitest";

import { startModels } from "../../src/models/client.ts";
import type { ModelsNotice } from "../../src/models/runtime.ts";
import { unwrap } from "../../src/shared/result.ts";
import { someImages } from "./modelsSuite.ts";

const modelsDir = fileURLToPath(new URL("../../models", import.meta.url));

describe("a provider that cannot be started", () => {
  it("is left for the CPU with a visible reason", async () => {
    vi.stubEnv("VK_ICD_FILENAMES", "/no/such/driver.json");
    const notices: ModelsNotice[] = [];
    const models = unwrap(await startModels({ modelsDirs: [modelsDir], provider: "webgpu", onNotice: (notice) => notices.push(notice) }));
    vi.unstubAllEnvs();
    const encoder = unwrap(await models.encoder("shapes-relu"));
    expect(encoder.identity.provider).toBe("cpu");
    expect(notices.map((notice) => [notice.kind, notice.message])).toEqual([["providerLeft", expect.stringMatching(/^webgpu is not used for shapes-relu\. It could not be started: /)]]);
    expect((await encoder.features(someImages(1, 64, 64), ["logits"]))[0]?.length).toBe(10);
    await models.close();
  });
  it("is refused with the names that there are where the machine has no such provider at all", async () => {
    const models = unwrap(await startModels({ modelsDirs: [modelsDir], provider: "abacus", inProcess: true }));
    expect(await models.encoder("shapes-relu")).toMatchObject({ ok: false, error: { code: "providerUnknown", message: expect.stringMatching(/one of .*cpu.*"abacus"/) } });
    await models.close();
  });
});
