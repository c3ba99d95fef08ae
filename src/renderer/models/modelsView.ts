// Words and order of the Models screen. Knows nothing about React.
import type { ModelFetch, ModelLine } from "../../shared/contract/index.ts";

const stateOrder: Readonly<Record<ModelLine["state"], number>> = { problem: 0, ready: 1, builtIn: 2, missing: 3 };
const kindOrder: Readonly<Record<string, number>> = { generator: 0, encoder: 1, detector: 2 };

/** What is refused first, then what can be used, then what is missing; generators before encoders before detectors. */
export function modelsInOrder(models: readonly ModelLine[]): readonly ModelLine[] {
  return models.toSorted((a, b) => stateOrder[a.state] - stateOrder[b.state] || (kindOrder[a.kind] ?? 3) - (kindOrder[b.kind] ?? 3));
}

/** 0 to 1; 0 where the size is not known. */
export function progressShare({ phase, receivedBytes, totalBytes }: ModelFetch): number {
  if (phase === "converting" || phase === "done") return 1;
  return totalBytes === null || totalBytes === 0 ? 0 : Math.min(1, receivedBytes / totalBytes);
}

export function progressWords({ phase, file, receivedBytes, totalBytes }: ModelFetch): string {
  if (phase === "converting") return "Converting and comparing with PyTorch";
  if (file === "") return "Asking for it";
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(bytes < 10e6 ? 1 : 0);
  return totalBytes === null ? `${megabytes(receivedBytes)} MB` : `${megabytes(receivedBytes)} of ${megabytes(totalBytes)} MB`;
}
