// What a transaction looks at again. What it knows is made wrong in these tests, so that looking again is a conflict.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "embedded/embedded_engine.h"
#include "support/manual_clock.h"
#include "support/random.h"
#include "support/simulated_file_system.h"

namespace tuskv::embedded {
namespace {

/// Entries k100 to k999, of which those from k500 on live for a minute.
class EngineTransactionTest : public testing::Test {
 protected:
  EngineTransactionTest() {
    engine_ = EmbeddedEngine::open({.options = {.ttl_mode = TtlMode::manual}}, disk_, clock_).value();
    for (int i = 100; i < 1000; ++i) set("k" + std::to_string(i), i < 500 ? 0 : 60'000);
  }
  void run(Command command) {
    Unit unit{.commands = std::span(&command, 1)};
    engine_->execute(std::span(&unit, 1));
    ASSERT_EQ(unit.failure, nullptr);
  }
  void set(const std::string& key, std::int64_t ttl_ms = 0) {
    const Expiry after{.kind = Expiry::Kind::after, .value = ttl_ms};
    run(Put{.key = key, .value = "v", .expiry = ttl_ms == 0 ? Expiry() : after});
  }
  void erase(const std::string& key) { run(Erase{.key = key}); }
  void sweep() { ASSERT_TRUE(engine_->remove_expired(0, 1000).ok()); }
  /// False when it is a conflict.
  bool read(OptimisticTransaction& transaction, Command command) {
    Unit unit{.commands = std::span(&command, 1)};
    const Status status = engine_->read(transaction, unit);
    EXPECT_TRUE(status.ok() || status.failure().code == Code::Conflict) << status.failure().message;
    return status.ok();
  }
  /// A transaction that has read k100 to k399; `lies` about them.
  OptimisticTransaction begun(bool lies) {
    OptimisticTransaction transaction;
    EXPECT_TRUE(read(transaction, Scan{.range = {.from = "k", .to = "l"}, .limit = 300}));
    if (lies) transaction.ranges.front().fingerprint ^= 1;
    return transaction;
  }

  const std::vector<Command> further_ = {
      Scan{.range = {.from = "k", .to = "l"}, .after = "k399", .limit = 200},
      Scan{.range = {.from = "k", .to = "l"}, .limit = 500, .reverse = true},
      Scan{
          .range = {.from = "k4", .to = "l"}, .filter = {.kind = Filter::Kind::contains, .pattern = "v"}, .limit = 500},
      Count{.range = {.from = "k4", .to = "k6"}},
      Read{.key = "k555", .want = Want::meta},
  };
  test::SimulatedFileSystem disk_{{.seed = 1}};
  test::ManualClock clock_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineTransactionTest, S21_WhatHappensElsewhereMakesItLookAtNothingAgain) {
  const std::vector<std::function<void()>> elsewhere = {
      [] {},
      [&] { set("elsewhere"); },
      [&] { erase("elsewhere"); },
      [&] {
        set("elsewhere", 10);
        clock_.advance_ms(20);
      },
      [&] {
        set("elsewhere", 10);
        clock_.advance_ms(20);
        sweep();
      },
  };
  for (std::size_t i = 0; i < elsewhere.size(); ++i) {
    for (const Command& command : further_) {
      SCOPED_TRACE(std::to_string(i) + " " + std::to_string(command.index()));
      OptimisticTransaction transaction = begun(true);
      elsewhere[i]();
      EXPECT_TRUE(read(transaction, command));
      Read absent{.key = "elsewhere-too", .want = Want::meta};
      EXPECT_TRUE(read(transaction, absent));
    }
  }
}

TEST_F(EngineTransactionTest, S21_WhatItMeetsThatIsLaterMakesItLookAgain) {
  const std::vector<std::function<void()>> there = {
      [&] { set("k555"); },
      [&] { erase("k555"); },
      [&] { clock_.advance_ms(60'000); },
      [&] {
        clock_.advance_ms(60'000);
        sweep();
      },
  };
  for (std::size_t i = 0; i < there.size(); ++i) {
    for (const Command& command : further_) {
      SCOPED_TRACE(std::to_string(i) + " " + std::to_string(command.index()));
      for (const bool lies : {false, true}) {
        for (int k = 500; k < 1000; ++k) set("k" + std::to_string(k), 60'000);
        OptimisticTransaction transaction = begun(lies);
        there[i]();
        EXPECT_EQ(read(transaction, command), !lies);
      }
    }
  }
}

/// More removals than are known one by one: what has been read is looked at again, and found as it was.
TEST_F(EngineTransactionTest, S21_ManyRemovalsElsewhereAreNoConflict) {
  for (const bool lies : {false, true}) {
    OptimisticTransaction transaction = begun(lies);
    for (int i = 0; i < 20'000; ++i) {
      set("elsewhere");
      erase("elsewhere");
      set("else" + std::to_string(i));
    }
    run(EraseRange{.range = {.from = "else", .to = "elsf"}});
    EXPECT_EQ(read(transaction, further_[0]), !lies);
    if (!lies) {
      transaction.ranges.front().fingerprint ^= 1;  // it has moved on, so this is not looked at any more
      EXPECT_TRUE(read(transaction, Count{.range = {.from = "k4", .to = "k6"}}));
    }
  }
}

TEST_F(EngineTransactionTest, S21_ACommitLooksAgainOnlyWhenAShardHasChanged) {
  for (const bool changed : {false, true}) {
    OptimisticTransaction transaction = begun(true);
    if (changed) set("elsewhere");
    transaction.writes.push_back({.key = "n", .value = "1"});
    EXPECT_EQ(engine_->commit(transaction, 1000).ok(), !changed);
  }
  // Time changes no shard.
  OptimisticTransaction transaction;
  EXPECT_TRUE(read(transaction, Read{.key = "k555", .want = Want::meta}));
  clock_.advance_ms(60'000);
  transaction.writes.push_back({.key = "n", .value = "1"});
  EXPECT_FALSE(engine_->commit(transaction, 1000).ok());
}

/// A shard that is emptied at once remembers none of its keys.
TEST_F(EngineTransactionTest, S22_WhatWasThereBeforeTheStoreWasEmptiedIsNotAbsent) {
  OptimisticTransaction transaction;
  EXPECT_TRUE(read(transaction, Read{.key = "k100", .want = Want::meta}));
  run(EraseRange{});
  EXPECT_FALSE(read(transaction, Read{.key = "k555", .want = Want::meta}));
}

/// Runs `write` again and again, with pauses, while `read` runs so many times.
void run_beside(const std::function<void()>& write, int times, const std::function<void()>& read) {
  std::atomic<bool> stops = false;
  std::thread writer([&] {
    test::Random random(1);
    while (!stops) {
      write();
      const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(random.below(50));
      while (std::chrono::steady_clock::now() < until) {
      }
    }
  });
  for (int i = 0; i < times; ++i) read();
  stops = true;
  writer.join();
}

/// A change that has its sequence and cannot be seen yet must not count as seen.
TEST_F(EngineTransactionTest, S22_ABatchUnderWayIsSeenWhollyOrNotAtAll) {
  const auto write = [&] {
    std::vector<Command> both{Put{.key = "a", .value = "v"}, Put{.key = "b", .value = "v"}};
    Unit unit{.commands = both};
    engine_->execute(std::span(&unit, 1));
  };
  write();
  int read_on = 0;
  run_beside(write, 100'000, [&] {
    OptimisticTransaction transaction;
    if (!read(transaction, Read{.key = "a", .want = Want::meta})) return;
    if (!read(transaction, Read{.key = "b", .want = Want::meta})) return;
    ++read_on;
    ASSERT_EQ(transaction.reads[0].version, transaction.reads[1].version);
  });
  EXPECT_GT(read_on, 0);
}

/// Calls back when it is asked, once.
class AskedClock final : public os::Clock {
 public:
  std::int64_t now_us() const override {
    if (const auto asked = std::exchange(asked_, nullptr)) asked();
    return clock_.now_us();
  }
  void set_asked(std::function<void()> asked) { asked_ = std::move(asked); }

 private:
  test::ManualClock clock_;
  mutable std::function<void()> asked_;
};

/// The time is looked at when all is looked at again: beside few reads under the locks of all that was read, beside
/// many of them, or a listing, under none.
TEST(EngineTransaction, S59_LookingAgainAtMuchHoldsUpNoWriter) {
  const test::SimulatedFileSystemOptions none;
  test::SimulatedFileSystem disk(none);
  AskedClock clock;
  const auto engine = EmbeddedEngine::open({.options = {.ttl_mode = TtlMode::manual}}, disk, clock).value();
  const auto set = [&](std::string_view key) {
    Command command = Put{.key = key, .value = "v"};
    Unit unit{.commands = std::span(&command, 1)};
    engine->execute(std::span(&unit, 1));
  };
  const auto read = [&](OptimisticTransaction& transaction, Command command) {
    Unit unit{.commands = std::span(&command, 1)};
    return engine->read(transaction, unit).ok();
  };
  set("k1");
  for (const bool lists : {false, true}) {
    OptimisticTransaction transaction;
    const Command count = Count{.range = {.from = "k1", .to = "k2"}};
    for (int i = 0; i < (lists ? 1 : 1'000); ++i) {
      ASSERT_TRUE(read(transaction, lists ? count : Read{.key = "k1", .want = Want::meta}));
    }
    set("other");
    std::thread writer;
    bool has_written = false;
    clock.set_asked([&] {
      std::promise<void> written;
      std::future<void> is_written = written.get_future();
      writer = std::thread([&, promise = std::move(written)]() mutable {
        set("k1");  // waits for who reads in its shard
        promise.set_value();
      });
      has_written = is_written.wait_for(std::chrono::seconds(10)) == std::future_status::ready;
    });
    EXPECT_FALSE(read(transaction, Read{.key = "other", .want = Want::meta})) << "k1 has changed";
    writer.join();
    EXPECT_TRUE(has_written);
  }
}

/// As a listing of millions would: the time of the call has passed when much has been looked at.
TEST_F(EngineTransactionTest, S131_LookingAgainEndsAtTheDeadline) {
  OptimisticTransaction transaction = begun(false);
  set("k995");  // later than what has been read
  Command later = Read{.key = "k995", .want = Want::meta};
  Unit unit{.commands = std::span(&later, 1), .timeout_ms = 0};
  const Status read_again = engine_->read(transaction, unit);
  ASSERT_FALSE(read_again.ok());
  EXPECT_EQ(read_again.failure().code, Code::Timeout);
  EXPECT_TRUE(read(transaction, later)) << "with time it can go on";
  set("elsewhere");
  transaction.writes.push_back({.key = "new", .value = "v"});
  const Status committed = engine_->commit(transaction, 0);
  ASSERT_FALSE(committed.ok());
  EXPECT_EQ(committed.failure().code, Code::Timeout);
  EXPECT_EQ(committed.failure().outcome, Outcome::not_applied);
  transaction.writes.clear();
  EXPECT_TRUE(engine_->commit(transaction, 1000).ok());
  Command written = Read{.key = "new", .want = Want::meta};
  EXPECT_TRUE(read(transaction, written));
  EXPECT_EQ(transaction.reads.back().version, 0u) << "it is absent";
}

/// The new keys of a large batch come into the indexes one after the other.
TEST_F(EngineTransactionTest, S55_ALargeBatchIsSeenWhollyOrNotAtAll) {
  constexpr std::size_t kKeys = 200;
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < kKeys; ++i) keys.push_back("new" + std::to_string(i));
  bool is_there = false;
  const auto write = [&] {
    is_there = !is_there;
    std::vector<Command> commands;
    for (const std::string& key : keys) {
      if (is_there) commands.emplace_back(Put{.key = key, .value = "v"});
      if (!is_there) commands.emplace_back(Erase{.key = key});
    }
    Unit unit{.commands = commands};
    engine_->execute(std::span(&unit, 1));
  };
  std::size_t seen[2] = {};
  const auto count = [&](std::size_t present) {
    ASSERT_TRUE(present == 0 || present == kKeys) << present;
    ++seen[present == 0 ? 0 : 1];
  };
  run_beside(write, 1'000, [&] {
    std::vector<Command> reads;
    for (const std::string& key : keys) reads.emplace_back(Read{.key = key, .want = Want::nothing});
    Unit unit{.commands = reads};
    engine_->execute(std::span(&unit, 1));
    count(static_cast<std::size_t>(std::count_if(reads.begin(), reads.end(),
                                                 [](const Command& read) { return std::get<Read>(read).seen.found; })));
    for (const bool reverse : {false, true}) {
      Command page = Scan{.range = {.from = "new", .to = "nex"}, .limit = 250, .reverse = reverse};
      Unit scan{.commands = std::span(&page, 1)};
      engine_->execute(std::span(&scan, 1));
      count(std::get<Scan>(page).entries.size());
    }
  });
  EXPECT_GT(seen[0], 0u);
  EXPECT_GT(seen[1], 0u);
}

TEST_F(EngineTransactionTest, S55_LargeBatchesAgreeWithAMap) {
  test::Random random(1);
  std::map<std::string, std::string> model;
  std::vector<std::string> keys;
  for (int i = 0; i < 2'000; ++i) keys.push_back("new" + std::to_string(i));
  for (int round = 0; round < 40; ++round) {
    std::vector<std::string> values;
    std::vector<Command> commands;
    for (std::size_t i = 0; i < keys.size(); ++i)
      values.emplace_back(random.below(100), static_cast<char>('a' + round % 26));
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (!random.chance(50)) continue;
      if (random.chance(40)) {
        commands.emplace_back(Erase{.key = keys[i]});
        model.erase(keys[i]);
      } else {
        const Expiry after{.kind = Expiry::Kind::after, .value = 1 + static_cast<std::int64_t>(random.below(1'000))};
        commands.emplace_back(Put{.key = keys[i], .value = values[i], .expiry = random.chance(30) ? after : Expiry()});
        model[keys[i]] = values[i];
      }
    }
    Unit unit{.commands = commands};
    engine_->execute(std::span(&unit, 1));
    ASSERT_EQ(unit.failure, nullptr);
    Command page = Scan{.range = {.from = "new", .to = "nex"}, .limit = keys.size()};
    Unit scan{.commands = std::span(&page, 1)};
    engine_->execute(std::span(&scan, 1));
    std::map<std::string, std::string> stored;
    for (const Entry& entry : std::get<Scan>(page).entries) stored[entry.key] = entry.value;
    ASSERT_EQ(stored, model) << round;
  }
}

/// What was not there when it was read, and is not when it is looked at again, may have been in between.
TEST_F(EngineTransactionTest, S22_WhatComesAndGoesBetweenTwoLooksIsNoticed) {
  bool is_there = false;
  const auto write = [&] {
    is_there = !is_there;
    std::vector<Command> both{Put{.key = "state", .value = is_there ? "there" : "gone"}};
    if (is_there) both.emplace_back(Put{.key = "k399:guest", .value = "v"});
    if (!is_there) both.emplace_back(Erase{.key = "k399:guest"});
    Unit unit{.commands = both};
    engine_->execute(std::span(&unit, 1));
  };
  write();
  write();
  int read_on = 0;
  run_beside(write, 5'000, [&] {
    OptimisticTransaction transaction;
    Count entries{.range = {.from = "k", .to = "k4"}};  // 300 of them, and the guest
    std::string state;
    if (!read(transaction, entries)) return;
    const std::uint64_t counted = transaction.ranges.front().examined;
    if (!read(transaction, Read{.key = "state", .into = &state})) return;
    ++read_on;
    ASSERT_EQ(counted, state == "there" ? 301u : 300u);
  });
  EXPECT_GT(read_on, 0);
}

}  // namespace
}  // namespace tuskv::embedded
