// The thread.
#include "plexon.h"

#include "clock.h"
#include "platform/thread.h"

namespace evoked {

namespace {

/** Readings taken by one question at most; the server holds more for the next one. */
constexpr int readingsMax = 20000;

}  // namespace

std::string PlexonPoller::start() {
  std::string problems;
  for (const std::string& file : options_.libraries) {
    const std::string problem = connect(file);
    if (problem.empty()) {
      thread_ = std::thread([this] { run(); });
      return "";
    }
    problems += (problems.empty() ? "" : "; ") + problem;
  }
  return problems.empty() ? "no library was named" : problems;
}

std::string PlexonPoller::connect(const std::string& file) {
  auto library = std::make_unique<SharedLibrary>();
  const std::string problem = library->open(file);
  if (!problem.empty()) return "the library " + file + " cannot be loaded (" + problem + ")";
  std::unique_ptr<PlexonClient> client;
  if (options_.client != PlexonLibrary::plex) client = openOpxClient(*library);
  if (client == nullptr && options_.client != PlexonLibrary::opx) client = openPlexClient(*library, options_.countDropped);
  if (client == nullptr) return "the library " + file + " lacks a function of Plexon's client";
  const std::string refusal = client->connect();
  if (!refusal.empty()) return refusal;
  library_ = file;
  clientName_ = client->name();
  ticksPerSecond_ = client->ticksPerSecond();
  countsDropped_ = client->countsDropped();
  client_ = std::move(client);
  loaded_ = std::move(library);
  return "";
}

void PlexonPoller::stop() {
  isStopping_.store(true, std::memory_order_release);
  if (thread_.joinable()) thread_.join();
  if (client_ != nullptr) client_->close();
  client_ = nullptr;
}

void PlexonPoller::take(const PlexonReading& reading, double arrivalNs) {
  if (reading.type == plexonSpike) {
    stream_->push(Record{reading.time, arrivalNs, reading.channel, static_cast<uint8_t>(Kind::spike), static_cast<uint8_t>(reading.unit < 0 ? 255 : reading.unit > 255 ? 255 : reading.unit), 0, 0, 0});
  } else if (reading.type == plexonEvent) {
    stream_->push(Record{reading.time, arrivalNs, reading.channel, static_cast<uint8_t>(Kind::digital), 0, static_cast<uint16_t>(reading.unit), 0, 0});
  }
}

void PlexonPoller::run() {
  favourThisThread();
  std::vector<PlexonReading> readings(readingsMax);
  int lastError = 0;
  while (!isStopping_.load(std::memory_order_acquire)) {
    const PlexonAnswer answer = client_->read(readings.data(), readingsMax);
    const double arrivalNs = static_cast<double>(monotonicNs());
    for (int i = 0; i < answer.count; i++) take(readings[static_cast<size_t>(i)], arrivalNs);
    if (answer.count > 0 || answer.serverDropped > 0 || answer.clientDropped > 0) {
      stream_->push(Record{0, arrivalNs, 0, static_cast<uint8_t>(Kind::poll), 0, static_cast<uint32_t>(answer.count), static_cast<uint32_t>(answer.serverDropped), static_cast<uint32_t>(answer.clientDropped)});
      stream_->countDatagram(static_cast<size_t>(answer.count) * sizeof(PlexonReading));
    }
    // Told when it begins and when it becomes another, not with every question.
    if (answer.error != 0 && answer.error != lastError) stream_->push(Record{0, arrivalNs, 0, static_cast<uint8_t>(Kind::malformed), 0, static_cast<uint32_t>(answer.error), 0, 0});
    lastError = answer.error;
    const int64_t restNs = stream_->wakeIfDue(options_.pollIntervalNs);
    if (!answer.hasMore) client_->wait(restNs < options_.pollIntervalNs ? restNs : options_.pollIntervalNs);
  }
}

}  // namespace evoked
