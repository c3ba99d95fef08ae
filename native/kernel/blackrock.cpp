// Blackrock packets into records. Knows nothing about sockets.
#include "blackrock.h"

namespace evoked {

namespace {

constexpr uint16_t configurationChannel = 0x8000;
constexpr uint16_t typeHeartbeat = 0x00;
constexpr uint16_t typeMonitor = 0x01;
/** Channels above the front ends, analog inputs and outputs carry digital and serial input; a spike has 12 bytes of pattern, peak, valley. */
constexpr size_t spikeSizeMin = 16;
constexpr size_t digitalSizeMin = 4;

}  // namespace

bool readBlackrockHeader(BlackrockProtocol protocol, const uint8_t* bytes, size_t size, BlackrockHeader& out) {
  switch (protocol) {
    case BlackrockProtocol::v311:
      if (size < 8) return false;
      out.time = readU32(bytes);
      out.channel = readU16(bytes + 4);
      out.type = bytes[6];
      out.headSize = 8;
      out.payloadSize = static_cast<size_t>(bytes[7]) * 4;
      break;
    case BlackrockProtocol::v400:
      if (size < 16) return false;
      out.time = readU64(bytes);
      out.channel = readU16(bytes + 8);
      out.type = bytes[10];
      out.headSize = 16;
      out.payloadSize = static_cast<size_t>(readU16(bytes + 11)) * 4;
      break;
    case BlackrockProtocol::v410:
      if (size < 16) return false;
      out.time = readU64(bytes);
      out.channel = readU16(bytes + 8);
      out.type = readU16(bytes + 10);
      out.headSize = 16;
      out.payloadSize = static_cast<size_t>(readU16(bytes + 12)) * 4;
      break;
    default:
      return false;
  }
  return out.headSize + out.payloadSize <= size;
}

void BlackrockParser::parse(const uint8_t* bytes, size_t size, double arrivalNs, Sink& sink) {
  if (protocol_ == BlackrockProtocol::unknown) {
    sink.pushBlob(bytes, size, 0, arrivalNs);
    return;
  }
  // A datagram that came twice holds the same spikes with the same times; nothing else can. One pass to see whether it has any, and to
  // check the chain of packets to the end: of a datagram that is cut off, nothing after the cut is known.
  size_t offset = 0;
  uint32_t packets = 0;
  bool carriesData = false;
  while (offset < size) {
    BlackrockHeader head;
    if (!readBlackrockHeader(protocol_, bytes + offset, size - offset, head)) break;
    if (head.channel != 0 && (head.channel & configurationChannel) == 0) carriesData = true;
    offset += head.headSize + head.payloadSize;
    packets++;
  }
  const size_t readable = offset;
  if (carriesData && duplicates_.seen(bytes, size)) {
    sink.push(Record{0, arrivalNs, 0, static_cast<uint8_t>(Kind::duplicate), 0, packets, 0, 0});
    return;
  }

  for (offset = 0; offset < readable;) {
    BlackrockHeader head;
    if (!readBlackrockHeader(protocol_, bytes + offset, size - offset, head)) break;
    const uint8_t* payload = bytes + offset + head.headSize;
    offset += head.headSize + head.payloadSize;
    sinceMonitor_++;
    uint64_t time = head.time;
    if (protocol_ == BlackrockProtocol::v311) {
      const uint32_t now = static_cast<uint32_t>(time);
      // A step back by more than half of the range is the counter coming round; a smaller one is a restart or another order.
      if (now < newest32_ && newest32_ - now > 0x80000000u) wraps_++;
      const bool isBeforeWrap = now > newest32_ && now - newest32_ > 0x80000000u && wraps_ > 0;
      if (!isBeforeWrap) newest32_ = now;
      time += (isBeforeWrap ? wraps_ - 1 : wraps_) << 32;
    }
    if ((head.channel & configurationChannel) != 0) {
      if (head.type == typeHeartbeat) continue;
      if (head.type == typeMonitor && head.payloadSize >= 4) {
        const uint32_t counter = head.payloadSize >= 8 ? readU32(payload + 4) : 0;
        sink.push(Record{time, arrivalNs, head.channel, static_cast<uint8_t>(Kind::monitor), 0, readU32(payload), counter, sinceMonitor_});
        sinceMonitor_ = 0;
        continue;
      }
      sink.pushBlob(payload - head.headSize, head.headSize + head.payloadSize, time, arrivalNs);
      continue;
    }
    // Channel 0 is a group of continuous samples: counted, not carried.
    if (head.channel == 0) continue;
    if (head.payloadSize >= spikeSizeMin) {
      sink.push(Record{time, arrivalNs, head.channel, static_cast<uint8_t>(Kind::spike), static_cast<uint8_t>(head.type & 0xff), 0, 0, 0});
    } else if (head.payloadSize >= digitalSizeMin) {
      const uint32_t changed = head.payloadSize >= 8 ? readU32(payload + 4) : 0;
      const uint32_t event = head.payloadSize >= 12 ? readU32(payload + 8) : 0;
      sink.push(Record{time, arrivalNs, head.channel, static_cast<uint8_t>(Kind::digital), static_cast<uint8_t>(head.type & 0xff), readU32(payload), changed, event});
    }
  }
  if (readable != size) sink.push(Record{0, arrivalNs, 0, static_cast<uint8_t>(Kind::malformed), 0, static_cast<uint32_t>(size), static_cast<uint32_t>(readable), packets});
}

}  // namespace evoked
