// UDP on Linux (recvmmsg) and macOS (recvmsg). Knows nothing about what is in a datagram.
#ifndef _WIN32
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE 1
#endif
#include "udp.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <vector>

namespace evoked {

namespace {

class PosixUdpSocket final : public UdpSocket {
 public:
  ~PosixUdpSocket() override {
    if (socket_ >= 0) close(socket_);
    if (wakeRead_ >= 0) close(wakeRead_);
    if (wakeWrite_ >= 0) close(wakeWrite_);
  }

  std::string open(const std::string& localAddress, uint16_t localPort, int receiveBufferBytes) override {
    sockaddr_in local{};
    local.sin_family = AF_INET;
    local.sin_port = htons(localPort);
    if (inet_pton(AF_INET, localAddress.c_str(), &local.sin_addr) != 1) return "\"" + localAddress + "\" is not an IPv4 address";
    socket_ = ::socket(AF_INET, SOCK_DGRAM, 0);
    int ends[2];
    if (socket_ < 0 || pipe(ends) != 0) return std::strerror(errno);
    wakeRead_ = ends[0];
    wakeWrite_ = ends[1];
    for (const int descriptor : {socket_, wakeRead_, wakeWrite_}) {
      fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
      fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    }
    const int on = 1;
    setsockopt(socket_, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on));
    // Other programs of the lab may listen to the same broadcasts.
    setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
#ifdef __APPLE__
    setsockopt(socket_, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
#endif
#ifdef __linux__
    setsockopt(socket_, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on));
    if (setsockopt(socket_, SOL_SOCKET, SO_RCVBUFFORCE, &receiveBufferBytes, sizeof(receiveBufferBytes)) != 0)
#endif
      setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receiveBufferBytes, sizeof(receiveBufferBytes));
    socklen_t length = sizeof(receiveBufferBytes_);
    getsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receiveBufferBytes_, &length);
#ifdef __linux__
    // Linux counts its own bookkeeping in.
    receiveBufferBytes_ /= 2;
#endif
    if (bind(socket_, reinterpret_cast<sockaddr*>(&local), sizeof(local)) != 0) return std::strerror(errno);
    length = sizeof(local);
    getsockname(socket_, reinterpret_cast<sockaddr*>(&local), &length);
    port_ = ntohs(local.sin_port);
    buffers_.resize(static_cast<size_t>(batchMax) * datagramSizeMax);
    return "";
  }

  int receive(int64_t waitNs, Datagram* out) override {
    int count = take(out);
    if (count != 0 || waitNs <= 0) return count;
    pollfd waiting[2] = {{socket_, POLLIN, 0}, {wakeRead_, POLLIN, 0}};
#ifdef __linux__
    const timespec limit{static_cast<time_t>(waitNs / 1000000000), static_cast<long>(waitNs % 1000000000)};
    ppoll(waiting, 2, &limit, nullptr);
#else
    poll(waiting, 2, static_cast<int>((waitNs + 999999) / 1000000));
#endif
    if ((waiting[1].revents & POLLIN) != 0) {
      char bytes[64];
      while (read(wakeRead_, bytes, sizeof(bytes)) > 0) {
      }
    }
    return take(out);
  }

  bool send(const std::string& address, uint16_t port, const uint8_t* bytes, size_t size) override {
    sockaddr_in peer{};
    peer.sin_family = AF_INET;
    peer.sin_port = htons(port);
    if (inet_pton(AF_INET, address.c_str(), &peer.sin_addr) != 1) return false;
    return sendto(socket_, bytes, size, 0, reinterpret_cast<sockaddr*>(&peer), sizeof(peer)) == static_cast<ssize_t>(size);
  }

  void wake() override {
    const char byte = 0;
    // A full pipe wakes as well.
    if (write(wakeWrite_, &byte, 1) < 0) return;
  }

  uint16_t port() const override { return port_; }
  int receiveBufferBytes() const override { return receiveBufferBytes_; }
  int64_t dropped() const override { return dropped_.load(std::memory_order_relaxed); }

 private:
  /** What is there now, without waiting. */
  int take(Datagram* out) {
#ifdef __linux__
    mmsghdr heads[batchMax];
    iovec parts[batchMax];
    sockaddr_in peers[batchMax];
    alignas(cmsghdr) char controls[batchMax][CMSG_SPACE(sizeof(uint32_t))];
    std::memset(heads, 0, sizeof(heads));
    for (int i = 0; i < batchMax; i++) {
      parts[i] = {&buffers_[static_cast<size_t>(i) * datagramSizeMax], datagramSizeMax};
      heads[i].msg_hdr.msg_iov = &parts[i];
      heads[i].msg_hdr.msg_iovlen = 1;
      heads[i].msg_hdr.msg_name = &peers[i];
      heads[i].msg_hdr.msg_namelen = sizeof(peers[i]);
      heads[i].msg_hdr.msg_control = controls[i];
      heads[i].msg_hdr.msg_controllen = sizeof(controls[i]);
    }
    const int count = recvmmsg(socket_, heads, batchMax, MSG_DONTWAIT, nullptr);
    if (count < 0) return isTransient(errno) ? 0 : -1;
    for (int i = 0; i < count; i++) {
      for (cmsghdr* note = CMSG_FIRSTHDR(&heads[i].msg_hdr); note != nullptr; note = CMSG_NXTHDR(&heads[i].msg_hdr, note)) {
        if (note->cmsg_level != SOL_SOCKET || note->cmsg_type != SO_RXQ_OVFL) continue;
        uint32_t total;
        std::memcpy(&total, CMSG_DATA(note), sizeof(total));
        dropped_.store(total, std::memory_order_relaxed);
      }
      out[i] = {&buffers_[static_cast<size_t>(i) * datagramSizeMax], heads[i].msg_len, ntohl(peers[i].sin_addr.s_addr), ntohs(peers[i].sin_port), (heads[i].msg_hdr.msg_flags & MSG_TRUNC) != 0};
    }
    return count;
#else
    int count = 0;
    for (; count < batchMax; count++) {
      uint8_t* buffer = &buffers_[static_cast<size_t>(count) * datagramSizeMax];
      iovec part{buffer, datagramSizeMax};
      sockaddr_in peer{};
      msghdr head{};
      head.msg_iov = &part;
      head.msg_iovlen = 1;
      head.msg_name = &peer;
      head.msg_namelen = sizeof(peer);
      const ssize_t size = recvmsg(socket_, &head, MSG_DONTWAIT);
      if (size < 0) {
        if (count > 0 || isTransient(errno)) break;
        return -1;
      }
      out[count] = {buffer, static_cast<size_t>(size), ntohl(peer.sin_addr.s_addr), ntohs(peer.sin_port), (head.msg_flags & MSG_TRUNC) != 0};
    }
    return count;
#endif
  }

  /** Nothing there, interrupted, or a peer whose port is closed (told by ICMP): go on listening. */
  static bool isTransient(int code) { return code == EAGAIN || code == EWOULDBLOCK || code == EINTR || code == ECONNREFUSED || code == ENETDOWN || code == EHOSTUNREACH || code == ENETUNREACH; }

  int socket_ = -1;
  int wakeRead_ = -1;
  int wakeWrite_ = -1;
  uint16_t port_ = 0;
  int receiveBufferBytes_ = 0;
#ifdef __linux__
  std::atomic<int64_t> dropped_{0};
#else
  std::atomic<int64_t> dropped_{-1};
#endif
  std::vector<uint8_t> buffers_;
};

}  // namespace

UdpSocket* createUdpSocket() { return new PosixUdpSocket(); }

}  // namespace evoked
#endif
