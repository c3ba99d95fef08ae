// Where the app's own files are, from source and from a package alike. Knows nothing about what is in them.
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

function findRoot(): string {
  // Electron keeps models/ beside the app's archive; from source it is at the top of the checkout.
  const resources = (process as { readonly resourcesPath?: string }).resourcesPath;
  if (resources !== undefined && existsSync(join(resources, "models"))) return resources;
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (existsSync(join(folder, "models", "shapes-g1", "manifest.json"))) return folder;
    if (dirname(folder) === folder) throw new Error("expected a models folder beside the app's files, found none: install the app again");
  }
}

const root = findRoot();
export const builtInModels = join(root, "models");
export const builtInReferences = join(builtInModels, "references");
/** Session files of a user who chose no folder. */
export const defaultSessionFolder = process.env["EVOKED_SESSIONS"] ?? join(homedir(), "Evoked", "sessions");
/** Session plans that the user saved. */
export const defaultPlanFolder = process.env["EVOKED_PLANS"] ?? join(homedir(), "Evoked", "plans");
/** Free space below which the operator is warned, bytes; null = as the session file's writer has it (2 GiB). EVOKED_DISK_LOW_GB names another. */
export const diskLowBytes: number | null = Number(process.env["EVOKED_DISK_LOW_GB"] ?? "") > 0 ? Number(process.env["EVOKED_DISK_LOW_GB"]) * 1e9 : null;
/** Protocols of the lab's own. */
export const defaultProtocolFolder = process.env["EVOKED_PROTOCOLS"] ?? join(homedir(), "Evoked", "protocols");
/** Models that the user imports or fetches. */
export const userModels = process.env["EVOKED_MODELS"] ?? join(homedir(), "Evoked", "models");
/** Rig profiles, and what was given to each subject. */
export const userRigs = process.env["EVOKED_RIGS"] ?? join(homedir(), "Evoked", "rigs");
/** What can be computed again: features of images, drawn images. */
export const userCache = process.env["EVOKED_CACHE"] ?? join(homedir(), "Evoked", "cache");
