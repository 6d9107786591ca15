// The data in memory: shards by the high bits of a seeded hash of the key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "embedded/record.h"
#include "embedded/shard.h"

namespace tuskv::embedded {

inline constexpr std::size_t kShardCountMin = 16;
inline constexpr std::size_t kShardCountMax = 64;
/// The next power of two from four times the processors on: more makes pages of a scan dearer, fewer makes writers
/// meet.
std::size_t default_shard_count();

class Keyspace final {
 public:
  /// `shard_count`: a power of two, kShardCountMin or less up to kShardCountMax.
  Keyspace(std::size_t shard_count, std::uint64_t hash_seed);
  ~Keyspace();

  std::size_t shard_count() const { return shards_.size(); }
  std::uint64_t hash(std::string_view key) const { return hash_(key); }
  std::size_t shard_index(std::uint64_t hash) const {
    return shard_shift_ == 64 ? 0 : static_cast<std::size_t>(hash >> shard_shift_);
  }
  Shard& shard(std::size_t index) { return *shards_[index]; }
  const Shard& shard(std::size_t index) const { return *shards_[index]; }

  // Loading, before the keyspace is shared with readers. Different threads may work on different shards at once;
  // nothing locks.

  /// Takes the seed the store's manifest names. The keyspace must be empty.
  void set_hash_seed(std::uint64_t hash_seed);
  /// Entries expected in all, so that tables are made large enough at once.
  void reserve(std::uint64_t entries);
  /// Adds an entry of a snapshot part (a key comes once). Keys that come in ascending order within a shard are indexed
  /// without a search.
  void load_entry(std::uint64_t hash, const Change& put, std::uint64_t sequence);
  /// Applies a logged change to shard `shard` unless the entry there is newer. For keyed changes `shard` must be the
  /// key's own; erase_range is given to every shard. The ordered index is not kept up: see finish_loading.
  void replay(std::size_t shard, std::uint64_t hash, const Change& change, std::uint64_t sequence);
  /// Call once for each shard after the last load_entry and replay: builds what they left out.
  void finish_loading(std::size_t shard);

  // Dumping, while writers go on.

  /// Visits up to `limit` entries of the shard behind `after` (empty: from the start) in key order, fewer when `visit`
  /// returns false (large values); false when there are none left. Holds the map lock shared meanwhile: `visit` must be
  /// quick.
  bool dump(std::size_t shard, std::string_view after, std::size_t limit,
            bool (*visit)(void* context, const EntryView& entry), void* context) const;

  // Expiry, while writers go on: a map lock is held for a bounded number of entries at a time.

  /// The instant up to which the `limit` earliest of all entries that are dead at `now_us` have expired; `now_us` when
  /// there are fewer.
  std::int64_t expiry_of_earliest(std::size_t limit, std::int64_t now_us) const;
  std::uint64_t count_expired(std::size_t shard, std::int64_t now_us) const;

  /// Every writer mutex, ascending: while held no change is under way (all that were logged are applied).
  void lock_all_writers() TUSKV_NO_THREAD_SAFETY_ANALYSIS;
  void unlock_all_writers() TUSKV_NO_THREAD_SAFETY_ANALYSIS;

  struct OwnEntries {
    std::uint64_t count = 0;
    std::uint64_t key_bytes = 0;
    std::uint64_t value_bytes = 0;
  };
  /// What the store keeps for itself (own_keys.h): nobody who counts entries means those.
  OwnEntries own_entries() const;
  std::uint64_t user_entry_count() const;

  /// Totals over all shards, read without a lock: exact when nothing changes.
  std::uint64_t entry_count() const;
  std::uint64_t key_bytes() const;
  std::uint64_t value_bytes() const;

 private:
  KeyHash hash_;
  unsigned shard_shift_;
  std::vector<std::unique_ptr<Shard>> shards_;
};

}  // namespace tuskv::embedded
