// Installs what the tests of serial devices need, where a Debian package manager may be used: the AVR compiler and simavr's library for the reward
// board's firmware, socat for pairs of pseudo-terminals.
// Without them those tests are skipped with a sentence. Plain JavaScript for Node 20.
import { existsSync } from "node:fs";
import { run, say } from "./say.mjs";

const packages = ["gcc-avr", "avr-libc", "libsimavr-dev", "libelf-dev", "gcc", "make", "socat"];
const needed = ["/usr/bin/avr-gcc", "/usr/include/simavr/sim_avr.h", "/usr/include/libelf.h", "/usr/bin/make", "/usr/bin/socat"];

export async function ensureFirmwareTools() {
  if (process.platform !== "linux" || needed.every((file) => existsSync(file)) || !existsSync("/usr/bin/apt-get")) return;
  const sudo = process.getuid?.() === 0 ? [] : ["sudo", "-n"];
  const apt = (args) => {
    const [program, ...rest] = [...sudo, "apt-get", ...args];
    return run(program, rest, { quiet: true, timeoutMs: 300_000, env: { DEBIAN_FRONTEND: "noninteractive" } });
  };
  say(`the tests of serial devices need an AVR compiler, simavr and socat: installing Debian's packages (${packages.join(" ")}).`);
  await apt(["update"]);
  const outcome = await apt(["install", "-y", "--no-install-recommends", ...packages]);
  if (!outcome.ok) say("they could not be installed; those tests are skipped.");
}
