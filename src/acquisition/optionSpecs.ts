// From a settings schema to the list that a form or a command line shows. Knows nothing about what the settings do.
import { z } from "zod";
import type { OptionSpec } from "../shared/contract/state.ts";

const property = z.object({
  type: z.union([z.string(), z.array(z.string())]).optional(),
  enum: z.array(z.unknown()).optional(),
  const: z.unknown().optional(),
  anyOf: z.array(z.object({ type: z.string().optional(), const: z.unknown().optional(), minimum: z.number().optional(), maximum: z.number().optional() })).optional(),
  default: z.unknown().optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  description: z.string().default(""),
  unit: z.string().default(""),
});
const objectSchema = z.object({ properties: z.record(z.string(), property) });
const simple = z.union([z.number(), z.string(), z.boolean(), z.null()]);
const scalarTypes = ["number", "integer", "string", "boolean", "null"];

/** Numbers, texts and switches with their default, unit, range and choices; lists and groups are left to a file. */
export function describeOptions(schema: z.ZodType): readonly OptionSpec[] {
  const { properties } = objectSchema.parse(z.toJSONSchema(schema, { io: "input" }));
  return Object.entries(properties).flatMap(([name, one]): OptionSpec[] => {
    const parts = one.anyOf ?? [one];
    const isScalar = parts.every((part) => (typeof part.type === "string" && scalarTypes.includes(part.type)) || part.const !== undefined) || one.enum !== undefined;
    const defaultValue = simple.safeParse(one.default);
    if (!isScalar || !defaultValue.success) return [];
    const minimum = parts.find((part) => part.minimum !== undefined)?.minimum;
    const maximum = parts.find((part) => part.maximum !== undefined)?.maximum;
    const choices = one.enum ?? (parts.every((part) => part.const !== undefined) ? parts.map((part) => part.const) : undefined);
    return [
      {
        name,
        unit: one.unit,
        default: defaultValue.data,
        description: one.description,
        ...(minimum === undefined || minimum <= Number.MIN_SAFE_INTEGER ? {} : { min: minimum }),
        ...(maximum === undefined || maximum >= Number.MAX_SAFE_INTEGER ? {} : { max: maximum }),
        ...(choices === undefined ? {} : { choices: choices.map(String) }),
      },
    ];
  });
}
