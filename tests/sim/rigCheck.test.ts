// The rig check on the synthetic rig, on a virtual clock: marks that come back, rates beside those of a session that was recorded before.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SyntheticRigOptions } from "../../src/acquisition/synthetic/options.ts";
import { runHeadless } from "../../src/engine/headless.ts";
import { openRigCheck } from "../../src/engine/rigCheck.ts";
import type { RigCheck, RigCheckWorld } from "../../src/engine/rigCheck.ts";
import { createTimedDisplay } from "../../src/engine/timedDisplay.ts";
import { createVirtualClock } from "../../src/loop/clock.ts";
import type { VirtualClock } from "../../src/loop/clock.ts";
import { startModels } from "../../src/models/client.ts";
import type { Models } from "../../src/models/client.ts";
import { rigOpenArgs, sessionConfig } from "../../src/shared/contract/index.ts";
import type { SessionConfigInput } from "../../src/shared/contract/index.ts";
import { unwrap } from "../../src/shared/result.ts";
import { addMs } from "../../src/shared/units.ts";

const root = join(import.meta.dirname, "..", "..");
const folder = mkdtempSync(join(tmpdir(), "evoked-rig-check-"));
const seed = 5;
let models: Models;
beforeAll(async () => {
  models = unwrap(await startModels({ modelsDirs: [join(root, "models")], inProcess: true, provider: "cpu", threads: 1 }));
}, 60_000);
afterAll(async () => {
  await models.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Checked {
  readonly check: RigCheck;
  readonly clock: VirtualClock;
  pass(ms: number): Promise<void>;
}

/** A rig check with a screen that shows flashes to the frame. */
async function aCheck({ options = { channelsPerArray: 2 }, sync = true, neurons, ...config }: { readonly options?: Partial<SyntheticRigOptions>; readonly sync?: boolean; readonly neurons?: { readonly seed: number; readonly encoder: string } } & SessionConfigInput = {}): Promise<Checked> {
  const clock = createVirtualClock({ settle: () => new Promise((resolve) => setImmediate(resolve)) });
  const display = createTimedDisplay({ clock, refreshHz: 120 });
  const screen: RigCheckWorld["screen"] = { attached: true, geometry: () => display.geometry(), place: () => undefined, showFixation: () => undefined, onReport: (l) => display.onReport(l), run: (id, flashes) => display.run(id, flashes), abort: (id) => display.abort(id) };
  const { rig, response, display: shown } = sessionConfig.parse({ ...config, rig: { kind: "synthetic", options, sync: sync ? { kind: "simulated" } : null } });
  const check = unwrap(await openRigCheck(
    rigOpenArgs.parse({ rig, response, display: shown, subject: "m1", folder, ...(neurons === undefined ? {} : { neurons }) }),
    { clock, sessionFolder: folder, rewardFolder: null, screen, encoder: (id) => models.encoder(id), display: { last: () => null, secondsLeft: null, status: null } },
  ));
  return {
    check, clock,
    async pass(ms) {
      const end = addMs(clock.now(), ms);
      clock.setTimer(end, () => undefined);
      await clock.run(() => clock.now() >= end);
    },
  };
}

async function synced(options: Partial<SyntheticRigOptions>) {
  const { check, pass } = await aCheck({ options: { channelsPerArray: 2, ...options } });
  await pass(500);
  const test = check.sync();
  await pass(6000);
  await test;
  const state = check.state();
  await check.close();
  return state;
}

describe("the sync test", () => {
  it("sees every flash and every word of a rig with photodiode and digital port, with their delays", async () => {
    const { syncTest, verdict, devices } = await synced({ displayLagMs: 7 });
    expect(syncTest).toMatchObject({ ok: true, parts: [{ what: "flashes", sent: 20, seen: 20, extra: 0 }, { what: "words", sent: 20, seen: 20, extra: 0 }] });
    // The clocks are known by arrivals alone: what they leave open is the transport.
    for (const [i, delayMs] of [7, 0].entries()) expect(Math.abs((syncTest?.parts[i]?.delayMsMean ?? NaN) - delayMs)).toBeLessThan(20);
    expect(syncTest?.parts[0]?.delayMsSd).toBeLessThan(1);
    expect(devices.find((d) => d.id === "sync")?.value).toBe("out and back");
    // There was no display test of this screen: one is asked for.
    expect(verdict).toEqual({ level: "warn", message: "Display test: No display test on this computer yet. Open the subject's screen and press T." });
  });

  it("counts the marks that are lost or come twice, and says so in the one line", async () => {
    const lost = await synced({ faults: [3, 4, 9].map((n) => ({ kind: "markLost" as const, presentationId: -n })) });
    expect(lost.syncTest).toMatchObject({ ok: false, parts: [{ what: "flashes", ok: false, sent: 20, seen: 17, message: expect.stringContaining("Only 17 of 20") }, { what: "words", ok: true }] });
    expect(lost.verdict).toMatchObject({ level: "fault", message: expect.stringContaining("Only 17 of 20") });
    const doubled = await synced({ faults: [{ kind: "markDoubled", presentationId: -5 }] });
    expect(doubled.syncTest).toMatchObject({ ok: false, parts: [{ seen: 20, extra: 1, message: expect.stringContaining("1 marks without a flash") }, { ok: true }] });
  });

  it("tells a rig without a photodiode, and is refused where there is neither screen nor word", async () => {
    expect((await synced({ photodiode: false })).syncTest).toMatchObject({ ok: false, parts: [{ seen: 0, message: expect.stringContaining("the rig saw no flash") }, { ok: true, seen: 20 }] });
    const { check } = await aCheck({ sync: false, display: { photodiodePx: 0 } });
    await expect(check.sync()).rejects.toMatchObject({ code: "noSync", message: expect.stringMatching(/patch is switched off.*choose event codes\.$/) });
    await check.close();
  });
});

describe("the rates of a rig check", () => {
  it("are compared channel by channel with the baseline of the subject's last session: what fell silent is named, the rest is as before", async () => {
    unwrap(await runHeadless({ models, fast: true, sessionFolder: folder, config: sessionConfig.parse({ seed, subject: { id: "m1" }, display: { kind: "timed" }, rig: { options: { channelsPerArray: 16 } }, evolution: { generations: 4, tuningRepeats: 0, confirmRepeats: 0, referencesPerGeneration: 4, threads: [{ target: 20, populationSize: 18 }] } }) }));
    const silenced = [18, 20, 22, 35, 40];
    const { check, pass } = await aCheck({ neurons: { seed, encoder: "shapes-relu" }, options: { channelsPerArray: 16, faults: [...silenced.map((channel) => ({ kind: "silenceChannel" as const, atMs: 0, channel })), { kind: "noiseOnChannel", atMs: 0, channel: 12 }] } });
    await pass(12_000);
    const { channels, comparedWith, devices } = check.state();
    await check.close();
    expect(comparedWith).toMatchObject({ of: "baseline" });
    const odd = channels.flatMap((c, i) => (c.state === "ok" || c.state === "silent" ? [] : [[i, c.state]]));
    // One that fired three times in all the baselines is not missed.
    const missed = silenced.filter((i) => (channels[i]?.lastRateHz ?? 0) > 3);
    expect(missed.length).toBeGreaterThan(1);
    expect(odd.flatMap(([i, state]) => (state === "lost" ? [i] : []))).toEqual(missed);
    expect(odd).toContainEqual([12, "rose"]);
    // A window before an image still holds the end of the response to the one before: some rates are lower without images, none of the others is silent.
    expect(channels.filter((c) => c.state === "ok").length).toBeGreaterThan(32);
    expect(devices.find((d) => d.id === "spikes")).toMatchObject({ level: "warn", detail: expect.stringContaining(`${missed.length} of them fired in the last session`) });
  }, 60_000);
});
