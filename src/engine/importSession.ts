// Another lab's evolution as a session of this app: what a session says about itself, from the few facts that old data come with.
// Knows nothing about windows or terminals.
import { randomUUID } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import { importEvolution } from "../session/importEvolution.ts";
import type { ImportedEvolution } from "../session/importEvolution.ts";
import { sessionConfig } from "../shared/contract/index.ts";
import type { ImportArgs } from "../shared/contract/index.ts";
import type { SessionInfo } from "../shared/records.ts";
import { fault } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { appVersion } from "./version.ts";

export interface ImportOrder extends Omit<ImportArgs, "folder"> {
  readonly folder: string;
  readonly hostKind: SessionInfo["hostKind"];
  /** Instant of the import, ISO 8601. */
  readonly now: string;
  /** A FaultError thrown here ends the import; nothing is left behind. */
  readonly onProgress?: (share: number) => void;
}

/** Errors: `badImport`, `imageMissing`, and those of making a session file. */
export async function importSession(order: ImportOrder): Promise<Result<ImportedEvolution, Fault>> {
  const { csvFile, imageFolder, folder, windowStartMs, windowEndMs, onProgress } = order;
  const recorded = order.recordedUtc === null ? new Date(order.now) : new Date(order.recordedUtc);
  if (Number.isNaN(recorded.getTime())) return fault("badImport", `Expected a date such as 2019-05-02 or 2019-05-02T14:30:00Z, got "${order.recordedUtc}".`);
  if (!existsSync(imageFolder) || !statSync(imageFolder).isDirectory()) return fault("badImport", `Expected a folder of images at ${imageFolder}; there is none.`);
  if (!(windowEndMs > windowStartMs)) return fault("badImport", `Expected a response window that ends after it starts, got ${windowStartMs} to ${windowEndMs} ms.`);
  const config = sessionConfig.parse({
    subject: { id: order.subject, species: order.species }, response: { windowStartMs, windowEndMs }, display: { kind: "timed" }, rig: { kind: "imported" }, notes: order.description,
  });
  return importEvolution({
    csvFile, imageFolder, folder, windowStartMs, windowEndMs, ...(onProgress === undefined ? {} : { onProgress }),
    info: {
      id: randomUUID(),
      subject: { id: order.subject, species: order.species, sex: "U", age: null, dateOfBirth: null, weightKg: null, description: "" },
      startedUtc: recorded.toISOString(), seed: "0", rig: "Imported evolution", protocol: "imported evolution", configJson: JSON.stringify(config), appVersion, hostKind: order.hostKind,
      description: order.description === "" ? "Evolution imported from images and responses" : order.description, experimenters: [], lab: order.lab, institution: "",
    },
  });
}
