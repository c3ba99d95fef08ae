// Keeps zod from compiling schemas with `new Function`, which the pages' content security policy forbids.
// Imported before the contract, whose module parses defaults as it loads. Knows nothing else.
import { z } from "zod";

z.config({ jitless: true });
