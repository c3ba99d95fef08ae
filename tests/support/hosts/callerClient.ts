// A caller for tests: calls methods by frames and keeps the events it got. Knows nothing about what carries the frames.
import type { EngineFrame } from "../../../src/shared/contract/index.ts";
import type { Fault, Result } from "../../../src/shared/result.ts";

export interface TestCaller {
  call(method: string, args?: unknown): Promise<Result<unknown, Fault>>;
  readonly events: { readonly event: string; readonly payload: unknown }[];
  receive(frame: EngineFrame): void;
}

export function aCaller(send: (frame: unknown) => void): TestCaller {
  const waiting = new Map<number, (result: Result<unknown, Fault>) => void>();
  const events: { event: string; payload: unknown }[] = [];
  let nextId = 0;
  return {
    events,
    call(method, args = {}) {
      const id = nextId++;
      return new Promise((resolve) => {
        waiting.set(id, resolve);
        send({ id, method, args });
      });
    },
    receive(frame) {
      if ("event" in frame) events.push(frame);
      else waiting.get(frame.id)?.(frame.result);
    },
  };
}

/** Waits until a condition holds; fails with what was expected. */
export async function until(expected: string, holds: () => boolean, timeoutMs = 5000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`expected within ${timeoutMs} ms: ${expected}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
