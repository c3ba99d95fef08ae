// When do images really light up? A session of the synthetic rig in headed Chromium, full screen on a virtual 120 Hz display, watched by a
// program of its own that reads the framebuffer as a photodiode would (tests/support/framebufferReader) and whose marks are the rig's photodiode.
// Three conditions: quiet, with the operator's window live, with one core busy. Per condition: onset lag after the flip report, its spread,
// wrong durations, dropped frames, and of every wrong frame that the reader saw whether the session file says so too. A second program watches
// whether the machine itself stood still (a virtual processor that its host took away): no frame can be in time then, and such images are counted apart.
// It also keeps the processors from sleeping (--sleep never): a virtual one that sleeps is given to others and comes back late. Session and browsers write
// to memory (--disk memory), so that the host does no work for a virtual disk meanwhile.
//   node bench/displayTiming.ts [--seconds 600] [--conditions quiet,operator,busy] [--priority raised|ordinary] [--sleep never|allowed] [--disk memory|real] [--console own|shared] [--code frames|onset] [--write docs/display.md]
// --console: the operator's window in a browser of its own, as `evoked serve --open` has it, or in that of the subject's screen.
// Prints one JSON line, then the table. Needs Linux, Xorg's dummy driver, gcc, chromium; the windows built (npm run build:renderer).
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import { WebSocket } from "ws";
import { z } from "zod";
import { readImages } from "../src/analysis/photodiode.ts";
import type { BrowserContext } from "playwright-core";
import type { LevelChange, SeenImage } from "../src/analysis/photodiode.ts";
import { frameProcessor } from "../src/engine/drawingPriority.ts";
import { placementOf } from "../src/engine/placement.ts";
import { openSession } from "../src/session/reader.ts";
import { sessionConfig } from "../src/shared/contract/index.ts";
import type { EngineFrame, SessionConfigInput } from "../src/shared/contract/index.ts";
import { patchGreys, patchLevelMax } from "../src/shared/patchCode.ts";
import type { FlipRecord } from "../src/shared/records.ts";
import { unwrap } from "../src/shared/result.ts";
import { favourDrawing } from "../src/web/drawingProcesses.ts";
import { serve } from "../src/web/serve.ts";
import { buildReader, buildStallWatch, startReader, startStallWatch } from "../tests/support/framebufferReader/reader.ts";
import type { Samples, Stall } from "../tests/support/framebufferReader/reader.ts";
import { aCaller } from "../tests/support/hosts/callerClient.ts";
import type { TestCaller } from "../tests/support/hosts/callerClient.ts";
import { confine, startVirtualDisplay } from "../tests/support/virtualDisplay.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "600" },
    conditions: { type: "string", default: "quiet,operator,busy" },
    code: { type: "string", default: "frames" },
    write: { type: "string" },
    priority: { type: "string", default: "raised" },
    sleep: { type: "string", default: "never" },
    disk: { type: "string", default: "memory" },
    console: { type: "string", default: "own" },
    shot: { type: "string" },
    keep: { type: "boolean", default: false },
  },
});
const seconds = Number(values.seconds);
const code = z.enum(["onset", "frames"]).parse(values.code);
const conditionNames = z.array(z.enum(["quiet", "operator", "busy"])).parse(values.conditions.split(","));
type Condition = (typeof conditionNames)[number];

/** Free as far as anyone knows; a taken one ends the session's start with a sentence. */
const photodiodePort = 49_171;
/** An animal that never looks away, so that what is cut short was cut short by the display. */
const draft: SessionConfigInput = {
  seed: 5,
  rig: { kind: "synthetic", options: { photodiodePort, delayMs: 60, eye: { engagement: 1, breaksPerS: 0, blinksPerS: 0 } } },
  trial: { fixationWindowDeg: 5, graceMs: 300 },
  evolution: { generations: 1000, referencesPerGeneration: 8, tuningRepeats: 0, confirmRepeats: 0, threads: [{ target: 16 }] },
  display: { photodiodeCode: code },
};
const config = sessionConfig.parse(draft);

/** An image lit for another time than planned, or never: refreshes by the reader and by the session, and what its onset and end took to light. */
interface WrongImage {
  readonly presentationId: number;
  readonly refreshes: number | null;
  readonly refreshesInSession: number | null;
  readonly onsetLagMs: number | null;
  readonly offsetLagMs: number | null;
  readonly excluded: string | null;
  readonly onsetSource: string | null;
}

interface ConditionResult {
  readonly condition: Condition;
  readonly seconds: number;
  readonly refreshHz: number;
  /** Lag that the session measured before its first trial. */
  readonly calibration: { readonly lagMsMedian: number | null; readonly lagMsSd: number | null; readonly marks: number; readonly flashes: number };
  /** Images that the reader saw whole, and of those: */
  readonly images: number;
  readonly onsetLagMsMean: number;
  readonly onsetLagMsSd: number;
  readonly onsetLagMsP1: number;
  readonly onsetLagMsP99: number;
  /** Lit for another number of refreshes than planned. */
  readonly wrongDurations: number;
  /** Images while which the processor that draws stood still for over `stallMs` (null: nobody could watch), and the wrong ones of them. */
  readonly imagesInStalls: number | null;
  readonly wrongInStalls: number | null;
  /** Stalls per minute, and the longest, ms. */
  readonly stallsPerMin: number | null;
  readonly stallMsMax: number | null;
  /** Reported by the window and never lit. */
  readonly neverLit: number;
  /** Refreshes that were never seen, or seen twice, in all images. */
  readonly framesDropped: number;
  readonly framesRepeated: number;
  /** Of the wrong ones: the session knows (excluded, or stored with the number seen); excluded from the scores; not known. */
  readonly wrongInSession: number;
  readonly wrongExcluded: number;
  readonly wrongUnknown: number;
  readonly wrong: readonly WrongImage[];
  /** Images that the session does not count although the reader saw nothing wrong. */
  readonly falseAlarms: number;
  /** Images whose own pixels changed at another moment than the patch, by more than 2.5 ms. */
  readonly patchAndImageApart: number;
  /** Late by the window's own count of animation frames. */
  readonly lateFramesByWindow: number;
  readonly readerGapMsMax: number;
  /** The reader cost the X server nothing. */
  readonly readerInMemory: boolean;
}

/** A quarter of a refresh at 120 Hz. */
const stallMs = 2;
/** How often the framebuffer is read. */
const readsHz = 2000;
/** That which the threads of a frame share. The X server, which stands for hardware, is on it too, so that it costs no wake-up of another; the reader is not, so that it takes nothing from it. */
const processor = values.priority === "raised" ? frameProcessor() : null;
const allProcessors = cpus().map((_, i) => i);
const drawnOn = processor === null ? allProcessors : [processor];
const memoryFolder = "/dev/shm";

const readerProgram = unwrap(buildReader());
const watchProgram = unwrap(buildStallWatch());
const results: ConditionResult[] = [];
for (const condition of conditionNames) results.push(await measure(condition));
console.log(JSON.stringify({ bench: "displayTiming", seconds, code, conditions: results }));
const table = toTable(results);
console.log(`\n${table}`);
if (values.write !== undefined) writeTable(values.write, table);
process.exit(0);

async function measure(condition: Condition): Promise<ConditionResult> {
  const folder = mkdtempSync(join(values.disk === "memory" && existsSync(memoryFolder) ? memoryFolder : tmpdir(), "evoked-display-timing-"));
  const display = unwrap(await startVirtualDisplay({ second: condition === "operator" }));
  const served = unwrap(await serve({ host: "127.0.0.1", port: 0, allowRemote: false, sessions: folder }, () => undefined));
  const env = Object.fromEntries(Object.entries({ ...process.env, DISPLAY: display.name }).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])));
  const launch = (name: string, args: readonly string[]): Promise<BrowserContext> => chromium.launchPersistentContext(join(folder, name), {
    executablePath: process.env["EVOKED_TEST_BROWSER"] ?? "/usr/bin/chromium", headless: false, viewport: null, env, ignoreDefaultArgs: ["--enable-automation"],
    args: ["--no-first-run", "--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding", ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []), ...args],
  });
  // Without a window manager nothing else makes a window cover the screen (all but its last column and row).
  const context = await launch("profile", ["--kiosk", "--window-position=0,0", "--window-size=1920,1080"]);
  const operator = condition === "operator" && values.console === "own" ? await launch("operator", ["--window-position=1920,0", "--window-size=1900,1070"]) : null;
  const busy = condition === "busy" ? spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" }) : null;
  const link = await operate(served.operatorUrl);
  try {
    const stimulusUrl = served.operatorUrl.replace("127.0.0.1", "localhost").replace(/\/(index\.html)?(?=[?#]|$)/, "/stimulus.html");
    const stimulus = context.pages()[0] ?? (await context.newPage());
    await stimulus.goto(stimulusUrl);
    if (operator !== null) await (operator.pages()[0] ?? (await operator.newPage())).goto(served.operatorUrl);
    else if (condition === "operator") await openBeside(context, served.operatorUrl);
    const geometry = await attachedGeometry(link.caller, stimulus.evaluate(() => ({ widthPx: window.innerWidth, heightPx: window.innerHeight })));
    const placement = placementOf(config.display, { kind: "window", refreshHz: display.refreshHz, ...geometry });
    const samplesFile = join(folder, "samples.bin");
    const reader = startReader(readerProgram, {
      display: display.name, serverPid: display.serverPid, rateHz: readsHz, seconds: seconds + 120, file: samplesFile, port: photodiodePort,
      patch: { x: geometry.widthPx - Math.round(placement.photodiodePx / 2), y: geometry.heightPx - Math.round(placement.photodiodePx / 2) },
      // A quarter down the image: the fixation spot is in its middle.
      row: { x: Math.round(placement.centreXPx - placement.sizePx / 2), y: Math.round(placement.centreYPx - placement.sizePx / 4), width: placement.sizePx },
      background: config.display.backgroundGrey, levels: code === "onset" ? [0, 255] : [...patchGreys(false)],
    });
    if (values.priority === "raised") {
      console.error(await favourDrawing(join(folder, "profile")) ?? "expected the processes of the subject's screen, found none");
      if (processor !== null) {
        confine(display.serverPid, [processor]);
        confine(reader.pid, allProcessors.filter((other) => other !== processor));
      }
    }
    const watch = startStallWatch(watchProgram, join(folder, "stalls"), { overMs: stallMs, awake: values.sleep === "never" ? allProcessors : [] });
    const started = z.object({ file: z.string() }).parse(unwrap(await link.caller.call("session.start", { config })));
    if (values.shot !== undefined) {
      await wait(4000);
      spawn("import", ["-window", "root", "-display", display.name, values.shot], { stdio: "ignore" });
    }
    await wait(seconds * 1000);
    const offsetNs = await hostOffset(link.caller);
    unwrap(await link.caller.call("session.stop"));
    await phaseOver(link.caller);
    const samples = await reader.stop();
    const stalls = (await watch.stop())?.filter((stall) => drawnOn.includes(stall.processor)) ?? null;
    return evaluate(condition, started.file, samples, stalls, offsetNs);
  } finally {
    busy?.kill("SIGKILL");
    link.close();
    await operator?.close();
    await context.close();
    await served.close();
    await display.close();
    if (!values.keep) rmSync(folder, { recursive: true, force: true });
    else console.error(`kept ${folder}`);
  }
}

/** The operator's window on the second screen, in the browser of the subject's screen. */
async function openBeside(context: BrowserContext, url: string): Promise<void> {
  const browser = context.browser();
  if (browser === null) throw new Error("expected a browser behind the context");
  const opening = context.waitForEvent("page");
  const session = await browser.newBrowserCDPSession();
  const { targetId } = await session.send("Target.createTarget", { url: "about:blank", newWindow: true });
  const { windowId } = await session.send("Browser.getWindowForTarget", { targetId });
  await session.send("Browser.setWindowBounds", { windowId, bounds: { windowState: "normal" } });
  await session.send("Browser.setWindowBounds", { windowId, bounds: { left: 1920, top: 0, width: 1900, height: 1070 } });
  const page = await opening;
  await page.goto(url);
}

async function operate(url: string): Promise<{ readonly caller: TestCaller; close(): void }> {
  const address = new URL(url);
  const token = address.searchParams.get("token") ?? new URLSearchParams(address.hash.slice(1)).get("token") ?? "";
  const socket = new WebSocket(`ws://${address.host}/api?token=${token}&events=session`);
  const caller = aCaller((frame) => socket.send(JSON.stringify(frame)));
  socket.on("message", (data: Buffer) => caller.receive(JSON.parse(data.toString()) as EngineFrame));
  await new Promise((done, failed) => socket.once("open", done).once("error", failed));
  return { caller, close: () => socket.close() };
}

/** The window attaches when it has measured its refresh rate. */
async function attachedGeometry(caller: TestCaller, size: Promise<{ readonly widthPx: number; readonly heightPx: number }>): Promise<{ readonly widthPx: number; readonly heightPx: number }> {
  for (let tries = 0; tries < 300; tries++) {
    const checks = z.array(z.object({ id: z.string(), message: z.string() })).parse(unwrap(await caller.call("session.check", { config })));
    if (checks.some(({ id, message }) => id === "screen" && message.startsWith("Open"))) return await size;
    await wait(200);
  }
  throw new Error("expected the stimulus window to attach within a minute");
}

async function phaseOver(caller: TestCaller): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    const { phase } = z.object({ phase: z.string() }).parse(unwrap(await caller.call("session.snapshot")));
    if (phase === "finished" || phase === "failed") return;
    await wait(100);
  }
  throw new Error("expected the session to end within 30 s");
}

/** CLOCK_MONOTONIC less the engine's host time, ns: from the ping with the shortest way. */
async function hostOffset(caller: TestCaller): Promise<number> {
  let best = { tripNs: Number.POSITIVE_INFINITY, offsetNs: 0 };
  for (let i = 0; i < 100; i++) {
    const sent = process.hrtime.bigint();
    const { hostNs } = z.object({ hostNs: z.number() }).parse(unwrap(await caller.call("clock.ping")));
    const received = process.hrtime.bigint();
    const tripNs = Number(received - sent);
    if (tripNs < best.tripNs) best = { tripNs, offsetNs: Number(sent) + tripNs / 2 - hostNs };
    await wait(5);
  }
  return best.offsetNs;
}

/** What the reader saw, against what the session says. Times in ms on the engine's clock. */
function evaluate(condition: Condition, file: string, samples: Samples, stalls: readonly Stall[] | null, offsetNs: number): ConditionResult {
  const session = unwrap(openSession(file));
  try {
    const calibration = session.displayCalibrations()[0];
    const refreshHz = calibration?.refreshHz ?? 120;
    const periodMs = 1000 / refreshHz;
    const toHostMs = (atNs: number): number => (Number(samples.firstNs) + atNs - offsetNs) / 1e6;
    const seen = readImages(changesOf(samples, toHostMs), periodMs);
    const lit = litByPixels(samples, toHostMs);
    const stallsMs = (stalls ?? []).map(({ fromNs, toNs }) => ({ fromMs: (fromNs - offsetNs) / 1e6, toMs: (toNs - offsetNs) / 1e6 }));
    let imagesInStalls = 0;
    let wrongInStalls = 0;
    const stored = new Map(session.presentations().map((p) => [p.presentationId, p]));
    const wrong: WrongImage[] = [];
    const isWrong = (flip: FlipRecord, image: SeenImage | null): void => {
      const { excluded, onsetSource } = stored.get(flip.presentationId) ?? { excluded: null, onsetSource: null };
      if (excluded !== null) found.wrongExcluded += 1;
      if (excluded !== null || (image !== null && flip.framesSeen === image.frames)) found.wrongInSession += 1;
      else found.wrongUnknown += 1;
      wrong.push({
        presentationId: flip.presentationId, refreshes: image?.frames ?? null, refreshesInSession: flip.framesSeen, onsetLagMs: image === null ? null : image.onsetMs - flip.onsetHostNs / 1e6,
        offsetLagMs: image === null || image.offsetMs === null || flip.offsetHostNs === null ? null : image.offsetMs - flip.offsetHostNs / 1e6, excluded, onsetSource,
      });
    };
    const lags: number[] = [];
    const found = { wrongDurations: 0, neverLit: 0, framesDropped: 0, framesRepeated: 0, wrongInSession: 0, wrongExcluded: 0, wrongUnknown: 0, falseAlarms: 0, patchAndImageApart: 0, lateFramesByWindow: 0 };
    let images = 0;
    let next = 0;
    for (const flip of session.flips()) {
      // Cut short on purpose: the session was stopped, or the trial aborted.
      const because = stored.get(flip.presentationId)?.excluded ?? null;
      if (because === "stopped" || flip.framesShown < flip.framesPlanned) continue;
      found.lateFramesByWindow += flip.lateFrames;
      const flipMs = flip.onsetHostNs / 1e6;
      while (next < seen.length && (seen[next]?.onsetMs ?? 0) < flipMs - 10) next += 1;
      const image = seen[next];
      if (image === undefined || image.onsetMs > flipMs + 150) {
        found.neverLit += 1;
        isWrong(flip, null);
        continue;
      }
      next += 1;
      images += 1;
      lags.push(image.onsetMs - flipMs);
      found.framesDropped += image.dropped;
      found.framesRepeated += image.repeated;
      // From the frame before its onset was drawn until its end was on the screen.
      const stalled = stallsMs.some(({ fromMs, toMs }) => toMs > flipMs - periodMs && fromMs < flipMs + (flip.framesPlanned + 3) * periodMs);
      if (stalled) imagesInStalls += 1;
      if (!lit.some((at) => Math.abs(at - image.onsetMs) <= 2.5)) found.patchAndImageApart += 1;
      if (image.frames === flip.framesPlanned) {
        if (because !== null && because !== "fixationBroken") found.falseAlarms += 1;
        continue;
      }
      found.wrongDurations += 1;
      if (stalled) wrongInStalls += 1;
      isWrong(flip, image);
    }
    const sorted = Float64Array.from(lags).sort();
    const mean = lags.reduce((a, b) => a + b, 0) / lags.length;
    return {
      condition, seconds, refreshHz, images,
      calibration: { lagMsMedian: calibration?.lagMsMedian ?? null, lagMsSd: calibration?.lagMsSd ?? null, marks: calibration?.marks ?? 0, flashes: calibration?.flashes ?? 0 },
      onsetLagMsMean: mean, onsetLagMsSd: Math.sqrt(lags.reduce((sum, lag) => sum + (lag - mean) ** 2, 0) / Math.max(1, lags.length - 1)),
      onsetLagMsP1: sorted[Math.floor(0.01 * (sorted.length - 1))] ?? Number.NaN, onsetLagMsP99: sorted[Math.ceil(0.99 * (sorted.length - 1))] ?? Number.NaN,
      ...found, wrong, ...(stalls === null ? { imagesInStalls: null, wrongInStalls: null, stallsPerMin: null, stallMsMax: null } : { imagesInStalls, wrongInStalls, stallsPerMin: stalls.length / (seconds / 60), stallMsMax: stalls.reduce((most, { fromNs, toNs }) => Math.max(most, (toNs - fromNs) / 1e6), 0) }),
      readerGapMsMax: samples.longestGapMs, readerInMemory: samples.isFromMemory,
    };
  } finally {
    session.close();
  }
}

function changesOf(samples: Samples, toHostMs: (atNs: number) => number): LevelChange[] {
  const greys: readonly number[] = code === "onset" ? [0, 255] : patchGreys(false);
  const changes: LevelChange[] = [];
  let level = -1;
  for (let i = 0; i < samples.patch.length; i++) {
    const grey = samples.patch[i] ?? 0;
    let nearest = 0;
    for (let k = 1; k < greys.length; k++) if (Math.abs(grey - (greys[k] ?? 0)) < Math.abs(grey - (greys[nearest] ?? 0))) nearest = k;
    if (nearest === level) continue;
    level = nearest;
    changes.push({ atMs: toHostMs(samples.atNs[i] ?? 0), level: code === "onset" ? level * patchLevelMax : level });
  }
  return changes;
}

/** When the pixels at the image's place became another picture that is not the background, ms. */
function litByPixels(samples: Samples, toHostMs: (atNs: number) => number): number[] {
  const at: number[] = [];
  for (let i = 1; i < samples.hash.length; i++) if (samples.hash[i] !== samples.hash[i - 1] && (samples.difference[i] ?? 0) > 6) at.push(toHostMs(samples.atNs[i] ?? 0));
  return at;
}

function toTable(rows: readonly ConditionResult[]): string {
  const title: Record<Condition, string> = { quiet: "quiet", operator: "operator's window live", busy: "one core busy" };
  const ms = (value: number): string => (Number.isFinite(value) ? value.toFixed(2) : "-");
  return [
    "| | images | lag, ms | SD, ms | 1 to 99 %, ms | wrong durations | of them while the machine stood still | never lit | refreshes dropped / repeated | wrong and in the session file |",
    "|---|---|---|---|---|---|---|---|---|---|",
    ...rows.map((r) => `| Evoked, ${r.refreshHz.toFixed(0)} Hz, ${title[r.condition]}, ${r.seconds} s | ${r.images} | ${ms(r.onsetLagMsMean)} | ${ms(r.onsetLagMsSd)} | ${ms(r.onsetLagMsP1)} to ${ms(r.onsetLagMsP99)} | ${r.wrongDurations} | ${r.wrongInStalls === null ? "not known" : `${r.wrongInStalls} (of ${r.imagesInStalls} images; ${r.stallsPerMin?.toFixed(0)} stalls a minute, up to ${r.stallMsMax?.toFixed(0)} ms)`} | ${r.neverLit} | ${r.framesDropped} / ${r.framesRepeated} | ${r.wrongInSession} of ${r.wrongDurations + r.neverLit} |`),
    "| Psychtoolbox, 60 Hz, published | | 2.4 to 7.1 | 0.18 to 0.41 | | | | | | |",
    "| PsychoPy, 60 Hz, published | | 2.4 to 7.1 | 0.34 to 0.55 | | | | | | |",
    "| jsPsych in Chrome, published | | 3.6 | 5.1 | | | | | | |",
  ].join("\n");
}

/** Replaces what is between the two markers. */
function writeTable(file: string, text: string): void {
  const before = readFileSync(file, "utf8");
  const [begin, end] = ["<!-- displayTiming -->", "<!-- /displayTiming -->"];
  const [from, to] = [before.indexOf(begin), before.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`expected ${begin} and ${end} in ${file}`);
  writeFileSync(file, `${before.slice(0, from + begin.length)}\n${text}\n${before.slice(to)}`);
}

