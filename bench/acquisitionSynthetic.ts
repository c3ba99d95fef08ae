// How much CPU the synthetic rig costs per presentation (250 ms of rig time, 96 channels, eye included) on a virtual clock, without
// an encoder in the way: images are seen before the clock starts. Prints one JSON line.
import { createSyntheticRig } from "../src/acquisition/synthetic/rig.ts";
import { drawPatterns } from "../src/acquisition/synthetic/patterns.ts";
import { createVirtualClock } from "../src/loop/clock.ts";
import { createRng } from "../src/shared/rng.ts";
import { hostTimeNs, nsPerMs } from "../src/shared/units.ts";

const presentationCount = 4000;
const imageCount = 40;
const clock = createVirtualClock({ settle: () => Promise.resolve() });
const rig = createSyntheticRig({ seed: 7, clock, encoder: null });
const patterns = drawPatterns(createRng("bench"), imageCount, 64);
const bytes = 64 * 64 * 3;
for (let i = 0; i < imageCount; i++) await rig.retina.see(i, { count: 1, width: 64, height: 64, data: patterns.data.slice(i * bytes, (i + 1) * bytes) });

let spikeCount = 0;
let sampleCount = 0;
await rig.source.start((event) => {
  if (event.kind === "spikes") spikeCount += event.batch.timesRigNs.length;
});
await rig.eye.start((batch) => {
  sampleCount += batch.xDeg.length;
});
let shown = 0;
function next(): void {
  const presentationId = shown++;
  rig.retina.lit(presentationId % imageCount, presentationId, clock.now());
  clock.setTimer(hostTimeNs(clock.now() + 100 * nsPerMs), () => rig.retina.lit(null, presentationId, clock.now()));
  clock.setTimer(hostTimeNs(clock.now() + 250 * nsPerMs), next);
}
clock.setTimer(hostTimeNs(500 * nsPerMs), next);
const startMs = performance.now();
const cpu = process.cpuUsage();
await clock.run(() => shown > presentationCount);
const used = process.cpuUsage(cpu);
const wallMs = performance.now() - startMs;
await rig.source.stop();
await rig.eye.stop();
process.stdout.write(
  `${JSON.stringify({
    bench: "acquisitionSynthetic",
    presentations: presentationCount,
    spikesPerS: Math.round(spikeCount / (presentationCount * 0.25)),
    eyeSamples: sampleCount,
    cpuMsPerPresentation: Number(((used.user + used.system) / 1000 / presentationCount).toFixed(3)),
    timesRealTime: Math.round((presentationCount * 250) / wallMs),
  })}\n`,
);
