// Waiting for something in real time.

/** Waits in real time. */
export async function passReal(done: () => boolean, limitMs = 15_000): Promise<void> {
  const until = performance.now() + limitMs;
  while (!done()) {
    if (performance.now() > until) throw new Error(`expected it to happen within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
