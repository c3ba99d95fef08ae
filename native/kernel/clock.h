// The monotonic clock on which arrivals are stamped. Node's performance.now() counts on the same one; the binding gives both to JavaScript.
#pragma once

#include <chrono>
#include <cstdint>

namespace evoked {

inline int64_t monotonicNs() { return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

}  // namespace evoked
