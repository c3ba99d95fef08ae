// Exit codes of the app's programs and how they report a failure. Knows nothing about what they do.
import { FaultError } from "../shared/result.ts";

export const exitCodes = {
  ok: 0,
  /** An expected failure; the sentence on standard error says what to do. */
  failed: 1,
  /** Unknown command, unknown option or a wrong value. */
  usage: 2,
  /** A defect of Evoked. */
  bug: 70,
  /** Ended by Ctrl+C. */
  interrupted: 130,
} as const;

/** One sentence, or a bug's stack, on standard error, and the code to end with. */
export function reportFailure(error: unknown, write: (text: string) => void = (text) => void process.stderr.write(text)): number {
  if (error instanceof FaultError) {
    write(`evoked: ${error.message}\n`);
    return exitCodes.failed;
  }
  write(`evoked: a defect in Evoked stopped this command; please report what follows.\n${error instanceof Error ? error.stack ?? error.message : String(error)}\n`);
  return exitCodes.bug;
}
