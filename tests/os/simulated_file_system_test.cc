// Shows that each fault of the simulated file system does what it says, and that a stopped world stays stopped: the
// crash tests rest on it.
#include "support/simulated_file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "support/opened_file.h"

namespace tuskv::test {
namespace {

using os::OpenMode;
using testing::EndsWith;
using testing::HasSubstr;

constexpr std::uint64_t kSeeds = 300;

/// A file "f" that is durable, with `bytes`.
std::unique_ptr<os::File> durable_file(SimulatedFileSystem& disk, std::string_view bytes) {
  disk.put("f", bytes);
  return open_file(disk, "f", OpenMode::read_write);
}

using Outcomes = std::set<std::string>;

// The end of the world

TEST(SimulatedStop, HandlesAndLocksOfTheDeadProcessAreDead) {
  SimulatedFileSystem disk;
  const auto file = durable_file(disk, "old");
  const auto lock = disk.lock("");
  ASSERT_TRUE(lock.ok());
  const auto after = disk.crash(CrashMode::process, 1);
  char byte = 0;
  EXPECT_EQ(file->read_at(0, &byte, 1).failure().message, "read f: stopped");
  EXPECT_EQ(file->write_at(0, "x").failure().code, Code::Io);
  EXPECT_FALSE(file->sync().ok());
  EXPECT_FALSE(file->size().ok());
  EXPECT_FALSE(disk.list("").ok());
  EXPECT_EQ(disk.content("f"), "old");
  EXPECT_EQ(after->operation_count(), 0U);
  EXPECT_TRUE(after->lock("").ok()) << "a lock dies with its process";
}

TEST(SimulatedStop, TheWorldStopsAtTheCountedCall) {
  SimulatedFileSystem disk;
  disk.stop_at({.operation = 3});
  const auto file = open_file(disk, "f");      // 1
  EXPECT_TRUE(file->write_at(0, "one").ok());  // 2
  EXPECT_TRUE(file->size().ok());              // not counted
  EXPECT_FALSE(disk.stopped());
  EXPECT_EQ(file->write_at(0, "two").failure().message, "write f: stopped");
  EXPECT_TRUE(disk.stopped());
  EXPECT_FALSE(file->size().ok());
  EXPECT_FALSE(disk.make_directory("d").ok());
  EXPECT_EQ(disk.content("f"), "one");
  EXPECT_EQ(disk.operation_count(), 3U);
}

TEST(SimulatedStop, ReadsCountWhenAsked) {
  SimulatedFileSystem disk({.counts_every_call = true});
  disk.stop_at({.operation = 3});
  const auto file = open_file(disk, "f");
  EXPECT_TRUE(file->size().ok());
  EXPECT_FALSE(file->size().ok());
}

TEST(SimulatedStop, TheLastWriteMayBePartlyDone) {
  Outcomes seen;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    SimulatedFileSystem disk({.seed = seed});
    disk.stop_at({.operation = 2, .partly_written = true});
    const auto file = open_file(disk, "f");
    EXPECT_FALSE(file->write_at(0, "abc").ok());
    EXPECT_FALSE(file->write_at(0, "xyz").ok());
    seen.insert(disk.content("f").value());
  }
  EXPECT_EQ(seen, (Outcomes{"", "a", "ab", "abc"}));
}

// Faults

TEST(SimulatedFault, FailsTheNthMatchingCallOnceOrForEver) {
  SimulatedFileSystem disk;
  disk.inject({.operation = Operation::write, .path_contains = "log", .nth = 2, .error = ENOSPC});
  disk.inject({.operation = Operation::list, .for_ever = true, .error = EMFILE});
  const auto log = open_file(disk, "log-1");
  const auto other = open_file(disk, "other");
  EXPECT_TRUE(log->write_at(0, "1").ok());
  EXPECT_TRUE(other->write_at(0, "1").ok());
  const Status refused = log->write_at(7, "2");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.failure().code, Code::NoSpace);
  EXPECT_EQ(refused.failure().message, "write log-1 at 7: No space left on device");
  EXPECT_TRUE(log->write_at(1, "3").ok());
  EXPECT_EQ(disk.content("log-1"), "13");
  EXPECT_EQ(disk.fault_path(), "log-1");
  for (int i = 0; i < 3; ++i) EXPECT_THAT(disk.list("").failure().message, EndsWith("Too many open files"));
  EXPECT_EQ(disk.faults_met(), 4U);
  disk.clear_faults();
  EXPECT_TRUE(disk.list("").ok());
}

TEST(SimulatedFault, EveryKindOfCallCanFail) {
  for (std::size_t kind = 0; kind < kOperationCount; ++kind) {
    const auto operation = static_cast<Operation>(kind);
    SimulatedFileSystem disk;
    disk.put("d/f", "x");
    auto file = open_file(disk, "d/f", OpenMode::read_write);
    disk.inject({.operation = operation, .for_ever = true, .error = EROFS});
    char byte = 0;
    int failed = 0;
    const auto note = [&](const auto& result) { failed += result.ok() ? 0 : 1; };
    note(disk.open("d/f", OpenMode::read));
    note(disk.open("d/g", OpenMode::create));
    note(file->read_at(0, &byte, 1));
    note(file->write_at(0, "y"));
    note(file->sync());
    note(file->allocate(10));
    note(file->truncate(5));
    note(file->size());
    note(disk.kind("d"));
    note(disk.list("d"));
    note(disk.make_directory("e"));
    note(disk.link("d/f", "d/h"));
    note(disk.rename("d/f", "d/i"));
    if (operation != Operation::link) note(disk.remove_file("d/h"));
    if (operation != Operation::make_directory) note(disk.remove_directory("e"));
    note(disk.sync_directory("d"));
    note(disk.free_bytes("d"));
    note(disk.lock("d"));
    note(disk.lock_shared("d"));
    EXPECT_EQ(failed, 1) << to_string(operation) << "\n" << disk.trace();
    EXPECT_EQ(disk.faults_met(), 1U);
  }
}

TEST(SimulatedFault, AFailingWriteMayBePartlyDone) {
  Outcomes seen;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    SimulatedFileSystem disk({.seed = seed});
    disk.inject({.operation = Operation::write, .partly_written = true});
    const auto file = open_file(disk, "f");
    EXPECT_FALSE(file->write_at(0, "abc").ok());
    seen.insert(disk.content("f").value());
  }
  EXPECT_EQ(seen, (Outcomes{"", "a", "ab", "abc"}));
}

struct SyncFailureCase {
  SyncFailure failure;
  bool first_sync_ok;
  bool second_sync_ok;
  const char* visible;
  const char* after_drop;
  const char* durable_after_second_sync;
};

class SimulatedSyncFault : public testing::TestWithParam<SyncFailureCase> {};

INSTANTIATE_TEST_SUITE_P(
    Variants, SimulatedSyncFault,
    testing::Values(SyncFailureCase{SyncFailure::keeps_new_content, false, true, "new", "old", "old"},
                    SyncFailureCase{SyncFailure::returns_old_content, false, true, "old", "old", "old"},
                    SyncFailureCase{SyncFailure::reported_late, true, false, "new", "old", "old"},
                    SyncFailureCase{SyncFailure::lies, true, true, "new", "new", "new"}));

TEST_P(SimulatedSyncFault, DoesWhatItSays) {
  SimulatedFileSystem disk;
  const auto file = durable_file(disk, "old");
  disk.inject({.operation = Operation::sync, .sync_failure = GetParam().failure});
  ASSERT_TRUE(file->write_at(0, "new").ok());
  EXPECT_EQ(file->sync().ok(), GetParam().first_sync_ok);
  EXPECT_EQ(read_all(*file), GetParam().visible);
  EXPECT_EQ(disk.crash_image(CrashMode::lose_unsynced, 1)->content("f"), "old");
  EXPECT_EQ(disk.crash_image(CrashMode::process, 1)->content("f"), GetParam().visible);
  EXPECT_EQ(file->sync().ok(), GetParam().second_sync_ok);
  EXPECT_EQ(disk.crash_image(CrashMode::lose_unsynced, 1)->content("f"), GetParam().durable_after_second_sync);
  file->drop_cached_pages();
  EXPECT_EQ(read_all(*file), GetParam().after_drop);
  EXPECT_EQ(disk.faults_met(), 1U);
}

TEST(SimulatedFault, WhatIsWrittenAfterAFailedSyncCanBeSynced) {
  SimulatedFileSystem disk;
  const auto file = durable_file(disk, "");
  disk.inject({.operation = Operation::sync});
  ASSERT_TRUE(file->write_at(0, "lost").ok());
  EXPECT_FALSE(file->sync().ok());
  ASSERT_TRUE(file->write_at(4, "kept").ok());
  EXPECT_TRUE(file->sync().ok());
  EXPECT_EQ(read_all(*file), "lostkept");
  EXPECT_EQ(disk.crash(CrashMode::lose_unsynced, 1)->content("f"), std::string("\0\0\0\0kept", 8));
}

TEST(SimulatedFault, ALyingDiskLiesAboutDirectoriesToo) {
  SimulatedFileSystem disk;
  disk.inject({.operation = Operation::sync_directory, .sync_failure = SyncFailure::lies});
  open_file(disk, "f");
  EXPECT_TRUE(disk.sync_directory("").ok());
  EXPECT_EQ(disk.crash_image(CrashMode::lose_unsynced, 1)->content("f"), std::nullopt);
}

TEST(SimulatedFault, AFileSystemWithoutReservationSaysSo) {
  SimulatedFileSystem disk;
  disk.inject({.operation = Operation::allocate, .for_ever = true, .error = EOPNOTSUPP});
  const auto file = open_file(disk, "f");
  EXPECT_FALSE(file->allocate(100).value());
  EXPECT_EQ(file->size().value(), 0U);
}

// Space

TEST(SimulatedSpace, AFullDiskTakesWhatFits) {
  SimulatedFileSystem disk({.capacity_bytes = 10});
  const auto file = open_file(disk, "f");
  ASSERT_TRUE(file->write_at(0, "12345").ok());
  EXPECT_EQ(disk.free_bytes("").value(), 5U);
  EXPECT_EQ(file->allocate(11).failure().code, Code::NoSpace);
  EXPECT_EQ(file->size().value(), 5U);
  EXPECT_EQ(file->write_at(5, "6789abc").failure().code, Code::NoSpace);
  EXPECT_EQ(read_all(*file), "123456789a");
  EXPECT_TRUE(file->write_at(0, "over").ok()) << "bytes that have their place need no new one";
  const auto other = open_file(disk, "other");
  EXPECT_FALSE(other->write_at(0, "x").ok());
  ASSERT_TRUE(file->truncate(9).ok());
  EXPECT_TRUE(other->write_at(0, "x").ok());
  disk.set_capacity(20);
  EXPECT_EQ(disk.free_bytes("").value(), 10U);
}

TEST(SimulatedSpace, ARemovedFileGivesItsSpaceBackWhenClosed) {
  SimulatedFileSystem disk({.capacity_bytes = 10});
  auto file = open_file(disk, "f");
  ASSERT_TRUE(file->allocate(10).value());
  ASSERT_TRUE(disk.link("f", "g").ok());
  ASSERT_TRUE(disk.remove_file("f").ok());
  ASSERT_TRUE(disk.remove_file("g").ok());
  EXPECT_EQ(disk.free_bytes("").value(), 0U);
  file.reset();
  EXPECT_EQ(disk.free_bytes("").value(), 10U);
}

// Looking and damaging

TEST(SimulatedInspection, DamageIsDurableAtOnce) {
  SimulatedFileSystem disk;
  disk.put("d/f", "abc");
  EXPECT_TRUE(disk.flip_bit("d/f", 9));
  EXPECT_FALSE(disk.flip_bit("d/f", 24));
  EXPECT_EQ(disk.content("d/f"), "a`c");
  EXPECT_TRUE(disk.overwrite("d/f", 2, "xy"));
  EXPECT_TRUE(disk.truncate_to("d/f", 3));
  EXPECT_FALSE(disk.overwrite("none", 0, "x"));
  EXPECT_TRUE(disk.copy_tree("d", "e/copy"));
  EXPECT_TRUE(disk.remove("d"));
  EXPECT_FALSE(disk.remove("d"));
  EXPECT_EQ(disk.crash(CrashMode::lose_unsynced, 1)->contents(),
            (std::map<std::string, std::string>{{"e/copy/f", "a`x"}}));
}

TEST(SimulatedInspection, EverythingCanBeMadeDurable) {
  SimulatedFileSystem disk;
  ASSERT_TRUE(disk.make_directory("d").ok());
  ASSERT_TRUE(open_file(disk, "d/f")->write_at(0, "x").ok());
  disk.make_all_durable();
  EXPECT_EQ(disk.crash(CrashMode::lose_unsynced, 1)->content("d/f"), "x");
}

TEST(SimulatedInspection, CountsAndTrace) {
  SimulatedFileSystem disk;
  const auto file = open_file(disk, "f");
  ASSERT_TRUE(file->write_at(5, "abc").ok());
  ASSERT_TRUE(file->sync().ok());
  ASSERT_TRUE(file->sync().ok());
  EXPECT_FALSE(disk.rename("a", "b").ok());
  EXPECT_EQ(disk.sync_count("f"), 2U);
  EXPECT_EQ(disk.sync_count("g"), 0U);
  EXPECT_EQ(disk.count(Operation::write), 1U);
  EXPECT_EQ(disk.operation_count(), 5U);
  EXPECT_EQ(disk.trace(),
            "#1 create f\n#2 write f at 5, 3 bytes\n#3 sync f\n#4 sync f\n"
            "#5 rename a to b -> rename a to b: No such file or directory\n");
}

TEST(SimulatedInspection, SymbolicLinksAreRefused) {
  SimulatedFileSystem disk;
  disk.put_symbolic_link("d/f");
  EXPECT_EQ(disk.kind("d/f").value(), os::FileKind::other);
  EXPECT_THAT(disk.open("d/f", OpenMode::read).failure().message, HasSubstr("Too many levels of symbolic links"));
}

TEST(SimulatedInspection, TheHookMayWaitWhileOthersGoOn) {
  SimulatedFileSystem disk;
  const auto slow = open_file(disk, "slow");
  std::atomic<bool> waiting = false;
  std::atomic<bool> go_on = false;
  disk.set_hook([&](Operation operation, const std::string& path) {
    if (operation != Operation::sync || path != "slow") return;
    waiting = true;
    while (!go_on) std::this_thread::yield();
  });
  std::thread syncing([&] { EXPECT_TRUE(slow->sync().ok()); });
  while (!waiting) std::this_thread::yield();
  EXPECT_TRUE(slow->write_at(0, "x").ok());
  EXPECT_EQ(disk.sync_count("slow"), 0U);
  go_on = true;
  syncing.join();
  EXPECT_EQ(disk.sync_count("slow"), 1U);
}

TEST(SimulatedInspection, ThreadsMayUseItTogether) {
  SimulatedFileSystem disk;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&disk, t] {
      const std::string name = "f" + std::to_string(t);
      const auto file = open_file(disk, name);
      for (std::uint64_t i = 0; i < 500; ++i) {
        EXPECT_TRUE(file->write_at(i, "x").ok());
        if (i % 50 == 0) {
          EXPECT_TRUE(file->sync().ok());
        }
      }
      EXPECT_TRUE(disk.rename(name, name + "-done").ok());
    });
  }
  for (int i = 0; i < 20; ++i) EXPECT_LE(disk.crash_image(CrashMode::torn_1, 1)->contents().size(), 4U);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(disk.operation_count(), 4U * (1 + 500 + 10 + 1));
}

}  // namespace
}  // namespace tuskv::test
