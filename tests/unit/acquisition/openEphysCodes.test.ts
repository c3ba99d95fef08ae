import { createServer } from "node:http";
import type { Server } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { createOpenEphysCodes } from "../../../src/acquisition/drivers/open-ephys/codes.ts";
import { createRealClock } from "../../../src/engine/realClock.ts";
import { passReal } from "../../support/passReal.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** The GUI's HTTP server, as far as codes go; the first answer to a message is slow. */
async function aGui({ status = 200, mode = "ACQUIRE" }: { status?: number; mode?: string } = {}): Promise<{ readonly port: number; readonly heard: string[] }> {
  const heard: string[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (part) => { body += String(part); });
    request.on("end", () => {
      if (request.url === "/api/status") {
        response.end(JSON.stringify({ mode: "ACQUIRE" }));
        return;
      }
      const text = (JSON.parse(body) as { text: string }).text;
      setTimeout(() => {
        heard.push(`${request.method} ${request.url} ${text}`);
        response.writeHead(status).end(JSON.stringify({ mode }));
      }, heard.length === 0 ? 60 : 0);
    });
  });
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = server.address();
  return { port: typeof address === "object" && address !== null ? address.port : 0, heard };
}

describe("event codes to the Open Ephys GUI", () => {
  it("arrive as messages, in order, the last ones before the end", async () => {
    const gui = await aGui();
    const codes = createOpenEphysCodes({ clock: createRealClock(), options: { host: "127.0.0.1", httpPort: gui.port } });
    expect(await codes.start()).toEqual({ ok: true, value: undefined });
    for (const code of [254, 201, 1, 202, 255]) codes.send(code);
    await codes.stop();
    expect(gui.heard).toEqual([254, 201, 1, 202, 255].map((code) => `PUT /api/message Evoked ${code}`));
    expect(codes.status().detail).toBe("5 codes");
  });

  it("that do not arrive are a problem, with their count", async () => {
    const gui = await aGui({ status: 500 });
    const codes = createOpenEphysCodes({ clock: createRealClock(), options: { host: "127.0.0.1", httpPort: gui.port } });
    const problems: (string | null)[] = [];
    codes.onProblem((p) => problems.push(p));
    await codes.start();
    codes.send(7);
    await passReal(() => problems.length > 0);
    expect(problems[0]).toMatch(/^Event code 7 did not reach .* 1 lost so far/);
    await codes.stop();
  });

  it("are lost on a GUI that is idle, though it answers well", async () => {
    const gui = await aGui({ mode: "IDLE" });
    const codes = createOpenEphysCodes({ clock: createRealClock(), options: { host: "127.0.0.1", httpPort: gui.port } });
    const problems: (string | null)[] = [];
    codes.onProblem((p) => problems.push(p));
    await codes.start();
    codes.send(7);
    await passReal(() => problems.length > 0);
    expect(problems[0]).toContain("takes messages only while it acquires");
    expect(codes.status().detail).toBe("0 codes");
    await codes.stop();
  });

  it("are refused where no GUI answers, in a sentence", async () => {
    const codes = createOpenEphysCodes({ clock: createRealClock(), options: { host: "127.0.0.1", httpPort: 1 } });
    expect(await codes.start()).toMatchObject({ ok: false, error: { code: "noAnswer", message: expect.stringMatching(/^Expected the Open Ephys GUI's HTTP server.*\.$/) } });
  });
});
