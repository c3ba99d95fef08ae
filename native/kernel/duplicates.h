// Recognises a datagram that the network delivered twice. Knows nothing about what is in it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace evoked {

/** Remembers the newest 64 datagrams by size and a 64-bit hash (FNV-1a over 32-bit words; Fowler, Noll, Vo). */
class Duplicates {
 public:
  /** True where the same bytes were seen among the newest 64. */
  bool seen(const uint8_t* bytes, size_t size) {
    uint64_t hash = 0xcbf29ce484222325ull ^ size;
    size_t i = 0;
    for (; i + 4 <= size; i += 4) {
      const uint32_t word = static_cast<uint32_t>(bytes[i]) | (static_cast<uint32_t>(bytes[i + 1]) << 8) | (static_cast<uint32_t>(bytes[i + 2]) << 16) | (static_cast<uint32_t>(bytes[i + 3]) << 24);
      hash = (hash ^ word) * 0x100000001b3ull;
    }
    for (; i < size; i++) hash = (hash ^ bytes[i]) * 0x100000001b3ull;
    for (const uint64_t known : known_) {
      if (known == hash) return true;
    }
    known_[next_] = hash;
    next_ = (next_ + 1) % known_.size();
    return false;
  }

 private:
  std::array<uint64_t, 64> known_{};
  size_t next_ = 0;
};

}  // namespace evoked
