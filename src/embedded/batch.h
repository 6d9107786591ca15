// Planning several commands as one atomic step, while the writer mutexes of every shard they touch are held. Later
// commands see what earlier ones have planned; what is left at the end is one net change a key, in one log record.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "commands.h"
#include "embedded/keyspace.h"
#include "embedded/log.h"
#include "engine.h"
#include "plan.h"
#include "status.h"
#include "tuskv/function_ref.h"

namespace tuskv::embedded {

/// A set of shards, locked together in ascending order so that two batches never wait for each other in a circle.
class ShardSet final {
 public:
  void add(std::size_t shard) { mask_ |= std::uint64_t{1} << shard; }
  void add_all(std::size_t shard_count) {
    mask_ = shard_count == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << shard_count) - 1;
  }
  bool empty() const { return mask_ == 0; }
  bool contains(std::size_t shard) const { return (mask_ >> shard & 1) != 0; }
  std::uint64_t mask() const { return mask_; }

 private:
  std::uint64_t mask_ = 0;
};

/// Holds writer mutexes; takes them one after the other within the timeout, or none (held() false).
class WriterSetLock final {
 public:
  /// Gives up after `left_ms`, from which it takes what it has waited.
  WriterSetLock(Keyspace& keyspace, ShardSet shards, std::int64_t& left_ms);
  ~WriterSetLock();
  WriterSetLock(const WriterSetLock&) = delete;
  WriterSetLock& operator=(const WriterSetLock&) = delete;
  bool held() const { return held_; }

 private:
  Keyspace& keyspace_;
  std::uint64_t mask_;
  bool held_ = true;
};

/// What a call fails with whose time for writer mutexes was too short.
Status busy_shard_status();

/// Holds map locks, shared or exclusively.
class MapSetLock final {
 public:
  enum class Mode { shared, exclusive };
  MapSetLock(const Keyspace& keyspace, ShardSet shards, Mode mode);
  ~MapSetLock();
  MapSetLock(const MapSetLock&) = delete;
  MapSetLock& operator=(const MapSetLock&) = delete;

 private:
  const Keyspace& keyspace_;
  std::uint64_t mask_;
  Mode mode_;
};

/// From before a change gets its sequence until it can be seen, so that no transaction takes it for seen in between. Of
/// a batch one shard is enough.
class ChangeUnderWay final {
 public:
  ChangeUnderWay(Shard& shard, const Log& log) TUSKV_NO_THREAD_SAFETY_ANALYSIS : shard_(shard) {
    shard_.begin_change(log.last_sequence() + 1);
  }
  ~ChangeUnderWay() TUSKV_NO_THREAD_SAFETY_ANALYSIS { shard_.end_change(); }
  ChangeUnderWay(const ChangeUnderWay&) = delete;
  ChangeUnderWay& operator=(const ChangeUnderWay&) = delete;

 private:
  Shard& shard_;
};

/// The net effect on one key.
struct NetChange {
  std::uint64_t hash = 0;
  std::size_t shard = 0;
  Change change = {};
  EntryState state = {};  ///< the entry after the change, for the commands that follow
  PreparedChange prepared = {};
  bool is_logged_only = false;  ///< says what the entry is anyhow; nothing is installed
};

/// State of an entry as plan() wants it: a dead one is absent.
EntryState state_of(const StoredEntry* stored, std::int64_t liveness_us);
/// The log's form of a planned change, with stamps as they are kept.
Change to_change(std::string_view key, const PlannedChange& planned);

/// Collects changes; the writer mutexes of the shards concerned are held by its user throughout, and when it goes.
class Batch final {
 public:
  explicit Batch(Keyspace& keyspace) : keyspace_(keyspace) {}
  /// Of one change that has been logged, to be put back or installed after all: so it must not throw.
  Batch(Keyspace& keyspace, NetChange logged) noexcept : keyspace_(keyspace) { net_.push_back(std::move(logged)); }
  /// What a large batch has replaced and erased leaves the indexes here. What has not been installed goes.
  ~Batch();
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  /// Plans every command of the unit in order. A failure, or require_all with a condition that does not hold, leaves no
  /// change.
  Status plan_unit(Unit& unit, std::int64_t now_us, std::int64_t liveness_us);
  /// Takes over the net writes of a transaction.
  void plan_writes(const OptimisticTransaction& transaction, std::int64_t now_us, std::int64_t liveness_us);

  bool empty() const { return net_.empty(); }
  std::vector<NetChange>& net() { return net_; }
  /// The latest change that the replies reveal.
  std::uint64_t revealed() const { return revealed_; }
  /// Allocates what installing needs, so that nothing can fail once the record is written. Nothing is added afterwards.
  void prepare();
  /// Puts all changes in at one instant for every reader. They have been logged: see Shard::install. False, with
  /// nothing done, when an entry that they were planned on has ended by now: a reader may have seen it gone.
  bool install(std::uint64_t sequence, FunctionRef<std::int64_t()> liveness_us) noexcept;
  /// What was planned rests on an entry that ends then.
  void rests_until(std::int64_t ends_us) { ends_us_ = std::min(ends_us_, ends_us); }

  /// When `logged` must not count after all: adds, for every other key that it changes, what the entry is now, for the
  /// log alone. The entry has not changed and keeps its version.
  void put_back(const Batch& logged, std::int64_t liveness_us);

 private:
  Status plan_command(Command& command, std::int64_t now_us, std::int64_t liveness_us);
  void rest_on(const EntryState& state) {
    if (state.found && state.expires_us != 0) rests_until(state.expires_us);
  }
  void add_change(std::uint64_t hash, std::size_t shard, const EntryState& before, const Change& change);
  void in_short_holds(void (Shard::*step)(PreparedChange& prepared) noexcept);
  void place();

  Keyspace& keyspace_;
  std::vector<NetChange> net_;
  std::unordered_map<std::string_view, std::size_t> index_;
  bool is_large_ = false;
  bool is_installed_ = false;
  std::vector<std::vector<PreparedChange*>> by_shard_ = {};  ///< of a large batch, those that the indexes by order feel
  std::uint64_t revealed_ = 0;
  std::int64_t ends_us_ = INT64_MAX;  ///< the earliest end of an entry that a plan rests on
};

}  // namespace tuskv::embedded
