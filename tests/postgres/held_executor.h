// An executor without a server: it answers from the commands themselves, notes what it was given, and can be made to
// stand still between sending and replying.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "os/mutex.h"
#include "postgres/batcher.h"

namespace tuskv::test {

/// What a get of `key` gives.
inline std::string value_of(std::string_view key) { return "value of " + std::string(key); }

/// Thread-safe.
class HeldExecutor final : public postgres::BatchExecutor {
 public:
  struct Run {
    postgres::Lane lane = postgres::Lane::read;
    std::vector<std::string> keys = {};  ///< of the members that had not given up, in their order
    std::size_t members = 0;
    os::Deadline deadline = {};
    std::thread::id thread = {};
  };

  void run(postgres::Lane lane, std::span<postgres::BatchMember* const> members, os::Deadline deadline) override
      TUSKV_EXCLUDES(mutex_);

  /// From now on every run stands still once it is sent.
  void hold() TUSKV_EXCLUDES(mutex_);
  /// The same, but before: it has not been given a connection.
  void hold_unsent() TUSKV_EXCLUDES(mutex_);
  /// Lets the runs up to this one (counted from 0, as they were sent) reply.
  void release(std::size_t run) TUSKV_EXCLUDES(mutex_);
  void release_all() TUSKV_EXCLUDES(mutex_);
  /// Runs of so many that `count` have been sent by now; fails the test when that does not happen.
  std::vector<Run> wait_for_runs(std::size_t count) TUSKV_EXCLUDES(mutex_);
  std::vector<Run> runs() TUSKV_EXCLUDES(mutex_);

  /// Answers one command; a key that starts with "bad" fails its unit. One that starts with "huge" has the run throw
  /// instead, when it should reply.
  static void answer(Unit& unit);

 private:
  void wait_for_release(std::size_t run) TUSKV_EXCLUDES(mutex_);
  bool holds_unsent() TUSKV_EXCLUDES(mutex_);

  os::Mutex mutex_;
  os::CondVar changed_;
  std::vector<Run> runs_ TUSKV_GUARDED_BY(mutex_);
  std::size_t released_ TUSKV_GUARDED_BY(mutex_) = SIZE_MAX;  ///< runs below this one reply
  bool holds_unsent_ TUSKV_GUARDED_BY(mutex_) = false;
};

}  // namespace tuskv::test
