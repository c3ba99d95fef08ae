// Small hooks: theme, time that passes, canvases that follow the store. Knows nothing about panels.
import { useCallback, useEffect, useState, useSyncExternalStore } from "react";
import { beatOf, lateForBeatMs, subscribeTick, tickCount, untilNext, useStore } from "./store.ts";
import { currentPalette, currentTheme, onTheme } from "./draw/palette.ts";
import type { Area } from "./draw/area.ts";
import type { Theme } from "./draw/palette.ts";
import type { UiState } from "./uiState.ts";

export function useTheme(): Theme {
  return useSyncExternalStore(onTheme, currentTheme);
}

/** Renders twice a second whatever happens: ages grow when nothing arrives. Returns ms on this window's clock. */
export function useNowMs(): number {
  useSyncExternalStore(subscribeTick, tickCount);
  return performance.now();
}

/** A value of `window.matchMedia`. */
export function useMedia(query: string): boolean {
  const subscribe = useCallback((listener: () => void) => {
    const media = window.matchMedia(query);
    media.addEventListener("change", listener);
    return () => media.removeEventListener("change", listener);
  }, [query]);
  return useSyncExternalStore(subscribe, () => window.matchMedia(query).matches);
}

/** The inner size of an element, px; 0 before it is there. */
export function useSize(): { readonly ref: React.RefCallback<HTMLElement>; readonly widthPx: number; readonly heightPx: number } {
  const [element, setElement] = useState<HTMLElement | null>(null);
  const [size, setSize] = useState({ widthPx: 0, heightPx: 0 });
  useEffect(() => {
    if (element === null) return;
    const sizes = new ResizeObserver(() => setSize({ widthPx: element.clientWidth, heightPx: element.clientHeight }));
    sizes.observe(element);
    return () => sizes.disconnect();
  }, [element]);
  return { ref: setElement, ...size };
}

/**
 * A canvas drawn anew when `select` gives another value, the size changes or the theme does: at most once per animation frame,
 * and past React. `everyMs` spaces the drawings of what nobody reads ten times a second, all of one pace in one frame; `also` names another
 * reason to draw.
 */
export function useLiveCanvas<T>(select: (state: UiState) => T, draw: (area: Area, value: T) => void, everyMs = 0, also?: (listener: () => void) => () => void): React.RefCallback<HTMLCanvasElement> {
  const store = useStore();
  // As state: a canvas that comes later than its panel is drawn too.
  const [canvas, setCanvas] = useState<HTMLCanvasElement | null>(null);
  useEffect(() => {
    const context = canvas?.getContext("2d") ?? null;
    if (canvas === null || context === null) return;
    let shown: { readonly value: T } | null = null;
    let frame = 0;
    let timer: ReturnType<typeof setTimeout> | null = null;
    let drawnIn = -1;

    const paint = (): void => {
      frame = 0;
      const { width, height } = canvas.getBoundingClientRect();
      if (width < 1 || height < 1) return;
      const ratio = window.devicePixelRatio;
      const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
      if (canvas.width !== w || canvas.height !== h) {
        canvas.width = w;
        canvas.height = h;
      }
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      if (timer !== null) clearTimeout(timer);
      timer = null;
      shown = { value: select(store.get()) };
      drawnIn = beatOf(everyMs);
      draw({ context, widthPx: width, heightPx: height, palette: currentPalette() }, shown.value);
    };
    const request = (): void => {
      if (frame === 0) frame = requestAnimationFrame(paint);
    };
    const changed = (): void => {
      if (shown !== null && Object.is(select(store.get()), shown.value)) return;
      if (everyMs === 0 || beatOf(everyMs) !== drawnIn) return request();
      timer ??= setTimeout(() => {
        timer = null;
        request();
      }, untilNext(everyMs) + lateForBeatMs);
    };

    const stopStore = store.subscribe(changed);
    const stopTheme = onTheme(request);
    const stopAlso = also?.(request);
    const sizes = new ResizeObserver(request);
    sizes.observe(canvas);
    request();
    return () => {
      stopStore();
      stopTheme();
      stopAlso?.();
      sizes.disconnect();
      if (frame !== 0) cancelAnimationFrame(frame);
      if (timer !== null) clearTimeout(timer);
    };
  }, [store, canvas, select, draw, everyMs, also]);
  return setCanvas;
}
