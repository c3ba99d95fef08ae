// Waiting in real time, for tests over real sockets.

/** Settles once `done` says so; rejects when it takes too long. */
export async function passReal(done: () => boolean, limitMs = 15_000): Promise<void> {
  const until = performance.now() + limitMs;
  while (!done()) {
    if (performance.now() > until) throw new Error(`expected it to happen within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
