// Models for the length of one piece of work. Knows nothing about the work.
import { startModels } from "../../models/client.ts";
import type { Models } from "../../models/client.ts";
import { unwrap } from "../../shared/result.ts";

/** Starts the models, does the work and stops them again, also when it throws. Throws FaultErrors of startModels. */
export async function withModels<T>(modelFolders: readonly string[], provider: string, work: (models: Models) => Promise<T>): Promise<T> {
  const models = unwrap(await startModels({ modelsDirs: modelFolders, provider }));
  try {
    return await work(models);
  } finally {
    await models.close();
  }
}
