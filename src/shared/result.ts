// Expected failures as values. Knows nothing about what fails.

/** A success with its value, or an expected failure with its error. Bugs throw instead. */
export type Result<T, E> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: E };

export function ok<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value };
}

export function err<E>(error: E): { readonly ok: false; readonly error: E } {
  return { ok: false, error };
}

/** An expected failure as the operator sees it: a code for programs, a sentence for people. */
export interface Fault {
  /** Machine-readable kind, e.g. `"portInUse"`. */
  readonly code: string;
  /** One or two sentences: what was expected, what came, what to do. */
  readonly message: string;
}

export function fault(code: string, message: string): { readonly ok: false; readonly error: Fault } {
  return err({ code, message });
}

/** Thrown where a Fault has to cross code that only knows exceptions; unwrapped again at the contract edge. */
export class FaultError extends Error {
  readonly code: string;
  constructor(f: Fault) {
    super(f.message);
    this.name = "FaultError";
    this.code = f.code;
  }
}

/** Returns the value, or throws the failure as a FaultError. */
export function unwrap<T>(result: Result<T, Fault>): T {
  if (!result.ok) throw new FaultError(result.error);
  return result.value;
}

/** Ends an exhaustive `switch`; reaching it is a bug. */
export function assertNever(value: never): never {
  throw new Error(`expected every case to be handled, got ${JSON.stringify(value)}`);
}
