// A thread that takes from a Plexon server what its client library has heard. Knows no JavaScript, and which library it is only by its face.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "platform/library.h"
#include "plexonClient.h"
#include "records.h"
#include "stream.h"

namespace evoked {

enum class PlexonLibrary { either, opx, plex };

struct PlexonOptions {
  /** Files or names on the search path, in the order in which they are tried. */
  std::vector<std::string> libraries;
  /** Which of the two client libraries it may be. */
  PlexonLibrary client = PlexonLibrary::either;
  int64_t pollIntervalNs = 1000 * 1000;
  /** Ask PlexClient with waveforms, which says how much was dropped, where the library can. */
  bool countDropped = true;
};

class PlexonPoller {
 public:
  PlexonPoller(PlexonOptions options, std::shared_ptr<Stream> stream) : options_(std::move(options)), stream_(std::move(stream)) {}
  ~PlexonPoller() { stop(); }
  /** Loads the first library that is there and whose server takes us in, starts the thread; an empty sentence, or what stands in the way of each. */
  std::string start();
  void stop();
  double microsecondsPerTick() const { return 1e6 / ticksPerSecond_; }
  bool countsDropped() const { return countsDropped_; }
  /** The file that was loaded, and which of the two libraries it is. */
  const std::string& library() const { return library_; }
  const std::string& client() const { return clientName_; }

 private:
  std::string connect(const std::string& file);
  void run();
  void take(const PlexonReading& reading, double arrivalNs);

  const PlexonOptions options_;
  std::shared_ptr<Stream> stream_;
  // In this order: the client's functions are the library's.
  std::unique_ptr<SharedLibrary> loaded_;
  std::unique_ptr<PlexonClient> client_;
  std::string library_;
  std::string clientName_;
  double ticksPerSecond_ = 40000;
  bool countsDropped_ = false;
  std::atomic<bool> isStopping_{false};
  std::thread thread_;
};

}  // namespace evoked
