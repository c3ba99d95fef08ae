// What a model says about itself. Knows nothing about ONNX Runtime or files.
import { z } from "zod";

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "expected 64 lower-case hex digits");

const common = {
  /** Folder and registry name, e.g. "shapes-g1". */
  id: z.string().min(1),
  title: z.string().min(1),
  description: z.string(),
  /** File beside the manifest. */
  file: z.string().min(1),
  sha256,
  sizeBytes: z.number().int().positive(),
  licence: z.string().min(1),
  source: z.string().min(1),
  /** Command that made the file again from this repository, or the import command. */
  madeBy: z.string().min(1),
  /** Figures from training or conversion: accuracy, largest difference from the source framework. */
  measured: z.record(z.string(), z.union([z.number(), z.string(), z.boolean()])).default({}),
};

/** Images are float32 [batch, 3, height, width]; `range` is what the graph takes or gives for black and white. */
const imageTensor = z.object({
  name: z.string(),
  width: z.number().int().positive(),
  height: z.number().int().positive(),
  range: z.tuple([z.number(), z.number()]),
  channels: z.enum(["rgb", "bgr"]).default("rgb"),
  mean: z.tuple([z.number(), z.number(), z.number()]).default([0, 0, 0]),
  std: z.tuple([z.number(), z.number(), z.number()]).default([1, 1, 1]),
  /** Share of the image's width and height that a network takes, from the middle (224 of 256 = 0.875). */
  keep: z.number().positive().max(1).default(1),
});

export const generatorManifest = z.object({
  kind: z.literal("generator"),
  ...common,
  input: z.object({ name: z.string(), dim: z.number().int().positive() }),
  /** Further inputs of fixed size that are not part of the latent, e.g. BigGAN's truncation; float32, without a batch dimension. */
  constants: z.array(z.object({ name: z.string(), dims: z.array(z.number().int().positive()), value: z.array(z.number()), meaning: z.string() })).default([]),
  output: imageTensor,
  /** Further outputs, e.g. the object's mask and the image without its object, [batch, channels, height, width]. */
  parts: z.object({ mask: z.string().optional(), background: z.string().optional() }).default({}),
  latent: z.object({
    initialStepSize: z.number().positive(),
    /** Norm that ordinary images have; a cap for optimizers that need one. */
    typicalNorm: z.number().positive(),
    /** Fixed start code of length dim; absent = zeros. */
    start: z.array(z.number()).optional(),
  }),
});

export const encoderManifest = z.object({
  kind: z.literal("encoder"),
  ...common,
  input: imageTensor,
  /** In order from the input; outputs are [batch, dim] or [batch, channels, height, width], dim = the product. */
  layers: z.array(z.object({ name: z.string(), output: z.string(), dim: z.number().int().positive(), shape: z.array(z.number().int().positive()) })).min(1),
  penultimate: z.string(),
  logits: z.string().optional(),
  /** Class names in the order of the logits. */
  classes: z.array(z.string()).default([]),
});

export const detectorManifest = z.object({
  kind: z.literal("detector"),
  ...common,
  input: imageTensor,
  /** [batch, boxes, 5 + classes] with (cx, cy, w, h, score, class scores ...), pixels of the input. */
  output: z.object({ name: z.string(), boxes: z.number().int().positive() }),
  classes: z.array(z.string()).default([]),
});

export const modelManifest = z.discriminatedUnion("kind", [generatorManifest, encoderManifest, detectorManifest]);

export type ImageTensor = z.infer<typeof imageTensor>;
export type GeneratorManifest = z.infer<typeof generatorManifest>;
export type EncoderManifest = z.infer<typeof encoderManifest>;
export type DetectorManifest = z.infer<typeof detectorManifest>;
export type ModelManifest = z.infer<typeof modelManifest>;
