// Colours for canvases, from the style sheet's custom properties; maps in viridis, or in reds under the dim red theme.
// Knows nothing about what is drawn.

export type Theme = "dark" | "red";

export interface Palette {
  readonly theme: Theme;
  readonly panel: string;
  readonly line: string;
  readonly text: string;
  readonly dim: string;
  readonly evolved: string;
  readonly reference: string;
  readonly ok: string;
  readonly warn: string;
  readonly fault: string;
  readonly target: string;
  readonly blank: string;
}

const themeKey = "evoked.theme";
const listeners = new Set<() => void>();
let palette: Palette | null = null;

export function currentTheme(): Theme {
  return document.documentElement.dataset["theme"] === "red" ? "red" : "dark";
}

export function setTheme(theme: Theme): void {
  document.documentElement.dataset["theme"] = theme;
  palette = null;
  try {
    window.localStorage.setItem(themeKey, theme);
  } catch {
    // Not kept where the browser keeps nothing.
  }
  for (const listener of listeners) listener();
}

export function restoreTheme(): void {
  let kept: string | null = null;
  try {
    kept = window.localStorage.getItem(themeKey);
  } catch {
    // Dark, then.
  }
  document.documentElement.dataset["theme"] = kept === "red" ? "red" : "dark";
}

export function onTheme(listener: () => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

export function currentPalette(): Palette {
  if (palette !== null) return palette;
  const style = getComputedStyle(document.documentElement);
  const read = (name: string): string => style.getPropertyValue(name).trim();
  palette = {
    theme: currentTheme(), panel: read("--panel"), line: read("--line"), text: read("--text"), dim: read("--dim"), evolved: read("--evolved"),
    reference: read("--reference"), ok: read("--ok"), warn: read("--warn"), fault: read("--fault"), target: read("--target"), blank: read("--blank"),
  };
  return palette;
}

type Rgb = readonly [number, number, number];

/** Viridis at twenty even steps (matplotlib, CC0). */
const viridis: readonly Rgb[] = [
  "440154", "481467", "482576", "453781", "404688", "39558c", "33638d", "2d718e", "287d8e", "238a8d",
  "1f968b", "20a386", "29af7f", "3cbc75", "56c667", "74d055", "94d840", "b8de29", "dce318", "fde725",
].map((hex) => [Number.parseInt(hex.slice(0, 2), 16), Number.parseInt(hex.slice(2, 4), 16), Number.parseInt(hex.slice(4, 6), 16)]);

const reds: readonly Rgb[] = [[20, 3, 2], [70, 10, 7], [128, 20, 14], [188, 38, 26], [240, 82, 60]];

const mapLevels = 256;
/** Written once: maps of all channels take thousands of them a second. */
const mapColours: Record<Theme, string[]> = { dark: [], red: [] };

/** Colour of a value between 0 and 1, in 256 steps; outside it is held at the ends. */
export function mapColour(fraction: number, theme: Theme): string {
  const level = Math.round(Math.min(1, Math.max(0, Number.isFinite(fraction) ? fraction : 0)) * (mapLevels - 1));
  return (mapColours[theme][level] ??= `rgb(${mapRgb(level / (mapLevels - 1), theme).map(Math.round).join(" ")})`);
}

/** Black or near white, whichever is read better on that colour. */
export function inkOn(fraction: number, theme: Theme): string {
  const [r, g, b] = mapRgb(fraction, theme);
  const dark = theme === "red" ? "#0c0202" : "#0b0d10";
  const light = theme === "red" ? "#ff7a63" : "#f2f5f8";
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > (theme === "red" ? 70 : 118) ? dark : light;
}

export function mapRgb(fraction: number, theme: Theme): Rgb {
  const stops = theme === "red" ? reds : viridis;
  const place = Math.min(1, Math.max(0, Number.isFinite(fraction) ? fraction : 0)) * (stops.length - 1);
  const low = stops[Math.floor(place)] ?? [0, 0, 0];
  const high = stops[Math.ceil(place)] ?? low;
  const t = place - Math.floor(place);
  return [low[0] + (high[0] - low[0]) * t, low[1] + (high[1] - low[1]) * t, low[2] + (high[2] - low[2]) * t];
}

/** The same colour, see-through. Takes #rrggbb, or #rgb, which is what a built style sheet makes of #ffffff. */
export function withAlpha(hex: string, alpha: number): string {
  const digits = hex.replace("#", "");
  const n = Number.parseInt(digits.length === 3 ? digits.replaceAll(/./g, "$&$&") : digits, 16);
  return `rgb(${(n >> 16) & 255} ${(n >> 8) & 255} ${n & 255} / ${alpha})`;
}
