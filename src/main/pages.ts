// The app's own pages under evoked://app/, with the headers that keep them to themselves. Knows nothing about windows.
import { readFile } from "node:fs/promises";
import { protocol } from "electron";
import { contentTypeOf, fileOf } from "../engine/pageFiles.ts";
import { pageHeaders } from "../shared/pageSecurity.ts";

const scheme = "evoked";
export const pageOrigin = `${scheme}://app`;

/** Before the app is ready: makes the scheme one with an origin of its own, as safe as https. */
export function registerScheme(): void {
  protocol.registerSchemesAsPrivileged([{ scheme, privileges: { standard: true, secure: true, supportFetchAPI: true } }]);
}

/** Once the app is ready: serves the built windows, and nothing outside their folder. */
export function servePages(folder: string): void {
  protocol.handle(scheme, (request) => answer(folder, request.url, request.method));
}

async function answer(folder: string, address: string, method: string): Promise<Response> {
  const url = new URL(address);
  const file = url.host === "app" && method === "GET" ? fileOf(folder, url.pathname) : null;
  const bytes = file === null ? null : await readOrNull(file);
  if (file === null || bytes === null) return new Response(`There is no page ${url.pathname} in Evoked.`, { status: 404, headers: { ...pageHeaders(), "content-type": "text/plain; charset=utf-8" } });
  return new Response(bytes, { headers: { ...pageHeaders(), "content-type": contentTypeOf(file) } });
}

async function readOrNull(file: string): Promise<Uint8Array<ArrayBuffer> | null> {
  try {
    return new Uint8Array(await readFile(file));
  } catch {
    return null;
  }
}
