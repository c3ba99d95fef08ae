// Bridge datagrams into records. Order, repetition and loss are judged by who reads the records: every head comes with them.
#include "bridge.h"

namespace evoked {

void BridgeParser::parse(const uint8_t* bytes, size_t size, double arrivalNs, Sink& sink) {
  const bool hasHead = size >= bridgeHeadSize && readU32(bytes) == bridgeMagic && bytes[4] == 1;
  if (!hasHead) {
    sink.push(Record{0, arrivalNs, 0, static_cast<uint8_t>(Kind::malformed), 0, static_cast<uint32_t>(size), 0, 0});
    return;
  }
  // Everything but data is rare and read in JavaScript.
  if (bytes[5] != bridgeTypeData) {
    sink.pushBlob(bytes, size, readU64(bytes + 16), arrivalNs);
    return;
  }
  const uint16_t count = readU16(bytes + 6);
  if (size != bridgeHeadSize + static_cast<size_t>(count) * bridgeRecordSize) {
    sink.push(Record{0, arrivalNs, 0, static_cast<uint8_t>(Kind::malformed), 0, static_cast<uint32_t>(size), bridgeHeadSize, 0});
    return;
  }
  sink.push(Record{readU64(bytes + 16), arrivalNs, 0, static_cast<uint8_t>(Kind::frame), 0, readU32(bytes + 8), count, readU32(bytes + 24)});
  sink.push(Record{readU64(bytes + 32), arrivalNs, 0, static_cast<uint8_t>(Kind::frameUntil), 0, readU32(bytes + 12), 0, 0});
  for (size_t i = 0; i < count; i++) {
    const uint8_t* p = bytes + bridgeHeadSize + i * bridgeRecordSize;
    const uint8_t kind = p[11];
    if (kind == 1) {
      sink.push(Record{readU64(p), arrivalNs, readU16(p + 8), static_cast<uint8_t>(Kind::spike), p[10], 0, 0, 0});
    } else {
      sink.push(Record{readU64(p), arrivalNs, readU16(p + 8), static_cast<uint8_t>(Kind::mark), p[10], readU32(p + 12), kind, 0});
    }
  }
}

}  // namespace evoked
