// A lock-free ring for one producer and one consumer. What does not fit is counted, never waited for. Knows nothing about what it carries.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

namespace evoked {

template <typename T>
class Ring {
  static_assert(std::is_trivially_copyable<T>::value, "records are copied as bytes");

 public:
  /** Room for at least `capacity` records; rounded up to a power of two. */
  explicit Ring(size_t capacity) {
    size_t size = 2;
    while (size < capacity) size *= 2;
    slots_.resize(size);
    mask_ = size - 1;
  }

  /** Producer only. False where `count` records do not fit; then nothing is written. */
  bool push(const T* records, size_t count) {
    const uint64_t head = head_.load(std::memory_order_relaxed);
    if (head - cachedTail_ + count > slots_.size()) {
      cachedTail_ = tail_.load(std::memory_order_acquire);
      if (head - cachedTail_ + count > slots_.size()) return false;
    }
    for (size_t i = 0; i < count; i++) slots_[(head + i) & mask_] = records[i];
    head_.store(head + count, std::memory_order_release);
    return true;
  }

  /** Consumer only. Copies out up to `max` records, oldest first. */
  size_t pop(T* out, size_t max) {
    const uint64_t tail = tail_.load(std::memory_order_relaxed);
    const uint64_t head = head_.load(std::memory_order_acquire);
    size_t count = static_cast<size_t>(head - tail);
    if (count > max) count = max;
    const size_t from = static_cast<size_t>(tail & mask_);
    const size_t first = count < slots_.size() - from ? count : slots_.size() - from;
    if (first > 0) std::memcpy(out, &slots_[from], first * sizeof(T));
    if (count > first) std::memcpy(out + first, &slots_[0], (count - first) * sizeof(T));
    tail_.store(tail + count, std::memory_order_release);
    return count;
  }

  /** Records that wait; from either side, may be old by the time it is read. */
  size_t size() const { return static_cast<size_t>(head_.load(std::memory_order_acquire) - tail_.load(std::memory_order_acquire)); }
  size_t capacity() const { return slots_.size(); }

 private:
  std::vector<T> slots_;
  size_t mask_ = 0;
  // Each side's counter in a cache line of its own.
  alignas(64) std::atomic<uint64_t> head_{0};
  uint64_t cachedTail_ = 0;
  alignas(64) std::atomic<uint64_t> tail_{0};
};

}  // namespace evoked
