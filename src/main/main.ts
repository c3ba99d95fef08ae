// Where Electron starts: names the files of the built app and runs it. Knows nothing else.
import { join } from "node:path";
import { app } from "electron";
import { runApp } from "./app.ts";
import { builtInModels, defaultSessionFolder, userModels } from "../engine/paths.ts";

// Built, this file is out/main/main/main.js; the engine's files keep their places beside it.
const built = join(import.meta.dirname, "..");

runApp({
  preload: join(built, "..", "preload", "preload.cjs"),
  engineEntry: join(built, "engine", "process.js"),
  rendererFolder: join(built, "..", "renderer"),
  modelFolders: [builtInModels, userModels],
  sessionFolder: defaultSessionFolder,
}).catch((error: unknown) => {
  process.stderr.write(`A defect in Evoked stopped it: ${error instanceof Error ? error.stack ?? error.message : String(error)}\n`);
  app.exit(70);
});
