// The contract of a spike source, held by every driver over its own transport, with the synthetic rig played at the other end.
import { playedMaker } from "./aPlayedRig.ts";
import { testSpikeSource } from "./acquisitionSuite.ts";

testSpikeSource(playedMaker({ as: "intan", name: "Intan RHX, spikes of its own", unreachable: { commandPort: 1 } }));
testSpikeSource(playedMaker({ as: "intan", name: "Intan RHX, spikes found in its waveforms", driverOptions: { spikePort: null, band: "high" }, unreachable: { commandPort: 1, spikePort: null, band: "high" } }));
testSpikeSource(playedMaker({ as: "line", name: "line of a home-made rig", unreachable: {} }));
