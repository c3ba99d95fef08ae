// Where the app keeps and finds its files. Knows nothing about what is in them.
import { homedir } from "node:os";
import { join, resolve } from "node:path";

export interface Folders {
  /** Built-in models first. */
  readonly modelFolders: readonly string[];
  readonly sessionFolder: string;
  /** The built windows. */
  readonly rendererFolder: string;
}

/**
 * `root` holds models/ and out/renderer: the repository, or a package's resources. `sessions` is what the user asked for;
 * without it EVOKED_SESSIONS, then Evoked/sessions in the home folder. EVOKED_MODELS names a further folder of models.
 */
export function findFolders(root: string, sessions: string | undefined, env: Readonly<Record<string, string | undefined>> = process.env): Folders {
  const own = join(homedir(), "Evoked");
  const wanted = [sessions, env["EVOKED_SESSIONS"]].find((folder) => folder !== undefined && folder !== "");
  const models = env["EVOKED_MODELS"];
  return {
    modelFolders: [join(root, "models"), ...(models === undefined || models === "" ? [] : [resolve(models)]), join(own, "models")],
    sessionFolder: resolve(wanted ?? join(own, "sessions")),
    rendererFolder: join(root, "out", "renderer"),
  };
}
