// Conditions that no single report tells: the eye is not seen, marks have stopped, images fail by late frames, the writer falls behind, the disk fills. Fed with what
// happens, asked ten times a second; says which alarm begins and which is over, once each. Knows nothing about windows, files or the loop.

export interface WatchAlarm {
  readonly code: "eyeLost" | "syncLost" | "framesDropped" | "queue" | "disk";
  readonly severity: "warn" | "fault";
  readonly message: string;
}

export interface WatchVerdict {
  readonly begun: readonly WatchAlarm[];
  readonly over: readonly { readonly code: WatchAlarm["code"]; readonly message: string }[];
}

/** How a presentation was decided, as far as these conditions go. */
export type WatchedOutcome = "counted" | "noOnsetMark" | "lateFrame" | "other";

export interface Watch {
  eye(sample: { readonly valid: boolean; readonly atMs: number }): void;
  presentation(outcome: WatchedOutcome): void;
  ask(now: { readonly atMs: number; readonly hasEye: boolean; readonly queuedRecords: number; /** Since the file was opened; with the queue it tells how old what waits is. */ readonly committedRecords?: number; /** Left out: the disk is not looked at. */ readonly disk?: { readonly isLow: boolean; readonly minutesLeft: number | null } }): WatchVerdict;
}

/** A blink lasts 0.1 to 0.4 s; nobody keeps the eyes closed this long in a trial. */
const eyeLostAfterMs = 2000;
/** Images in a row without an onset mark. */
const unmarkedMax = 5;
/** Of the last images. */
const lateWindow = 50;
const lateShareMax = 0.1;
const lateShareOver = 0.04;
/** Records that wait to be written; two seconds of a 96-channel session are some hundreds. */
const queueMax = 20_000;
const queueOver = 2000;
/** How long a record may wait: a commit takes milliseconds, a slow one some hundred. */
const behindMsMax = 5000;

export function createWatch(): Watch {
  const active = new Set<WatchAlarm["code"]>();
  let eyeSeenMs: number | null = null;
  let eyeHeardMs: number | null = null;
  let unmarked = 0;
  let recent: boolean[] = [];
  /** What had been handed to the writer by when, as far as it is not written yet. */
  let handed: { readonly atMs: number; readonly records: number }[] = [];

  return {
    eye({ valid, atMs }) {
      eyeHeardMs = atMs;
      eyeSeenMs = valid ? atMs : (eyeSeenMs ?? atMs);
    },
    presentation(outcome) {
      unmarked = outcome === "noOnsetMark" ? unmarked + 1 : outcome === "counted" ? 0 : unmarked;
      recent = [...recent, outcome === "lateFrame"].slice(-lateWindow);
    },
    ask({ atMs, hasEye, queuedRecords, committedRecords = 0, disk }) {
      const begun: WatchAlarm[] = [];
      const over: { code: WatchAlarm["code"]; message: string }[] = [];
      const judge = (code: WatchAlarm["code"], wrong: boolean | null, severity: WatchAlarm["severity"], message: () => string, overMessage: string): void => {
        if (wrong === true && !active.has(code)) {
          active.add(code);
          begun.push({ code, severity, message: message() });
        }
        if (wrong === false && active.delete(code)) over.push({ code, message: overMessage });
      };
      // A tracker that never says a word is as lost as one that stops.
      eyeSeenMs ??= atMs;
      eyeHeardMs ??= atMs;
      const unseenMs = atMs - eyeSeenMs;
      const silent = atMs - eyeHeardMs > eyeLostAfterMs;
      judge("eyeLost", hasEye && unseenMs > eyeLostAfterMs, "fault",
        () => (silent ? `No word from the eye tracker for ${eyeLostAfterMs / 1000} s; trials wait. Check that it records and that its cable or network is in.` : `The eye has not been seen for ${eyeLostAfterMs / 1000} s; trials wait. Look at the animal and at the tracker's own screen: is the pupil found?`),
        "The eye is seen again.");
      judge("syncLost", unmarked >= unmarkedMax ? true : unmarked === 0 ? false : null, "fault",
        () => `${unmarkedMax} images in a row had no onset mark: the sync is lost, and none of them counts. Check the photodiode on the patch, its amplifier and the cable of the event line.`,
        "Onset marks arrive again.");
      const lateShare = recent.length < lateWindow / 2 ? 0 : recent.filter((late) => late).length / recent.length;
      judge("framesDropped", lateShare > lateShareMax ? true : lateShare < lateShareOver ? false : null, "warn",
        () => `${Math.round(lateShare * 100)} % of the last ${recent.length} images had a late frame and are shown again. Close other programs on the computer that draws them; the display test says whether it is fit.`,
        "Images are shown without late frames again.");
      handed = [...handed, { atMs, records: committedRecords + queuedRecords }].filter((h) => h.records > committedRecords);
      const behindMs = atMs - (handed[0]?.atMs ?? atMs);
      judge("queue", queuedRecords > queueMax || behindMs > behindMsMax ? true : queuedRecords < queueOver && behindMs < behindMsMax / 5 ? false : null, "warn",
        () => `${queuedRecords.toLocaleString("en")} records wait to be written, the oldest for ${Math.round(behindMs / 1000)} s: the disk does not keep up, or another program holds the session's file. Nothing is lost yet. Stop copying or indexing on that disk, and close what has the file open.`,
        "The writer has caught up.");
      judge("disk", disk?.isLow ?? null, "warn",
        () => `The disk is nearly full${disk?.minutesLeft == null ? "" : `: about ${Math.round(disk.minutesLeft)} minutes are left`}. Make room now.`,
        "There is room on the disk again.");
      return { begun, over };
    },
  };
}
