// What the set-up scripts print, and how they run programs. Plain JavaScript for Node 20, with nothing installed.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../", import.meta.url));

/** @param {string} sentence */
export function say(sentence) {
  console.log(`evoked: ${sentence}`);
}

/**
 * Runs a program to its end. Output is shown, or with `quiet` kept and returned; a program past `timeoutMs` is ended.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ quiet?: boolean, timeoutMs?: number, env?: Record<string, string | undefined>, shell?: boolean, onSpawn?: (child: import("node:child_process").ChildProcess) => void }} [options]
 * @returns {Promise<{ ok: boolean, code: number | null, signal: string | null, timedOut: boolean, output: string }>}
 */
export function run(program, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: root, env: { ...process.env, ...options.env }, shell: options.shell ?? false,
      stdio: options.quiet ? ["ignore", "pipe", "pipe"] : "inherit",
    });
    options.onSpawn?.(child);
    let output = "";
    let timedOut = false;
    const keep = (part) => { output = (output + part).slice(-200_000); };
    child.stdout?.setEncoding("utf8").on("data", keep);
    child.stderr?.setEncoding("utf8").on("data", keep);
    const timer = options.timeoutMs === undefined ? undefined : setTimeout(() => { timedOut = true; child.kill("SIGKILL"); }, options.timeoutMs);
    const end = (code, signal) => { clearTimeout(timer); resolve({ ok: code === 0, code, signal, timedOut, output }); };
    child.on("error", (error) => { keep(`${error.message}\n`); end(null, null); });
    child.on("close", end);
  });
}

/** Ends the script with a sentence. @param {string} sentence @returns {never} */
export function stop(sentence) {
  console.error(`evoked: ${sentence}`);
  process.exit(1);
}
