// The stimulus window: has shown what the engine commands, refresh by refresh, and reports when it was due. One program at a time.
// Flip times are those of the frame that changed the screen; the display shows them a constant lag later, which the photodiode measures.
// Knows nothing about protocols, spikes or scores.
import "../csp.ts";
import "./stimulus.css";
import { findBridge } from "../bridge.ts";
import { connectWindow, tokenOf } from "../client.ts";
import { countLateFrames, createProgram, firstImageMs } from "./flashProgram.ts";
import { displayTimesOf } from "./displayTimes.ts";
import { addPing, toHostNs, unknownHostClock } from "./hostClock.ts";
import { createImageShelf } from "./imageShelf.ts";
import { estimateRefresh } from "./refreshRate.ts";
import { createScreen, type Placement, type Square } from "./screen.ts";
import { patchLevelMax, patchLevelOf } from "../../shared/patchCode.ts";
import type { FlashProgram, FrameReport, ProgramFlash } from "./flashProgram.ts";
import type { Phase, StimulusCommand, StimulusReport, WindowFacts } from "../../shared/contract/index.ts";

/** Ids of a session's images begin at 1. */
const testImageId = -1;
const measuredFrames = 60;
const measureMsMin = 1000;
const pingEveryMs = 3000;
/** Of a refresh: so long after a change the page looks. The compositor has handed on the frame by then, and the next one is not begun. */
const lookAfter = 0.4;
/** A refresh rate that moved this far is another display's (or another mode): measure and attach again. */
const refreshChange = 0.03;

const imageCanvas = document.querySelector<HTMLCanvasElement>("#image");
const nextCanvas = document.querySelector<HTMLCanvasElement>("#image-next");
const fixationCanvas = document.querySelector<HTMLCanvasElement>("#fixation");
const patch = document.querySelector<HTMLElement>("#patch");
const strip = document.querySelector<HTMLCanvasElement>("#strip");
const nextStrip = document.querySelector<HTMLCanvasElement>("#strip-next");
const hint = document.querySelector<HTMLElement>("#hint");
if (imageCanvas === null || nextCanvas === null || fixationCanvas === null || patch === null || strip === null || nextStrip === null || hint === null) throw new Error("expected the elements #image, #image-next, #fixation, #patch, #strip, #strip-next and #hint in stimulus.html");

const client = connectWindow(["stimulus", "session"]);
const screen = createScreen({ page: document.body, images: [imageCanvas, nextCanvas], fixation: fixationCanvas, patch, strips: [strip, nextStrip] });
// A frame of the link with an image in it would hold up a frame of the screen: in a browser the worker gets its pixels itself.
const shelf = createImageShelf({ source: findBridge() === null ? `/pixels?token=${tokenOf(window.location) ?? ""}` : null, fetch: (imageId) => client.call("stimulus.pixels", { imageId }) });

let linkUp = false;
let phase: Phase = "idle";
const sizes = new Map<number, number>();
let placement: Placement | null = null;
let fixation = false;
let program: FlashProgram | null = null;
let abortAsked = false;
let hostClock = unknownHostClock;
let periodMs: number | null = null;
let attachedHz: number | null = null;
let problem: string | null = null;
/** Frame times of the measurement in progress, then of the last second. */
let frameTimesMs: number[] = [];
let lastFrameMs = 0;
/** A frame has been asked for, and when it is due. */
let frameAsked = false;
let frameDueMs: number | null = null;
/** Until the page looks again: no frame has been asked for. */
let resting: ReturnType<typeof setTimeout> | null = null;
let frames = 0;
let lateFrames = 0;
let dirty = true;
/** The window changed size: the engine must place its images anew, after the program in progress. */
let resized = false;
let outbox: StimulusReport[] = [];
/** A display test under way: its frames and reports, which are none of a session's. */
let test: { readonly onFrames: number; readonly frameTimesMs: number[]; readonly reports: FrameReport[]; wasHidden: boolean } | null = null;

const noReports: readonly FrameReport[] = [];
/** Reports leave once the frame is painted: writing them down would hold it up. */
const afterFrame = new MessageChannel();
afterFrame.port1.onmessage = () => sendReports();

function onFrame(frameMs: number): void {
  const dueMs = frameDueMs;
  frameAsked = false;
  try {
    workOnFrame(frameMs, dueMs);
  } finally {
    goOn(frameMs);
  }
}

/** A frame that this page works in waits for it, and one that comes late pushes on those after it: none is asked for until it is needed. */
function goOn(frameMs: number): void {
  const changeMs = program === null || test !== null || abortAsked || dirty || periodMs === null ? null : program.restsUntilMs();
  if (changeMs === null || periodMs === null) return askForFrame(periodMs === null ? null : frameMs + periodMs);
  const lookMs = changeMs + lookAfter * periodMs;
  resting = setTimeout(() => {
    resting = null;
    lookAtChange(changeMs, lookMs);
  }, Math.max(0, lookMs - performance.now()));
}

/** `dueMs`: when it should come; null = at any time. */
function askForFrame(dueMs: number | null): void {
  if (resting !== null) clearTimeout(resting);
  resting = null;
  if (frameAsked) return;
  frameAsked = true;
  frameDueMs = dueMs;
  requestAnimationFrame(onFrame);
}

/** Something is to be done that cannot wait for the next change. */
function wake(): void {
  if (resting !== null) askForFrame(null);
}

/** The screen has changed without this page: it only says so, and works on no frame. */
function lookAtChange(changeMs: number, lookMs: number): void {
  if (program === null || periodMs === null) return askForFrame(null);
  const behind = Math.max(0, Math.round((performance.now() - lookMs) / periodMs));
  const atMs = changeMs + behind * periodMs;
  outbox.push(...program.advance(atMs, changeMs).map(inHostTime));
  if (program.isOver) endProgram();
  sendReports();
  goOn(atMs);
}

function workOnFrame(frameMs: number, dueMs: number | null): void {
  countFrame(frameMs, dueMs);
  const reports = program === null ? noReports : abortAsked ? program.abort(frameMs) : program.advance(frameMs, dueMs ?? frameMs);
  if (program?.isOver === true) endProgram();
  if (program === null) abortAsked = false;
  if (screen.fit()) {
    dirty = true;
    resized = true;
    // What was handed on is gone with the old size.
    if (program !== null) abortAsked = true;
  }
  if (resized && program === null) {
    resized = false;
    void measureAndAttach();
  }
  if (dirty) {
    screen.showFixation(fixation);
    dirty = false;
  }
  if (program !== null && !abortAsked) showNext(program, frameMs);
  if (test !== null) followTest(frameMs, reports);
  else for (const report of reports) outbox.push(inHostTime(report));
  if (outbox.length > 0) afterFrame.port2.postMessage(null);
}

function endProgram(): void {
  program = null;
  screen.blank();
}

/** Hands the next image on ahead of its time. */
function showNext(running: FlashProgram, frameMs: number): void {
  const next = running.prime(frameMs, performance.now());
  if (next === null || periodMs === null) return;
  const { flash, onsetMs } = next;
  const square = squareOf(flash);
  if (square === null) return;
  screen.schedule(shelf.get(flash.imageId) ?? null, square, { nowMs: frameMs, onsetMs, periodMs, patchLevels: Array.from({ length: Math.max(1, flash.onFrames) }, (_, k) => patchLevelAt(flash, k)) });
}

function startTest({ seconds, onFrames, offFrames }: Extract<StimulusCommand, { kind: "test" }>): void {
  if (program !== null || periodMs === null || document.hidden) {
    outbox.push({ kind: "tested", times: null });
    return sendReports();
  }
  shelf.put(testImageId, drawTestImage());
  const flashes = Array.from({ length: Math.max(1, Math.round((seconds * 1000) / periodMs / (onFrames + offFrames))) }, (_, i): ProgramFlash => ({ presentationId: -(i + 1), imageId: testImageId, onFrames, offFrames }));
  test = { onFrames, frameTimesMs: [], reports: [], wasHidden: false };
  abortAsked = false;
  program = createProgram({ trialId: 0, flashes, periodMs, startMs: firstImageMs(lastFrameMs, performance.now(), periodMs) });
  showHint();
}

function followTest(frameMs: number, reports: readonly FrameReport[]): void {
  if (test === null || periodMs === null) return;
  test.frameTimesMs.push(frameMs);
  test.reports.push(...reports);
  if (program !== null) return;
  outbox.push({ kind: "tested", times: displayTimesOf({ ...test, periodMs }) });
  test = null;
  shelf.release([testImageId]);
  showHint();
}

/** Checks of the size of an image: as much work to draw as one. */
function drawTestImage(): ImageBitmap {
  const side = 256;
  const offscreen = new OffscreenCanvas(side, side);
  const context = offscreen.getContext("2d");
  for (let i = 0; context !== null && i < 64; i++) {
    context.fillStyle = (i + (i >> 3)) % 2 === 0 ? "#202020" : "#e0e0e0";
    context.fillRect((i % 8) * 32, (i >> 3) * 32, 32, 32);
  }
  return offscreen.transferToImageBitmap();
}

function factsOfWindow(): WindowFacts {
  const pixelRatio = window.devicePixelRatio;
  return {
    pixelRatio, fullScreen: document.fullscreenElement !== null || matchMedia("(display-mode: fullscreen)").matches,
    screenWidthPx: Math.round(window.screen.width * pixelRatio), screenHeightPx: Math.round(window.screen.height * pixelRatio),
  };
}

/** Side of an image whose flash says nothing else, px: its own, or that of the placement. */
function sizeOf(imageId: number): number | null {
  return sizes.get(imageId) ?? placement?.sizePx ?? null;
}

function squareOf(flash: ProgramFlash): Square | null {
  if (flash.placement !== undefined && flash.placement !== null) return flash.placement;
  return placement === null || !sizes.has(flash.imageId) ? placement : { ...placement, sizePx: sizes.get(flash.imageId) ?? placement.sizePx };
}

/** With no blank after it, an image's last refresh is dark: the photodiode could not tell it from the next one otherwise. */
function patchLevelAt(flash: ProgramFlash, frame: number): number {
  const litFrames = flash.offFrames === 0 && flash.onFrames > 1 ? flash.onFrames - 1 : Math.max(1, flash.onFrames);
  if (frame >= litFrames) return 0;
  return placement?.photodiodeCode === "frames" ? patchLevelOf(flash.presentationId, frame, litFrames) : patchLevelMax;
}

function countFrame(frameMs: number, dueMs: number | null): void {
  lastFrameMs = frameMs;
  frames += 1;
  if (periodMs !== null && dueMs !== null && frameMs - dueMs < 1000) lateFrames += countLateFrames(frameMs - dueMs + periodMs, periodMs);
  // Between trials only: it costs more than a frame's worth of garbage, and in them not every frame is asked for.
  if (program !== null) {
    if (frameTimesMs.length > 0) frameTimesMs = [];
    return;
  }
  frameTimesMs.push(frameMs);
  if (frameTimesMs.length <= 4 * measuredFrames) return;
  frameTimesMs = frameTimesMs.slice(-2 * measuredFrames);
  const now = estimateRefresh(frameTimesMs);
  if (attachedHz !== null && now !== null && now.irregular < measuredFrames / 4 && Math.abs(now.refreshHz / attachedHz - 1) > refreshChange) void measureAndAttach();
}

function inHostTime(report: FrameReport): StimulusReport {
  switch (report.kind) {
    case "onset":
      return { kind: "onset", presentationId: report.presentationId, flipHostNs: toHostNs(hostClock, report.flipMs), plannedHostNs: toHostNs(hostClock, report.plannedMs) };
    case "offset":
      return { kind: "offset", presentationId: report.presentationId, flipHostNs: toHostNs(hostClock, report.flipMs), framesShown: report.framesShown, lateFrames: report.lateFrames };
    case "end":
      return { kind: "end", trialId: report.trialId, aborted: report.aborted, endHostNs: toHostNs(hostClock, report.endMs) };
  }
}

/** Everything that this frame gave rise to leaves in one message, at once. */
function sendReports(): void {
  if (outbox.length === 0) return;
  const reports = outbox;
  outbox = [];
  if (linkUp && attachedHz !== null) void client.call("stimulus.report", { reports });
}

function obey(command: StimulusCommand): void {
  switch (command.kind) {
    case "place": {
      const { kind: _, ...place } = command;
      placement = place;
      screen.place(place);
      dirty = true;
      return wake();
    }
    case "prepare":
      if (command.sizePx === null) sizes.delete(command.imageId);
      else sizes.set(command.imageId, command.sizePx);
      return shelf.prepare({ imageId: command.imageId, sizePx: sizeOf(command.imageId) }, (failure) => {
        if (failure !== null) return showProblem(failure);
        outbox.push({ kind: "prepared", imageId: command.imageId });
        // Between frames: the engine may be waiting for it; a hidden window has no frames at all.
        if (program === null) sendReports();
      });
    case "release":
      for (const imageId of command.imageIds) sizes.delete(imageId);
      return shelf.release(command.imageIds);
    case "fixation":
      fixation = command.visible;
      screen.moveFixation(command.xPx ?? 0, command.yPx ?? 0);
      dirty = true;
      return wake();
    case "run":
      return run(command);
    case "test":
      return startTest(command);
    case "abort":
      if (program?.trialId !== command.trialId) return;
      abortAsked = true;
      return wake();
  }
}

function run({ trialId, flashes }: Extract<StimulusCommand, { kind: "run" }>): void {
  if (program !== null) endNow();
  const missing = [...new Set(flashes.map((flash) => flash.imageId))].filter((imageId) => imageId !== 0 && shelf.get(imageId) === undefined);
  if (missing.length > 0) {
    outbox.push(...missing.map((imageId): StimulusReport => ({ kind: "missing", trialId, imageId })));
    return sendReports();
  }
  const nowMs = performance.now();
  if (document.hidden || periodMs === null || hostClock.offsetNs === null) {
    if (hostClock.offsetNs !== null) outbox.push({ kind: "end", trialId, aborted: true, endHostNs: toHostNs(hostClock, nowMs) });
    return sendReports();
  }
  abortAsked = false;
  program = createProgram({ trialId, flashes, periodMs, startMs: firstImageMs(lastFrameMs, nowMs, periodMs) });
}

/** Ends the program without waiting for a frame: there may be none. */
function endNow(): void {
  if (program === null) return;
  const reports = program.abort(performance.now());
  endProgram();
  abortAsked = false;
  if (test !== null) {
    test.wasHidden = document.hidden;
    followTest(lastFrameMs, reports);
  } else outbox.push(...reports.map(inHostTime));
  sendReports();
}

let measuring = false;

async function measureAndAttach(): Promise<void> {
  if (measuring || !linkUp) return;
  measuring = true;
  attachedHz = null;
  showHint();
  await measureClock(6);
  const estimate = await measureRefresh();
  measuring = false;
  if (!linkUp) return;
  periodMs = estimate.periodMs;
  const attached = await client.call("stimulus.attach", { widthPx: screen.widthPx, heightPx: screen.heightPx, refreshHz: estimate.refreshHz, window: factsOfWindow() });
  attachedHz = attached.ok ? estimate.refreshHz : null;
  showProblem(attached.ok ? null : attached.error.message);
}

/** Waits for about a second of frames; a window that is hidden gets none and waits until it is seen. */
function measureRefresh(): Promise<{ readonly periodMs: number; readonly refreshHz: number }> {
  frameTimesMs = [];
  return new Promise((resolve) => {
    const look = (): void => {
      const spanMs = (frameTimesMs.at(-1) ?? 0) - (frameTimesMs[0] ?? 0);
      const estimate = spanMs >= measureMsMin ? estimateRefresh(frameTimesMs) : null;
      if (estimate === null) setTimeout(look, 50);
      else resolve(estimate);
    };
    look();
  });
}

async function measureClock(pings: number): Promise<void> {
  for (let i = 0; i < pings && linkUp; i++) {
    const sentMs = performance.now();
    const answer = await client.call("clock.ping", {});
    const receivedMs = performance.now();
    if (answer.ok) hostClock = addPing(hostClock, { sentMs, receivedMs, hostNs: answer.value.hostNs });
  }
}

function showProblem(text: string | null): void {
  problem = text;
  showHint();
}

const sessionPhases: readonly Phase[] = ["starting", "running", "paused", "stopping"];

function showHint(): void {
  if (hint === null) return;
  hint.hidden = test !== null || (linkUp && problem === null && sessionPhases.includes(phase));
  const state = problem !== null ? problem : !linkUp ? "No link to the engine; trying again." : attachedHz === null ? "Measuring the refresh rate." : `${screen.widthPx} x ${screen.heightPx} px at ${attachedHz.toFixed(1)} Hz, ready.`;
  const key = document.createElement("kbd");
  key.textContent = "F";
  hint.replaceChildren(`Subject's screen. ${state} `, key, " full screen");
}

async function refreshPhase(): Promise<void> {
  const snapshot = await client.call("session.snapshot", {});
  if (snapshot.ok) setPhase(snapshot.value.phase);
}

function setPhase(next: Phase): void {
  // Image ids begin again with every session: nothing of the last one may be shown in the next.
  if (sessionPhases.includes(phase) && !sessionPhases.includes(next)) forgetSession();
  phase = next;
  showHint();
}

function forgetSession(): void {
  shelf.clear();
  fixation = false;
  dirty = true;
  wake();
}

client.onLink((up) => {
  linkUp = up;
  if (up) {
    hostClock = unknownHostClock;
    void refreshPhase();
    void measureAndAttach();
  } else {
    // The engine cannot count what is shown now: blank, and nothing to fixate.
    program = null;
    test = null;
    abortAsked = false;
    attachedHz = null;
    outbox = [];
    forgetSession();
    screen.blank();
    screen.showFixation(false);
  }
  showHint();
});
client.on("stimulus", obey);
client.on("session", (event) => setPhase(event.phase));

setInterval(() => {
  if (linkUp && attachedHz !== null) outbox.push({ kind: "alive", frames, lateFrames, visible: !document.hidden });
  if (program === null) sendReports();
}, 1000);
setInterval(() => {
  if (linkUp && program === null) void measureClock(4);
}, pingEveryMs);

document.addEventListener("visibilitychange", () => {
  if (document.hidden) endNow();
});
window.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() === "f" && !event.ctrlKey && !event.metaKey && !event.altKey) void toggleFullScreen();
});
document.body.addEventListener("click", () => {
  if (document.fullscreenElement === null) void toggleFullScreen();
});

async function toggleFullScreen(): Promise<void> {
  try {
    if (document.fullscreenElement === null) await document.documentElement.requestFullscreen({ navigationUI: "hide" });
    else await document.exitFullscreen();
  } catch (error) {
    showProblem(`The browser refused full screen (${String(error)}). Press F11 instead.`);
  }
}

/** The display must not go to sleep in front of the subject. Browsers give the lock up when the window is hidden. */
async function keepAwake(): Promise<void> {
  try {
    if (!document.hidden) await navigator.wakeLock.request("screen");
  } catch {
    // No such lock here: the operating system's own setting decides.
  }
}

document.addEventListener("visibilitychange", () => void keepAwake());
void keepAwake();
showHint();
askForFrame(null);
