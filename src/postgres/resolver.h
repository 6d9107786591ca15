// Looks names up in time. A lookup cannot be cancelled, and one that asks a name server that is gone may hang for
// minutes; so it runs on a thread of its own, for which nobody waits beyond his deadline. The thread is never joined:
// it knows nothing but the state it shares with the resolver, which lives as long as either, so it may outlast the
// store, and does not keep the process from ending.
//
// Who wants a name that is being looked up waits for the lookup that is on its way. Nothing is remembered: a lookup is
// made when a connection opens, and should see what has changed since the last one.
//
// glibc's getaddrinfo_a does not fit: its threads are the process's, so that others' hanging lookups hold up ours, and
// a request that cannot be cancelled has to be kept all the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "os/deadline.h"
#include "os/name_lookup.h"
#include "postgres/limits.h"
#include "status.h"

namespace tuskv::postgres {

struct ResolverOptions {
  os::NameLookup look_up = os::look_up_name;
  std::size_t lookups_max = kLookupsMax;
  std::size_t lookups_of_name_max = kLookupsOfNameMax;
  std::int64_t silence_ms = kLookupSilenceMs;
};

/// Thread-safe.
class Resolver final {
 public:
  explicit Resolver(ResolverOptions options);
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  /// At least one address; otherwise a Connection failure that says why, or Timeout at the deadline. Both name the
  /// name.
  Result<std::vector<std::string>> addresses_of(const std::string& name, os::Deadline deadline);
  /// Ends the waiting of all, and of whoever comes later, with Closed.
  void close();

 private:
  struct Question;
  struct Shared;
  const std::shared_ptr<Shared> shared_;
};

}  // namespace tuskv::postgres
