// `npm start`: installs and builds what is missing, then opens the app: Electron where it can be had, else a browser.
// Plain JavaScript for Node 20, with nothing installed.
import { keepCompiled } from "../src/cli/compileCache.js";
import { buildAddon } from "./lib/addon.mjs";
import { buildElectron, buildRenderer } from "./lib/build.mjs";
import { findElectron, sandboxHint } from "./lib/electron.mjs";
import { prepare } from "./lib/install.mjs";
import { root, run, say, stop } from "./lib/say.mjs";

const usage = `npm start                        opens the app: Electron where it can be had, else the installed browser
npm start -- --browser           the browser, even where Electron is there
npm start -- --retry-electron    tries again to download Electron
npm start -- --port 5000         further options go to the web host; see evoked serve --help`;

/** Electron that ends sooner than this with an error never showed a window. */
const earlyEndMs = 15_000;

const args = process.argv.slice(2);
if (args.includes("--help") || args.includes("-h")) {
  console.log(usage);
  process.exit(0);
}
const own = ["--browser", "--retry-electron"];
const passedOn = args.filter((arg) => !own.includes(arg));

keepCompiled(root);
const node = await prepare();
const failed = await buildRenderer(node);
await buildAddon(node);
if (failed !== null) stop(`the windows could not be built:\n${failed}`);
if (!args.includes("--browser") && passedOn.length === 0 && await openElectron()) process.exit();
process.exit(await openBrowser());

/** True where Electron ran and ended; then process.exitCode is its. */
async function openElectron() {
  const electron = await findElectron(node, { retry: args.includes("--retry-electron") });
  if ("reason" in electron) {
    say(`${electron.reason}; the app opens in the browser instead.`);
    return false;
  }
  const broken = await buildElectron(node);
  if (broken !== null) {
    say(`the desktop program could not be built; the app opens in the browser instead.\n${broken}`);
    return false;
  }
  const asRoot = process.platform === "linux" && process.getuid?.() === 0;
  if (asRoot) say("you are root, and Electron refuses to start its sandbox for root: it runs with --no-sandbox. Prefer an ordinary account.");
  say("opening Electron.");
  const began = Date.now();
  const outcome = await run(electron.program, [...(asRoot ? ["--no-sandbox"] : []), root]);
  if (!outcome.ok && Date.now() - began < earlyEndMs) {
    say(`Electron ended at once (${outcome.signal ?? `exit code ${outcome.code}`}); the app opens in the browser instead.${sandboxHint()}`);
    return false;
  }
  process.exitCode = outcome.code ?? 1;
  return true;
}

async function openBrowser() {
  // The web host ends by itself on Ctrl+C, which reaches it as well.
  process.on("SIGINT", () => undefined);
  const outcome = await run(node, ["--disable-warning=ExperimentalWarning", "src/cli/main.ts", "serve", "--open", ...passedOn], {
    env: { EVOKED_STARTER: String(process.pid) },
    onSpawn: (child) => { for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal)); },
  });
  return outcome.code ?? 1;
}
