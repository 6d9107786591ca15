// The PostgreSQL engine: one table, made fast by batching what concurrent callers ask for.
//
// Units go one of three ways. Reads, and sets and erases that look at nothing, have statements of their own; everything
// else is lock, look, plan (the same function as in the embedded engine), write. Each way is a lane of the batcher. Two
// more lanes are for what takes long, so that it holds up nobody: waiting for rows that others hold, and listing.
//
// Invariants:
//  - No server transaction is open while user code runs.
//  - Rows are locked in key order by every statement, so that batches cannot wait for each other in a circle.
//  - What was sent and not answered is `unknown`, and never sent again unless it only reads.
//  - Time is the server's; a key's version only grows.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine.h"
#include "os/mutex.h"
#include "os/name_lookup.h"
#include "postgres/batch_runner.h"
#include "postgres/batcher.h"
#include "postgres/database.h"
#include "postgres/held_keys.h"
#include "sweeper.h"

namespace tuskv::postgres {

struct EngineOptions {
  std::string connection = {};       ///< for libpq; may hold a password
  Options options = {};              ///< already checked
  std::string clock = {};            ///< an SQL expression, for tests; empty: the server's clock
  os::NameLookup look_up_name = {};  ///< for tests; empty: the system's
};

class PostgresEngine final : public Engine {
 public:
  static Result<std::unique_ptr<Engine>> open(const EngineOptions& options);
  explicit PostgresEngine(std::unique_ptr<Database> database);
  ~PostgresEngine() override;
  PostgresEngine(const PostgresEngine&) = delete;
  PostgresEngine& operator=(const PostgresEngine&) = delete;

  void execute(std::span<Unit> units) override;
  void submit(Submission& submission) override;
  Status read(OptimisticTransaction& transaction, Unit& unit) override;
  Status commit(OptimisticTransaction& transaction, std::int64_t timeout_ms) override;
  std::int64_t now_us(std::int64_t timeout_ms) override;
  bool keeps_bytes() const override;
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

 private:
  void execute_one(Unit& unit);
  void execute_several(std::span<Unit> units);
  /// Through the batcher; what met a locked row then waits for it, with others who want it.
  void run_in_lane(Lane lane, std::span<Unit> units);
  void wait_for_row(Unit& unit, os::Deadline deadline);
  struct PendingWrite;
  void submit_write(Lane lane, Submission& submission);
  static void end_write(Submission& submission) noexcept;
  /// Removes up to `batch` expired entries; how many were found.
  std::uint64_t sweep(std::size_t batch);
  bool closed() const { return closed_.load(std::memory_order_acquire); }
  Status check_open() const;
  /// Open, and no value in it that jsonb writes out too large.
  Status check_unit(const Unit& unit) const;
  /// Open, and of values that can have indexes.
  Status check_indexable() const;

  const std::unique_ptr<Database> database_;
  BatchRunner runner_;
  HeldKeys held_keys_;
  Batcher batcher_;
  Sweeper sweeper_;
  std::atomic<bool> closed_ = false;
  os::Mutex close_mutex_;
  bool close_done_ TUSKV_GUARDED_BY(close_mutex_) = false;
  std::atomic<std::uint64_t> swept_ = 0;
  std::atomic<std::uint64_t> synced_ = 0;  ///< every version up to it survives a crash (relaxed)
};

}  // namespace tuskv::postgres
