// Images of sessions by id: fetched once, kept as data URLs and decoded elements, oldest let go. Knows nothing about where they are shown.
import { createContext, useContext, useSyncExternalStore } from "react";
import type { EngineClient } from "../../shared/contract/index.ts";

export interface HeldImage {
  readonly url: string;
  /** Decoded: can be drawn at once. */
  readonly element: HTMLImageElement;
  readonly rateHz: number | null;
  readonly label: string;
}

export interface ImageKeeper {
  /** null until it is here; asks for it. `session` keeps the ids of two sessions apart. */
  get(session: string, file: string | null, imageId: number): HeldImage | null;
  subscribe(listener: () => void): () => void;
}

const heldMax = 600;
const inFlightMax = 6;

export function createImageKeeper(client: EngineClient): ImageKeeper {
  const held = new Map<string, HeldImage | "asked" | "failed">();
  const queue: (() => Promise<void>)[] = [];
  const listeners = new Set<() => void>();
  let inFlight = 0;

  async function fetchImage(key: string, file: string | null, imageId: number): Promise<void> {
    const answer = await client.call("image.get", { file, imageId });
    const image = answer.ok ? await decode(answer.value) : null;
    if (image === null) {
      held.set(key, "failed");
      // Asked again when it is next needed, but not at once: the link may be down.
      setTimeout(() => { if (held.get(key) === "failed") held.delete(key); }, 3000);
    } else {
      held.set(key, image);
    }
    letGo();
    for (const listener of listeners) listener();
  }

  function letGo(): void {
    for (const key of held.keys()) {
      if (held.size <= heldMax) return;
      held.delete(key);
    }
  }

  function work(): void {
    while (inFlight < inFlightMax) {
      // Newest first: what was asked for last is what is looked at.
      const job = queue.pop();
      if (job === undefined) return;
      inFlight += 1;
      void job().finally(() => {
        inFlight -= 1;
        work();
      });
    }
  }

  return {
    get(session, file, imageId) {
      const key = `${session}\n${imageId}`;
      const found = held.get(key);
      if (found === undefined) {
        held.set(key, "asked");
        queue.push(() => fetchImage(key, file, imageId));
        work();
        return null;
      }
      return typeof found === "string" ? null : found;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

async function decode(image: { readonly mime: string; readonly base64: string; readonly rateHz: number | null; readonly label: string }): Promise<HeldImage | null> {
  // Not an object URL: to register one costs the page several times what its image costs to decode.
  const url = `data:${image.mime};base64,${image.base64}`;
  const element = new Image();
  element.src = url;
  try {
    await element.decode();
    return { url, element, rateHz: image.rateHz, label: image.label };
  } catch {
    return null;
  }
}

export const ImagesContext = createContext<ImageKeeper | null>(null);

export function useImages(): ImageKeeper {
  const images = useContext(ImagesContext);
  if (images === null) throw new Error("expected an ImagesContext above this component");
  return images;
}

/** null while it is on its way, and for no image. */
export function useImage(session: string, file: string | null, imageId: number | null): HeldImage | null {
  const images = useImages();
  return useSyncExternalStore(images.subscribe, () => (imageId === null ? null : images.get(session, file, imageId)));
}
