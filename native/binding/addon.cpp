// The kernel as JavaScript sees it: UDP receivers and Plexon pollers as objects, batches of records copied out. Checks every argument.
// src/acquisition/native/addon.ts describes the same functions in types.
#define NAPI_VERSION 8
#include <napi.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <string>

#include "../kernel/blackrock.h"
#include "../kernel/bridge.h"
#include "../kernel/clock.h"
#include "../kernel/platform/thread.h"
#include "../kernel/plexon.h"
#include "../kernel/receiver.h"
#include "../kernel/stream.h"

namespace {

using evoked::Record;
using evoked::Stream;

[[noreturn]] void fail(const Napi::Env& env, const std::string& words) { throw Napi::TypeError::New(env, words); }

Napi::Object objectArgument(const Napi::CallbackInfo& info, size_t place, const char* name) {
  if (info.Length() <= place || !info[place].IsObject() || info[place].IsFunction()) fail(info.Env(), std::string("expected ") + name + " to be an object");
  return info[place].As<Napi::Object>();
}

Napi::Function functionArgument(const Napi::CallbackInfo& info, size_t place, const char* name) {
  if (info.Length() <= place || !info[place].IsFunction()) fail(info.Env(), std::string("expected ") + name + " to be a function");
  return info[place].As<Napi::Function>();
}

/** A whole number from `min` to `max`. */
double numberValue(const Napi::Value& value, const std::string& name, double min, double max) {
  if (!value.IsNumber()) fail(value.Env(), "expected " + name + " to be a number");
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!std::isfinite(number) || number != std::floor(number) || number < min || number > max) {
    fail(value.Env(), "expected " + name + " to be a whole number from " + std::to_string(static_cast<int64_t>(min)) + " to " + std::to_string(static_cast<int64_t>(max)) + ", got " + std::to_string(number));
  }
  return number;
}

double numberProperty(const Napi::Object& options, const char* name, double min, double max) { return numberValue(options.Get(name), name, min, max); }

bool booleanProperty(const Napi::Object& options, const char* name) {
  const Napi::Value value = options.Get(name);
  if (!value.IsBoolean()) fail(options.Env(), std::string("expected ") + name + " to be true or false");
  return value.As<Napi::Boolean>().Value();
}

std::string stringValue(const Napi::Value& value, const std::string& name) {
  if (!value.IsString()) fail(value.Env(), "expected " + name + " to be a string");
  std::string text = value.As<Napi::String>().Utf8Value();
  if (text.empty() || text.size() > 1024 || text.find('\0') != std::string::npos) fail(value.Env(), "expected " + name + " to be a string of 1 to 1024 characters");
  return text;
}

uint32_t addressValue(const Napi::Env& env, const std::string& text, const char* name) {
  uint32_t parts[4];
  char rest = 0;
  if (std::sscanf(text.c_str(), "%3u.%3u.%3u.%3u%c", &parts[0], &parts[1], &parts[2], &parts[3], &rest) != 4 || parts[0] > 255 || parts[1] > 255 || parts[2] > 255 || parts[3] > 255) {
    fail(env, std::string("expected ") + name + " to be an IPv4 address, got \"" + text + "\"");
  }
  return (parts[0] << 24) | (parts[1] << 16) | (parts[2] << 8) | parts[3];
}

/** Ends a thread that is left when its Node environment goes down: a program that ends, a worker that is stopped. */
class Endable {
 public:
  virtual ~Endable() = default;
  virtual void end() = 0;
};

void endAtExit(void* endable) { static_cast<Endable*>(endable)->end(); }

/** Stream and wake-up call of one source; common to receivers and pollers. */
class Outlet {
 public:
  /** Records of the ring, ms between wake-up calls, and the function to call. */
  void open(const Napi::CallbackInfo& info, const Napi::Object& options, const Napi::Function& onRecords, Endable* owner) {
    env_ = info.Env();
    owner_ = owner;
    const size_t ringRecords = static_cast<size_t>(numberProperty(options, "ringRecords", 16, 1 << 24));
    const int64_t wakeIntervalNs = static_cast<int64_t>(numberProperty(options, "wakeIntervalUs", 0, 1000000)) * 1000;
    // No more than one call is ever on its way: it brings everything.
    call_ = Napi::ThreadSafeFunction::New(info.Env(), onRecords, "evoked receive thread", 0, 1);
    isOpen_ = true;
    napi_add_env_cleanup_hook(env_, endAtExit, owner_);
    stream_ = std::make_shared<Stream>(ringRecords, wakeIntervalNs, [this] { call_.NonBlockingCall(); });
  }
  /** After the thread has ended. */
  void close() {
    if (!isOpen_) return;
    isOpen_ = false;
    napi_remove_env_cleanup_hook(env_, endAtExit, owner_);
    call_.Release();
  }
  const std::shared_ptr<Stream>& stream() const { return stream_; }

  /** Into the caller's memory: a thousand buffers a second would be as many reasons to collect garbage. */
  Napi::Value drain(const Napi::CallbackInfo& info) {
    if (info.Length() < 1 || !info[0].IsArrayBuffer()) fail(info.Env(), "expected an ArrayBuffer for records");
    Napi::ArrayBuffer into = info[0].As<Napi::ArrayBuffer>();
    const size_t max = into.ByteLength() / sizeof(Record);
    if (max == 0) fail(info.Env(), "expected an ArrayBuffer with room for at least one record of " + std::to_string(sizeof(Record)) + " bytes, got " + std::to_string(into.ByteLength()));
    return Napi::Number::New(info.Env(), static_cast<double>(stream_->drain(static_cast<Record*>(into.Data()), max)));
  }
  Napi::Value takeBlob(const Napi::CallbackInfo& info) {
    if (info.Length() < 1) fail(info.Env(), "expected the number of a blob");
    const std::vector<uint8_t> bytes = stream_->takeBlob(static_cast<uint32_t>(numberValue(info[0], "the number of a blob", 0, 4294967295.0)));
    Napi::Uint8Array out = Napi::Uint8Array::New(info.Env(), bytes.size());
    if (!bytes.empty()) std::memcpy(out.Data(), bytes.data(), bytes.size());
    return out;
  }
  void describe(Napi::Object& out) const {
    const evoked::StreamCounts counts = stream_->counts();
    out.Set("datagrams", static_cast<double>(counts.datagrams));
    out.Set("bytes", static_cast<double>(counts.bytes));
    out.Set("droppedRecords", static_cast<double>(counts.droppedRecords));
    out.Set("wakes", static_cast<double>(counts.wakes));
    out.Set("waitingRecords", static_cast<double>(stream_->waiting()));
    out.Set("ringRecords", static_cast<double>(stream_->capacity()));
  }

 private:
  std::shared_ptr<Stream> stream_;
  Napi::ThreadSafeFunction call_;
  napi_env env_ = nullptr;
  Endable* owner_ = nullptr;
  bool isOpen_ = false;
};

std::unique_ptr<evoked::Parser> parserValue(const Napi::Value& value) {
  const std::string name = stringValue(value, "protocol");
  using evoked::BlackrockParser;
  using evoked::BlackrockProtocol;
  if (name == "raw") return std::make_unique<BlackrockParser>(BlackrockProtocol::unknown);
  if (name == "blackrock-3.11") return std::make_unique<BlackrockParser>(BlackrockProtocol::v311);
  if (name == "blackrock-4.0") return std::make_unique<BlackrockParser>(BlackrockProtocol::v400);
  if (name == "blackrock-4.1") return std::make_unique<BlackrockParser>(BlackrockProtocol::v410);
  if (name == "bridge") return std::make_unique<evoked::BridgeParser>();
  fail(value.Env(), "expected protocol raw, blackrock-3.11, blackrock-4.0, blackrock-4.1 or bridge, got \"" + name + "\"");
}

/** new UdpReceiver({ localAddress, localPort, peerAddress, protocol, receiveBufferBytes, ringRecords, wakeIntervalUs, keepDatagrams }, onRecords) */
class UdpReceiver final : public Napi::ObjectWrap<UdpReceiver>, public Endable {
 public:
  static Napi::Function describeClass(Napi::Env env) {
    return DefineClass(env, "UdpReceiver",
                       {InstanceMethod<&UdpReceiver::drain>("drain"), InstanceMethod<&UdpReceiver::takeBlob>("takeBlob"), InstanceMethod<&UdpReceiver::send>("send"), InstanceMethod<&UdpReceiver::setProtocol>("setProtocol"),
                        InstanceMethod<&UdpReceiver::status>("status"), InstanceMethod<&UdpReceiver::stop>("stop")});
  }

  explicit UdpReceiver(const Napi::CallbackInfo& info) : Napi::ObjectWrap<UdpReceiver>(info) {
    const Napi::Object options = objectArgument(info, 0, "the receiver's options");
    const Napi::Function onRecords = functionArgument(info, 1, "what to call when records wait");
    evoked::ReceiverOptions settings;
    settings.localAddress = stringValue(options.Get("localAddress"), "localAddress");
    settings.localPort = static_cast<uint16_t>(numberProperty(options, "localPort", 0, 65535));
    settings.receiveBufferBytes = static_cast<int>(numberProperty(options, "receiveBufferBytes", 4096, 1 << 30));
    if (!options.Get("peerAddress").IsNull()) settings.peerAddress = addressValue(info.Env(), stringValue(options.Get("peerAddress"), "peerAddress"), "peerAddress");
    addressValue(info.Env(), settings.localAddress, "localAddress");
    settings.keepDatagrams = booleanProperty(options, "keepDatagrams");
    std::unique_ptr<evoked::Parser> parser = parserValue(options.Get("protocol"));
    outlet_.open(info, options, onRecords, this);
    receiver_ = std::make_unique<evoked::Receiver>(settings, std::move(parser), outlet_.stream());
    const std::string problem = receiver_->start();
    if (!problem.empty()) {
      outlet_.close();
      throw Napi::Error::New(info.Env(), problem);
    }
  }
  ~UdpReceiver() override { end(); }

 private:
  void end() override {
    if (receiver_ != nullptr) receiver_->stop();
    outlet_.close();
  }
  Napi::Value drain(const Napi::CallbackInfo& info) { return outlet_.drain(info); }
  Napi::Value takeBlob(const Napi::CallbackInfo& info) { return outlet_.takeBlob(info); }
  Napi::Value send(const Napi::CallbackInfo& info) {
    if (info.Length() < 3 || !info[2].IsTypedArray() || info[2].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) fail(info.Env(), "expected an address, a port and bytes (a Uint8Array)");
    const std::string address = stringValue(info[0], "the address");
    addressValue(info.Env(), address, "the address");
    const uint16_t port = static_cast<uint16_t>(numberValue(info[1], "the port", 1, 65535));
    const Napi::Uint8Array bytes = info[2].As<Napi::Uint8Array>();
    return Napi::Boolean::New(info.Env(), receiver_->send(address, port, bytes.Data(), bytes.ByteLength()));
  }
  void setProtocol(const Napi::CallbackInfo& info) {
    if (info.Length() < 1) fail(info.Env(), "expected a protocol");
    receiver_->setParser(parserValue(info[0]));
  }
  Napi::Value status(const Napi::CallbackInfo& info) {
    Napi::Object out = Napi::Object::New(info.Env());
    outlet_.describe(out);
    out.Set("localPort", static_cast<double>(receiver_->port()));
    out.Set("receiveBufferBytes", static_cast<double>(receiver_->receiveBufferBytes()));
    out.Set("socketDropped", static_cast<double>(receiver_->socketDropped()));
    out.Set("hasFailed", receiver_->hasFailed());
    return out;
  }
  void stop(const Napi::CallbackInfo&) { end(); }

  Outlet outlet_;
  std::unique_ptr<evoked::Receiver> receiver_;
};

/** new PlexonPoller({ libraries, client, pollIntervalUs, countDropped, ringRecords, wakeIntervalUs }, onRecords) */
class PlexonPoller final : public Napi::ObjectWrap<PlexonPoller>, public Endable {
 public:
  static Napi::Function describeClass(Napi::Env env) {
    return DefineClass(env, "PlexonPoller",
                       {InstanceMethod<&PlexonPoller::drain>("drain"), InstanceMethod<&PlexonPoller::takeBlob>("takeBlob"), InstanceMethod<&PlexonPoller::status>("status"), InstanceMethod<&PlexonPoller::stop>("stop")});
  }

  explicit PlexonPoller(const Napi::CallbackInfo& info) : Napi::ObjectWrap<PlexonPoller>(info) {
    const Napi::Object options = objectArgument(info, 0, "the poller's options");
    const Napi::Function onRecords = functionArgument(info, 1, "what to call when records wait");
    evoked::PlexonOptions settings;
    const Napi::Value libraries = options.Get("libraries");
    if (!libraries.IsArray() || libraries.As<Napi::Array>().Length() == 0) fail(info.Env(), "expected libraries to be an array of names");
    for (uint32_t i = 0; i < libraries.As<Napi::Array>().Length(); i++) settings.libraries.push_back(stringValue(libraries.As<Napi::Array>().Get(i), "a name of libraries"));
    const std::string client = stringValue(options.Get("client"), "client");
    if (client != "auto" && client != "opx" && client != "plex") fail(info.Env(), "expected client auto, opx or plex, got \"" + client + "\"");
    settings.client = client == "opx" ? evoked::PlexonLibrary::opx : client == "plex" ? evoked::PlexonLibrary::plex : evoked::PlexonLibrary::either;
    settings.pollIntervalNs = static_cast<int64_t>(numberProperty(options, "pollIntervalUs", 100, 1000000)) * 1000;
    settings.countDropped = booleanProperty(options, "countDropped");
    outlet_.open(info, options, onRecords, this);
    poller_ = std::make_unique<evoked::PlexonPoller>(settings, outlet_.stream());
    const std::string problem = poller_->start();
    if (!problem.empty()) {
      outlet_.close();
      throw Napi::Error::New(info.Env(), problem);
    }
  }
  ~PlexonPoller() override { end(); }

 private:
  void end() override {
    if (poller_ != nullptr) poller_->stop();
    outlet_.close();
  }
  Napi::Value drain(const Napi::CallbackInfo& info) { return outlet_.drain(info); }
  Napi::Value takeBlob(const Napi::CallbackInfo& info) { return outlet_.takeBlob(info); }
  Napi::Value status(const Napi::CallbackInfo& info) {
    Napi::Object out = Napi::Object::New(info.Env());
    outlet_.describe(out);
    out.Set("microsecondsPerTick", poller_->microsecondsPerTick());
    out.Set("countsDropped", poller_->countsDropped());
    out.Set("library", poller_->library());
    out.Set("client", poller_->client());
    return out;
  }
  void stop(const Napi::CallbackInfo&) { end(); }

  Outlet outlet_;
  std::unique_ptr<evoked::PlexonPoller> poller_;
};

Napi::Value monotonicNs(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), static_cast<double>(evoked::monotonicNs())); }

Napi::Value favourThisThread(const Napi::CallbackInfo& info) { return Napi::Boolean::New(info.Env(), evoked::favourThisThread()); }

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("interfaceVersion", 4);
  exports.Set("monotonicNs", Napi::Function::New<monotonicNs>(env, "monotonicNs"));
  exports.Set("favourThisThread", Napi::Function::New<favourThisThread>(env, "favourThisThread"));
  exports.Set("UdpReceiver", UdpReceiver::describeClass(env));
  exports.Set("PlexonPoller", PlexonPoller::describeClass(env));
  return exports;
}

}  // namespace

NODE_API_MODULE(evoked, init)
