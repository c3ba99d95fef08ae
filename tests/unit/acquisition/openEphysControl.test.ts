// The Open Ephys GUI acquires or records with the session and is left as it was found.
import { createServer } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { openEphysOptionsSchema } from "../../../src/acquisition/drivers/open-ephys/options.ts";
import { createOpenEphysSource } from "../../../src/acquisition/drivers/open-ephys/source.ts";
import { playCapture } from "../../../src/acquisition/drivers/open-ephys/player.ts";
import { createRealClock } from "../../../src/engine/realClock.ts";
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
      response.end(JSON.stringify({ mode: now }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => new Promise((resolve) => void server.close(() => resolve())));
  const bound = server.address();
  return { port: typeof bound === "object" && bound !== null ? bound.port : 0, seen };
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
