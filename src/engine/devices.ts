// The rig panel: everything that can fail, with one figure and its age. Knows nothing about how it is drawn.
import { describeDelivery } from "../acquisition/delivery.ts";
import type { Device, Level } from "../shared/contract/index.ts";
import type { LoopStatus } from "../loop/loopTypes.ts";
import { nsPerMs } from "../shared/units.ts";
import type { EventCodes } from "../shared/ports.ts";
import type { HostTimeNs } from "../shared/units.ts";
import type { Rig } from "./rig.ts";
import type { LiveSession } from "./liveSession.ts";
import { ageMs } from "./telemetry.ts";
import type { WindowDisplay } from "./windowDisplay.ts";

const staleMs = 1000;
/** Half a refresh of a 60 Hz display: gaze and flips without marks are placed no better than this. */
const uncertainMs = 8;
const externalWarnings = ["externalUnknown", "externalMissing", "externalRepeated", "externalNoOff"] as const;

export function describeDevices({ session, now, screen }: { readonly session: LiveSession; readonly now: HostTimeNs; readonly screen: WindowDisplay | null }): readonly Device[] {
  const { loop, rig, store } = session;
  const source = rig.source.status();
  const status = loop.status;
  const alarmed = (code: string): boolean => loop.alarms.active.some((a) => a.code === code);
  const age = ageMs(now, source.newestHostNs);
  const perSecond = loop.channels.rates().reduce((a, b) => a + b, 0);
  const lag = status.lagMs;
  const shown = status.presentations;
  const stored = store.status();
  const isExternal = session.display.geometry().kind === "external";
  const devices: Device[] = [
    {
      id: "spikes", label: `Spikes · ${rig.title}`,
      level: !source.connected || alarmed("streamStale") ? "fault" : source.packetsLost > 0 || source.malformedPackets > 0 || (age ?? 0) > staleMs ? "warn" : "ok",
      value: `${Math.round(perSecond).toLocaleString("en")} spikes/s`,
      detail: [...(source.packetsLost > 0 ? [`${source.packetsLost} packets lost`] : []), ...(status.lateSpikes > 0 ? [`${status.lateSpikes.toLocaleString("en")} spikes came late`] : []), describeDelivery(rig.delivery()), source.address].filter((t) => t !== "").join(", "), ageMs: age,
    },
    {
      id: "onset", label: "Onset marks", level: alarmed("noOnsetMark") || alarmed("doubledMark") ? "warn" : lag.n > 0 ? "ok" : "off",
      value: lag.n > 0 ? `${status.matchedMarks} of ${status.matchedMarks + status.unmatchedMarks}` : "by the display",
      detail: lag.n > 0 ? `lag ${lag.mean.toFixed(1)} ms, SD ${lag.sd.toFixed(1)} ms` : "no photodiode mark seen", ageMs: null,
    },
    {
      id: "frames", label: "Frames", level: screen !== null && screen.attachedCaller === null ? "fault" : status.lateFrames + status.wrongDurations > 0 || alarmed("displayLag") || alarmed("displayLagChanged") ? "warn" : "ok",
      value: screen === null ? `${shown} images` : `${screen.frames.late} late of ${screen.frames.total.toLocaleString("en")}`,
      detail: screen === null ? "no screen: timed by the engine" : describeFrames(status),
      ageMs: screen?.frames.aliveHostNs === null || screen === null ? null : Math.max(0, (now - screen.frames.aliveHostNs) / nsPerMs),
      ...(isExternal ? { label: "Other program", level: alarmed("externalSilent") || alarmed("externalFolder") ? "fault" as const : externalWarnings.some(alarmed) ? "warn" as const : "ok" as const, detail: "shows the images; its codes say when" } : {}),
    },
    describeClock(rig),
    {
      id: "eye", label: "Eye", level: rig.eye === null ? "off" : (rig.eye.status?.().problem ?? null) !== null || alarmed("eyeLost") ? "fault" : "ok",
      value: rig.eye === null ? "free viewing" : status.holdFraction === null ? "no data" : `${Math.round(status.holdFraction * 100)} % in window`,
      detail: rig.eye === null ? "" : [rig.eye.name, rig.eye.status?.().detail ?? ""].filter((t) => t !== "").join(", "), ageMs: ageMs(now, rig.eye?.status?.().newestHostNs ?? null),
    },
    {
      id: "reward", label: "Reward line", level: rig.reward === null ? "off" : alarmed("reward") ? "fault" : alarmed("rewardLimit") ? "warn" : "ok", value: rig.reward === null ? "none" : alarmed("reward") ? "not answering" : alarmed("rewardLimit") ? "at its limit" : "ready",
      detail: rig.reward === null ? "" : [rig.reward.name, rig.reward.status?.().detail ?? ""].filter((t) => t !== "").join(", "), ageMs: ageMs(now, rig.reward?.status?.().newestHostNs ?? null),
    },
    ...(rig.sync === null ? [] : [describeSync(rig.sync, now)]),
    {
      id: "recording", label: "Recording", level: stored.failure !== null ? "fault" : storeLevel(stored.diskLevel, stored.queuedRecords), value: `${(stored.sizeBytes / 1e6).toFixed(1)} MB`,
      detail: `queue ${stored.queuedRecords}${stored.minutesLeft === null ? "" : `, disk for ${duration(stored.minutesLeft)}`}`, ageMs: null,
    },
  ];
  return devices;
}

/** How well the two clocks are known to each other: what every onset and every gaze sample without a mark rests on. */
function describeClock(rig: Rig): Device {
  const map = rig.aligner.map();
  const { basis, marks, arrivals, outlierMarks, jumpsMs } = rig.aligner.status();
  const jumps = jumpsMs.length === 0 ? "" : `, ${jumpsMs.length} ${jumpsMs.length === 1 ? "jump" : "jumps"}, the last by ${(jumpsMs.at(-1) ?? 0).toFixed(0)} ms`;
  return {
    id: "clock", label: "Clocks", level: map === null ? "off" : jumpsMs.length > 0 || map.uncertaintyMs > uncertainMs ? "warn" : "ok",
    value: map === null ? "not yet known" : `±${map.uncertaintyMs < 0.1 ? map.uncertaintyMs.toFixed(2) : map.uncertaintyMs.toFixed(1)} ms`,
    detail: map === null ? "" : `drift ${map.driftPpm.toFixed(1)} ppm, by ${basis === "marks" ? `${marks} marks (${outlierMarks} without weight)` : `${arrivals} arrivals`}${jumps}`, ageMs: null,
  };
}

function describeSync(sync: EventCodes, now: HostTimeNs): Device {
  const { problem, detail, newestHostNs, connected } = sync.status();
  return { id: "sync", label: "Event codes", level: problem !== null ? "fault" : connected ? "ok" : "warn", value: problem !== null ? "not going out" : connected ? "going out" : "waiting", detail: problem ?? (detail === "" ? sync.name : detail), ageMs: ageMs(now, newestHostNs) };
}

/** What the window counted while images were on, and what the photodiode saw beside it. */
function describeFrames({ lateFrames, wrongDurations, framesDropped, framesRepeated, calibration }: LoopStatus): string {
  const parts = [`${lateFrames} late in images`];
  if (calibration !== null && calibration.durationsSeen > 0) parts.push(`${wrongDurations} wrong by the photodiode`);
  if (calibration?.photodiodeCode === "frames" && calibration.marks > 0) parts.push(`${framesDropped} dropped, ${framesRepeated} repeated`);
  if (calibration !== null) parts.push(`${calibration.refreshHz.toFixed(1)} Hz`);
  return parts.join(", ");
}

function storeLevel(disk: string, queued: number): Level {
  if (disk === "stop") return "fault";
  return disk === "low" || queued > 5000 ? "warn" : "ok";
}

function duration(minutes: number): string {
  return minutes > 600 ? `${Math.round(minutes / 60).toLocaleString("en")} h` : `${Math.round(minutes)} min`;
}
