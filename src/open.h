// From a URL to a store.
#pragma once

#include <memory>
#include <string_view>

#include "engine.h"
#include "os/clock.h"
#include "os/file_system.h"
#include "os/name_lookup.h"
#include "tuskv/store.h"

namespace tuskv {

/// What a store finds around it, for tests to replace. Null: the system's. What is given outlives the store.
struct Surroundings {
  os::FileSystem* file_system = nullptr;
  const os::Clock* clock = nullptr;
  /// An SQL expression (a call of a function) that the PostgreSQL engine takes the time from; empty: the server's
  /// clock.
  std::string_view postgres_clock = {};
  /// How the PostgreSQL engine finds the addresses of a host; empty: as the system does. It is copied.
  os::NameLookup look_up_name = {};
};

/// As Store::open.
Store open_store(Bytes url, const Options& options, const Surroundings& surroundings);

/// A store on an engine of the caller's; the options say how arguments are checked, and must be valid.
Store store_on(std::unique_ptr<Engine> engine, const Options& options);

}  // namespace tuskv
