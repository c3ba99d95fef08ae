// Numbers as an operator reads them. Knows nothing about where they come from.

/** "0:41:08"; "-" where unknown. */
export function formatDuration(ms: number | null): string {
  if (ms === null || !Number.isFinite(ms)) return "–";
  const total = Math.max(0, Math.floor(ms / 1000));
  const two = (n: number): string => String(n).padStart(2, "0");
  return `${Math.floor(total / 3600)}:${two(Math.floor(total / 60) % 60)}:${two(total % 60)}`;
}

/** "4 min", "50 s", "1 h 12 min": how long something still takes. */
export function formatRemaining(ms: number | null): string {
  if (ms === null || !Number.isFinite(ms)) return "–";
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  if (seconds < 60) return `${seconds < 10 ? seconds : Math.ceil(seconds / 10) * 10} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** "12 ms", "1.4 s", "2 min": how old something is. */
export function formatAge(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  return ms < 7_200_000 ? `${Math.round(ms / 60_000)} min` : `${Math.round(ms / 3_600_000)} h`;
}

/** "74.1", "0.0", "120": rates in spikes/s, three figures. */
export function formatRate(rateHz: number | null | undefined): string {
  if (rateHz === null || rateHz === undefined || !Number.isFinite(rateHz)) return "–";
  return Math.abs(rateHz) >= 99.95 ? rateHz.toFixed(0) : rateHz.toFixed(1);
}

/** "1,284" */
export function formatCount(n: number): string {
  return Math.round(n).toLocaleString("en-US");
}

export function formatMl(ml: number): string {
  return ml < 100 ? ml.toFixed(1) : ml.toFixed(0);
}

export function formatBytes(bytes: number): string {
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(0)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

/** Evolved over reference, "2.9"; null where there is nothing to divide by. */
export function ratioOf(evolved: number | null | undefined, reference: number | null | undefined): string | null {
  if (evolved === null || evolved === undefined || reference === null || reference === undefined || !(reference > 0)) return null;
  const ratio = evolved / reference;
  return ratio >= 9.95 ? ratio.toFixed(0) : ratio.toFixed(1);
}

/** "22 Nov 2026, 14:05" in the reader's own time zone. */
export function formatDate(iso: string): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return iso;
  const day = date.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
  return `${day}, ${date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })}`;
}

/** Rounds up to a number whose quarters and halves one can read: the end of an axis with four steps. */
export function niceCeiling(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8].find((s) => value <= s * power * (1 + 1e-9)) ?? 10;
  return step * power;
}

/** A cell of a table: four figures are enough to read. */
export function cellWords(value: number | string | null): string {
  if (value === null) return "–";
  if (typeof value === "string") return value;
  return Number.isInteger(value) || !Number.isFinite(value) ? String(value) : Math.abs(value) >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(4)));
}
