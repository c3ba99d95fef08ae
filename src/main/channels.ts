// Names of the few messages between a window's preload and the main process. Knows nothing about what they carry.

export const channels = {
  /** Window -> main: link me to the engine. */
  connect: "evoked:connect",
  /** Main -> window: here is your port to the engine. */
  port: "evoked:port",
  /** Main -> window: a frame from the main process itself. */
  notice: "evoked:notice",
  /** Main -> window: the engine is gone; carries the last frame. */
  engineDown: "evoked:engineDown",
  openStimulus: "evoked:openStimulus",
  listDisplays: "evoked:listDisplays",
} as const;
