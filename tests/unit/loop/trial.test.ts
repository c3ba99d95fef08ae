// Properties of the trial state machine over random eye traces and a screen that may fail.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { countersAfter, freshCounters, initialTrialState, restAfter, rewardAfter, stepTrial } from "../../../src/loop/trial.ts";
import type { TrialAction, TrialEvent, TrialState, TrialTiming } from "../../../src/loop/trial.ts";
import { addMs, hostTimeNs, nsPerMs } from "../../../src/shared/units.ts";
import type { HostTimeNs } from "../../../src/shared/units.ts";

const timing: TrialTiming = { holdMs: 200, waitMsMax: 3000, interTrialMs: 300, timeoutMs: 600, rewardMs: 120, rewardGrowMs: 0, rewardMsMax: 300, breakAfterTrials: 0, breakMs: 30_000, displayTimeoutMs: 1000 };
const flashMs = 250;

interface Happened {
  readonly actions: (TrialAction & { readonly at: HostTimeNs; readonly after: TrialState })[];
  readonly states: TrialState[];
}

/** Drives the machine with a gaze that changes at the given times, a screen that shows every programme in time or never answers, for `lengthMs`. */
function drive({ gaze, screenFails, rewardFails, stopAt, pauses = [], lengthMs = 30_000, timing: used = timing }: { readonly gaze: readonly number[]; readonly screenFails: boolean; readonly rewardFails: boolean; readonly stopAt: number; readonly pauses?: readonly { readonly at: number; readonly until: number }[]; readonly lengthMs?: number; readonly timing?: TrialTiming }): Happened {
  const out: Happened = { actions: [], states: [] };
  let state = initialTrialState(1);
  let presentationId = 1;
  const queue: { at: number; order: number; event: () => TrialEvent | null }[] = [];
  let order = 0;
  const later = (at: number, event: () => TrialEvent | null): void => {
    queue.push({ at, order: order++, event });
  };
  let now = hostTimeNs(0);
  let runs = 0;
  const take = (event: TrialEvent): void => {
    const step = stepTrial(state, event, used);
    state = step.state;
    out.states.push(state);
    for (const action of step.actions) {
      out.actions.push({ ...action, at: now, after: state });
      switch (action.kind) {
        case "requestImages":
          later(now, () => ({
            kind: "imagesReady", atHostNs: now,
            flashes: Array.from({ length: 5 }, () => ({ presentationId: presentationId++, imageId: 1, onFrames: 12, offFrames: 18 })),
          }));
          break;
        case "timer":
          later(action.atHostNs, () => ({ kind: "timer", token: action.token, atHostNs: now }));
          break;
        case "run": {
          const run = ++runs;
          if (!screenFails) later(addMs(now, flashMs * action.flashes.length), () => (run === runs ? { kind: "displayEnd", trialId: action.trialId, aborted: false, atHostNs: now } : null));
          break;
        }
        case "abort":
          runs += 1;
          if (!screenFails) later(addMs(now, 8), () => ({ kind: "displayEnd", trialId: action.trialId, aborted: true, atHostNs: now }));
          break;
        case "reward":
          if (!rewardFails) later(addMs(now, action.pulseMs), () => ({ kind: "rewardDone", atHostNs: now }));
          break;
        default:
      }
    }
  };
  let inside = false;
  for (const at of gaze) {
    later(at * nsPerMs, () => {
      inside = !inside;
      return { kind: "gaze", inside, atHostNs: now };
    });
  }
  for (const { at, until } of pauses) {
    later(at * nsPerMs, () => ({ kind: "pause", atHostNs: now }));
    later(until * nsPerMs, () => ({ kind: "start", atHostNs: now }));
  }
  later(stopAt * nsPerMs, () => ({ kind: "stop", atHostNs: now }));
  take({ kind: "start", atHostNs: now });
  for (;;) {
    queue.sort((a, b) => a.at - b.at || a.order - b.order);
    const next = queue.shift();
    if (next === undefined || next.at > lengthMs * nsPerMs) break;
    now = hostTimeNs(next.at);
    const event = next.event();
    if (event !== null) take(event);
  }
  return out;
}

const someRun = fc.record({
  gaze: fc.array(fc.integer({ min: 0, max: 25_000 }), { maxLength: 60 }).map((times) => [...times].sort((a, b) => a - b)),
  screenFails: fc.boolean(),
  rewardFails: fc.boolean(),
  stopAt: fc.integer({ min: 1, max: 25_000 }),
});

describe("the trial state machine", () => {
  it("gives a reward only for a trial that ran to its end without a break of fixation", () => {
    fc.assert(
      fc.property(someRun, (run) => {
        const { actions } = drive(run);
        let broken = false;
        let running = false;
        let runAtMs = 0;
        for (const action of actions) {
          if (action.kind === "run") {
            running = true;
            broken = false;
            runAtMs = action.at / nsPerMs;
          }
          if (action.kind === "abort") broken = true;
          if (action.kind === "reward") {
            expect(running).toBe(true);
            expect(broken).toBe(false);
            expect(run.screenFails).toBe(false);
            // By the trace itself, whatever the machine made of it.
            expect(run.gaze.filter((t) => t > runAtMs && t < action.at / nsPerMs)).toEqual([]);
          }
          if (action.kind === "trialEnd") {
            expect(action.rewardMs > 0).toBe(action.outcome === "correct");
            running = false;
          }
        }
      }),
    );
  });

  it("never shows images unless the gaze has been inside for the hold time", () => {
    fc.assert(
      fc.property(someRun, (run) => {
        const { actions } = drive(run);
        for (const action of actions) {
          if (action.kind !== "run") continue;
          const at = action.at / nsPerMs;
          const changes = run.gaze.filter((t) => t <= at);
          expect(changes.length % 2).toBe(1);
          expect(at - (changes.at(-1) ?? 0)).toBeGreaterThanOrEqual(timing.holdMs);
        }
      }),
    );
  });

  it("ends every trial that it began exactly once, and is stopped soon after Stop", () => {
    fc.assert(
      fc.property(someRun, (run) => {
        const { actions, states } = drive({ ...run, lengthMs: 60_000 });
        const begun = new Set(actions.flatMap((a) => (a.kind === "run" ? [a.trialId] : [])));
        const ended = actions.flatMap((a) => (a.kind === "trialEnd" ? [a.trialId] : []));
        expect(new Set(ended).size).toBe(ended.length);
        for (const id of begun) expect(ended).toContain(id);
        expect(states.at(-1)?.name).toBe("stopped");
      }),
    );
  });

  it("has an exit from every state: with a steady gaze and a working screen a correct trial follows whatever happened before", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 8000 }), { maxLength: 20 }), (times) => {
        const gaze = [...times].sort((a, b) => a - b);
        if (gaze.length % 2 === 0) gaze.push(8500);
        const { actions } = drive({ gaze, screenFails: false, rewardFails: false, stopAt: 29_000 });
        expect(actions.some((a) => a.kind === "trialEnd" && a.outcome === "correct" && a.endHostNs > 8500 * nsPerMs)).toBe(true);
      }),
    );
  });

  it("finishes the trial under way before it pauses", () => {
    const at = hostTimeNs(0);
    let { state } = stepTrial(initialTrialState(1), { kind: "start", atHostNs: at }, timing);
    ({ state } = stepTrial({ ...state, gazeInside: true }, { kind: "imagesReady", flashes: [{ presentationId: 1, imageId: 1, onFrames: 12, offFrames: 18 }], atHostNs: at }, timing));
    expect(state.name).toBe("hold");
    ({ state } = stepTrial(state, { kind: "pause", atHostNs: at }, timing));
    ({ state } = stepTrial(state, { kind: "timer", token: state.timerToken, atHostNs: addMs(at, 200) }, timing));
    expect(state.name).toBe("images");
    ({ state } = stepTrial(state, { kind: "displayEnd", trialId: 1, aborted: false, atHostNs: addMs(at, 450) }, timing));
    ({ state } = stepTrial(state, { kind: "rewardDone", atHostNs: addMs(at, 570) }, timing));
    expect(state.name).toBe("interTrial");
    ({ state } = stepTrial(state, { kind: "timer", token: state.timerToken, atHostNs: addMs(at, 900) }, timing));
    expect(state.name).toBe("stopped");
  });

  it("gives longer rewards for trials that are correct in a row, up to the longest, and starts afresh after a failure of the subject", () => {
    expect([0, 1, 2, 3, 9].map((streak) => rewardAfter(streak, { rewardMs: 100, rewardGrowMs: 30, rewardMsMax: 180 }))).toEqual([100, 130, 160, 180, 180]);
    expect(rewardAfter(7, { rewardMs: 100, rewardGrowMs: 0, rewardMsMax: 180 })).toBe(100);
    expect(rewardAfter(7, { rewardMs: 0, rewardGrowMs: 30, rewardMsMax: 180 })).toBe(0);
    // A cap below the first reward does not shorten it.
    expect(rewardAfter(1, { rewardMs: 100, rewardGrowMs: 30, rewardMsMax: 50 })).toBe(100);
  });

  it("ends a break at the operator's word, once, and takes none for it at any other time", () => {
    const resting: TrialState = { ...initialTrialState(7), name: "break", timerToken: 4 };
    const ended = stepTrial(resting, { kind: "endBreak", atHostNs: hostTimeNs(0) }, timing);
    expect(ended.state).toMatchObject({ name: "waitImages", trialId: 8 });
    expect(ended.actions).toEqual([{ kind: "requestImages" }]);
    // The break's own timer means nothing any more.
    expect(stepTrial(ended.state, { kind: "timer", token: 4, atHostNs: hostTimeNs(0) }, timing)).toEqual({ state: ended.state, actions: [] });
    expect(stepTrial({ ...resting, pauseWanted: true }, { kind: "endBreak", atHostNs: hostTimeNs(0) }, timing).state.name).toBe("stopped");
    for (const name of ["stopped", "waitImages", "waitFixation", "hold", "images", "blanking", "reward", "interTrial", "timeOut"] as const) {
      expect(stepTrial({ ...resting, name }, { kind: "endBreak", atHostNs: hostTimeNs(0) }, timing)).toEqual({ state: { ...resting, name }, actions: [] });
    }
  });

  it("takes a break after so many trials, without a spot, and goes on by itself", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), (breakAfterTrials) => {
        const { actions, states } = drive({ gaze: [100], screenFails: false, rewardFails: false, stopAt: 25_000, lengthMs: 30_000, timing: { ...timing, breakAfterTrials, breakMs: 2000 } });
        const breaks = states.filter((s, i) => s.name === "break" && states[i - 1]?.name !== "break");
        const trials = actions.filter((a) => a.kind === "trialEnd").length;
        expect(breaks.length).toBeGreaterThanOrEqual(Math.floor((trials - 1) / breakAfterTrials));
        expect(breaks.length).toBeLessThanOrEqual(Math.ceil(trials / breakAfterTrials));
        expect(states.at(-1)?.name).toBe("stopped");
      }),
    );
  });

  it("leaves counters that can be had from the trials alone, wherever a session is cut off", () => {
    const grown: TrialTiming = { ...timing, rewardGrowMs: 20, breakAfterTrials: 3, breakMs: 1000 };
    const somePauses = fc.array(fc.record({ at: fc.integer({ min: 0, max: 24_000 }), forMs: fc.integer({ min: 1, max: 4000 }) }), { maxLength: 3 })
      .map((all) => all.sort((a, b) => a.at - b.at).map(({ at, forMs }, i) => ({ at, until: Math.min(at + forMs, (all[i + 1]?.at ?? 25_000) - 1) })).filter(({ at, until }) => until > at));
    fc.assert(
      fc.property(someRun, somePauses, fc.nat(), (run, somePausesOfIt, cut) => {
        const pauses = somePausesOfIt.filter(({ until }) => until < run.stopAt);
        const { actions } = drive({ ...run, pauses, timing: grown });
        const trials = actions.flatMap((a) => (a.kind === "trialEnd" ? [a] : []));
        if (trials.length === 0) return;
        const known = trials.slice(0, 1 + (cut % trials.length));
        const settled = known.map((trial, i) => {
          const restedMs = trial.endHostNs / nsPerMs + restAfter(trial.outcome, grown).ms;
          return { outcome: trial.outcome, wentOn: i + 1 < known.length && !pauses.some(({ at, until }) => at <= restedMs && until > restedMs) };
        });
        const then = known.at(-1)?.after;
        expect(countersAfter(freshCounters, settled, grown)).toEqual({ streak: then?.streak, trialsSinceBreak: then?.trialsSinceBreak });
        const failed = known.findLastIndex((trial) => trial.outcome === "brokeFixation" || trial.outcome === "noFixation");
        expect(then?.streak).toBe(known.slice(failed + 1).filter((trial) => trial.outcome === "correct").length);
      }),
    );
    const rested = { outcome: "correct", wentOn: true } as const;
    expect(countersAfter({ streak: 4, trialsSinceBreak: 2 }, [rested], grown)).toEqual({ streak: 5, trialsSinceBreak: 0 });
    expect(initialTrialState(9, { streak: 5, trialsSinceBreak: 2 })).toMatchObject({ trialId: 9, streak: 5, trialsSinceBreak: 2 });
  });
});
