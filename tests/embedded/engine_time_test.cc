// The embedded engine and time: what has been seen expired stays gone, whatever the clock and the disk do.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "embedded/embedded_engine.h"
#include "embedded/manifest.h"
#include "support/manual_clock.h"
#include "support/simulated_file_system.h"

namespace tuskv::embedded {
namespace {

/// A store on a simulated disk; nothing is removed but by remove_expired.
class EngineTimeTest : public testing::Test {
 protected:
  EngineTimeTest() { open(); }

  void open() {
    Result<std::unique_ptr<Engine>> opened =
        EmbeddedEngine::open({.directory = "data", .options = {.ttl_mode = TtlMode::manual}}, *disk_, clock_);
    ASSERT_TRUE(opened.ok()) << opened.failure().message;
    engine_ = std::move(opened).value();
  }
  void close() {
    ASSERT_TRUE(engine_->close().ok());
    engine_.reset();
  }
  /// The process dies, and the store is opened again.
  void lose_process() {
    auto after = disk_->crash_image(test::CrashMode::process, 1);
    engine_.reset();
    disk_ = std::move(after);
    open();
  }
  /// True when the unit went through.
  bool run(std::vector<Command>& commands, bool require_all = false) {
    Unit unit{.commands = commands, .require_all = require_all};
    engine_->execute(std::span(&unit, 1));
    return unit.failure == nullptr;
  }
  /// `ttl_ms` 0: for ever.
  void set(std::string_view key, std::string_view value, std::int64_t ttl_ms = 0) {
    std::vector<Command> commands{Put{.key = key, .value = value}};
    if (ttl_ms != 0) std::get<Put>(commands[0]).expiry = {.kind = Expiry::Kind::after, .value = ttl_ms};
    ASSERT_TRUE(run(commands));
  }
  /// The value, or "-".
  std::string get(std::string_view key) {
    std::string value;
    std::vector<Command> commands{Read{.key = key, .into = &value}};
    EXPECT_TRUE(run(commands));
    return std::get<Read>(commands[0]).seen.found ? value : "-";
  }
  std::uint64_t version_of(std::string_view key) {
    std::vector<Command> commands{Read{.key = key, .want = Want::meta}};
    EXPECT_TRUE(run(commands));
    return std::get<Read>(commands[0]).seen.version;
  }
  /// The next write to the log takes so long that `k`, which lives for a second, ends meanwhile, and is seen to.
  void expire_k_during_the_next_write() {
    set("k", "v", 1'000);
    clock_.advance_ms(999);
    disk_->set_hook([this](test::Operation operation, const std::string&) {
      if (operation != test::Operation::write) return;
      disk_->set_hook(nullptr);
      EXPECT_EQ(get("k"), "v");
      clock_.advance_ms(2);
      EXPECT_EQ(get("k"), "-");
    });
  }

  static constexpr Expiry kMinute{.kind = Expiry::Kind::after, .value = 60'000};
  std::unique_ptr<test::SimulatedFileSystem> disk_ =
      std::make_unique<test::SimulatedFileSystem>(test::SimulatedFileSystemOptions{.seed = 1});
  test::ManualClock clock_;
  std::unique_ptr<Engine> engine_;
};

// E19
TEST_F(EngineTimeTest, S13_WhatWasSeenExpiredStaysGoneWhenTheClockIsSetBackBetweenTwoOpenings) {
  for (const bool swept : {false, true}) {
    set("k", "v", 10'000);
    clock_.advance_ms(20'000);
    EXPECT_EQ(get("k"), "-");
    if (swept) {
      EXPECT_EQ(engine_->remove_expired(0, 1000).value(), 1U);
    }
    close();
    clock_.advance_ms(-19'000);
    open();
    EXPECT_EQ(get("k"), "-") << "swept: " << swept;
    clock_.advance_ms(19'000);
  }
}

/// A store in which nothing has expired is closed without a word to the disk about time.
TEST_F(EngineTimeTest, S13_ClosingWritesTheTimeOnlyWhenItMatters) {
  set("k", "v", 10'000);
  close();
  open();
  EXPECT_EQ(get("k"), "v");
  const std::uint64_t renames = disk_->count(test::Operation::rename);
  close();
  EXPECT_EQ(disk_->count(test::Operation::rename), renames);
  open();
  clock_.advance_ms(10'000);
  close();
  EXPECT_EQ(disk_->count(test::Operation::rename), renames + 1);
}

TEST_F(EngineTimeTest, S13_SweepingWritesTheTimeOnceAMinute) {
  set("a", "v", 1'000);
  set("b", "v", 61'000);
  set("c", "v", 62'000);
  const auto written = [this] { return read_manifest(*disk_, "data").value().clock_high_us; };
  clock_.advance_ms(60'000);
  EXPECT_EQ(engine_->remove_expired(0, 1000).value(), 1U);
  EXPECT_EQ(written(), clock_.now_us());
  clock_.advance_ms(1'000);
  EXPECT_EQ(engine_->remove_expired(0, 1000).value(), 1U);
  EXPECT_EQ(written(), clock_.now_us() - 1'000'000);
  clock_.advance_ms(-60'500);
  lose_process();
  EXPECT_EQ(get("a"), "-");
}

TEST_F(EngineTimeTest, S121_AClockThatIsBehindTheStoreIsDiagnosed) {
  const auto clock_finding = [this]() -> std::string {
    const auto findings = engine_->diagnose(1000);
    for (const Finding& finding : findings.value()) {
      if (finding.topic == "clock") return finding.value;
    }
    return {};
  };
  set("k", "v", 60'000);
  EXPECT_EQ(clock_finding(), "");
  clock_.advance_ms(-8LL * 3'600'000);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(clock_finding(), "this machine's clock is 8 h behind what the store has seen");
    if (i == 0) lose_process();  // the stamps tell it
  }
  clock_.advance_ms(7LL * 3'600'000);
  EXPECT_EQ(clock_finding(), "this machine's clock is 60 min behind what the store has seen");
  clock_.advance_ms(3'600'000);
  EXPECT_EQ(clock_finding(), "");
}

/// Looks on whenever somebody asks for the time; a look of its own asks in vain.
class WatchedClock final : public os::Clock {
 public:
  std::int64_t now_us() const override {
    if (on_look && !looking_) {
      looking_ = true;
      on_look();
      looking_ = false;
    }
    return now.now_us();
  }
  test::ManualClock now;
  std::function<void()> on_look;

 private:
  mutable bool looking_ = false;
};

/// One shard that is emptied at a stretch is one that nobody can write to.
TEST(EngineSweep, S124_ShardsTakeTurnsWhenAllThatHasExpiredIsRemoved) {
  static constexpr int kEntries = 2000;
  static constexpr int kEarliest = 10;
  WatchedClock clock;
  test::SimulatedFileSystem disk;
  auto opened = EmbeddedEngine::open({.options = {.ttl_mode = TtlMode::manual, .sweep_batch = 1}}, disk, clock);
  ASSERT_TRUE(opened.ok());
  Engine& engine = *opened.value();
  for (int i = 0; i < kEntries; ++i) {
    const std::string key = std::to_string(i);
    std::vector<Command> commands{
        Put{.key = key, .value = "v", .expiry = {.kind = Expiry::Kind::after, .value = i + 1}}};
    Unit unit{.commands = commands};
    engine.execute(std::span(&unit, 1));
    ASSERT_EQ(unit.failure, nullptr);
  }
  clock.now.advance_ms(kEntries);
  std::size_t left = SIZE_MAX;  // of the earliest, when so many have gone as these and their neighbours in each shard
  clock.on_look = [&] {
    const Stats stats = engine.stats(1000).value();
    if (stats.entries != kEntries - kEarliest * default_shard_count()) return;
    std::vector<Command> scan{Scan{.limit = kEntries, .include_expired = true}};
    Unit unit{.commands = scan};
    engine.execute(std::span(&unit, 1));
    const auto& entries = std::get<Scan>(scan[0]).entries;
    left = static_cast<std::size_t>(std::count_if(entries.begin(), entries.end(),
                                                  [](const Entry& entry) { return std::stoi(entry.key) < kEarliest; }));
  };
  EXPECT_EQ(engine.remove_expired(0, 60'000).value(), std::uint64_t{kEntries});
  EXPECT_EQ(left, 0U);
}

// ---- an entry that ends while what was planned on it is being written

TEST_F(EngineTimeTest, S16_WhatEndsWhileItIsProlongedDoesNotComeBack) {
  expire_k_during_the_next_write();
  std::vector<Command> commands{Touch{.key = "k", .expiry = kMinute}};
  ASSERT_TRUE(run(commands));
  EXPECT_FALSE(std::get<Touch>(commands[0]).applied);
  EXPECT_EQ(get("k"), "-");
  lose_process();
  EXPECT_EQ(get("k"), "-");
}

TEST_F(EngineTimeTest, S16_WhatEndsWhileItIsReplacedIsNotWhatWasReplaced) {
  expire_k_during_the_next_write();
  const std::int64_t first_us = clock_.now_us();
  std::vector<Command> commands{Put{.key = "k", .value = "w", .want_previous = true}};
  ASSERT_TRUE(run(commands));
  EXPECT_FALSE(std::get<Put>(commands[0]).seen.found);
  std::vector<Command> read{Read{.key = "k", .want = Want::meta}};
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(run(read));
    EXPECT_EQ(std::get<Read>(read[0]).seen.version, std::get<Put>(commands[0]).version);
    EXPECT_GT(std::get<Read>(read[0]).seen.created_us, first_us);
    lose_process();
  }
  EXPECT_EQ(get("k"), "w");
}

TEST_F(EngineTimeTest, S16_WhatEndsWhileARangeIsErasedWasNotErased) {
  set("other", "v");
  expire_k_during_the_next_write();
  std::vector<Command> commands{EraseRange{}};
  ASSERT_TRUE(run(commands));
  EXPECT_EQ(std::get<EraseRange>(commands[0]).erased, 1u);
}

TEST_F(EngineTimeTest, S16_AUnitThatNeededWhatEndedChangesNothing) {
  set("other", "old", 60'000);
  expire_k_during_the_next_write();
  std::vector<Command> commands{Put{.key = "other", .value = "new"}, Put{.key = "third", .value = "new"},
                                Touch{.key = "k", .expiry = kMinute}};
  ASSERT_TRUE(run(commands, true));
  EXPECT_FALSE(std::get<Put>(commands[0]).applied);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(get("k"), "-");
    EXPECT_EQ(get("other"), "old");
    EXPECT_EQ(get("third"), "-");
    lose_process();
  }
  clock_.advance_ms(60'000);
  EXPECT_EQ(get("other"), "-") << "its expiry is what it was";
}

/// What is put back in the log has not changed for anybody.
TEST_F(EngineTimeTest, S57_WhatIsPutBackKeepsItsVersion) {
  set("other", "old", 60'000);
  const std::uint64_t version = version_of("other");
  const auto unit = [&] {
    return std::vector<Command>{Put{.key = "other", .value = "new"}, Put{.key = "third", .value = "new"},
                                Touch{.key = "k", .expiry = kMinute}};
  };
  OptimisticTransaction watching;
  std::vector<Command> reads{Read{.key = "other", .want = Want::meta}};
  Unit read{.commands = reads};
  ASSERT_TRUE(engine_->read(watching, read).ok());

  expire_k_during_the_next_write();
  std::vector<Command> commands = unit();
  ASSERT_TRUE(run(commands, true));
  EXPECT_EQ(version_of("other"), version);

  expire_k_during_the_next_write();
  OptimisticTransaction refused;
  std::vector<Command> reads_k{Read{.key = "k", .want = Want::meta}};
  Unit read_k{.commands = reads_k};
  ASSERT_TRUE(engine_->read(refused, read_k).ok());
  refused.writes.push_back({.key = "other", .value = "new"});
  refused.writes.push_back({.key = "third", .value = "new"});
  EXPECT_FALSE(engine_->commit(refused, 1000).ok());
  EXPECT_EQ(version_of("other"), version);

  watching.writes.push_back({.key = "fourth", .value = "v"});
  EXPECT_TRUE(engine_->commit(watching, 1000).ok());
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(get("other"), "old");
    EXPECT_EQ(get("third"), "-");
    EXPECT_EQ(get("k"), "-");
    if (i == 0) lose_process();
  }
}

/// As above, in a batch whose new keys are in the indexes before it is seen that an entry has ended.
TEST_F(EngineTimeTest, S55_ALargeBatchThatNeededWhatEndedLeavesNothingBehind) {
  std::vector<std::string> keys;
  for (int i = 0; i < 200; ++i) keys.push_back("new" + std::to_string(i));
  for (const bool require_all : {true, false}) {
    expire_k_during_the_next_write();
    std::vector<Command> commands{Touch{.key = "k", .expiry = kMinute}};
    for (const std::string& key : keys) commands.emplace_back(Put{.key = key, .value = "v", .expiry = kMinute});
    ASSERT_TRUE(run(commands, require_all));
    for (int i = 0; i < 2; ++i) {
      std::vector<Command> scan{Scan{.limit = 1000}};
      ASSERT_TRUE(run(scan));
      EXPECT_EQ(std::get<Scan>(scan[0]).entries.size(), require_all ? 0u : keys.size());
      EXPECT_EQ(get(keys[0]), require_all ? "-" : "v");
      if (i == 0) lose_process();
    }
    EXPECT_EQ(engine_->stats(1000).value().entries, require_all ? 0u : keys.size());
  }
  clock_.advance_ms(60'000);
  EXPECT_EQ(engine_->remove_expired(0, 1000).value(), keys.size());
}

TEST_F(EngineTimeTest, S16_ATransactionThatReadWhatEndedConflicts) {
  set("other", "old");
  expire_k_during_the_next_write();
  for (const bool by_range : {false, true}) {
    if (by_range) expire_k_during_the_next_write();
    OptimisticTransaction transaction;
    std::string value;
    std::vector<Command> reads;
    if (by_range) {
      reads.emplace_back(Scan{.range = {.from = "k", .to = "l"}});
    } else {
      reads.emplace_back(Read{.key = "k", .into = &value});
    }
    Unit unit{.commands = reads};
    ASSERT_TRUE(engine_->read(transaction, unit).ok());
    transaction.writes.push_back({.key = "other", .value = "new"});
    const Status status = engine_->commit(transaction, 1000);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.failure().code, Code::Conflict);
    const Stats stats = engine_->stats(1000).value();
    EXPECT_EQ(stats.synced_sequence, stats.sequence) << "a loss of power brings it back";
    EXPECT_EQ(get("other"), "old");
    lose_process();
    EXPECT_EQ(get("other"), "old");
    EXPECT_EQ(get("k"), "-");
  }
}

TEST_F(EngineTimeTest, S37_ATimeBehindAllTimesIsNotBelieved) {
  close();
  Manifest manifest = read_manifest(*disk_, "data").value();
  manifest.clock_high_us = INT64_MAX;
  ASSERT_TRUE(write_manifest(*disk_, "data", manifest).ok());
  open();
  set("k", "v", 60'000);
  EXPECT_EQ(get("k"), "v") << "now and a minute is a time";
}

}  // namespace
}  // namespace tuskv::embedded
