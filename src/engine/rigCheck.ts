// A rig opened without a session: every device live, rates beside those of the last session, pulses and words tried by hand, the eye calibrated.
// Writes no session. Knows nothing about transport or layout.
import { statfs } from "node:fs/promises";
import { describeDelivery } from "../acquisition/delivery.ts";
import { rigRegistry } from "../acquisition/index.ts";
import type { ProgramStatus, RigProgram } from "../acquisition/index.ts";
import { checkWritable } from "../session/folder.ts";
import { rigNameOf } from "../shared/contract/index.ts";
import type { CalibrationState, Device, DisplayConfig, DisplayStatus, EyeAction, Level, RigChannel, RigOpenArgs, RigState } from "../shared/contract/index.ts";
import { calibrationTargets, fitEyeCalibration, fixatedPoint, gazeDeg } from "../shared/eyeCalibration.ts";
import type { EyeCalibration } from "../shared/contract/index.ts";
import type { Clock, DisplayReport, Encoder, PlannedFlash, Reward } from "../shared/ports.ts";
import { FaultError, assertNever, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { addMs, nsPerMs } from "../shared/units.ts";
import type { HostTimeNs } from "../shared/units.ts";
import type { ChannelInfo, EyeBatch, RawGazeBatch, RigMark, SourceEvent } from "../shared/values.ts";
import { eccentricityPx } from "../shared/visualAngle.ts";
import { describeVerdict } from "./displayVerdicts.ts";
import type { DisplayVerdict } from "./displayVerdicts.ts";
import { compareRate, readLastRates } from "./lastRates.ts";
import { openRig } from "./rig.ts";
import type { Rig } from "./rig.ts";
import { limitReward } from "./rewardLimit.ts";
import { createSyncTest, markLatestMs, syncTestCount, wordSpacingMs } from "./syncTest.ts";
import type { SyncTest } from "./syncTest.ts";
import { ageMs } from "./telemetry.ts";

/** What shows the points of a calibration and the flashes of a sync test; the stimulus window, where one is open. */
export interface PointDisplay {
  readonly attached: boolean;
  /** Sizes and colours of what is drawn. */
  place(display: DisplayConfig): void;
  geometry(): { readonly widthPx: number; readonly heightPx: number; readonly refreshHz: number };
  showFixation(visible: boolean, at?: { readonly xPx: number; readonly yPx: number }): void;
  onReport(listener: (report: DisplayReport) => void): void;
  run(trialId: number, flashes: readonly PlannedFlash[]): void;
  abort(trialId: number): void;
}

export interface RigCheckWorld {
  readonly clock: Clock;
  readonly sessionFolder: string;
  /** Where what each subject was given is kept; null: nothing is kept. */
  readonly rewardFolder: string | null;
  /** null: no stimulus window is to be had (command line). */
  readonly screen: PointDisplay | null;
  /** What the neurons of a synthetic rig read. Left out: their own. */
  readonly encoder?: (id: string) => Promise<Result<Encoder, Fault>>;
  /** What is known of this computer's display: the last test of this rig's screen, one that runs now, and the screen itself. */
  readonly display: { last(rig: string): DisplayVerdict | null; readonly secondsLeft: number | null; readonly status: DisplayStatus | null };
}

export interface RigCheck {
  state(): RigState;
  reward(pulseMs: number, pulses: number): Promise<void>;
  /** Flashes the patch of the open stimulus window, and sends words where the rig has event codes; settles when it is over. Throws a FaultError where neither can be had. */
  sync(): Promise<void>;
  /** Throws a FaultError where it cannot be done. */
  eye(action: EyeAction): void;
  /** What gaze is by now: the profile's calibration, or one accepted since. */
  readonly calibration: EyeCalibration | null;
  close(): Promise<void>;
}

const diskWarnBytes = 5e9;
const staleMs = 1000;
/** How long the stream is waited for after the last flash or word of a sync test. */
const syncWaitMs = 2000;
/** How often it is looked whether the stream has come so far. */
const syncLookMs = 50;
/** A window that is covered gets no frames: so much longer than planned a program of flashes may take. */
const flashesLateMs = 3000;
/** Samples before a point is taken that it is judged by. */
const fixationMs = 1000;
/** A channel's rate is compared with the last session's after so long. */
const compareAfterMs = 5000;
const marksKept = 12;
/** How often the recording program is asked how it is. */
const programEveryMs = 2000;

export async function openRigCheck(args: RigOpenArgs, world: RigCheckWorld): Promise<Result<RigCheck, Fault>> {
  const { clock } = world;
  const encoder = args.neurons === undefined || args.rig.kind !== "synthetic" ? null : ((await world.encoder?.(args.neurons.encoder)) ?? null);
  if (encoder !== null && !encoder.ok) return encoder;
  const opened = openRig(args.rig, { clock, seed: args.neurons?.seed ?? 1, encoder: encoder?.value ?? null });
  if (!opened.ok) return opened;
  const rig: Rig = opened.value;
  const startedNs = clock.now();
  const sinceMs = (): number => (clock.now() - startedNs) / nsPerMs;
  const last = readLastRates(args.folder ?? world.sessionFolder, args.subject, rig.title);
  /** What did not start, by device. */
  const failed = new Map<"spikes" | "eye" | "reward" | "sync", string>();
  let counts = new Float64Array(0);
  let firstSpikesNs: number | null = null;
  let newestNs: number | null = null;
  let sourceFault: string | null = null;
  const marks: { atMs: number; mark: RigMark }[] = [];
  let gaze: EyeBatch | null = null;
  let traceX: number[] = [];
  let traceY: number[] = [];
  let raw: { ns: number; x: number; y: number; valid: number }[] = [];
  let rawHeard = false;
  let calibration = rig.config.eye?.calibration ?? null;
  let calibrating: { model: "affine" | "quadratic"; targets: CalibrationState["targets"]; at: number | null; taken: ({ rawX: number; rawY: number; rawSd: number; samples: number } | null)[]; fit: EyeCalibration | null; message: string } | null = null;
  let rewardTest: RigState["rewardTest"] = null;
  let syncTest: RigState["syncTest"] = null;
  /** The one that runs. */
  let syncing: SyncTest | null = null;
  let closed = false;

  const reward: Reward | null = rig.reward === null ? null : limitReward({ reward: rig.reward, config: rig.config.reward, mlPerS: 1, subject: args.subject, folder: rig.config.reward === null ? null : world.rewardFolder, onLimit: () => undefined });

  function takeEvent(event: SourceEvent): void {
    switch (event.kind) {
      case "channels":
        if (event.channels.length > counts.length) {
          const grown = new Float64Array(event.channels.length);
          grown.set(counts);
          counts = grown;
        }
        return;
      case "spikes":
        firstSpikesNs ??= event.batch.watermarkRigNs;
        newestNs = event.batch.watermarkRigNs;
        for (const channel of event.batch.channels) counts[channel] = (counts[channel] ?? 0) + 1;
        rig.aligner.addPair({ hostNs: event.batch.arrivedHostNs, rigNs: event.batch.watermarkRigNs, kind: "arrival" });
        return;
      case "mark":
        marks.push({ atMs: sinceMs(), mark: event.mark });
        if (marks.length > marksKept) marks.shift();
        syncing?.mark(event.mark);
        return;
      case "fault":
        if (event.fault.kind === "stale" || event.fault.kind === "lost") sourceFault = event.fault.kind === "stale" ? `No data for ${(event.fault.ageMs / 1000).toFixed(1)} s.` : event.fault.reason;
        if (event.fault.kind === "reconnected") sourceFault = null;
        return;
      case "end":
        return;
      default:
        assertNever(event);
    }
  }

  function takeEye(batch: EyeBatch): void {
    gaze = batch;
    const step = Math.max(1, Math.floor(batch.xDeg.length / 6));
    for (let i = 0; i < batch.xDeg.length; i += step) {
      if (batch.valid[i] !== 1) continue;
      traceX.push(batch.xDeg[i] ?? 0);
      traceY.push(batch.yDeg[i] ?? 0);
    }
    traceX = traceX.slice(-240);
    traceY = traceY.slice(-240);
  }

  function takeRaw(batch: RawGazeBatch): void {
    rawHeard = true;
    const now = clock.now();
    for (let i = 0; i < batch.x.length; i++) raw.push({ ns: now, x: batch.x[i] ?? 0, y: batch.y[i] ?? 0, valid: batch.valid[i] ?? 0 });
    const from = now - fixationMs * nsPerMs;
    if ((raw[0]?.ns ?? from) < from - fixationMs * nsPerMs) raw = raw.filter((s) => s.ns >= from);
    // Before the rig's clock is known there are no samples on it: the trace is drawn from the tracker's own.
    if (gaze === null) {
      const newest = raw.findLast((s) => s.valid === 1);
      if (newest !== undefined && calibration !== null) {
        const at = gazeDeg(calibration, newest.x, newest.y);
        traceX = [...traceX, at.xDeg].slice(-240);
        traceY = [...traceY, at.yDeg].slice(-240);
      }
    }
  }

  async function startDevice(name: "eye" | "reward" | "sync" | "spikes", starting: Promise<Result<void, Fault>> | undefined): Promise<void> {
    const started = await starting;
    if (started !== undefined && !started.ok) failed.set(name, started.error.message);
  }

  rig.eye?.onRaw?.(takeRaw);
  await Promise.all([
    startDevice("spikes", rig.source.start(takeEvent)),
    startDevice("eye", rig.eye?.start(takeEye)),
    startDevice("reward", reward?.start?.()),
    startDevice("sync", rig.sync?.start()),
  ]);
  rig.retina?.fixationSpot?.(true, clock.now());
  let disk = await diskDevice(args.folder ?? world.sessionFolder);
  const diskTimer = setInterval(() => void diskDevice(args.folder ?? world.sessionFolder).then((next) => { disk = next; }), 10_000);
  const program = programOf(rig);
  let programStatus: { readonly status: ProgramStatus; readonly atNs: HostTimeNs } | null = null;
  let isAsking = false;
  async function askProgram(): Promise<void> {
    if (program === null || isAsking || closed) return;
    isAsking = true;
    const status = await program.ask();
    programStatus = { status, atNs: clock.now() };
    isAsking = false;
  }
  await askProgram();
  const programTimer = program === null ? null : setInterval(() => void askProgram(), programEveryMs);

  // ---- what is known now -----------------------------------------------------------------------------------------------------

  function heardS(): number {
    return firstSpikesNs === null || newestNs === null ? 0 : (newestNs - firstSpikesNs) / 1e9;
  }

  function channelStates(): RigChannel[] {
    const seconds = heardS();
    return rig.source.channels().map((channel: ChannelInfo, i): RigChannel => {
      const rateHz = seconds > 0 ? (counts[i] ?? 0) / seconds : 0;
      const lastRateHz = last?.rates.get(channel.name) ?? null;
      return { name: channel.name, area: channel.area, rateHz, lastRateHz, state: seconds * 1000 < compareAfterMs ? "ok" : compareRate({ count: counts[i] ?? 0, seconds, lastRateHz, lastSeconds: last?.seconds ?? 0 }) };
    });
  }

  function devicesNow(channels: readonly RigChannel[]): Device[] {
    const now = clock.now();
    const source = rig.source.status();
    const age = ageMs(now, source.newestHostNs);
    const total = channels.reduce((sum, c) => sum + c.rateHz, 0);
    const lost = channels.filter((c) => c.state === "lost").length;
    const silent = channels.filter((c) => c.state === "silent" || c.state === "lost").length;
    const spikesProblem = failed.get("spikes") ?? sourceFault ?? (age !== null && age > staleMs ? `No data for ${(age / 1000).toFixed(1)} s.` : channels.length === 0 && sinceMs() > 3000 ? "Connected, but no channel has shown a spike yet: is the program acquiring, and is its spike detector on?" : null);
    const devices: Device[] = [{
      id: "spikes", label: `Spikes · ${rig.title}`, level: spikesProblem !== null ? "fault" : source.packetsLost > 0 || lost > 0 ? "warn" : "ok",
      value: `${Math.round(total).toLocaleString("en")} spikes/s`,
      detail: spikesProblem ?? [`${channels.length} channels, ${silent} silent`, ...(lost > 0 ? [`${lost} of them fired in the last session`] : []), ...(source.packetsLost > 0 ? [`${source.packetsLost} packets lost`] : []), describeDelivery(rig.delivery()), source.address].filter((t) => t !== "").join(", "), ageMs: age,
    }];
    if (program !== null && programStatus !== null) devices.push({ id: "program", label: program.name, ...programStatus.status, ageMs: ageMs(now, programStatus.atNs) });
    devices.push(deviceOf("eye", "Eye", rig.eye?.name ?? null, rig.eye?.status?.() ?? null, now, failed.get("eye"), () => (gaze === null && !rawHeard ? "no sample yet" : gaze?.valid.at(-1) === 1 || raw.at(-1)?.valid === 1 ? "sees the eye" : "does not see the eye")));
    devices.push(deviceOf("reward", "Reward line", reward?.name ?? null, reward?.status?.() ?? null, now, failed.get("reward"), () => "answers"));
    devices.push(deviceOf("sync", "Event codes", rig.sync?.name ?? null, rig.sync?.status() ?? null, now, failed.get("sync"), () => (syncTest?.parts.some((part) => part.what === "words" && part.ok) === true ? "out and back" : "go out")));
    devices.push(clockDevice(rig));
    devices.push({
      id: "screen", label: "Subject's screen", level: world.screen?.attached === true ? "ok" : args.display.kind === "timed" ? "off" : "warn",
      value: world.screen?.attached === true ? `${world.screen.geometry().refreshHz.toFixed(1)} Hz` : "not open",
      detail: world.screen?.attached === true ? `${world.screen.geometry().widthPx} x ${world.screen.geometry().heightPx} px` : args.display.kind === "timed" ? "none: timed by the engine" : "opens with W, or when the session starts", ageMs: null,
    });
    const isWindow = args.display.kind === "window";
    devices.push({ id: "display", label: "Display test", ageMs: null, ...(isWindow ? describeVerdict({ verdict: world.display.last(rigNameOf(args.rig)), rig: rigNameOf(args.rig), status: world.display.status, secondsLeft: world.display.secondsLeft }) : { level: "off" as const, value: "none", detail: args.display.kind === "timed" ? "no screen to test" : "another program shows the images" }) });
    devices.push(disk);
    return devices;
  }

  function judge(devices: readonly Device[]): RigState["verdict"] {
    const words = (d: Device): string => `${d.label}: ${d.detail === "" ? d.value : d.detail}`;
    const broken = devices.find((d) => d.level === "fault");
    if (broken !== undefined) return { level: "fault", message: words(broken) };
    for (const test of [rewardTest, syncTest]) if (test?.ok === false) return { level: "fault", message: test.message };
    const doubtful = devices.find((d) => d.level === "warn");
    if (doubtful !== undefined) return { level: "warn", message: words(doubtful) };
    if (heardS() * 1000 < compareAfterMs) return { level: "off", message: "Listening" };
    if (rig.eye?.onRaw !== undefined && calibration === null) return { level: "warn", message: "Eye: not calibrated. Calibrate it before the session." };
    return { level: "ok", message: `Ready: ${devices.filter((d) => d.level === "ok").length} devices answer.` };
  }

  // ---- the eye ---------------------------------------------------------------------------------------------------------------

  function fixation(): ReturnType<typeof fixatedPoint> {
    const from = clock.now() - fixationMs * nsPerMs;
    const recent = raw.filter((s) => s.ns >= from);
    return fixatedPoint({ x: recent.map((s) => s.x), y: recent.map((s) => s.y), valid: recent.map((s) => s.valid) }, 20);
  }

  function showTarget(): void {
    const target = calibrating?.at === null || calibrating === null ? undefined : calibrating.targets[calibrating.at];
    if (world.screen === null) return;
    if (target === undefined) {
      world.screen.showFixation(false);
      return;
    }
    world.screen.place(args.display);
    const screen = { widthPx: world.screen.geometry().widthPx, widthCm: args.display.widthCm, distanceCm: args.display.distanceCm };
    world.screen.showFixation(true, { xPx: Math.round(eccentricityPx(target.xDeg, screen)), yPx: -Math.round(eccentricityPx(target.yDeg, screen)) });
  }

  function advance(): void {
    if (calibrating === null) return;
    const next = calibrating.taken.findIndex((t, i) => t === null && i > (calibrating?.at ?? -1));
    calibrating.at = next < 0 ? null : next;
    if (calibrating.at === null) fit();
    showTarget();
  }

  function fit(): void {
    if (calibrating === null) return;
    const points = calibrating.targets.flatMap((t, i) => {
      const taken = calibrating?.taken[i] ?? null;
      return taken === null ? [] : [{ targetXDeg: t.xDeg, targetYDeg: t.yDeg, ...taken }];
    });
    const fitted = fitEyeCalibration({ model: calibrating.model, points, atUtc: new Date().toISOString() });
    calibrating.fit = fitted.ok ? fitted.value : null;
    calibrating.message = fitted.ok
      ? `Residual ${fitted.value.rmsDeg.toFixed(2)}°${fitted.value.rejected.length === 0 ? "" : `; point ${fitted.value.rejected.map((i) => i + 1).join(", ")} does not fit the others and is left out`}.`
      : fitted.error.message;
  }

  function actOnEye(action: EyeAction): void {
    const { eye } = rig;
    if (eye === null) throw new FaultError({ code: "noEye", message: "This rig has no eye tracker. Choose one in the rig's settings." });
    if (action.action === "recentre") {
      eye.recentre();
      return;
    }
    if (eye.onRaw === undefined || eye.calibrate === undefined) throw new FaultError({ code: "noCalibration", message: `${eye.name} gives degrees by itself: there is nothing to calibrate.` });
    switch (action.action) {
      case "begin":
        if (world.screen !== null && !world.screen.attached) throw new FaultError({ code: "noScreen", message: "Expected the subject's screen for the points of the calibration, but it is not open. Open it with W." });
        calibrating = { model: action.model, targets: [...calibrationTargets(action.points, action.reachDeg)], at: 0, taken: new Array<null>(action.points).fill(null), fit: null, message: "The subject looks at the point; take it once the eye is still." };
        showTarget();
        return;
      case "take": {
        if (calibrating === null || calibrating.at === null) throw new FaultError({ code: "noPoint", message: "No point is shown. Begin a calibration first." });
        const point = fixation();
        if (point === null) {
          calibrating.message = "The tracker has not seen the eye for long enough: wait until the subject fixates, or skip the point.";
          return;
        }
        calibrating.taken[calibrating.at] = point;
        calibrating.message = `Point ${calibrating.at + 1} taken.`;
        advance();
        return;
      }
      case "skip":
        if (calibrating !== null && calibrating.at !== null) {
          calibrating.message = `Point ${calibrating.at + 1} skipped.`;
          advance();
        }
        return;
      case "back": {
        if (calibrating === null) return;
        const from = calibrating.at ?? calibrating.targets.length;
        calibrating.at = Math.max(0, from - 1);
        calibrating.taken[calibrating.at] = null;
        calibrating.fit = null;
        showTarget();
        return;
      }
      case "cancel":
        calibrating = null;
        showTarget();
        return;
      case "accept":
        if (calibrating?.fit == null) throw new FaultError({ code: "noFit", message: "There is no calibration to accept yet: take the points first." });
        calibration = calibrating.fit;
        eye.calibrate(calibration);
        traceX = [];
        traceY = [];
        calibrating = null;
        showTarget();
        return;
      default:
        assertNever(action);
    }
  }

  // ---- marks -----------------------------------------------------------------------------------------------------------------

  function pass(ms: number): Promise<void> {
    return new Promise((resolve) => void clock.setTimer(addMs(clock.now(), ms), resolve));
  }

  async function testSync(): Promise<void> {
    if (syncing !== null) throw new FaultError({ code: "syncRunning", message: "The marks are being tested already." });
    if (calibrating !== null) throw new FaultError({ code: "calibrating", message: "The subject's screen shows the points of the eye calibration: finish or cancel it first." });
    const { screen } = world;
    const hasFlashes = screen?.attached === true && args.display.kind !== "external" && args.display.photodiodePx > 0 && world.display.secondsLeft === null;
    const words = rig.sync;
    if (!hasFlashes && words === null) throw new FaultError({ code: "noSync", message: `There is nothing to test the marks with: this rig sends no event codes, and ${args.display.photodiodePx === 0 ? "the photodiode patch is switched off" : "the subject's screen is not open to flash the photodiode patch"}. Open the screen with W, or choose event codes.` });
    const refreshHz = screen?.geometry().refreshHz ?? 60;
    const frames = Math.max(2, Math.round(refreshHz * 0.05));
    const test = createSyncTest({ flashes: hasFlashes ? { refreshHz, onFrames: frames, offFrames: frames, photodiodeCode: args.display.photodiodeCode } : null, hasWords: words !== null, ttlLine: args.response.onsetTtlLine });
    syncing = test;
    syncTest = { ok: null, message: `${syncTestCount} ${hasFlashes ? "flashes" : "words"} are on their way.`, parts: [] };
    const sendWord = (): void => {
      if (words === null) return;
      const word = test.nextWord();
      test.sent(word, clock.now());
      words.send(word);
    };
    try {
      if (hasFlashes) await flash(screen, test, (syncTestCount * 2 * frames * 1000) / refreshHz, sendWord);
      else for (let i = 0; i < syncTestCount && !closed; i++) {
        sendWord();
        await pass(wordSpacingMs);
      }
      // Until the stream has come so far that nothing of it is on its way any more.
      for (let waited = 0; waited < syncWaitMs && !closed && !isPast(test.lastHostNs); waited += syncLookMs) await pass(syncLookMs);
      if (!closed) syncTest = test.finish(rig.aligner.map());
    } finally {
      syncing = null;
    }
  }

  function isPast(hostNs: HostTimeNs | null): boolean {
    const map = rig.aligner.map();
    return hostNs !== null && map !== null && newestNs !== null && newestNs > map.toRig(hostNs) + 2 * markLatestMs * nsPerMs;
  }

  /** Settles when the window has shown all flashes, or cannot. */
  function flash(screen: PointDisplay, test: SyncTest, plannedMs: number, onFlip: () => void): Promise<void> {
    screen.place(args.display);
    return new Promise((resolve) => {
      const over = (): void => {
        cancel();
        screen.onReport(() => undefined);
        resolve();
      };
      const cancel = clock.setTimer(addMs(clock.now(), plannedMs + flashesLateMs), () => {
        screen.abort(0);
        over();
      });
      screen.onReport((report) => {
        if (report.kind === "onset") {
          test.flip(report.presentationId, report.flipHostNs);
          rig.retina?.lit(0, report.presentationId, report.flipHostNs);
          onFlip();
        } else if (report.kind === "offset") rig.retina?.lit(null, report.presentationId, report.flipHostNs);
        else if (report.kind === "end" || report.kind === "lost") over();
      });
      screen.run(0, test.flashes);
    });
  }

  return ok({
    get calibration() {
      return calibration;
    },
    state() {
      const channels = channelStates();
      const devices = devicesNow(channels);
      const shown = calibrating;
      const still = shown === null ? null : fixation();
      return {
        open: !closed, title: rig.title, openMs: sinceMs(), devices, verdict: judge(devices), channels, comparedWith: last === null ? null : { file: last.file, startedUtc: last.startedUtc, of: last.of },
        marks: marks.map(({ atMs, mark }) => ({ atMs, kind: mark.kind, line: mark.line, word: mark.word, state: mark.state })),
        gaze: {
          xDeg: [...traceX], yDeg: [...traceY], rawX: raw.at(-1)?.x ?? null, rawY: raw.at(-1)?.y ?? null, seen: (raw.at(-1)?.valid ?? gaze?.valid.at(-1)) === 1,
          canCalibrate: rig.eye?.onRaw !== undefined, isCalibrated: calibration !== null,
        },
        rewardTest, syncTest,
        calibration: shown === null ? null : {
          state: shown.at === null ? "fitted" : "showing", model: shown.model, targets: shown.targets, at: shown.at, stillness: still?.rawSd ?? null,
          taken: shown.taken.map((t) => (t === null ? null : { rawX: t.rawX, rawY: t.rawY, rawSd: t.rawSd })), fit: shown.fit, message: shown.message,
        },
      };
    },
    async reward(pulseMs, pulses) {
      if (reward === null) throw new FaultError({ code: "noReward", message: "This rig has no reward line. Choose one in the rig's settings." });
      rewardTest = { ok: null, message: `${pulses === 1 ? "A pulse" : `${pulses} pulses`} of ${pulseMs} ms` };
      for (let i = 0; i < pulses && !closed; i++) {
        const given = await reward.pulse(pulseMs);
        if (!given.ok) {
          rewardTest = { ok: false, message: given.error.message };
          throw new FaultError(given.error);
        }
        rewardTest = { ok: true, message: pulses === 1 ? `The line was open for ${given.value.pulseMs} ms.` : `${i + 1} of ${pulses} pulses of ${given.value.pulseMs} ms given.` };
        // Between weighed pulses the valve closes whole.
        if (i + 1 < pulses) await pass(200);
      }
    },
    sync: testSync,
    eye: actOnEye,
    async close() {
      if (closed) return;
      closed = true;
      clearInterval(diskTimer);
      if (programTimer !== null) clearInterval(programTimer);
      if (calibrating !== null) world.screen?.showFixation(false);
      await reward?.off();
      await reward?.stop?.();
      await rig.source.stop();
      await rig.eye?.stop();
      await rig.sync?.stop();
    },
  });
}

/** One look at a rig: opened, listened to, closed. Errors: those of opening it. */
export async function checkRigOnce(args: RigOpenArgs, world: RigCheckWorld & { readonly listenMs: number; readonly rewardMs?: number; readonly sync?: boolean }): Promise<Result<RigState, Fault>> {
  const opened = await openRigCheck(args, world);
  if (!opened.ok) return opened;
  const check = opened.value;
  try {
    const listening = new Promise((resolve) => setTimeout(resolve, world.listenMs));
    if (world.rewardMs !== undefined) await check.reward(world.rewardMs, 1).catch(() => undefined);
    if (world.sync === true) await check.sync();
    await listening;
    return ok(check.state());
  } catch (error) {
    if (error instanceof FaultError) return { ok: false, error: { code: error.code, message: error.message } };
    throw error;
  } finally {
    await check.close();
  }
}

function deviceOf(id: string, label: string, name: string | null, status: ReturnType<NonNullable<Reward["status"]>> | null, now: HostTimeNs, failure: string | undefined, value: () => string): Device {
  if (name === null) return { id, label, level: "off", value: "none", detail: "", ageMs: null };
  const problem = failure ?? status?.problem ?? null;
  const level: Level = problem !== null ? "fault" : "ok";
  return { id, label: id === "eye" ? `${label} · ${name}` : label, level, value: problem !== null ? "does not work" : value(), detail: problem ?? [status?.detail ?? "", status?.address ?? ""].filter((t) => t !== "").join(", "), ageMs: ageMs(now, status?.newestHostNs ?? null) };
}

function programOf(rig: Rig): RigProgram | null {
  const program = rigRegistry.find((kind) => kind.kind === rig.kind)?.program(rig.config.options);
  return program?.ok === true ? program.value : null;
}

function clockDevice(rig: Rig): Device {
  const map = rig.aligner.map();
  const { jumpsMs, arrivals } = rig.aligner.status();
  if (map === null) return { id: "clock", label: "Clocks", level: "off", value: "not yet known", detail: "", ageMs: null };
  return { id: "clock", label: "Clocks", level: jumpsMs.length > 0 ? "warn" : "ok", value: `±${map.uncertaintyMs.toFixed(1)} ms`, detail: `drift ${map.driftPpm.toFixed(0)} ppm, by ${arrivals} arrivals; marks make it exact${jumpsMs.length > 0 ? `; ${jumpsMs.length} ${jumpsMs.length === 1 ? "jump" : "jumps"}` : ""}`, ageMs: null };
}

async function diskDevice(folder: string): Promise<Device> {
  const label = "Disk";
  const writable = checkWritable(folder);
  if (!writable.ok) return { id: "disk", label, level: "fault", value: "cannot be written", detail: writable.error.message, ageMs: null };
  try {
    const disk = await statfs(folder);
    const free = disk.bavail * disk.bsize;
    return { id: "disk", label, level: free < diskWarnBytes ? "warn" : "ok", value: `${(free / 1e9).toFixed(0)} GB free`, detail: folder, ageMs: null };
  } catch (error) {
    return { id: "disk", label, level: "fault", value: "cannot be read", detail: error instanceof Error ? error.message : String(error), ageMs: null };
  }
}
