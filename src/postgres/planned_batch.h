// Everything that depends on what is there: conditions, swaps, counters, expiry, mixed units. The rows of all units are
// locked together, each command is planned by the same function as in the embedded engine, and what is left of it all
// is one net change a key.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "postgres/database.h"
#include "postgres/jobs.h"
#include "postgres/locked_rows.h"

namespace tuskv::postgres {

class PlannedBatch final {
 public:
  PlannedBatch(Database& database, std::span<const Job> jobs) : database_(database), jobs_(jobs) {}

  Status run(Connection& connection, os::Deadline deadline, std::int64_t lock_timeout_ms);

 private:
  std::vector<LockedRows::Key> collect(bool& creates);
  void note_given(const PinnedJobs& pinned);
  void plan_jobs(LockedRows& rows, const PinnedJobs& pinned);
  bool expects_version(std::size_t job) const;
  Status plan_unit(LockedRows& rows, Unit& unit) const;
  /// What becomes of the value of a Put, for those who look at it.
  std::string_view as_kept(const LockedRows& rows, const Command& command, std::string_view value) const;
  /// A counter that its caller changes alone has a statement of its own. False: it has to be planned.
  bool is_lone_add() const;
  Result<bool> run_add(Connection& connection, os::Deadline deadline, std::int64_t lock_timeout_ms);
  void deliver_failures();

  Database& database_;
  const std::span<const Job> jobs_;
  std::vector<std::unique_ptr<Failure>> failures_;
  // On jsonb: values that other commands of the batch look at or replace, and whose they are.
  std::vector<std::string> given_;
  std::map<const Command*, std::size_t> given_by_;
};

}  // namespace tuskv::postgres
