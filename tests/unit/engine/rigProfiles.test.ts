import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { createVirtualClock } from "../../../src/loop/clock.ts";
import { openRig } from "../../../src/engine/rig.ts";
import { listRigProfiles, readRigProfile, removeRigProfile, saveRigProfile } from "../../../src/engine/rigProfiles.ts";
import { rigProfile, sessionConfig } from "../../../src/shared/contract/index.ts";
import type { RigConfigInput, RigProfile } from "../../../src/shared/contract/index.ts";
import { unwrap } from "../../../src/shared/result.ts";

const folders: string[] = [];
const aFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "evoked-rigs-"));
  folders.push(folder);
  return folder;
};
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function aProfile(name: string, rig: RigConfigInput = {}): RigProfile {
  return rigProfile.parse({ schema: "evoked.rigProfile", version: 1, name, rig });
}

const world = () => ({ clock: createVirtualClock({ settle: async () => undefined }), seed: 1, encoder: null });

describe("rig profiles", () => {
  it("are read back as they were saved, under their name, and are gone when removed", () => {
    const folder = aFolder();
    const saved = aProfile("Room 2", { kind: "open-ephys", options: { host: "10.0.0.5" }, eye: { kind: "none" } });
    expect(unwrap(saveRigProfile(folder, saved))).toMatchObject({ name: "Room 2", summary: "Open Ephys GUI, No eye tracker", problem: null });
    expect(unwrap(readRigProfile(folder, "Room 2"))).toEqual({ ...saved, rig: { ...saved.rig, profile: "Room 2" } });
    expect(listRigProfiles(folder).map((p) => p.name)).toEqual(["Room 2"]);
    expect(removeRigProfile(folder, "Room 2").ok).toBe(true);
    expect(listRigProfiles(folder)).toEqual([]);
    expect(readRigProfile(folder, "Room 2")).toMatchObject({ ok: false, error: { code: "noProfile" } });
  });

  it("of a newer version, of another schema or damaged are refused with the reason and left alone", () => {
    const folder = aFolder();
    const text = (change: object): string => JSON.stringify({ ...aProfile("x"), ...change });
    writeFileSync(join(folder, "newer.json"), text({ version: 2 }));
    writeFileSync(join(folder, "other.json"), text({ schema: "something" }));
    writeFileSync(join(folder, "wrong.json"), text({ rig: { eye: { kind: "" } } }));
    writeFileSync(join(folder, "cut.json"), text({}).slice(0, 40));
    const before = readFileSync(join(folder, "newer.json"), "utf8");
    expect(["newer", "other", "wrong", "cut"].map((name) => { const read = readRigProfile(folder, name); return read.ok ? "" : read.error.code; })).toEqual(["newerProfile", "badProfile", "badProfile", "badProfile"]);
    expect(listRigProfiles(folder).every((p) => p.problem !== null)).toBe(true);
    expect(readFileSync(join(folder, "newer.json"), "utf8")).toBe(before);
  });

  it("cannot be named out of their folder", () => {
    expect(readRigProfile(aFolder(), "../secret")).toMatchObject({ ok: false, error: { code: "badProfile" } });
    expect(rigProfile.safeParse({ ...aProfile("x"), name: "a/b" }).success).toBe(false);
  });
});

describe("a rig", () => {
  it("named by kind and options alone, as older sessions hold it, is the same as before", () => {
    const config = sessionConfig.parse({ rig: { kind: "synthetic", options: { channelsPerArray: 4 } } });
    const rig = unwrap(openRig(config.rig, world()));
    expect(rig.source.channels()).toHaveLength(12);
    expect([rig.eye?.name, rig.reward?.name, rig.sync]).toEqual(["Synthetic eye", "Synthetic reward", null]);
  });

  it("takes each device by its kind, and none where none is wanted", () => {
    const rig = unwrap(openRig({ kind: "synthetic", eye: { kind: "none" }, reward: { kind: "none" } }, world()));
    expect([rig.eye, rig.reward, rig.sync]).toEqual([null, null, null]);
  });

  it("with a device that nobody knows says which there are", () => {
    const opened = openRig({ kind: "open-ephys", eye: { kind: "crystal ball" } }, world());
    expect(opened).toMatchObject({ ok: false, error: { code: "unknownDevice", message: expect.stringContaining("none") } });
  });
});
