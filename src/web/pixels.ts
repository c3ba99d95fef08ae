// One image's pixels as plain bytes over HTTP, for the worker of the subject's screen: as text in a frame of the link it would take the
// thread that draws milliseconds to read, and the worker's garbage would hold that thread up as well. Knows nothing about sessions.
import { accessOfToken } from "./access.ts";
import { sendText } from "./pages.ts";
import { pageHeaders } from "../shared/pageSecurity.ts";
import type { Tokens } from "./access.ts";
import type { EngineLink } from "../engine/link.ts";
import type { MethodResult } from "../shared/contract/index.ts";
import type { IncomingMessage, ServerResponse } from "node:http";

export const pixelsPath = "/pixels";

const answerMsMax = 10_000;
let askedCount = 0;

/** `?token=T&image=ID`: RGBA bytes, rows from the top, with the size in x-width and x-height, px. 404 where the image was released or never prepared. */
export function servePixels({ engine, tokens }: { readonly engine: EngineLink; readonly tokens: Tokens }, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? "/", "http://evoked.invalid");
  const refuse = (status: number, text: string): void => sendText(response, status, text, pageHeaders());
  if (request.method !== "GET") return refuse(405, "Pixels are only to be had: use GET.");
  if (accessOfToken(tokens, url.searchParams.get("token"))?.includes("stimulus") !== true) return refuse(403, "Only the subject's screen gets the pixels of images.");
  const image = url.searchParams.get("image") ?? "";
  if (!/^-?\d{1,15}$/.test(image)) return refuse(400, `Expected the number of an image in ?image=, got ${JSON.stringify(image.slice(0, 100))}.`);
  askedCount += 1;
  let isOver = false;
  const finish = (answer: () => void): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    caller.detach();
    if (!response.destroyed) answer();
  };
  const timer = setTimeout(() => finish(() => refuse(503, `The engine did not answer within ${answerMsMax / 1000} s.`)), answerMsMax);
  const caller = engine.attach({ id: `pixels-${askedCount}`, access: ["stimulus"] }, (frame) => {
    if (!("id" in frame)) return;
    const { result } = frame;
    if (!result.ok) return finish(() => refuse(result.error.code === "notPrepared" ? 404 : 503, result.error.message));
    // The method table has types, not schemas, for results: the engine that made them is part of this program.
    const { widthPx, heightPx, rgbaBase64 } = result.value as MethodResult<"stimulus.pixels">;
    const bytes = Buffer.from(rgbaBase64, "base64");
    finish(() => {
      response.writeHead(200, { ...pageHeaders(), "content-type": "application/octet-stream", "content-length": bytes.length, "cache-control": "no-store", "x-width": widthPx, "x-height": heightPx });
      response.end(bytes);
    });
  });
  response.on("close", () => finish(() => undefined));
  caller.send({ id: 1, method: "stimulus.pixels", args: { imageId: Number(image) } });
}
