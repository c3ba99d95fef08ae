// Sends spikes at a fixed rate as a Blackrock device (protocol 4.1, ns) or as Evoked's bridge would, light enough not to be the limit of a
// measurement. Answers the handshake. A program of its own, for bench/acquisitionNative.ts; Linux and macOS.
//
//   burst blackrock|bridge PORT CHANNELS SPIKES_PER_S SECONDS DATAGRAM_US
//
// Waits on PORT for the driver's requests, then streams to where they came from. Time stamps are ns of CLOCK_MONOTONIC at which a spike was
// put into its datagram. Prints one JSON line with what was sent.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

uint64_t nowNs() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1000000000ull + static_cast<uint64_t>(t.tv_nsec);
}
template <typename T>
void put(std::vector<uint8_t>& out, T value) {
  const size_t at = out.size();
  out.resize(at + sizeof(T));
  std::memcpy(&out[at], &value, sizeof(T));
}

int sock;
sockaddr_in peer;
uint64_t datagrams = 0, failed = 0;
void transmit(const std::vector<uint8_t>& bytes) {
  if (bytes.empty()) return;
  if (sendto(sock, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&peer), sizeof(peer)) < 0) failed++;
  datagrams++;
}

// --- Blackrock 4.1
uint32_t sinceMonitor = 0, monitors = 0;
uint64_t packets = 0;
void packet(std::vector<uint8_t>& out, uint64_t time, uint16_t channel, uint16_t type, const std::vector<uint8_t>& payload) {
  put(out, time);
  put(out, channel);
  put(out, type);
  put(out, static_cast<uint16_t>(payload.size() / 4));
  put(out, static_cast<uint16_t>(0));
  out.insert(out.end(), payload.begin(), payload.end());
  sinceMonitor++;
  packets++;
}
std::vector<uint8_t> systemInfo() {
  std::vector<uint8_t> payload;
  for (const uint32_t word : {30000u, 0u, 0u, 0u, 50u, 0u}) put(payload, word);
  return payload;
}
void answerBlackrock(const uint8_t* request, ssize_t size, int channels) {
  if (size < 16) return;
  uint16_t channel, type;
  std::memcpy(&channel, request + 8, 2);
  std::memcpy(&type, request + 10, 2);
  if (channel != 0x8000) return;
  std::vector<uint8_t> out;
  if (type == 0x92) packet(out, nowNs(), 0x8000, 0x12, systemInfo());
  if (type == 0x88) {
    std::vector<uint8_t> processor(112, 0);
    std::memcpy(&processor[8], "Gemini (burst)", 14);
    packet(out, nowNs(), 0x8000, 0x21, processor);
    for (int i = 0; i < channels; i++) {
      std::vector<uint8_t> info(600, 0);
      const uint32_t number = static_cast<uint32_t>(i + 1), capabilities = 0x103, processing = 0x800;
      std::memcpy(&info[0], &number, 4);
      std::memcpy(&info[16], &capabilities, 4);
      std::memcpy(&info[32], &processing, 4);
      std::snprintf(reinterpret_cast<char*>(&info[168]), 16, "chan%d", i + 1);
      packet(out, nowNs(), 0x8000, 0x40, info);
      if (out.size() > 8000) {
        transmit(out);
        out.clear();
      }
    }
    packet(out, nowNs(), 0x8000, 0x10, systemInfo());
  }
  transmit(out);
}

// --- Bridge
uint32_t sequence = 0;
uint64_t records = 0, watermark = 0;
std::vector<uint8_t> bridgeHead(uint8_t type, uint16_t count, uint64_t until) {
  std::vector<uint8_t> out;
  put(out, 0x31425645u);
  put(out, static_cast<uint8_t>(1));
  put(out, type);
  put(out, count);
  put(out, sequence++);
  put(out, 0x12345678u);
  put(out, watermark);
  put(out, records);
  put(out, until);
  return out;
}
void answerBridge(const uint8_t* request, ssize_t size, int channels) {
  if (size < 40 || request[5] != 16 || request[6] == 0) return;
  for (int from = 0; from < channels; from += 32) {
    std::string text = "{\"source\":\"burst\",\"total\":" + std::to_string(channels) + ",\"from\":" + std::to_string(from) + ",\"channels\":[";
    for (int i = from; i < from + 32 && i < channels; i++) text += std::string(i > from ? "," : "") + "{\"name\":\"chan" + std::to_string(i + 1) + "\",\"area\":\"\",\"positionMm\":null}";
    text += "]}";
    std::vector<uint8_t> out = bridgeHead(2, 0, watermark);
    out.insert(out.end(), text.begin(), text.end());
    transmit(out);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) {
    std::fprintf(stderr, "burst blackrock|bridge PORT CHANNELS SPIKES_PER_S SECONDS DATAGRAM_US\n");
    return 2;
  }
  const bool isBridge = std::string(argv[1]) == "bridge";
  const int channels = std::atoi(argv[3]);
  const double rate = std::atof(argv[4]);
  const double seconds = std::atof(argv[5]);
  const uint64_t periodNs = static_cast<uint64_t>(std::atoi(argv[6])) * 1000;
  sock = socket(AF_INET, SOCK_DGRAM, 0);
  int size = 4 << 20;
  setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
  sockaddr_in local{};
  local.sin_family = AF_INET;
  local.sin_port = htons(static_cast<uint16_t>(std::atoi(argv[2])));
  inet_pton(AF_INET, "127.0.0.1", &local.sin_addr);
  if (bind(sock, reinterpret_cast<sockaddr*>(&local), sizeof(local)) != 0) {
    std::perror("bind");
    return 1;
  }
  const std::vector<uint8_t> waveform(16 + 96, 0);
  uint64_t spikes = 0, started = 0, nextMonitor = 0, lastData = 0;
  std::vector<uint8_t> out;
  uint64_t tick = nowNs();
  for (;;) {
    uint8_t request[2048];
    sockaddr_in from{};
    socklen_t length = sizeof(from);
    ssize_t got;
    while ((got = recvfrom(sock, request, sizeof(request), MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &length)) > 0) {
      peer = from;
      if (isBridge) {
        answerBridge(request, got, channels);
        if (started == 0 && request[6] == 0) started = nowNs();
      } else {
        answerBlackrock(request, got, channels);
        // The device streams as soon as its configuration has been asked for.
        if (started == 0 && got >= 16 && request[10] == 0x88) started = nowNs();
      }
    }
    const uint64_t now = nowNs();
    if (started != 0) {
      const double elapsed = static_cast<double>(now - started) / 1e9;
      // A second of counts alone, then spikes, then half a second of counts: so that the listener knows where they begin and that all have come.
      const double spiking = elapsed - 1.0 < seconds ? elapsed - 1.0 : seconds;
      const uint64_t due = spiking <= 0 ? 0 : static_cast<uint64_t>(spiking * rate);
      out.clear();
      if (isBridge) {
        uint64_t left = due - spikes;
        do {
          const uint16_t count = static_cast<uint16_t>(left > 88 ? 88 : left);
          left -= count;
          if (left == 0) watermark = now;
          if (count > 0 || now - lastData >= 10000000) {
            std::vector<uint8_t> datagram = bridgeHead(1, count, now);
            for (uint16_t i = 0; i < count; i++) {
              put(datagram, static_cast<uint64_t>(now - 1));
              put(datagram, static_cast<uint16_t>(spikes % static_cast<uint64_t>(channels)));
              put(datagram, static_cast<uint8_t>(1));
              put(datagram, static_cast<uint8_t>(1));
              put(datagram, 0u);
              spikes++;
            }
            records += count;
            transmit(datagram);
            lastData = now;
          }
        } while (left > 0);
      } else {
        for (; spikes < due; spikes++) {
          packet(out, now, static_cast<uint16_t>(1 + spikes % static_cast<uint64_t>(channels)), 1, waveform);
          if (out.size() > 8000) {
            transmit(out);
            out.clear();
          }
        }
        if (now >= nextMonitor) {
          nextMonitor = (nextMonitor == 0 ? now : nextMonitor) + 10000000;
          std::vector<uint8_t> payload;
          put(payload, sinceMonitor + 1);
          put(payload, ++monitors);
          packet(out, now + 1, 0x8000, 0x01, payload);
          sinceMonitor = 0;
        }
        transmit(out);
      }
      if (elapsed > seconds + 1.5) break;
    }
    tick += periodNs;
    const uint64_t after = nowNs();
    if (tick > after) {
      timespec until{static_cast<time_t>(tick / 1000000000ull), static_cast<long>(tick % 1000000000ull)};
#ifdef __linux__
      clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
#else
      timespec rest{0, static_cast<long>(tick - after)};
      nanosleep(&rest, nullptr);
      (void)until;
#endif
    } else if (after - tick > 1000000000ull) {
      tick = after;
    }
  }
  timespec cpu;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
  std::printf("{\"spikes\":%llu,\"datagrams\":%llu,\"failed\":%llu,\"cpuS\":%.3f}\n", static_cast<unsigned long long>(spikes), static_cast<unsigned long long>(datagrams), static_cast<unsigned long long>(failed), static_cast<double>(cpu.tv_sec) + static_cast<double>(cpu.tv_nsec) / 1e9);
  return 0;
}
