// The units of a batch, one by one, with the members they belong to. Members are pinned for encoding and decoding only.
#pragma once

#include <span>
#include <vector>

#include "commands.h"
#include "postgres/batcher.h"
#include "status.h"

namespace tuskv::postgres {

struct Job {
  BatchMember* member = nullptr;
  Unit* unit = nullptr;  ///< to be touched while the member is pinned
};

/// Pins the members of jobs for its lifetime. Jobs of one member must be neighbours: a member cannot be pinned twice.
class PinnedJobs final {
 public:
  explicit PinnedJobs(std::span<const Job> jobs);
  ~PinnedJobs();
  PinnedJobs(const PinnedJobs&) = delete;
  PinnedJobs& operator=(const PinnedJobs&) = delete;
  /// False: its caller has given up.
  bool holds(std::size_t job) const { return one_ ? one_held_ : held_[job]; }
  /// What can take effect is about to be sent for all of them: who gives up from now on cannot know.
  void note_sent() const;

 private:
  std::span<const Job> jobs_;
  bool one_;  ///< a single job, the usual case, needs no list
  bool one_held_ = false;
  std::vector<bool> held_;
};

/// Fails every job, as far as its caller still waits; false when none does.
bool fail_jobs(std::span<const Job> jobs, const Status& status);

}  // namespace tuskv::postgres
