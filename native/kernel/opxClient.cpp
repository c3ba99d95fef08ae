// OPXClient: the server wakes whoever waits; what it hands over are parallel arrays, times in seconds. Its clock has 40,000 or 1,000,000 ticks a
// second, which it is asked.
#include <cmath>
#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "plexonClient.h"

namespace evoked {

namespace {

/** Channels are numbered within their type, and sources are told by type: as the older library does. */
constexpr int32_t formatLinear = 1;
constexpr int32_t typeContinuous = 5;
constexpr int32_t typeOther = 6;
/** No error: there is more than there was room for. Other numbers of errors differ between versions of the library and are handed on. */
constexpr int32_t notAllReturned = -16;
constexpr int32_t maxSources = 256;
constexpr int64_t nsPerMs = 1000000;

/** What the server says of itself. */
struct Parameters {
  int32_t systemType;
  int32_t softwareVersion;
  int32_t sdkVersion;
  int32_t sources;
  int32_t sourceIds[maxSources];
  int32_t spikeChannels;
  int32_t continuousChannels;
  int32_t eventChannels;
  int32_t otherChannels;
  double ticksPerSecond;
  double clientSampleRateMax;
  /** What follows is of no interest here; later versions may have more of it. */
  uint8_t rest[8192];
};
static_assert(offsetof(Parameters, ticksPerSecond) == 1056, "the library writes the frequency there");

class OpxClient final : public PlexonClient {
 public:
  /** The functions that are used, as the library exports them. */
  struct Functions {
    /** A handle above 0, or the number of an error. */
    int32_t(EVOKED_PLEXON_CALL* initClient)();
    void(EVOKED_PLEXON_CALL* closeClient)();
    int32_t(EVOKED_PLEXON_CALL* getGlobalParameters)(Parameters* parameters);
    int32_t(EVOKED_PLEXON_CALL* setDataFormat)(int32_t format);
    /** Null where the library has none: then continuous samples come along and are left out here. */
    int32_t(EVOKED_PLEXON_CALL* excludeAllSourcesOfType)(int32_t type);
    /** To be asked for once. */
    uint32_t(EVOKED_PLEXON_CALL* getWaitHandle)();
    int32_t(EVOKED_PLEXON_CALL* waitForNewData)(uint32_t handle, uint32_t timeoutMs);
    /** In: room; out: how many. Times in seconds, types, channels, units or strobed words. */
    int32_t(EVOKED_PLEXON_CALL* getNewTimestamps)(int32_t* count, double* times, uint8_t* types, uint16_t* channels, uint16_t* units);
  };

  explicit OpxClient(const Functions& functions) : functions_(functions) {}

  std::string connect() override {
    const int32_t client = functions_.initClient();
    if (client <= 0) return "the OmniPlex server refused the connection (error " + std::to_string(client) + ")";
    const std::string problem = prepare();
    if (!problem.empty()) functions_.closeClient();
    return problem;
  }
  void close() override { functions_.closeClient(); }
  double ticksPerSecond() const override { return ticksPerSecond_; }
  bool countsDropped() const override { return false; }
  const char* name() const override { return "OPXClient"; }

  PlexonAnswer read(PlexonReading* out, int max) override {
    times_.resize(static_cast<size_t>(max));
    types_.resize(static_cast<size_t>(max));
    channels_.resize(static_cast<size_t>(max));
    units_.resize(static_cast<size_t>(max));
    PlexonAnswer answer;
    int32_t count = max;
    const int32_t code = functions_.getNewTimestamps(&count, times_.data(), types_.data(), channels_.data(), units_.data());
    if (code < 0 && code != notAllReturned) {
      answer.error = code;
      return answer;
    }
    // A library that claims more than it was given room for is not to be believed.
    if (count < 0) count = 0;
    if (count > max) count = max;
    answer.hasMore = code == notAllReturned || count == max;
    for (int32_t i = 0; i < count; i++) {
      const size_t k = static_cast<size_t>(i);
      if (!(times_[k] >= 0)) continue;
      // The times are whole ticks as seconds: 40 bits of ticks come back exactly.
      out[answer.count++] = {static_cast<uint64_t>(std::llround(times_[k] * ticksPerSecond_)), types_[k], channels_[k], units_[k]};
    }
    return answer;
  }

  void wait(int64_t limitNs) override {
    // Whole ms, and never none: a wait of no time would keep the core busy.
    functions_.waitForNewData(waitHandle_, static_cast<uint32_t>((limitNs + nsPerMs - 1) / nsPerMs));
  }

 private:
  std::string prepare() {
    auto parameters = std::make_unique<Parameters>();
    std::memset(parameters.get(), 0, sizeof(Parameters));
    int32_t code = functions_.getGlobalParameters(parameters.get());
    if (code < 0) return "the OmniPlex server does not say how it is set up (error " + std::to_string(code) + ")";
    ticksPerSecond_ = parameters->ticksPerSecond;
    if (!(ticksPerSecond_ >= 1000 && ticksPerSecond_ <= 1e9)) return "the OmniPlex server named " + std::to_string(ticksPerSecond_) + " ticks a second";
    code = functions_.setDataFormat(formatLinear);
    if (code < 0) return "the OmniPlex server does not number its channels by type (error " + std::to_string(code) + ")";
    if (functions_.excludeAllSourcesOfType != nullptr) {
      // Refused where there are none of them.
      functions_.excludeAllSourcesOfType(typeContinuous);
      functions_.excludeAllSourcesOfType(typeOther);
    }
    waitHandle_ = functions_.getWaitHandle();
    return "";
  }

  const Functions functions_;
  double ticksPerSecond_ = 0;
  uint32_t waitHandle_ = 0;
  std::vector<double> times_;
  std::vector<uint8_t> types_;
  std::vector<uint16_t> channels_;
  std::vector<uint16_t> units_;
};

}  // namespace

std::unique_ptr<PlexonClient> openOpxClient(const SharedLibrary& library) {
  OpxClient::Functions functions{};
  if (!bindFunction(library, "OPX_InitClient", functions.initClient) || !bindFunction(library, "OPX_CloseClient", functions.closeClient) || !bindFunction(library, "OPX_GetGlobalParameters", functions.getGlobalParameters) ||
      !bindFunction(library, "OPX_SetDataFormat", functions.setDataFormat) || !bindFunction(library, "OPX_GetWaitHandle", functions.getWaitHandle) || !bindFunction(library, "OPX_WaitForNewData", functions.waitForNewData) ||
      !bindFunction(library, "OPX_GetNewTimestamps", functions.getNewTimestamps)) {
    return nullptr;
  }
  bindFunction(library, "OPX_ExcludeAllSourcesOfType", functions.excludeAllSourcesOfType);
  return std::make_unique<OpxClient>(functions);
}

}  // namespace evoked
