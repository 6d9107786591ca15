// Runs batches: chooses the statements of a lane, and when a batch fails finds the units that are to blame. A row that
// somebody else has locked holds up a batch for a moment only; then its units go one by one, and those that want the
// row wait for it.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "postgres/batcher.h"
#include "postgres/database.h"
#include "postgres/jobs.h"

namespace tuskv::postgres {

/// Whether a unit failed because somebody else held a row for longer than a batch waits.
bool is_blocked(const Unit& unit);

class BatchRunner final : public BatchExecutor {
 public:
  explicit BatchRunner(Database& database) : database_(database) {}

  void run(Lane lane, std::span<BatchMember* const> members, os::Deadline deadline) override;
  /// Runs a unit that met a locked row on the thread of its caller, who waits for the row until the deadline.
  void run_blocked(Lane lane, Unit& unit, os::Deadline deadline);
  /// Expired entries that reads have removed.
  std::uint64_t swept() const { return swept_.load(std::memory_order_relaxed); }

 private:
  struct Work {
    Lane lane;
    os::Deadline deadline;
    std::int64_t lock_timeout_ms = kLockTimeoutMs;
    /// Of them a unit met a locked row: those behind it wait too, to keep their order.
    std::vector<BatchMember*> blocked = {};
  };

  void run_jobs(Work& work, std::span<const Job> jobs);
  Status attempt(const Work& work, std::span<const Job> jobs, std::vector<Job>& failed);
  Status run_reads(std::span<const Job> jobs, os::Deadline deadline);

  Database& database_;
  std::atomic<std::uint64_t> swept_ = 0;
};

}  // namespace tuskv::postgres
