// Builds and runs framebufferReader.c and stallWatch.c, and reads what they wrote. Knows nothing about Evoked's windows or sessions.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { fault, ok } from "../../../src/shared/result.ts";
import type { Fault, Result } from "../../../src/shared/result.ts";
import { favour } from "../virtualDisplay.ts";

/** Compiles it where it is missing or older than its source. Errors: `noCompiler`. */
export function buildReader(): Result<string, Fault> {
  return build("framebufferReader", ["-lX11", "-lXext"], "gcc libx11-dev libxext-dev");
}

/** Errors: `noCompiler`. */
export function buildStallWatch(): Result<string, Fault> {
  return build("stallWatch", ["-lpthread"], "gcc");
}

function build(name: string, libraries: readonly string[], packages: string): Result<string, Fault> {
  const source = join(import.meta.dirname, `${name}.c`);
  const program = resolve(import.meta.dirname, "..", "..", "..", "out", name);
  if (existsSync(program) && statSync(program).mtimeMs >= statSync(source).mtimeMs) return ok(program);
  mkdirSync(resolve(program, ".."), { recursive: true });
  const built = spawnSync("gcc", ["-O2", "-Wall", "-Wextra", "-o", program, source, ...libraries], { encoding: "utf8" });
  return built.status === 0 ? ok(program) : fault("noCompiler", `${name} could not be built (apt-get install ${packages}): ${built.error?.message ?? built.stderr}`);
}

/** The machine stood still on one processor, CLOCK_MONOTONIC, ns. */
export interface Stall {
  readonly fromNs: number;
  readonly toNs: number;
  readonly processor: number;
}

/** Watches for stalls over `overMs`, and keeps these processors `awake`. `stop` gives null where this account may not be real-time: then nobody knows. */
export function startStallWatch(watchProgram: string, file: string, { overMs, awake }: { readonly overMs: number; readonly awake: readonly number[] }): { stop(): Promise<readonly Stall[] | null> } {
  const child = spawn(watchProgram, ["--over", String(overMs), "--out", file, "--awake", awake.join(",")], { stdio: "ignore" });
  let refused = false;
  const gone = new Promise<void>((done) => child.once("exit", (code) => {
    refused = code !== null;
    done();
  }));
  return {
    async stop() {
      child.kill("SIGTERM");
      await gone;
      if (refused) return null;
      return readFileSync(file, "utf8").split("\n").filter((line) => line !== "").map((line) => {
        const [fromNs = 0, toNs = 0, processor = 0] = line.split(" ").map(Number);
        return { fromNs, toNs, processor };
      });
    },
  };
}

export interface ReaderOptions {
  readonly display: string;
  /** Process of the X server, to read its framebuffer where it lies. */
  readonly serverPid: number;
  /** A pixel inside the patch, and a row of pixels across the image. */
  readonly patch: { readonly x: number; readonly y: number };
  readonly row: { readonly x: number; readonly y: number; readonly width: number };
  readonly background: number;
  /** Greys of the patch's levels, darkest first: 2 or 4. */
  readonly levels: readonly number[];
  /** Reads a second. */
  readonly rateHz: number;
  readonly seconds: number;
  readonly file: string;
  /** UDP port that gets the changes. */
  readonly port: number | null;
}

export interface Samples {
  /** CLOCK_MONOTONIC, ns; less the first one's. */
  readonly atNs: Float64Array;
  readonly firstNs: bigint;
  readonly patch: Uint8Array;
  /** Greatest difference of the image's row from the background. */
  readonly difference: Uint8Array;
  readonly hash: Uint32Array;
  readonly longestGapMs: number;
  /** The server was not asked: its memory was read. */
  readonly isFromMemory: boolean;
}

export interface RunningReader {
  readonly pid: number;
  /** Ends it and reads what it saw. */
  stop(): Promise<Samples>;
}

export function startReader(readerProgram: string, o: ReaderOptions): RunningReader {
  const child = spawn(readerProgram, [
    "--display", o.display, "--server", String(o.serverPid), "--patch", `${o.patch.x},${o.patch.y}`, "--row", `${o.row.x},${o.row.y},${o.row.width}`, "--background", String(o.background), "--levels", o.levels.join(","),
    "--rate", String(o.rateHz), "--seconds", String(o.seconds), "--out", o.file, ...(o.port === null ? [] : ["--port", String(o.port)]),
  ], { stdio: ["ignore", "pipe", "pipe"] });
  favour(child.pid);
  let complaint = "";
  let said = "";
  child.stdout.on("data", (data: Buffer) => (said += data.toString()));
  child.stderr.on("data", (data: Buffer) => (complaint += data.toString()));
  const gone = new Promise<void>((done) => child.once("exit", () => done()));
  return {
    pid: child.pid ?? 0,
    async stop() {
      child.kill("SIGTERM");
      await gone;
      if (complaint !== "") throw new Error(complaint.trim());
      return { ...readSamples(o.file), isFromMemory: said.includes('"memory"') };
    },
  };
}

const sampleBytes = 16;

function readSamples(file: string): Omit<Samples, "isFromMemory"> {
  const bytes = readFileSync(file);
  const count = Math.floor(bytes.length / sampleBytes);
  const firstNs = count === 0 ? 0n : bytes.readBigInt64LE(0);
  const samples = { atNs: new Float64Array(count), firstNs, patch: new Uint8Array(count), difference: new Uint8Array(count), hash: new Uint32Array(count) };
  let longestGapMs = 0;
  for (let i = 0; i < count; i++) {
    const at = i * sampleBytes;
    samples.atNs[i] = Number(bytes.readBigInt64LE(at) - firstNs);
    samples.patch[i] = bytes.readUInt8(at + 8);
    samples.difference[i] = bytes.readUInt8(at + 9);
    samples.hash[i] = bytes.readUInt32LE(at + 12);
    if (i > 0) longestGapMs = Math.max(longestGapMs, ((samples.atNs[i] ?? 0) - (samples.atNs[i - 1] ?? 0)) / 1e6);
  }
  return { ...samples, longestGapMs };
}
