// Seeded divisions of images into training and test sets. Knows nothing about what is fitted.
import type { Rng } from "../shared/rng.ts";

/** Row indices, increasing in both sets; together every row once. */
export interface Split {
  readonly train: Int32Array;
  readonly test: Int32Array;
}

/**
 * A random hold-out split. The test set gets ceil(testFraction * count) rows, as scikit-learn's train_test_split counts
 * them. Throws where either set would be empty.
 */
export function splitTrainTest(options: { readonly count: number; readonly testFraction?: number; readonly rng: Rng }): Split {
  const { count, rng } = options;
  const testFraction = options.testFraction ?? 0.2;
  if (!(testFraction > 0 && testFraction < 1)) throw new Error(`expected a test fraction between 0 and 1, got ${testFraction}`);
  // 0.07 * 100 is 7.000000000000001 in binary; a plain ceil would take an eighth row.
  const testCount = Math.ceil(testFraction * count - 1e-9);
  if (testCount < 1 || testCount >= count) {
    throw new Error(`expected enough images for a training and a test set, got ${count} with a test fraction of ${testFraction}`);
  }
  const order = rng.shuffle(Array.from({ length: count }, (_, i) => i));
  return { test: sorted(order.slice(0, testCount)), train: sorted(order.slice(testCount)) };
}

/**
 * k folds as train/test splits; the first count % folds test sets hold one row more (scikit-learn's KFold).
 * Without an rng the test sets are consecutive stretches; with one, rows are dealt out at random. Throws unless 2 <= folds <= count.
 */
export function splitFolds(options: { readonly count: number; readonly folds: number; readonly rng?: Rng }): Split[] {
  const { count, folds, rng } = options;
  if (!Number.isInteger(folds) || folds < 2 || folds > count) throw new Error(`expected 2 to ${count} folds for ${count} images, got ${folds}`);
  const rows = Array.from({ length: count }, (_, i) => i);
  const order = rng === undefined ? rows : rng.shuffle(rows);
  const small = Math.floor(count / folds);
  const larger = count % folds;
  let from = 0;
  return Array.from({ length: folds }, (_, fold) => {
    const to = from + small + (fold < larger ? 1 : 0);
    const split = { test: sorted(order.slice(from, to)), train: sorted([...order.slice(0, from), ...order.slice(to)]) };
    from = to;
    return split;
  });
}

function sorted(indices: readonly number[]): Int32Array {
  return Int32Array.from(indices).sort();
}
