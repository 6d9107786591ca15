// The batcher with submissions: who leads for them, who tells them, and that each ends exactly once.
#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "postgres/batch_callers.h"
#include "postgres/batcher.h"
#include "postgres/held_executor.h"

namespace tuskv::postgres {
namespace {

using test::Call;
using test::Caller;
using test::HeldExecutor;
using test::kShortMs;
using test::Submitter;
using Keys = std::vector<std::string>;

class BatcherAsyncTest : public testing::Test {
 protected:
  ~BatcherAsyncTest() override { executor_.release_all(); }

  HeldExecutor executor_;
  Batcher batcher_{executor_, {.direct_callers = 1, .batches = 1}};
  std::deque<Submitter> submitters_;  // declared last: each waits for its end

  /// A submission that is sent at once and stands there.
  Submitter& send_alone(const std::string& key) {
    const std::size_t before = executor_.runs().size();
    Submitter& submitter = submitters_.emplace_back(batcher_, Call{.key = key});
    executor_.wait_for_runs(before + 1);
    return submitter;
  }
  Submitter& submit(const Call& call) { return submitters_.emplace_back(batcher_, call); }
};

TEST_F(BatcherAsyncTest, EachEndsOnceWithItsOwnReplyOnAThreadOfTheBatcher) {
  for (std::size_t i = 0; i < 500; ++i) submit({.key = std::to_string(i)});
  for (std::size_t i = 0; i < 500; ++i) {
    EXPECT_EQ(submitters_[i].ending().value, test::value_of(std::to_string(i)));
    EXPECT_EQ(submitters_[i].ends(), 1U);
    EXPECT_NE(submitters_[i].thread(), std::this_thread::get_id());
  }
}

TEST_F(BatcherAsyncTest, SubmissionsAndCallersShareBatches) {
  executor_.hold();
  send_alone("first");
  Submitter& submission = submit({.key = "submission"});
  Caller caller(batcher_, {.key = "caller"});
  while (batcher_.waiting(Lane::read) != 2) std::this_thread::yield();
  executor_.release_all();
  const HeldExecutor::Run run = executor_.wait_for_runs(2)[1];
  EXPECT_EQ(run.keys, (Keys{"submission", "caller"}));
  EXPECT_EQ(run.thread, caller.thread()) << "the last of those with the same timeout leads";
  EXPECT_TRUE(submission.ending().ok());
  EXPECT_NE(submission.thread(), run.thread) << "a caller may hold locks that a completion wants";
}

TEST_F(BatcherAsyncTest, AThreadOfTheBatcherLeadsWhenASubmissionHasTheLatestDeadline) {
  executor_.hold();
  send_alone("first");
  Caller caller(batcher_, {.key = "caller"});
  while (batcher_.waiting(Lane::read) != 1) std::this_thread::yield();
  submit({.key = "submission", .timeout_ms = 2 * test::kPatientMs});
  executor_.release_all();
  const HeldExecutor::Run run = executor_.wait_for_runs(2)[1];
  EXPECT_EQ(run.members, 2U);
  EXPECT_NE(run.thread, caller.thread());
  EXPECT_TRUE(caller.ending().ok());
}

TEST_F(BatcherAsyncTest, R86_InTheHeldLaneWhoHasWaitedLongWaitsLongerForTheNextTurn) {
  using std::chrono::milliseconds;
  const auto submit_held = [this](const char* key, milliseconds held_for) {
    submit({.key = key, .write = true, .lane = Lane::held, .held_since = os::deadline_in(0) - held_for});
  };
  executor_.hold();
  submit_held("first", milliseconds(0));
  executor_.wait_for_runs(1);
  submit_held("for long", std::chrono::minutes(1));
  submit_held("for a moment", milliseconds(0));
  executor_.release(0);
  EXPECT_EQ(executor_.wait_for_runs(2)[1].keys, Keys{"for a moment"});
  // But nobody is passed over for ever.
  submit_held("for a while", milliseconds(1));
  std::this_thread::sleep_for(milliseconds(200));
  submit_held("just now", milliseconds(0));
  executor_.release(1);
  EXPECT_EQ(executor_.wait_for_runs(3)[2].keys, Keys{"for a while"});
}

TEST_F(BatcherAsyncTest, ALateSubmissionEndsInTheQueueWithNothingApplied) {
  executor_.hold();
  send_alone("first");
  Submitter& late = submit({.key = "late", .write = true, .timeout_ms = kShortMs});
  Submitter& stays = submit({.key = "stays"});
  EXPECT_EQ(late.ending().code, Code::Timeout);
  EXPECT_EQ(late.ending().outcome, Outcome::not_applied);
  executor_.release(0);
  EXPECT_EQ(executor_.wait_for_runs(2)[1].keys, Keys{"stays"});
  EXPECT_EQ(stays.ends(), 0U);
}

/// Its memory is freed when it is told: the address sanitizer sees the reply written to it.
TEST_F(BatcherAsyncTest, ALateSubmissionUnderWayIsNeverWrittenTo) {
  executor_.hold();
  send_alone("first");
  Submitter& write = submit({.key = "write", .write = true, .timeout_ms = kShortMs * 4});
  Submitter& read = submit({.key = "read", .timeout_ms = kShortMs * 4});
  Submitter& stays = submit({.key = "stays"});
  executor_.release(0);
  EXPECT_EQ(executor_.wait_for_runs(2)[1].members, 3U);
  EXPECT_EQ(write.ending().code, Code::Timeout);
  EXPECT_EQ(write.ending().outcome, Outcome::unknown);
  EXPECT_EQ(read.ending().outcome, Outcome::not_applied);
  EXPECT_EQ(stays.ends(), 0U);
  executor_.release_all();
  EXPECT_TRUE(stays.ending().ok());
  EXPECT_EQ(write.ends(), 1U);
}

TEST_F(BatcherAsyncTest, R52_ALateSubmissionOfWhichNothingIsSentHasDoneNothing) {
  executor_.hold_unsent();
  send_alone("first");
  Submitter& write = submit({.key = "write", .write = true, .timeout_ms = kShortMs * 4});
  Submitter& stays = submit({.key = "stays"});
  executor_.release(0);
  EXPECT_EQ(executor_.wait_for_runs(2)[1].members, 2U);
  EXPECT_EQ(write.ending().code, Code::Timeout);
  EXPECT_EQ(write.ending().outcome, Outcome::not_applied);
  executor_.release_all();
  EXPECT_TRUE(stays.ending().ok());
}

/// The alarm is moved forward by an earlier deadline, and again by each that follows.
TEST_F(BatcherAsyncTest, DeadlinesAreKeptInAnyOrder) {
  executor_.hold();
  send_alone("first");
  Submitter& longer = submit({.key = "longer", .timeout_ms = kShortMs * 2});
  Submitter& shorter = submit({.key = "shorter", .timeout_ms = kShortMs});
  EXPECT_EQ(shorter.ending().code, Code::Timeout);
  EXPECT_EQ(longer.ending().code, Code::Timeout);
  Submitter& third = submit({.key = "third", .timeout_ms = kShortMs});
  EXPECT_EQ(third.ending().code, Code::Timeout);
}

TEST_F(BatcherAsyncTest, ClosingEndsWhatWaits) {
  executor_.hold();
  Submitter& running = send_alone("running");
  Submitter& waiting = submit({.key = "waiting", .write = true});
  std::thread closer([&] { batcher_.close(); });
  EXPECT_EQ(waiting.ending().code, Code::Closed);
  EXPECT_EQ(waiting.ending().outcome, Outcome::not_applied);
  executor_.release_all();
  closer.join();
  EXPECT_TRUE(running.ending().ok());
  Submitter& later = submit({.key = "later"});
  EXPECT_EQ(later.ends(), 1U) << "told inside of submit()";
  EXPECT_EQ(later.ending().code, Code::Closed);
  EXPECT_EQ(later.thread(), std::this_thread::get_id());
}

/// What a completion does, and word that it has.
struct Continuation final : Submission {
  explicit Continuation(std::function<void()> what) : work(std::move(what)) {
    unit.commands = {&command, 1};
    done = [](Submission& submission) noexcept {
      auto& self = static_cast<Continuation&>(submission);
      self.work();
      self.ended.advance();
    };
  }
  void wait() const {
    while (ended.value() == 0) ended.wait(0);
  }

  Command command = Read{.key = "key", .want = Want::meta};
  std::function<void()> work;
  os::WaitWord ended;
};

TEST_F(BatcherAsyncTest, ACompletionMayClose) {
  Continuation closes([this] { batcher_.close(); });
  batcher_.submit(Lane::read, closes);
  closes.wait();
  EXPECT_EQ(submit({.key = "later"}).ending().code, Code::Closed);
}

TEST_F(BatcherAsyncTest, ACompletionMaySubmit) {
  Continuation second([] {});
  Continuation first([&] { batcher_.submit(Lane::read, second); });
  batcher_.submit(Lane::read, first);
  second.wait();
  EXPECT_EQ(executor_.runs().size(), 2U);
  first.wait();
}

TEST(BatcherAsync, DestructionEndsEverySubmissionFirst) {
  for (int round = 0; round < 50; ++round) {
    HeldExecutor executor;
    std::deque<Submitter> submitters;
    {
      Batcher batcher(executor, {.direct_callers = 1, .batches = 2, .fill = 0});
      for (int i = 0; i < 20; ++i) submitters.emplace_back(batcher, Call{.key = std::to_string(i)});
    }
    for (const Submitter& submitter : submitters) EXPECT_EQ(submitter.ends(), 1U);
  }
}

}  // namespace
}  // namespace tuskv::postgres
