// Every protocol that a step can name. Knows nothing about how they work.
import type { PlanStep } from "../../shared/contract/plan.ts";
import { assertNever } from "../../shared/result.ts";
import { diverseSetProtocol } from "./diverseSet.ts";
import { evolutionProtocol } from "./evolution.ts";
import { imagesProtocol } from "./images.ts";
import { createLabProtocol } from "./lab.ts";
import type { LabDefinition } from "./lab.ts";
import { localisationProtocol } from "./localisation.ts";
import type { Protocol, ProtocolContext, RunningProtocol } from "./protocol.ts";
import { rfMappingProtocol } from "./rfMapping.ts";
import { validationProtocol } from "./validation.ts";

/** A lab's own protocols by name, with the hash of their source. */
export type LabProtocols = ReadonlyMap<string, { readonly definition: LabDefinition; readonly sha256: string }>;

/** Throws where a lab's own protocol is not there: the engine has looked before. */
export function openProtocol(settings: PlanStep, context: ProtocolContext, labs: LabProtocols): RunningProtocol {
  switch (settings.protocol) {
    case "rfMapping":
      return rfMappingProtocol.open(settings, context);
    case "diverseSet":
      return diverseSetProtocol.open(settings, context);
    case "evolution":
      return evolutionProtocol.open(settings, context);
    case "localisation":
      return localisationProtocol.open(settings, context);
    case "validation":
      return validationProtocol.open(settings, context);
    case "images":
      return imagesProtocol.open(settings, context);
    case "lab":
      return labOf(settings.name, labs).open(settings, context);
    default:
      return assertNever(settings);
  }
}

function labOf(name: string, labs: LabProtocols): Protocol<Extract<PlanStep, { protocol: "lab" }>> {
  const found = labs.get(name);
  if (found === undefined) throw new Error(`expected the protocol "${name}" to be loaded, got ${[...labs.keys()].join(", ") || "none"}`);
  return createLabProtocol(found.definition);
}

/** The step's own title, or what its protocol is called. */
export function titleOf(settings: PlanStep, labs: LabProtocols): string {
  if (settings.title !== "") return settings.title;
  switch (settings.protocol) {
    case "rfMapping":
      return rfMappingProtocol.title;
    case "diverseSet":
      return diverseSetProtocol.title;
    case "evolution":
      return evolutionProtocol.title;
    case "localisation":
      return localisationProtocol.title;
    case "validation":
      return validationProtocol.title;
    case "images":
      return imagesProtocol.title;
    case "lab":
      return labs.get(settings.name)?.definition.title ?? settings.name;
    default:
      return assertNever(settings);
  }
}

export function takesQueued(settings: PlanStep): boolean {
  return settings.protocol === "validation" || settings.protocol === "images";
}
