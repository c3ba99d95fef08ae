// `node scripts/prebuild.mjs`: builds the native addon for this system into native/prebuilds/ (prebuildify), where the packaged app and a
// checkout without a compiler find it. One system builds its own only: .github/workflows/addon.yml does it for all of them.
// Plain JavaScript for Node 20.
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { prepare } from "./lib/install.mjs";
import { root, run, say, stop } from "./lib/say.mjs";

const node = await prepare();
const native = join(root, "native");
const headers = dirname(dirname(node));
// The headers of the Node that runs the app; without them node-gyp downloads some. Any will do: the addon asks for Node-API 8 only.
const nodedir = existsSync(join(headers, "include", "node", "node_api.h")) ? { npm_config_nodedir: headers } : {};
const outcome = await run(node, [join(root, "node_modules", "prebuildify", "bin.js"), "--napi", "--strip", "--cwd", native, "--target", process.versions.node], {
  env: { ...nodedir, PREBUILD_NODE_GYP: join(root, "node_modules", ".bin", process.platform === "win32" ? "node-gyp.cmd" : "node-gyp") },
});
if (!outcome.ok) stop(`prebuildify did not finish (${outcome.signal ?? `exit code ${outcome.code}`}); its reason stands above. It needs a C++ compiler, and Python for node-gyp.`);
const folder = join(native, "prebuilds", `${process.platform}-${process.arch}`);
say(`built ${readdirSync(folder).map((name) => join("native", "prebuilds", `${process.platform}-${process.arch}`, name)).join(", ")}.`);
