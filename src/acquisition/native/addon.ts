// Finds and loads the native addon (native/), or says in a sentence why there is none. Knows nothing about drivers.
import { existsSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { fault, ok } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";

/** How datagrams are read by the receive thread. "raw": each is handed over whole, as a blob. */
export type NativeProtocol = "raw" | "blackrock-3.11" | "blackrock-4.0" | "blackrock-4.1" | "bridge";

export interface NativeStream {
  /** Copies out as many records of 32 bytes (records.ts) as have room. Answers how many; less than there is room for when nothing more waits. */
  drain(into: ArrayBuffer): number;
  /** The bytes of a blob record, once; empty where they are gone. Blobs are taken in the order of their numbers. */
  takeBlob(number: number): Uint8Array;
  /** Ends the thread; nothing is called afterwards. */
  stop(): void;
}

interface NativeStreamStatus {
  readonly datagrams: number;
  readonly bytes: number;
  /** Records that found no room in the ring; told in-band as well. */
  readonly droppedRecords: number;
  readonly wakes: number;
  readonly waitingRecords: number;
  readonly ringRecords: number;
}

export interface NativeUdpReceiver extends NativeStream {
  send(address: string, port: number, bytes: Uint8Array): boolean;
  setProtocol(protocol: NativeProtocol): void;
  /** socketDropped: datagrams that the system dropped for want of room, -1 where it does not tell. */
  status(): NativeStreamStatus & { readonly localPort: number; readonly receiveBufferBytes: number; readonly socketDropped: number; readonly hasFailed: boolean };
}

export interface NativePlexonPoller extends NativeStream {
  /** library, client: the file that was loaded, and "OPXClient" or "PlexClient". */
  status(): NativeStreamStatus & { readonly microsecondsPerTick: number; readonly countsDropped: boolean; readonly library: string; readonly client: string };
}

export interface NativeAddon {
  readonly interfaceVersion: number;
  /** The clock on which arrivals are stamped, ns. */
  monotonicNs(): number;
  /** Asks the system to let the calling thread run soon after it is woken; false where it cannot be asked. */
  favourThisThread(): boolean;
  readonly UdpReceiver: new (
    options: {
      readonly localAddress: string;
      /** 0: any that is free. */
      readonly localPort: number;
      /** Sender to listen to; null: any. */
      readonly peerAddress: string | null;
      readonly protocol: NativeProtocol;
      readonly receiveBufferBytes: number;
      readonly ringRecords: number;
      /** Least time between two calls of onRecords, us. */
      readonly wakeIntervalUs: number;
      /** Every datagram is handed over whole as well, before its records: for a capture. */
      readonly keepDatagrams: boolean;
    },
    onRecords: () => void,
  ) => NativeUdpReceiver;
  readonly PlexonPoller: new (
    options: { readonly libraries: readonly string[]; readonly client: "auto" | "opx" | "plex"; readonly pollIntervalUs: number; readonly countDropped: boolean; readonly ringRecords: number; readonly wakeIntervalUs: number },
    onRecords: () => void,
  ) => NativePlexonPoller;
}

/** Changes whenever a function of the addon does. */
const interfaceVersion = 4;

let loaded: Result<NativeAddon, Fault> | null = null;

/** The addon, loaded once. Errors: `addonMissing` (not built for this system), `addonUnusable` (it does not load, or is of another version). */
export function loadAddon(): Result<NativeAddon, Fault> {
  loaded ??= load();
  return loaded;
}

function load(): Result<NativeAddon, Fault> {
  const folder = findNativeFolder();
  if (folder === null) return fault("addonMissing", "Expected the native addon beside the program, found none. Install the program again.");
  // node-gyp-build is CommonJS, and takes build/Release before prebuilds/.
  const require = createRequire(import.meta.url);
  let addon: unknown;
  try {
    const find: (folder: string) => unknown = require("node-gyp-build");
    addon = find(folder);
  } catch (error) {
    const reason = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
    if (/No native build/.test(reason)) {
      return fault("addonMissing", `Expected the native addon for ${process.platform} ${process.arch}, but there is none: no prebuilt one came with the program, and none was built here. Install a C++ compiler and start the program with npm start, which builds it; or choose a rig that does without.`);
    }
    return fault("addonUnusable", `The native addon does not load: ${reason}. Delete native/build and start the program with npm start, which builds it again.`);
  }
  if (!isAddon(addon)) return fault("addonUnusable", `Expected the native addon's interface ${interfaceVersion}, got another. Delete native/build and start the program with npm start, which builds it again.`);
  return ok(addon);
}

function isAddon(value: unknown): value is NativeAddon {
  return typeof value === "object" && value !== null && "interfaceVersion" in value && value.interfaceVersion === interfaceVersion && "UdpReceiver" in value && "PlexonPoller" in value && "monotonicNs" in value;
}

/** native/ at the top of the checkout or beside the packaged program. */
function findNativeFolder(): string | null {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const candidate = join(folder, "native");
    if (existsSync(join(candidate, "binding.gyp")) && statSync(candidate).isDirectory()) return candidate;
    if (dirname(folder) === folder) return null;
  }
}
