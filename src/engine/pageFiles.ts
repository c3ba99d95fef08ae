// Files of the built windows, for the hosts that serve them: which file a path names, and its type. Knows nothing about hosts.
import { extname, join, normalize, sep } from "node:path";

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

export function contentTypeOf(file: string): string {
  return contentTypes[extname(file)] ?? "application/octet-stream";
}

/** The file of a URL's path inside the folder (absolute); null for anything that would leave it or is hidden. */
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
