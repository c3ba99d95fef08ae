// The optimizer library's public face. Everything outside src/evolve imports from here.

export { runEvolution } from "./benchmark.ts";
export type { EvolutionLine, EvolutionProgress, EvolutionRequest, EvolutionRun } from "./benchmark.ts";
export { parseNoise } from "./noise.ts";
export type { NoiseModel } from "./noise.ts";
export { createObjective, createSyntheticNeuron, objectiveRegistry } from "./objectives.ts";
export type { Objective, ObjectiveEntry, SyntheticNeuron } from "./objectives.ts";
export { createOptimizer, decodeOptimizerState, encodeOptimizerState, groupResponses, restoreOptimizer, stateVersion } from "./optimizer.ts";
export { codePartsOf, defaultsFor, noiseLevelOf, optimizerRegistry } from "./registry.ts";
export type { CodePart, GeneratorFacts, NoiseLevel, OptimizerDefaults, OptimizerSetup } from "./registry.ts";
export type { OptimizerEntry, OptionSpec } from "./strategy.ts";
export { reportConvergence } from "./report.ts";
export type {
  ConvergenceReport,
  ConvergenceRequest,
  ConvergenceVerdict,
  GenerationScores,
  GenerationSummary,
  ReferenceScores,
  RepresentedScores,
} from "./report.ts";
export type { Estimate } from "./statistics.ts";
export { optimizerNames } from "./types.ts";
export type {
  Constraints,
  CreateOptimizer,
  HessianBasis,
  NormalSource,
  Optimizer,
  OptimizerName,
  OptimizerState,
  OptionValue,
  OptionValues,
  Population,
  Responses,
  TellReport,
} from "./types.ts";
