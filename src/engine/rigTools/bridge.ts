// `evoked rig bridge`'s work: runs a rig's spike source on this computer and forwards everything it says to Evoked on another one. Knows nothing
// about terminals.
import { openSource } from "../../acquisition/index.ts";
import { createBridgePublisher } from "../../acquisition/drivers/plexon/bridgePublisher.ts";
import { defaultBridgePort } from "../../acquisition/drivers/plexon/bridgeProtocol.ts";
import { ok } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import type { SourceStatus } from "../../shared/values.ts";
import { createRealClock } from "../realClock.ts";

export { defaultBridgePort };

export interface BridgeRunOptions {
  readonly rig: string;
  readonly rigOptions: Readonly<Record<string, unknown>>;
  readonly seed: number;
  readonly host: string;
  readonly port: number;
  /** Says what the operator of the recording computer should know. */
  readonly onNews: (sentence: string) => void;
}

export interface RunningBridge {
  readonly port: number;
  readonly source: string;
  status(): { readonly source: SourceStatus; readonly receivers: readonly string[]; readonly datagrams: number; readonly records: number };
  stop(): Promise<void>;
}

/** Errors: `unknownRig`, `rigOptions`, `portInUse`, and what the source says. */
export async function runBridge(options: BridgeRunOptions): Promise<Result<RunningBridge, Fault>> {
  const source = openSource(options.rig, options.rigOptions, { clock: createRealClock(), seed: options.seed, encoder: null });
  if (!source.ok) return source;
  const publisher = createBridgePublisher({ host: options.host, port: options.port, source: source.value.name });
  const opened = await publisher.open();
  if (!opened.ok) return opened;
  const started = await source.value.start((event) => {
    publisher.take(event);
    if (event.kind === "fault") options.onNews(JSON.stringify(event.fault));
  });
  if (!started.ok) {
    await publisher.close();
    return started;
  }
  // A source that names its channels with its first spikes has none yet; the list is sent again whenever it grows.
  publisher.take({ kind: "channels", channels: source.value.channels() });
  return ok({
    port: publisher.port(),
    source: source.value.name,
    status: () => ({ source: source.value.status(), ...publisher.status() }),
    async stop() {
      await source.value.stop();
      await publisher.close();
    },
  });
}
