// The contract's model methods: what is there and missing, checking one, getting one. Knows nothing about sessions or transport.
import { readCatalogue } from "../models/catalogue.ts";
import type { Models } from "../models/client.ts";
import { listInventory } from "../models/inventory.ts";
import { verifyModel } from "../models/verifying.ts";
import type { Handlers } from "../shared/contract/index.ts";
import type { ModelFetch } from "../shared/contract/models.ts";
import { fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import type { Caller } from "./engineTypes.ts";
import { fetchFrom } from "./modelsCommands.ts";
import { builtInModels } from "./paths.ts";

export interface ModelsHandlersOptions {
  readonly models: Models;
  /** Folders that hold models, the built-in one first; the last is where new ones go. */
  readonly modelFolders: readonly string[];
  readonly emitFetch: (progress: ModelFetch) => void;
  /** A download and a conversion would take the processor from a running session. */
  readonly isSessionRunning: () => boolean;
}

export type ModelsHandlers = Pick<Handlers<Caller>, "models.list" | "models.verify" | "models.fetch" | "models.stopFetch" | "models.chooseProvider">;

export function createModelsHandlers({ models, modelFolders, emitFetch, isSessionRunning }: ModelsHandlersOptions): ModelsHandlers & { readonly close: () => void } {
  const folder = modelFolders.length > 1 ? (modelFolders.at(-1) ?? null) : null;
  let fetching: { readonly id: string; readonly stop: AbortController } | null = null;

  async function fetchInBackground(id: string, folderTo: string, stop: AbortController): Promise<void> {
    const last: { progress: ModelFetch } = { progress: { id, phase: "downloading", file: "", receivedBytes: 0, totalBytes: null, message: null } };
    const tell = (changes: Partial<ModelFetch>): void => {
      last.progress = { ...last.progress, ...changes };
      emitFetch(last.progress);
    };
    tell({});
    try {
      const catalogue = await readCatalogue(builtInModels);
      const got = catalogue.ok
        ? await fetchFrom(catalogue.value, id, { modelsDir: folderTo, replace: false, signal: stop.signal, onProgress: ({ phase, file, receivedBytes, totalBytes }) => tell({ phase, file, receivedBytes, totalBytes }) })
        : catalogue;
      await models.refresh();
      if (got.ok) {
        const recorded = got.value.recorded.map(({ name, sha256 }) => ` Its publisher names no hash for ${name}: ${sha256.slice(0, 16)}... is recorded.`).join("");
        tell({ phase: "done", message: `${got.value.model?.manifest.title ?? id} can be used.${recorded}` });
      } else tell({ phase: "failed", message: got.error.message });
    } catch (error) {
      tell({ phase: "failed", message: `A defect of Evoked stopped it: ${error instanceof Error ? error.message : String(error)}` });
    } finally {
      fetching = null;
    }
  }

  return {
    "models.list": async () => {
      const catalogue = await readCatalogue(builtInModels);
      if (!catalogue.ok) return catalogue;
      const providers = new Map(models.report().map((line) => [line.id, line.provider]));
      const machine = await models.providers();
      return ok(listInventory({ catalogue: catalogue.value, entries: models.entries(), builtInDir: builtInModels, folder, providers, ...(machine.ok ? { machine: machine.value } : {}) }));
    },
    "models.verify": async ({ id }) => ok(await verifyModel(models, id)),
    "models.chooseProvider": async ({ provider }): Promise<Result<null, Fault>> => {
      if (isSessionRunning()) return fault("sessionRunning", "A session is running; its models stay where they are. Choose before or after.");
      return models.chooseProvider(provider);
    },
    "models.fetch": async ({ id }): Promise<Result<null, Fault>> => {
      if (folder === null) return fault("noFolder", "This host has no folder for models of your own. Start Evoked with EVOKED_MODELS set to one.");
      if (isSessionRunning()) return fault("sessionRunning", "A session is running, and a download with its conversion would take the processor from it. Get the model before or after.");
      if (fetching !== null) return fault("fetchRunning", `${fetching.id} is being fetched. Wait for it, or stop it.`);
      const stop = new AbortController();
      fetching = { id, stop };
      void fetchInBackground(id, folder, stop);
      return ok(null);
    },
    "models.stopFetch": async (): Promise<Result<null, Fault>> => {
      fetching?.stop.abort();
      return ok(null);
    },
    close() {
      fetching?.stop.abort();
    },
  };
}
