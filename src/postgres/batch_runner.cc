#include "postgres/batch_runner.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "postgres/listing.h"
#include "postgres/planned_batch.h"
#include "postgres/read_batch.h"
#include "postgres/set_batch.h"
#include "postgres/sqlstate.h"

namespace tuskv::postgres {
namespace {

/// Whether the units of a failed batch may work one by one.
bool may_work_alone(const Failure& failure) {
  if (failure.outcome != Outcome::not_applied || failure.sqlstate.empty()) return false;
  const ErrorClass::Remedy remedy = classify(failure.sqlstate).remedy;
  return remedy == ErrorClass::Remedy::alone || remedy == ErrorClass::Remedy::retry;
}

bool is_lock_timeout(const Failure& failure) { return failure.sqlstate == "55P03"; }

Status row_is_held() {
  return Status(std::make_unique<Failure>(Failure{
      .code = Code::Timeout, .message = "the deadline passed while others held the key's row", .sqlstate = "55P03"}));
}

}  // namespace

bool is_blocked(const Unit& unit) { return unit.failure != nullptr && is_lock_timeout(*unit.failure); }

void BatchRunner::run(Lane lane, std::span<BatchMember* const> members, os::Deadline deadline) {
  std::vector<Job> jobs;
  std::vector<Job> listings;
  for (BatchMember* const member : members) {
    if (!member->pin()) continue;
    for (Unit& unit : member->units()) {
      (is_listing(unit) ? listings : jobs).push_back({.member = member, .unit = &unit});
    }
    member->unpin();
  }
  if (!jobs.empty()) {
    Work work{.lane = lane, .deadline = deadline};
    run_jobs(work, jobs);
  }
  // Only asynchronous callers send these here; their member is theirs alone, so it stays pinned.
  for (const Job& job : listings) {
    const PinnedJobs pinned(std::span(&job, 1));
    if (pinned.holds(0)) run_listing(database_, *job.unit, deadline);
  }
}

void BatchRunner::run_jobs(Work& work, std::span<const Job> jobs) {
  std::vector<Job> failed;
  const auto is_held = [&work](const Job& job) {
    return std::find(work.blocked.begin(), work.blocked.end(), job.member) != work.blocked.end();
  };
  if (!work.blocked.empty() && std::any_of(jobs.begin(), jobs.end(), is_held)) {
    std::vector<Job> free(jobs.begin(), jobs.end());
    const auto held = std::stable_partition(free.begin(), free.end(), [&](const Job& job) { return !is_held(job); });
    fail_jobs(std::span(held, free.end()), row_is_held());
    free.erase(held, free.end());
    if (!free.empty()) run_jobs(work, free);
    return;
  }
  const Status status = attempt(work, jobs, failed);
  if (status.ok()) return;
  if (failed.empty()) failed.assign(jobs.begin(), jobs.end());
  if (failed.size() == 1 && is_lock_timeout(status.failure())) {
    work.blocked.push_back(failed.front().member);
    fail_jobs(failed, row_is_held());
  } else if (failed.size() == 1 || !may_work_alone(status.failure())) {
    fail_jobs(failed, status);
  } else {
    const std::span<const Job> all = failed;
    run_jobs(work, all.first(all.size() / 2));
    run_jobs(work, all.subspan(all.size() / 2));
  }
}

void BatchRunner::run_blocked(Lane lane, Unit& unit, os::Deadline deadline) {
  BatchMember member(std::span(&unit, 1), deadline);
  const Job job{.member = &member, .unit = &unit};
  std::int64_t turn_ms = kLockTimeoutMs;
  while (is_blocked(unit)) {
    const std::int64_t left_ms = os::time_left(deadline).count() / 1000;
    // The last turn ends a moment early: its answer is worth more than the moment.
    if (left_ms <= kLockTimeoutMs) return;
    turn_ms = std::min(turn_ms * 2, kLockTurnMsMax);
    unit.failure.reset();
    Work work{.lane = lane, .deadline = deadline, .lock_timeout_ms = std::min(turn_ms, left_ms - kLockTimeoutMs)};
    run_jobs(work, std::span(&job, 1));
  }
}

Status BatchRunner::attempt(const Work& work, std::span<const Job> jobs, std::vector<Job>& failed) {
  switch (work.lane) {
    case Lane::read: return run_reads(jobs, work.deadline);
    case Lane::set: {
      SetBatch batch(database_, jobs);
      Status status = database_.run(Database::Effect::writes, work.deadline, [&](Connection& connection) {
        return batch.run(connection, work.deadline, work.lock_timeout_ms);
      });
      if (!status.ok()) failed = batch.failed();
      return status;
    }
    case Lane::generic: break;
  }
  PlannedBatch batch(database_, jobs);
  return database_.run(Database::Effect::writes, work.deadline, [&](Connection& connection) {
    return batch.run(connection, work.deadline, work.lock_timeout_ms);
  });
}

Status BatchRunner::run_reads(std::span<const Job> jobs, os::Deadline deadline) {
  ReadBatch batch(database_, jobs);
  Status status = database_.run(Database::Effect::reads, deadline,
                                [&](Connection& connection) { return batch.run(connection, deadline); });
  if (batch.swept() != 0) swept_.fetch_add(batch.swept(), std::memory_order_relaxed);
  if (!status.ok()) return status;
  for (const Job& job : batch.large()) {
    const Status alone = run_reads(std::span(&job, 1), deadline);
    if (!alone.ok()) fail_jobs(std::span(&job, 1), alone);
  }
  return {};
}

}  // namespace tuskv::postgres
