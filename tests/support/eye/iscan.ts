// An ISCAN tracker at one end of a pair of pseudo-terminals, looking wherever the test says.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SerialPort } from "serialport";
import { passReal } from "../passReal.ts";

export const socatMissing: string | null = existsSync("/usr/bin/socat") ? null : "socat is not installed (Debian: socat)";

export interface Line {
  /** The end that the program opens. */
  readonly ours: string;
  readonly theirs: string;
  /** The cable is pulled. */
  cut(): Promise<void>;
  mend(): Promise<void>;
  dispose(): Promise<void>;
}

/** Two pseudo-terminals that are one line. */
export async function aLine(): Promise<Line> {
  const home = mkdtempSync(join(tmpdir(), "evoked-line-"));
  const [ours, theirs] = [join(home, "ours"), join(home, "theirs")];
  let child: ReturnType<typeof spawn> | null = null;
  async function mend(): Promise<void> {
    child = spawn("socat", [`pty,raw,echo=0,link=${ours}`, `pty,raw,echo=0,link=${theirs}`], { stdio: "ignore" });
    await passReal(() => existsSync(ours) && existsSync(theirs));
  }
  async function cut(): Promise<void> {
    const gone = child;
    child = null;
    if (gone === null) return;
    const ended = new Promise((done) => gone.once("exit", done));
    gone.kill();
    await ended;
    rmSync(ours, { force: true });
    rmSync(theirs, { force: true });
  }
  await mend();
  return {
    ours, theirs, cut, mend,
    async dispose() {
      await cut();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** Pupil horizontal and vertical, reflection horizontal and vertical, in tenths. */
export function iscanBytes(...samples: readonly (readonly [number, number, number, number])[]): Uint8Array {
  const bytes = new Uint8Array(samples.length * 10);
  const view = new DataView(bytes.buffer);
  samples.forEach((values, i) => {
    bytes.set([0x44, 0x44], i * 10);
    values.forEach((value, k) => view.setUint16(i * 10 + 2 + 2 * k, value, true));
  });
  return bytes;
}

export interface Iscan {
  /** Where the eye looks, degrees; null: a blink. */
  lookAt(place: { readonly xDeg: number; readonly yDeg: number } | null): void;
  dispose(): Promise<void>;
}

/** 240 samples/s from the start byte on, with noise in tenths of a unit. Now and then a value is 0x4444: a header that is none. */
export async function anIscan(path: string, { noiseTenths = 5 }: { readonly noiseTenths?: number } = {}): Promise<Iscan> {
  const port = new SerialPort({ path, baudRate: 115_200, autoOpen: false });
  await new Promise<void>((done) => port.open(() => done()));
  let streaming: NodeJS.Timeout | null = null;
  let place: { readonly xDeg: number; readonly yDeg: number } | null = { xDeg: 0, yDeg: 0 };
  let n = 0;
  const sample = (): readonly [number, number, number, number] => {
    n += 1;
    if (place === null) return [0, 0, 0, 0];
    // 12 units a degree, turned a little; half a unit of noise.
    const noise = noiseTenths * Math.sin(n * 1.7);
    const x = 5000 + 120 * (place.xDeg + 0.1 * place.yDeg) + noise;
    const y = 5000 - 120 * (place.yDeg - 0.1 * place.xDeg) + noise;
    return n % 200 === 0 ? [0x4444, Math.round(y), Math.round(0x4444 - x + 2000), 2000] : [Math.round(x), Math.round(y), 2000, 2000];
  };
  port.on("error", () => undefined);
  port.on("data", (bytes: Buffer) => {
    for (const byte of bytes) {
      if (byte === 0x80) streaming ??= setInterval(() => port.write(iscanBytes(sample(), sample(), sample(), sample())), 16);
      if (byte === 0x81 && streaming !== null) {
        clearInterval(streaming);
        streaming = null;
      }
    }
  });
  return {
    lookAt(next) {
      place = next;
    },
    async dispose() {
      if (streaming !== null) clearInterval(streaming);
      if (port.isOpen) await new Promise<void>((done) => port.close(() => done()));
    },
  };
}
