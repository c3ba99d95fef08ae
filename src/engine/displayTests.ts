// Tests of the display outside sessions, and the stimulus window's state. Knows nothing about how the window draws or how results are shown.
import { framesOf, judgeDisplay } from "../analysis/displayTest.ts";
import { displayConfig } from "../shared/contract/config.ts";
import type { DisplayStatus, DisplayTestState, Handlers, WindowFacts } from "../shared/contract/index.ts";
import type { Clock } from "../shared/ports.ts";
import { fault, ok } from "../shared/result.ts";
import { nsPerS } from "../shared/units.ts";
import type { Caller } from "./engineTypes.ts";
import type { DisplayVerdicts } from "./displayVerdicts.ts";
import { placementOf } from "./placement.ts";
import type { WindowDisplay } from "./windowDisplay.ts";

export type DisplayHandlers = Pick<Handlers<Caller>, "display.status" | "display.test" | "display.lastTest">;

export interface DisplayTests {
  readonly handlers: DisplayHandlers;
  /** Of the test that runs now; null: none does. */
  readonly secondsLeft: number | null;
  readonly status: DisplayStatus;
}

export function createDisplayTests({ clock, screen, verdicts, isSessionRunning }: { readonly clock: Clock; readonly screen: WindowDisplay; readonly verdicts: DisplayVerdicts; readonly isSessionRunning: () => boolean }): DisplayTests {
  let last: DisplayTestState = { state: "none" };
  let endsAtNs = 0;

  const secondsLeft = (): number => Math.max(0, (endsAtNs - clock.now()) / nsPerS);

  function status(): DisplayStatus {
    const { widthPx, heightPx, refreshHz } = screen.geometry();
    return { attached: screen.attachedCaller !== null, widthPx, heightPx, refreshHz, window: screen.facts };
  }

  const handlers: DisplayHandlers = {
    "display.status": async () => ok(status()),
    "display.test": async (task) => {
      if (isSessionRunning()) return fault("sessionRunning", "A session is running: the display is tested between sessions. A running session's frames are in its own record.");
      if (last.state === "running") return fault("testRunning", "The display is being tested already.");
      if (screen.attachedCaller === null) return fault("noScreen", "Expected the subject's screen to be open, it is not. Open it with W, put it on the subject's display, press F there for full screen, and test again.");
      const geometry = screen.geometry();
      // The patch flickers too: a photodiode held to it sees the test.
      screen.place(placementOf(displayConfig.parse({}), geometry));
      const onFrames = Math.max(1, framesOf(task.onMs, geometry.refreshHz));
      const offFrames = framesOf(task.offMs, geometry.refreshHz);
      last = { state: "running", secondsLeft: task.seconds };
      endsAtNs = clock.now() + task.seconds * nsPerS;
      void screen.test({ seconds: task.seconds, onFrames, offFrames }).then((times) => {
        if (times === null) {
          last = { state: "failed", message: "The window did not finish the test: it was hidden, closed or reloaded. Keep it uncovered and test again." };
          return;
        }
        const result = judgeDisplay({ task, times, widthPx: geometry.widthPx, heightPx: geometry.heightPx, window: screen.facts });
        last = { state: "done", result };
        verdicts.add(result);
      });
      return ok(null);
    },
    "display.lastTest": async () => ok(last.state === "running" ? { state: "running", secondsLeft: secondsLeft() } : last),
  };
  return {
    handlers,
    get secondsLeft() {
      return last.state === "running" ? secondsLeft() : null;
    },
    get status() {
      return status();
    },
  };
}

/** What a session should not be started with; null where nothing is wrong, or nothing is known. */
export function problemOfScreen(facts: WindowFacts | null): string | null {
  if (facts === null) return null;
  if (facts.pixelRatio !== 1) return `at a scaling of ${Math.round(facts.pixelRatio * 100)} %: set display scaling and zoom to 100 %, others add a frame of delay.`;
  return facts.fullScreen ? null : "not full screen: press F in it, a window adds a frame of delay.";
}
