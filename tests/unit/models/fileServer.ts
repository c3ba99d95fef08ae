// A file server on loopback that is good or bad in one chosen way. Speaks ranges and ETags as real ones do.
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";

export interface FileServerOptions {
  readonly files: Readonly<Record<string, Uint8Array>>;
  /** Ends the connection after so many bytes of a body, the first so many times. */
  readonly breakAfter?: number;
  readonly breakTimes?: number;
  /** Sends a piece of 1000 bytes and then waits so long before the next. */
  readonly waitMs?: number;
  /** Sends the first piece and then nothing. */
  readonly stalls?: boolean;
  readonly withoutRanges?: boolean;
  readonly withoutLength?: boolean;
  readonly status?: number;
  readonly redirectTo?: string;
}

export interface FileServer {
  readonly url: (name: string) => string;
  /** What was asked for: path and range header. */
  readonly requests: { readonly path: string; readonly range: string | undefined }[];
  readonly change: (options: Partial<FileServerOptions>) => void;
  readonly close: () => Promise<void>;
}

export async function aFileServer(first: FileServerOptions): Promise<FileServer> {
  let options = first;
  let broken = 0;
  const requests: { path: string; range: string | undefined }[] = [];

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? "/").slice(1);
    requests.push({ path, range: request.headers.range });
    if (options.redirectTo !== undefined) return void response.writeHead(302, { location: options.redirectTo }).end();
    if (options.status !== undefined) return void response.writeHead(options.status).end();
    const file = options.files[path];
    if (file === undefined) return void response.writeHead(404).end("no");
    const etag = `"${file.length}-${file[0] ?? 0}"`;
    const asked = options.withoutRanges === true ? undefined : /bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1];
    const fresh = request.headers["if-range"] !== undefined && request.headers["if-range"] !== etag;
    const from = asked === undefined || fresh ? 0 : Number(asked);
    if (from >= file.length) return void response.writeHead(416, { "content-range": `bytes */${file.length}` }).end();
    const body = file.subarray(from);
    const length = options.withoutLength === true ? {} : { "content-length": body.length };
    if (from > 0) response.writeHead(206, { ...length, etag, "content-range": `bytes ${from}-${file.length - 1}/${file.length}` });
    else response.writeHead(200, { ...length, etag });
    if (options.breakAfter !== undefined && broken < (options.breakTimes ?? Infinity)) {
      broken++;
      response.write(body.subarray(0, options.breakAfter), () => setTimeout(() => response.destroy(), 30));
      return;
    }
    if (options.stalls === true) return void response.write(body.subarray(0, 1000));
    if (options.waitMs === undefined) return void response.end(body);
    for (let at = 0; at < body.length; at += 1000) {
      response.write(body.subarray(at, at + 1000));
      await new Promise((resolve) => setTimeout(resolve, options.waitMs));
    }
    response.end();
  }

  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("expected a port");
  return {
    url: (name) => `http://127.0.0.1:${address.port}/${name}`,
    requests,
    change: (changes) => {
      options = { ...options, ...changes };
      broken = 0;
    },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
