import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { csvLine, parseCsv } from "../../../src/session/exports/csvText.ts";

const cell = fc.string({ unit: fc.constantFrom("a", "ü", "1", ",", '"', "\n", "\r", " ", "") , maxLength: 6 });
/** A row of one empty cell is an empty line, which counts for nothing. */
const row = fc.array(cell, { minLength: 1, maxLength: 4 }).filter((cells) => cells.length > 1 || cells[0] !== "");

describe("comma-separated text", () => {
  test("reads back to the same rows, wherever the text is cut", () => {
    fc.assert(
      fc.property(fc.array(row, { maxLength: 5 }), fc.integer({ min: 1, max: 7 }), (rows, size) => {
        const text = rows.map(csvLine).join("");
        const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, i) => text.slice(i * size, (i + 1) * size));
        expect([...parseCsv(pieces)]).toStrictEqual(rows);
      }),
    );
  });

  test("is read with either line end, with or without a last one, and without empty lines", () => {
    expect([...parseCsv(["a,b\n1,2\r\n\n3,"])]).toStrictEqual([["a", "b"], ["1", "2"], ["3", ""]]);
    expect([...parseCsv(['"say ""hi""\r\nthere",x'])]).toStrictEqual([['say "hi"\r\nthere', "x"]]);
    expect([...parseCsv([])]).toStrictEqual([]);
  });

  test("is quoted only where it must be", () => {
    expect(csvLine(["plain", "1.5", "", 'q"', "a,b", "c\nd"])).toBe('plain,1.5,,"q""","a,b","c\nd"\r\n');
  });
});
