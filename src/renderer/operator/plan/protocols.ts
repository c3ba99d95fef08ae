// Protocols by the words and shapes that the operator knows them by. Pure. Knows nothing about how they work.
import type { ProtocolName } from "../../../shared/contract/index.ts";

interface ProtocolWords {
  readonly title: string;
  /** For a narrow place. */
  readonly short: string;
  /** Path of a 20 x 20 drawing, stroked. */
  readonly icon: string;
  /** What it answers, in one sentence. */
  readonly asks: string;
}

export const protocolWords: Readonly<Record<ProtocolName, ProtocolWords>> = {
  rfMapping: { title: "Receptive fields", short: "Fields", icon: "M10 1v4M10 15v4M1 10h4M15 10h4M10 5.500a4.500 4.500 0 1 0 0.010 0", asks: "Where on the screen does each channel respond?" },
  diverseSet: { title: "Diverse set", short: "Diverse set", icon: "M2 2h4v4H2zM8 2h4v4H8zM14 2h4v4h-4zM2 8h4v4H2zM8 8h4v4H8zM14 8h4v4h-4zM2 14h4v4H2zM8 14h4v4H8zM14 14h4v4h-4z", asks: "What does each channel prefer, and how reliably?" },
  evolution: { title: "Evolution", short: "Evolution", icon: "M1 16c5 0 4-4 7-5s4-1 5-4 2-4 6-4M15 2.500l4 0.500-1 4", asks: "Which image does the target prefer of all?" },
  localisation: { title: "Feature localisation", short: "Feature", icon: "M2 2h16v16H2zM11 8.500a3 3 0 1 0 0.010 0", asks: "Which part of the image drives the target?" },
  validation: { title: "Model validation", short: "Validation", icon: "M2 18V2M2 18h16M5 14l4-4 3 2 6-8", asks: "Does the neuron do what its models say?" },
  images: { title: "Images", short: "Images", icon: "M2 3h16v14H2zM2 14l5-5 4 4 3-3 4 4M13.500 6.500h0.010", asks: "How does each channel respond to these images?" },
  lab: { title: "Lab's own", short: "Lab", icon: "M8 2h4M9 2v6L3 17h14L11 8V2", asks: "A protocol of your own." },
};

export function titleOf(step: { readonly protocol: ProtocolName; readonly title: string }): string {
  return step.title === "" ? protocolWords[step.protocol].title : step.title;
}
