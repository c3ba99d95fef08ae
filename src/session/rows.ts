// What every table of a session file has in common: inserts, reads, the key of a row. Knows nothing about any one table.
import { createHash } from "node:crypto";
import type { Statement } from "better-sqlite3";
import { hostTimeNs } from "../shared/units.ts";
import type { HostTimeNs } from "../shared/units.ts";
import { decodePng } from "./png.ts";
import type { Connection } from "./sqlite.ts";

export function sha256(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest();
}

export type Value = number | string | null | Uint8Array;

export function insertInto(db: Connection, table: string, columns: readonly string[]): Statement<Value[]> {
  return db.prepare<Value[]>(`INSERT INTO ${table} (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`);
}

// Rows as SQLite gives them. STRICT tables guarantee the types; a NaN was stored as NULL.

export interface Keyed {
  readonly seq: number;
  readonly host_ns: number;
}

interface Key {
  readonly seq: number;
  readonly hostNs: HostTimeNs;
}

/** A record of one kind with its place in the session. */
export type Stored<T> = T & Key;

export function keyOf(row: Keyed): Key {
  return { seq: row.seq, hostNs: hostTimeNs(row.host_ns) };
}

export function numberOrNaN(value: number | null): number {
  return value ?? Number.NaN;
}

/** Reads of one kind: `condition` is SQL over the table's columns, `?` bound by `values`. Rows come in the order of seq unless it says otherwise. */
export type Select = { readonly condition: string; readonly values: readonly (number | string)[] };

/** Rows with seq from `first` to `last`, both included. */
export function seqBetween(first: number, last: number): Select {
  return { condition: "seq BETWEEN ? AND ? ORDER BY seq", values: [first, last] };
}

export const everything: Select = { condition: "1 ORDER BY seq", values: [] };

export function rowsOf<Row>(db: Connection, columns: string, table: string, where: Select): Row[] {
  return db.prepare<(number | string)[], Row>(`SELECT ${columns} FROM ${table} WHERE ${where.condition}`).all(...where.values);
}

export interface ReadOptions {
  /** Decode the pixels of images; without, `rgb` is empty. Default true. */
  readonly pixels?: boolean;
}

/** Pixels of a stored PNG; `name` says which in the error. */
export function rgbOf(png: Uint8Array, name: string): Uint8Array {
  const image = decodePng(png);
  if (!image.ok) throw new Error(`${name}: ${image.error.message}`);
  return image.value.rgb;
}
