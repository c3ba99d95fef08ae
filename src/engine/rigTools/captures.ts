// Captures of a rig's line: recorded with arrival times, decoded again by the rig's driver without the rig. Knows nothing about terminals.
import { createWriteStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { once } from "node:events";
import { openSource, rigRegistry } from "../../acquisition/index.ts";
import type { RigKind } from "../../acquisition/index.ts";
import { encodeCaptureHeader, encodeCapturePiece, parseCaptureFile } from "../../acquisition/capture/format.ts";
import type { CapturePiece } from "../../acquisition/capture/format.ts";
import { fault, ok } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import { hostTimeNs, nsPerMs, nsPerS } from "../../shared/units.ts";
import type { SourceEvent } from "../../shared/values.ts";
import { createRealClock } from "../realClock.ts";

export interface RecordedCapture {
  readonly file: string;
  readonly pieces: number;
  readonly bytes: number;
  readonly spikes: number;
  readonly seconds: number;
  /** What the driver had to complain of meanwhile, by kind. */
  readonly faults: Readonly<Record<string, number>>;
}

/** Writes what the rig sends until `stop`. Errors: `unknownRig`, `rigOptions`, `noCapture`, `notWritable` and those of the driver. */
export async function recordCapture(options: { readonly rig: { readonly kind: string; readonly options: Readonly<Record<string, unknown>> }; readonly file: string; readonly notes: string; readonly stop: AbortSignal }): Promise<Result<RecordedCapture, Fault>> {
  const kind = rigRegistry.find((candidate) => candidate.kind === options.rig.kind);
  if (kind !== undefined && kind.lines.length === 0) return fault("noCapture", `Expected a rig whose line can be captured (${capturable()}), got "${kind.kind}".`);
  const clock = createRealClock();
  const out = createWriteStream(options.file, { flags: "wx" });
  try {
    await once(out, "open");
  } catch (error) {
    return fault("notWritable", `Expected to write a new capture to ${options.file}, got: ${error instanceof Error ? error.message : String(error)}. Choose another file.`);
  }
  out.write(encodeCaptureHeader({ schema: "evoked.capture", version: 1, rig: { kind: options.rig.kind, options: { ...options.rig.options } }, startedUtc: new Date().toISOString(), notes: options.notes }));
  let pieces = 0;
  let bytes = 0;
  let spikes = 0;
  const faults: Record<string, number> = {};
  const source = openSource(options.rig.kind, options.rig.options, {
    clock, seed: 0, encoder: null,
    tap(lane, parts, arrivedHostNs) {
      pieces += 1;
      // The receive thread keeps 8192 datagrams for this; more came while the disk or this process stood still.
      if (parts.every((part) => part.length === 0)) faults["notCaptured"] = (faults["notCaptured"] ?? 0) + 1;
      const piece = encodeCapturePiece({ arrivedHostNs, lane, parts });
      bytes += piece.length;
      out.write(piece);
    },
  });
  const started = source.ok
    ? await source.value.start((event) => {
        if (event.kind === "spikes") spikes += event.batch.timesRigNs.length;
        if (event.kind === "fault") faults[event.fault.kind] = (faults[event.fault.kind] ?? 0) + 1;
      })
    : source;
  const beganNs = clock.now();
  if (started.ok && source.ok) {
    if (!options.stop.aborted) await once(options.stop, "abort");
    await source.value.stop();
  }
  out.end();
  await once(out, "finish");
  return started.ok ? ok({ file: options.file, pieces, bytes, spikes, seconds: (clock.now() - beganNs) / nsPerS, faults }) : started;
}

export interface DecodedCapture {
  readonly rig: string;
  readonly pieces: number;
  readonly packets: number;
  readonly bytesLeft: number;
  readonly spikes: number;
  readonly marks: number;
  readonly channels: readonly { readonly name: string; readonly area: string; readonly spikes: number }[];
  /** Packets that never came; how many of them cannot have held a spike. */
  readonly lostPackets: number;
  readonly lostContinuousOnly: number;
  readonly gaps: number;
  /** Reports of the driver by kind, gaps included. */
  readonly faults: Readonly<Record<string, number>>;
  readonly messages: readonly string[];
  readonly firstRigS: number | null;
  readonly lastRigS: number | null;
}

const quietNs = nsPerMs;
const rawPieceBytes = 4096;
const messagesMax = 20;

function capturable(): string {
  return rigRegistry.filter((kind) => kind.lines.length > 0).map((kind) => kind.kind).join(", ");
}

/**
 * Decodes a capture. A raw file without arrival times (as other programs save the line) needs the rig's kind and, where there are several, the
 * lane. `options` go over the capture's own. Errors: `fileUnreadable`, `notACapture`, `unknownRig`, `noCapture`, `rigOptions`.
 */
export async function decodeCapture(request: { readonly file: string; readonly rig: string | null; readonly lane: string | null; readonly options: Readonly<Record<string, unknown>> }): Promise<Result<DecodedCapture, Fault>> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(request.file);
  } catch (error) {
    return fault("fileUnreadable", `Expected a capture at ${request.file}, but it cannot be read: ${error instanceof Error ? error.message : String(error)}.`);
  }
  const own = parseCaptureFile(bytes);
  if (!own.ok && request.rig === null) return fault("notACapture", `Expected a capture of evoked rig record at ${request.file}: ${own.error}. For a raw file name the rig with --rig.`);
  const rigName = request.rig ?? (own.ok ? own.value.header.rig.kind : "");
  const kind = rigRegistry.find((candidate) => candidate.kind === rigName);
  if (kind === undefined) return fault("unknownRig", `Expected a rig of ${capturable()}, got "${rigName}".`);
  const laidOut = own.ok ? ok({ pieces: own.value.pieces, bytesLeft: own.value.bytesLeft }) : cutRaw(bytes, kind, request.lane);
  if (!laidOut.ok) return laidOut;
  const { pieces, bytesLeft } = laidOut.value;

  const events = { spikes: 0, marks: 0, lostPackets: 0, lostContinuousOnly: 0, gaps: 0 };
  const faults: Record<string, number> = {};
  const messages: string[] = [];
  const perChannel: number[] = [];
  let firstRigNs: number | null = null;
  let lastRigNs: number | null = null;
  function take(event: SourceEvent): void {
    if (event.kind === "mark") events.marks += 1;
    if (event.kind === "spikes") {
      events.spikes += event.batch.timesRigNs.length;
      for (const channel of event.batch.channels) perChannel[channel] = (perChannel[channel] ?? 0) + 1;
      firstRigNs ??= event.batch.timesRigNs[0] ?? null;
      lastRigNs = event.batch.timesRigNs.at(-1) ?? lastRigNs;
    }
    if (event.kind !== "fault") return;
    faults[event.fault.kind] = (faults[event.fault.kind] ?? 0) + 1;
    if (event.fault.kind === "gap") {
      events.gaps += 1;
      events.lostPackets += event.fault.lostPackets;
      if (event.fault.continuousOnly === true) events.lostContinuousOnly += event.fault.lostPackets;
    }
    if (messages.length < messagesMax && "reason" in event.fault) messages.push(event.fault.reason);
  }
  const decoder = kind.decoder({ ...(own.ok ? own.value.header.rig.options : {}), ...request.options }, take);
  if (!decoder.ok) return decoder;
  if (decoder.value === null) return fault("noCapture", `Expected a rig whose line can be captured (${capturable()}), got "${kind.kind}".`);
  let previousNs: number | null = null;
  for (const piece of pieces) {
    // As in the driver: what came together is taken together.
    if (previousNs !== null && piece.arrivedHostNs - previousNs >= quietNs) decoder.value.settle(hostTimeNs(previousNs));
    previousNs = piece.arrivedHostNs;
    decoder.value.take(piece.lane, piece.parts, hostTimeNs(piece.arrivedHostNs));
  }
  decoder.value.finish(hostTimeNs(pieces.at(-1)?.arrivedHostNs ?? 0));
  const channels = decoder.value.channels().map(({ name, area, index }) => ({ name, area, spikes: perChannel[index] ?? 0 }));
  return ok({ rig: kind.kind, pieces: pieces.length, packets: decoder.value.packets, bytesLeft, channels, ...events, faults, messages, firstRigS: firstRigNs === null ? null : firstRigNs / nsPerS, lastRigS: lastRigNs === null ? null : lastRigNs / nsPerS });
}

/** A raw file in pieces, each with an arrival time that only keeps the order. */
function cutRaw(bytes: Uint8Array, kind: RigKind, laneName: string | null): Result<{ readonly pieces: readonly CapturePiece[]; readonly bytesLeft: number }, Fault> {
  const lane = laneName === null ? 0 : kind.lines.findIndex((line) => line.name === laneName);
  const line = kind.lines[lane];
  if (line === undefined) return fault("noCapture", `Expected a line of ${kind.lines.map((one) => one.name).join(", ") || "none"} for ${kind.kind}, got "${laneName ?? ""}".`);
  const pieces: CapturePiece[] = [];
  if (line.layout === "bytes") {
    for (let at = 0; at < bytes.length; at += rawPieceBytes) pieces.push({ arrivedHostNs: pieces.length * nsPerMs, lane, parts: [bytes.subarray(at, at + rawPieceBytes)] });
    return ok({ pieces, bytesLeft: 0 });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  while (at + 4 <= bytes.length) {
    const startsAt = at;
    const count = view.getUint32(at, true);
    if (count === 0 || count > 64) return fault("notACapture", `Expected 1 to 64 parts at byte ${startsAt}, got ${count}.`);
    at += 4;
    const parts: Uint8Array[] = [];
    for (let part = 0; part < count; part++) {
      const length = at + 4 <= bytes.length ? view.getUint32(at, true) : Infinity;
      if (at + 4 + length > bytes.length) return ok({ pieces, bytesLeft: bytes.length - startsAt });
      parts.push(bytes.subarray(at + 4, at + 4 + length));
      at += 4 + length;
    }
    pieces.push({ arrivedHostNs: pieces.length * 0.1 * nsPerMs, lane, parts });
  }
  return ok({ pieces, bytesLeft: bytes.length - at });
}
