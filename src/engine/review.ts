// A recorded session as the console shows it: the same snapshot as a live one, read from the file. Knows nothing about SQL or windows.
import type { ChannelLive, PlanState, SessionConfig, StepState, GalleryItem, LogEntry, PresentationEvent, SessionSummary, Snapshot } from "../shared/contract/index.ts";
import { z } from "zod";
import { sessionConfig, stepsOf } from "../shared/contract/index.ts";
import type { SessionList, SessionReader } from "../session/reader.ts";
import { isLogLine } from "../shared/records.ts";
import type { Fault, Result } from "../shared/result.ts";
import { fitRewardFlow, rewardMl } from "../shared/rewardFlow.ts";
import { nsPerMs } from "../shared/units.ts";
import { endedData, pastAt } from "./resume.ts";
import { gridOf } from "./telemetry.ts";

export function toSummary(listed: Result<SessionList, Fault>, recordingFile: string | null): readonly SessionSummary[] {
  if (!listed.ok) return [];
  const read = listed.value.sessions.map((s): SessionSummary => ({
    file: s.file, id: s.id, subject: s.subjectId, startedUtc: s.startedUtc, durationS: s.durationS, rig: s.rig, protocol: s.protocol, generations: s.generations, presentations: s.presentations,
    target: s.target ?? "", evolvedLast: s.evolvedMean, referenceLast: s.referenceMean, state: s.file === recordingFile ? "recording" : s.state,
    thumbnailImageId: s.thumbnailImageId, sizeBytes: s.sizeBytes, problem: null,
  }));
  const broken = listed.value.broken.map((b): SessionSummary => ({
    file: b.file, id: "", subject: "", startedUtc: "", durationS: 0, rig: "", protocol: "", generations: 0, presentations: 0, target: "", evolvedLast: null, referenceLast: null,
    state: "unreadable", thumbnailImageId: null, sizeBytes: 0, problem: b.fault.message,
  }));
  return [...read.sort((a, b) => b.startedUtc.localeCompare(a.startedUtc)), ...broken];
}

export function reviewSnapshot(reader: SessionReader): Snapshot {
  const info = reader.info();
  const config = sessionConfig.parse(JSON.parse(info.configJson));
  const channels = reader.channels();
  const generations = reader.generations();
  const trials = reader.trials();
  const rewards = reader.rewards().filter((r) => r.delivered);
  const presentations = reader.presentations();
  const events = reader.events().filter((e) => e.category !== "input");
  const summary = reader.summary();
  const ended = reader.steps().filter((s) => s.state !== "begun").map(endedData);
  const startNs = presentations[0]?.hostNs ?? 0;
  const flow = fitRewardFlow(config.rig.reward?.calibration ?? []);
  const totalMs = rewards.reduce((sum, r) => sum + r.pulseMs, 0);
  const count = (outcome: string): number => trials.filter((t) => t.outcome === outcome).length;
  const models = reader.models();
  const targets = [...new Map(generations.map((g) => [g.thread, g.targetChannel])).values()];
  return {
    phase: "review",
    session: {
      id: info.id, file: reader.file, subject: info.subject.id, startedUtc: info.startedUtc, seed: Number(info.seed), rig: info.rig,
      generator: models.find((m) => m.role === "generator")?.id ?? "", optimizer: generations[0]?.optimizer ?? "", provider: models[0]?.provider ?? "",
    },
    channels: gridOf(channels),
    response: { windowStartMs: config.response.windowStartMs, windowEndMs: config.response.windowEndMs, onMs: config.trial.onMs, offMs: config.trial.offMs, fixationWindowDeg: config.trial.fixationWindowDeg },
    live: {
      phase: "review",
      progress: {
        generation: generations.length, generations: generations[0]?.optimizer === "imported" ? new Set(generations.map((g) => g.generation)).size : stepsOf(config).reduce((n, step) => n + (step.protocol === "evolution" ? step.generations : 0), 0), imageInBlock: 0, imagesInBlock: 0, presentations: presentations.length,
        excluded: presentations.filter((p) => p.excluded !== null).length, elapsedMs: summary.durationS * 1000, remainingMs: null,
      },
      trials: {
        correct: count("correct"), broken: count("brokeFixation"), noFixation: count("noFixation"), other: count("stopped") + count("displayFault"),
        recent: trials.slice(-40).map((t) => t.outcome),
      },
      reward: { pulses: rewards.length, manualPulses: rewards.filter((r) => r.cause === "manual").length, totalMs, totalMl: rewards.reduce((sum, r) => sum + rewardMl(r.pulseMs, flow, config.trial.rewardMlPerS), 0), pulseMs: config.trial.rewardMs },
      channels: channelFigures(reader, channels.length, presentations, summary.durationS),
      devices: [],
      alarms: [],
      targets,
      trialState: "stopped", breakLeftMs: null,
      plan: reviewPlan(reader, config),
    },
    curve: generations.map((g) => ({
      thread: g.thread, generation: g.generation, evolvedMean: zero(g.evolvedMean), evolvedSem: zero(g.evolvedSem), evolvedBest: zero(Math.max(...[...g.scores].filter((s) => !Number.isNaN(s)))),
      evolvedCount: g.scores.length - g.missing, referenceMean: orNull(g.referenceMean), referenceSem: orNull(g.referenceSem), referenceCount: referencesOf(config),
      stepSize: zero(g.stepSize), missing: g.missing,
    })),
    gallery: generations.flatMap((g): GalleryItem[] => {
      if (g.bestImageId === null) return [];
      const rateHz = zero(Math.max(...[...g.scores].filter((s) => !Number.isNaN(s))));
      return [{ thread: g.thread, generation: g.generation, imageId: g.bestImageId, role: "best", rateHz, label: `${rateHz.toFixed(0)} spikes/s` }];
    }),
    log: events.filter(isLogLine).slice(-500).map((e, i): LogEntry => ({ id: i + 1, atMs: Math.max(0, (e.hostNs - startNs) / nsPerMs), severity: e.severity, code: e.code, message: e.message })),
    views: ended.flatMap((e) => (e.view === null ? [] : [e.view])),
    stepReports: ended.map((e) => e.report),
    reports: events.flatMap((e) => (e.code === "report" ? [reportOf(e.dataJson)] : [])),
    timing: null, agesMs: null,
    failure: summary.state === "interrupted" ? "This session was interrupted: everything up to the interruption is here." : null,
  };
}

function referencesOf(config: SessionConfig): number {
  const evolution = stepsOf(config).find((step) => step.protocol === "evolution");
  return evolution === undefined ? 0 : evolution.referencesPerGeneration * evolution.repeats;
}

/** The steps as they stand in the file. */
function reviewPlan(reader: SessionReader, config: SessionConfig): PlanState {
  const past = pastAt(reader, Number.POSITIVE_INFINITY);
  const setups = past.point.plan ?? stepsOf(config).map((settings) => ({ settings }));
  const shown = Map.groupBy(reader.presentations(), (p) => p.step ?? 0);
  const begun = new Map(reader.steps().map((s) => [s.step, s]));
  const { field, target } = past.point.carried;
  return {
    steps: setups.map(({ settings }, index): StepState => {
      const ended = past.point.ended.find((e) => e.step === index);
      const settled = shown.get(index)?.filter((p) => p.excluded === null).length ?? 0;
      return {
        index, protocol: settings.protocol, title: begun.get(index)?.title ?? (settings.title === "" ? settings.protocol : settings.title), state: ended?.state ?? (index === past.point.current ? "running" : "waiting"),
        planned: settled, settled, message: ended?.message ?? "", needs: null,
      };
    }),
    current: past.point.current, carried: { field, target: target === null ? null : { channel: target.channel, fromStep: target.fromStep } }, queuedImages: 0,
  };
}

function channelFigures(reader: SessionReader, count: number, presentations: ReturnType<SessionReader["presentations"]>, durationS: number): ChannelLive {
  const evoked = new Array<number>(count).fill(0);
  let n = 0;
  for (const p of presentations) {
    if (p.excluded !== null || p.counts === null) continue;
    n += 1;
    const windowS = (p.windowEndMs - p.windowStartMs) / 1000;
    for (let c = 0; c < count; c++) evoked[c] = (evoked[c] ?? 0) + (p.counts[c] ?? 0) / windowS;
  }
  const spikes = reader.spikeCounts();
  return {
    rateHz: Array.from({ length: count }, (_, c) => (durationS > 0 ? (spikes[c] ?? 0) / durationS : 0)),
    evokedHz: evoked.map((v) => (n > 0 ? v / n : 0)),
    tuning: new Array<number>(count).fill(0),
    status: Array.from({ length: count }, (_, c) => ((spikes[c] ?? 0) === 0 ? "silent" : "ok")),
  };
}

export function recordedResponses(reader: SessionReader, { channel, generation, last }: { readonly channel: number; readonly generation: number | null; readonly last: number }): readonly PresentationEvent[] {
  const images = new Map(reader.images().map((i) => [i.imageId, i]));
  const presentations = reader.presentations(generation === null ? {} : { generation }).filter((p) => p.excluded === null && p.onsetRigNs !== null).slice(-last);
  const rows = new Map(reader.raster({ channel, fromMs: -50, toMs: 250, presentations }).map((r) => [r.presentationId, r]));
  return presentations.map((p): PresentationEvent => {
    const windowS = (p.windowEndMs - p.windowStartMs) / 1000;
    const image = images.get(p.imageId);
    return {
      presentationId: p.presentationId, imageId: p.imageId, thread: p.thread, kind: image?.imageKind ?? "free", generation: p.generation, channel,
      spikesMs: [...(rows.get(p.presentationId)?.timesMs ?? [])], rateHz: p.counts === null ? null : (p.counts[channel] ?? 0) / windowS, excluded: null, onsetSource: p.onsetSource,
    };
  });
}

export function recordedGeneration(reader: SessionReader, thread: number, generation: number): readonly GalleryItem[] {
  const record = reader.generations().find((g) => g.thread === thread && g.generation === generation);
  const images = reader.images({ thread, generation }).filter((i) => i.imageKind === "evolved");
  return images
    .map((i) => ({ imageId: i.imageId, rateHz: record?.scores[i.individual ?? -1] ?? Number.NaN }))
    .filter((i) => !Number.isNaN(i.rateHz))
    .sort((a, b) => b.rateHz - a.rateHz || a.imageId - b.imageId)
    .map((i): GalleryItem => ({ thread, generation, imageId: i.imageId, role: "newest", rateHz: i.rateHz, label: `${i.rateHz.toFixed(0)} spikes/s` }));
}

const recordedReport = z.object({ thread: z.number(), report: z.object({ verdict: z.enum(["rose", "unclear", "endedBelowStart", "noData"]), sentences: z.array(z.string()) }) });

function reportOf(dataJson: string): Snapshot["reports"][number] {
  const { thread, report } = recordedReport.parse(JSON.parse(dataJson));
  return { thread, ...report };
}

function zero(value: number): number {
  return Number.isFinite(value) ? value : 0;
}

function orNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
