// The contract of a spike source, held by the Open Ephys GUI's Event Broadcaster. Its messages have no numbers, so there is no loss to report.
import { playedMaker } from "./aPlayedRig.ts";
import { testSpikeSource } from "./acquisitionSuite.ts";

testSpikeSource(playedMaker({ as: "open-ephys-events", name: "Open Ephys GUI, Event Broadcaster", lossy: false, unreachable: { port: 1 } }));
