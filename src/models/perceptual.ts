// LPIPS from the vectors of lpips-alex: the squared Euclidean distance of two images' vectors (models/convert/lpips_alex.py says why).
// Knows nothing about sessions.

/** Table of distances, row-major [rows of a, rows of b]; a and b are row-major [count, dim]. For `similarityFromDistances` of src/analysis. */
export function measurePerceptualDistances(a: Float32Array, b: Float32Array, dim: number): Float64Array {
  if (dim <= 0 || a.length % dim !== 0 || b.length % dim !== 0) throw new Error(`expected vectors of ${dim} values, got ${a.length} and ${b.length} values`);
  const [rows, columns] = [a.length / dim, b.length / dim];
  const table = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      let sum = 0;
      for (let k = 0, at = i * dim, to = j * dim; k < dim; k++) {
        const gap = (a[at + k] ?? 0) - (b[to + k] ?? 0);
        sum += gap * gap;
      }
      table[i * columns + j] = sum;
    }
  }
  return table;
}
