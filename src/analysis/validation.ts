// Measured against predicted responses: how far a neuron model holds, also beyond the images it was fitted on (P Fig. 8, 10).
// Knows nothing about how the model was fitted or the images were shown.
import type { Rng } from "../shared/rng.ts";
import { mean, pearson, permutationTest, rSquared, standardDeviation } from "./statistics.ts";
import type { Alternative, PermutationResult } from "./statistics.ts";

/** Responses of one unit to the same images, measured and predicted, e.g. spikes/s. Equal lengths. */
export interface MeasuredPredicted {
  readonly measured: ArrayLike<number>;
  readonly predicted: ArrayLike<number>;
}

export interface Agreement {
  readonly n: number;
  readonly r: number | null;
  readonly r2: number | null;
  readonly measuredMean: number;
  readonly predictedMean: number;
}

export interface ModelValidation {
  /** On the images the model was fitted to. */
  readonly training: Agreement;
  /** On held-out images of the same set; null where none were given. */
  readonly test: Agreement | null;
  /** On the images evolved for the model. */
  readonly model: Agreement;
  readonly extrapolation: {
    /** Highest prediction and response on the training images. */
    readonly highestTrainingPrediction: number;
    readonly highestTrainingResponse: number;
    /** Share of model images predicted above the highest training prediction: where the model extrapolates. */
    readonly predictedBeyondShare: number;
    /** Share of model images whose response is above the highest training response. */
    readonly measuredBeyondShare: number;
    /** (mean response to model images - mean over training and test images) / sd over training and test images; null where that is 0. */
    readonly gainSd: number | null;
  };
  /** Permutation t test of responses to model images against those to all diverseSet images; one-sided "greater" by default. */
  readonly modelVsNatural: PermutationResult;
}

/** Validates one neuron model. Throws on unequal lengths or an empty set. */
export function validateModel(options: {
  readonly training: MeasuredPredicted;
  readonly test?: MeasuredPredicted;
  readonly model: MeasuredPredicted;
  readonly alternative?: Alternative;
  readonly permutations?: number;
  readonly rng: Rng;
}): ModelValidation {
  const { training, test, model } = options;
  const natural = [...Array.from(training.measured), ...Array.from(test?.measured ?? [])];
  const highestTrainingPrediction = highest(training.predicted);
  const highestTrainingResponse = highest(training.measured);
  const spread = standardDeviation(natural, 1);
  const share = (values: ArrayLike<number>, limit: number) => Array.from(values).filter((value) => value > limit).length / values.length;
  return {
    training: agree(training),
    test: test === undefined || test.measured.length === 0 ? null : agree(test),
    model: agree(model),
    extrapolation: {
      highestTrainingPrediction,
      highestTrainingResponse,
      predictedBeyondShare: share(model.predicted, highestTrainingPrediction),
      measuredBeyondShare: share(model.measured, highestTrainingResponse),
      gainSd: spread > 0 ? (mean(model.measured) - mean(natural)) / spread : null,
    },
    modelVsNatural: permutationTest(model.measured, natural, {
      alternative: options.alternative ?? "greater",
      rng: options.rng,
      ...(options.permutations === undefined ? {} : { permutations: options.permutations }),
    }),
  };
}

/** Correlation and determination of predictions, with the means. Throws on unequal lengths or no images. */
export function agree(pairs: MeasuredPredicted): Agreement {
  const { measured, predicted } = pairs;
  return {
    n: measured.length,
    r: pearson(measured, predicted),
    r2: rSquared(measured, predicted),
    measuredMean: mean(measured),
    predictedMean: mean(predicted),
  };
}

function highest(values: ArrayLike<number>): number {
  let top = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < values.length; i++) top = Math.max(top, values[i]!);
  return top;
}
