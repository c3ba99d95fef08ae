// The Open Ephys GUI acquires or records with the session and is left as it was found.
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { openEphysOptionsSchema } from "../../../src/acquisition/drivers/open-ephys/options.ts";
import { createOpenEphysSource } from "../../../src/acquisition/drivers/open-ephys/source.ts";
import { playCapture } from "../../../src/acquisition/drivers/open-ephys/player.ts";
import { createRealClock } from "../../../src/engine/realClock.ts";
import { openRigCheck } from "../../../src/engine/rigCheck.ts";
import type { RigCheck } from "../../../src/engine/rigCheck.ts";
import { sessionConfig } from "../../../src/shared/contract/index.ts";
import { unwrap } from "../../../src/shared/result.ts";

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A GUI's HTTP server, which takes a moment to change its mode. */
async function aGui(mode: string, obeys = true) {
  const seen: string[] = [];
  let now = mode;
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (piece: Buffer) => {
      body += piece.toString();
    });
    request.on("end", () => {
      if (request.method === "PUT" && obeys) {
        const wanted = String(JSON.parse(body).mode);
        seen.push(wanted);
        setTimeout(() => {
          now = wanted;
        }, 50);
      }
      response.end(JSON.stringify(request.url === "/api/latency" ? { processors: [{ id: 100, streams: [{ name: "A", latency: 1.5 }, { name: "B", latency: 12.25 }] }] } : { mode: now }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => new Promise((resolve) => void server.close(() => resolve())));
  const bound = server.address();
  return {
    port: typeof bound === "object" && bound !== null ? bound.port : 0,
    seen,
    /** Somebody presses a button of the program. */
    press(next: string) {
      now = next;
    },
  };
}

async function aSource(httpPort: number, control: string) {
  const player = unwrap(await playCapture({ file: new URL("../../fixtures/acquisition/open-ephys-1.0.1-zmq-interface.frames", import.meta.url).pathname, endpoint: "tcp://127.0.0.1:*", loop: "continue" }));
  closing.push(() => player.stop());
  return createOpenEphysSource({ clock: createRealClock(), options: openEphysOptionsSchema.parse({ dataPort: Number(player.endpoint.split(":").at(-1)), heartbeatPort: null, httpPort, control, startTimeoutMs: 15_000 }) });
}

describe("control of the Open Ephys GUI", () => {
  it.each([["IDLE", "record", ["RECORD", "IDLE"]], ["IDLE", "acquire", ["ACQUIRE", "IDLE"]], ["RECORD", "acquire", []]])("from %s to %s", async (mode, control, expected) => {
    const gui = await aGui(mode);
    const source = await aSource(gui.port, control);
    unwrap(await source.start(() => undefined));
    await source.stop();
    expect(gui.seen).toEqual(expected);
  }, 30_000);

  it("is refused in a sentence where the program does not answer or does not obey", async () => {
    expect(await (await aSource(1, "acquire")).start(() => undefined)).toMatchObject({ ok: false, error: { code: "noControl", message: expect.stringContaining("HTTP server") } });
    const stubborn = await aGui("IDLE", false);
    const source = await aSource(stubborn.port, "record");
    expect(await source.start(() => undefined)).toMatchObject({ ok: false, error: { code: "noControl", message: expect.stringContaining("stays in IDLE") } });
    expect(source.status().connected).toBe(false);
  }, 30_000);
});

describe("the rig check of an Open Ephys rig", () => {
  it("shows what the program itself says it is doing, and nothing of it where control is none", async () => {
    const gui = await aGui("IDLE");
    const player = unwrap(await playCapture({ file: new URL("../../fixtures/acquisition/open-ephys-1.0.1-zmq-interface.frames", import.meta.url).pathname, endpoint: "tcp://127.0.0.1:*", loop: "continue" }));
    closing.push(() => player.stop());
    const folder = mkdtempSync(join(tmpdir(), "evoked-check-"));
    closing.push(async () => rmSync(folder, { recursive: true, force: true }));
    const check = async (control: string, httpPort: number) => {
      const { rig, response, display } = sessionConfig.parse({ rig: { kind: "open-ephys", options: { dataPort: Number(player.endpoint.split(":").at(-1)), heartbeatPort: null, httpPort, control, startTimeoutMs: 15_000 } }, display: { kind: "timed" } });
      return unwrap(await openRigCheck({ rig, response, display, subject: "S", folder }, { clock: createRealClock(), sessionFolder: folder, rewardFolder: null, screen: null, display: { last: () => null, secondsLeft: null, status: null } }));
    };
    const program = (opened: RigCheck) => opened.state().devices.find((device) => device.id === "program");

    const recording = await check("record", gui.port);
    expect(program(recording)).toMatchObject({ label: "Open Ephys GUI", level: "ok", value: "recording", detail: expect.stringContaining("slowest processor 12.3 ms") });
    // Somebody stops the recording: it is seen.
    gui.press("ACQUIRE");
    const end = performance.now() + 20_000;
    while (program(recording)?.level !== "warn" && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 50));
    expect(program(recording)).toMatchObject({ level: "warn", value: "acquiring", detail: expect.stringContaining("asked to record, but it is acquiring") });
    await recording.close();
    expect(gui.seen).toEqual(["RECORD", "IDLE"]);

    const silent = await check("acquire", 1);
    expect(program(silent)).toMatchObject({ level: "fault", value: "does not answer" });
    await silent.close();
    const alone = await check("none", gui.port);
    expect(program(alone)).toBeUndefined();
    await alone.close();
  }, 60_000);
});
