// Opens the subject's screen on this computer in a browser of its own, where the host can: windows of one browser are drawn by one process, and
// without a GPU what the operator's window draws would hold up the images. Knows nothing about which browser.
import { accessOfToken, isAllowedOrigin, isLoopback } from "./access.ts";
import { sendText } from "./pages.ts";
import { pageHeaders } from "../shared/pageSecurity.ts";
import type { Tokens } from "./access.ts";
import type { IncomingMessage, ServerResponse } from "node:http";

export const subjectPath = "/subject";

export interface SubjectOptions {
  readonly tokens: Tokens;
  readonly hosts: ReadonlySet<string>;
  readonly stimulusUrl: string;
  /** false: no browser of Evoked's own here. Absent: this host opens none. */
  readonly openSubject: ((url: string) => boolean) | undefined;
}

/** POST `?token=T`. 204: it opens. 200: this host opens no window there, the page has to, with the reason as text. 403: not the operator. */
export function serveSubject({ tokens, hosts, stimulusUrl, openSubject }: SubjectOptions, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? "/", "http://evoked.invalid");
  const answer = (status: number, text: string): void => sendText(response, status, text, pageHeaders());
  if (request.method !== "POST") return answer(405, "The subject's screen is opened with POST.");
  if (accessOfToken(tokens, url.searchParams.get("token"))?.includes("stimulus") !== true || !isAllowedOrigin(request.headers.origin, hosts)) return answer(403, "Only the operator opens the subject's screen.");
  if (!isLoopback((request.socket.remoteAddress ?? "").replace(/^::ffff:/, ""))) return answer(200, "The subject's screen opens on the computer that asks for it.");
  if (openSubject?.(stimulusUrl) !== true) return answer(200, "This host opened no browser of its own.");
  response.writeHead(204, pageHeaders());
  response.end();
}
