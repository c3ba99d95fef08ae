// One of Plexon's two client libraries, behind one face: what it has heard since it was last asked, and how to wait for more. The libraries'
// binary interfaces are declared anew from their descriptions (docs/rigs/plexon.md). Knows no threads and no JavaScript.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "platform/library.h"

#ifdef _WIN32
#define EVOKED_PLEXON_CALL __stdcall
#else
#define EVOKED_PLEXON_CALL
#endif

namespace evoked {

/** Kinds of events, the same in both libraries. */
constexpr int plexonSpike = 1;
constexpr int plexonEvent = 4;

/** One spike or event. */
struct PlexonReading {
  /** Ticks of the server's clock. */
  uint64_t time;
  int type;
  /** Channel of a spike, 1-based; number of an event, 257 for a strobed word. */
  uint16_t channel;
  /** Sorted unit, or the strobed word. */
  int32_t unit;
};

/** What one question brought beside the readings. */
struct PlexonAnswer {
  /** Readings that were filled in. */
  int count = 0;
  int serverDropped = 0;
  int clientDropped = 0;
  /** More waits: ask again at once. */
  bool hasMore = false;
  /** Other than 0: the library's own number of an error; nothing was read. */
  int error = 0;
};

class PlexonClient {
 public:
  virtual ~PlexonClient() = default;
  /** An empty sentence where the server took us in, else what stands in the way. */
  virtual std::string connect() = 0;
  virtual void close() = 0;
  virtual double ticksPerSecond() const = 0;
  /** Whether the library says how much was dropped. */
  virtual bool countsDropped() const = 0;
  virtual const char* name() const = 0;
  /** Fills in up to `max` readings. */
  virtual PlexonAnswer read(PlexonReading* out, int max) = 0;
  /** Returns when there may be something new, after `limitNs` at the latest. */
  virtual void wait(int64_t limitNs) = 0;
};

/** The newer library (OPXClient64.dll); null where this is not it. `library` must outlive the client. */
std::unique_ptr<PlexonClient> openOpxClient(const SharedLibrary& library);
/** The older one (PlexClient.dll); null where this is not it. */
std::unique_ptr<PlexonClient> openPlexClient(const SharedLibrary& library, bool countDropped);

template <typename T>
bool bindFunction(const SharedLibrary& library, const char* name, T& out) {
  out = reinterpret_cast<T>(library.find(name));
  return out != nullptr;
}

}  // namespace evoked
