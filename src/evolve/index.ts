// The optimizer library's public face. Everything outside src/evolve imports from here.

export { createOptimizer, decodeOptimizerState, encodeOptimizerState, groupResponses, restoreOptimizer, stateVersion } from "./optimizer.ts";
export { defaultsFor, optimizerRegistry } from "./registry.ts";
export type { GeneratorFacts, NoiseLevel, OptimizerDefaults } from "./registry.ts";
export type { OptimizerEntry, OptionSpec } from "./strategy.ts";
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
