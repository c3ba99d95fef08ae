// The engine's own process, started by a host with fork or as a utilityProcess. Knows nothing about windows or sockets.
import { createEngine } from "./engine.ts";
import { parentLink, serveEngine } from "./processServer.ts";

serveEngine(parentLink(), createEngine);
