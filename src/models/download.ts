// Downloads one official file: progress, resume, disk space, hash. Knows nothing about models or catalogues.
//
// The file grows under NAME.part, with NAME.part.json saying which version of which address it is a part of; only a complete file
// with the right hash gets its name. A broken download stays and is gone on with at the next try.

import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, readFile, rename, rm, stat, statfs, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { z } from "zod";

import { fault, FaultError, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { describe } from "./registry.ts";

export interface DownloadProgress {
  readonly receivedBytes: number;
  /** null where the server does not say. */
  readonly totalBytes: number | null;
}

export interface DownloadRequest {
  readonly url: string;
  /** Complete path of the finished file. */
  readonly path: string;
  readonly sha256: string | null;
  readonly sha256Begins: string | null;
  /** Size to reckon with where the server states none. */
  readonly aboutBytes: number | null;
  readonly onProgress?: (progress: DownloadProgress) => void;
  readonly signal?: AbortSignal;
  /** No byte for so long ends the try; default 30 s. */
  readonly stallMs?: number;
  /** Bytes free on the disk that holds a folder; a test brings its own. */
  readonly freeBytes?: (folder: string) => Promise<number>;
}

/** Space that stays free on the disk whatever is downloaded: recordings need it. */
export const spareBytes = 500e6;

const partState = z.object({ url: z.string(), etag: z.string().nullable() });

async function freeBytesOf(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then((found) => found.size, () => 0);
}

export async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest("hex");
}

/**
 * Downloads, or answers at once where the complete file is there already. Errors: `downloadRefused` (404 and the like),
 * `downloadBroken` (the line broke or stalled: call again to go on), `diskFull`, `hashWrong` (the file is removed), `downloadStopped`.
 */
export async function downloadFile(request: DownloadRequest): Promise<Result<{ readonly path: string; readonly sha256: string; readonly sizeBytes: number }, Fault>> {
  const { path } = request;
  const name = basename(path);
  try {
    await mkdir(dirname(path), { recursive: true });
    if ((await sizeOf(path)) === 0) {
      await receive(request);
      const checked = await checkHash(`${path}.part`, request);
      await rm(`${path}.part.json`, { force: true });
      if (!checked.ok) {
        await rm(`${path}.part`, { force: true });
        return checked;
      }
      await rename(`${path}.part`, path);
      return ok({ path, sha256: checked.value, sizeBytes: await sizeOf(path) });
    }
    const checked = await checkHash(path, request);
    if (!checked.ok) {
      await rm(path, { force: true });
      return checked;
    }
    return ok({ path, sha256: checked.value, sizeBytes: await sizeOf(path) });
  } catch (error) {
    if (error instanceof FaultError) return fault(error.code, error.message);
    if (hasCode(error, "ENOSPC")) return fault("diskFull", `The disk filled up while ${name} was written to ${dirname(path)}. Make room; what has come is kept and the next try goes on from there.`);
    if (hasCode(error, "EACCES") || hasCode(error, "EPERM") || hasCode(error, "EROFS")) return fault("folderClosed", `${dirname(path)} cannot be written to (${describe(error)}). Choose another folder with EVOKED_MODELS.`);
    const cause = error instanceof Error ? error.cause : undefined;
    if (["ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ENETUNREACH", "EHOSTUNREACH"].some((code) => hasCode(cause, code))) {
      return fault("hostUnreachable", `${new URL(request.url).host} cannot be reached from this computer (${explain(error)}). Check its network; without one, bring ${name} over on a disk and import it.`);
    }
    return fault("downloadBroken", `The download of ${name} broke off (${explain(error)}). What has come is kept: the next try goes on from there.`);
  }
}

async function checkHash(path: string, { sha256, sha256Begins, url }: DownloadRequest): Promise<Result<string, Fault>> {
  const found = await hashFile(path);
  const wanted = sha256 ?? sha256Begins;
  if (wanted === null || found.startsWith(wanted)) return ok(found);
  return fault("hashWrong", `Expected ${basename(path).replace(/\.part$/, "")} with a sha256 ${sha256 === null ? "beginning with " : ""}${wanted.slice(0, 16)}, got ${found.slice(0, 16)}. The file was damaged on its way or exchanged at ${new URL(url).host}; it was removed. Try again, and if it goes on, do not use that address.`);
}

async function receive(request: DownloadRequest): Promise<void> {
  const { url, path, signal, stallMs = 30_000, freeBytes = freeBytesOf } = request;
  const part = `${path}.part`;
  const name = basename(path);
  checkAddress(url);
  const known = await readPartState(`${part}.json`);
  let from = known?.url === url ? await sizeOf(part) : 0;

  const stall = new AbortController();
  const stalled = (): void => stall.abort(new FaultError({ code: "downloadBroken", message: `No data for ${stallMs / 1000} s from ${new URL(url).host} while downloading ${name}. What has come is kept: the next try goes on from there.` }));
  let timer = setTimeout(stalled, stallMs);
  const wake = (): void => {
    clearTimeout(timer);
    timer = setTimeout(stalled, stallMs);
  };
  const stopped = (): void => stall.abort(new FaultError({ code: "downloadStopped", message: `The download of ${name} was stopped. What has come is kept: the next try goes on from there.` }));
  signal?.addEventListener("abort", stopped, { once: true });
  if (signal?.aborted === true) stopped();
  try {
    // Uncompressed, so that the count of bytes and a range mean the file itself.
    const headers: Record<string, string> = { "accept-encoding": "identity" };
    if (from > 0) {
      headers["range"] = `bytes=${from}-`;
      if (known?.etag != null) headers["if-range"] = known.etag;
    }
    let response = await fetch(url, { headers, signal: stall.signal, redirect: "follow" });
    checkAddress(response.url === "" ? url : response.url);
    if (response.status === 416) {
      // There is nothing after what we have: complete, or not a part of this file. The hash decides; without a length, start again.
      await response.body?.cancel();
      const total = Number(/\*\/(\d+)/.exec(response.headers.get("content-range") ?? "")?.[1] ?? Number.NaN);
      if (total === from) return;
      from = 0;
      response = await fetch(url, { headers: { "accept-encoding": "identity" }, signal: stall.signal, redirect: "follow" });
    }
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      throw new FaultError({ code: "downloadRefused", message: refusal(response.status, url, name) });
    }
    if (response.status !== 206 || rangeStart(response) !== from) from = 0;
    const announced = Number(response.headers.get("content-length") ?? Number.NaN);
    const totalBytes = Number.isFinite(announced) ? from + announced : null;
    const toCome = Number.isFinite(announced) ? announced : Math.max(0, (request.aboutBytes ?? 0) - from);
    const free = await freeBytes(dirname(path));
    if (free < toCome + spareBytes) {
      await response.body.cancel();
      throw new FaultError({ code: "diskFull", message: `${name} needs ${megabytes(toCome)} more in ${dirname(path)}, and ${megabytes(spareBytes)} should stay free for recordings; ${megabytes(free)} are free. Make room, or choose another folder with EVOKED_MODELS.` });
    }
    await writeFile(`${part}.json`, JSON.stringify({ url, etag: response.headers.get("etag") }));

    let received = from;
    let reportedMs = 0;
    const out = createWriteStream(part, { flags: from > 0 ? "a" : "w" });
    const failed = new Promise<never>((_, reject) => out.once("error", reject));
    failed.catch(() => undefined);
    try {
      for await (const chunk of response.body) {
        wake();
        received += chunk.length;
        if (!out.write(chunk)) await Promise.race([new Promise<void>((resolve) => out.once("drain", resolve)), failed]);
        const now = performance.now();
        if (now - reportedMs > 100) {
          reportedMs = now;
          request.onProgress?.({ receivedBytes: received, totalBytes });
        }
      }
    } finally {
      await Promise.race([new Promise<void>((resolve) => out.end(resolve)), failed]);
    }
    request.onProgress?.({ receivedBytes: received, totalBytes });
    if (totalBytes !== null && received !== totalBytes) {
      throw new FaultError({ code: "downloadBroken", message: `${name} ended after ${megabytes(received)} of ${megabytes(totalBytes)}. What has come is kept: the next try goes on from there.` });
    }
  } catch (error) {
    throw stall.signal.aborted && stall.signal.reason instanceof FaultError ? stall.signal.reason : error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stopped);
  }
}

async function readPartState(path: string): Promise<z.infer<typeof partState> | null> {
  try {
    return partState.parse(JSON.parse(await readFile(path, "utf8")));
  } catch {
    return null;
  }
}

function rangeStart(response: Response): number {
  return Number(/^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "")?.[1] ?? Number.NaN);
}

/** Weights come over https; a server of this machine may do without. */
function checkAddress(url: string): void {
  const { protocol, hostname, host } = new URL(url);
  if (protocol === "https:" || (protocol === "http:" && ["127.0.0.1", "[::1]", "localhost"].includes(hostname))) return;
  throw new FaultError({ code: "downloadRefused", message: `${host} gives the file over an unprotected line (${protocol.replace(":", "")}); it was not downloaded. Get it over https and import it.` });
}

function refusal(status: number, url: string, name: string): string {
  const host = new URL(url).host;
  if (status === 404 || status === 410) return `${host} has no ${name} any more (${status}). The publisher has moved it: look at the model's page (evoked models show), download it by hand and import it.`;
  if (status === 401 || status === 403) return `${host} does not give ${name} without a login (${status}). Download it by hand in a browser and import it.`;
  return `${host} answered ${status} when asked for ${name}. ${status >= 500 ? "It has a fault of its own: try again later." : "Download it by hand and import it."}`;
}

export function megabytes(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${(bytes / 1e6).toFixed(bytes < 10e6 ? 1 : 0)} MB`;
}

/** undici hides the cause of a failed fetch one level down. */
function explain(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error ? cause.message : describe(error);
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

/** Where a file of an address lies inside a downloads folder. */
export function downloadPath(downloadsDir: string, fileName: string): string {
  return join(downloadsDir, fileName);
}
