// Which key does what, where. One table: the dispatcher, the footer and the list of all keys are made from it. Pure.

export type Place = "start" | "console" | "review" | "sessions";

export interface KeyBinding {
  readonly action: Action;
  /** KeyboardEvent.key values, lower case. */
  readonly keys: readonly string[];
  /** As it is shown. */
  readonly shown: readonly string[];
  readonly does: string;
  readonly places: readonly Place[];
  /** A short word for the footer; none = only in the list of all keys. */
  readonly footer?: string;
  /** Also while a dialog is open (never while text is being typed). */
  readonly always?: boolean;
  /** Even while text is being typed: keys that no text has. */
  readonly typing?: boolean;
  readonly watcher?: boolean;
}

export type Action =
  | "start" | "togglePause" | "stop" | "reward" | "rewardShorter" | "rewardLonger" | "recentre" | "skip" | "target" | "note"
  | "theme" | "help" | "endBreak" | "back" | "forward" | "first" | "last" | "openGeneration" | "openScreen" | "alarms" | "log" | "quantity"
  | "galleryRole" | "thread" | "play" | "close" | "newSession" | "resumeRecorded"
  | "repeatStep" | "stepEarlier" | "stepLater" | "stepNow" | "reports" | "insilico" | "stepAdd" | "stepRemove" | "stepCopy" | "stepSooner" | "stepAfter"
  | "beginBack" | "beginForward" | "stepBack" | "stepForward" | "slower" | "faster" | "whatIf" | "verify" | "laterNote" | "browse" | "search" | "open" | "mark" | "markAll" | "export" | "import";

export const bindings: readonly KeyBinding[] = [
  { action: "start", keys: ["enter"], shown: ["Enter"], does: "Start the session", places: ["start"], footer: "start" },
  { action: "back", keys: ["arrowleft"], shown: ["←"], does: "Plan: the step before", places: ["start"] },
  { action: "forward", keys: ["arrowright"], shown: ["→"], does: "Plan: the step after", places: ["start"] },
  { action: "stepAdd", keys: ["insert", "p"], shown: ["Ins", "P"], does: "Plan: add a step after the chosen one", places: ["start"], footer: "add a step" },
  { action: "stepRemove", keys: ["delete"], shown: ["Del"], does: "Plan: remove the chosen step", places: ["start"] },
  { action: "stepCopy", keys: ["c"], shown: ["C"], does: "Plan: copy the chosen step", places: ["start"] },
  { action: "stepSooner", keys: [","], shown: [","], does: "Plan: the chosen step comes sooner", places: ["start"] },
  { action: "stepAfter", keys: ["."], shown: ["."], does: "Plan: the chosen step comes later", places: ["start"] },
  { action: "togglePause", keys: [" "], shown: ["Space"], does: "Pause after the present image, or go on", places: ["console"], footer: "pause" },
  { action: "stop", keys: ["escape"], shown: ["Esc"], does: "Stop the session (asks)", places: ["console"] },
  { action: "reward", keys: ["r"], shown: ["R"], does: "Give one reward, at any time", places: ["console"], footer: "reward", always: true },
  { action: "reward", keys: ["f8"], shown: ["F8"], does: "Give one reward, also while you type", places: ["console"], always: true, typing: true },
  { action: "rewardShorter", keys: ["-", "_"], shown: ["-"], does: "Reward 10 ms shorter", places: ["console"], always: true },
  { action: "rewardLonger", keys: ["=", "+"], shown: ["="], does: "Reward 10 ms longer", places: ["console"], always: true },
  { action: "recentre", keys: ["c"], shown: ["C"], does: "Make the present gaze the centre", places: ["console"], footer: "recentre gaze" },
  { action: "skip", keys: ["s"], shown: ["S"], does: "Skip the rest of this block or generation, or the whole step (asks which)", places: ["console"], footer: "skip" },
  { action: "endBreak", keys: ["o"], shown: ["O"], does: "End the subject's break now", places: ["console"] },
  { action: "repeatStep", keys: ["b"], shown: ["B"], does: "Repeat this step after it has ended (asks)", places: ["console"] },
  { action: "stepEarlier", keys: ["pageup"], shown: ["PgUp"], does: "Look at the step before", places: ["console", "review"], watcher: true },
  { action: "stepLater", keys: ["pagedown"], shown: ["PgDn"], does: "Look at the step after", places: ["console", "review"], watcher: true },
  { action: "stepNow", keys: ["backspace"], shown: ["⌫"], does: "Back to the step under way", places: ["console", "review"], watcher: true },
  { action: "reports", keys: ["p"], shown: ["P"], does: "Reports of the steps that have ended", places: ["console", "review"], footer: "reports", watcher: true },
  { action: "insilico", keys: ["f"], shown: ["F"], does: "Fit neurons, ablate them, send images to the queue; the session goes on", places: ["console"], footer: "fit and ablate" },
  { action: "target", keys: ["t"], shown: ["T"], does: "Look at or choose another channel: arrows move, Enter makes it the target", places: ["console", "review"], footer: "target", watcher: true },
  { action: "note", keys: ["m"], shown: ["M"], does: "Write a note into the session", places: ["console"], footer: "note" },
  { action: "openScreen", keys: ["w"], shown: ["W"], does: "Open the subject's screen, or open it again", places: ["start", "console"], footer: "subject's screen" },
  { action: "quantity", keys: ["v"], shown: ["V"], does: "Map: evoked rate, live rate, tuning", places: ["console", "review"], footer: "map", watcher: true },
  { action: "galleryRole", keys: ["g"], shown: ["G"], does: "Gallery: best or newest image of each generation", places: ["console", "review"], watcher: true },
  { action: "thread", keys: ["e"], shown: ["E"], does: "Next evolution thread, where there are several", places: ["console", "review"], watcher: true },
  { action: "back", keys: ["arrowleft"], shown: ["←"], does: "Earlier generation", places: ["console", "review"], watcher: true },
  { action: "forward", keys: ["arrowright"], shown: ["→"], does: "Later generation", places: ["console", "review"], watcher: true },
  { action: "first", keys: ["home"], shown: ["Home"], does: "First generation", places: ["console"], watcher: true },
  { action: "first", keys: ["home"], shown: ["Home"], does: "The beginning", places: ["review"], watcher: true },
  { action: "last", keys: ["end"], shown: ["End"], does: "Newest generation, and follow it", places: ["console"], watcher: true },
  { action: "last", keys: ["end"], shown: ["End"], does: "The recorded end", places: ["review"], watcher: true },
  { action: "openGeneration", keys: ["enter"], shown: ["Enter"], does: "All images of the chosen generation", places: ["console", "review"], watcher: true },
  { action: "play", keys: [" "], shown: ["Space"], does: "Replay from here (from the beginning, where it stands at the end), or hold", places: ["review"], footer: "replay", watcher: true },
  { action: "stepBack", keys: [","], shown: [","], does: "One presentation back", places: ["review"], watcher: true },
  { action: "stepForward", keys: ["."], shown: ["."], does: "One presentation on", places: ["review"], footer: "step", watcher: true },
  { action: "beginBack", keys: ["["], shown: ["["], does: "Replay: to the beginning of this step of the plan, or of the one before", places: ["review"], watcher: true },
  { action: "beginForward", keys: ["]"], shown: ["]"], does: "Replay: to the beginning of the next step of the plan", places: ["review"], watcher: true },
  { action: "slower", keys: ["-", "_"], shown: ["-"], does: "Slower, down to 0.1 times", places: ["review"], watcher: true },
  { action: "faster", keys: ["=", "+"], shown: ["="], does: "Faster, up to what the machine can do", places: ["review"], footer: "faster", watcher: true },
  { action: "verify", keys: ["k"], shown: ["K"], does: "Verify: recompute every decision and compare it with the recording", places: ["review", "sessions"], footer: "verify" },
  { action: "whatIf", keys: ["i"], shown: ["I"], does: "What if: another response window, target or optimizer", places: ["review"], footer: "what if" },
  { action: "laterNote", keys: ["m"], shown: ["M"], does: "Notes: read them, and add one afterwards", places: ["review", "sessions"], footer: "notes" },
  { action: "resumeRecorded", keys: ["u"], shown: ["U"], does: "Go on with this interrupted session", places: ["review", "sessions"] },
  { action: "browse", keys: ["b"], shown: ["B"], does: "All sessions: search, verify, export, import", places: ["start"], footer: "all sessions", watcher: true },
  { action: "search", keys: ["/"], shown: ["/"], does: "Search sessions", places: ["sessions"], footer: "search", watcher: true },
  { action: "open", keys: ["enter"], shown: ["Enter"], does: "Open and replay the chosen session", places: ["sessions"], footer: "open", watcher: true },
  { action: "back", keys: ["arrowup"], shown: ["↑"], does: "The session above", places: ["sessions"], watcher: true },
  { action: "forward", keys: ["arrowdown"], shown: ["↓"], does: "The session below", places: ["sessions"], watcher: true },
  { action: "mark", keys: [" "], shown: ["Space"], does: "Mark the session, for work on several", places: ["sessions"], footer: "mark", watcher: true },
  { action: "markAll", keys: ["a"], shown: ["A"], does: "Mark all that are listed, or none", places: ["sessions"], watcher: true },
  { action: "export", keys: ["x"], shown: ["X"], does: "Export as NWB, MATLAB, CSV, Parquet, SQLite or images", places: ["sessions"], footer: "export" },
  { action: "import", keys: ["i"], shown: ["I"], does: "Import another lab's evolution", places: ["sessions"], footer: "import" },
  { action: "close", keys: ["escape"], shown: ["Esc"], does: "Close the review", places: ["review"], footer: "close", watcher: true },
  { action: "close", keys: ["escape"], shown: ["Esc"], does: "Back to the start screen", places: ["sessions"], footer: "back", watcher: true },
  { action: "newSession", keys: ["n"], shown: ["N"], does: "After a session: back to the start screen", places: ["console"] },
  { action: "alarms", keys: ["a"], shown: ["A"], does: "All alarms and what to do", places: ["console"], footer: "alarms", watcher: true },
  { action: "alarms", keys: ["a"], shown: ["A"], does: "Alarms at this moment of the replay", places: ["review"], watcher: true },
  { action: "log", keys: ["l"], shown: ["L"], does: "The whole log", places: ["console", "review"], footer: "log", watcher: true },
  { action: "theme", keys: ["d"], shown: ["D"], does: "Dim red theme for dark-adapted eyes", places: ["start", "console", "review", "sessions"], footer: "dim red", watcher: true },
  { action: "help", keys: ["?"], shown: ["?"], does: "All keys", places: ["start", "console", "review", "sessions"], always: true, watcher: true },
];

export interface KeyContext {
  readonly place: Place;
  /** Focus is in a field that takes text or values. */
  readonly typing: boolean;
  /** Focus was put by keyboard on a button or link, which Space and Enter press. */
  readonly onControl: boolean;
  readonly dialogOpen: boolean;
  readonly mayOperate: boolean;
}

export interface KeyPress {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
  readonly repeat: boolean;
}

/** What a key press means here; null = nothing of ours. A held key does not repeat what acts on the subject. */
export function actionFor(press: KeyPress, context: KeyContext): Action | null {
  if (press.ctrlKey || press.metaKey || press.altKey) return null;
  const key = press.key.toLowerCase();
  if (context.onControl && (key === " " || key === "enter" || (context.place === "start" && key.startsWith("arrow")))) return null;
  const binding = bindings.find((b) => b.places.includes(context.place) && b.keys.includes(key) && (context.mayOperate || b.watcher === true));
  if (binding === undefined || (context.typing && binding.typing !== true)) return null;
  if (context.dialogOpen && binding.always !== true) return null;
  if (press.repeat && !["back", "forward", "rewardShorter", "rewardLonger", "stepBack", "stepForward"].includes(binding.action)) return null;
  return binding.action;
}

export function keyOf(action: Action): string {
  return bindings.find((b) => b.action === action)?.shown[0] ?? "";
}
