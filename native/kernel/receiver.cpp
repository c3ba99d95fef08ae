// The receive thread.
#include "receiver.h"

#include "clock.h"
#include "platform/thread.h"

namespace evoked {

namespace {
constexpr int64_t idleWaitNs = 250 * 1000 * 1000;
}

Receiver::Receiver(ReceiverOptions options, std::unique_ptr<Parser> parser, std::shared_ptr<Stream> stream)
    : options_(std::move(options)), socket_(createUdpSocket()), parser_(std::move(parser)), stream_(std::move(stream)) {}

std::string Receiver::start() {
  std::string problem = socket_->open(options_.localAddress, options_.localPort, options_.receiveBufferBytes);
  if (!problem.empty()) return problem;
  thread_ = std::thread([this] { run(); });
  return "";
}

void Receiver::stop() {
  isStopping_.store(true, std::memory_order_release);
  if (!thread_.joinable()) return;
  socket_->wake();
  thread_.join();
}

void Receiver::setParser(std::unique_ptr<Parser> parser) {
  const std::lock_guard<std::mutex> lock(nextParserMutex_);
  nextParser_ = std::move(parser);
  hasNextParser_.store(true, std::memory_order_release);
}

void Receiver::run() {
  favourThisThread();
  Datagram datagrams[UdpSocket::batchMax];
  int64_t waitNs = idleWaitNs;
  while (!isStopping_.load(std::memory_order_acquire)) {
    const int count = socket_->receive(waitNs, datagrams);
    if (count < 0) {
      hasFailed_.store(true, std::memory_order_release);
      return;
    }
    const double arrivalNs = static_cast<double>(monotonicNs());
    if (hasNextParser_.load(std::memory_order_acquire)) {
      const std::lock_guard<std::mutex> lock(nextParserMutex_);
      parser_ = std::move(nextParser_);
      hasNextParser_.store(false, std::memory_order_release);
    }
    for (int i = 0; i < count; i++) {
      const Datagram& datagram = datagrams[i];
      if (options_.peerAddress != 0 && datagram.address != options_.peerAddress) continue;
      stream_->countDatagram(datagram.size);
      if (options_.keepDatagrams) stream_->pushBlob(datagram.bytes, datagram.size, 0, arrivalNs, Kind::datagram);
      parser_->parse(datagram.bytes, datagram.size, arrivalNs, *stream_);
    }
    waitNs = stream_->wakeIfDue(idleWaitNs);
  }
}

}  // namespace evoked
