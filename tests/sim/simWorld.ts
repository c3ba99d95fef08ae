// One constructor for a whole session in memory: synthetic rig, a small generator in plain JavaScript, the real loop on a virtual clock.
import { createClockAligner } from "../../src/acquisition/align.ts";
import { createSyntheticRig } from "../../src/acquisition/synthetic/rig.ts";
import type { SyntheticRig } from "../../src/acquisition/synthetic/rig.ts";
import type { SyntheticRigOptions } from "../../src/acquisition/synthetic/options.ts";
import type { GroundTruth } from "../../src/acquisition/synthetic/truth.ts";
import { createTimedDisplay } from "../../src/engine/timedDisplay.ts";
import { createOptimizer, encodeOptimizerState } from "../../src/evolve/index.ts";
import { createVirtualClock } from "../../src/loop/clock.ts";
import { createClosedLoop } from "../../src/loop/closedLoop.ts";
import type { ClosedLoop, ClosedLoopOptions } from "../../src/loop/closedLoop.ts";
import type { GenerationResult, LoopListener } from "../../src/loop/loopTypes.ts";
import type { LabProtocols } from "../../src/loop/protocols/registry.ts";
import type { EvolutionThread } from "../../src/loop/thread.ts";
import { sessionConfig, stepsOf } from "../../src/shared/contract/index.ts";
import type { EvolutionStep, SessionConfigInput } from "../../src/shared/contract/index.ts";
import type { Clock, Generator } from "../../src/shared/ports.ts";
import type { SessionRecordBody } from "../../src/shared/records.ts";
import { unwrap } from "../../src/shared/result.ts";
import { createRng } from "../../src/shared/rng.ts";
import type { ImageBatch } from "../../src/shared/values.ts";

const sizePx = 32;

/** Sixteen smooth patterns, weighted by the latent: enough for a neuron to have a preference. */
export function aSmallGenerator(dim = 16): Generator {
  const rng = createRng("small generator");
  const waves = Array.from({ length: dim }, () => ({ fx: rng.gaussian() * 4, fy: rng.gaussian() * 4, phase: rng.uniform() * 6.3, colour: [rng.gaussian(), rng.gaussian(), rng.gaussian()] }));
  return {
    identity: { id: "small", title: "Small", sha256: "0".repeat(64), provider: "cpu" },
    latentDim: dim, initialStepSize: 0.5, widthPx: sizePx, heightPx: sizePx,
    async decode(latents) {
      const data = new Uint8Array(latents.count * sizePx * sizePx * 3);
      let at = 0;
      for (let k = 0; k < latents.count; k++) {
        for (let y = 0; y < sizePx; y++) {
          for (let x = 0; x < sizePx; x++) {
            for (let c = 0; c < 3; c++) {
              let v = 0;
              waves.forEach((w, i) => {
                v += (latents.data[k * dim + i] ?? 0) * (w.colour[c] ?? 0) * Math.cos((w.fx * x + w.fy * y) / sizePx + w.phase);
              });
              data[at++] = Math.round(127.5 + 127.5 * Math.tanh(v * 0.4));
            }
          }
        }
      }
      return { count: latents.count, width: sizePx, height: sizePx, data };
    },
  };
}

function aReference(seed: number): ImageBatch {
  const rng = createRng(`reference/${seed}`);
  const grey = rng.uniform() * 255;
  return { count: 1, width: sizePx, height: sizePx, data: Uint8Array.from({ length: sizePx * sizePx * 3 }, (_, i) => Math.max(0, Math.min(255, grey + 80 * Math.sin(i * (0.01 + 0.3 * rng.uniform()))))) };
}

export interface SimRun {
  readonly truth: GroundTruth;
  readonly loop: ClosedLoop;
  readonly records: readonly SessionRecordBody[];
  readonly generations: readonly GenerationResult[];
  readonly ended: { readonly reason: string; readonly message: string };
  readonly finalState: Uint8Array;
  of<K extends SessionRecordBody["kind"]>(kind: K): readonly Extract<SessionRecordBody, { kind: K }>[];
}

export interface SimOptions {
  readonly seed?: number;
  readonly rig?: Partial<SyntheticRigOptions>;
  readonly config?: SessionConfigInput;
  readonly lateAt?: ReadonlyMap<number, number>;
  /** Called with the loop once it runs, and with every record, to act in the middle of a session. */
  readonly act?: (loop: ClosedLoop, record: SessionRecordBody) => void;
  readonly listener?: LoopListener;
  /** Another screen and what the rig has of it, in place of the timed display. */
  readonly screen?: (world: { readonly clock: Clock; readonly rig: SyntheticRig }) => Pick<ClosedLoopOptions, "display" | "source" | "displaySetup">;
  readonly labs?: LabProtocols;
  /** Images in the folder of every step that has one. */
  readonly imagesInFolder?: number;
  /** What they look like. */
  readonly folderImage?: (place: number) => ImageBatch;
}

export async function simulate(options: SimOptions = {}): Promise<SimRun> {
  const seed = options.seed ?? 1;
  const config = sessionConfig.parse({ seed, ...options.config, evolution: { generations: 3, referencesPerGeneration: 4, tuningRepeats: 2, ...options.config?.evolution } });
  const clock = createVirtualClock({ settle: () => new Promise((resolve) => setImmediate(resolve)) });
  const rig = createSyntheticRig({ seed, clock, encoder: null, ...(options.rig === undefined ? {} : { options: options.rig }) });
  const rng = createRng(seed);
  const generator = aSmallGenerator();
  const threads: EvolutionThread[] = [];
  const openThreads = (settings: EvolutionStep, firstThread: number): readonly EvolutionThread[] => {
    const opened = settings.threads.map((t, slot): EvolutionThread => ({
      index: firstThread + slot, generator, target: t.target === "auto" ? 0 : t.target,
      optimizer: unwrap(createOptimizer({ name: t.optimizer === "auto" ? "cholesky-cma" : t.optimizer, dim: generator.latentDim, rng: rng.fork(`optimizer/${firstThread + slot}`), options: { stepSize: 0.5, ...(t.populationSize === null ? {} : { population: t.populationSize }) } })),
    }));
    threads.push(...opened);
    return opened;
  };
  const records: SessionRecordBody[] = [];
  const generations: GenerationResult[] = [];
  let ended: { reason: string; message: string } | null = null;
  let loop: ClosedLoop | null = null;
  loop = createClosedLoop({
    clock, ...rig, display: createTimedDisplay({ clock, ...(options.lateAt === undefined ? {} : { lateAt: options.lateAt }) }), ...options.screen?.({ clock, rig }),
    aligner: createClockAligner(options.screen === undefined ? {} : { shortestTransportMs: options.rig?.delayMs ?? 15 }), rng,
    trial: config.trial, response: config.response, plan: stepsOf(config).map((settings, library) => ({ settings, library })), implicitPlan: config.plan.length === 0, labs: options.labs ?? new Map(), openThreads,
    generator: () => generator, sessionPlacement: { centreXDeg: 0, centreYDeg: 0, sizeDeg: 4 }, screen: { widthPx: 1920, heightPx: 1080, widthCm: 53, distanceCm: 57 },
    libraries: stepsOf(config).map((step) => {
      const count = step.protocol === "evolution" ? 6 : (step.protocol === "localisation" && step.source !== "file") || (step.protocol === "validation" && step.source !== "folder") || (step.protocol === "images" && step.folder === null) ? 0 : (options.imagesInFolder ?? 6);
      return { labels: Array.from({ length: count }, (_, i) => `${step.protocol === "evolution" ? "reference" : "image"} ${i}`), widthPx: options.folderImage?.(0).width ?? sizePx, heightPx: options.folderImage?.(0).height ?? sizePx, image: async (place: number) => options.folderImage?.(place) ?? aReference(place) };
    }),
    record: (body) => {
      records.push(body);
      if (loop !== null) options.act?.(loop, body);
    },
    room: () => null, resume: null,
    listener: {
      ...options.listener,
      generation: (g) => {
        generations.push(g);
        options.listener?.generation?.(g);
      },
      ended: (reason, message) => {
        ended = { reason, message };
      },
    },
  });
  const starting = loop.start();
  await clock.run(() => ended !== null);
  await starting;
  await rig.source.stop();
  await rig.eye.stop();
  const state = threads[0] === undefined ? new Uint8Array() : encodeOptimizerState(threads[0].optimizer.state());
  return {
    truth: rig.truth, loop, records, generations, ended: ended ?? { reason: "", message: "" }, finalState: state,
    of: (kind) => records.filter((r): r is Extract<SessionRecordBody, { kind: typeof kind }> => r.kind === kind),
  };
}
