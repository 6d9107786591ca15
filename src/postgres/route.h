// The way to a server: which hosts there are, and which addresses they have, in which order they are tried, and how
// long each may take. libpq would go through a list of hosts by itself, but stays with one that says nothing for as
// long as it is let, and with a name that cannot be looked up for as long as the system takes; so it is given one
// address at a time, each with its share of the time that is left. It is told the name as well, which certificates and
// passwords belong to.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <libpq-fe.h>

#include "os/deadline.h"
#include "os/mutex.h"
#include "os/name_lookup.h"
#include "postgres/resolver.h"
#include "postgres/target.h"
#include "status.h"

namespace tuskv::postgres {

/// Waits for a socket; false when the deadline has passed.
bool wait_for_socket(int socket, short events, os::Deadline deadline);
/// What libpq says, as one line, without the place in the server's source.
std::string one_line(std::string text);

struct RouteOptions {
  os::NameLookup look_up_name = {};  ///< for tests; empty: the system's
  /// Hosts and addresses in random order, to spread sessions over them. Otherwise in theirs, beginning with the one
  /// that was good the last time.
  bool shuffles = false;
};

/// Thread-safe.
class Route final {
 public:
  explicit Route(const Target& target, RouteOptions options = {});
  Route(const Route&) = delete;
  Route& operator=(const Route&) = delete;

  const Target& target() const { return target_; }
  /// A session; without `settings` where a pooler refuses them. `timeout_ms` is for all attempts together, unless the
  /// target says how long each may take.
  Result<PGconn*> connect(const SessionSettings& settings, std::int64_t timeout_ms, os::Deadline deadline)
      TUSKV_EXCLUDES(mutex_);

  /// The server of this session takes no writes, whatever it said as it began: further sessions are made with others,
  /// as long as one of them will do.
  void pass_by(const PGconn* session) TUSKV_EXCLUDES(mutex_);
  /// How often a server has turned from one that takes writes to one that refuses them: a session from before may lead
  /// to it, too.
  std::uint64_t turns() const { return turns_.load(std::memory_order_relaxed); }
  /// A session that began at `turns` has met one. Others of its time, which meet the same, add nothing to it, nor does
  /// one that comes soon after another (kTurnPauseMs).
  void note_turn(std::uint64_t turns) TUSKV_EXCLUDES(mutex_);

  /// Nobody waits for a lookup or a new session any more: attempts under way end with Closed.
  void close() {
    closed_.store(true, std::memory_order_relaxed);
    resolver_.close();
  }

 private:
  struct Good {
    std::size_t host = 0;
    std::string address = {};
  };

  Result<PGconn*> connect_to_host(std::size_t host, const SessionSettings& settings, os::Deadline deadline)
      TUSKV_EXCLUDES(mutex_);
  /// False when the deadline has passed, or the route is closed.
  bool wait(int socket, short events, os::Deadline deadline) const;
  Result<PGconn*> attempt_with(const Host& host, const SessionSettings& settings, os::Deadline deadline) const;
  Result<PGconn*> attempt(const Host& host, const SessionSettings* settings, os::Deadline deadline) const;
  bool is_passed_by(const Host& host) const TUSKV_REQUIRES(mutex_);
  /// Indexes of the hosts in the order to try them.
  std::vector<std::size_t> hosts_in_order() TUSKV_EXCLUDES(mutex_);
  Result<std::vector<std::string>> addresses_in_order(const Host& host, os::Deadline deadline) TUSKV_EXCLUDES(mutex_);

  const Target& target_;
  const bool shuffles_;
  std::atomic<bool> closed_ = false;
  std::atomic<std::uint64_t> turns_ = 0;
  Resolver resolver_;
  os::Mutex mutex_;
  Good good_ TUSKV_GUARDED_BY(mutex_);
  std::optional<Host> passed_by_ TUSKV_GUARDED_BY(mutex_);
  os::Deadline next_turn_ TUSKV_GUARDED_BY(mutex_) = {};
  std::minstd_rand random_ TUSKV_GUARDED_BY(mutex_);
};

}  // namespace tuskv::postgres
