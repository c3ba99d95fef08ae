import { playCapture } from "../../src/acquisition/drivers/open-ephys/player.ts";
import type { PlayOptions } from "../../src/acquisition/drivers/open-ephys/player.ts";
import { openEphysOptionsSchema } from "../../src/acquisition/drivers/open-ephys/options.ts";
import { createOpenEphysSource } from "../../src/acquisition/drivers/open-ephys/source.ts";
import { rigFaultSchema } from "../../src/acquisition/synthetic/options.ts";
import { createRealClock } from "../../src/engine/realClock.ts";
import { unwrap } from "../../src/shared/result.ts";
import { aRig } from "../unit/acquisition/aRig.ts";
import type { RigSetup } from "../unit/acquisition/aRig.ts";
import { testEyeTracker, testReward, testSpikeSource } from "./acquisitionSuite.ts";
import type { SourceUnderTest } from "./acquisitionSuite.ts";
import { passReal } from "../support/passReal.ts";

const captureFile = new URL("../fixtures/acquisition/open-ephys-1.0.1-zmq-interface.frames", import.meta.url).pathname;

function aSyntheticSource(setup: RigSetup = {}): SourceUnderTest & ReturnType<typeof aRig> {
  const made = aRig(setup);
  // Time goes on by itself, so that waiting for something that does not come ends.
  const keepTicking = () => made.clock.setTimer((made.clock.now() + 50e6) as never, keepTicking);
  keepTicking();
  return {
    ...made,
    source: made.rig.source,
    pass: (done) => made.clock.run(done),
    dispose: async () => {
      await made.rig.source.stop();
      await made.rig.eye.stop();
    },
  };
}

async function aPlayedCapture(play: Partial<PlayOptions> = {}): Promise<SourceUnderTest> {
  const player = unwrap(await playCapture({ file: captureFile, endpoint: "tcp://127.0.0.1:*", heartbeatEndpoint: "tcp://127.0.0.1:*", speed: 4, loop: "continue", ...play }));
  const portOf = (endpoint: string | null) => Number(endpoint?.split(":").at(-1));
  const clock = createRealClock();
  const options = openEphysOptionsSchema.parse({ dataPort: portOf(player.endpoint), heartbeatPort: portOf(player.heartbeatEndpoint) });
  const source = createOpenEphysSource({ clock, options });
  return {
    source,
    clock,
    pass: passReal,
    dispose: async () => {
      await source.stop();
      await player.stop();
    },
  };
}

testSpikeSource({
  name: "synthetic",
  make: async () => aSyntheticSource(),
  makeLossy: async () => ({ ...aSyntheticSource({ options: { faults: [rigFaultSchema.parse({ kind: "dropPackets", atMs: 300, packets: 3 })] } }), lost: 3 }),
  makeUnreachable: null,
});

testSpikeSource({
  name: "Open Ephys, played from the recorded program",
  make: () => aPlayedCapture(),
  makeLossy: async () => ({ ...(await aPlayedCapture({ drop: [90, 91, 400] })), lost: 3 }),
  makeUnreachable: async () => {
    const clock = createRealClock();
    const source = createOpenEphysSource({ clock, options: openEphysOptionsSchema.parse({ dataPort: 1, heartbeatPort: 2, startTimeoutMs: 300 }) });
    return { source, clock, pass: passReal, dispose: () => source.stop() };
  },
});

testEyeTracker({
  name: "synthetic",
  make: async () => {
    const made = aSyntheticSource();
    return { eye: made.rig.eye, pass: made.pass, dispose: made.dispose };
  },
});

testReward({
  name: "synthetic",
  make: async () => {
    const made = aSyntheticSource();
    return { reward: made.rig.reward, clock: made.clock, pass: made.pass, dispose: made.dispose };
  },
});
