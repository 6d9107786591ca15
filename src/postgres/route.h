// The way to a server: which hosts there are, and which addresses they have, in which order they are tried, and how
// long each may take. libpq would go through a list of hosts by itself, but stays with one that says nothing for as
// long as it is let; so it is given one address at a time, each with its share of the time that is left.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <libpq-fe.h>

#include "os/deadline.h"
#include "os/mutex.h"
#include "postgres/target.h"
#include "status.h"

namespace tuskv::postgres {

/// Waits for a socket; false when the deadline has passed.
bool wait_for_socket(int socket, short events, os::Deadline deadline);
/// What libpq says, as one line, without the place in the server's source.
std::string one_line(std::string text);

/// Thread-safe. It remembers which address was good and begins there the next time.
class Route final {
 public:
  /// The numeric addresses of a name; none when it has none.
  using Resolve = std::function<std::vector<std::string>(const std::string& host, const std::string& port)>;
  Route(const Target& target, Resolve resolve);
  explicit Route(const Target& target);
  Route(const Route&) = delete;
  Route& operator=(const Route&) = delete;

  const Target& target() const { return target_; }
  /// A session; without `settings` where a pooler refuses them. `timeout_ms` is for all attempts together, unless the
  /// target says how long each may take.
  Result<PGconn*> connect(const SessionSettings& settings, std::int64_t timeout_ms, os::Deadline deadline)
      TUSKV_EXCLUDES(mutex_);

 private:
  struct Good {
    std::size_t host = 0;
    std::string address = {};
  };

  Result<PGconn*> connect_to_host(std::size_t host, const SessionSettings& settings, os::Deadline deadline)
      TUSKV_EXCLUDES(mutex_);
  Result<PGconn*> attempt(const Host& host, const SessionSettings* settings, os::Deadline deadline) const;
  std::vector<std::string> addresses_of(const Host& host) const TUSKV_EXCLUDES(mutex_);

  const Target& target_;
  const Resolve resolve_;
  mutable os::Mutex mutex_;
  Good good_ TUSKV_GUARDED_BY(mutex_);
};

}  // namespace tuskv::postgres
