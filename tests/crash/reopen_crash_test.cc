// What a reopened store has shown stays (reliability E6), for the names in its directory: the process that made or
// removed them may have died before it synced the directory, and then only the machine knows of them.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "crash/engine_client.h"
#include "crash/runner.h"
#include "crash/workload.h"

namespace tuskv::test {
namespace {

class ReopenCrashTest : public testing::Test {
 protected:
  using DiskPointer = std::unique_ptr<SimulatedFileSystem>;

  std::unique_ptr<Engine> open(SimulatedFileSystem& disk, Durability durability) {
    auto opened = embedded::EmbeddedEngine::open(engine_options({}, durability), disk, clock_);
    if (opened.ok()) return std::move(opened).value();
    ADD_FAILURE() << opened.failure().message << "\n" << disk.trace();
    return nullptr;
  }

  static void set(Engine& engine, const std::string& key, const std::string& value) {
    const Status written = perform(engine, {.kind = Step::Kind::set, .key = key, .value = value});
    EXPECT_TRUE(written.ok()) << written.failure().message;
  }

  /// Runs `work` on the disk again and again, the process dying at each operation in turn, and gives `check` what the
  /// next process finds.
  template <class Work, class Check>
  void die_everywhere(const SimulatedFileSystem& disk, const Work& work, const Check& check) {
    for (std::uint64_t nth = 1; !HasFailure(); ++nth) {
      const DiskPointer tried = disk.crash_image(CrashMode::process, nth);
      tried->stop_at({.operation = nth});
      work(*tried);
      if (!tried->stopped()) {
        EXPECT_GT(nth, 3U);
        return;
      }
      check(*tried->crash_image(CrashMode::process, nth));
    }
  }

  ManualClock clock_;
};

TEST_F(ReopenCrashTest, K11AStoreWhoseMakerDiedKeepsItsFirstWrite) {
  const SimulatedFileSystem empty;
  die_everywhere(
      empty,
      [&](SimulatedFileSystem& disk) {
        const auto opened = embedded::EmbeddedEngine::open(engine_options({}, Durability::durable), disk, clock_);
      },
      [&](SimulatedFileSystem& disk) {
        const auto second = open(disk, Durability::durable);
        ASSERT_NE(second, nullptr);
        set(*second, "key", "kept");
        const DiskPointer after = disk.crash(CrashMode::lose_unsynced, 1);
        const auto third = open(*after, Durability::durable);
        ASSERT_NE(third, nullptr);
        EXPECT_EQ(read_one(*third, "key").value(), "kept");
      });
}

/// The manifest that a dead process has put in place, synced or not, is the store from the moment it is read.
TEST_F(ReopenCrashTest, ASnapshotThatWasSeenStays) {
  SimulatedFileSystem disk;
  {
    const auto engine = open(disk, Durability::unlogged);
    ASSERT_NE(engine, nullptr);
    ASSERT_TRUE(engine->close().ok());
  }
  die_everywhere(
      disk,
      [&](SimulatedFileSystem& tried) {
        const auto opened = embedded::EmbeddedEngine::open(engine_options({}, Durability::unlogged), tried, clock_);
        if (!opened.ok()) return;
        set(*opened.value(), "key", "in the snapshot");
        [[maybe_unused]] const auto taken = opened.value()->snapshot();
      },
      [&](SimulatedFileSystem& found) {
        const auto second = open(found, Durability::unlogged);
        ASSERT_NE(second, nullptr);
        const auto shown = read_one(*second, "key").value();
        const DiskPointer after = found.crash(CrashMode::lose_unsynced, 1);
        const auto third = open(*after, Durability::unlogged);
        ASSERT_NE(third, nullptr);
        EXPECT_EQ(read_one(*third, "key").value(), shown);
      });
}

/// Also to who only reads, and so cannot write what he found anew.
TEST_F(ReopenCrashTest, S93_WhatAReaderWasShownStays) {
  const SimulatedFileSystem empty;
  const Step write = {.kind = Step::Kind::set, .key = "key", .value = "seen"};
  die_everywhere(
      empty,
      [&](SimulatedFileSystem& disk) {
        const auto opened = embedded::EmbeddedEngine::open(engine_options({}, Durability::durable), disk, clock_);
        if (opened.ok()) [[maybe_unused]]
          const Status written = perform(*opened.value(), write);
      },
      [&](SimulatedFileSystem& found) {
        embedded::EngineOptions reading = engine_options({}, Durability::durable);
        reading.options.read_only = true;
        const auto reader = embedded::EmbeddedEngine::open(reading, found, clock_);
        if (!reader.ok()) return;  // no store yet
        const auto shown = read_one(*reader.value(), write.key).value();
        const DiskPointer after = found.crash(CrashMode::lose_unsynced, 1);
        const auto reopened = open(*after, Durability::durable);
        ASSERT_NE(reopened, nullptr);
        EXPECT_EQ(read_one(*reopened, write.key).value(), shown);
      });
}

/// A seal that nobody waits for: the snapshot that wrote it failed, and nothing was written after it.
TEST_F(ReopenCrashTest, TheSealOfAFailedSnapshotStays) {
  SimulatedFileSystem disk;
  auto engine = open(disk, Durability::durable);
  ASSERT_NE(engine, nullptr);
  set(*engine, "before", "1");
  disk.inject({.operation = Operation::rename, .path_contains = "snapshot-"});
  EXPECT_FALSE(engine->snapshot().ok());
  EXPECT_EQ(disk.faults_met(), 1U);
  ASSERT_TRUE(engine->close().ok());
  engine = open(disk, Durability::durable);
  ASSERT_NE(engine, nullptr);
  set(*engine, "after", "2");  // the manifest now says that all older segments were synced
  const DiskPointer found = disk.crash(CrashMode::lose_unsynced, 1);
  engine = open(*found, Durability::durable);
  ASSERT_NE(engine, nullptr);
  EXPECT_EQ(read_one(*engine, "before").value(), "1");
  EXPECT_EQ(read_one(*engine, "after").value(), "2");
  engine.reset();
}

/// The log that begins with a change from `unlogged` begins within the first snapshot, which fails.
TEST_F(ReopenCrashTest, S96_AFailedSnapshotLeavesTheLogThatBeganWithIt) {
  SimulatedFileSystem disk;
  {
    const auto engine = open(disk, Durability::unlogged);
    ASSERT_NE(engine, nullptr);
    set(*engine, "before", "1");
    ASSERT_TRUE(engine->close().ok());
  }
  auto engine = open(disk, Durability::durable);
  ASSERT_NE(engine, nullptr);
  std::atomic<bool> dumping = false;
  disk.set_hook([&](Operation operation, const std::string& path) {
    if (operation != Operation::write || path.find("part-") == std::string::npos || dumping.exchange(true)) return;
    set(*engine, "acknowledged", "2");
  });
  disk.inject({.operation = Operation::rename, .path_contains = "snapshot-"});
  EXPECT_FALSE(engine->snapshot().ok());
  EXPECT_TRUE(dumping);
  EXPECT_EQ(disk.faults_met(), 1U);
  disk.set_hook({});
  set(*engine, "after", "3");
  const DiskPointer found = disk.crash(CrashMode::process, 1);
  engine = open(*found, Durability::durable);
  ASSERT_NE(engine, nullptr);
  EXPECT_EQ(read_one(*engine, "before").value(), "1");
  EXPECT_EQ(read_one(*engine, "acknowledged").value(), "2");
  EXPECT_EQ(read_one(*engine, "after").value(), "3");
  engine.reset();
}

}  // namespace
}  // namespace tuskv::test
