import { expect, test } from "vitest";
import { createModelNotices } from "../../../src/engine/modelNotices.ts";
import type { ModelsNotice } from "../../../src/models/runtime.ts";

const left = (over: Partial<ModelsNotice> = {}): ModelsNotice => ({ kind: "providerLeft", model: "shapes-g2", provider: "webgpu", wasWanted: false, message: "webgpu is not used for shapes-g2. It could not be started: no adapter.", ...over });

test("a provider that the machine has not is said once a session however many models try it, with the first reason kept", () => {
  const notices = createModelNotices();
  const record = notices.recordOf(left());
  expect(record).toMatchObject({ severity: "info", code: "providerLeft", message: "Models do not run on webgpu here: Verify on the models screen says why." });
  expect(JSON.parse(record?.dataJson ?? "")).toEqual({ model: "shapes-g2", provider: "webgpu", reason: left().message });
  expect(notices.recordOf(left({ model: "plain-relu" }))).toBeNull();
  expect(notices.recordOf(left({ provider: "cuda" }))?.message).toContain("cuda");
  notices.forget();
  expect(notices.recordOf(left())).not.toBeNull();
});

test("a provider that was asked for by name and is not used is a warning; a process that ends twice is said twice", () => {
  const notices = createModelNotices();
  expect(notices.recordOf(left({ wasWanted: true }))).toMatchObject({ severity: "warn", message: expect.stringContaining("was asked for") });
  const crashed: ModelsNotice = { kind: "crashed", model: "", message: "The models process ended: killed." };
  expect([notices.recordOf(crashed)?.severity, notices.recordOf(crashed)?.severity]).toEqual(["warn", "warn"]);
});
