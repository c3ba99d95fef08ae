// PlexClient: the server is polled; what it hands over are events of 16 bytes, with their waveforms where the count of dropped ones is wanted.
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "plexonClient.h"

namespace evoked {

namespace {

/** One event of the server; with 120 samples behind it where waveforms are asked for. */
struct Event {
  /** 1 spike, 4 external event, 5 continuous sample. */
  int8_t type;
  int8_t reserved[2];
  /** Bits 32 to 39 of the time. */
  uint8_t upperTime;
  uint32_t time;
  int16_t channel;
  int16_t unit;
  int8_t reserved2[4];
};
static_assert(sizeof(Event) == 16, "the library writes events of 16 bytes");

struct Wave {
  Event event;
  int16_t samples[120];
};
static_assert(sizeof(Wave) == 256, "the library writes waveforms of 256 bytes");

class PlexClient final : public PlexonClient {
 public:
  /** The functions that are used, as the library exports them. */
  struct Functions {
    int(EVOKED_PLEXON_CALL* initClientEx3)(int type, void* listWindow, void* mainWindow);
    void(EVOKED_PLEXON_CALL* closeClient)();
    /** us a tick; 25 at 40 kHz. */
    int(EVOKED_PLEXON_CALL* getTimeStampTick)();
    void(EVOKED_PLEXON_CALL* getTimeStampStructures)(int* count, Event* events);
    /** Null where the library has none. The only one that says how much was dropped. */
    void(EVOKED_PLEXON_CALL* getLongWaveFormStructures)(int* count, Wave* waves, int* serverDropped, int* clientDropped);
  };

  explicit PlexClient(const Functions& functions) : functions_(functions) {}

  std::string connect() override {
    // Type 256 is Plexon's own sorting client; ours is an ordinary one.
    if (functions_.initClientEx3(0, nullptr, nullptr) == 0) return "the Plexon server refused the connection";
    tickUs_ = functions_.getTimeStampTick();
    if (tickUs_ > 0 && tickUs_ <= 1000) return "";
    functions_.closeClient();
    return "the Plexon server named a tick of " + std::to_string(tickUs_) + " us";
  }
  void close() override { functions_.closeClient(); }
  double ticksPerSecond() const override { return 1e6 / tickUs_; }
  bool countsDropped() const override { return functions_.getLongWaveFormStructures != nullptr; }
  const char* name() const override { return "PlexClient"; }

  PlexonAnswer read(PlexonReading* out, int max) override {
    PlexonAnswer answer;
    answer.count = max;
    if (countsDropped()) {
      waves_.resize(static_cast<size_t>(max));
      functions_.getLongWaveFormStructures(&answer.count, waves_.data(), &answer.serverDropped, &answer.clientDropped);
    } else {
      events_.resize(static_cast<size_t>(max));
      functions_.getTimeStampStructures(&answer.count, events_.data());
    }
    // A library that claims more than it was given room for is not to be believed.
    if (answer.count < 0) answer.count = 0;
    if (answer.count > max) answer.count = max;
    answer.hasMore = answer.count == max;
    for (int i = 0; i < answer.count; i++) {
      const Event& event = countsDropped() ? waves_[static_cast<size_t>(i)].event : events_[static_cast<size_t>(i)];
      // A strobed word is 16 bits without a sign.
      out[i] = {(static_cast<uint64_t>(event.upperTime) << 32) | event.time, event.type, static_cast<uint16_t>(event.channel), event.type == plexonEvent ? static_cast<uint16_t>(event.unit) : event.unit};
    }
    return answer;
  }
  void wait(int64_t limitNs) override { std::this_thread::sleep_for(std::chrono::nanoseconds(limitNs)); }

 private:
  const Functions functions_;
  int tickUs_ = 0;
  std::vector<Event> events_;
  std::vector<Wave> waves_;
};

}  // namespace

std::unique_ptr<PlexonClient> openPlexClient(const SharedLibrary& library, bool countDropped) {
  PlexClient::Functions functions{};
  if (!bindFunction(library, "PL_InitClientEx3", functions.initClientEx3) || !bindFunction(library, "PL_CloseClient", functions.closeClient) || !bindFunction(library, "PL_GetTimeStampTick", functions.getTimeStampTick) ||
      !bindFunction(library, "PL_GetTimeStampStructures", functions.getTimeStampStructures)) {
    return nullptr;
  }
  if (countDropped) bindFunction(library, "PL_GetLongWaveFormStructures", functions.getLongWaveFormStructures);
  return std::make_unique<PlexClient>(functions);
}

}  // namespace evoked
