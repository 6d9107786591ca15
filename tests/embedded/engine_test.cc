// The embedded engine through the engine interface: what the public API cannot say or see.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "embedded/embedded_engine.h"
#include "support/manual_clock.h"
#include "support/simulated_file_system.h"

namespace tuskv::embedded {
namespace {

/// The tests run twice: in memory, and on a simulated disk.
class EngineTest : public testing::TestWithParam<const char*> {
 protected:
  EngineTest() { open({.durability = Durability::durable, .ttl_mode = TtlMode::manual}); }

  void open(const Options& options) {
    Result<std::unique_ptr<Engine>> opened =
        EmbeddedEngine::open({.directory = GetParam(), .options = options}, disk_, clock_);
    ASSERT_TRUE(opened.ok()) << opened.failure().message;
    engine_ = std::move(opened).value();
  }
  void reopen(const Options& options = {.ttl_mode = TtlMode::manual}) {
    ASSERT_TRUE(engine_->close().ok());
    engine_.reset();
    open(options);
  }
  bool on_disk() const { return std::string(GetParam()) != ""; }

  /// Runs the commands as one unit; the failure, or null.
  std::unique_ptr<Failure> run(std::vector<Command>& commands, bool require_all = false) {
    Unit unit{.commands = commands, .require_all = require_all};
    engine_->execute(std::span(&unit, 1));
    return std::move(unit.failure);
  }
  void set(std::string_view key, std::string_view value, Expiry expiry = {}) {
    std::vector<Command> commands{Put{.key = key, .value = value, .expiry = expiry}};
    ASSERT_EQ(run(commands), nullptr);
  }
  /// The value, or "-".
  std::string get(std::string_view key) {
    std::string value;
    std::vector<Command> commands{Read{.key = key, .into = &value}};
    EXPECT_EQ(run(commands), nullptr);
    return std::get<Read>(commands[0]).seen.found ? value : "-";
  }
  Stats stats() {
    Result<Stats> stats = engine_->stats(5000);
    EXPECT_TRUE(stats.ok());
    return std::move(stats).value();
  }

  test::SimulatedFileSystem disk_{{.seed = 1}};
  test::ManualClock clock_;
  std::unique_ptr<Engine> engine_;
};

INSTANTIATE_TEST_SUITE_P(Embedded, EngineTest, testing::Values("", "data"),
                         [](const auto& store) { return std::string(store.param).empty() ? "memory" : "file"; });

TEST_P(EngineTest, LaterCommandsOfAUnitSeeEarlierOnes) {
  set("counter", "1");
  std::string value;
  std::vector<Command> commands{Add{.key = "counter", .magnitude = 4},
                                Add{.key = "counter", .magnitude = 3, .negative = true},
                                Read{.key = "counter", .into = &value},
                                Put{.key = "new", .value = "x", .condition = {.kind = Condition::Kind::absent}},
                                Put{.key = "new", .value = "y", .condition = {.kind = Condition::Kind::absent}},
                                Erase{.key = "counter"}};
  ASSERT_EQ(run(commands), nullptr);
  EXPECT_EQ(std::get<Add>(commands[0]).value, 5);
  EXPECT_EQ(std::get<Add>(commands[1]).value, 2);
  EXPECT_EQ(value, "2");
  EXPECT_TRUE(std::get<Put>(commands[3]).applied);
  EXPECT_FALSE(std::get<Put>(commands[4]).applied);
  EXPECT_EQ(get("counter"), "-");
  EXPECT_EQ(get("new"), "x");
  if (on_disk()) {
    reopen();
    EXPECT_EQ(get("counter"), "-");
    EXPECT_EQ(get("new"), "x");
  }
}

TEST_P(EngineTest, TouchAfterPutInOneUnitIsOneChange) {
  const Expiry minute{.kind = Expiry::Kind::after, .value = 60'000};
  std::vector<Command> commands{Put{.key = "k", .value = "v"}, Touch{.key = "k", .expiry = minute}};
  ASSERT_EQ(run(commands), nullptr);
  if (on_disk()) reopen();
  EXPECT_EQ(get("k"), "v");
  clock_.advance_ms(60'000);
  EXPECT_EQ(get("k"), "-");
}

TEST_P(EngineTest, EraseAndPutInOneUnitStartsTheEntryAgain) {
  set("k", "old");
  clock_.advance_ms(5'000);
  std::vector<Command> commands{Erase{.key = "k"}, Put{.key = "k", .value = "new"},
                                Read{.key = "k", .want = Want::meta}};
  ASSERT_EQ(run(commands), nullptr);
  const Seen& seen = std::get<Read>(commands[2]).seen;
  EXPECT_EQ(seen.created_us, seen.updated_us);
}

TEST_P(EngineTest, AFailingCommandUndoesItsUnit) {
  set("text", "abc");
  std::vector<Command> commands{Put{.key = "a", .value = "1"}, Add{.key = "text", .magnitude = 1},
                                Put{.key = "b", .value = "2"}};
  const auto failure = run(commands);
  ASSERT_NE(failure, nullptr);
  EXPECT_EQ(failure->code, Code::NotAnInteger);
  EXPECT_EQ(failure->outcome, Outcome::not_applied);
  EXPECT_EQ(get("a"), "-");
  EXPECT_FALSE(std::get<Put>(commands[0]).applied);
}

TEST_P(EngineTest, RequireAllIsAllOrNothing) {
  set("taken", "1");
  const Condition absent{.kind = Condition::Kind::absent};
  std::vector<Command> commands{Put{.key = "free", .value = "1", .condition = absent},
                                Put{.key = "taken", .value = "2", .condition = absent}};
  ASSERT_EQ(run(commands, true), nullptr);
  EXPECT_FALSE(std::get<Put>(commands[0]).applied);
  EXPECT_EQ(get("free"), "-");
  EXPECT_EQ(get("taken"), "1");
}

TEST_P(EngineTest, ABatchHasOneVersionAndOneRecord) {
  const std::uint64_t before = stats().sequence;
  std::vector<Command> commands{Put{.key = "a", .value = "1"}, Put{.key = "b", .value = "2"},
                                Put{.key = "a", .value = "3"}};
  ASSERT_EQ(run(commands), nullptr);
  EXPECT_EQ(stats().sequence, before + 1);
  EXPECT_EQ(std::get<Put>(commands[0]).version, std::get<Put>(commands[1]).version);
  EXPECT_EQ(get("a"), "3");
}

TEST_P(EngineTest, CommitRefusesWhatChangedSinceItWasRead) {
  set("x", "1");
  for (const bool changed : {false, true}) {
    OptimisticTransaction transaction;
    std::string value;
    std::vector<Command> reads{Read{.key = "x", .into = &value}, Read{.key = "absent", .into = &value}};
    Unit unit{.commands = reads};
    ASSERT_TRUE(engine_->read(transaction, unit).ok());
    if (changed) set("absent", "now present");
    transaction.writes.push_back({.key = "y", .value = changed ? "lost" : "kept"});
    const Status status = engine_->commit(transaction, 1000);
    EXPECT_EQ(status.ok(), !changed);
    if (changed) {
      EXPECT_EQ(status.failure().code, Code::Conflict);
    }
    EXPECT_EQ(get("y"), "kept");
  }
}

TEST_P(EngineTest, CommitRefusesAPhantomInARangeItRead) {
  for (int i = 0; i < 10; ++i) set("k" + std::to_string(i), "v");
  const auto read_range = [&](OptimisticTransaction& transaction, std::size_t limit, bool reverse) {
    std::vector<Command> commands{Scan{.range = {.from = "k", .to = "l"}, .limit = limit, .reverse = reverse}};
    Unit unit{.commands = commands};
    return engine_->read(transaction, unit).ok();
  };
  const auto commits = [&](OptimisticTransaction& transaction) {
    transaction.writes.push_back({.key = "z", .value = "1"});
    return engine_->commit(transaction, 1000).ok();
  };
  {
    OptimisticTransaction transaction;
    ASSERT_TRUE(read_range(transaction, 100, false));
    set("k55", "phantom");
    EXPECT_FALSE(commits(transaction));
  }
  {
    OptimisticTransaction transaction;  // only the first three keys were looked at
    ASSERT_TRUE(read_range(transaction, 3, false));
    set("k77", "behind the page");
    EXPECT_TRUE(commits(transaction));
  }
  {
    OptimisticTransaction transaction;  // only the last three
    ASSERT_TRUE(read_range(transaction, 3, true));
    set("k11", "before the page");
    EXPECT_TRUE(commits(transaction));
    ASSERT_TRUE(read_range(transaction = {}, 3, true));
    std::vector<Command> commands{Erase{.key = "k9"}};
    ASSERT_EQ(run(commands), nullptr);
    EXPECT_FALSE(commits(transaction));
  }
}

TEST_P(EngineTest, ATransactionNeverSeesTwoMoments) {
  set("a", "1");
  set("b", "1");
  OptimisticTransaction transaction;
  std::string value;
  std::vector<Command> first{Read{.key = "a", .into = &value}};
  Unit first_unit{.commands = first};
  ASSERT_TRUE(engine_->read(transaction, first_unit).ok());
  std::vector<Command> both{Put{.key = "a", .value = "2"}, Put{.key = "b", .value = "2"}};
  ASSERT_EQ(run(both), nullptr);
  std::vector<Command> second{Read{.key = "b", .into = &value}};
  Unit second_unit{.commands = second};
  const Status status = engine_->read(transaction, second_unit);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.failure().code, Code::Conflict);
}

TEST_P(EngineTest, AClosedEngineRefusesEverything) {
  set("k", "v");
  ASSERT_TRUE(engine_->close().ok());
  ASSERT_TRUE(engine_->close().ok());
  std::vector<Command> commands{Put{.key = "k", .value = "w"}};
  const auto failure = run(commands);
  ASSERT_NE(failure, nullptr);
  EXPECT_EQ(failure->code, Code::Closed);
  EXPECT_FALSE(engine_->stats(5000).ok());
  EXPECT_FALSE(engine_->sync(1000).ok());
  EXPECT_FALSE(engine_->remove_expired(0, 1000).ok());
  OptimisticTransaction transaction;
  EXPECT_FALSE(engine_->commit(transaction, 1000).ok());
}

TEST_P(EngineTest, TimeNeverGoesBack) {
  set("k", "v", {.kind = Expiry::Kind::after, .value = 1'000});
  clock_.advance_ms(1'000);
  EXPECT_EQ(get("k"), "-");
  clock_.advance_ms(-10'000);
  EXPECT_EQ(get("k"), "-");
}

TEST_P(EngineTest, OnReadRemovesTheDeadEntryItMeets) {
  reopen({.ttl_mode = TtlMode::on_read});
  set("k", "v", {.kind = Expiry::Kind::after, .value = 1'000});
  set("unread", "v", {.kind = Expiry::Kind::after, .value = 1'000});
  clock_.advance_ms(1'000);
  EXPECT_EQ(stats().entries, 2U);
  EXPECT_EQ(get("k"), "-");
  EXPECT_EQ(stats().entries, 1U);
  EXPECT_EQ(stats().swept, 1U);
}

TEST(EngineDiskTest, K17TheLockIsTakenBeforeTheDirectoryIsRead) {
  test::SimulatedFileSystem disk({.seed = 1});
  test::ManualClock clock;
  Result<std::unique_ptr<Engine>> holder = EmbeddedEngine::open({.directory = "data"}, disk, clock);
  ASSERT_TRUE(holder.ok());
  disk.put("data/MANIFEST", "half of what the holder is writing");
  Result<std::unique_ptr<Engine>> second = EmbeddedEngine::open({.directory = "data"}, disk, clock);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.failure().code, Code::Busy) << second.failure().message;
}

/// In `relaxed` nobody waits for the sync that fails, so the hook is the first to know, and it is told once.
TEST(EngineDiskTest, AFailedBackgroundSyncIsReported) {
  struct Events {
    std::atomic<int> sync_failures = 0;
    std::string message = {};
  } events;
  const auto note = [](void* context, const Event& event) {
    if (event.kind != Event::Kind::sync_failed) return;
    Events& noted = *static_cast<Events*>(context);
    noted.message = event.message;
    ++noted.sync_failures;
    noted.sync_failures.notify_all();
  };
  test::SimulatedFileSystem disk({.seed = 1});
  test::ManualClock clock;
  Result<std::unique_ptr<Engine>> opened =
      EmbeddedEngine::open({.directory = "data",
                            .options = {.durability = Durability::relaxed,
                                        .sync_interval = std::chrono::milliseconds(1),
                                        .on_event = note,
                                        .event_context = &events}},
                           disk, clock);
  ASSERT_TRUE(opened.ok());
  const std::unique_ptr<Engine> engine = std::move(opened).value();
  const auto put = [&] {
    std::vector<Command> commands{Put{.key = "k", .value = "v"}};
    Unit unit{.commands = commands};
    engine->execute(std::span(&unit, 1));
    return std::move(unit.failure);
  };
  ASSERT_EQ(put(), nullptr);
  ASSERT_TRUE(engine->sync(5000).ok());
  disk.inject({.operation = test::Operation::sync, .path_contains = "log-1.tlog", .for_ever = true});
  ASSERT_EQ(put(), nullptr);
  events.sync_failures.wait(0);
  EXPECT_NE(events.message.find("until the store is opened again"), std::string::npos) << events.message;
  EXPECT_NE(put(), nullptr);
  EXPECT_FALSE(engine->close().ok());
  EXPECT_EQ(events.sync_failures, 1);
}

/// A sweep writes nothing; but a writer of the shard that waits for the disk holds it up.
TEST(EngineDiskTest, R94_ASweepHeldUpByTheDiskIsReported) {
  std::atomic<int> failures = 0;
  const auto note = [](void* context, const Event& event) {
    if (event.kind != Event::Kind::sweep_failed) return;
    auto& noted = *static_cast<std::atomic<int>*>(context);
    ++noted;
    noted.notify_all();
  };
  test::SimulatedFileSystem disk({.seed = 1});
  test::ManualClock clock;
  Result<std::unique_ptr<Engine>> opened = EmbeddedEngine::open(
      {.directory = "data",
       .options = {.timeout = std::chrono::milliseconds(20), .on_event = note, .event_context = &failures}},
      disk, clock);
  ASSERT_TRUE(opened.ok());
  const std::unique_ptr<Engine> engine = std::move(opened).value();
  const auto put = [&] {
    std::vector<Command> commands{Put{.key = "k", .value = "v", .expiry = {.kind = Expiry::Kind::after, .value = 1}}};
    Unit unit{.commands = commands, .timeout_ms = 60'000};
    engine->execute(std::span(&unit, 1));
    EXPECT_EQ(unit.failure, nullptr);
  };
  put();
  clock.advance_ms(1);
  std::atomic<bool> stalled = true;
  std::atomic<bool> writing = false;
  disk.set_hook([&](test::Operation operation, const std::string&) {
    if (operation != test::Operation::write) return;
    writing = true;
    writing.notify_all();
    stalled.wait(true);
  });
  std::thread writer(put);
  writing.wait(false);
  ASSERT_TRUE(engine->set_sweeper(EngineSweeperOptions{.interval_ms = 1, .batch = 10}).ok());
  failures.wait(0);
  stalled = false;
  stalled.notify_all();
  writer.join();
  EXPECT_TRUE(engine->close().ok());
}

TEST(EngineDiskTest, DiagnoseTellsOfTheDiskAndOfWhatFailed) {
  test::SimulatedFileSystem disk({.seed = 1});
  test::ManualClock clock;
  Result<std::unique_ptr<Engine>> opened = EmbeddedEngine::open({.directory = "data"}, disk, clock);
  ASSERT_TRUE(opened.ok());
  const std::unique_ptr<Engine> engine = std::move(opened).value();
  const auto put = [&] {
    std::vector<Command> commands{Put{.key = "k", .value = "v"}};
    Unit unit{.commands = commands};
    engine->execute(std::span(&unit, 1));
    return unit.failure == nullptr;
  };
  const auto text_of = [&](std::string_view topic) {
    const Result<std::vector<Finding>> findings = engine->diagnose(5000);
    for (const Finding& finding : findings.value()) {
      if (finding.topic != topic) continue;
      return (finding.severity == Finding::Severity::warning ? "warning: " : "") + finding.value;
    }
    return std::string("nothing");
  };
  ASSERT_TRUE(put());
  EXPECT_EQ(text_of("durability"), "durable: every write is on the disk when it is answered");
  EXPECT_EQ(text_of("snapshots"), "none");
  ASSERT_TRUE(engine->snapshot().ok());
  clock.advance_ms(180'000);
  EXPECT_EQ(text_of("snapshots"), "1, the newest with 1 entries, 3 min ago");
  disk.inject({.operation = test::Operation::sync, .path_contains = "snapshot"});
  ASSERT_TRUE(put());
  ASSERT_FALSE(engine->snapshot().ok());
  EXPECT_EQ(text_of("snapshots"), "warning: 1, the newest with 1 entries, 3 min ago; 1 failed");
  disk.set_capacity(std::uint64_t{32} << 20);
  EXPECT_TRUE(text_of("disk").starts_with("warning: ")) << text_of("disk");
  disk.set_capacity(std::uint64_t{1} << 30);
  EXPECT_TRUE(text_of("disk").ends_with(" MiB are free")) << text_of("disk");
  disk.inject({.operation = test::Operation::sync, .path_contains = ".tlog", .for_ever = true});
  EXPECT_FALSE(put());
  EXPECT_TRUE(text_of("durability").starts_with("warning: durable, but a sync has failed: ")) << text_of("durability");
  EXPECT_FALSE(engine->close().ok());
}

/// One that can be told how long a write may take.
struct DurableEngine {
  std::unique_ptr<Failure> put(std::int64_t timeout_ms) const {
    std::vector<Command> commands{Put{.key = "k", .value = "v"}};
    Unit unit{.commands = commands, .timeout_ms = timeout_ms};
    engine->execute(std::span(&unit, 1));
    return std::move(unit.failure);
  }

  test::SimulatedFileSystem disk{{.seed = 1}};
  test::ManualClock clock;
  std::unique_ptr<Engine> engine = EmbeddedEngine::open({.directory = "data"}, disk, clock).value();
};

/// The disk stands still for the calls that write: readers go on, other writers of the shard, and whoever would remove
/// what has expired in it, end at their deadline.
TEST(EngineDiskTest, K19AStalledDiskHoldsUpWritersUntilTheirDeadlineAndNoReader) {
  DurableEngine store;
  ASSERT_EQ(store.put(5000), nullptr);
  std::atomic<bool> stalled = true;
  std::atomic<bool> writing = false;
  store.disk.set_hook([&](test::Operation operation, const std::string&) {
    if (operation != test::Operation::write) return;
    writing = true;
    writing.notify_all();
    stalled.wait(true);
  });
  std::thread writer([&] { EXPECT_EQ(store.put(5000), nullptr); });
  writing.wait(false);
  const auto failure = store.put(20);
  ASSERT_NE(failure, nullptr);
  EXPECT_EQ(failure->code, Code::Timeout);
  EXPECT_EQ(failure->outcome, Outcome::not_applied);
  const Result<std::uint64_t> removed = store.engine->remove_expired(0, 20);
  ASSERT_FALSE(removed.ok());
  EXPECT_EQ(removed.failure().code, Code::Timeout);
  std::string value;
  std::vector<Command> read{Read{.key = "k", .into = &value}};
  Unit unit{.commands = read};
  store.engine->execute(std::span(&unit, 1));
  EXPECT_EQ(unit.failure, nullptr);
  EXPECT_EQ(value, "v");
  EXPECT_TRUE(store.engine->stats(20).ok());
  stalled = false;
  stalled.notify_all();
  writer.join();
  store.disk.set_hook(nullptr);
}

TEST(EngineDiskTest, AWriteThatWaitedForItsShardHasTheRestOfItsTimeForTheSync) {
  DurableEngine store;
  ASSERT_EQ(store.put(5000), nullptr);
  std::atomic<bool> syncing = false;
  std::atomic<bool> writing = false;
  std::atomic<bool> sync_stalls = true;
  std::atomic<bool> write_stalls = true;
  store.disk.set_hook([&](test::Operation operation, const std::string&) {
    if (operation == test::Operation::sync) {
      syncing = true;
      syncing.notify_all();
      sync_stalls.wait(true);
    } else if (operation == test::Operation::write && syncing) {
      writing = true;
      writing.notify_all();
      write_stalls.wait(true);
    }
  });
  constexpr std::int64_t kPatientMs = 60'000;
  std::thread syncer([&] { EXPECT_EQ(store.put(kPatientMs), nullptr); });
  syncing.wait(false);
  std::thread writer([&] { EXPECT_EQ(store.put(kPatientMs), nullptr); });  // keeps the shard
  writing.wait(false);
  std::thread disk_goes_on([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(700));
    write_stalls = false;
    write_stalls.notify_all();
  });
  const auto begin = std::chrono::steady_clock::now();
  const auto failure = store.put(1000);
  const auto took = std::chrono::steady_clock::now() - begin;
  sync_stalls = false;
  sync_stalls.notify_all();
  for (std::thread* thread : {&syncer, &writer, &disk_goes_on}) thread->join();
  store.disk.set_hook(nullptr);
  ASSERT_NE(failure, nullptr);
  EXPECT_EQ(failure->code, Code::Timeout);
  EXPECT_EQ(failure->outcome, Outcome::unknown);
  EXPECT_LT(took, std::chrono::milliseconds(1500)) << "700 ms for the shard and 1000 for the sync";
}

}  // namespace
}  // namespace tuskv::embedded
