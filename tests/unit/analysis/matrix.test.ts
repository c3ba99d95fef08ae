import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decomposeSymmetric, factorCholesky, solveCholesky } from "../../../src/analysis/linearAlgebra.ts";
import {
  columnOf,
  columnStatistics,
  createMatrix,
  elementAt,
  findNonFinite,
  gramOfColumns,
  gramOfRows,
  matrixFromColumn,
  matrixFromRows,
  multiply,
  multiplyTransposed,
  multiplyVector,
  rowOf,
  stackRows,
  standardise,
  takeColumns,
  takeRows,
  toFloat64,
  transpose,
  transposeMultiply,
} from "../../../src/analysis/matrix.ts";
import type { Matrix } from "../../../src/analysis/matrix.ts";
import { aMatrix, expectClose } from "./support.ts";

/** The definition, term by term. */
function multiplyPlainly(a: Matrix, b: Matrix): number[] {
  const result: number[] = [];
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j < b.cols; j++) {
      let sum = 0;
      for (let k = 0; k < a.cols; k++) sum += elementAt(a, i, k) * elementAt(b, k, j);
      result.push(sum);
    }
  }
  return result;
}

const size = fc.integer({ min: 1, max: 13 });

describe("products", () => {
  test("agree with the definition for every shape, whole blocks or not", () => {
    fc.assert(
      fc.property(size, size, size, fc.integer(), (m, n, p, seed) => {
        const a = aMatrix(m, n, seed);
        const b = aMatrix(n, p, `${seed}b`);
        const want = multiplyPlainly(a, b);
        expectClose(multiply(a, b).data, want, 1e-12);
        expectClose(multiplyTransposed(a, transpose(b)).data, want, 1e-12);
        expectClose(transposeMultiply(transpose(a), b).data, want, 1e-12);
        expectClose(gramOfRows(a).data, multiplyPlainly(a, transpose(a)), 1e-12);
        expectClose(gramOfColumns(a).data, multiplyPlainly(transpose(a), a), 1e-12);
        expectClose(multiplyVector(a, columnOf(b, 0)), want.filter((_, i) => i % p === 0), 1e-12);
      }),
      { numRuns: 60 },
    );
  });

  test.each([
    [6, 1500, 5],
    [7, 5, 1300],
    [3, 257, 513],
    [4, 256, 512],
    [601, 3, 601],
  ])("agree with the definition beyond one panel: %i x %i x %i", (m, n, p) => {
    const a = aMatrix(m, n);
    const b = aMatrix(n, p, 2);
    expectClose(multiply(a, b).data, multiplyPlainly(a, b), 1e-10);
    expectClose(multiplyTransposed(a, transpose(b)).data, multiplyPlainly(a, b), 1e-10);
    const gram = gramOfRows(a).data;
    expectClose(gram, multiply(a, transpose(a)).data, 1e-10);
    expectClose(gramOfColumns(transpose(a)).data, gram, 1e-10);
  });

  test("a product does not depend on what was multiplied before", () => {
    const a = aMatrix(5, 7);
    const b = aMatrix(7, 3);
    const fresh = [...multiply(a, b).data];
    multiply(createMatrix(4, 300, new Float64Array(1200).fill(Number.NaN)), createMatrix(300, 600, new Float64Array(180_000).fill(Number.NaN)));
    expect([...multiply(a, b).data]).toEqual(fresh);
  });

  test("take float32 matrices and compute in double precision", () => {
    const single = { rows: 2, cols: 2, data: Float32Array.of(0.1, 0.2, 0.3, 0.4) };
    const product = multiply(single, single);
    expect(product.data[0]).toBe(Math.fround(0.1) ** 2 + Math.fround(0.2) * Math.fround(0.3));
    expect(toFloat64(single).data).toBeInstanceOf(Float64Array);
  });

  test("refuse shapes that do not fit and say both", () => {
    expect(() => multiply(aMatrix(2, 3), aMatrix(2, 3))).toThrow("2 x 3 times 2 x 3");
    expect(() => createMatrix(2, 3, new Float64Array(5))).toThrow("expected 6 values for a 2 x 3 matrix, got 5");
    expect(() => matrixFromRows([[1, 2], [3]])).toThrow("expected 2 values in row 1, got 1");
    expect(() => takeRows(aMatrix(2, 2), [2])).toThrow("expected a row from 0 to 1, got 2");
    expect(() => takeColumns(aMatrix(2, 2), [-1])).toThrow("expected a column from 0 to 1, got -1");
    expect(() => stackRows([aMatrix(1, 2), aMatrix(1, 3)])).toThrow("expected 2 columns in every stacked matrix, got 3");
  });
});

describe("columns", () => {
  test("a column of equal values has that mean and a deviation of exactly 0", () => {
    const values = matrixFromColumn(new Array<number>(10).fill(0.1));
    expect(columnStatistics(values, { ddof: 1 })).toEqual({ mean: Float64Array.of(0.1), sd: Float64Array.of(0) });
  });

  test("standardised columns have mean 0 and deviation 1", () => {
    const data = aMatrix(40, 5);
    const { mean, sd } = columnStatistics(data, { ddof: 1 });
    const again = columnStatistics(standardise(data, mean, sd), { ddof: 1 });
    expectClose(again.mean, new Float64Array(5), 1e-14);
    expectClose(again.sd, new Float64Array(5).fill(1), 1e-14);
  });

  test("taking rows and columns copies, and rows stack back", () => {
    const data = aMatrix(4, 3);
    expect([...stackRows([takeRows(data, [0, 1]), takeRows(data, [2, 3])]).data]).toEqual([...data.data]);
    expect([...takeColumns(data, [2]).data]).toEqual([...columnOf(data, 2)]);
    const copy = takeRows(data, [0]);
    copy.data[0] = 99;
    expect(data.data[0]).not.toBe(99);
  });

  test("the first value that is no number is found with its place", () => {
    const data = aMatrix(3, 4);
    expect(findNonFinite(data)).toBeNull();
    data.data[6] = Number.NEGATIVE_INFINITY;
    data.data[9] = Number.NaN;
    expect(findNonFinite(data)).toEqual({ row: 1, col: 2, value: Number.NEGATIVE_INFINITY });
  });
});

describe("factorisations", () => {
  test("Cholesky solves what it factors, and refuses a singular matrix", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.integer(), (n, seed) => {
        const matrix = gramOfRows(aMatrix(n, n + 4, seed));
        const factor = factorCholesky(matrix);
        expect(factor).not.toBeNull();
        if (factor === null) return;
        const x = Float64Array.from({ length: n }, (_, i) => i - 1.5);
        expectClose(solveCholesky(factor, multiplyVector(matrix, x)), x, 1e-6);
      }),
      { numRuns: 30 },
    );
    expect(factorCholesky(gramOfRows(aMatrix(5, 3)))).toBeNull();
  });

  test("eigenvectors are orthonormal and rebuild the matrix", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 16 }), fc.integer({ min: 1, max: 16 }), fc.integer(), (n, rank, seed) => {
        const matrix = gramOfRows(aMatrix(n, rank, seed)); // singular where rank < n
        const { values, vectors } = decomposeSymmetric(matrix);
        const scaled = createMatrix(n, n, vectors.data.map((value, i) => value * values[Math.floor(i / n)]!));
        expectClose(transposeMultiply(vectors, scaled).data, matrix.data, 1e-11);
        expectClose(gramOfRows(vectors).data, matrix.data.map((_, i) => (i % (n + 1) === 0 ? 1 : 0)), 1e-12);
        expect([...values]).toEqual([...values].sort((a, b) => b - a));
      }),
      { numRuns: 60 },
    );
  });

  test("a diagonal matrix and one of equal eigenvalues come apart cleanly", () => {
    const { values } = decomposeSymmetric(matrixFromRows([[2, 0, 0], [0, 5, 0], [0, 0, 2]]));
    expect([...values]).toEqual([5, 2, 2]);
    expect([...decomposeSymmetric(createMatrix(3, 3)).values]).toEqual([0, 0, 0]);
  });

  test("NaN is refused instead of searched for ever", () => {
    const matrix = gramOfRows(aMatrix(4, 6));
    matrix.data[5] = Number.NaN;
    expect(() => decomposeSymmetric(matrix)).toThrow("NaN");
  });

  test("a row view shares memory with its matrix", () => {
    const data = aMatrix(2, 2);
    rowOf(data, 1)[0] = 7;
    expect(elementAt(data, 1, 0)).toBe(7);
  });
});
