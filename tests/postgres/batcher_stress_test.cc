// Many callers, random lanes, deadlines and speeds, closed in the middle of it: each call ends once, and its outcome is
// what really happened to it.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "os/mutex.h"
#include "postgres/batch_callers.h"
#include "postgres/batcher.h"
#include "postgres/held_executor.h"
#include "support/random.h"
#include "support/random_seed.h"

namespace tuskv::postgres {
namespace {

using test::Call;
using test::Ending;
using test::HeldExecutor;
using test::Submitter;

/// Answers after random pauses, and remembers whom it has sent and answered.
class JournalExecutor final : public BatchExecutor {
 public:
  struct Entry {
    int sent = 0;
    int answered = 0;
  };

  explicit JournalExecutor(std::uint64_t seed) : seed_(seed) {}

  void run(Lane lane, std::span<BatchMember* const> members, os::Deadline deadline) override TUSKV_EXCLUDES(mutex_) {
    test::Random random(seed_ + runs_.fetch_add(1));
    const int now_running = ++running_[static_cast<std::size_t>(lane)];
    if (now_running > most_running_) most_running_ = now_running;
    os::Deadline latest = os::Deadline::min();
    for (BatchMember* const member : members) {
      latest = std::max(latest, member->deadline());
      if (!member->pin()) continue;
      note(*member, &Entry::sent);
      member->note_sent();
      member->unpin();
    }
    EXPECT_EQ(latest, deadline);
    pause(random);
    for (BatchMember* const member : members) {
      if (random.chance(5)) std::this_thread::yield();
      if (!member->pin()) continue;
      if (random.chance(5)) pause(random);
      for (Unit& unit : member->units()) HeldExecutor::answer(unit);
      note(*member, &Entry::answered);
      member->unpin();
    }
    --running_[static_cast<std::size_t>(lane)];
  }

  Entry entry(const std::string& key) TUSKV_EXCLUDES(mutex_) {
    os::MutexLock lock(mutex_);
    return entries_[key];
  }
  int most_running() const { return most_running_; }
  std::uint64_t runs() const { return runs_; }

 private:
  static void pause(test::Random& random) {
    if (random.chance(20)) std::this_thread::sleep_for(std::chrono::microseconds(random.below(2000)));
  }
  void note(const BatchMember& member, int Entry::*count) TUSKV_EXCLUDES(mutex_) {
    os::MutexLock lock(mutex_);
    for (const Unit& unit : member.units()) {
      const Command& command = unit.commands.front();
      const auto* const read = std::get_if<Read>(&command);
      ++(entries_[std::string(read != nullptr ? read->key : std::get<Put>(command).key)].*count);
    }
  }

  const std::uint64_t seed_;
  std::atomic<std::uint64_t> runs_ = 0;
  std::array<std::atomic<int>, kLanes> running_ = {};
  std::atomic<int> most_running_ = 0;
  os::Mutex mutex_;
  std::unordered_map<std::string, Entry> entries_ TUSKV_GUARDED_BY(mutex_);
};

Call random_call(test::Random& random, const std::string& key) {
  constexpr std::int64_t kTimeoutsMs[] = {0, 1, 2, 5, test::kPatientMs, test::kPatientMs, test::kPatientMs};
  const auto lane = static_cast<Lane>(random.below(kLanes));
  return {.key = (random.chance(10) ? "bad" : "key") + key,
          .write = lane != Lane::read,
          .lane = lane,
          .timeout_ms = kTimeoutsMs[random.below(std::size(kTimeoutsMs))]};
}

/// What the call was told agrees with what was done.
void expect_true(const Call& call, const Ending& ending, const JournalExecutor::Entry& entry) {
  SCOPED_TRACE(call.key + (call.write ? " written" : " read"));
  EXPECT_LE(entry.sent, 1);
  EXPECT_LE(entry.answered, entry.sent);
  if (ending.ok() || ending.code == Code::NotAnInteger) {
    EXPECT_EQ(entry.answered, 1);
    EXPECT_EQ(ending.ok(), !call.key.starts_with("bad"));
    EXPECT_EQ(ending.value, !ending.ok() ? "" : call.write ? "written" : test::value_of(call.key));
  } else if (ending.code == Code::Timeout && ending.outcome == Outcome::unknown) {
    EXPECT_TRUE(call.write);
    EXPECT_LT(call.timeout_ms, test::kPatientMs);
  } else {
    EXPECT_TRUE(ending.code == Code::Timeout || ending.code == Code::Closed);
    EXPECT_EQ(ending.outcome, Outcome::not_applied);
    EXPECT_TRUE(entry.sent == 0 || (!call.write && ending.code == Code::Timeout));
  }
}

struct Thread {
  std::deque<Submitter> submitters = {};
  std::vector<std::pair<Call, const Submitter*>> submitted = {};
  std::vector<std::pair<Call, Ending>> executed = {};
};

void call_at_random(Batcher& batcher, std::uint64_t seed, std::size_t number, int calls, Thread& thread) {
  test::Random random(seed);
  for (int i = 0; i < calls; ++i) {
    const Call call = random_call(random, std::to_string(number) + "." + std::to_string(i));
    if (random.chance(40)) {
      thread.submitted.emplace_back(call, &thread.submitters.emplace_back(batcher, call));
    } else {
      thread.executed.emplace_back(call, test::execute(batcher, call));
    }
  }
}

BatcherOptions random_options(test::Random& random) {
  return {.direct_callers = static_cast<std::uint32_t>(random.below(4)),
          .batches = static_cast<std::uint32_t>(1 + random.below(4)),
          .generic_batches = static_cast<std::uint32_t>(1 + random.below(2)),
          .fill = static_cast<double>(random.below(5)) / 4,
          .batch_keys = 1 + random.below(8)};
}

void run_round(std::uint64_t seed, bool close_early) {
  constexpr std::size_t kThreads = 8;
  constexpr int kCalls = 150;
  test::Random random(seed);
  JournalExecutor executor(seed);
  const BatcherOptions options = random_options(random);
  std::deque<Thread> threads(kThreads);
  {
    Batcher batcher(executor, options);
    std::vector<std::thread> running;
    running.reserve(kThreads);
    for (std::size_t i = 0; i < kThreads; ++i) {
      running.emplace_back([&, i] { call_at_random(batcher, seed + i, i, kCalls, threads[i]); });
    }
    if (close_early) {
      while (executor.runs() < 100) std::this_thread::yield();
      batcher.close();
    }
    for (std::thread& thread : running) thread.join();
  }
  for (Thread& thread : threads) {
    for (const auto& [call, ending] : thread.executed) expect_true(call, ending, executor.entry(call.key));
    for (Submitter& submitter : thread.submitters) EXPECT_EQ(submitter.ends(), 1U);
    for (const auto& [call, submitter] : thread.submitted) {
      expect_true(call, submitter->ending(), executor.entry(call.key));
    }
  }
  EXPECT_LE(executor.most_running(), static_cast<int>(options.direct_callers + options.batches + 1));
}

TEST(BatcherStress, EveryCallEndsOnceAndTruly) {
  const std::uint64_t seed = test::random_seed();
  for (std::uint64_t round = 0; round < 8; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    run_round(seed + round * 1000, round % 2 == 1);
  }
}

}  // namespace
}  // namespace tuskv::postgres
