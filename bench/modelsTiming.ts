// Timing for the model benches. Knows nothing about models.

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** Median wall time of a call, ms, after one call that does not count. */
export async function timeMs(work: () => Promise<unknown>, times: number): Promise<number> {
  await work();
  const spent: number[] = [];
  for (let i = 0; i < times; i++) {
    const start = performance.now();
    await work();
    spent.push(performance.now() - start);
  }
  return median(spent);
}
