// The session file's versions, in order. Knows nothing about records.
import { initial } from "./0001-initial.ts";
import { analyses } from "./0002-analyses.ts";
import { display } from "./0003-display.ts";
import { plan } from "./0004-plan.ts";

export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
}

/** Every released migration. A released one never changes: tests/unit/session/migrations.test.ts pins each hash. */
export const migrations: readonly Migration[] = [
  { version: 1, name: "initial", sql: initial },
  { version: 2, name: "analyses", sql: analyses },
  { version: 3, name: "display", sql: display },
  { version: 4, name: "plan", sql: plan },
];

/** The version that this program writes. */
export const latestVersion = migrations.length;
