// The program that started this one, watched: killed at once (kill -9, a task manager), it can pass on no signal, and what it started must not stay behind.
// Only a program of Evoked that another one of Evoked started is watched: one that was started from a shell may outlive the shell.

/** Process id of the starter, in the environment of what it starts. The launcher and `npm start`, plain JavaScript, set it as well. */
const variable = "EVOKED_STARTER";
const lookEveryMs = 500;

/** For programs that this process starts from now on. */
export function announceStarter(): void {
  process.env[variable] = String(process.pid);
}

/** Calls back once when the starter is gone; never where this process was started by hand. Keeps no process alive. */
export function onStarterGone(listener: () => void): void {
  const starter = Number(process.env[variable] ?? "0");
  // Not for what this process starts in turn, unless it says so.
  delete process.env[variable];
  if (!Number.isInteger(starter) || starter <= 0) return;
  const timer = setInterval(() => {
    if (isThere(starter)) return;
    clearInterval(timer);
    listener();
  }, lookEveryMs);
  timer.unref();
}

/** An orphan gets another parent at once, except on Windows, where it keeps the number of one that is no more. */
function isThere(starter: number): boolean {
  if (process.ppid !== starter) return false;
  try {
    process.kill(starter, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
