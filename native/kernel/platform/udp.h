// A UDP socket with a thread's needs: wait with a limit, take many datagrams at a time, be woken. One file a system implements it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace evoked {

/** One datagram in the socket's own buffers, valid until the next call of receive. */
struct Datagram {
  const uint8_t* bytes;
  size_t size;
  /** Sender, host byte order. */
  uint32_t address;
  uint16_t port;
  /** Longer than the buffer: what is there is not all of it. */
  bool isCutOff;
};

class UdpSocket {
 public:
  virtual ~UdpSocket() = default;
  /** Datagrams taken by one call of receive at most. */
  static constexpr int batchMax = 32;
  static constexpr size_t datagramSizeMax = 65536;

  /** Binds; an empty sentence where it worked, else what stands in the way. */
  virtual std::string open(const std::string& localAddress, uint16_t localPort, int receiveBufferBytes) = 0;
  /** Waits up to `waitNs` for a datagram and takes up to batchMax. 0: none came. -1: the socket is of no more use. */
  virtual int receive(int64_t waitNs, Datagram* out) = 0;
  /** From any thread. */
  virtual bool send(const std::string& address, uint16_t port, const uint8_t* bytes, size_t size) = 0;
  /** From any thread: ends a receive that waits. */
  virtual void wake() = 0;
  virtual uint16_t port() const = 0;
  /** What the system gave; less than asked for where its limits are lower. */
  virtual int receiveBufferBytes() const = 0;
  /** Datagrams that the system dropped because the buffer was full, since open; -1 where it does not tell. */
  virtual int64_t dropped() const = 0;
};

UdpSocket* createUdpSocket();

}  // namespace evoked
