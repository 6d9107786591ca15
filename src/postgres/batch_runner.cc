#include "postgres/batch_runner.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "plan.h"
#include "postgres/listing.h"
#include "postgres/planned_batch.h"
#include "postgres/read_batch.h"
#include "postgres/refused_value.h"
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

/// What the server has said of one of several calls is untrue of the others.
Status late_search() {
  return {Code::Timeout, "the deadline passed before it was known which of the calls sent together was refused"};
}

}  // namespace

bool is_blocked(const Unit& unit) { return unit.failure != nullptr && is_lock_timeout(*unit.failure); }

std::string_view only_key(const Unit& unit) {
  return unit.commands.size() == 1 ? command_key(unit.commands.front()) : std::string_view();
}

void BatchRunner::run(Lane lane, std::span<BatchMember* const> members, os::Deadline deadline) {
  std::size_t units = 0;
  for (const BatchMember* const member : members) units += member->units().size();
  std::vector<Job> jobs;
  jobs.reserve(units);  // no memory is wanted while one is pinned
  for (BatchMember* const member : members) {
    if (!member->pin()) continue;
    for (Unit& unit : member->units()) jobs.push_back({.member = member, .unit = &unit});
    member->unpin();
  }
  if (jobs.empty()) return;
  if (lane == Lane::held) return run_held(jobs, deadline);
  if (lane == Lane::listing || lane == Lane::erasing) return run_listings(jobs, deadline);
  Work work{.lane = lane, .deadline = deadline};
  run_jobs(work, jobs);
}

/// One turn at waiting for the row that all of them want. It ends before the first of them has to go: until the row is
/// had, nothing has been done for anybody. Who has no time for a turn must not cut short that of the others.
void BatchRunner::run_held(std::span<const Job> jobs, os::Deadline deadline) {
  const os::Deadline soonest = os::deadline_in(kLockTimeoutMs + 1);
  std::vector<Job> patient;
  std::vector<Job> hurried;
  os::Deadline first_deadline = deadline;
  for (const Job& job : jobs) {
    const bool is_patient = job.member->deadline() > soonest;
    if (is_patient) first_deadline = std::min(first_deadline, job.member->deadline());
    (is_patient ? patient : hurried).push_back(job);
  }
  if (!hurried.empty()) fail(hurried, row_is_held());
  if (patient.empty()) return;
  const Status status =
      database_.run_turn(first_deadline, deadline, [&](Connection& connection, std::int64_t lock_timeout_ms) {
        return PlannedBatch(database_, patient).run(connection, deadline, lock_timeout_ms);
      });
  if (is_lock_timeout(status)) return fail(patient, row_is_held());
  // The row is free: whatever else is wrong is found as in any batch.
  Work work{.lane = Lane::generic, .deadline = deadline};
  if (!status.ok()) after_failure(work, patient, status);
}

/// A reset is met once: when everybody has gone whom it could be told, the next call is told.
void BatchRunner::fail(std::span<const Job> jobs, const Status& status) {
  if (!fail_jobs(jobs, status) && status.failure().code == Code::StoreReset) database_.tell_next_of_reset();
}

/// The one who is to blame is told for which of its values. It stays pinned meanwhile, which is until its own deadline
/// at the latest.
void BatchRunner::fail_alone(const Job& job, const Status& status) {
  const std::span<const Job> alone(&job, 1);
  Status explained = status.clone();
  {
    const PinnedJobs pinned(alone);
    std::vector<GivenValue> values;
    if (pinned.holds(0)) {
      for (const Command& command : job.unit->commands) {
        if (const auto* put = std::get_if<Put>(&command)) values.push_back({.key = put->key, .value = put->value});
      }
    }
    explained = explain_refused_value(database_, values, std::move(explained), job.member->deadline());
  }
  fail(alone, explained);
}

/// An asynchronous caller's member is its own alone, so it can stay pinned.
void BatchRunner::run_listings(std::span<const Job> jobs, os::Deadline deadline) {
  for (const Job& job : jobs) {
    const PinnedJobs pinned(std::span(&job, 1));
    if (pinned.holds(0)) run_listing(database_, *job.unit, deadline);
  }
}

std::vector<Job> BatchRunner::set_aside_held(const Work& work, std::span<const Job> jobs) {
  std::vector<Job> free;
  std::vector<Job> held;
  {
    const PinnedJobs pinned(jobs);
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      const auto among = [](const auto& all, const auto& one) {
        return std::find(all.begin(), all.end(), one) != all.end();
      };
      const bool is_held =
          among(work.blocked, jobs[i].member) || (pinned.holds(i) && among(work.held_keys, only_key(*jobs[i].unit)));
      (is_held ? held : free).push_back(jobs[i]);
    }
  }
  if (!held.empty()) fail(held, row_is_held());
  return free;
}

void BatchRunner::run_jobs(Work& work, std::span<const Job> jobs) {
  std::vector<Job> free;
  if (!work.blocked.empty()) {
    free = set_aside_held(work, jobs);
    if (free.empty()) return;
    jobs = free;
  }
  std::vector<Job> failed;
  const Status status = attempt(work, jobs, failed);
  if (status.ok()) return;
  if (failed.empty()) failed.assign(jobs.begin(), jobs.end());
  after_failure(work, failed, status);
}

/// Finds out which of the jobs are to blame.
void BatchRunner::after_failure(Work& work, std::span<const Job> failed, const Status& status) {
  const bool met_held_row = is_lock_timeout(status);
  if (met_held_row && failed.size() == 1) {
    const Job& job = failed.front();
    work.blocked.push_back(job.member);
    const PinnedJobs pinned(failed);
    if (pinned.holds(0) && !only_key(*job.unit).empty()) work.held_keys.emplace_back(only_key(*job.unit));
  }
  const bool is_late = os::time_left(work.deadline).count() == 0;
  const bool is_one_to_blame = failed.size() > 1 && may_work_alone(status.failure());
  if (!is_one_to_blame && met_held_row) return fail(failed, row_is_held());
  if (failed.size() == 1) return fail_alone(failed.front(), status);
  if (!is_one_to_blame) return fail(failed, status);
  if (is_late) return fail(failed, met_held_row ? row_is_held() : late_search());
  if (met_held_row) work.lock_timeout_ms = kHalfLockTimeoutMs;
  run_jobs(work, failed.first(failed.size() / 2));
  run_jobs(work, failed.subspan(failed.size() / 2));
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
    default: break;
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
    if (!alone.ok()) fail(std::span(&job, 1), alone);
  }
  return {};
}

}  // namespace tuskv::postgres
