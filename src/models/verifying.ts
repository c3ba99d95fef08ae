// Every check there is, on demand: the file against its manifest, then a probe batch through ONNX Runtime. Knows nothing about who asks.

import type { ModelVerdict } from "../shared/contract/models.ts";
import type { Models } from "./client.ts";

/** Opens the model as a session would and says how it went. */
export async function verifyModel(models: Models, id: string): Promise<ModelVerdict> {
  const entry = models.entries().find((candidate) => candidate.id === id);
  const kind = entry?.manifest?.kind;
  if (kind === undefined) {
    const known = models.entries().map((candidate) => candidate.id).join(", ");
    return { id, ok: false, message: entry?.problem?.message ?? `Expected an installed model (${known}), got "${id}". See: evoked models list.`, left: [] };
  }
  const opened = await (kind === "generator" ? models.generator(id) : kind === "encoder" ? models.encoder(id) : models.detector(id));
  if (!opened.ok) return { id, ok: false, message: opened.error.message, left: [] };
  const report = models.report().find((line) => line.id === id);
  const left = report?.attempts.filter((attempt) => !attempt.used).map((attempt) => `${attempt.provider}: ${attempt.reason}`) ?? [];
  return { id, ok: true, message: `File, weights, shapes and a probe batch are right; ${report?.provider ?? "cpu"}, ${(report?.msPerImage ?? 0).toFixed(1)} ms an image.`, left };
}
