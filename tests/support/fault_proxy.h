// A proxy between a client and a server, that fails where a test says: to the byte, in either direction.
//
//   FaultProxy proxy(server.address());
//   const Store store = Store::open(proxy.address().url(database));
//   proxy.arm({.action = ProxyAction::cut, .direction = ProxyDirection::to_client, .after_bytes = 17});
//   … a call whose answer is lost after its 17th byte …
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "os/mutex.h"
#include "os/unique_fd.h"
#include "support/postgres_server.h"

struct pollfd;

namespace tuskv::test {

enum class ProxyDirection { to_server, to_client };

enum class ProxyAction {
  cut,    ///< both sides see the orderly end of the connection, after what was passed on
  reset,  ///< both sides see it reset, and may lose what was passed on
  hold,   ///< both sides see nothing any more
};

/// Happens once, to the first connection that comes so far.
struct ProxyFault {
  ProxyAction action = ProxyAction::cut;
  ProxyDirection direction = ProxyDirection::to_server;
  /// Of all bytes in this direction from now on, these are passed on. 0: acts when the first one arrives.
  std::uint64_t after_bytes = 0;
};

struct ProxyBehaviour {
  bool refuses = false;             ///< new connections are closed at once
  bool holds = false;               ///< nothing is passed on, of new connections neither
  std::size_t segment_bytes = 0;    ///< passes on so many bytes at a time; 0: as they come
  int delay_ms = 0;                 ///< before each passing on
  bool makes_errors_fatal = false;  ///< as a pooler's that has lost its server, and lives on itself
  /// What clients and servers say instead of what they said. Of one length, and what comes in one piece.
  std::vector<std::pair<std::string, std::string>> replaced = {};
};

/// Thread-safe.
class FaultProxy final {
 public:
  /// Listens on 127.0.0.1, or where it is said, for several addresses with one port.
  explicit FaultProxy(const PostgresAddress& server,
                      const PostgresAddress& listens_at = {.host = "127.0.0.1", .port = 0});
  ~FaultProxy();
  FaultProxy(const FaultProxy&) = delete;
  FaultProxy& operator=(const FaultProxy&) = delete;

  /// Where it listens.
  const PostgresAddress& address() const { return address_; }

  /// Replaces a fault that has not been met.
  void arm(const ProxyFault& fault) TUSKV_EXCLUDES(mutex_);
  void disarm() TUSKV_EXCLUDES(mutex_);
  /// How many faults were armed and happened, and texts replaced: a test of a fault that was never met tests nothing.
  std::uint64_t faults_met() const TUSKV_EXCLUDES(mutex_);
  /// Of all connections that are open; returns when it is done.
  void act_on_all(ProxyAction action) TUSKV_EXCLUDES(mutex_);
  void set_behaviour(const ProxyBehaviour& behaviour) TUSKV_EXCLUDES(mutex_);

  /// What was passed on until now.
  std::uint64_t bytes(ProxyDirection direction) const TUSKV_EXCLUDES(mutex_);
  std::size_t connections() const TUSKV_EXCLUDES(mutex_);

 private:
  using TimeNs = std::int64_t;
  /// One direction of a connection: what was read and not yet passed on.
  struct Flow {
    ProxyDirection direction = ProxyDirection::to_server;
    std::string waiting = {};
    TimeNs not_before = 0;
  };
  struct Connection {
    os::UniqueFd client;
    os::UniqueFd server;
    Flow to_server = {.direction = ProxyDirection::to_server};
    Flow to_client = {.direction = ProxyDirection::to_client};
    bool held = false;
    bool gone = false;
  };

  void run() TUSKV_EXCLUDES(mutex_);
  void act_on_all_now() TUSKV_REQUIRES(mutex_);
  /// What to wait for, two entries a connection in their order; how long at most, in milliseconds.
  int collect(std::vector<pollfd>& events) TUSKV_REQUIRES(mutex_);
  void handle(const std::vector<pollfd>& events) TUSKV_REQUIRES(mutex_);
  void accept_one() TUSKV_REQUIRES(mutex_);
  bool is_still(const Connection& connection) const TUSKV_REQUIRES(mutex_);
  void change_text(std::string& bytes) TUSKV_REQUIRES(mutex_);
  void read_some(Connection& connection, Flow& flow) TUSKV_REQUIRES(mutex_);
  void pass_on(Connection& connection, Flow& flow) TUSKV_REQUIRES(mutex_);
  /// Whether a fault is armed for this direction.
  bool counts_down(ProxyDirection direction) const TUSKV_REQUIRES(mutex_);
  void meet_fault(Connection& connection) TUSKV_REQUIRES(mutex_);
  static void act(Connection& connection, ProxyAction action);
  void wake() const;

  const PostgresAddress server_;
  os::UniqueFd listener_;
  PostgresAddress address_;
  os::UniqueFd wake_;
  mutable os::Mutex mutex_;
  std::list<Connection> connections_ TUSKV_GUARDED_BY(mutex_);
  std::optional<ProxyFault> fault_ TUSKV_GUARDED_BY(mutex_);  ///< after_bytes counts down
  ProxyBehaviour behaviour_ TUSKV_GUARDED_BY(mutex_);
  std::uint64_t faults_met_ TUSKV_GUARDED_BY(mutex_) = 0;
  std::uint64_t bytes_to_server_ TUSKV_GUARDED_BY(mutex_) = 0;
  std::uint64_t bytes_to_client_ TUSKV_GUARDED_BY(mutex_) = 0;
  std::optional<ProxyAction> asked_ TUSKV_GUARDED_BY(mutex_);
  os::CondVar acted_;
  bool stopping_ TUSKV_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace tuskv::test
