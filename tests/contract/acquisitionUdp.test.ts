// The sources over UDP, received by the addon and by Node, over what every source must do.
import { loadAddon } from "../../src/acquisition/native/addon.ts";
import { blackrockOptionsSchema } from "../../src/acquisition/drivers/blackrock/options.ts";
import { createBlackrockSource } from "../../src/acquisition/drivers/blackrock/source.ts";
import { bridgeOptionsSchema } from "../../src/acquisition/drivers/plexon/bridgeOptions.ts";
import { createBridgeSource } from "../../src/acquisition/drivers/plexon/bridgeSource.ts";
import { createRealClock } from "../../src/engine/realClock.ts";
import { aPlayedDevice } from "../unit/acquisition/aBlackrock.ts";
import { aPlayedBridge } from "../unit/acquisition/aBridge.ts";
import { testSpikeSource } from "./acquisitionSuite.ts";
import { passReal } from "./passReal.ts";

/** Counting of datagrams begins when the source has started: those of the handshake are not numbered. */
function streamed<T extends { readonly source: { start: (...args: never[]) => Promise<unknown> }; stream(): void }>(made: T): T {
  const start = made.source.start.bind(made.source);
  made.source.start = async (...args) => {
    const started = await start(...args);
    made.stream();
    return started;
  };
  return made;
}

for (const by of loadAddon().ok ? (["addon", "node"] as const) : (["node"] as const)) {
  testSpikeSource({
    name: `Blackrock, received by ${by}`,
    make: async () => ({ ...(await aPlayedDevice({ by })), pass: passReal }),
    // Datagrams are spikes without the count, and spikes with it, in turns: lost are two of the first sort, with 10 spikes each.
    makeLossy: async () => ({ ...streamed(await aPlayedDevice({ by, dropFirstHalves: [20, 21] })), pass: passReal, lost: 20 }),
    makeUnreachable: async () => {
      const clock = createRealClock();
      const source = createBlackrockSource({ clock, options: blackrockOptionsSchema.parse({ device: "nPlay", receivePort: 0, sendPort: 9, receiveBy: by, startTimeoutMs: 300 }) });
      return { source, clock, pass: passReal, dispose: () => source.stop() };
    },
  });

  testSpikeSource({
    name: `Evoked's bridge, received by ${by}`,
    make: async () => ({ ...(await aPlayedBridge({ by })), pass: passReal }),
    makeLossy: async () => ({ ...streamed(await aPlayedBridge({ by, drop: [30, 31, 32] })), pass: passReal, lost: 3 }),
    makeUnreachable: async () => {
      const clock = createRealClock();
      const source = createBridgeSource({ clock, options: bridgeOptionsSchema.parse({ port: 9, receiveBy: by, startTimeoutMs: 300 }) });
      return { source, clock, pass: passReal, dispose: () => source.stop() };
    },
  });
}
