// The addon's kernel under the sanitizers: its own test program, compiled with each. Needs a C++ compiler with their run-time libraries.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";

const native = join(import.meta.dirname, "..", "..", "native");
const folder = mkdtempSync(join(tmpdir(), "evoked-sanitizers-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const sources = ["tests/kernelTest.cpp", "kernel/blackrock.cpp", "kernel/bridge.cpp", "kernel/opxClient.cpp", "kernel/plexClient.cpp", "kernel/plexon.cpp", "kernel/receiver.cpp", "kernel/stream.cpp", "kernel/platform/library.cpp", "kernel/platform/thread.cpp", "kernel/platform/udpPosix.cpp"].map((file) => join(native, file));

/** Whether a program with this sanitizer can be made and run here; else what stands in the way. */
function whyNot(sanitizer: string): string | null {
  const probe = join(folder, `probe-${sanitizer}.cpp`);
  writeFileSync(probe, "int main() { return 0; }\n");
  const program = join(folder, `probe-${sanitizer}`);
  const compiled = spawnSync("c++", [`-fsanitize=${sanitizer}`, "-o", program, probe], { encoding: "utf8" });
  if (compiled.error !== undefined) return "no C++ compiler here (Debian: apt-get install g++)";
  if (compiled.status !== 0) return `the C++ compiler has no ${sanitizer} sanitizer`;
  const ran = spawnSync(program, [], { encoding: "utf8" });
  return ran.status === 0 ? null : `a program with the ${sanitizer} sanitizer does not run here: ${ran.stderr.split("\n")[0] ?? ""}`;
}

for (const sanitizer of ["address,undefined", "thread"]) {
  const reason = process.platform === "win32" ? "the sanitizers are run on Linux and macOS" : whyNot(sanitizer);
  describe.skipIf(reason !== null)(`the addon's kernel under the ${sanitizer} sanitizer${reason === null ? "" : ` (skipped: ${reason})`}`, () => {
    it("does what its own test asks, without a report", () => {
      const program = join(folder, `kernel-${sanitizer}`);
      execFileSync("c++", ["-std=c++17", "-O1", "-g", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all", `-fsanitize=${sanitizer}`, "-o", program, ...sources, "-lpthread", "-ldl"]);
      const standIns = ["standIn", "standInOpx"].map((name) => {
        const library = join(folder, `${name}.so`);
        execFileSync("cc", ["-shared", "-fPIC", "-o", library, join(import.meta.dirname, "..", "support", "plexon", `${name}.c`)]);
        return library;
      });
      const ran = spawnSync(program, standIns, { encoding: "utf8", timeout: 240_000 });
      expect(`${ran.stdout}${ran.stderr}`).toContain("kernel: all well");
      expect(ran.stderr).toBe("");
      expect(ran.status).toBe(0);
    });
  });
}
