// Engine and web host together: the app in a browser, served by this machine. Knows nothing about sessions or command lines.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { builtInModels, defaultSessionFolder, userModels } from "../engine/paths.ts";
import { startEngineProcess } from "../engine/processClient.ts";
import { fault, ok } from "../shared/result.ts";
import { makeTokens } from "./access.ts";
import { startWebHost } from "./webHost.ts";
import type { EngineDown } from "../engine/link.ts";
import type { Fault, Result } from "../shared/result.ts";

const builtWindows = join(import.meta.dirname, "..", "..", "out", "renderer");

export interface ServeOptions {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  readonly allowRemote: boolean;
  readonly sessions?: string | undefined;
  /** File that runs another engine, for tests. */
  readonly engineEntry?: URL;
  readonly rendererFolder?: string;
  /** A subject's screen linked itself, for the first time or anew. */
  readonly onStimulus?: () => void;
  /** Opens the subject's screen on this computer, in a browser of its own; false where it cannot. */
  readonly openSubject?: (url: string) => boolean;
}

export interface Served {
  readonly operatorUrl: string;
  readonly viewerUrl: string;
  readonly port: number;
  /** Settles when the engine is gone, asked or not; the host is closed by then. */
  readonly ended: Promise<EngineDown>;
  close(): Promise<EngineDown>;
}

/** Starts engine and host. Errors: `windowsNotBuilt`, and those of startEngineProcess and startWebHost. */
export async function serve(options: ServeOptions, log: (text: string) => void): Promise<Result<Served, Fault>> {
  const rendererFolder = options.rendererFolder ?? builtWindows;
  const sessionFolder = resolve(options.sessions ?? defaultSessionFolder);
  if (!existsSync(join(rendererFolder, "index.html"))) return fault("windowsNotBuilt", `Expected the app's windows in ${rendererFolder}, found none. Build them with "npm run build:renderer", or run "npm start", which does.`);
  const started = await startEngineProcess({
    engine: { host: "web", modelFolders: [builtInModels, userModels], sessionFolder },
    log,
    ...(options.engineEntry === undefined ? {} : { entry: options.engineEntry }),
  });
  if (!started.ok) return started;
  const engine = started.value;
  const host = await startWebHost({ engine, rendererFolder, host: options.host, port: options.port, mayLeaveLoopback: options.allowRemote, tokens: makeTokens(), ...(options.onStimulus === undefined ? {} : { onStimulus: options.onStimulus }), ...(options.openSubject === undefined ? {} : { openSubject: options.openSubject }) });
  if (!host.ok) {
    await engine.close();
    return host;
  }
  const ended = new Promise<EngineDown>((resolve) => engine.onDown(resolve)).then(async (down) => {
    await host.value.close();
    return down;
  });
  return ok({
    operatorUrl: host.value.operatorUrl, viewerUrl: host.value.viewerUrl, port: host.value.port, ended,
    async close() {
      await engine.close();
      return await ended;
    },
  });
}
