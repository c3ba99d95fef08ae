// What every receive thread shares: the ring to JavaScript, blobs beside it, the wake-up call, counts. Knows nothing about JavaScript itself.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

#include "clock.h"
#include "records.h"
#include "ring.h"

namespace evoked {

struct StreamCounts {
  uint64_t datagrams;
  uint64_t bytes;
  uint64_t droppedRecords;
  uint64_t wakes;
};

/** The producer's side is one thread's, the consumer's another's. */
class Stream final : public Sink {
 public:
  Stream(size_t ringRecords, int64_t wakeIntervalNs, std::function<void()> wake) : ring_(ringRecords), wakeIntervalNs_(wakeIntervalNs), wake_(std::move(wake)) {}

  // --- producer
  void push(const Record& record) override;
  void pushBlob(const uint8_t* bytes, size_t size, uint64_t time, double arrivalNs, Kind kind = Kind::blob) override;
  void countDatagram(size_t bytes) {
    datagrams_.fetch_add(1, std::memory_order_relaxed);
    bytes_.fetch_add(bytes, std::memory_order_relaxed);
  }
  /** Wakes the consumer where records wait and the last call is long enough ago. Answers how long the producer may sleep, ns, at most `limitNs`. */
  int64_t wakeIfDue(int64_t limitNs);

  // --- consumer
  /** Copies out up to `max` records. Call after a wake-up, until it answers less than `max`. */
  size_t drain(Record* out, size_t max) {
    isWoken_.store(false, std::memory_order_release);
    return ring_.pop(out, max);
  }
  size_t waiting() const { return ring_.size(); }
  size_t capacity() const { return ring_.capacity(); }
  /** The bytes of a blob, once; empty where there are none of that number. */
  std::vector<uint8_t> takeBlob(uint32_t number);
  StreamCounts counts() const { return {datagrams_.load(std::memory_order_relaxed), bytes_.load(std::memory_order_relaxed), dropped_.load(std::memory_order_relaxed), wakes_.load(std::memory_order_relaxed)}; }

 private:
  struct Blob {
    uint32_t number;
    std::vector<uint8_t> bytes;
  };
  static constexpr size_t blobsMax = 8192;

  Ring<Record> ring_;
  const int64_t wakeIntervalNs_;
  const std::function<void()> wake_;
  /** Records that found no room since the last one that did. */
  uint32_t droppedSpikes_ = 0;
  uint32_t droppedOthers_ = 0;
  bool hasNews_ = false;
  int64_t lastWakeNs_ = 0;
  uint32_t nextBlob_ = 0;
  std::mutex blobMutex_;
  std::deque<Blob> blobs_;
  std::atomic<bool> isWoken_{false};
  std::atomic<uint64_t> datagrams_{0};
  std::atomic<uint64_t> bytes_{0};
  std::atomic<uint64_t> dropped_{0};
  std::atomic<uint64_t> wakes_{0};
};

}  // namespace evoked
