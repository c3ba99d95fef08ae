// The public face of the analysis library, by the question it answers. Pure: arrays in, new arrays out; nothing reads a clock, a
// file or unseeded chance. Every function states shapes, units, errors and source where it is defined.
//
// Conventions: matrices are row-major, rows are images (or presentations), columns are features or units; rates are spikes/s;
// weights are in raw activation space; a score that is undefined (a constant unit, no repeats) is null or NaN as its type says,
// never 0; misuse throws with what was expected and what came.

/** Matrices. */
export * from "./matrix.ts";
export * from "./npy.ts";

/** What did the units do? Rates, PSTHs, selectivity, noise ceilings. */
export * from "./responses.ts";

/** How do units depend on features? PLS, Lasso, ridge; scores, weights, the best unit. */
export * from "./splits.ts";
export * from "./linearModel.ts";
export * from "./pls.ts";
export * from "./lasso.ts";
export * from "./ridge.ts";
export * from "./neuronModels.ts";

/** What do weights of either sign carry? Ablation masks, and curves over ablation conditions. */
export * from "./ablation.ts";
export * from "./conditions.ts";
export * from "./similarity.ts";

/** Does the model hold in the animal? Measured against predicted, population response, where the feature is. */
export * from "./validation.ts";
export * from "./population.ts";
export * from "./localisation.ts";
export * from "./receptiveField.ts";
export * from "./modelCondition.ts";

/** Which images to show? PCA, clusters, diverseSet, coverage. */
export * from "./pca.ts";
export * from "./kMeans.ts";
export * from "./diverseSet.ts";

/** What did the subject see? The photodiode's trace and marks. */
export * from "./photodiode.ts";
export * from "./displayTest.ts";

/** Statistics underneath. */
export * from "./statistics.ts";
export * from "./distributions.ts";
export * from "./linearAlgebra.ts";
export * from "./brainProperties.ts";
