// What a session in external task mode is made of: its settings as the loop needs them, and the display around the rig. Knows nothing about the loop.
import { codesOfBlock } from "../../shared/contract/index.ts";
import type { SessionConfig } from "../../shared/contract/index.ts";
import type { Clock } from "../../shared/ports.ts";
import { FaultError } from "../../shared/result.ts";
import { directionOf } from "../../shared/visualAngle.ts";
import { screenOf } from "../placement.ts";
import type { Rig } from "../rig.ts";
import { openBlockFolder } from "./blockFolder.ts";
import { createExternalDisplay } from "./externalDisplay.ts";
import type { ExternalDisplay } from "./externalDisplay.ts";

/** A folder that cannot be written is tried again. */
const retryMs = 2000;
/** An animal's pause is no fault: silence is an alarm, and a block is never given up by itself. */
const patienceMs = 24 * 3600 * 1000;

/**
 * Fixation, reward and trials are the other program's: a trial of the loop is a whole block, without a hold, a rest or juice of its own, and no codes go
 * out from here. The result is what the session file records. Throws a FaultError `externalTask` where the folder is missing.
 */
export function externalConfig(config: SessionConfig): SessionConfig {
  if (config.display.kind !== "external") return config;
  const { external } = config.display;
  if (external === null) throw new FaultError({ code: "externalTask", message: "Expected the folder that is agreed with the other program, got none. Name it: display.external.folder, or --external-task FOLDER." });
  const none = { kind: "none", options: {} };
  return {
    ...config,
    rig: { ...config.rig, eye: { ...none, calibration: null, blinkPadMs: 0 }, reward: { ...none, calibration: [], sessionMlMax: null, dayMlMax: null }, sync: null },
    trial: { ...config.trial, imagesPerTrial: Math.min(1000, codesOfBlock(external, 0).count), holdMs: 0, interTrialMs: 0, timeoutMs: retryMs, rewardMs: 0, rewardGrowMs: 0, breakAfterTrials: 0, displayTimeoutMs: patienceMs },
    response: { ...config.response, onsetFrom: "mark", onsetTtlLine: null, onsetWords: external.onset === "code" ? { first: external.firstCode, last: external.lastCode } : null },
  };
}

/** The display of a session in external task mode and the rig that it listens to; null in any other. */
export function openExternalTask({ config, rig, clock, sessionId }: { readonly config: SessionConfig; readonly rig: Rig; readonly clock: Clock; readonly sessionId: () => string }): { readonly display: ExternalDisplay; readonly rig: Rig } | null {
  const { kind, external, imageSizeDeg, centreXDeg, centreYDeg, backgroundGrey } = config.display;
  const degrees = (value: number): number => Math.round(value * 1000) / 1000;
  if (kind !== "external" || external === null) return null;
  const display: ExternalDisplay = createExternalDisplay({
    clock, settings: external, backgroundGrey,
    degreesOf(placement, sizePx) {
      const screen = screenOf(config.display, display.geometry());
      const at = placement === null ? { centreXDeg, centreYDeg, sizeDeg: imageSizeDeg } : directionOf(placement, screen);
      const sizeDeg = sizePx === null || placement !== null ? at.sizeDeg : directionOf({ centreXPx: screen.widthPx / 2, centreYPx: screen.heightPx / 2, sizePx }, screen).sizeDeg;
      return { sizeDeg: degrees(sizeDeg), centreXDeg: degrees(at.centreXDeg), centreYDeg: degrees(at.centreYDeg) };
    },
    folder: () => openBlockFolder(external.folder, sessionId()),
    decidedAfterMs: Math.max(config.trial.onMs, config.response.windowEndMs), map: () => rig.aligner.map(),
  });
  const { retina } = rig;
  return {
    display,
    // What the subject sees is told by the other program; a simulated one only gets to know the images.
    rig: { ...rig, source: display.around(rig.source), retina: retina === null ? null : { see: (imageId, image) => retina.see(imageId, image), lit: () => undefined } },
  };
}
