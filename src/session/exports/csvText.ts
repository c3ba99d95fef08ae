// Comma-separated text after RFC 4180: lines out, rows in. Knows nothing about sessions or files.

/** One line with its end. A cell is quoted where it holds a comma, a quote or a line break. */
export function csvLine(cells: readonly string[]): string {
  return `${cells.map((cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(",")}\r\n`;
}

/** Rows of a text that comes in pieces, cut anywhere. Takes \n and \r\n; a last line without an end counts, an empty line does not. */
export function* parseCsv(pieces: Iterable<string>): Generator<string[]> {
  let row: string[] = [];
  let cell = "";
  let quoted = false;
  /** A quote inside quotes: the end of the cell, or the first half of an escaped quote. */
  let pending = false;
  let started = false;
  const endCell = (): void => {
    row.push(cell);
    cell = "";
    pending = false;
    quoted = false;
  };
  for (const piece of pieces) {
    for (const char of piece) {
      if (quoted) {
        if (pending) {
          pending = false;
          if (char === '"') {
            cell += '"';
            continue;
          }
          quoted = false;
        } else if (char === '"') {
          pending = true;
          continue;
        } else {
          cell += char;
          continue;
        }
      }
      if (char === '"' && cell === "") {
        quoted = true;
        started = true;
      } else if (char === ",") {
        endCell();
        started = true;
      } else if (char === "\n") {
        if (cell.endsWith("\r")) cell = cell.slice(0, -1);
        if (started || cell !== "" || row.length > 0) {
          endCell();
          yield row;
        }
        row = [];
        started = false;
      } else {
        cell += char;
        started ||= char !== "\r";
      }
    }
  }
  if (cell.endsWith("\r")) cell = cell.slice(0, -1);
  if (started || cell !== "" || row.length > 0) {
    endCell();
    yield row;
  }
}
