#include "support/fault_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace tuskv::test {
namespace {

constexpr std::size_t kReadSizeMax = 64 << 10;
constexpr std::size_t kFirstConnection = 2;  // among the events: the listener and the wake-up stand before

constexpr std::int64_t kNsInMs = 1'000'000;

[[noreturn]] void throw_errno(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

std::int64_t now_ns() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

sockaddr_in socket_address(const PostgresAddress& place) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(place.port));
  if (::inet_pton(AF_INET, place.host.c_str(), &address.sin_addr) != 1) throw_errno("inet_pton");
  return address;
}

os::UniqueFd listen_at(const PostgresAddress& place) {
  os::UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = socket_address(place);
  constexpr int kWaiting = 128;
  if (!listener.valid() || ::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      ::listen(listener.get(), kWaiting) != 0) {
    throw_errno("cannot listen");
  }
  return listener;
}

int port_of(int listener) {
  sockaddr_in address = {};
  socklen_t size = sizeof(address);
  if (::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) throw_errno("getsockname");
  return ntohs(address.sin_port);
}

os::UniqueFd connect_to(const PostgresAddress& server) {
  if (server.host.starts_with('/')) {
    os::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    const std::string path = server.host + "/.s.PGSQL." + std::to_string(server.port);
    if (path.size() >= sizeof(address.sun_path)) throw std::runtime_error("the socket's path is too long: " + path);
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) return {};
    return socket;
  }
  os::UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = socket_address(server);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) return {};
  return socket;
}

/// Every write is a segment of its own. No effect, and an error, on a Unix socket.
void send_at_once(int socket) {
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

}  // namespace

FaultProxy::FaultProxy(const PostgresAddress& server, const PostgresAddress& listens_at)
    : server_(server),
      listener_(listen_at(listens_at)),
      address_{.host = listens_at.host, .port = port_of(listener_.get())},
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      thread_([this] { run(); }) {}

FaultProxy::~FaultProxy() {
  {
    const os::MutexLock lock(mutex_);
    stopping_ = true;
  }
  wake();
  thread_.join();
}

void FaultProxy::arm(const ProxyFault& fault) {
  const os::MutexLock lock(mutex_);
  fault_ = fault;
}

void FaultProxy::disarm() {
  const os::MutexLock lock(mutex_);
  fault_.reset();
}

std::uint64_t FaultProxy::faults_met() const {
  const os::MutexLock lock(mutex_);
  return faults_met_;
}

void FaultProxy::act_on_all(ProxyAction action) {
  const os::MutexLock lock(mutex_);
  asked_ = action;
  wake();
  while (asked_) acted_.wait(mutex_);
}

void FaultProxy::set_behaviour(const ProxyBehaviour& behaviour) {
  {
    const os::MutexLock lock(mutex_);
    behaviour_ = behaviour;
  }
  wake();
}

std::uint64_t FaultProxy::bytes(ProxyDirection direction) const {
  const os::MutexLock lock(mutex_);
  return direction == ProxyDirection::to_server ? bytes_to_server_ : bytes_to_client_;
}

std::size_t FaultProxy::connections() const {
  const os::MutexLock lock(mutex_);
  return static_cast<std::size_t>(
      std::count_if(connections_.begin(), connections_.end(), [](const Connection& each) { return !each.gone; }));
}

void FaultProxy::wake() const {
  const std::uint64_t one = 1;
  if (::write(wake_.get(), &one, sizeof(one)) < 0 && errno != EAGAIN) throw_errno("eventfd");
}

void FaultProxy::run() {
  std::vector<pollfd> events;
  for (;;) {
    int timeout_ms = -1;
    {
      const os::MutexLock lock(mutex_);
      if (stopping_) {
        connections_.clear();
        return;
      }
      if (asked_) act_on_all_now();
      connections_.remove_if([](const Connection& connection) { return connection.gone; });
      timeout_ms = collect(events);
    }
    if (::poll(events.data(), events.size(), timeout_ms) < 0 && errno != EINTR) throw_errno("poll");
    const os::MutexLock lock(mutex_);
    handle(events);
  }
}

void FaultProxy::act_on_all_now() {
  for (Connection& connection : connections_) act(connection, *asked_);
  asked_.reset();
  acted_.notify_all();
}

bool FaultProxy::is_still(const Connection& connection) const {
  return connection.held || connection.gone || behaviour_.holds;
}

int FaultProxy::collect(std::vector<pollfd>& events) {
  events.clear();
  events.push_back({.fd = listener_.get(), .events = POLLIN, .revents = 0});
  events.push_back({.fd = wake_.get(), .events = POLLIN, .revents = 0});
  const TimeNs now = now_ns();
  TimeNs timeout_ms = -1;
  for (const Connection& connection : connections_) {
    // A negative descriptor is not waited for.
    pollfd client = {.fd = -1, .events = 0, .revents = 0};
    pollfd server = {.fd = -1, .events = 0, .revents = 0};
    if (!is_still(connection)) {
      for (const Flow* flow : {&connection.to_server, &connection.to_client}) {
        const bool forward = flow == &connection.to_server;
        pollfd& source = forward ? client : server;
        pollfd& target = forward ? server : client;
        if (flow->waiting.empty()) {
          source.events |= POLLIN;
        } else if (flow->not_before > now) {
          const TimeNs wait_ms = (flow->not_before - now + kNsInMs - 1) / kNsInMs;
          timeout_ms = timeout_ms < 0 ? wait_ms : std::min(timeout_ms, wait_ms);
        } else {
          target.events |= POLLOUT;
        }
      }
      if (client.events != 0) client.fd = connection.client.get();
      if (server.events != 0) server.fd = connection.server.get();
    }
    events.push_back(client);
    events.push_back(server);
  }
  return static_cast<int>(timeout_ms);
}

void FaultProxy::handle(const std::vector<pollfd>& events) {
  if (events[1].revents != 0) {
    std::uint64_t count = 0;
    if (::read(wake_.get(), &count, sizeof(count)) < 0 && errno != EAGAIN) throw_errno("eventfd");
  }
  std::size_t at = kFirstConnection;
  for (Connection& connection : connections_) {
    const pollfd& client = events[at++];
    const pollfd& server = events[at++];
    for (Flow* flow : {&connection.to_server, &connection.to_client}) {
      const pollfd& source = flow == &connection.to_server ? client : server;
      const pollfd& target = flow == &connection.to_server ? server : client;
      // The other direction may have met a fault, and a test may hold everything by now.
      if (!is_still(connection) && (source.revents & (POLLIN | POLLHUP | POLLERR)) != 0 && flow->waiting.empty()) {
        read_some(connection, *flow);
      }
      if (!is_still(connection) && (target.revents & (POLLOUT | POLLERR)) != 0 && now_ns() >= flow->not_before) {
        pass_on(connection, *flow);
      }
    }
  }
  if (events[0].revents != 0) accept_one();
}

void FaultProxy::accept_one() {
  os::UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!client.valid() || behaviour_.refuses) return;
  os::UniqueFd server = connect_to(server_);
  if (!server.valid()) return;
  send_at_once(client.get());
  send_at_once(server.get());
  connections_.push_back({.client = std::move(client), .server = std::move(server)});
}

/// Of what has come in one piece, as small messages do.
void FaultProxy::change_text(std::string& bytes) {
  const auto replace = [&bytes](std::string_view text, std::string_view by) {
    std::uint64_t replaced = 0;
    for (std::size_t at = bytes.find(text); at != std::string::npos; at = bytes.find(text, at + by.size())) {
      bytes.replace(at, text.size(), by);
      ++replaced;
    }
    return replaced;
  };
  if (behaviour_.makes_errors_fatal) replace({"SERROR\0VERROR\0", 14}, {"SFATAL\0VFATAL\0", 14});
  for (const auto& [text, by] : behaviour_.replaced) faults_met_ += replace(text, by);
}

bool FaultProxy::counts_down(ProxyDirection direction) const { return fault_ && fault_->direction == direction; }

void FaultProxy::read_some(Connection& connection, Flow& flow) {
  const os::UniqueFd& source = flow.direction == ProxyDirection::to_server ? connection.client : connection.server;
  std::array<char, kReadSizeMax> buffer;
  const ssize_t size = ::recv(source.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) {
    act(connection, size == 0 ? ProxyAction::cut : ProxyAction::reset);
    return;
  }
  flow.waiting.assign(buffer.data(), static_cast<std::size_t>(size));
  change_text(flow.waiting);
  flow.not_before = behaviour_.delay_ms > 0 ? now_ns() + behaviour_.delay_ms * kNsInMs : 0;
  if (counts_down(flow.direction) && fault_->after_bytes == 0) meet_fault(connection);
}

void FaultProxy::pass_on(Connection& connection, Flow& flow) {
  if (flow.waiting.empty()) return;
  const bool forward = flow.direction == ProxyDirection::to_server;
  std::size_t size = flow.waiting.size();
  if (behaviour_.segment_bytes > 0) size = std::min(size, behaviour_.segment_bytes);
  if (counts_down(flow.direction)) {
    if (fault_->after_bytes == 0) {
      meet_fault(connection);
      return;
    }
    size = std::min(size, static_cast<std::size_t>(fault_->after_bytes));
  }
  const int target = forward ? connection.server.get() : connection.client.get();
  const ssize_t sent = ::send(target, flow.waiting.data(), size, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0) {
    if (errno != EAGAIN && errno != EINTR) act(connection, ProxyAction::reset);
    return;
  }
  flow.waiting.erase(0, static_cast<std::size_t>(sent));
  (forward ? bytes_to_server_ : bytes_to_client_) += static_cast<std::uint64_t>(sent);
  if (behaviour_.delay_ms > 0) flow.not_before = now_ns() + behaviour_.delay_ms * kNsInMs;
  if (counts_down(flow.direction)) {
    fault_->after_bytes -= static_cast<std::uint64_t>(sent);
    if (fault_->after_bytes == 0) meet_fault(connection);
  }
}

void FaultProxy::meet_fault(Connection& connection) {
  act(connection, fault_->action);
  fault_.reset();
  ++faults_met_;
}

void FaultProxy::act(Connection& connection, ProxyAction action) {
  if (connection.gone) return;
  if (action == ProxyAction::hold) {
    connection.held = true;
    return;
  }
  if (action == ProxyAction::reset) {
    const linger at_once = {.l_onoff = 1, .l_linger = 0};
    for (const os::UniqueFd* socket : {&connection.client, &connection.server}) {
      ::setsockopt(socket->get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    }
  }
  connection.gone = true;
  connection.client.reset();
  connection.server.reset();
}

}  // namespace tuskv::test
