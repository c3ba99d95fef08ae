// The stand-in engine in a process of its own, as process.ts runs the real one. A session folder "refuse" makes it fail to start.
import { parentLink, serveEngine } from "../../../src/engine/processServer.ts";
import { fault, ok } from "../../../src/shared/result.ts";
import { aStandInEngine } from "./standInEngine.ts";

serveEngine(parentLink(), (options) =>
  Promise.resolve(options.sessionFolder === "refuse" ? fault("folderNotWritable", "expected a folder that can be written, got refuse") : ok(aStandInEngine())));
