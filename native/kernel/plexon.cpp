// The polling thread.
#include "plexon.h"

#include <chrono>
#include <vector>

#include "clock.h"

namespace evoked {

namespace {

/** Events taken by one call at most; the server holds more for the next one. */
constexpr int eventsMax = 20000;
constexpr int8_t typeSpike = 1;
constexpr int8_t typeEvent = 4;

template <typename T>
bool bind(const SharedLibrary& library, const char* name, T& out) {
  out = reinterpret_cast<T>(library.find(name));
  return out != nullptr;
}

}  // namespace

std::string PlexonPoller::start() {
  const std::string problem = library_.open(options_.library);
  if (!problem.empty()) return "the library " + options_.library + " cannot be loaded (" + problem + ")";
  if (!bind(library_, "PL_InitClientEx3", functions_.initClientEx3) || !bind(library_, "PL_CloseClient", functions_.closeClient) || !bind(library_, "PL_GetTimeStampTick", functions_.getTimeStampTick) ||
      !bind(library_, "PL_GetTimeStampStructures", functions_.getTimeStampStructures)) {
    return "the library " + options_.library + " lacks a function of Plexon's client";
  }
  countsDropped_ = options_.countDropped && bind(library_, "PL_GetLongWaveFormStructures", functions_.getLongWaveFormStructures);
  // Type 256 is Plexon's own sorting client; ours is an ordinary one.
  if (functions_.initClientEx3(0, nullptr, nullptr) == 0) return "the Plexon server refused the connection";
  isConnected_ = true;
  tickUs_ = functions_.getTimeStampTick();
  if (tickUs_ <= 0 || tickUs_ > 1000) {
    stop();
    return "the Plexon server named a tick of " + std::to_string(tickUs_) + " us";
  }
  thread_ = std::thread([this] { run(); });
  return "";
}

void PlexonPoller::stop() {
  isStopping_.store(true, std::memory_order_release);
  if (thread_.joinable()) thread_.join();
  if (isConnected_) functions_.closeClient();
  isConnected_ = false;
}

void PlexonPoller::take(const PlexonEvent& event, double arrivalNs) {
  const uint64_t time = (static_cast<uint64_t>(event.upperTime) << 32) | event.time;
  const uint16_t channel = static_cast<uint16_t>(event.channel);
  if (event.type == typeSpike) {
    stream_->push(Record{time, arrivalNs, channel, static_cast<uint8_t>(Kind::spike), static_cast<uint8_t>(event.unit < 0 ? 255 : event.unit > 255 ? 255 : event.unit), 0, 0, 0});
  } else if (event.type == typeEvent) {
    stream_->push(Record{time, arrivalNs, channel, static_cast<uint8_t>(Kind::digital), 0, static_cast<uint16_t>(event.unit), 0, 0});
  }
}

void PlexonPoller::run() {
  std::vector<PlexonEvent> events(countsDropped_ ? 0 : eventsMax);
  std::vector<PlexonWave> waves(countsDropped_ ? eventsMax : 0);
  while (!isStopping_.load(std::memory_order_acquire)) {
    int count = eventsMax;
    int serverDropped = 0;
    int clientDropped = 0;
    if (countsDropped_) {
      functions_.getLongWaveFormStructures(&count, waves.data(), &serverDropped, &clientDropped);
    } else {
      functions_.getTimeStampStructures(&count, events.data());
    }
    const double arrivalNs = static_cast<double>(monotonicNs());
    // A library that claims more than it was given room for is not to be believed.
    if (count < 0) count = 0;
    if (count > eventsMax) count = eventsMax;
    for (int i = 0; i < count; i++) take(countsDropped_ ? waves[static_cast<size_t>(i)].event : events[static_cast<size_t>(i)], arrivalNs);
    if (count > 0 || serverDropped > 0 || clientDropped > 0) {
      stream_->push(Record{0, arrivalNs, 0, static_cast<uint8_t>(Kind::poll), 0, static_cast<uint32_t>(count), static_cast<uint32_t>(serverDropped), static_cast<uint32_t>(clientDropped)});
      stream_->countDatagram(static_cast<size_t>(count) * sizeof(PlexonEvent));
    }
    const int64_t restNs = stream_->wakeIfDue(options_.pollIntervalNs);
    if (count < eventsMax) std::this_thread::sleep_for(std::chrono::nanoseconds(restNs < options_.pollIntervalNs ? restNs : options_.pollIntervalNs));
  }
}

}  // namespace evoked
