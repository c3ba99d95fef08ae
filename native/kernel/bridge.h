// Datagrams of Evoked's own bridge into records. The protocol is described in docs/rigs/plexon.md. Knows nothing about sockets.
#pragma once

#include "records.h"

namespace evoked {

/** "EVB1" as it stands in memory. */
constexpr uint32_t bridgeMagic = 0x31425645u;
constexpr size_t bridgeHeadSize = 40;
constexpr size_t bridgeRecordSize = 16;
constexpr uint8_t bridgeTypeData = 1;

class BridgeParser final : public Parser {
 public:
  void parse(const uint8_t* bytes, size_t size, double arrivalNs, Sink& sink) override;
};

}  // namespace evoked
