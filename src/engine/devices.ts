// The rig panel: everything that can fail, with one figure and its age. Knows nothing about how it is drawn.
import type { Device, Level } from "../shared/contract/index.ts";
import { nsPerMs } from "../shared/units.ts";
import type { HostTimeNs } from "../shared/units.ts";
import type { LiveSession } from "./liveSession.ts";
import { ageMs } from "./telemetry.ts";
import type { WindowDisplay } from "./windowDisplay.ts";

const staleMs = 1000;

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
  const devices: Device[] = [
    {
      id: "spikes", label: `Spikes · ${rig.title}`,
      level: !source.connected || alarmed("streamStale") ? "fault" : source.packetsLost > 0 || source.malformedPackets > 0 || (age ?? 0) > staleMs ? "warn" : "ok",
      value: `${Math.round(perSecond).toLocaleString("en")} spikes/s`,
      detail: source.packetsLost > 0 ? `${source.packetsLost} packets lost` : source.address, ageMs: age,
    },
    {
      id: "onset", label: "Onset marks", level: alarmed("noOnsetMark") || alarmed("doubledMark") ? "warn" : lag.n > 0 ? "ok" : "off",
      value: lag.n > 0 ? `${status.matchedMarks} of ${status.matchedMarks + status.unmatchedMarks}` : "by the display",
      detail: lag.n > 0 ? `lag ${lag.mean.toFixed(1)} ms, SD ${lag.sd.toFixed(1)} ms` : "no photodiode mark seen", ageMs: null,
    },
    {
      id: "frames", label: "Frames", level: screen !== null && screen.attachedCaller === null ? "fault" : status.lateFrames > 0 ? "warn" : "ok",
      value: screen === null ? `${shown} images` : `${screen.frames.late} late of ${screen.frames.total.toLocaleString("en")}`,
      detail: screen === null ? "no screen: timed by the engine" : `${status.lateFrames} while an image was on`,
      ageMs: screen?.frames.aliveHostNs === null || screen === null ? null : Math.max(0, (now - screen.frames.aliveHostNs) / nsPerMs),
    },
    {
      id: "eye", label: "Eye", level: rig.eye === null ? "off" : "ok", value: rig.eye === null ? "free viewing" : status.holdFraction === null ? "no data" : `${Math.round(status.holdFraction * 100)} % in window`,
      detail: rig.eye?.name ?? "", ageMs: null,
    },
    {
      id: "reward", label: "Reward line", level: rig.reward === null ? "off" : alarmed("reward") ? "fault" : "ok", value: rig.reward === null ? "none" : alarmed("reward") ? "not answering" : "ready",
      detail: rig.reward?.name ?? "", ageMs: null,
    },
    {
      id: "recording", label: "Recording", level: stored.failure !== null ? "fault" : storeLevel(stored.diskLevel, stored.queuedRecords), value: `${(stored.sizeBytes / 1e6).toFixed(1)} MB`,
      detail: `queue ${stored.queuedRecords}${stored.minutesLeft === null ? "" : `, disk for ${duration(stored.minutesLeft)}`}`, ageMs: null,
    },
  ];
  return devices;
}

function storeLevel(disk: string, queued: number): Level {
  if (disk === "stop") return "fault";
  return disk === "low" || queued > 5000 ? "warn" : "ok";
}

function duration(minutes: number): string {
  return minutes > 600 ? `${Math.round(minutes / 60).toLocaleString("en")} h` : `${Math.round(minutes)} min`;
}
