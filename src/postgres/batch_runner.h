// Runs batches: chooses the statements of a lane, and when a batch fails finds the units that are to blame. A row that
// somebody else has locked holds up a batch for a moment only: those that want the row fail, and their callers bring
// them back in Lane::held, where a batch is what all want of one key, and waits for the row in turns (row_turns.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "postgres/batcher.h"
#include "postgres/database.h"
#include "postgres/jobs.h"

namespace tuskv::postgres {

/// Whether a unit failed because somebody else held a row for longer than a batch waits.
bool is_blocked(const Unit& unit);
/// The key of a unit that names only one; otherwise empty.
std::string_view only_key(const Unit& unit);

class BatchRunner final : public BatchExecutor {
 public:
  explicit BatchRunner(Database& database) : database_(database) {}

  void run(Lane lane, std::span<BatchMember* const> members, os::Deadline deadline) override;
  /// Expired entries that reads have removed.
  std::uint64_t swept() const { return swept_.load(std::memory_order_relaxed); }

 private:
  struct Work {
    Lane lane;
    os::Deadline deadline;
    std::int64_t lock_timeout_ms = kLockTimeoutMs;
    /// Of them a unit met a locked row: those behind it wait too, to keep their order.
    std::vector<BatchMember*> blocked = {};
    /// The rows that were met.
    std::vector<std::string> held_keys = {};
  };

  void run_held(std::span<const Job> jobs, os::Deadline deadline);
  void run_listings(std::span<const Job> jobs, os::Deadline deadline);
  /// Fails those of the jobs that would wait for a row, or for one that does; gives the others.
  std::vector<Job> set_aside_held(const Work& work, std::span<const Job> jobs);
  void run_jobs(Work& work, std::span<const Job> jobs);
  void after_failure(Work& work, std::span<const Job> failed, const Status& status);
  Status attempt(const Work& work, std::span<const Job> jobs, std::vector<Job>& failed);
  void fail(std::span<const Job> jobs, const Status& status);
  void fail_alone(const Job& job, const Status& status);
  Status run_reads(std::span<const Job> jobs, os::Deadline deadline);

  Database& database_;
  std::atomic<std::uint64_t> swept_ = 0;
};

}  // namespace tuskv::postgres
