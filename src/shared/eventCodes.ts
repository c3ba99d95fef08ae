// The words that a session sends to the recording system, so that a recording of its own tells what was shown when. One byte: it fits every
// digital port. Knows nothing about how they are sent.

/** Image onsets: 1 to 200, by the presentation's number, so that a lost or doubled word is seen against its neighbours. */
export const onsetCodes = 200;

export const eventCodes = {
  /** The fixation spot appears: a trial begins. */
  fixationOn: 201,
  imageOff: 202,
  fixationOff: 203,
  reward: 204,
  /** The images of a trial were cut short. */
  aborted: 205,
  /** A word to try the line with. */
  test: 250,
  sessionBegins: 254,
  sessionEnds: 255,
} as const;

/** Words that a port is tried with, in turn: every line is seen up and down. */
export const testCodes: readonly number[] = [eventCodes.test, 255 - eventCodes.test];

/** The word of an image's onset. presentationId counts from 1. */
export function onsetCode(presentationId: number): number {
  return 1 + ((presentationId - 1) % onsetCodes);
}

export function isOnsetCode(word: number): boolean {
  return word >= 1 && word <= onsetCodes;
}
