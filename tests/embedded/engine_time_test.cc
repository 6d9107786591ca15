// The embedded engine and time: what has been seen expired stays gone, whatever the clock and the disk do.
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace tuskv::embedded
