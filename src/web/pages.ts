// Serves the built renderer's files with strict headers. Knows nothing about tokens' meaning or the engine.
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { extname } from "node:path";
import { contentTypeOf, fileOf } from "../engine/pageFiles.ts";
import { pageHeaders } from "../shared/pageSecurity.ts";
import type { IncomingMessage, ServerResponse } from "node:http";

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
    "content-type": contentTypeOf(file),
    "content-length": size,
    // File names of the build carry a hash of their content.
    "cache-control": url.pathname.startsWith("/assets/") ? "private, max-age=31536000, immutable" : "no-store",
  });
  if (request.method === "HEAD") response.end();
  else createReadStream(file).on("error", () => response.destroy()).pipe(response);
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
