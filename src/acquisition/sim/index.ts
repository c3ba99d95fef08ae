// The protocols over which the synthetic rig can be played. Knows nothing about drivers beyond the names of their rigs.
import { fault, ok } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import type { PlayerKind } from "./player.ts";
import { blackrockPlayer } from "./players/blackrock.ts";
import { bridgePlayer } from "./players/bridge.ts";
import { intanPlayer } from "./players/intan.ts";
import { linePlayer } from "./players/line.ts";
import { lslPlayer } from "./players/lsl.ts";
import { openEphysPlayer } from "./players/openEphys.ts";
import { openEphysEventsPlayer } from "./players/openEphysEvents.ts";

export const playerRegistry: readonly PlayerKind[] = [openEphysPlayer, openEphysEventsPlayer, intanPlayer, linePlayer, lslPlayer, blackrockPlayer, bridgePlayer];

/** Errors: `unknownPlayer`. */
export function findPlayer(kind: string): Result<PlayerKind, Fault> {
  const found = playerRegistry.find((candidate) => candidate.kind === kind);
  return found === undefined ? fault("unknownPlayer", `Expected a protocol of ${playerRegistry.map((candidate) => candidate.kind).join(", ")}, got "${kind}".`) : ok(found);
}
