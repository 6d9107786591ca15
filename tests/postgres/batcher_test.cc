// The batcher's rule and invariants with blocking callers. Runs are held between sending and replying, and callers are
// known to wait before the test goes on, so that every schedule here is exact.
#include "postgres/batcher.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "postgres/batch_callers.h"
#include "postgres/held_executor.h"

namespace tuskv::postgres {
namespace {

using test::Call;
using test::Caller;
using test::HeldExecutor;
using test::kShortMs;
using Keys = std::vector<std::string>;

void wait_until(const std::function<bool()>& condition) {
  const os::Deadline deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "what the test waits for does not happen";
    std::this_thread::yield();
  }
}

/// One batch at once and a batch for everybody, unless a test says otherwise.
class BatcherTest : public testing::Test {
 protected:
  explicit BatcherTest(const BatcherOptions& options = {.direct_callers = 1, .batches = 1})
      : batcher_(executor_, options) {}
  ~BatcherTest() override { executor_.release_all(); }

  /// A caller that is sent at once and stands there.
  Caller& send_alone(const std::string& key) {
    const std::size_t before = executor_.runs().size();
    Caller& caller = callers_.emplace_back(batcher_, Call{.key = key});
    executor_.wait_for_runs(before + 1);
    return caller;
  }
  /// A caller that is in a batch not sent.
  Caller& queue(Call call) {
    const Lane lane = call.lane;
    const std::size_t before = batcher_.waiting(lane);
    Caller& caller = callers_.emplace_back(batcher_, std::move(call));
    wait_until([&] { return batcher_.waiting(lane) == before + 1; });
    return caller;
  }

  HeldExecutor executor_;
  Batcher batcher_;
  std::deque<Caller> callers_;
};

TEST_F(BatcherTest, ACommandJoinsOnlyABatchNotYetSent) {
  executor_.hold();
  send_alone("first");
  queue({.key = "a"});
  queue({.key = "b"});
  EXPECT_EQ(executor_.runs().size(), 1U);
  executor_.release(0);
  EXPECT_EQ(executor_.wait_for_runs(2)[1].keys, (Keys{"a", "b"}));
  // Sent, not answered: who comes now has to wait, for the reply may be older than a write that has returned.
  queue({.key = "late"});
  EXPECT_EQ(executor_.runs().size(), 2U);
  executor_.release(1);
  EXPECT_EQ(executor_.wait_for_runs(3)[2].keys, Keys{"late"});
}

TEST_F(BatcherTest, EachMemberGetsItsOwnResultAndABadOneFailsAlone) {
  executor_.hold();
  send_alone("first");
  Caller& good = queue({.key = "good"});
  Caller& bad = queue({.key = "bad"});
  Caller& other = queue({.key = "other"});
  executor_.release_all();
  EXPECT_EQ(good.ending().value, test::value_of("good"));
  EXPECT_EQ(bad.ending().code, Code::NotAnInteger);
  EXPECT_EQ(other.ending().value, test::value_of("other"));
  EXPECT_EQ(executor_.runs().size(), 2U);
}

/// Several units of one call are one member: they stay together, in their order, and each ends on its own.
TEST_F(BatcherTest, UnitsOfOneCallKeepTheirOrder) {
  executor_.hold();
  send_alone("first");
  std::vector<Command> commands{Put{.key = "k", .value = "1"}, Put{.key = "bad"}, Read{.key = "k", .want = Want::meta},
                                Put{.key = "k", .value = "2"}};
  std::vector<Unit> units;
  units.reserve(commands.size());
  for (Command& command : commands) units.push_back({.commands = {&command, 1}});
  std::thread caller([&] { batcher_.execute(Lane::generic, units); });
  executor_.wait_for_runs(2);
  executor_.release_all();
  caller.join();
  EXPECT_EQ(executor_.runs()[1].keys, (Keys{"k", "bad", "k", "k"}));
  EXPECT_EQ(executor_.runs()[1].members, 1U);
  EXPECT_EQ(units[0].failure, nullptr);
  EXPECT_NE(units[1].failure, nullptr);
  EXPECT_EQ(units[3].failure, nullptr);
}

TEST_F(BatcherTest, NoUnitsIsNoCall) {
  batcher_.execute(Lane::read, {});
  EXPECT_TRUE(executor_.runs().empty());
}

/// Who waits for a row waits with those who want the same one, and for nobody else.
TEST_F(BatcherTest, R26_InTheHeldLaneABatchIsForOneKey) {
  executor_.hold();
  callers_.emplace_back(batcher_, Call{.key = "a", .write = true, .lane = Lane::held});
  executor_.wait_for_runs(1);
  for (const char* key : {"b", "a", "c", "b"}) queue({.key = key, .write = true, .lane = Lane::held});
  executor_.release_all();
  const std::vector<HeldExecutor::Run> runs = executor_.wait_for_runs(4);
  EXPECT_EQ(runs[0].keys, Keys{"a"});
  EXPECT_EQ(runs[1].keys, (Keys{"b", "b"}));
  EXPECT_EQ(runs[2].keys, Keys{"a"});
  EXPECT_EQ(runs[3].keys, Keys{"c"});
}

TEST_F(BatcherTest, R28_AListingIsABatchOfItsOwn) {
  executor_.hold();
  callers_.emplace_back(batcher_, Call{.key = "first", .lane = Lane::listing});
  executor_.wait_for_runs(1);
  queue({.key = "second", .lane = Lane::listing});
  queue({.key = "third", .lane = Lane::listing});
  executor_.release(0);
  EXPECT_EQ(executor_.wait_for_runs(2)[1].keys, Keys{"second"});
  executor_.release_all();
  EXPECT_EQ(executor_.wait_for_runs(3)[2].keys, Keys{"third"});
}

TEST_F(BatcherTest, LanesDoNotWaitForEachOther) {
  executor_.hold();
  send_alone("reader");
  Caller writer(batcher_, {.key = "writer", .write = true, .lane = Lane::set});
  EXPECT_EQ(executor_.wait_for_runs(2)[1].lane, Lane::set);
  executor_.release_all();
}

TEST_F(BatcherTest, TheLastJoinerLeadsAmongEqualTimeouts) {
  executor_.hold();
  send_alone("first");
  queue({.key = "a"});
  const std::thread::id last = queue({.key = "b"}).thread();
  executor_.release(0);
  EXPECT_EQ(executor_.wait_for_runs(2)[1].thread, last);
}

/// A leader whose own deadline is earlier than a member's would have to hand over a half-read connection.
TEST_F(BatcherTest, TheLatestDeadlineLeads) {
  executor_.hold();
  send_alone("first");
  queue({.key = "a", .timeout_ms = 50'000});
  const std::thread::id latest = queue({.key = "b", .timeout_ms = 70'000}).thread();
  queue({.key = "c", .timeout_ms = 60'000});
  const os::Deadline earliest_end = os::deadline_in(65'000);
  executor_.release(0);
  const HeldExecutor::Run run = executor_.wait_for_runs(2)[1];
  EXPECT_EQ(run.thread, latest);
  EXPECT_GT(run.deadline, earliest_end);
}

TEST_F(BatcherTest, ALateCallerLeavesTheQueueWithNothingApplied) {
  executor_.hold();
  send_alone("first");
  Caller& late = queue({.key = "late", .write = true, .timeout_ms = kShortMs});
  queue({.key = "stays"});
  const test::Ending ending = late.ending();
  EXPECT_EQ(ending.code, Code::Timeout);
  EXPECT_EQ(ending.outcome, Outcome::not_applied);
  EXPECT_EQ(batcher_.waiting(Lane::read), 1U);
  executor_.release(0);
  EXPECT_EQ(executor_.wait_for_runs(2)[1].keys, Keys{"stays"});
}

TEST_F(BatcherTest, AnEmptiedBatchLeavesNothingBehind) {
  executor_.hold();
  send_alone("first");
  EXPECT_EQ(queue({.key = "late", .timeout_ms = kShortMs}).ending().code, Code::Timeout);
  EXPECT_EQ(batcher_.waiting(Lane::read), 0U);
  executor_.release_all();
  Caller next(batcher_, {.key = "next"});
  EXPECT_TRUE(next.ending().ok());
  EXPECT_EQ(executor_.runs().size(), 2U);
}

/// The caller frees its units as soon as it is back: the address sanitizer sees a reply written to them.
TEST_F(BatcherTest, ACallerThatGivesUpASentBatchIsNeverWrittenTo) {
  executor_.hold();
  send_alone("first");
  Caller& reader = queue({.key = "reader", .timeout_ms = kShortMs * 4});
  Caller& writer = queue({.key = "writer", .write = true, .timeout_ms = kShortMs * 4});
  Caller& stays = queue({.key = "stays"});
  executor_.release(0);
  EXPECT_EQ(executor_.wait_for_runs(2)[1].members, 3U);
  EXPECT_EQ(reader.ending().code, Code::Timeout);
  EXPECT_EQ(reader.ending().outcome, Outcome::not_applied) << "a read has no effect";
  EXPECT_EQ(writer.ending().code, Code::Timeout);
  EXPECT_EQ(writer.ending().outcome, Outcome::unknown);
  EXPECT_FALSE(stays.returned());
  executor_.release_all();
  EXPECT_EQ(stays.ending().value, test::value_of("stays"));
}

/// A batch has its turn, and waits for a connection.
TEST_F(BatcherTest, R52_ACallerThatGivesUpBeforeAnythingIsSentHasDoneNothing) {
  executor_.hold_unsent();
  send_alone("first");
  Caller& writer = queue({.key = "writer", .write = true, .timeout_ms = kShortMs * 4});
  Caller& stays = queue({.key = "stays"});
  executor_.release(0);
  EXPECT_EQ(executor_.wait_for_runs(2)[1].members, 2U);
  EXPECT_EQ(writer.ending().code, Code::Timeout);
  EXPECT_EQ(writer.ending().outcome, Outcome::not_applied);
  executor_.release_all();
  EXPECT_TRUE(stays.ending().ok());
}

TEST(BatchMember, APinnedCallerStaysUntilItIsLetGo) {
  os::WaitWord wakes;
  Unit unit;
  BatchMember member({&unit, 1}, os::deadline_in(0), &wakes);
  ASSERT_TRUE(member.pin());
  const std::uint32_t seen = wakes.value();
  EXPECT_FALSE(member.give_up());
  EXPECT_FALSE(member.give_up());
  member.unpin();
  EXPECT_NE(wakes.value(), seen) << "who waits for the pin to end is woken";
  EXPECT_TRUE(member.give_up());
  EXPECT_FALSE(member.pin());
  EXPECT_FALSE(member.give_up());
}

TEST(BatchMember, UnpinningWakesNobodyWhenNobodyWaits) {
  os::WaitWord wakes;
  Unit unit;
  BatchMember member({&unit, 1}, os::deadline_in(0), &wakes);
  ASSERT_TRUE(member.pin());
  member.unpin();
  EXPECT_EQ(wakes.value(), 0U);
  EXPECT_TRUE(member.pin());
}

/// Stands still: a lone member until it may go on, the first of several while it has it pinned.
class PinningExecutor final : public BatchExecutor {
 public:
  void run(Lane, std::span<BatchMember* const> members, os::Deadline) override {
    const bool several = members.size() > 1;
    for (BatchMember* const member : members) {
      if (!member->pin()) continue;
      os::WaitWord& goes_on = several ? may_unpin : may_end;
      if (several) pinned.advance();
      while (goes_on.value() == 0) goes_on.wait(0);
      for (Unit& unit : member->units()) HeldExecutor::answer(unit);
      member->unpin();
    }
  }

  os::WaitWord may_end;
  os::WaitWord pinned;
  os::WaitWord may_unpin;
};

TEST(BatcherPin, ALateCallerStaysWhileItIsPinned) {
  PinningExecutor executor;
  Batcher batcher(executor, {.direct_callers = 1, .batches = 1});
  const auto wait_for = [&](std::size_t waiting) {
    wait_until([&] { return batcher.waiting(Lane::read) == waiting; });
  };
  Caller first(batcher, {.key = "first"});
  wait_until([&] { return batcher.running(Lane::read) == 1; });
  Caller follower(batcher, {.key = "follower", .timeout_ms = kShortMs * 4});
  wait_for(1);
  Caller leader(batcher, {.key = "leader"});
  wait_for(2);
  executor.may_end.advance();
  while (executor.pinned.value() == 0) executor.pinned.wait(0);
  std::this_thread::sleep_for(std::chrono::milliseconds(kShortMs * 5));  // the follower's deadline passes
  EXPECT_FALSE(follower.returned());
  executor.may_unpin.advance();
  static_cast<void>(follower.ending());
  EXPECT_EQ(leader.ending().value, test::value_of("leader"));
}

class BatcherCapTest : public BatcherTest {
 protected:
  BatcherCapTest() : BatcherTest({.direct_callers = 1, .batches = 1, .batch_keys = 3, .batch_bytes = 100}) {}
};

TEST_F(BatcherCapTest, ABatchHoldsSoManyKeys) {
  executor_.hold();
  send_alone("first");
  for (const char* key : {"a", "b", "c", "d"}) queue({.key = key});
  executor_.release_all();
  const std::vector<HeldExecutor::Run> runs = executor_.wait_for_runs(3);
  EXPECT_EQ(runs[1].keys, (Keys{"a", "b", "c"}));
  EXPECT_EQ(runs[2].keys, Keys{"d"});
}

TEST_F(BatcherCapTest, ABatchHoldsSoManyBytesAndWhatIsLargerTravelsAlone) {
  executor_.hold();
  send_alone("first");
  const std::string sixty(60, 'x');
  const std::string large(101, 'y');
  for (const std::string& key : {std::string("a"), sixty, sixty, large, std::string("b")}) queue({.key = key});
  executor_.release_all();
  const std::vector<HeldExecutor::Run> runs = executor_.wait_for_runs(5);
  EXPECT_EQ(runs[1].keys, (Keys{"a", sixty}));
  EXPECT_EQ(runs[2].keys, Keys{sixty});
  EXPECT_EQ(runs[3].keys, Keys{large});
  EXPECT_EQ(runs[4].keys, Keys{"b"});
}

class BatcherFewTest : public BatcherTest {
 protected:
  BatcherFewTest() : BatcherTest({.direct_callers = 3, .batches = 1}) {}
};

TEST_F(BatcherFewTest, FewCallersHaveABatchEach) {
  executor_.hold();
  send_alone("a");
  send_alone("b");
  send_alone("c");
  for (const HeldExecutor::Run& run : executor_.runs()) EXPECT_EQ(run.keys.size(), 1U);
}

class BatcherFillTest : public BatcherTest {
 protected:
  BatcherFillTest() : BatcherTest({.direct_callers = 1, .batches = 2, .generic_batches = 1, .fill = 0.6}) {}
};

/// Of two callers one is not enough beside a batch under way, of three two are; the one that makes it so sends it.
TEST_F(BatcherFillTest, TheJoinerThatFillsABatchLeadsIt) {
  executor_.hold();
  send_alone("first");
  queue({.key = "a"});
  Caller filler(batcher_, {.key = "b"});
  const HeldExecutor::Run run = executor_.wait_for_runs(2)[1];
  EXPECT_EQ(run.keys, (Keys{"a", "b"}));
  EXPECT_EQ(run.thread, filler.thread());
  executor_.release_all();
}

TEST_F(BatcherFillTest, SoManyBatchesAndNoMoreAreUnderWay) {
  executor_.hold();
  send_alone("first");
  queue({.key = "a"});
  Caller filler(batcher_, {.key = "b"});
  executor_.wait_for_runs(2);
  for (const char* key : {"c", "d", "e", "f", "g"}) queue({.key = key});
  EXPECT_EQ(executor_.runs().size(), 2U) << "two are under way";
  executor_.release(0);
  EXPECT_EQ(executor_.wait_for_runs(3)[2].keys.size(), 5U);
  executor_.release_all();
}

TEST_F(BatcherFillTest, AnUnfilledBatchGoesWhenNothingIsUnderWay) {
  executor_.hold();
  send_alone("first");
  queue({.key = "a"});
  EXPECT_EQ(executor_.runs().size(), 1U);
  executor_.release(0);
  EXPECT_EQ(executor_.wait_for_runs(2)[1].keys, Keys{"a"});
}

/// A lane of its own number of batches: two would only block each other on rows.
TEST_F(BatcherFillTest, GenericBatchesGoOneByOne) {
  executor_.hold();
  callers_.emplace_back(batcher_, Call{.key = "first", .lane = Lane::generic});
  executor_.wait_for_runs(1);
  for (const char* key : {"a", "b", "c"}) queue({.key = key, .lane = Lane::generic});
  EXPECT_EQ(executor_.runs().size(), 1U);
}

/// After a crowd, few callers come to have a batch each again.
TEST_F(BatcherFewTest, ThePeakComesDownAgain) {
  executor_.hold();
  for (const char* key : {"a", "b", "c"}) send_alone(key);
  for (int i = 0; i < 13; ++i) queue({.key = "crowd"});
  executor_.release_all();
  callers_.clear();
  executor_.hold();
  send_alone("one");
  queue({.key = "two"});
  executor_.release_all();
  callers_.clear();
  for (int i = 0; i < 2000; ++i) static_cast<void>(test::execute(batcher_, {.key = "lone"}));
  executor_.hold();
  send_alone("one");
  send_alone("two");
  send_alone("three");
}

TEST_F(BatcherTest, ClosingEndsWhatWaitsAndWaitsForWhatRuns) {
  executor_.hold();
  Caller& running = send_alone("running");
  Caller& waiting = queue({.key = "waiting", .write = true});
  Caller& other = queue({.key = "other", .lane = Lane::read});
  std::atomic<bool> closed = false;
  std::thread closer([&] {
    batcher_.close();
    closed = true;
  });
  EXPECT_EQ(waiting.ending().code, Code::Closed);
  EXPECT_EQ(waiting.ending().outcome, Outcome::not_applied);
  EXPECT_EQ(other.ending().code, Code::Closed);
  EXPECT_EQ(test::execute(batcher_, {.key = "later"}).code, Code::Closed);
  EXPECT_FALSE(closed);
  executor_.release_all();
  closer.join();
  EXPECT_TRUE(running.ending().ok());
  EXPECT_EQ(executor_.runs().size(), 1U);
  batcher_.close();
}

TEST_F(BatcherTest, ClosingWaitsForABatchOfMany) {
  executor_.hold();
  send_alone("first");
  Caller& follower = queue({.key = "follower"});
  Caller& leader = queue({.key = "leader"});
  executor_.release(0);
  executor_.wait_for_runs(2);
  std::atomic<bool> closed = false;
  std::thread closer([&] {
    batcher_.close();
    closed = true;
  });
  wait_until([&] { return test::execute(batcher_, {.key = "later"}).code == Code::Closed; });
  EXPECT_FALSE(closed);
  executor_.release_all();
  closer.join();
  EXPECT_TRUE(follower.ending().ok());
  EXPECT_TRUE(leader.ending().ok());
}

/// The lane goes on, and closing returns.
TEST_F(BatcherTest, R140_ARunThatFindsNoMemoryFailsItsOwnCallsAlone) {
  const test::Ending read = test::execute(batcher_, {.key = "huge"});
  EXPECT_EQ(read.code, Code::Internal);
  EXPECT_EQ(read.outcome, Outcome::not_applied);
  const test::Ending write = test::execute(batcher_, {.key = "huge", .write = true});
  EXPECT_EQ(write.code, Code::Internal);
  EXPECT_EQ(write.outcome, Outcome::unknown);
  executor_.hold();
  Caller& first = send_alone("first");
  Caller& huge = queue({.key = "huge"});
  Caller& beside = queue({.key = "beside", .write = true});
  executor_.release_all();
  EXPECT_TRUE(first.ending().ok());
  EXPECT_EQ(huge.ending().code, Code::Internal);
  EXPECT_EQ(beside.ending().outcome, Outcome::unknown);
  EXPECT_EQ(test::Submitter(batcher_, {.key = "huge"}).ending().code, Code::Internal);
  EXPECT_TRUE(test::execute(batcher_, {.key = "later"}).ok());
  EXPECT_EQ(batcher_.running(Lane::read), 0U);
  executor_.hold_unsent();
  executor_.release_all();
  EXPECT_EQ(test::execute(batcher_, {.key = "huge", .write = true}).outcome, Outcome::not_applied);
}

/// Printed, for people: what the batcher costs a caller that is alone.
TEST(BatcherCost, OfACallerThatIsAlone) {
  struct Nothing final : BatchExecutor {
    void run(Lane, std::span<BatchMember* const> members, os::Deadline) override {
      if (members.front()->pin()) members.front()->unpin();
    }
  } nothing;
  constexpr int kCalls = 20'000;
  Read read{.key = "key", .want = Want::meta};
  Command command = read;
  Unit unit{.commands = {&command, 1}};
  const auto cost = [&](Batcher& batcher) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kCalls; ++i) batcher.execute(Lane::read, {&unit, 1});
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
    return took.count() / kCalls;
  };
  Batcher direct(nothing, {});
  const double direct_ns = cost(direct);
  Batcher batched(nothing, {.direct_callers = 0});
  std::printf("a lone caller: %.0f ns at once, %.0f ns through a batch\n", direct_ns, cost(batched));
  EXPECT_EQ(unit.failure, nullptr);
}

}  // namespace
}  // namespace tuskv::postgres
