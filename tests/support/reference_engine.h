// The plainest engine that keeps the promises of src/engine.h: an ordered map under one mutex. Tests of what lies above
// the engines run on it, and tests of an engine compare with it.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "engine.h"
#include "os/clock.h"
#include "os/mutex.h"
#include "plan.h"

namespace tuskv::test {

class ReferenceEngine : public Engine {
 public:
  struct Settings {
    bool expiry_disabled = false;
    /// Submitted units are run by a thread of the engine's own, which its destructor joins.
    bool has_worker = false;
    /// Values have a spelling of the engine's own, which is the one given.
    bool spells_values = false;
    /// How long each call of execute or read takes at least.
    std::int64_t execute_ms = 0;
    /// Called by each read of a transaction, for which the engine is not locked.
    std::function<void()> on_read = {};
    /// Called by each commit, before it does anything.
    std::function<void(const OptimisticTransaction&)> on_commit = {};
    /// Set when the engine has been destroyed.
    std::atomic<bool>* destroyed = nullptr;
  };
  /// The clock outlives the engine.
  ReferenceEngine(const os::Clock& clock, const Settings& settings);
  explicit ReferenceEngine(const os::Clock& clock) : ReferenceEngine(clock, Settings()) {}
  ~ReferenceEngine() override;

  void execute(std::span<Unit> units) override;
  void submit(Submission& submission) override;
  Status read(OptimisticTransaction& transaction, Unit& unit) override;
  Status commit(OptimisticTransaction& transaction, std::int64_t timeout_ms) override;
  std::int64_t now_us(std::int64_t) override { return clock_.now_us(); }
  bool keeps_bytes() const override { return !settings_.spells_values; }
  Status respell(std::span<const SpelledValue> values, std::int64_t timeout_ms) override;
  Result<std::uint64_t> remove_expired(std::uint64_t limit, std::int64_t timeout_ms) override;
  Status set_sweeper(std::optional<EngineSweeperOptions> options) override;
  Result<Stats> stats(std::int64_t timeout_ms) override;
  Result<std::vector<Finding>> diagnose(std::int64_t timeout_ms) override;
  Status sync(std::int64_t timeout_ms) override;
  Result<bool> create_index(std::string_view field, std::int64_t timeout_ms) override;
  Result<bool> drop_index(std::string_view field, std::int64_t timeout_ms) override;
  Result<std::vector<std::string>> indexes(std::int64_t timeout_ms) override;
  Result<SnapshotInfo> snapshot() override;
  Result<std::vector<SnapshotInfo>> snapshots() override;
  Result<std::size_t> prune_snapshots(std::size_t keep) override;
  Status close() override;

  // For tests.

  /// Writes past every handle, as another client would. Keys of the root namespace.
  void put(std::string_view key, std::string_view value);
  void erase(std::string_view key);
  /// While held, the worker takes nothing up.
  void hold_worker(bool held);
  std::size_t commit_count() const;
  std::size_t respell_count() const;
  /// The time that the last commit was given.
  std::int64_t commit_timeout_ms() const;
  std::size_t execute_count() const;
  /// The times that all units executed or read since the last call of this were given.
  std::vector<std::int64_t> take_execute_timeouts_ms();
  /// What comes next and takes effect fails with this code nevertheless, as when a server has gone before it answered.
  void lose_answer(Code code);
  /// What is executed or submitted next finds no memory.
  void run_out_of_memory() { has_memory_ = false; }
  bool has_memory() const { return has_memory_; }

 private:
  struct Stored {
    std::string value;
    std::uint64_t version = 0;
    std::int64_t expires_us = 0;
    std::int64_t created_us = 0;
    std::int64_t updated_us = 0;
  };
  using Entries = std::map<std::string, Stored, std::less<>>;

  std::int64_t liveness_us() const { return settings_.expiry_disabled ? INT64_MIN : clock_.now_us(); }
  bool in_range(const Range& range, std::string_view key) const;
  Status run(Unit& unit) TUSKV_REQUIRES(mutex_);
  Status answer(Status status) TUSKV_REQUIRES(mutex_);
  Status run_keyed(Command& command) TUSKV_REQUIRES(mutex_);
  void run_scan(Scan& scan) TUSKV_REQUIRES(mutex_);
  std::uint64_t run_count(const Count& count) TUSKV_REQUIRES(mutex_);
  std::uint64_t run_erase_range(const Range& range) TUSKV_REQUIRES(mutex_);
  EntryState state_of(std::string_view key) const TUSKV_REQUIRES(mutex_);
  void apply(std::string_view key, const PlannedChange& change) TUSKV_REQUIRES(mutex_);
  std::uint64_t fingerprint(std::string_view from, std::string_view to, std::uint64_t& examined) const
      TUSKV_REQUIRES(mutex_);
  bool reads_hold(const OptimisticTransaction& transaction) const TUSKV_REQUIRES(mutex_);
  void work();

  const os::Clock& clock_;
  const Settings settings_;
  mutable os::Mutex mutex_;
  os::CondVar changed_;
  Entries entries_ TUSKV_GUARDED_BY(mutex_);
  std::uint64_t version_ TUSKV_GUARDED_BY(mutex_) = 0;
  std::size_t commits_ TUSKV_GUARDED_BY(mutex_) = 0;
  std::int64_t commit_timeout_ms_ TUSKV_GUARDED_BY(mutex_) = 0;
  std::size_t respells_ TUSKV_GUARDED_BY(mutex_) = 0;
  std::size_t executes_ TUSKV_GUARDED_BY(mutex_) = 0;
  std::vector<std::int64_t> execute_timeouts_ms_ TUSKV_GUARDED_BY(mutex_);
  std::optional<Code> lost_ TUSKV_GUARDED_BY(mutex_) = {};
  bool closed_ TUSKV_GUARDED_BY(mutex_) = false;
  bool held_ TUSKV_GUARDED_BY(mutex_) = false;
  bool stopping_ TUSKV_GUARDED_BY(mutex_) = false;
  std::atomic<bool> has_memory_ = true;
  std::deque<Submission*> queue_ TUSKV_GUARDED_BY(mutex_);
  std::thread worker_;
};

}  // namespace tuskv::test
