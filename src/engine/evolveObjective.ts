// What the command line needs of the optimizer library: evolutions on test objectives, and the registries that its help is made from.
export { objectiveRegistry, optimizerRegistry, parseNoise, runEvolution } from "../evolve/index.ts";
export type { Constraints, EvolutionProgress, EvolutionRequest, EvolutionRun, NoiseModel, OptimizerEntry, OptionSpec, OptionValues } from "../evolve/index.ts";
