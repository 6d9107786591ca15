// Walking the keyspace in key order: a merge of the shards' ordered indexes. What a page costs depends on the entries
// it looks at and the number of shards, not on the size of the store.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "commands.h"
#include "embedded/keyspace.h"
#include "os/deadline.h"
#include "tuskv/function_ref.h"

namespace tuskv::embedded {

/// Which keys, from where. An empty `after` is the start, an empty range end no end.
struct WalkBounds {
  Range range = {};
  std::string_view after = {};
  bool reverse = false;
};

struct WalkEnd {
  bool exhausted = true;       ///< nothing is left behind the last entry visited
  std::uint64_t revealed = 0;  ///< the latest change that what was (and was not) there reveals
};

/// Visits up to `limit` entries at one instant, dead ones included; `visit` returns false to stop. Holds every map lock
/// shared: for short walks.
WalkEnd walk(const Keyspace& keyspace, const WalkBounds& bounds, std::size_t limit,
             FunctionRef<bool(const EntryView&)> visit);

/// The same for a caller that holds, for every shard, the map lock or the writer mutex.
WalkEnd walk_held(const Keyspace& keyspace, const WalkBounds& bounds, std::size_t limit,
                  FunctionRef<bool(const EntryView&)> visit);

/// Fills the reply of a Scan; returns what it reveals. Dead entries are those expired at `now_us`.
std::uint64_t scan(const Keyspace& keyspace, Scan& command, std::int64_t now_us);
/// The same for a Count; nothing when the deadline passed before its end. `examined` is for a transaction; null
/// otherwise.
std::optional<std::uint64_t> count(const Keyspace& keyspace, Count& command, std::int64_t now_us, os::Deadline deadline,
                                   Examined* examined = nullptr);

/// What is in a range, looked at in short holds; nothing when the deadline passed before its end.
std::optional<Examined> examine(const Keyspace& keyspace, const Range& range, std::int64_t now_us,
                                os::Deadline deadline);
/// The same at one instant. The caller holds, for every shard, the map lock or the writer mutex.
std::optional<Examined> examine_held(const Keyspace& keyspace, const Range& range, std::int64_t now_us,
                                     os::Deadline deadline);

}  // namespace tuskv::embedded
