#include "embedded/batch.h"

#include <algorithm>
#include <bit>

namespace tuskv::embedded {
namespace {

/// Versions of entries that exist only in a batch under way; no stored entry has it.
constexpr std::uint64_t kUncommittedVersion = UINT64_MAX;

/// A batch of fewer is installed as it is: its readers wait for less than 0.1 ms.
constexpr std::size_t kLargeBatchMin = 64;
/// Entries placed, or taken away, under one hold of a map lock.
constexpr std::size_t kPlaceHoldEntries = 64;

template <class Visit>
void for_each_shard(std::uint64_t mask, const Visit& visit) {
  for (; mask != 0; mask &= mask - 1) visit(static_cast<std::size_t>(std::countr_zero(mask)));
}

}  // namespace

WriterSetLock::WriterSetLock(Keyspace& keyspace, ShardSet shards, std::int64_t& left_ms) TUSKV_NO_THREAD_SAFETY_ANALYSIS
    : keyspace_(keyspace),
      mask_(0) {
  for_each_shard(shards.mask(), [&](std::size_t shard) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
    if (!held_) return;
    held_ = keyspace_.shard(shard).writer.lock_within(left_ms);
    if (held_) mask_ |= std::uint64_t{1} << shard;
  });
}

WriterSetLock::~WriterSetLock() TUSKV_NO_THREAD_SAFETY_ANALYSIS {
  for_each_shard(mask_,
                 [&](std::size_t shard) TUSKV_NO_THREAD_SAFETY_ANALYSIS { keyspace_.shard(shard).writer.unlock(); });
}

Status busy_shard_status() { return {Code::Timeout, "the deadline passed while other writes held the key's shard"}; }

MapSetLock::MapSetLock(const Keyspace& keyspace, ShardSet shards, Mode mode) TUSKV_NO_THREAD_SAFETY_ANALYSIS
    : keyspace_(keyspace),
      mask_(shards.mask()),
      mode_(mode) {
  for_each_shard(mask_, [&](std::size_t shard) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
    os::SharedMutex& map = keyspace_.shard(shard).map;
    mode_ == Mode::shared ? map.lock_shared() : map.lock();
  });
}

MapSetLock::~MapSetLock() TUSKV_NO_THREAD_SAFETY_ANALYSIS {
  for_each_shard(mask_, [&](std::size_t shard) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
    os::SharedMutex& map = keyspace_.shard(shard).map;
    mode_ == Mode::shared ? map.unlock_shared() : map.unlock();
  });
}

EntryState state_of(const StoredEntry* stored, std::int64_t liveness_us) {
  if (stored == nullptr) return {};
  const EntryView view = stored->view();
  if (!is_live(view.expires_us, liveness_us)) return {};
  return {.found = true,
          .version = view.sequence,
          .expires_us = view.expires_us,
          .created_us = view.created_us,
          .updated_us = view.updated_us,
          .value = view.value};
}

Change to_change(std::string_view key, const PlannedChange& planned) {
  Change change{.key = key};
  if (planned.kind == PlannedChange::Kind::erase) {
    change.op = ChangeOp::erase;
    return change;
  }
  change.op = planned.kind == PlannedChange::Kind::put ? ChangeOp::put : ChangeOp::touch;
  if (change.op == ChangeOp::put) change.value = planned.value;
  change.expires_us = planned.expires_us;
  change.created_us = stamp_us(planned.created_us);
  change.updated_us = stamp_us(planned.updated_us);
  return change;
}

Status Batch::plan_unit(Unit& unit, std::int64_t now_us, std::int64_t liveness_us) {
  net_.reserve(unit.commands.size());
  index_.reserve(unit.commands.size());
  Status status;
  bool all_applied = true;
  for (Command& command : unit.commands) {
    status = plan_command(command, now_us, liveness_us);
    if (!status.ok()) break;
    all_applied = all_applied && is_applied(command);
  }
  if (!status.ok() || (unit.require_all && !all_applied)) {
    net_.clear();
    index_.clear();
    for (Command& command : unit.commands) clear_applied(command);
  }
  return status;
}

Status Batch::plan_command(Command& command, std::int64_t now_us,
                           std::int64_t liveness_us) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
  const std::string_view key = command_key(command);
  const std::uint64_t hash = keyspace_.hash(key);
  const std::size_t shard_index = keyspace_.shard_index(hash);
  const Shard& shard = keyspace_.shard(shard_index);
  EntryState state;
  if (const auto planned = index_.find(key); planned != index_.end()) {
    state = net_[planned->second].state;
  } else {
    const StoredEntry* stored = shard.find_as_writer(hash, key);
    state = state_of(stored, liveness_us);
    rest_on(state);
    revealed_ = std::max(revealed_, stored != nullptr ? stored->sequence() : shard.last_erase_sequence_as_writer());
  }
  PlannedChange planned;
  TUSKV_RETURN_IF_ERROR(plan(state, command, now_us, planned));
  if (planned.kind != PlannedChange::Kind::none) add_change(hash, shard_index, state, to_change(key, planned));
  return {};
}

void Batch::add_change(std::uint64_t hash, std::size_t shard, const EntryState& before, const Change& change) {
  const auto [position, inserted] = index_.try_emplace(change.key, net_.size());
  if (inserted) net_.push_back({.hash = hash, .shard = shard});
  NetChange& net = net_[position->second];
  const bool extends_put = !inserted && net.change.op == ChangeOp::put && change.op == ChangeOp::touch;
  if (extends_put) {
    net.change.expires_us = change.expires_us;
    net.change.updated_us = change.updated_us;
  } else {
    net.change = change;
  }
  net.state = {};
  if (change.op == ChangeOp::erase) return;
  net.state.found = true;
  net.state.version = kUncommittedVersion;
  net.state.expires_us = change.expires_us;
  net.state.created_us = change.created_us;
  net.state.updated_us = change.updated_us;
  net.state.value = change.op == ChangeOp::put ? change.value : before.value;
}

void Batch::plan_writes(const OptimisticTransaction& transaction, std::int64_t now_us,
                        std::int64_t liveness_us) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
  using Kind = OptimisticTransaction::KeyWrite::Kind;
  net_.reserve(transaction.writes.size());
  for (const OptimisticTransaction::KeyWrite& write : transaction.writes) {
    const std::uint64_t hash = keyspace_.hash(write.key);
    const std::size_t shard_index = keyspace_.shard_index(hash);
    const EntryState state = state_of(keyspace_.shard(shard_index).find_as_writer(hash, write.key), liveness_us);
    rest_on(state);
    NetChange net{.hash = hash, .shard = shard_index};
    net.change.key = write.key;
    if (write.kind == Kind::erase) {
      if (!state.found) continue;
      net.change.op = ChangeOp::erase;
    } else {
      net.change.op = write.kind == Kind::put ? ChangeOp::put : ChangeOp::touch;
      if (write.kind == Kind::put) net.change.value = write.value;
      net.change.expires_us = write.expires_us;
      net.change.created_us = stamp_us(state.found && !write.restarts_created ? state.created_us : now_us);
      net.change.updated_us = stamp_us(now_us);
    }
    net_.push_back(std::move(net));
  }
}

void Batch::prepare() TUSKV_NO_THREAD_SAFETY_ANALYSIS {
  std::vector<std::size_t> put_counts(keyspace_.shard_count());
  for (const NetChange& net : net_) {
    if (net.change.op == ChangeOp::put && !net.is_logged_only) ++put_counts[net.shard];
  }
  for (std::size_t shard = 0; shard < put_counts.size(); ++shard) {
    if (put_counts[shard] != 0) keyspace_.shard(shard).make_room(put_counts[shard]);
  }
  is_large_ = net_.size() >= kLargeBatchMin;
  if (is_large_) by_shard_.resize(keyspace_.shard_count());
  for (NetChange& net : net_) {
    if (net.is_logged_only) continue;
    net.prepared = keyspace_.shard(net.shard).prepare(net.hash, net.change);
    if (is_large_ && net.prepared.moves_in_order()) by_shard_[net.shard].push_back(&net.prepared);
  }
}

void Batch::put_back(const Batch& logged, std::int64_t liveness_us) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
  for (const NetChange& changed : logged.net_) {
    if (index_.contains(changed.change.key)) continue;
    NetChange net{.hash = changed.hash, .shard = changed.shard, .is_logged_only = true};
    const Shard& shard = keyspace_.shard(net.shard);
    const EntryState state = state_of(shard.find_as_writer(net.hash, changed.change.key), liveness_us);
    net.change = {.op = ChangeOp::erase, .key = changed.change.key};
    if (state.found) {
      net.change.op = ChangeOp::put;
      net.change.value = state.value;
      net.change.expires_us = state.expires_us;
      net.change.created_us = state.created_us;
      net.change.updated_us = state.updated_us;
    }
    net_.push_back(std::move(net));
  }
}

void Batch::in_short_holds(void (Shard::*step)(PreparedChange& prepared) noexcept) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
  for (std::size_t i = 0; i < by_shard_.size(); ++i) {
    Shard& shard = keyspace_.shard(i);
    for (auto next = by_shard_[i].begin(); next != by_shard_[i].end();) {
      const os::WriterLock lock(shard.map);
      for (std::size_t held = 0; held < kPlaceHoldEntries && next != by_shard_[i].end(); ++held) {
        (shard.*step)(**next++);
      }
    }
  }
}

void Batch::place() TUSKV_NO_THREAD_SAFETY_ANALYSIS {
  in_short_holds(&Shard::place);
  for (std::size_t i = 0; i < by_shard_.size(); ++i) {
    for (PreparedChange* const prepared : by_shard_[i]) keyspace_.shard(i).find_place(*prepared);
  }
}

bool Batch::install(std::uint64_t sequence,
                    FunctionRef<std::int64_t()> liveness_us) noexcept TUSKV_NO_THREAD_SAFETY_ANALYSIS {
  place();
  {
    ShardSet shards;
    for (const NetChange& net : net_) {
      if (!net.is_logged_only) shards.add(net.shard);
    }
    const MapSetLock lock(keyspace_, shards, MapSetLock::Mode::exclusive);
    // Readers look at the time under these locks or before, so none of them has seen a later one.
    if (ends_us_ == INT64_MAX || is_live(ends_us_, liveness_us())) {
      for (NetChange& net : net_) {
        if (net.is_logged_only) continue;
        Shard& shard = keyspace_.shard(net.shard);
        is_large_ ? shard.show(net.prepared, sequence) : shard.install(net.prepared, sequence);
      }
      is_installed_ = true;
      return true;
    }
  }
  in_short_holds(&Shard::displace);
  return false;
}

Batch::~Batch() {
  if (is_installed_) in_short_holds(&Shard::leave);
}

}  // namespace tuskv::embedded
