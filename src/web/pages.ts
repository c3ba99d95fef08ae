// Serves the built renderer's files with strict headers. Knows nothing about tokens' meaning or the engine.
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { extname, join, normalize, sep } from "node:path";
import { pageHeaders } from "../shared/pageSecurity.ts";
import type { IncomingMessage, ServerResponse } from "node:http";

const contentTypes: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".jpg": "image/jpeg",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2",
  ".wasm": "application/wasm",
  ".map": "application/json; charset=utf-8",
};

export interface PagesOptions {
  /** Folder with index.html and stimulus.html. */
  readonly folder: string;
  /** Whether this request may have a page; files that pages load are free. */
  readonly mayOpen: (url: URL) => boolean;
  /** Link addresses that the page may connect to. */
  readonly connect: (request: IncomingMessage) => readonly string[];
}

/** Answers GET and HEAD for files inside the folder, and nothing else. */
export async function servePage(options: PagesOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const headers = pageHeaders(options.connect(request));
  if (request.method !== "GET" && request.method !== "HEAD") return sendText(response, 405, "This address only serves pages: use GET.", { ...headers, allow: "GET, HEAD" });
  const url = new URL(request.url ?? "/", "http://evoked.invalid");
  const file = fileOf(options.folder, url.pathname);
  const size = file === null ? null : await sizeOf(file);
  if (file === null || size === null) return sendText(response, 404, `There is no page ${JSON.stringify(url.pathname.slice(0, 200))} here. Open the address that Evoked printed.`, headers);
  const isPage = extname(file) === ".html";
  if (isPage && !options.mayOpen(url)) return sendText(response, 403, "This page needs the whole address that Evoked printed: it ends in ?token= and a random word, new with every start.", headers);
  response.writeHead(200, {
    ...headers,
    "content-type": contentTypes[extname(file)] ?? "application/octet-stream",
    "content-length": size,
    // File names of the build carry a hash of their content.
    "cache-control": url.pathname.startsWith("/assets/") ? "private, max-age=31536000, immutable" : "no-store",
  });
  if (request.method === "HEAD") response.end();
  else createReadStream(file).on("error", () => response.destroy()).pipe(response);
}

/** The file of a path inside the folder; null for anything that would leave it or is hidden. */
export function fileOf(folder: string, pathname: string): string | null {
  const decoded = decode(pathname);
  if (decoded === null || decoded.includes("\0") || decoded.includes("\\")) return null;
  const relative = normalize(decoded === "/" ? "/index.html" : decoded);
  if (relative.split(sep).some((part) => part.startsWith("."))) return null;
  const file = join(folder, relative);
  return file.startsWith(folder.endsWith(sep) ? folder : folder + sep) ? file : null;
}

function decode(pathname: string): string | null {
  try {
    return decodeURIComponent(pathname);
  } catch {
    return null;
  }
}

async function sizeOf(file: string): Promise<number | null> {
  try {
    const found = await stat(file);
    return found.isFile() ? found.size : null;
  } catch {
    return null;
  }
}

export function sendText(response: ServerResponse, status: number, text: string, headers: Readonly<Record<string, string>>): void {
  response.writeHead(status, { ...headers, "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" });
  response.end(`${text}\n`);
}
