// The reward and event-code board (native/firmware) from the host's side: numbered pulses that are asked for until they are answered, codes, and a
// ping that keeps the board's watchdog quiet. One board may be reward line and event codes at once. Protocol: docs/rigs/reward.md.
// Knows nothing about trials.
import { randomInt } from "node:crypto";
import type { Clock, DeviceStatus } from "../../shared/ports.ts";
import { fault, ok } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import { addMs, msBetween } from "../../shared/units.ts";
import type { HostTimeNs } from "../../shared/units.ts";
import { createSerialLink } from "./link.ts";

export interface Board {
  /** Opens the port and waits for the board's name. May be called by several users; closed when all have stopped. */
  start(): Promise<Result<void, Fault>>;
  stop(): Promise<void>;
  /** The longest pulse that the board gives, ms; null before it has said so. */
  readonly pulseMsMax: number | null;
  pulse(pulseMs: number): Promise<Result<{ readonly pulseMs: number }, Fault>>;
  off(): Promise<void>;
  /** false: it could not be sent. */
  code(code: number, holdMs: number): boolean;
  readonly codesSent: number;
  /** Codes whose strobe the board has raised. */
  readonly codesStrobed: number;
  status(): DeviceStatus;
  onProblem(listener: (problem: string | null) => void): void;
}

const pingMs = 100;
/** The board answers in a millisecond; a busy host may take some tens. */
export const boardAnswerMs = 150;
const triesMax = 4;
const silentMsMin = 1000;
/** An Uno's boot loader waits a second or two. */
const nameMs = 4000;
const askMs = 200;

interface Pulse {
  readonly id: number;
  readonly pulseMs: number;
  tries: number;
  accepted: boolean;
  cancel: () => void;
  readonly settle: (result: Result<{ readonly pulseMs: number }, Fault>) => void;
}

export function createBoard({ clock, path, baudRate, answerMs = boardAnswerMs }: { readonly clock: Clock; readonly path: string; readonly baudRate: number; /** How long one answer is waited for. */ readonly answerMs?: number }): Board {
  let users = 0;
  let starting: Promise<Result<void, Fault>> | null = null;
  let text = "";
  let pulseMsMax: number | null = null;
  let name = "";
  let newest: HostTimeNs | null = null;
  let problem: string | null = null;
  let running: Pulse | null = null;
  let offWaiting: (() => void)[] = [];
  let named: (() => void) | null = null;
  let cancelPing: () => void = () => undefined;
  let pulses = 0;
  let codesSent = 0;
  let codesStrobed = 0;
  /** It has said its name since the port was opened. */
  let isReady = false;
  // Not from 1: the board knows the last numbers of the session before.
  let nextId = randomInt(1, 2 ** 31);
  const listeners = new Set<(problem: string | null) => void>();

  const link = createSerialLink({
    path, baudRate,
    onBytes(bytes) {
      text += bytes.toString("latin1");
      for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
        const line = text.slice(0, end).trim();
        text = text.slice(end + 1);
        if (line !== "") take(line);
      }
      // Noise without an end of line.
      if (text.length > 200) text = "";
    },
    onAway: (reason) => {
      isReady = false;
      say(`The board at ${path} is gone: ${reason}. Its watchdog turns the line off. Plug it in again; it is tried every half second.`);
      // What was given cannot be told now.
      running?.settle(fault("rewardUnknown", `The board at ${path} went away during a reward of ${running.pulseMs} ms: how much was given cannot be told. Check the cable.`));
    },
    onBack: () => void askName(Infinity).then((answered) => {
      if (answered) say(null);
    }),
  });

  function say(next: string | null): void {
    if (problem === next) return;
    problem = next;
    for (const listener of listeners) listener(next);
  }

  function take(line: string): void {
    newest = clock.now();
    const [word, first, second] = line.split(" ");
    const pulse = running !== null && Number(first) === running.id ? running : null;
    switch (word) {
      case "V": {
        const [, what, protocol, longest] = line.split(" ");
        if (what !== "evoked-board" || protocol !== "1") {
          say(`Expected the board's firmware of protocol 1 at ${path}, got "${line}". Put the firmware of native/firmware on it.`);
          return;
        }
        name = `${what} ${protocol}`;
        pulseMsMax = Number(longest);
        isReady = true;
        named?.();
        return;
      }
      case "B":
        // It began anew: the numbers it knew are gone, and the line is off.
        if (!isReady) return;
        running?.settle(fault("rewardUnknown", `The board at ${path} started anew during a reward: how much was given cannot be told. Check its power.`));
        link.send("V\n");
        return;
      case "A":
        if (pulse !== null && !pulse.accepted) {
          pulse.accepted = true;
          wait(pulse, pulse.pulseMs + answerMs);
        }
        return;
      case "D":
        if (pulse !== null) {
          pulses += 1;
          pulse.settle(ok({ pulseMs: Number(second) }));
        }
        return;
      case "E":
        if (pulse !== null) pulse.settle(second === "busy" ? fault("rewardBusy", "Expected the reward line to be off, but a pulse is running. Wait for its end, or turn the line off.") : fault("rewardRefused", `The board at ${path} refused a pulse of ${pulse.pulseMs} ms: it gives at most ${pulseMsMax ?? "?"} ms.`));
        else if (second === "full") say(`The board at ${path} cannot send event codes as fast as they come: ${codesSent - codesStrobed} have not gone out.`);
        return;
      case "S":
        codesStrobed += 1;
        return;
      case "X":
        for (const done of offWaiting.splice(0)) done();
        return;
      default:
      // P, and noise of a line that was plugged in.
    }
  }

  /** Asks again, with the same number, until the board has answered: a pulse is never given twice. */
  function ask(pulse: Pulse): void {
    if (pulse.tries >= triesMax) {
      link.send("X\n");
      pulse.settle(fault("rewardNoAnswer", `The board at ${path} did not answer ${triesMax} requests for a reward of ${pulse.pulseMs} ms: whether it was given cannot be told. Check cable and power.`));
      return;
    }
    pulse.tries += 1;
    link.send(`R ${pulse.id} ${pulse.pulseMs}\n`);
    wait(pulse, answerMs);
  }

  function wait(pulse: Pulse, ms: number): void {
    pulse.cancel();
    pulse.cancel = clock.setTimer(addMs(clock.now(), ms), () => ask(pulse));
  }

  function ping(): void {
    link.send("P\n");
    if (link.isOpen && newest !== null) {
      const silence = msBetween(newest, clock.now());
      if (silence > Math.max(silentMsMin, 4 * answerMs)) say(`The board at ${path} has not answered for ${(silence / 1000).toFixed(1)} s. Check its power and its cable.`);
      else if (problem?.includes("has not answered") === true) say(null);
    }
    cancelPing = clock.setTimer(addMs(clock.now(), pingMs), ping);
  }

  /** Asks until the board answers: one that the opening has reset takes seconds. */
  function askName(limitMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      let asked = 0;
      let cancel: () => void = () => undefined;
      named = () => {
        cancel();
        named = null;
        resolve(true);
      };
      const again = (): void => {
        if (asked * askMs > limitMs || !link.isOpen) {
          named = null;
          resolve(false);
          return;
        }
        asked += 1;
        link.send("\nV\n");
        cancel = clock.setTimer(addMs(clock.now(), askMs), again);
      };
      again();
    });
  }

  async function open(): Promise<Result<void, Fault>> {
    const opened = await link.open();
    if (!opened.ok) return opened;
    const answered = await askName(Math.max(nameMs, 10 * answerMs));
    if (!answered) {
      await link.close();
      return fault("noBoard", `Expected the reward board at ${path}, but ${problem ?? `nothing answered for ${nameMs / 1000} s`}. Put the firmware of native/firmware on the Arduino, or name another port.`);
    }
    ping();
    return ok(undefined);
  }

  return {
    async start() {
      users += 1;
      starting ??= open();
      const opened = await starting;
      if (!opened.ok) {
        users -= 1;
        starting = null;
      }
      return opened;
    },
    async stop() {
      if (users === 0) return;
      users -= 1;
      if (users > 0) return;
      starting = null;
      cancelPing();
      running?.settle(fault("rewardStopped", "The reward line was closed during a pulse."));
      isReady = false;
      if (link.isOpen) {
        link.send("X\n");
        await link.drain();
      }
      await link.close();
      problem = null;
    },
    get pulseMsMax() {
      return pulseMsMax;
    },
    async pulse(pulseMs) {
      if (running !== null) return fault("rewardBusy", "Expected the reward line to be off, but a pulse is running. Wait for its end, or turn the line off.");
      if (!isReady) return fault("rewardAway", problem ?? `The board at ${path} is not open. Start the rig first.`);
      return await new Promise((resolve) => {
        const pulse: Pulse = {
          id: nextId, pulseMs, tries: 0, accepted: false, cancel: () => undefined,
          settle(result) {
            pulse.cancel();
            if (running !== pulse) return;
            running = null;
            resolve(result);
          },
        };
        nextId = nextId >= 0xffff_fffe ? 1 : nextId + 1;
        running = pulse;
        ask(pulse);
      });
    },
    async off() {
      if (!link.isOpen) return;
      const done = new Promise<void>((resolve) => {
        const cancel = clock.setTimer(addMs(clock.now(), answerMs), resolve);
        offWaiting.push(() => {
          cancel();
          resolve();
        });
      });
      link.send("X\n");
      await done;
    },
    code(code, holdMs) {
      if (!link.send(`C ${code} ${holdMs}\n`)) return false;
      codesSent += 1;
      return true;
    },
    get codesSent() {
      return codesSent;
    },
    get codesStrobed() {
      return codesStrobed;
    },
    status: () => ({
      connected: isReady && problem === null, address: path, newestHostNs: newest, problem,
      detail: [name, `${pulses} ${pulses === 1 ? "pulse" : "pulses"}`, ...(codesSent === 0 ? [] : [`${codesStrobed} of ${codesSent} codes`])].join(", "),
    }),
    onProblem: (listener) => void listeners.add(listener),
  };
}
