// UDP on Windows (Winsock 2). Knows nothing about what is in a datagram.
#ifdef _WIN32
#include "udp.h"

#include <winsock2.h>
#include <ws2tcpip.h>
#include <mstcpip.h>

#include <atomic>
#include <vector>

#ifndef SIO_UDP_CONNRESET
#define SIO_UDP_CONNRESET _WSAIOW(IOC_VENDOR, 12)
#endif

namespace evoked {

namespace {

std::string wordsFor(int code) {
  if (code == WSAEADDRINUSE) return "another program has the port (Winsock error 10048)";
  if (code == WSAEADDRNOTAVAIL) return "this computer has no such address (Winsock error 10049)";
  if (code == WSAEACCES) return "access to the port is refused (Winsock error 10013)";
  return "Winsock error " + std::to_string(code);
}

class WindowsUdpSocket final : public UdpSocket {
 public:
  WindowsUdpSocket() {
    WSADATA data;
    isStarted_ = WSAStartup(MAKEWORD(2, 2), &data) == 0;
  }
  ~WindowsUdpSocket() override {
    if (socket_ != INVALID_SOCKET) closesocket(socket_);
    if (arrived_ != WSA_INVALID_EVENT) WSACloseEvent(arrived_);
    if (woken_ != WSA_INVALID_EVENT) WSACloseEvent(woken_);
    if (isStarted_) WSACleanup();
  }

  std::string open(const std::string& localAddress, uint16_t localPort, int receiveBufferBytes) override {
    if (!isStarted_) return "Winsock did not start";
    sockaddr_in local{};
    local.sin_family = AF_INET;
    local.sin_port = htons(localPort);
    if (inet_pton(AF_INET, localAddress.c_str(), &local.sin_addr) != 1) return "\"" + localAddress + "\" is not an IPv4 address";
    socket_ = WSASocketW(AF_INET, SOCK_DGRAM, IPPROTO_UDP, nullptr, 0, WSA_FLAG_OVERLAPPED);
    if (socket_ == INVALID_SOCKET) return wordsFor(WSAGetLastError());
    const BOOL on = TRUE;
    setsockopt(socket_, SOL_SOCKET, SO_BROADCAST, reinterpret_cast<const char*>(&on), sizeof(on));
    setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, reinterpret_cast<const char*>(&on), sizeof(on));
    setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, reinterpret_cast<const char*>(&receiveBufferBytes), sizeof(receiveBufferBytes));
    int length = sizeof(receiveBufferBytes_);
    getsockopt(socket_, SOL_SOCKET, SO_RCVBUF, reinterpret_cast<char*>(&receiveBufferBytes_), &length);
    // Without this a peer whose port is closed makes the next receive fail.
    BOOL off = FALSE;
    DWORD returned = 0;
    WSAIoctl(socket_, SIO_UDP_CONNRESET, &off, sizeof(off), nullptr, 0, &returned, nullptr, nullptr);
    if (bind(socket_, reinterpret_cast<sockaddr*>(&local), sizeof(local)) != 0) return wordsFor(WSAGetLastError());
    length = sizeof(local);
    getsockname(socket_, reinterpret_cast<sockaddr*>(&local), &length);
    port_ = ntohs(local.sin_port);
    arrived_ = WSACreateEvent();
    woken_ = WSACreateEvent();
    // Makes the socket non-blocking as well.
    if (WSAEventSelect(socket_, arrived_, FD_READ) != 0) return wordsFor(WSAGetLastError());
    buffers_.resize(static_cast<size_t>(batchMax) * datagramSizeMax);
    return "";
  }

  int receive(int64_t waitNs, Datagram* out) override {
    const int count = take(out);
    if (count != 0 || waitNs <= 0) return count;
    const WSAEVENT events[2] = {arrived_, woken_};
    const DWORD which = WSAWaitForMultipleEvents(2, events, FALSE, static_cast<DWORD>((waitNs + 999999) / 1000000), FALSE);
    if (which == WSA_WAIT_EVENT_0) WSAResetEvent(arrived_);
    if (which == WSA_WAIT_EVENT_0 + 1) WSAResetEvent(woken_);
    return take(out);
  }

  bool send(const std::string& address, uint16_t port, const uint8_t* bytes, size_t size) override {
    sockaddr_in peer{};
    peer.sin_family = AF_INET;
    peer.sin_port = htons(port);
    if (inet_pton(AF_INET, address.c_str(), &peer.sin_addr) != 1) return false;
    return sendto(socket_, reinterpret_cast<const char*>(bytes), static_cast<int>(size), 0, reinterpret_cast<sockaddr*>(&peer), sizeof(peer)) == static_cast<int>(size);
  }

  void wake() override { WSASetEvent(woken_); }
  uint16_t port() const override { return port_; }
  int receiveBufferBytes() const override { return receiveBufferBytes_; }
  int64_t dropped() const override { return -1; }

 private:
  int take(Datagram* out) {
    int count = 0;
    for (; count < batchMax; count++) {
      uint8_t* buffer = &buffers_[static_cast<size_t>(count) * datagramSizeMax];
      sockaddr_in peer{};
      int length = sizeof(peer);
      const int size = recvfrom(socket_, reinterpret_cast<char*>(buffer), static_cast<int>(datagramSizeMax), 0, reinterpret_cast<sockaddr*>(&peer), &length);
      if (size == SOCKET_ERROR) {
        const int code = WSAGetLastError();
        if (code == WSAEMSGSIZE) {
          out[count] = {buffer, datagramSizeMax, ntohl(peer.sin_addr.s_addr), ntohs(peer.sin_port), true};
          continue;
        }
        if (count > 0 || code == WSAEWOULDBLOCK || code == WSAECONNRESET || code == WSAENETRESET) break;
        return -1;
      }
      out[count] = {buffer, static_cast<size_t>(size), ntohl(peer.sin_addr.s_addr), ntohs(peer.sin_port), false};
    }
    return count;
  }

  bool isStarted_ = false;
  SOCKET socket_ = INVALID_SOCKET;
  WSAEVENT arrived_ = WSA_INVALID_EVENT;
  WSAEVENT woken_ = WSA_INVALID_EVENT;
  uint16_t port_ = 0;
  int receiveBufferBytes_ = 0;
  std::vector<uint8_t> buffers_;
};

}  // namespace

UdpSocket* createUdpSocket() { return new WindowsUdpSocket(); }

}  // namespace evoked
#endif
