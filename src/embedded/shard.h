// One shard of the keyspace: entries, a hash table for points, an ordered index for scans (kept on insert and erase only) and an expiry
// index for the sweeper.
//
// Two locks, so that readers never wait for the disk: `writer` is held while a change is planned, logged and applied; `map` is held shared by
// readers and exclusively only while a change is applied. Only the holder of `writer` changes a shard, so it may read without `map`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tuskv::embedded {

struct StoredEntry;  // one allocation: header, key, value (shard.cc)

/// What readers see of an entry; valid while the map lock, or the writer mutex, is held.
struct EntryView {
  std::string_view key = {};
  std::string_view value = {};
  std::uint64_t sequence = 0;
  std::int64_t expires_us = 0;  ///< 0: never
  std::int64_t created_us = 0;
  std::int64_t updated_us = 0;
};

}  // namespace tuskv::embedded
