// What receive threads hand over: one fixed-size record a spike, digital event or piece of news. Knows nothing about sockets or JavaScript.
#pragma once

#include <cstddef>
#include <cstdint>

namespace evoked {

/** Kinds of records. src/acquisition/native/records.ts holds the same numbers. */
enum class Kind : uint8_t {
  spike = 1,
  /** Blackrock: a = value read, b = bits changed, c = event type. Plexon: a = word; channel = event channel. */
  digital = 2,
  /** Blackrock SYSPROTOCOLMONITOR: a = packets sent, b = its counter (0 where the protocol has none), c = packets received since the one before. */
  monitor = 3,
  /** Bytes that JavaScript reads itself: a = number of the blob. */
  blob = 4,
  /** A datagram that does not decode: a = its size, b = the offset at which it stopped, c = packets decoded before. Plexon: a = the library's error, signed. */
  malformed = 5,
  /** A datagram that came a second time and was left out: a = its packets. */
  duplicate = 6,
  /** The ring was full: a = spikes dropped, b = other records dropped. */
  overflow = 7,
  /** Bridge: the head of a data datagram. time = watermark, a = sequence number, b = records in it, c = low word of the first record's number. */
  frame = 8,
  /** Bridge: a mark. channel = line, unit = kind (1 photodiode, 2 strobe, 3 TTL) + 16 where the state is on, + 32 where there is a word; a = word. */
  mark = 9,
  /** Plexon: one poll is done; a = events in it, b = dropped by the server, c = dropped before the client. */
  poll = 10,
  /** Bridge: follows frame. time = everything sent so far is older than this, a = session of the bridge. */
  frameUntil = 11,
  /** A datagram whole, where a capture is made, before what was parsed of it: a = number of the blob. */
  datagram = 12,
};

/** 32 bytes, little-endian, copied to JavaScript as they are. */
struct Record {
  /** In the source's own unit: ticks or ns. */
  uint64_t time;
  /** When this computer had the datagram in hand, ns of the monotonic clock. A float64: that is what JavaScript reads. */
  double arrivalNs;
  uint16_t channel;
  uint8_t kind;
  uint8_t unit;
  uint32_t a;
  uint32_t b;
  uint32_t c;
};
static_assert(sizeof(Record) == 32, "JavaScript reads records of 32 bytes");

/** Where parsers put what they find. */
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void push(const Record& record) = 0;
  /** Keeps bytes for JavaScript; pushes their record as well, in its place in the stream. */
  virtual void pushBlob(const uint8_t* bytes, size_t size, uint64_t time, double arrivalNs, Kind kind = Kind::blob) = 0;
};

/** Turns datagrams into records. Owned by one receive thread. */
class Parser {
 public:
  virtual ~Parser() = default;
  virtual void parse(const uint8_t* bytes, size_t size, double arrivalNs, Sink& sink) = 0;
};

inline uint16_t readU16(const uint8_t* p) { return static_cast<uint16_t>(p[0] | (p[1] << 8)); }
inline uint32_t readU32(const uint8_t* p) { return static_cast<uint32_t>(p[0]) | (static_cast<uint32_t>(p[1]) << 8) | (static_cast<uint32_t>(p[2]) << 16) | (static_cast<uint32_t>(p[3]) << 24); }
inline uint64_t readU64(const uint8_t* p) { return static_cast<uint64_t>(readU32(p)) | (static_cast<uint64_t>(readU32(p + 4)) << 32); }

}  // namespace evoked
