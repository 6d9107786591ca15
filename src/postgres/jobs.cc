#include "postgres/jobs.h"

#include <algorithm>
#include <cassert>
#include <memory>
#include <utility>

#include "plan.h"

namespace tuskv::postgres {
namespace {

[[maybe_unused]] bool are_neighbours(std::span<const Job> jobs) {
  std::vector<const BatchMember*> members;
  for (const Job& job : jobs) {
    if (members.empty() || members.back() != job.member) members.push_back(job.member);
  }
  std::sort(members.begin(), members.end());
  return std::adjacent_find(members.begin(), members.end()) == members.end();
}

}  // namespace

PinnedJobs::PinnedJobs(std::span<const Job> jobs) : jobs_(jobs), one_(jobs.size() == 1) {
  assert(are_neighbours(jobs));
  if (one_) {
    one_held_ = jobs.front().member->pin();
    return;
  }
  held_.resize(jobs.size());
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const bool same = i > 0 && jobs[i].member == jobs[i - 1].member;
    held_[i] = same ? held_[i - 1] : jobs[i].member->pin();
  }
}

PinnedJobs::~PinnedJobs() {
  if (one_) {
    if (one_held_) jobs_.front().member->unpin();
    return;
  }
  for (std::size_t i = 0; i < jobs_.size(); ++i) {
    const bool same = i > 0 && jobs_[i].member == jobs_[i - 1].member;
    if (held_[i] && !same) jobs_[i].member->unpin();
  }
}

void PinnedJobs::note_sent() const {
  for (std::size_t i = 0; i < jobs_.size(); ++i) {
    if (holds(i)) jobs_[i].member->note_sent();
  }
}

bool fail_jobs(std::span<const Job> jobs, const Status& status) {
  bool any = false;
  const PinnedJobs pinned(jobs);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (!pinned.holds(i)) continue;
    for (Command& command : jobs[i].unit->commands) clear_applied(command);
    jobs[i].unit->failure = std::make_unique<Failure>(status.failure());
    any = true;
  }
  return any;
}

}  // namespace tuskv::postgres
