// One shard of the keyspace: entries, a hash table for points, an ordered index for scans (touched on insert and erase
// only) and an expiry index for the sweeper.
//
// Two locks, so that readers never wait for the disk: `writer` is held while a change is planned, logged and applied;
// `map` is held shared by readers and exclusively only while a change is applied. Only the holder of `writer` changes a
// shard, so it may read without `map` (the *_as_writer functions). Order over the whole engine: writer mutexes by
// ascending shard, the log's mutex, map locks by ascending shard.
#pragma once

#include <absl/container/btree_set.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "embedded/hash_table.h"
#include "embedded/record.h"
#include "embedded/removals.h"
#include "embedded/stored_entry.h"
#include "os/mutex.h"

namespace tuskv::embedded {

/// Bytewise order of keys; also compares entries with bare keys.
struct KeyOrder {
  using is_transparent = void;
  static std::string_view key(const StoredEntry* entry) { return entry->key(); }
  static std::string_view key(std::string_view key) { return key; }
  template <class A, class B>
  bool operator()(const A& a, const B& b) const {
    return key(a) < key(b);
  }
};

/// The seeded hash of keys, shared by all shards.
class KeyHash final {
 public:
  explicit KeyHash(std::uint64_t seed) : seed_(seed) {}
  std::uint64_t operator()(std::string_view key) const;

 private:
  std::uint64_t seed_;
};

/// A change that has been given its place: what is left no failure can stop. A node of an index, and a key among the
/// removals, are all that may still be allocated; if there is no memory for it the process ends, and the log has the
/// change. One that is given up takes with it what was allocated.
struct PreparedChange {
  Change change = {};
  std::uint64_t hash = 0;
  StoredEntry* existing = nullptr;       ///< what the key has
  StoredEntry* entry = nullptr;          ///< what it gets: null, the existing one in place, or a fresh one
  OwnedEntry fresh = {};                 ///< the fresh one, until it can be seen
  std::int64_t existing_expires_us = 0;  ///< before the change
  StoredEntry** place = nullptr;         ///< where the ordered index has what a fresh entry replaces

  bool replaces() const { return existing != nullptr && entry != nullptr && entry != existing; }
  bool moves_in_order() const { return entry != existing || change.expires_us != existing_expires_us; }
};

using OrderedIndex = absl::btree_set<StoredEntry*, KeyOrder>;
using ExpiryIndex = absl::btree_set<std::pair<std::int64_t, StoredEntry*>>;

/// What a shard has held, taken out of it whole; goes with its entries.
struct ShardContents {
  ShardContents() = default;
  ShardContents(ShardContents&&) = default;
  ShardContents& operator=(ShardContents&&) = delete;
  ~ShardContents();

  HashTable table = HashTable();
  OrderedIndex ordered = {};
  ExpiryIndex expiry = {};
};

class Shard final {
 public:
  using OrderedIndex = embedded::OrderedIndex;

  explicit Shard(KeyHash hash) : hash_(hash) {}
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  mutable os::TimedMutex writer;
  mutable os::SharedMutex map;

  // ---- read

  const StoredEntry* find(std::uint64_t hash, std::string_view key) const TUSKV_REQUIRES_SHARED(map) {
    return table_.find(hash, key);
  }
  const OrderedIndex& ordered() const TUSKV_REQUIRES_SHARED(map) { return ordered_; }
  /// What an absent key reveals: no entry is missing because of a later change than this.
  std::uint64_t last_erase_sequence() const TUSKV_REQUIRES_SHARED(map) { return last_erase_sequence_; }
  /// What has been erased, or has ended and gone.
  const Removals& removals() const TUSKV_REQUIRES_SHARED(map) { return removals_; }
  /// The sequence of the last change that can be seen, or is about to be.
  std::uint64_t last_change_sequence() const { return last_change_sequence_.load(std::memory_order_acquire); }

  const StoredEntry* find_as_writer(std::uint64_t hash, std::string_view key) const TUSKV_REQUIRES(writer) {
    return table_as_writer().find(hash, key);
  }
  const OrderedIndex& ordered_as_writer() const TUSKV_REQUIRES(writer) {
    map.assert_held_shared();
    return ordered_;
  }
  std::uint64_t last_erase_sequence_as_writer() const TUSKV_REQUIRES(writer) {
    map.assert_held_shared();
    return last_erase_sequence_;
  }

  // ---- write

  /// From before a change is given its sequence, which will be `from` or later, until it can be seen. A batch says so
  /// in one of its shards.
  void begin_change(std::uint64_t from) TUSKV_REQUIRES(writer) {
    changing_from_.store(from, std::memory_order_release);
  }
  void end_change() TUSKV_REQUIRES(writer) { changing_from_.store(UINT64_MAX, std::memory_order_release); }
  std::uint64_t changing_from() const { return changing_from_.load(std::memory_order_acquire); }

  /// Makes room for so many new entries. Readers go on meanwhile.
  void make_room(std::size_t inserts) TUSKV_REQUIRES(writer) TUSKV_EXCLUDES(map);
  /// Allocates what the change needs; make_room first.
  PreparedChange prepare(std::uint64_t hash, const Change& change) TUSKV_REQUIRES(writer);
  // What has been logged is applied whole or not at all: these end the process rather than throw half-way.
  void install(PreparedChange& prepared, std::uint64_t sequence) noexcept TUSKV_REQUIRES(writer, map);
  // The same in steps, for many changes that become visible at one instant: what is dear, the indexes by order, comes
  // before and behind that instant, in short holds. Between the first step and the last who only holds `map` passes
  // over what is there too early or too late: hidden entries, and expiries that are not those of their entries.

  /// Puts a new key into the ordered index, and an expiry into its own.
  void place(PreparedChange& prepared) noexcept TUSKV_REQUIRES(writer, map);
  /// Takes them out again: the change will not happen.
  void displace(PreparedChange& prepared) noexcept TUSKV_REQUIRES(writer, map);
  /// Looks up what is replaced, when everything has been placed and nothing has left.
  void find_place(PreparedChange& prepared) const noexcept TUSKV_REQUIRES(writer);
  /// From here on the change is seen.
  void show(PreparedChange& prepared, std::uint64_t sequence) noexcept TUSKV_REQUIRES(writer, map);
  /// Takes what has been replaced or erased out of the indexes by order, and frees it.
  void leave(PreparedChange& prepared) noexcept TUSKV_REQUIRES(writer, map);

  /// Erases up to `limit` entries with keys in [from, to), adding to `live` how many of them are; false when none is
  /// left.
  bool erase_some(std::string_view from, std::string_view to, std::size_t limit, std::uint64_t sequence,
                  std::int64_t now_us, std::uint64_t& live) noexcept TUSKV_REQUIRES(writer, map);
  /// Whether all keys are in [from, to).
  bool lies_within(std::string_view from, std::string_view to) const TUSKV_REQUIRES(writer);
  /// Erases all entries at once.
  ShardContents take_contents(std::uint64_t sequence, std::int64_t now_us, std::uint64_t& live) noexcept
      TUSKV_REQUIRES(writer) TUSKV_EXCLUDES(map);
  /// For encoding the records of changes to this shard.
  RecordBuffer& record_buffer() TUSKV_REQUIRES(writer) { return record_buffer_; }

  /// Removes up to `limit` entries that are dead at `now_us`, earliest first; returns how many. Not logged: replay
  /// finds them dead as well.
  std::size_t remove_expired(std::int64_t now_us, std::size_t limit) noexcept TUSKV_REQUIRES(writer)
      TUSKV_EXCLUDES(map);
  /// Removes the entry if it is still dead at `now_us`.
  bool remove_if_expired(std::uint64_t hash, std::string_view key, std::int64_t now_us) noexcept TUSKV_REQUIRES(writer)
      TUSKV_EXCLUDES(map);
  /// Adds to `count` how many of up to `most` entries are dead at `now_us`, in the order of their expiry from `from`
  /// on, which becomes the place of the next one; false when there is none.
  bool count_expired(std::int64_t now_us, std::size_t most, ExpiryIndex::value_type& from, std::uint64_t& count) const
      TUSKV_REQUIRES_SHARED(map);
  /// Appends the times of up to `limit` entries that are dead at `now_us`, earliest first.
  void list_expired(std::int64_t now_us, std::size_t limit, std::vector<std::int64_t>& expires_us) const
      TUSKV_REQUIRES_SHARED(map);

  // ---- load: before the shard is shared, by one thread, without locks

  void reserve(std::size_t entries);
  void load(std::uint64_t hash, const Change& put, std::uint64_t sequence);
  void replay(std::uint64_t hash, const Change& change, std::uint64_t sequence);
  void finish_loading();
  void set_hash(KeyHash hash) { hash_ = hash; }

  // ---- totals, readable without a lock

  std::uint64_t entry_count() const { return entry_count_.load(std::memory_order_relaxed); }
  std::uint64_t key_bytes() const { return key_bytes_.load(std::memory_order_relaxed); }
  std::uint64_t value_bytes() const { return value_bytes_.load(std::memory_order_relaxed); }
  std::uint64_t value_bytes_max() const { return value_bytes_max_.load(std::memory_order_relaxed); }
  std::uint64_t entry_memory_bytes() const { return entry_memory_bytes_.load(std::memory_order_relaxed); }
  std::uint64_t index_memory_bytes() const TUSKV_REQUIRES_SHARED(map);

 private:
  const HashTable& table_as_writer() const TUSKV_REQUIRES(writer) {
    map.assert_held_shared();
    return table_;
  }
  const ExpiryIndex& expiry_as_writer() const TUSKV_REQUIRES(writer) {
    map.assert_held_shared();
    return expiry_;
  }
  void remove(std::uint64_t hash, StoredEntry* entry) TUSKV_REQUIRES(writer, map);
  void remove_ended(std::uint64_t hash, StoredEntry* entry) TUSKV_REQUIRES(writer, map);
  void count_in(const StoredEntry& entry);
  void count_out(const StoredEntry& entry);
  void replay_put(std::uint64_t hash, const Change& put, std::uint64_t sequence);
  void replay_erase(std::uint64_t hash, StoredEntry* entry);
  void add_loaded(StoredEntry* entry);
  void supersede(StoredEntry* entry);

  KeyHash hash_;
  HashTable table_ TUSKV_GUARDED_BY(map);
  OrderedIndex ordered_ TUSKV_GUARDED_BY(map);
  ExpiryIndex expiry_ TUSKV_GUARDED_BY(map);
  std::uint64_t last_erase_sequence_ TUSKV_GUARDED_BY(map) = 0;
  Removals removals_ TUSKV_GUARDED_BY(map);
  std::atomic<std::uint64_t> last_change_sequence_ = 0;
  std::atomic<std::uint64_t> changing_from_ = UINT64_MAX;
  RecordBuffer record_buffer_ TUSKV_GUARDED_BY(writer);

  std::atomic<std::uint64_t> entry_count_ = 0;
  std::atomic<std::uint64_t> key_bytes_ = 0;
  std::atomic<std::uint64_t> value_bytes_ = 0;
  std::atomic<std::uint64_t> value_bytes_max_ = 0;
  std::atomic<std::uint64_t> entry_memory_bytes_ = 0;

  /// Entries in the order they came from disk, until finish_loading or the first one that is superseded: that one is
  /// freed at once, so that opening needs no more memory than what is live.
  std::vector<StoredEntry*> loaded_;
  bool is_loaded_complete_ = true;
};

}  // namespace tuskv::embedded
