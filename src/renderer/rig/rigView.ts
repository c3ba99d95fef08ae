// The rig form as data: what changes when a device is chosen, what a profile holds, what text fields of lists mean. Pure.
import type { ChannelsConfig, DeviceChoice, RewardWeighing, RigConfig, RigProfile, RigState, SessionConfig } from "../../shared/contract/index.ts";

/** The rig's own device, none, or one by kind: how the choice reads in the form. */
export const ownDevice = "";

export function chooseEye(rig: RigConfig, kind: string): RigConfig {
  return { ...rig, eye: kind === ownDevice ? null : { blinkPadMs: 20, calibration: null, ...(rig.eye?.kind === kind ? rig.eye : { kind, options: {} }) } };
}

export function chooseReward(rig: RigConfig, kind: string): RigConfig {
  // What was weighed and the limits belong to the valve and the subject, not to the kind of line.
  return { ...rig, reward: kind === ownDevice ? null : { calibration: rig.reward?.calibration ?? [], sessionMlMax: rig.reward?.sessionMlMax ?? null, dayMlMax: rig.reward?.dayMlMax ?? null, kind, options: rig.reward?.kind === kind ? rig.reward.options : {} } };
}

export function chooseSync(rig: RigConfig, kind: string): RigConfig {
  return { ...rig, sync: kind === ownDevice ? null : { checkWords: rig.sync?.checkWords ?? false, kind, options: rig.sync?.kind === kind ? rig.sync.options : {} } };
}

export function withDeviceOption<D extends DeviceChoice>(device: D, name: string, value: unknown): D {
  const rest = Object.fromEntries(Object.entries(device.options).filter(([n]) => n !== name));
  return { ...device, options: value === null ? rest : { ...rest, [name]: value } };
}

export function profileOf(name: string, notes: string, rig: RigConfig, session: SessionConfig): RigProfile {
  return { schema: "evoked.rigProfile", version: 1, name, notes, rig: { ...rig, profile: name }, onset: { onsetFrom: session.response.onsetFrom, onsetTtlLine: session.response.onsetTtlLine } };
}

/** "V4-3:1 + V4-4:1" lines, "pair = V4-3 + V4-4" with a name of its own. */
export function mergesFromText(text: string): ChannelsConfig["merges"] {
  return text.split("\n").map((line) => line.trim()).filter((line) => line !== "").map((line) => {
    const [name, list] = line.includes("=") ? [line.slice(0, line.indexOf("=")).trim(), line.slice(line.indexOf("=") + 1)] : ["", line];
    const members = list.split("+").map((m) => m.trim()).filter((m) => m !== "");
    return { name: name === "" ? members.join(" + ") : name, members };
  }).filter((m) => m.members.length > 0);
}

export function mergesToText(merges: ChannelsConfig["merges"]): string {
  return merges.map((m) => (m.name === m.members.join(" + ") ? m.name : `${m.name} = ${m.members.join(" + ")}`)).join("\n");
}

/** Of plain data, in the same order. */
export function sameList(a: readonly unknown[], b: readonly unknown[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

export function unitsFromText(text: string): string[] {
  return text.split(/[\s,;]+/).map((t) => t.trim()).filter((t) => t !== "");
}

export function withWeighing(weighings: readonly RewardWeighing[], index: number, change: Partial<RewardWeighing>): RewardWeighing[] {
  return weighings.map((w, i) => (i === index ? { ...w, ...change } : w));
}

/** Channels that need a look first, then as the source has them. */
export function channelsToShow(state: RigState): RigState["channels"] {
  const order = { lost: 0, fell: 1, rose: 2, new: 3, silent: 4, ok: 5 } as const;
  return state.channels.toSorted((a, b) => order[a.state] - order[b.state]);
}

/** What has become of the channels since the last session, in a few words; "" before there is anything to compare with. */
export function ratesWords({ channels, comparedWith }: Pick<RigState, "channels" | "comparedWith">): string {
  if (comparedWith === null || channels.length === 0) return "";
  const parts = [["lost", "fell silent"], ["fell", "fell"], ["rose", "rose"], ["new", "fire anew"], ["silent", "silent as before"]] as const;
  const said = parts.flatMap(([state, words]) => {
    const count = channels.filter((c) => c.state === state).length;
    return count === 0 ? [] : [`${count} ${words}`];
  });
  const same = channels.filter((c) => c.state === "ok").length;
  return [...said, `${same} as before`].join(" · ");
}

export function calibrationWords(state: RigState): string {
  const { gaze, calibration } = state;
  if (!gaze.canCalibrate) return "This eye gives degrees by itself.";
  if (calibration === null) return gaze.isCalibrated ? "Calibrated. Repeat it when the head or the tracker has moved." : "Not calibrated: gaze is in the tracker's own units.";
  return calibration.message;
}
