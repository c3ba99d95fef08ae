// The one rig that is open for a check: opened and closed by operators' windows, told to all of them, closed when a session wants the devices.
// Knows nothing about devices.
import type { Handlers, RigState } from "../shared/contract/index.ts";
import { FaultError, fault, ok } from "../shared/result.ts";
import type { Caller } from "./engineTypes.ts";
import { openRigCheck } from "./rigCheck.ts";
import type { RigCheck, RigCheckWorld } from "./rigCheck.ts";

const tellMs = 250;

export type RigWatchHandlers = Pick<Handlers<Caller>, "rig.open" | "rig.close" | "rig.state" | "rig.reward" | "rig.sync" | "rig.eye">;

export interface RigWatch {
  readonly handlers: RigWatchHandlers;
  /** The devices are wanted elsewhere. */
  close(): Promise<void>;
}

export function createRigWatch(world: RigCheckWorld & { readonly emit: (state: RigState | null) => void; readonly isSessionRunning: () => boolean }): RigWatch {
  let check: RigCheck | null = null;
  let timer: NodeJS.Timeout | null = null;
  let opening: Promise<unknown> = Promise.resolve();

  async function close(): Promise<void> {
    const open = check;
    check = null;
    if (timer !== null) clearInterval(timer);
    timer = null;
    if (open === null) return;
    await open.close();
    world.emit(null);
  }

  function current(): RigCheck {
    if (check === null) throw new FaultError({ code: "noRig", message: "No rig is open. Open the rig check first." });
    return check;
  }

  return {
    close: async () => {
      await opening;
      await close();
    },
    handlers: {
      "rig.open": (args) => {
        // One after the other: a serial port is had once.
        const next = opening.then(async () => {
          if (world.isSessionRunning()) return fault("sessionRunning", "A session is running and has the rig. Its devices are on the console.");
          await close();
          const opened = await openRigCheck(args, world);
          if (!opened.ok) return opened;
          check = opened.value;
          timer = setInterval(() => {
            if (check !== null) world.emit(check.state());
          }, tellMs);
          return ok(check.state());
        });
        opening = next.catch(() => undefined);
        return next;
      },
      "rig.close": async () => {
        await opening;
        await close();
        return ok(null);
      },
      "rig.state": async () => ok(check?.state() ?? null),
      "rig.reward": async ({ pulseMs, pulses }) => {
        await current().reward(pulseMs, pulses);
        return ok(null);
      },
      "rig.sync": async () => {
        await current().sync();
        return ok(null);
      },
      "rig.eye": async (action) => {
        const open = current();
        open.eye(action);
        world.emit(open.state());
        return ok(null);
      },
    },
  };
}
