// What to do about an alarm, by its code: first the thing that is most often wrong. Pure. Knows nothing about how alarms are found.

export interface Advice {
  /** What is wrong, in two or three words. */
  readonly title: string;
  /** What happens meanwhile, without anybody's doing. */
  readonly meanwhile: string;
  /** In the order in which it is tried. */
  readonly todo: readonly string[];
}

const trialsWait = "Trials wait; what was recorded is safe. It goes on by itself when this is over.";
const shownAgain = "The images it touches do not count and are shown again.";

const advices: Readonly<Record<string, Advice>> = {
  noSpikes: { title: "No spikes", meanwhile: "The stream runs, but nothing on it crosses a threshold.", todo: ["Look at the recording system's own screen: is there a signal on the channels?", "Check headstage, reference and ground.", "Check the thresholds or the spike detector in the recording system."] },
  streamStale: { title: "No data", meanwhile: trialsWait, todo: ["Check that acquisition is running in the recording system.", "Check the network cable and the address in the rig's settings.", "If it stays: stop, and start again once the rig check is green. The session can be resumed."] },
  sourceLost: { title: "Rig lost", meanwhile: `The link is tried again every moment. ${trialsWait}`, todo: ["Check that the recording system's program is open.", "Check the network cable.", "If it stays: stop, and resume the session from the start screen when the rig is back."] },
  sourceEnded: { title: "Rig ended", meanwhile: trialsWait, todo: ["Start acquisition in the recording system again.", "Or stop the session here (Esc): it can be resumed."] },
  clockJump: { title: "Clock jumped", meanwhile: `The clocks are aligned afresh. ${shownAgain}`, todo: ["Once is no harm.", "Again and again: restart acquisition in the recording system."] },
  gap: { title: "Packets lost", meanwhile: shownAgain, todo: ["Use a network of its own for the rig, with a cable.", "Close other programs that use the network."] },
  overflow: { title: "Spikes dropped", meanwhile: shownAgain, todo: ["Raise the spike thresholds: a channel may be noisy.", "Close other programs on this computer."] },
  malformed: { title: "Bad packets", meanwhile: "They are left out and counted.", todo: ["Check that the recording system's version is one that Evoked knows (docs/rigs).", "Check that nothing else sends to the same port."] },
  disorder: { title: "Data out of order", meanwhile: "What came late is put where it belongs or counted.", todo: ["Once is no harm.", "Often: check the network to the rig, and that one program alone sends to this port."] },
  lateSpikes: { title: "Late spikes", meanwhile: "They are recorded and counted by analyses; what was decided without them stays.", todo: ["Once is no harm.", "Often: the network or the recording computer holds data back; close other programs there."] },
  externalFolder: { title: "Task folder", meanwhile: trialsWait, todo: ["Is the agreed folder there, and may both programs write to it?", "Check the drive or network share that it is on."] },
  externalMissing: { title: "Image not shown", meanwhile: shownAgain, todo: ["Look at the other program: did it skip an image of the block?", "Does its task read the whole manifest?"] },
  externalRepeated: { title: "Image shown twice", meanwhile: "The first showing counts.", todo: ["Look at the other program: does it repeat images of a block by itself?"] },
  externalUnknown: { title: "Unknown image", meanwhile: "What is not in the block does not count.", todo: ["Does the other program read the newest manifest?", "Check the numbers that it sends as event codes."] },
  externalNoOff: { title: "No end of image", meanwhile: shownAgain, todo: ["Does the other program send the code for image off?", "Check the lines of the event codes."] },
  externalSilent: { title: "Other program silent", meanwhile: trialsWait, todo: ["Is the other program running, and its task not paused?", "Check the lines of the event codes, then the agreed folder."] },
  syncLost: { title: "Sync lost", meanwhile: "No image counts without its onset mark.", todo: ["Is the photodiode on the patch in the corner of the subject's screen?", "Check its amplifier, its threshold and the cable of the event line.", "For a session without a photodiode, choose \"Onset from: the display\" on the start screen."] },
  clockMoved: { title: "Times moved", meanwhile: "The clocks are aligned afresh; onsets by marks are not touched.", todo: ["Once, while the computer was busy, is no harm.", "Again and again: look at the network to the recording system and at what else runs on this computer."] },
  strayMark: { title: "Onset mark without an image", meanwhile: "It is counted and kept; no response rests on it.", todo: ["Shield the photodiode from other light.", "Check that the line of the marks carries nothing else."] },
  noOnsetMark: { title: "Onset mark missing", meanwhile: shownAgain, todo: ["Once is no harm.", "Often: move the photodiode to the middle of its patch, or raise the patch's size."] },
  doubledMark: { title: "Two onset marks", meanwhile: shownAgain, todo: ["Shield the photodiode from other light.", "Raise the threshold of its amplifier."] },
  eyeLost: { title: "Eye lost", meanwhile: "No trial begins while the eye is not seen.", todo: ["Look at the animal: are the eyes open?", "Look at the tracker's own screen: is the pupil found?", "Recalibrate if the camera was moved; C makes the present gaze the centre."] },
  reward: { title: "Reward line", meanwhile: "The animal works without juice.", todo: ["Give one by hand (R): the alarm ends with the first pulse that goes through.", "Check the cable and the port of the reward line, then the pump's own switch.", "Pause (Space) if it stays: unpaid trials cost the animal's will."] },
  framesDropped: { title: "Frames dropped", meanwhile: shownAgain, todo: ["Close other programs on the computer that draws the images.", "Keep the subject's screen in front and full screen (F in its window).", "Run the display test after the session: evoked display-test."] },
  lateFrames: { title: "Late frame", meanwhile: shownAgain, todo: ["Once in a while is normal.", "Often: close other programs on the computer that draws the images."] },
  wrongDuration: { title: "Wrong duration", meanwhile: shownAgain, todo: ["The photodiode saw another number of refreshes than the window reported. Once in a while is normal.", "Often: close other programs on the computer that draws the images, and run evoked display-test after the session.", "Always, and by the same number: is the photodiode in the middle of its patch?"] },
  displayLag: { title: "Display lag", meanwhile: "Onsets are the photodiode's own; those without a mark may be off by what the alarm says.", todo: ["Full screen (F in the subject's window) and 100 % scaling.", "Close other programs on the computer that draws the images.", "Open the subject's screen anew (W) before the next session."] },
  displayLagChanged: { title: "Lag changed", meanwhile: "Onsets are the photodiode's own and stay right.", todo: ["Is another program drawing on the subject's screen, or was the window moved?", "Full screen: F in the subject's window."] },
  displayLost: { title: "Subject's screen gone", meanwhile: trialsWait, todo: ["Open it again: W.", "Put it on the subject's display and press F there."] },
  imageMissing: { title: "Image not ready", meanwhile: "The trial was not shown; its images come again.", todo: ["Once is no harm.", "Often: close other programs; the screen's window is starved of time."] },
  responseLost: { title: "Response late", meanwhile: shownAgain, todo: ["Once is no harm.", "Often: the stream is slower than the set time-out; check the network to the rig."] },
  disk: { title: "Disk nearly full", meanwhile: "Recording goes on until the disk is full; then the session stops cleanly.", todo: ["Make room now: delete or move files from the disk of the session folder.", "Or end the session in time (Esc): everything until then is complete."] },
  store: { title: "Recording failed", meanwhile: "Nothing more of this session is saved.", todo: ["Stop the session (Esc).", "Check the disk of the session folder: is it full, unplugged or read-only?", "Start a new session into another folder."] },
  queue: { title: "Writer behind", meanwhile: "Everything waits in memory; nothing is lost yet.", todo: ["Stop copying, backups and virus scans on the disk of the session folder.", "Close any other program that has the session's file open.", "Pause (Space) until the queue is short again."] },
  rewardLimit: { title: "Reward limit", meanwhile: "No more juice is given.", todo: ["The limit of this session or day is reached: end the session (Esc).", "Raise the limit in the rig's settings if the animal may have more."] },
  modelImages: { title: "Model images", meanwhile: "The step that needs them waits.", todo: ["Make and send them by hand: F.", "Or skip the step: S, then 2."] },
  failed: { title: "Session failed", meanwhile: "The session has ended; everything until then is in its file.", todo: ["Read the sentence above, mend it, and resume the session from the start screen."] },
  noTarget: { title: "No clear target", meanwhile: "Channel 0 is evolved.", todo: ["Choose a target on the map: T, arrows, Enter."] },
  targetUnknown: { title: "Target not there", meanwhile: "Its rate counts as zero.", todo: ["Choose another on the map: T, arrows, Enter.", "Or switch the channel on in the recording system."] },
  engineDown: { title: "Engine stopped", meanwhile: "It is started again by itself; the session's file is safe.", todo: ["Resume the session from the start screen."] },
};

/** null = nothing is known beyond the alarm's own sentence. */
export function adviceFor(code: string): Advice | null {
  return advices[code] ?? null;
}

/** Codes that have advice; for tests and documentation. */
export const advisedCodes: readonly string[] = Object.keys(advices);
