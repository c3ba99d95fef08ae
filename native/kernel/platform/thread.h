// What the system is asked for a thread that must not wait when it has something to do. Knows nothing about what it does.
#pragma once

namespace evoked {

/**
 * Asks that the calling thread run soon after it is woken, also where another keeps the core busy: a short slice on Linux (6.12 or later), a higher
 * priority on Windows, the class of interactive work on macOS. No privilege is needed, and the thread takes no more of the core than before.
 * False where the system has nothing like it.
 */
bool favourThisThread();

}  // namespace evoked
