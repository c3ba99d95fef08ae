// What a host holds of the engine. Knows nothing about transport: dispatch.ts and process.ts carry it.
import type { Access, EventName, EventPayload, Handlers } from "../shared/contract/index.ts";

/** A window, tab or program at the other end of a link. */
export interface Caller {
  readonly id: string;
  readonly access: readonly Access[];
}

export type EngineEvent = {
  [E in EventName]: {
    readonly event: E;
    readonly payload: EventPayload<E>;
    /** null = everybody; else only this caller (the stimulus window). */
    readonly callerId: string | null;
  };
}[EventName];

export interface EngineOptions {
  readonly host: "electron" | "web" | "cli";
  /** Folders that hold models, the built-in one first. */
  readonly modelFolders: readonly string[];
  readonly sessionFolder: string;
  /** Folder of the user's plans; left out: the usual one. */
  readonly planFolder?: string;
  /** Folder of the lab's own protocols; left out: the usual one. */
  readonly protocolFolder?: string;
  /** Folder of rig profiles and reward ledgers; left out: the user's own. */
  readonly rigFolder?: string;
  /** Run the models inside this process (tests); default is a process of their own. */
  readonly modelsInProcess?: boolean;
}

export interface Engine {
  readonly handlers: Handlers<Caller>;
  subscribe(listener: (event: EngineEvent) => void): () => void;
  /** A link went down: its stimulus window, if it was one, is lost. */
  callerGone(callerId: string): void;
  /** Stops a running session cleanly, turns the reward line off, flushes the store. */
  close(): Promise<void>;
}
