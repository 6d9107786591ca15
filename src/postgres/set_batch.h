// Plain sets and erases of many callers: one statement for all sets, one for all erases, each a transaction of its own
// in one round trip. Keys are sorted and named once; of several sets of a key the last wins, of several erases the
// first finds it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "postgres/database.h"
#include "postgres/jobs.h"

namespace tuskv::postgres {

class SetBatch final {
 public:
  /// Every unit is made of plain Puts, or of plain Erases (see belongs_to_set_lane).
  SetBatch(Database& database, std::span<const Job> jobs) : database_(database), jobs_(jobs) {}

  /// One attempt. Of a batch with both kinds one may succeed and the other fail: failed() names the jobs, and the next
  /// attempt runs these alone.
  Status run(Connection& connection, os::Deadline deadline, std::int64_t lock_timeout_ms);
  /// After run() failed: the jobs that failed, in the order they were given in.
  const std::vector<Job>& failed() const { return failed_; }

 private:
  struct PutTarget {
    std::size_t job;
    Put* put;
  };
  struct EraseTarget {
    std::size_t job;
    Erase* erase;
    std::size_t ordinal = 0;
    bool first = false;  ///< the one that finds the key
  };
  struct Chunk {
    std::size_t place = 0;
    std::size_t first = 0;
    std::size_t keys = 0;
    Rows rows = {};
  };

  bool fills_one_statement() const;
  void collect(const PinnedJobs& pinned);
  void forget_done();
  void add_puts(Connection& connection);
  void check_replaced(Connection& connection, std::span<const Put* const> sorted) const;
  void add_erases(Connection& connection);
  void answer_puts();
  /// After the exchange that erased: commits and answers.
  Status end_erases(Connection& connection, os::Deadline deadline);
  void answer_erases();
  void answer_erase(const EraseTarget& target, const std::vector<int>& row_of);
  void note_failed(bool puts, bool erases);

  Database& database_;
  const std::span<const Job> jobs_;
  std::vector<PutTarget> puts_;
  std::vector<EraseTarget> erases_;
  std::vector<Chunk> erase_chunks_;
  bool erases_one_ = false;
  std::optional<std::size_t> canary_ = {};
  std::optional<std::int64_t> now_us_ = {};  ///< the one time of several statements
  std::vector<Job> failed_;
};

/// A set that needs to know nothing of what is there, or an erase of whatever is there.
bool is_plain(const Command& command);

}  // namespace tuskv::postgres
