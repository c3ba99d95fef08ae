// A report's files: one page of HTML that needs nothing else, its figures as SVG and PNG, its tables as CSV. Knows nothing about
// what an analysis is: sections of text, figures, tables and pictures.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Transformer } from "@napi-rs/image";
import type { ImageBatch } from "../../../shared/values.ts";
import { writeWhole } from "../sweepFiles.ts";
import { escapeText } from "./chart.ts";
import type { Theme } from "./chart.ts";

export interface Figure {
  /** File name without ending, e.g. "activation-shapes-relu". */
  readonly name: string;
  readonly caption: string;
  readonly draw: (theme: Theme) => string;
}

export interface Table {
  readonly name: string;
  readonly caption: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number | boolean | null)[])[];
  /** Rows shown on the page; the CSV has all. 0 only names the file. */
  readonly shown?: number;
}

/** A row of pictures of one condition, best first. */
export interface PictureCell {
  readonly label: string;
  readonly sublabel: string;
  readonly images: readonly { readonly image: ImageBatch; readonly caption: string }[];
}

export interface PictureGrid {
  readonly caption: string;
  /** null leaves a place empty. */
  readonly rows: readonly { readonly title: string; readonly cells: readonly (PictureCell | null)[] }[];
}

export interface Section {
  readonly title: string;
  /** Paragraphs, plain text. */
  readonly text?: readonly string[];
  readonly verdicts?: readonly { readonly holds: boolean | null; readonly statement: string; readonly evidence: string }[];
  readonly figures?: readonly Figure[];
  readonly tables?: readonly Table[];
  readonly pictures?: readonly PictureGrid[];
}

export interface ReportContent {
  readonly title: string;
  readonly summary: readonly string[];
  readonly sections: readonly Section[];
  /** Name and value, in order: settings, hashes, the command. */
  readonly provenance: readonly (readonly [string, string])[];
  readonly command: string;
}

/** Quality of the pictures embedded in the page; the PNG files beside it are exact. */
const webpQuality = 82;

/** Writes index.html, figures/*.svg|png and tables/*.csv; answers their paths, the page first. */
export async function writeReport(folder: string, content: ReportContent): Promise<string[]> {
  const figures = content.sections.flatMap((section) => section.figures ?? []);
  const tables = content.sections.flatMap((section) => section.tables ?? []);
  const page = join(folder, "index.html");
  const written = [page];
  await mkdir(join(folder, "figures"), { recursive: true });
  await mkdir(join(folder, "tables"), { recursive: true });
  for (const figure of figures) {
    const svg = join(folder, "figures", `${figure.name}.svg`);
    const png = join(folder, "figures", `${figure.name}.png`);
    await writeWhole(svg, figure.draw("auto"));
    await writeWhole(png, await Transformer.fromSvg(figure.draw("light")).png());
    written.push(svg, png);
  }
  for (const table of tables) {
    const path = join(folder, "tables", `${table.name}.csv`);
    await writeWhole(path, formatCsv(table));
    written.push(path);
  }
  await writeWhole(page, await formatPage(content));
  return written;
}

/** RFC 4180; numbers with all their digits, null empty. */
export function formatCsv(table: Pick<Table, "columns" | "rows">): string {
  const cell = (value: string | number | boolean | null): string => {
    if (value === null) return "";
    const text = String(value);
    return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
  };
  return [table.columns.map(cell), ...table.rows.map((row) => row.map(cell))].map((cells) => `${cells.join(",")}\r\n`).join("");
}

export async function toWebp(image: ImageBatch): Promise<Buffer> {
  return new Transformer(await pngOf(image)).webp(webpQuality);
}

export async function pngOf(image: ImageBatch): Promise<Buffer> {
  const pixels = image.width * image.height;
  const rgba = new Uint8Array(pixels * 4).fill(255);
  for (let i = 0; i < pixels; i++) {
    rgba[i * 4] = image.data[i * 3] ?? 0;
    rgba[i * 4 + 1] = image.data[i * 3 + 1] ?? 0;
    rgba[i * 4 + 2] = image.data[i * 3 + 2] ?? 0;
  }
  return Transformer.fromRgbaPixels(rgba, image.width, image.height).png();
}

async function formatPage(content: ReportContent): Promise<string> {
  const sections: string[] = [];
  for (const section of content.sections) {
    const parts = [`<h2>${escapeText(section.title)}</h2>`, ...(section.text ?? []).map((text) => `<p>${escapeText(text)}</p>`)];
    if (section.verdicts !== undefined) {
      const rows = section.verdicts.map(({ holds, statement, evidence }) => {
        const [kind, word] = holds === null ? ["open", "not tested"] : holds ? ["yes", "reproduced"] : ["no", "not reproduced"];
        return `<li class="${kind}"><b>${word}</b><span>${escapeText(statement)}</span><small>${escapeText(evidence)}</small></li>`;
      });
      parts.push(`<ul class="verdicts">${rows.join("")}</ul>`);
    }
    if ((section.figures ?? []).length > 0) parts.push(`<div class="figures">${(section.figures ?? []).map((figure) => `<figure>${figure.draw("auto")}<figcaption>${escapeText(figure.caption)}</figcaption></figure>`).join("")}</div>`);
    for (const grid of section.pictures ?? []) parts.push(await formatGrid(grid));
    for (const table of section.tables ?? []) parts.push(formatTable(table));
    sections.push(`<section>${parts.join("\n")}</section>`);
  }
  const provenance = content.provenance.map(([name, value]) => `<tr><th>${escapeText(name)}</th><td>${escapeText(value)}</td></tr>`).join("");
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark"><title>${escapeText(content.title)}</title><style>${pageStyle}</style></head>
<body><main><h1>${escapeText(content.title)}</h1>${content.summary.map((text) => `<p class="lead">${escapeText(text)}</p>`).join("")}
${sections.join("\n")}
<section><h2>How it was made</h2><p>This command makes it again:</p><pre>${escapeText(content.command)}</pre><table class="provenance"><tbody>${provenance}</tbody></table></section>
</main></body></html>
`;
}

async function formatGrid(grid: PictureGrid): Promise<string> {
  const rows: string[] = [];
  for (const row of grid.rows) {
    const cells: string[] = [];
    for (const cell of row.cells) {
      if (cell === null) {
        cells.push('<div class="cell"></div>');
        continue;
      }
      const pictures = await Promise.all(cell.images.map(async ({ image, caption }) => ({ caption, src: `data:image/webp;base64,${(await toWebp(image)).toString("base64")}`, width: image.width, height: image.height })));
      const [best, ...others] = pictures;
      const picture = (p: (typeof pictures)[number]): string => `<img src="${p.src}" width="${p.width}" height="${p.height}" alt="${escapeText(p.caption)}" title="${escapeText(p.caption)}">`;
      const more = others.length === 0 ? "" : `<details><summary>${pictures.length} runs</summary><div class="runs">${others.map(picture).join("")}</div></details>`;
      cells.push(`<div class="cell">${best === undefined ? "" : picture(best)}<b>${escapeText(cell.label)}</b><small>${escapeText(cell.sublabel)}</small>${more}</div>`);
    }
    rows.push(`<div class="strip"><h4>${escapeText(row.title)}</h4><div class="cells">${cells.join("")}</div></div>`);
  }
  return `<div class="grid"><p class="caption">${escapeText(grid.caption)}</p>${rows.join("")}</div>`;
}

function formatTable(table: Table): string {
  if (table.shown === 0) return `<p class="caption">${escapeText(table.caption)}: tables/${escapeText(table.name)}.csv</p>`;
  const shown = table.rows.slice(0, table.shown ?? 40);
  const cell = (value: string | number | boolean | null): string => {
    if (value === null) return "<td>–</td>";
    if (typeof value !== "number") return `<td>${escapeText(String(value))}</td>`;
    return `<td class="number">${formatNumber(value)}</td>`;
  };
  const left = table.rows.length - shown.length;
  return `<div class="scroll"><table><caption>${escapeText(table.caption)}${left > 0 ? ` (${shown.length} of ${table.rows.length} rows; all in tables/${escapeText(table.name)}.csv)` : ""}</caption><thead><tr>${table.columns.map((column) => `<th>${escapeText(column)}</th>`).join("")}</tr></thead><tbody>${shown.map((row) => `<tr>${row.map(cell).join("")}</tr>`).join("")}</tbody></table></div>`;
}

/** Three significant digits; small p values in powers of ten. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (value === 0 || Number.isInteger(value)) return String(value).replace("-", "−");
  if (Math.abs(value) < 1e-4) return value.toExponential(1).replace(/-/g, "−");
  return Number(value.toPrecision(3)).toString().replace("-", "−");
}

const pageStyle = `
:root{--back:#fff;--panel:#f6f8fa;--text:#1a2027;--dim:#5c6873;--line:#dde3e8;--yes:#00734f;--no:#b34a00}
@media(prefers-color-scheme:dark){:root{--back:#0a0c0f;--panel:#101419;--text:#dbe2ea;--dim:#8e9ba9;--line:#222a33;--yes:#3fd3a6;--no:#ff9a5c}}
*{box-sizing:border-box}body{margin:0;background:var(--back);color:var(--text);font:15px/1.5 Inter,"Inter Variable","Helvetica Neue",Arial,sans-serif;font-variant-numeric:tabular-nums}
main{max-width:1240px;margin:0 auto;padding:28px 24px 80px}h1{font-size:26px;line-height:1.2;margin:0 0 12px;letter-spacing:-.01em}h2{font-size:18px;margin:36px 0 10px;padding-top:14px;border-top:1px solid var(--line)}
.lead{font-size:16px;max-width:80ch;margin:6px 0}p{max-width:90ch}.caption,figcaption,caption{color:var(--dim);font-size:13px;text-align:left}
.figures{display:flex;flex-wrap:wrap;gap:14px}figure{margin:0;background:var(--panel);border:1px solid var(--line);border-radius:6px;padding:8px;max-width:480px}figure svg{display:block;max-width:100%;height:auto;border-radius:4px}
.verdicts{list-style:none;padding:0;display:grid;gap:8px}.verdicts li{display:grid;grid-template-columns:130px 1fr;gap:2px 14px;padding:9px 12px;border:1px solid var(--line);border-left-width:4px;border-radius:6px;background:var(--panel)}
.verdicts small{grid-column:2;color:var(--dim);font-size:13px}.yes{border-left-color:#009e73!important}.no{border-left-color:#d55e00!important}.yes b{color:var(--yes)}.no b{color:var(--no)}.open b{color:var(--dim)}
.scroll{overflow-x:auto;margin:14px 0}table{border-collapse:collapse;font-size:13.5px}th,td{padding:4px 10px;border-bottom:1px solid var(--line);text-align:left;white-space:nowrap}td.number{text-align:right}
.provenance td{white-space:normal;word-break:break-all}pre{background:var(--panel);border:1px solid var(--line);border-radius:6px;padding:10px 12px;white-space:pre-wrap;word-break:break-word;font-size:13px}
.grid{margin:16px 0}.strip{margin:0 0 12px}.strip h4{margin:8px 0 6px;font-size:13px;font-weight:600;color:var(--dim)}.cells{display:flex;gap:6px;overflow-x:auto;padding-bottom:6px;align-items:flex-start}
.cell{flex:0 0 96px;width:96px;font-size:12px;line-height:1.3}.cell img{display:block;width:96px;height:96px;border-radius:4px;margin-bottom:3px}.cell b{display:block;font-weight:600}.cell small{display:block;color:var(--dim)}
details summary{cursor:pointer;color:var(--dim)}.runs{display:grid;grid-template-columns:1fr 1fr;gap:3px;margin-top:3px}.runs img{width:100%;height:auto}
@media print{details{display:none}}`;
