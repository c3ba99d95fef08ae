// External task mode with another program in a process of its own: the MATLAB code of docs/external-task.md, run by Octave on stand-ins of MonkeyLogic's
// functions. It knows Evoked by the agreed folder; its words reach the session through the simulator's digital port, a real socket and the line's driver.
import { execFileSync, spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, describe, expect, test } from "vitest";
import { openLiveSession } from "../../src/engine/liveSession.ts";
import { builtInModels } from "../../src/engine/paths.ts";
import { createRealClock } from "../../src/engine/realClock.ts";
import { verifySession } from "../../src/engine/replay.ts";
import { createTimedDisplay } from "../../src/engine/timedDisplay.ts";
import { startModels } from "../../src/models/client.ts";
import { sessionConfig } from "../../src/shared/contract/config.ts";
import type { SessionRecordBody } from "../../src/shared/records.ts";
import { unwrap } from "../../src/shared/result.ts";
import { nsPerMs } from "../../src/shared/units.ts";

const repository = join(import.meta.dirname, "..", "..");
const standIns = join(repository, "tests", "support", "externalTask", "monkeylogic");
const root = await mkdtemp(join(tmpdir(), "evoked-octave-"));
afterAll(() => rm(root, { recursive: true }));

function findOctave(): string {
  try {
    return execFileSync("octave-cli", ["--version"], { encoding: "utf8" }).split("\n")[0] ?? "";
  } catch {
    return "";
  }
}
const octave = findOctave();

/** The two listings of the page, as a lab would save them; the agreed folder is the lab's own. */
async function saveListings(folder: string, agreed: string): Promise<void> {
  const page = await readFile(join(repository, "docs", "external-task.md"), "utf8");
  const [userloop, trial] = [...page.matchAll(/```matlab\n([\s\S]*?)```/g)].map((found) => found[1] ?? "");
  if (userloop === undefined || trial === undefined || !userloop.includes("'D:\\exchange'")) throw new Error("expected two MATLAB listings, the first with the folder D:\\exchange");
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "evoked_userloop.m"), userloop.replace("'D:\\exchange'", `'${agreed}'`));
  await writeFile(join(folder, "evoked_trial.m"), trial);
}

describe(octave === "" ? "external task mode with Octave (skipped: no octave-cli here; Debian: octave)" : `external task mode with ${octave}`, () => {
  test.skipIf(octave === "")("the page's MATLAB code runs a whole evolution: every counted response belongs to the image that was shown, and the session replays identically", async () => {
    const exchange = join(root, "exchange");
    await saveListings(join(root, "task"), exchange);
    const clock = createRealClock();
    const models = unwrap(await startModels({ modelsDirs: [builtInModels], provider: "cpu", inProcess: true }));
    const presentations: Extract<SessionRecordBody, { kind: "presentation" }>[] = [];
    const alarms = new Set<string>();
    const ended = Promise.withResolvers<{ readonly reason: string; readonly message: string }>();
    const session = unwrap(await openLiveSession({
      clock, models, sessionFolder: join(root, "sessions"), hostKind: "cli", display: createTimedDisplay({ clock }), rewardFolder: root,
      config: sessionConfig.parse({
        // A busy machine shows an image for longer than it was asked to: that is asked for again, and here not the point.
        seed: 5, rig: { kind: "synthetic", options: { through: "line" } }, display: { kind: "external", external: { folder: exchange, durationToleranceMs: 80 } },
        evolution: { generations: 6, tuningRepeats: 0, referencesPerGeneration: 3, confirmRepeats: 0, threads: [{ optimizer: "cholesky-cma", populationSize: 12, target: 2 }] },
      }),
      onRecord(body) {
        if (body.kind === "presentation") presentations.push(body);
        if (body.kind === "event" && body.category !== "input" && body.severity !== "info") alarms.add(body.code);
      },
      listener: { ended: (reason, message) => ended.resolve({ reason, message }) },
    }));
    const { world } = session.rig;
    if (world === null) throw new Error("expected the synthetic rig's world");
    await session.loop.start();
    const child = spawn("octave-cli", ["--no-gui", "--norc", "--quiet", "--path", standIns, "--path", join(root, "task"), "--eval", "run_monkeylogic(0.03, 0.05, 7)"], { stdio: ["ignore", "pipe", "pipe"] });
    let complaint = "";
    child.stderr.on("data", (piece: Buffer) => { complaint += piece.toString("utf8"); });
    const errors: number[] = [];
    createInterface({ input: child.stdout }).on("line", (line) => {
      const [word, first = 0, second = 0] = line.split(" ").map((part, i) => (i === 0 ? part : Number(part)));
      if (word === "lit") world.lit(Number(first), Number(second), clock.now());
      else if (word === "blank") world.lit(null, 0, clock.now());
      else if (word === "code") world.strobe(Number(first), clock.now());
      else if (word === "trial") errors.push(Number(second));
    });
    const gone = new Promise<number | null>((resolve) => child.once("exit", resolve));
    void gone.then((code) => { if (code !== 0) ended.resolve({ reason: "octave", message: complaint }); });
    try {
      expect(await ended.promise).toEqual({ reason: "completed", message: expect.stringContaining("") as unknown });
      await session.close();
      // Told by current.json alone that it is over.
      expect(await gone, complaint).toBe(0);
    } finally {
      child.kill();
      await session.close();
      await models.close();
    }
    const counted = presentations.filter((p) => p.excluded === null);
    // One start code five times, then five populations of twelve, and three references in each block.
    expect(counted.length).toBe(5 + 5 * 12 + 6 * 3);
    const onsets = session.rig.truth?.onsets() ?? [];
    for (const p of counted) {
      // The image that was lit last when its code came. The light comes 3 ms after the image was put on, the code as soon as Octave sends it.
      const lit = onsets.filter((o) => o.onsetRigNs - 4 * nsPerMs <= (p.onsetRigNs ?? 0)).at(-1);
      expect([lit?.presentationId, lit?.imageId]).toEqual([p.presentationId, p.imageId]);
    }
    // Trials were broken off and the spot not looked at, and it went on.
    expect(new Set(errors)).toEqual(new Set([0, 3, 4]));
    expect([...alarms].filter((code) => ["externalUnknown", "externalFolder", "externalNoOff"].includes(code))).toEqual([]);
    expect(unwrap(await verifySession(session.file))).toMatchObject({ identical: true });
  }, 300_000);
});
