// Who may talk to the web host: names it answers to, tokens and what they allow. Knows nothing about sockets or pages.
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { hostname, networkInterfaces } from "node:os";
import type { Access } from "../shared/contract/index.ts";

export interface Tokens {
  /** Operator and stimulus windows. */
  readonly operate: string;
  /** Watching only. */
  readonly view: string;
}

export function makeTokens(): Tokens {
  return { operate: randomBytes(24).toString("base64url"), view: randomBytes(24).toString("base64url") };
}

/** What a token allows; null = no valid token. */
export function accessOfToken(tokens: Tokens, given: string | null): readonly Access[] | null {
  if (given === null) return null;
  if (isSame(given, tokens.operate)) return ["view", "operate", "stimulus"];
  if (isSame(given, tokens.view)) return ["view"];
  return null;
}

function isSame(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Host headers (name:port) this server answers to. A page of another name that resolves here (DNS rebinding) is none of them. */
export function allowedHosts(boundHost: string, port: number): ReadonlySet<string> {
  const names = new Set(["127.0.0.1", "localhost", "[::1]", bracketed(boundHost)]);
  if (!isLoopback(boundHost)) {
    names.add(hostname().toLowerCase());
    for (const addresses of Object.values(networkInterfaces())) for (const { address } of addresses ?? []) names.add(bracketed(address));
  }
  return new Set([...names].flatMap((name) => port === 80 ? [name, `${name}:80`] : [`${name}:${port}`]));
}

/** An address as it stands in a URL: IPv6 in brackets. */
export function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}

/** A browser always sends the page's origin with a WebSocket; a program of its own need not, and is held to the token. */
export function isAllowedOrigin(origin: string | undefined, hosts: ReadonlySet<string>): boolean {
  if (origin === undefined) return true;
  const [scheme, host] = origin.toLowerCase().split("://");
  return scheme === "http" && host !== undefined && hosts.has(host);
}
