import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { downloadFile } from "../../../src/models/download.ts";
import type { DownloadProgress, DownloadRequest } from "../../../src/models/download.ts";
import { createRng } from "../../../src/shared/rng.ts";
import { aFileServer } from "./fileServer.ts";
import type { FileServer, FileServerOptions } from "./fileServer.ts";

const rng = createRng("weights of a network");
const weights = Uint8Array.from({ length: 300_000 }, () => rng.int(256));
const sha256 = createHash("sha256").update(weights).digest("hex");

let dir: string;
let server: FileServer | null = null;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "evoked-download-"));
});
afterEach(async () => {
  await server?.close();
  server = null;
  await rm(dir, { recursive: true, force: true });
});

async function serve(options: Partial<FileServerOptions> = {}): Promise<FileServer> {
  server = await aFileServer({ files: { "net.pth": weights }, ...options });
  return server;
}

function download(from: FileServer, changes: Partial<DownloadRequest> = {}) {
  return downloadFile({ url: from.url("net.pth"), path: join(dir, "net.pth"), sha256, sha256Begins: null, aboutBytes: null, ...changes });
}

async function codeOf(work: ReturnType<typeof download>): Promise<string> {
  const result = await work;
  return result.ok ? "ok" : result.error.code;
}

describe("a download", () => {
  it("brings the file, tells how far it is, and leaves nothing else behind", async () => {
    const seen: DownloadProgress[] = [];
    const result = await download(await serve(), { onProgress: (progress) => seen.push(progress) });
    expect(result).toMatchObject({ ok: true, value: { sha256, sizeBytes: 300_000 } });
    expect(new Uint8Array(await readFile(join(dir, "net.pth")))).toEqual(weights);
    expect(seen.at(-1)).toEqual({ receivedBytes: 300_000, totalBytes: 300_000 });
    expect(existsSync(join(dir, "net.pth.part")) || existsSync(join(dir, "net.pth.part.json"))).toBe(false);
  });
  it("takes its time with a slow server", async () => {
    const slow = await serve({ files: { "net.pth": weights.slice(0, 8000) }, waitMs: 40 });
    expect(await codeOf(download(slow, { sha256: null, stallMs: 150 }))).toBe("ok");
  });
  it("asks for nothing when the file is there and right", async () => {
    const from = await serve();
    await download(from);
    expect(await codeOf(download(from))).toBe("ok");
    expect(from.requests.length).toBe(1);
  });
  it("goes on where it broke off, asking only for the rest", async () => {
    const from = await serve({ breakAfter: 120_000, breakTimes: 1 });
    expect(await codeOf(download(from))).toBe("downloadBroken");
    const part = (await stat(join(dir, "net.pth.part"))).size;
    expect(part).toBeGreaterThan(0);
    expect(await codeOf(download(from))).toBe("ok");
    expect(from.requests.map((request) => request.range)).toEqual([undefined, `bytes=${part}-`]);
    expect(new Uint8Array(await readFile(join(dir, "net.pth")))).toEqual(weights);
  });
  it("gets there however often the line breaks", async () => {
    const from = await serve({ breakAfter: 70_000 });
    let tries = 0;
    while ((await codeOf(download(from))) !== "ok" && tries < 20) tries++;
    expect(tries).toBeGreaterThan(2);
    expect(new Uint8Array(await readFile(join(dir, "net.pth")))).toEqual(weights);
  });
  it("starts again where the server gives no ranges", async () => {
    const from = await serve({ breakAfter: 120_000, breakTimes: 1, withoutRanges: true });
    expect(await codeOf(download(from))).toBe("downloadBroken");
    expect(await codeOf(download(from))).toBe("ok");
  });
  it("starts again where the file was exchanged meanwhile, never joining two files", async () => {
    const from = await serve({ breakAfter: 120_000, breakTimes: 1 });
    await download(from);
    const other = weights.map((value) => value ^ 1);
    from.change({ files: { "net.pth": other }, breakTimes: 0 });
    expect(await codeOf(download(from, { sha256: createHash("sha256").update(other).digest("hex") }))).toBe("ok");
  });
  it("takes a part that turns out to be the whole", async () => {
    const from = await serve();
    await writeFile(join(dir, "net.pth.part"), weights);
    await writeFile(join(dir, "net.pth.part.json"), JSON.stringify({ url: from.url("net.pth"), etag: null }));
    expect(await codeOf(download(from))).toBe("ok");
  });
  it("does not go on with the part of another address", async () => {
    const from = await serve();
    await writeFile(join(dir, "net.pth.part"), new Uint8Array(50_000));
    await writeFile(join(dir, "net.pth.part.json"), JSON.stringify({ url: "https://elsewhere.example/net.pth", etag: null }));
    expect(await codeOf(download(from))).toBe("ok");
    expect(from.requests[0]?.range).toBeUndefined();
  });
  it("ends with a sentence when no data comes", async () => {
    const result = await download(await serve({ stalls: true }), { stallMs: 120 });
    expect(result).toMatchObject({ ok: false, error: { code: "downloadBroken", message: expect.stringMatching(/No data for 0\.12 s from 127\.0\.0\.1.*the next try goes on/) } });
  });
  it("refuses another file than the published one and removes it", async () => {
    const wrong = await serve({ files: { "net.pth": weights.slice(0, 1000) } });
    const result = await download(wrong);
    expect(result).toMatchObject({ ok: false, error: { code: "hashWrong", message: expect.stringContaining(sha256.slice(0, 16)) } });
    expect(existsSync(join(dir, "net.pth")) || existsSync(join(dir, "net.pth.part"))).toBe(false);
  });
  it("holds a file against the first digits of its hash where the publisher names only these", async () => {
    const from = await serve();
    expect(await codeOf(download(from, { sha256: null, sha256Begins: sha256.slice(0, 8) }))).toBe("ok");
    await rm(join(dir, "net.pth"));
    expect(await codeOf(download(from, { sha256: null, sha256Begins: "00000000" }))).toBe("hashWrong");
  });
  it("says in a sentence that the file is gone, closed or that the server is ill", async () => {
    for (const [status, words] of [[404, /has no net\.pth any more/], [403, /without a login/], [500, /fault of its own/]] as const) {
      const from = await serve({ status });
      expect(await download(from)).toMatchObject({ ok: false, error: { code: "downloadRefused", message: expect.stringMatching(words) } });
      await from.close();
    }
  });
  it("says that a server cannot be reached, and what else there is to do", async () => {
    const from = await serve();
    await from.close();
    server = null;
    expect(await download(from)).toMatchObject({ ok: false, error: { code: "hostUnreachable", message: expect.stringMatching(/cannot be reached .* import it/) } });
  });
  it("does not begin what the disk cannot hold", async () => {
    const from = await serve();
    const result = await download(from, { freeBytes: async () => 500_100_000 });
    expect(result).toMatchObject({ ok: false, error: { code: "diskFull", message: expect.stringMatching(/needs 0\.3 MB more .* 500 MB are free/) } });
    expect(existsSync(join(dir, "net.pth.part"))).toBe(false);
  });
  it("reckons with the published size where the server states none", async () => {
    const from = await serve({ withoutLength: true });
    expect(await codeOf(download(from, { aboutBytes: 1e9, freeBytes: async () => 1.4e9 }))).toBe("diskFull");
    expect(await codeOf(download(from, { aboutBytes: 1e9, freeBytes: async () => 1.6e9 }))).toBe("ok");
  });
  it("stops when told to and keeps what has come", async () => {
    const stop = new AbortController();
    const from = await serve({ waitMs: 20 });
    const work = download(from, { signal: stop.signal, onProgress: () => stop.abort() });
    expect(await codeOf(work)).toBe("downloadStopped");
    expect((await stat(join(dir, "net.pth.part"))).size).toBeGreaterThan(0);
  });
  it("follows a redirection, but not off a protected line, and takes nothing over a plain one", async () => {
    const target = await aFileServer({ files: { "net.pth": weights } });
    const from = await serve({ redirectTo: target.url("net.pth") });
    expect(await codeOf(download(from))).toBe("ok");
    await target.close();
    const plain = await downloadFile({ url: "http://weights.example/net.pth", path: join(dir, "plain.pth"), sha256: null, sha256Begins: null, aboutBytes: null });
    expect(plain).toMatchObject({ ok: false, error: { code: "downloadRefused", message: expect.stringMatching(/unprotected line/) } });
  });
});
