// The ring to JavaScript with its overflow counted in-band.
#include "stream.h"

namespace evoked {

void Stream::push(const Record& record) {
  if (droppedSpikes_ + droppedOthers_ > 0) {
    // The loss is told in its place, before what comes after it.
    const Record both[2] = {{record.time, record.arrivalNs, 0, static_cast<uint8_t>(Kind::overflow), 0, droppedSpikes_, droppedOthers_, 0}, record};
    if (ring_.push(both, 2)) {
      droppedSpikes_ = 0;
      droppedOthers_ = 0;
      hasNews_ = true;
      return;
    }
  } else if (ring_.push(&record, 1)) {
    hasNews_ = true;
    return;
  }
  dropped_.fetch_add(1, std::memory_order_relaxed);
  if (record.kind == static_cast<uint8_t>(Kind::spike)) {
    droppedSpikes_++;
  } else {
    droppedOthers_++;
  }
}

void Stream::pushBlob(const uint8_t* bytes, size_t size, uint64_t time, double arrivalNs, Kind kind) {
  const uint32_t number = nextBlob_++;
  {
    const std::lock_guard<std::mutex> lock(blobMutex_);
    // Nobody reads: the oldest go; their records then name bytes that are gone.
    if (blobs_.size() >= blobsMax) blobs_.pop_front();
    blobs_.push_back(Blob{number, std::vector<uint8_t>(bytes, bytes + size)});
  }
  push(Record{time, arrivalNs, 0, static_cast<uint8_t>(kind), 0, number, 0, 0});
}

int64_t Stream::wakeIfDue(int64_t limitNs) {
  if (!hasNews_) return limitNs;
  const int64_t now = monotonicNs();
  const int64_t restNs = lastWakeNs_ + wakeIntervalNs_ - now;
  if (restNs > 0) return restNs < limitNs ? restNs : limitNs;
  hasNews_ = false;
  lastWakeNs_ = now;
  // One call on its way is enough: its receiver takes everything that is there.
  if (!isWoken_.exchange(true, std::memory_order_acq_rel)) {
    wakes_.fetch_add(1, std::memory_order_relaxed);
    wake_();
  }
  return limitNs;
}

std::vector<uint8_t> Stream::takeBlob(uint32_t number) {
  const std::lock_guard<std::mutex> lock(blobMutex_);
  while (!blobs_.empty()) {
    Blob blob = std::move(blobs_.front());
    blobs_.pop_front();
    if (blob.number == number) return std::move(blob.bytes);
    if (blob.number > number) {
      blobs_.push_front(std::move(blob));
      break;
    }
  }
  return {};
}

}  // namespace evoked
