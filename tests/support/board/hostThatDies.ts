// A host that opens the board, begins a long pulse, says so and then hangs with its event loop alive: to be killed.
import { createBoard } from "../../../src/acquisition/serial/board.ts";
import { createRealClock } from "../../../src/engine/realClock.ts";
import { unwrap } from "../../../src/shared/result.ts";

const board = createBoard({ clock: createRealClock(), path: process.argv[2] ?? "", baudRate: 115_200 });
unwrap(await board.start());
void board.pulse(1000);
process.stdout.write("pulsing\n");
setInterval(() => undefined, 1000);
