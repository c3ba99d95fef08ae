// A thread that receives datagrams, stamps their arrival and puts what a parser finds into a stream. Knows no protocol and no JavaScript.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "platform/udp.h"
#include "records.h"
#include "stream.h"

namespace evoked {

struct ReceiverOptions {
  std::string localAddress = "0.0.0.0";
  uint16_t localPort = 0;
  /** Sender to listen to, host byte order; 0: any. */
  uint32_t peerAddress = 0;
  int receiveBufferBytes = 16 * 1024 * 1024;
  /** Each datagram goes into the stream whole, before its records. */
  bool keepDatagrams = false;
};

class Receiver {
 public:
  Receiver(ReceiverOptions options, std::unique_ptr<Parser> parser, std::shared_ptr<Stream> stream);
  ~Receiver() { stop(); }
  /** Binds and starts the thread; an empty sentence, or what stands in the way. */
  std::string start();
  /** Ends the thread. Nothing is pushed afterwards. Safe to call twice. */
  void stop();
  /** From the next datagram on. */
  void setParser(std::unique_ptr<Parser> parser);
  bool send(const std::string& address, uint16_t port, const uint8_t* bytes, size_t size) { return socket_->send(address, port, bytes, size); }
  uint16_t port() const { return socket_->port(); }
  int receiveBufferBytes() const { return socket_->receiveBufferBytes(); }
  int64_t socketDropped() const { return socket_->dropped(); }
  /** The socket failed; the thread has ended by itself. */
  bool hasFailed() const { return hasFailed_.load(std::memory_order_acquire); }

 private:
  void run();

  const ReceiverOptions options_;
  std::unique_ptr<UdpSocket> socket_;
  std::unique_ptr<Parser> parser_;
  std::mutex nextParserMutex_;
  std::unique_ptr<Parser> nextParser_;
  std::atomic<bool> hasNextParser_{false};
  std::shared_ptr<Stream> stream_;
  std::atomic<bool> isStopping_{false};
  std::atomic<bool> hasFailed_{false};
  std::thread thread_;
};

}  // namespace evoked
