// The WebGPU provider on a machine without a GPU: Chromium's SwiftShader as the Vulkan driver. Needs /usr/lib/chromium and
// libvulkan.so.1 (Debian: chromium, libvulkan1); where one is missing the tests are skipped and say so. A processor compiles and runs the shaders: minutes.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

import { startModels } from "../../src/models/client.ts";
import type { Models } from "../../src/models/client.ts";
import { driftMax } from "../../src/models/providers.ts";
import type { ModelsNotice } from "../../src/models/runtime.ts";
import { unwrap } from "../../src/shared/result.ts";
import { someImages, someLatents } from "../contract/modelsSuite.ts";

const modelsDir = fileURLToPath(new URL("../../models", import.meta.url));
const driver = "/usr/lib/chromium/vk_swiftshader_icd.json";
const library = ["/usr/lib/x86_64-linux-gnu/libvulkan.so.1", "/usr/lib/aarch64-linux-gnu/libvulkan.so.1", "/usr/lib64/libvulkan.so.1"].find(existsSync);
const present = existsSync(driver) && library !== undefined;

async function startOn(provider: string): Promise<{ models: Models; notices: ModelsNotice[] }> {
  vi.stubEnv("VK_ICD_FILENAMES", driver);
  const notices: ModelsNotice[] = [];
  const models = unwrap(await startModels({ modelsDirs: [modelsDir], provider, onNotice: (notice) => notices.push(notice) }));
  vi.unstubAllEnvs();
  return { models, notices };
}

describe.skipIf(!present)(`WebGPU on the software driver${present ? "" : " (skipped: chromium or libvulkan1 is not installed)"}`, () => {
  let webgpu: Models;
  let cpu: Models;
  beforeAll(async () => {
    webgpu = (await startOn("webgpu")).models;
    cpu = unwrap(await startModels({ modelsDirs: [modelsDir], provider: "cpu", inProcess: true }));
  });
  afterAll(async () => {
    await webgpu.close();
    await cpu.close();
  });

  it("decodes the images that the CPU decodes, to one level of 255 but for a few pixels", async () => {
    const generator = unwrap(await webgpu.generator("shapes-g1"));
    expect(generator.identity.provider).toBe("webgpu");
    const latents = someLatents(3, 64, 8);
    const a = await generator.decode(latents);
    const b = await unwrap(await cpu.generator("shapes-g1")).decode(latents);
    let far = 0;
    a.data.forEach((value, i) => {
      if (Math.abs(value - (b.data[i] ?? 0)) > 1) far++;
    });
    expect(far / a.data.length).toBeLessThan(1e-4);
  });
  it("computes the features that the CPU computes, in every layer", async () => {
    const encoder = unwrap(await webgpu.encoder("shapes-relu"));
    const names = encoder.layers.map((layer) => layer.name);
    const images = someImages(4, 96, 96);
    const a = await encoder.features(images, names);
    const b = await unwrap(await cpu.encoder("shapes-relu")).features(images, names);
    a.forEach((values, k) => {
      const reference = b[k] ?? new Float32Array();
      const largest = reference.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
      const gap = values.reduce((max, value, i) => Math.max(max, Math.abs(value - (reference[i] ?? Number.NaN))), 0);
      expect(gap / largest).toBeLessThan(driftMax);
    });
  });
  it("shows how far the provider was from the CPU on the probe batch", () => {
    const attempt = webgpu.report().find((line) => line.id === "shapes-relu")?.attempts.find((one) => one.provider === "webgpu");
    expect(attempt).toMatchObject({ used: true, reason: expect.stringMatching(/Agrees with the CPU/) });
    expect(attempt?.drift).toBeLessThan(driftMax);
  });
  it("is left for the CPU, with the reason, where it is slower and nobody asked for it", async () => {
    const { models, notices } = await startOn("auto");
    const encoder = unwrap(await models.encoder("shapes-relu"));
    expect(encoder.identity.provider).toBe("cpu");
    expect(notices.filter((notice) => notice.message.startsWith("webgpu")).map((notice) => notice.message)).toEqual([expect.stringMatching(/slower than the CPU here: [\d.]+ ms an image against [\d.]+ ms/)]);
    await models.close();
  });
});
