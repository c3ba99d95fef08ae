// Packets of Blackrock's NSP, hubs and Gemini system, protocols 3.11, 4.0 and 4.1, into records. Knows nothing about sockets.
// Layout from CereLink's cbproto (docs/rigs/blackrock.md says which facts).
#pragma once

#include "duplicates.h"
#include "records.h"

namespace evoked {

enum class BlackrockProtocol : uint8_t {
  /** Not known yet: every datagram is handed over whole. */
  unknown = 0,
  v311 = 1,
  v400 = 2,
  v410 = 3,
};

/** One packet's head, whatever the protocol. */
struct BlackrockHeader {
  uint64_t time;
  uint16_t channel;
  uint16_t type;
  /** Bytes of head and payload. */
  size_t headSize;
  size_t payloadSize;
};

/** Reads the head at `bytes`; false where `size` bytes do not hold the whole packet. */
bool readBlackrockHeader(BlackrockProtocol protocol, const uint8_t* bytes, size_t size, BlackrockHeader& out);

class BlackrockParser final : public Parser {
 public:
  explicit BlackrockParser(BlackrockProtocol protocol) : protocol_(protocol) {}
  void parse(const uint8_t* bytes, size_t size, double arrivalNs, Sink& sink) override;

 private:
  BlackrockProtocol protocol_;
  Duplicates duplicates_;
  /** Packets received since the newest monitor packet. */
  uint32_t sinceMonitor_ = 0;
  /** Upper half of 3.11's 32-bit time, counted up as it wraps (every 39.8 h at 30 kHz). */
  uint64_t wraps_ = 0;
  uint32_t newest32_ = 0;
};

}  // namespace evoked
