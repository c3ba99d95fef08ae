// Polls a Plexon server through the functions of its client library. Our own declaration of the library's binary interface, from its
// documentation (docs/rigs/plexon.md). Knows no JavaScript.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "platform/library.h"
#include "records.h"
#include "stream.h"

#ifdef _WIN32
#define EVOKED_PLEXON_CALL __stdcall
#else
#define EVOKED_PLEXON_CALL
#endif

namespace evoked {

/** One event of the server, 16 bytes; with 120 samples behind it where waveforms are asked for. */
struct PlexonEvent {
  /** 1 spike, 4 external event, 5 continuous sample. */
  int8_t type;
  int8_t reserved[2];
  /** Bits 32 to 39 of the time. */
  uint8_t upperTime;
  uint32_t time;
  /** Channel of a spike, 1-based; number of an event, 257 for a strobed word. */
  int16_t channel;
  /** Sorted unit, or the strobed word. */
  int16_t unit;
  int8_t reserved2[4];
};
static_assert(sizeof(PlexonEvent) == 16, "the library writes events of 16 bytes");

struct PlexonWave {
  PlexonEvent event;
  int16_t samples[120];
};
static_assert(sizeof(PlexonWave) == 256, "the library writes waveforms of 256 bytes");

/** The functions that are used, as the library exports them. */
struct PlexonFunctions {
  int(EVOKED_PLEXON_CALL* initClientEx3)(int type, void* listWindow, void* mainWindow);
  void(EVOKED_PLEXON_CALL* closeClient)();
  /** us a tick; 25 at 40 kHz. */
  int(EVOKED_PLEXON_CALL* getTimeStampTick)();
  void(EVOKED_PLEXON_CALL* getTimeStampStructures)(int* count, PlexonEvent* events);
  /** Null where the library has none. The only one that says how much was dropped. */
  void(EVOKED_PLEXON_CALL* getLongWaveFormStructures)(int* count, PlexonWave* waves, int* serverDropped, int* clientDropped);
};

struct PlexonOptions {
  std::string library = "PlexClient.dll";
  int64_t pollIntervalNs = 1000 * 1000;
  /** Ask with waveforms, which says how much was dropped, where the library can. */
  bool countDropped = true;
};

class PlexonPoller {
 public:
  PlexonPoller(PlexonOptions options, std::shared_ptr<Stream> stream) : options_(std::move(options)), stream_(std::move(stream)) {}
  ~PlexonPoller() { stop(); }
  /** Loads the library, connects, starts the thread; an empty sentence, or what stands in the way. */
  std::string start();
  void stop();
  int microsecondsPerTick() const { return tickUs_; }
  bool countsDropped() const { return countsDropped_; }

 private:
  void run();
  void take(const PlexonEvent& event, double arrivalNs);

  const PlexonOptions options_;
  std::shared_ptr<Stream> stream_;
  SharedLibrary library_;
  PlexonFunctions functions_{};
  int tickUs_ = 0;
  bool countsDropped_ = false;
  bool isConnected_ = false;
  std::atomic<bool> isStopping_{false};
  std::thread thread_;
};

}  // namespace evoked
