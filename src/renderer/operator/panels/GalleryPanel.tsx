// One image per generation, as the evolution went. Knows nothing about how it went.
import { memo, useEffect, useMemo, useRef } from "react";
import { formatRate } from "../format.ts";
import { Key, Panel, SessionImage } from "../parts.tsx";
import { useUi } from "../store.ts";
import { galleryOf } from "../uiState.ts";
import type { GalleryItem } from "../../../shared/contract/index.ts";

export type GalleryRole = "best" | "newest";

const roles: readonly GalleryRole[] = ["best", "newest"];
const noItems: readonly GalleryItem[] = [];

export function useGallery(thread: number, role: GalleryRole): readonly GalleryItem[] {
  const gallery = useUi((s) => s.snapshot?.gallery ?? noItems);
  const atGeneration = useUi((s) => s.atGeneration);
  const reviewing = useUi((s) => s.file !== null);
  return useMemo(() => {
    const items = galleryOf(gallery, thread, role);
    return reviewing || atGeneration === null ? items : items.filter((i) => i.generation <= atGeneration);
  }, [gallery, thread, role, atGeneration, reviewing]);
}

export const GalleryPanel = memo(function GalleryPanel(props: {
  readonly thread: number;
  readonly role: GalleryRole;
  /** Chosen generation; null = the newest, whatever it is. */
  readonly chosen: number | null;
  readonly onChoose: (generation: number) => void;
  readonly onOpen: (generation: number) => void;
  readonly onRole: (role: GalleryRole) => void;
}) {
  const items = useGallery(props.thread, props.role);
  const session = useUi((s) => s.snapshot?.session?.id ?? "");
  const file = useUi((s) => s.file);
  const shown = props.chosen ?? items.at(-1)?.generation ?? null;
  const strip = useRef<HTMLOListElement>(null);
  useEffect(() => {
    strip.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest", inline: props.chosen === null ? "end" : "center" });
  }, [shown, props.chosen, items.length]);
  return (
    <Panel
      name="gallery" title="An image of each generation" age="generation"
      aside={<>
        <span className="hint-keys"><Key>←</Key> <Key>→</Key> choose</span><span className="hint-keys"><Key>Enter</Key> all of it</span>
        <span className="segments" role="radiogroup" aria-label="Which image">
          {roles.map((r) => <button type="button" role="radio" aria-checked={r === props.role} key={r} onMouseDown={(e) => e.preventDefault()} onClick={() => props.onRole(r)}>{r}</button>)}
        </span>
        <Key>G</Key>
      </>}
    >
      {items.length === 0
        ? <p className="waiting">No generation is complete yet</p>
        : (
          <ol className="gallery" ref={strip} role="listbox" aria-label="Generations">
            {items.map((item) => (
              <li key={item.generation} role="option" aria-selected={item.generation === shown} data-testid="gallery-item" data-generation={item.generation} data-image={item.imageId}>
                <button type="button" tabIndex={-1} onMouseDown={(e) => e.preventDefault()} onClick={() => (item.generation === shown ? props.onOpen(item.generation) : props.onChoose(item.generation))}>
                  <SessionImage session={session} file={file} imageId={item.imageId} alt={`${props.role} image of generation ${item.generation}`} />
                  <span>{item.generation} <b>{formatRate(item.rateHz)}</b></span>
                </button>
              </li>
            ))}
          </ol>
        )}
    </Panel>
  );
});
