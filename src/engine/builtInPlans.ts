// Plans that come with Evoked. Knows nothing about files.
import { planFile } from "../shared/contract/index.ts";
import type { PlanFile } from "../shared/contract/index.ts";

export const builtInPlans: readonly PlanFile[] = [
  planFile.parse({
    name: "standard",
    description: "The whole experiment: receptive fields, a diverse set, an evolution of the suggested target, where its feature is, and neuron models with their ablations shown back.",
    steps: [
      { protocol: "rfMapping" },
      { protocol: "diverseSet" },
      { protocol: "evolution" },
      { protocol: "localisation" },
      { protocol: "validation", source: "fit" },
    ],
  }),
  planFile.parse({ name: "evolution", description: "One evolution; its target is chosen by the responses to the references.", steps: [{ protocol: "evolution" }] }),
];
