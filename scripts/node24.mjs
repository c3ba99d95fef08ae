// Runs a program of node_modules, or a script, with a Node that is new enough: node scripts/node24.mjs FILE ARGS...
import { describeMissingNode, findNode24 } from "../src/cli/node24.js";
import { root, run, stop } from "./lib/say.mjs";

const node = findNode24(root);
if (node === null) stop(describeMissingNode());
const outcome = await run(node, process.argv.slice(2));
process.exit(outcome.code ?? 1);
