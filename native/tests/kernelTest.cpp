// The kernel's own test, without JavaScript: run under the address, undefined-behaviour and thread sanitizers by `npm run parity`.
// kernelTest [PLEXON_STAND_IN]: exits 0 and prints what was checked, or says where it failed.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "../kernel/blackrock.h"
#include "../kernel/bridge.h"
#include "../kernel/plexon.h"
#include "../kernel/receiver.h"
#include "../kernel/ring.h"
#include "../kernel/stream.h"

using namespace evoked;

#define CHECK(condition)                                                              \
  do {                                                                                \
    if (!(condition)) {                                                               \
      std::fprintf(stderr, "%s:%d: expected %s\n", __FILE__, __LINE__, #condition);   \
      std::exit(1);                                                                   \
    }                                                                                 \
  } while (false)

namespace {

/** xorshift64*, Vigna 2016. */
struct Chance {
  uint64_t state = 0x9E3779B97F4A7C15ull;
  uint64_t next() {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545F4914F6CDD1Dull;
  }
  uint64_t below(uint64_t n) { return next() % n; }
};

Record numbered(uint64_t n) { return Record{n, static_cast<double>(n), static_cast<uint16_t>(n), static_cast<uint8_t>(Kind::spike), static_cast<uint8_t>(n), static_cast<uint32_t>(n), static_cast<uint32_t>(n >> 1), static_cast<uint32_t>(n >> 2)}; }

void testRing() {
  Ring<Record> ring(5);
  CHECK(ring.capacity() == 8);
  Record out[16];
  uint64_t in = 0, got = 0;
  Chance chance;
  for (int round = 0; round < 10000; round++) {
    for (uint64_t n = chance.below(6); n > 0; n--) {
      const Record record = numbered(in);
      if (ring.push(&record, 1)) in++;
      else CHECK(ring.size() == 8);
    }
    const size_t count = ring.pop(out, chance.below(9));
    for (size_t i = 0; i < count; i++) CHECK(out[i].time == got++ && out[i].a == static_cast<uint32_t>(out[i].time));
  }
  CHECK(in - got == ring.size());
}

/** Two threads, a ring that is often full: what comes out and what is told to be dropped add up to what went in, in order. */
void testStreamUnderLoad() {
  std::atomic<int> wakes{0};
  Stream stream(256, 0, [&] { wakes++; });
  const uint64_t total = 400000;
  std::thread producer([&] {
    for (uint64_t n = 1; n <= total; n++) {
      stream.push(numbered(n));
      if (n % 97 == 0) stream.wakeIfDue(1000);
      if (n % 1000 == 0) std::this_thread::yield();
    }
    // A last one that has room, so that what was dropped is told.
    while (stream.waiting() > 100) std::this_thread::yield();
    stream.push(numbered(total + 1));
  });
  uint64_t received = 0, dropped = 0, newest = 0;
  std::vector<Record> out(64);
  while (newest != total + 1) {
    const size_t count = stream.drain(out.data(), out.size());
    for (size_t i = 0; i < count; i++) {
      if (out[i].kind == static_cast<uint8_t>(Kind::overflow)) {
        dropped += out[i].a;
        continue;
      }
      CHECK(out[i].time > newest);
      CHECK(out[i].b == static_cast<uint32_t>(out[i].time >> 1));
      newest = out[i].time;
      received++;
    }
  }
  producer.join();
  CHECK(received + dropped == total + 1);
  CHECK(stream.counts().droppedRecords == dropped);
  std::printf("ring between two threads: %llu through, %llu counted as dropped, %d calls\n", static_cast<unsigned long long>(received), static_cast<unsigned long long>(dropped), wakes.load());
}

struct Counting final : public Sink {
  uint64_t records = 0, blobs = 0, malformed = 0, duplicates = 0, spikes = 0;
  void push(const Record& record) override {
    records++;
    if (record.kind == static_cast<uint8_t>(Kind::malformed)) malformed++;
    if (record.kind == static_cast<uint8_t>(Kind::duplicate)) duplicates++;
    if (record.kind == static_cast<uint8_t>(Kind::spike)) spikes++;
  }
  void pushBlob(const uint8_t* bytes, size_t size, uint64_t, double, Kind) override {
    // Every byte is looked at, so that a sanitizer sees one that is not there.
    for (size_t i = 0; i < size; i++) blobs += bytes[i] & 1;
    records++;
  }
};

void putU16(std::vector<uint8_t>& out, uint16_t value) {
  out.push_back(static_cast<uint8_t>(value));
  out.push_back(static_cast<uint8_t>(value >> 8));
}
void putU64(std::vector<uint8_t>& out, uint64_t value) {
  for (int i = 0; i < 8; i++) out.push_back(static_cast<uint8_t>(value >> (8 * i)));
}

std::vector<uint8_t> spike410(uint64_t time, uint16_t channel) {
  std::vector<uint8_t> out;
  putU64(out, time);
  putU16(out, channel);
  putU16(out, 1);
  putU16(out, 28);
  putU16(out, 0);
  out.resize(16 + 112);
  return out;
}

void testParsers() {
  Chance chance;
  // Any bytes, of any length, in buffers that end where the bytes do.
  for (const BlackrockProtocol protocol : {BlackrockProtocol::unknown, BlackrockProtocol::v311, BlackrockProtocol::v400, BlackrockProtocol::v410}) {
    BlackrockParser parser(protocol);
    Counting sink;
    for (int round = 0; round < 20000; round++) {
      const size_t size = chance.below(round % 10 == 0 ? 2000 : 64);
      std::unique_ptr<uint8_t[]> bytes(new uint8_t[size]);
      for (size_t i = 0; i < size; i++) bytes[i] = static_cast<uint8_t>(chance.next() & (round % 3 == 0 ? 0x0f : 0xff));
      parser.parse(bytes.get(), size, 1.0, sink);
    }
    CHECK(sink.records > 0);
  }
  BridgeParser bridge;
  Counting any;
  for (int round = 0; round < 20000; round++) {
    const size_t size = chance.below(300);
    std::unique_ptr<uint8_t[]> bytes(new uint8_t[size]);
    for (size_t i = 0; i < size; i++) bytes[i] = static_cast<uint8_t>(chance.next());
    if (size >= 8 && round % 2 == 0) {
      const uint32_t magic = bridgeMagic;
      std::memcpy(bytes.get(), &magic, 4);
      bytes[4] = 1;
      bytes[5] = static_cast<uint8_t>(chance.below(4));
      bytes[6] = static_cast<uint8_t>(size >= bridgeHeadSize ? (size - bridgeHeadSize) / bridgeRecordSize : 0);
      bytes[7] = 0;
    }
    bridge.parse(bytes.get(), size, 1.0, any);
  }
  CHECK(any.spikes > 0 && any.malformed > 0);

  BlackrockParser parser(BlackrockProtocol::v410);
  Counting sink;
  std::vector<uint8_t> datagram;
  for (uint16_t channel = 1; channel <= 20; channel++) {
    const std::vector<uint8_t> one = spike410(1000 + channel, channel);
    datagram.insert(datagram.end(), one.begin(), one.end());
  }
  parser.parse(datagram.data(), datagram.size(), 1.0, sink);
  CHECK(sink.spikes == 20);
  parser.parse(datagram.data(), datagram.size(), 1.0, sink);
  CHECK(sink.spikes == 20 && sink.duplicates == 1);
  parser.parse(datagram.data(), datagram.size() - 1, 1.0, sink);
  CHECK(sink.spikes == 39 && sink.malformed == 1);
  std::printf("parsers: 100000 datagrams of any bytes\n");
}

/** The thread with a real socket: everything sent arrives, in order; it can be stopped at any time. */
void testReceiver() {
  auto stream = std::make_shared<Stream>(1 << 16, 100000, [] {});
  ReceiverOptions options;
  options.localAddress = "127.0.0.1";
  options.receiveBufferBytes = 4 << 20;
  Receiver receiver(options, std::make_unique<BlackrockParser>(BlackrockProtocol::v410), stream);
  CHECK(receiver.start().empty());
  CHECK(receiver.port() != 0);
  std::vector<Record> out(1 << 12);
  uint64_t received = 0;
  const uint64_t total = 2000;
  const auto drain = [&] {
    const size_t count = stream->drain(out.data(), out.size());
    for (size_t i = 0; i < count; i++) {
      CHECK(out[i].time == received + 1);
      CHECK(out[i].arrivalNs > 0);
      received++;
    }
  };
  for (uint64_t n = 1; n <= total; n++) {
    const std::vector<uint8_t> bytes = spike410(n, static_cast<uint16_t>(1 + n % 300));
    CHECK(receiver.send("127.0.0.1", receiver.port(), bytes.data(), bytes.size()));
    if (n % 50 == 0) drain();
  }
  while (received < total) drain();
  receiver.setParser(std::make_unique<BridgeParser>());
  const uint8_t rubbish[3] = {1, 2, 3};
  CHECK(receiver.send("127.0.0.1", receiver.port(), rubbish, sizeof(rubbish)));
  while (stream->drain(out.data(), 1) == 0) std::this_thread::yield();
  CHECK(out[0].kind == static_cast<uint8_t>(Kind::malformed));
  receiver.stop();
  receiver.stop();
  // For a capture each datagram comes whole as well, and before what was read of it.
  options.keepDatagrams = true;
  Receiver keeping(options, std::make_unique<BlackrockParser>(BlackrockProtocol::v410), stream);
  CHECK(keeping.start().empty());
  const std::vector<uint8_t> kept = spike410(7, 3);
  CHECK(keeping.send("127.0.0.1", keeping.port(), kept.data(), kept.size()));
  while (stream->waiting() < 2) std::this_thread::yield();
  CHECK(stream->drain(out.data(), out.size()) == 2);
  CHECK(out[0].kind == static_cast<uint8_t>(Kind::datagram) && out[1].kind == static_cast<uint8_t>(Kind::spike));
  CHECK(stream->takeBlob(out[0].a) == kept);
  keeping.stop();
  options.keepDatagrams = false;
  for (int i = 0; i < 50; i++) {
    Receiver brief(options, std::make_unique<BridgeParser>(), stream);
    CHECK(brief.start().empty());
  }
  options.localAddress = "nowhere";
  Receiver nowhere(options, std::make_unique<BridgeParser>(), stream);
  CHECK(!nowhere.start().empty());
  std::printf("receive thread: %llu datagrams in order\n", static_cast<unsigned long long>(received));
}

void testPlexon(const char* library, const char* client, double tickUs, bool countsDropped) {
  auto stream = std::make_shared<Stream>(1 << 16, 0, [] {});
  PlexonOptions options;
  options.libraries = {"/nowhere/OPXClient64.so", library};
  PlexonPoller poller(options, stream);
  CHECK(poller.start().empty());
  CHECK(poller.client() == client && poller.library() == library);
  CHECK(poller.microsecondsPerTick() == tickUs && poller.countsDropped() == countsDropped);
  std::vector<Record> out(4096);
  uint64_t spikes = 0, newest = 0;
  while (spikes < 200) {
    const size_t count = stream->drain(out.data(), out.size());
    for (size_t i = 0; i < count; i++) {
      if (out[i].kind != static_cast<uint8_t>(Kind::spike)) continue;
      CHECK(out[i].time > newest);
      newest = out[i].time;
      spikes++;
    }
  }
  poller.stop();
  options.libraries = {"/nowhere/PlexClient.so"};
  CHECK(!PlexonPoller(options, stream).start().empty());
  std::printf("Plexon poller: %llu spikes of the stand-in for %s\n", static_cast<unsigned long long>(spikes), client);
}

}  // namespace

int main(int argc, char** argv) {
  testRing();
  testStreamUnderLoad();
  testParsers();
  testReceiver();
  if (argc > 1) testPlexon(argv[1], "PlexClient", 25, true);
  if (argc > 2) testPlexon(argv[2], "OPXClient", 1, false);
  std::printf("kernel: all well\n");
  return 0;
}
