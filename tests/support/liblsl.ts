// The Lab Streaming Layer's library for tests: the one that is named or on the system, else the copy that the package lsl.js (MIT) carries,
// fetched once into .cache. Knows nothing about streams.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadLsl } from "../../src/acquisition/drivers/lsl/library.ts";

const folder = join(import.meta.dirname, "..", "..", ".cache", "liblsl");
const prebuilt: Readonly<Record<string, string>> = { "linux-x64": "liblsl64.so", "win32-x64": "liblsl64.dll", "darwin-x64": "liblsl64.dylib", "darwin-arm64": "liblslarm.dylib" };

/** null: it is there, and EVOKED_LIBLSL names it. Else why not. */
export async function findLiblsl(): Promise<string | null> {
  mkdirSync(folder, { recursive: true });
  // Streams of a test are nobody else's business: they are announced on this computer only.
  const settings = join(folder, "lsl_api.cfg");
  writeFileSync(settings, "[multicast]\nResolveScope = machine\n[log]\nlevel = -2\n");
  process.env["LSLAPICFG"] = settings;
  if ((await loadLsl(null)).ok) return null;
  const name = prebuilt[`${process.platform}-${process.arch}`];
  if (name === undefined) return `skipped: no liblsl for ${process.platform}-${process.arch}`;
  const file = join(folder, "package", "prebuilt", name);
  if (!existsSync(file)) {
    try {
      const npm = process.platform === "win32" ? "npm.cmd" : "npm";
      const [tarball = ""] = execFileSync(npm, ["pack", "lsl.js@1.1.2", "--silent", "--pack-destination", folder], { encoding: "utf8", timeout: 60_000, stdio: ["ignore", "pipe", "ignore"] }).trim().split("\n").slice(-1);
      execFileSync("tar", ["xzf", join(folder, tarball), "-C", folder], { timeout: 20_000 });
    } catch (error) {
      return `skipped: liblsl is not installed and lsl.js could not be fetched (${error instanceof Error ? error.message.split("\n")[0] : String(error)})`;
    }
  }
  process.env["EVOKED_LIBLSL"] = file;
  const loaded = await loadLsl(null);
  return loaded.ok ? null : `skipped: ${loaded.error.message}`;
}
