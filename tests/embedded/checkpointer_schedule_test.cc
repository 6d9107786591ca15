#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "embedded/checkpointer.h"
#include "embedded/maintenance.h"
#include "embedded/test_store.h"
#include "named_limits.h"
#include "os/mutex.h"
#include "support/simulated_file_system.h"

namespace tuskv::embedded {
namespace {

using test::CrashMode;
using test::ManualClock;
using test::Operation;
using test::SimulatedFileSystem;

constexpr std::uint64_t kKiB = 1024;

TestStoreOptions options_of(Durability durability) {
  TestStoreOptions options;
  options.checkpointer.durability = durability;
  options.checkpointer.log_bytes_min = 64 * kKiB;
  options.checkpointer.threads = 1;
  options.checkpointer.interval_ms = 7LL * 24 * 3600 * 1000;
  return options;
}

std::unique_ptr<TestStore> open(os::FileSystem& disk, const TestStoreOptions& options, const ManualClock& clock) {
  auto store = TestStore::open(disk, options, clock);
  EXPECT_TRUE(store.ok()) << store.failure().message;
  return store.ok() ? std::move(store).value() : nullptr;
}

State state_in(os::FileSystem& disk, const std::string& directory) {
  auto loaded = load_store(disk, directory);
  EXPECT_TRUE(loaded.ok()) << loaded.failure().message;
  return loaded.ok() ? TestStore::contents_of(*loaded.value().keyspace) : State{};
}

struct LogFiles {
  std::uint64_t count = 0;
  std::uint64_t size_bytes = 0;
};

LogFiles log_files(const SimulatedFileSystem& disk) {
  LogFiles files;
  for (const auto& [path, content] : disk.contents()) {
    if (!path.starts_with("d/log-")) continue;
    ++files.count;
    files.size_bytes += content.size();
  }
  return files;
}

class Events final {
 public:
  void attach(CheckpointerOptions& options) {
    options.event_context = this;
    options.on_event = [](void* context, const Event& event) { static_cast<Events*>(context)->add(event.kind); };
  }
  /// Gives up after a minute: what never comes must fail a test, not hang it.
  bool wait_for(Event::Kind kind, std::ptrdiff_t times) {
    os::MutexLock lock(mutex_);
    while (std::count(kinds_.begin(), kinds_.end(), kind) < times) {
      if (!changed_.wait_for(mutex_, std::chrono::minutes(1))) return false;
    }
    return true;
  }

  std::ptrdiff_t count(Event::Kind kind) {
    os::MutexLock lock(mutex_);
    return std::count(kinds_.begin(), kinds_.end(), kind);
  }

  void add(Event::Kind kind) {
    os::MutexLock lock(mutex_);
    kinds_.push_back(kind);
    changed_.notify_all();
  }

 private:
  os::Mutex mutex_;
  os::CondVar changed_;
  std::vector<Event::Kind> kinds_ TUSKV_GUARDED_BY(mutex_);
};

/// A store whose thread runs, and what it tells.
struct RelaxedStore {
  RelaxedStore() {
    TestStoreOptions options = options_of(Durability::relaxed);
    events.attach(options.checkpointer);
    store = open(disk, options, clock);
  }

  SimulatedFileSystem disk;
  const ManualClock clock;
  Events events;
  std::unique_ptr<TestStore> store;
};

// K12: a program that opens, writes a little and closes, again and again.
TEST(CheckpointerSchedule, K12TheLogStaysBoundedOverManyShortRuns) {
  SimulatedFileSystem disk;
  const ManualClock clock;
  for (int run = 0; run < 100; ++run) {
    auto store = open(disk, options_of(Durability::durable), clock);
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(store->put({{"key" + std::to_string(i), std::string(2000, 'v')}}).ok());
    ASSERT_TRUE(store->close().ok());
    EXPECT_LE(log_files(disk).size_bytes, (64 + 16 + 64) * kKiB) << "run " << run;  // limit, one run, one segment
  }
}

// The same with next to nothing written: segments are bounded too.
TEST(CheckpointerSchedule, K12SegmentsStayBoundedOverManyTinyRuns) {
  SimulatedFileSystem disk;
  const ManualClock clock;
  std::uint64_t most = 0;
  for (std::uint64_t run = 0; run < 2 * kLogSegmentsMax; ++run) {
    auto store = open(disk, options_of(Durability::durable), clock);
    ASSERT_TRUE(store->put({{"key", "v"}}).ok());
    ASSERT_TRUE(store->close().ok());
    most = std::max(most, log_files(disk).count);
  }
  EXPECT_LE(most, kLogSegmentsMax + 2);
  EXPECT_GE(most, kLogSegmentsMax / 2) << "a snapshot a run would be as wrong as none";
}

TEST(CheckpointerSchedule, TheLimitGrowsWithTheLiveData) {
  SimulatedFileSystem disk;
  const ManualClock clock;
  TestStoreOptions options = options_of(Durability::durable);
  options.starts = false;  // decided at closing alone
  options.checkpointer.log_percent = 200;
  auto store = open(disk, options, clock);
  // 300 KiB of live data: 200 % of it is above the least size, and above what the log has.
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(store->put({{"key" + std::to_string(i), std::string(kKiB, 'v')}}).ok());
  ASSERT_TRUE(store->close().ok());
  EXPECT_TRUE(store->checkpointer().snapshots().empty());
  store = open(disk, options, clock);
  for (int i = 0; i < 350; ++i) ASSERT_TRUE(store->put({{"key0", std::string(kKiB, 'w')}}).ok());
  ASSERT_TRUE(store->close().ok());
  EXPECT_EQ(store->checkpointer().snapshots().size(), 1U);
}

TEST(CheckpointerSchedule, S99_OpeningRemovesNoFileThatOnlyBeginsLikeOurs) {
  SimulatedFileSystem disk;
  const ManualClock clock;
  ASSERT_TRUE(open(disk, options_of(Durability::durable), clock)->close().ok());
  for (const char* name : {"d/part-list.txt", "d/part-", "d/part-01", "d/part-7x", "d/part-7"}) disk.put(name, "mine");
  ASSERT_TRUE(open(disk, options_of(Durability::durable), clock)->close().ok());
  for (const char* name : {"d/part-list.txt", "d/part-", "d/part-01", "d/part-7x"}) {
    EXPECT_TRUE(disk.content(name)) << name;
  }
  EXPECT_FALSE(disk.content("d/part-7")) << "a leftover";
}

TEST(CheckpointerSchedule, S103_FoldersOfOthersThatAreNamedLikeSnapshotsStay) {
  SimulatedFileSystem disk;
  const ManualClock clock;
  const TestStoreOptions options = options_of(Durability::durable);
  auto store = open(disk, options, clock);
  ASSERT_TRUE(store->put({{"key", "old"}}).ok());
  ASSERT_TRUE(store->checkpointer().snapshot().ok());
  ASSERT_TRUE(store->close().ok());
  ASSERT_TRUE(disk.copy_tree("d/snapshot-1", "d/snapshot-7"));  // to have it back
  ASSERT_TRUE(disk.copy_tree("d", "elsewhere"));
  ASSERT_TRUE(disk.copy_tree("elsewhere", "d/snapshot-9"));  // a whole store
  disk.put("d/snapshot-11/mine.txt", "mine");
  const auto before = disk.contents();
  store = open(disk, options, clock);
  disk.inject({.operation = Operation::rename, .path_contains = "MANIFEST"});
  EXPECT_FALSE(store->checkpointer().snapshot().ok());
  ASSERT_TRUE(store->checkpointer().snapshot().ok());
  ASSERT_TRUE(store->checkpointer().prune(0).ok());
  ASSERT_TRUE(store->close().ok());
  ASSERT_TRUE(open(disk, options, clock)->close().ok());
  for (const auto& [path, content] : before) {
    for (const char* folder : {"d/snapshot-7/", "d/snapshot-9/", "d/snapshot-11/"}) {
      if (path.starts_with(folder)) {
        EXPECT_EQ(disk.content(path), content) << path;
      }
    }
  }
}

/// Whichever of them is listed first.
TEST(CheckpointerSchedule, S126_ALeftoverThatCannotBeRemovedKeepsNoOther) {
  const std::vector<std::string> leftovers = {"d/snapshot-3.tmp/part-0", "d/snapshot-4.tmp/part-0"};
  for (const std::string& stays : leftovers) {
    SimulatedFileSystem disk;
    const ManualClock clock;
    const TestStoreOptions options = options_of(Durability::durable);
    ASSERT_TRUE(open(disk, options, clock)->close().ok());
    for (const std::string& leftover : leftovers) disk.put(leftover, "");
    disk.inject({.operation = Operation::remove_file, .path_contains = stays});
    auto store = open(disk, options, clock);
    for (const std::string& leftover : leftovers) EXPECT_EQ(disk.content(leftover).has_value(), leftover == stays);
    ASSERT_TRUE(store->put({{"key", "value"}}).ok());
    EXPECT_EQ(store->checkpointer().snapshot().value().ordinal, 5U) << "no ordinal is used again";
    ASSERT_TRUE(store->close().ok());
  }
}

TEST(CheckpointerSchedule, AGrowingLogWakesTheThread) {
  RelaxedStore relaxed;
  TestStore& store = *relaxed.store;
  for (int round = 1; round <= 3; ++round) {
    for (int i = 0; i < 70; ++i) ASSERT_TRUE(store.put({{"key", std::string(kKiB, 'v')}}).ok());
    ASSERT_TRUE(relaxed.events.wait_for(Event::Kind::snapshot_published, round));
  }
  ASSERT_TRUE(store.close().ok());
}

// The record of new entries makes a snapshot due, and the entries, once they are there, make it not due: the thread may
// look before or after.
TEST(CheckpointerSchedule, S97_NewEntriesThatRaiseTheLimitDoNotEndTheLooking) {
  constexpr std::uint64_t kNewBytes = 64 * kKiB;
  RelaxedStore relaxed;
  TestStore& store = *relaxed.store;
  std::uint64_t live_bytes = 0;
  for (; live_bytes < 256 * kKiB; live_bytes += kKiB) {
    ASSERT_TRUE(store.put({{"key" + std::to_string(live_bytes), std::string(kKiB, 'v')}}).ok());
  }
  const auto overwrite = [&] { ASSERT_TRUE(store.put({{"key0", std::string(kKiB, 'w')}}).ok()); };
  for (int round = 0; round < 5; ++round) {
    ASSERT_TRUE(store.checkpointer().snapshot().ok());
    while (store.log().log_bytes() + kNewBytes / 2 < live_bytes) overwrite();
    const auto published = relaxed.events.count(Event::Kind::snapshot_published);
    ASSERT_TRUE(store.put({{"new" + std::to_string(round), std::string(kNewBytes, 'v')}}).ok());
    live_bytes += kNewBytes;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the thread looks
    for (std::uint64_t written = 0; written < 2 * live_bytes; written += kKiB) overwrite();
    ASSERT_TRUE(relaxed.events.wait_for(Event::Kind::snapshot_published, published + 1)) << "round " << round;
  }
  ASSERT_TRUE(store.close().ok());
}

// The writes that make the next snapshot due all come while the one before is being published, and none after it.
TEST(CheckpointerSchedule, ALogThatGrewDuringASnapshotIsLookedAtWhenItEnds) {
  struct Publishing {
    Events events;
    os::Mutex mutex;
    os::CondVar changed;
    bool may_end TUSKV_GUARDED_BY(mutex) = false;
  } publishing;
  SimulatedFileSystem disk;
  const ManualClock clock;
  TestStoreOptions options = options_of(Durability::relaxed);
  options.checkpointer.event_context = &publishing;
  options.checkpointer.on_event = [](void* context, const Event& event) {
    auto& state = *static_cast<Publishing*>(context);
    state.events.add(event.kind);
    os::MutexLock lock(state.mutex);
    while (!state.may_end) state.changed.wait(state.mutex);
  };
  auto store = open(disk, options, clock);
  const auto write = [&] {
    for (int i = 0; i < 70; ++i) ASSERT_TRUE(store->put({{"key", std::string(kKiB, 'v')}}).ok());
  };
  write();
  ASSERT_TRUE(publishing.events.wait_for(Event::Kind::snapshot_published, 1));
  write();
  {
    os::MutexLock lock(publishing.mutex);
    publishing.may_end = true;
    publishing.changed.notify_all();
  }
  EXPECT_TRUE(publishing.events.wait_for(Event::Kind::snapshot_published, 2));
  ASSERT_TRUE(store->close().ok());
}

TEST(CheckpointerSchedule, UnloggedIsWrittenOnItsInterval) {
  SimulatedFileSystem disk;
  const ManualClock clock;
  Events events;
  TestStoreOptions options = options_of(Durability::unlogged);
  options.checkpointer.interval_ms = 1;
  events.attach(options.checkpointer);
  auto store = open(disk, options, clock);
  for (int round = 1; round <= 3; ++round) {
    ASSERT_TRUE(store->put({{"key", std::to_string(round)}}).ok());
    ASSERT_TRUE(events.wait_for(Event::Kind::snapshot_published, round));
  }
  auto after = disk.crash_image(CrashMode::lose_unsynced, 1);
  EXPECT_EQ(state_in(*after, "/d"), (State{{"key", "3"}}));
  ASSERT_TRUE(store->close().ok());
}

TEST(CheckpointerSchedule, UnloggedSaysSoWhenItCannotKeepItsDataAtClosing) {
  SimulatedFileSystem disk;
  const ManualClock clock;
  auto store = open(disk, options_of(Durability::unlogged), clock);
  ASSERT_TRUE(store->put({{"key", "v"}}).ok());
  disk.inject({.operation = Operation::rename, .for_ever = true, .error = ENOSPC});
  const Status closed = store->close();
  ASSERT_FALSE(closed.ok());
  EXPECT_EQ(closed.failure().code, Code::NoSpace);
}

/// A turn that comes when the directory may be another's already.
TEST(CheckpointerSchedule, S1_WhatWaitedForItsTurnIsRefusedAfterClosing) {
  for (const Durability durability : {Durability::durable, Durability::unlogged}) {
    SimulatedFileSystem disk;
    const ManualClock clock;
    auto store = open(disk, options_of(durability), clock);
    ASSERT_TRUE(store->put({{"a", "1"}}).ok());
    ASSERT_TRUE(store->close().ok());
    const auto contents = disk.contents();
    const auto code_of = [](const auto& result) { return result.ok() ? Code::Internal : result.failure().code; };
    EXPECT_EQ(code_of(store->checkpointer().snapshot()), Code::Closed);
    EXPECT_EQ(code_of(store->checkpointer().snapshot_if_changed()), Code::Closed);
    EXPECT_EQ(code_of(store->checkpointer().prune(0)), Code::Closed);
    EXPECT_TRUE(disk.contents() == contents);
  }
}

/// Whoever put it there.
TEST(CheckpointerSchedule, S2_AFolderThatHasTheNameAlreadyIsLeftAlone) {
  SimulatedFileSystem disk;
  const ManualClock clock;
  auto store = open(disk, options_of(Durability::durable), clock);
  ASSERT_TRUE(store->put({{"a", "1"}}).ok());
  disk.put("d/snapshot-1/part-0", "of another store");
  EXPECT_FALSE(store->checkpointer().snapshot().ok());
  EXPECT_EQ(disk.content("d/snapshot-1/part-0"), "of another store");
  EXPECT_FALSE(disk.content("d/snapshot-1.tmp/part-0"));
  EXPECT_TRUE(store->checkpointer().snapshot().ok()) << "it has another name";
}

// A logged store loses nothing when the snapshot that closing would like to take fails.
TEST(CheckpointerSchedule, LoggedClosesWithoutTheSnapshotThatIsDue) {
  SimulatedFileSystem disk;
  const ManualClock clock;
  TestStoreOptions options = options_of(Durability::durable);
  options.starts = false;
  auto store = open(disk, options, clock);
  for (int i = 0; i < 70; ++i) ASSERT_TRUE(store->put({{"key", std::string(kKiB, 'v')}}).ok());
  disk.inject({.operation = Operation::make_directory, .for_ever = true});
  EXPECT_TRUE(store->close().ok());
  EXPECT_EQ(store->checkpointer().failure_count(), 1U);
  EXPECT_EQ(state_in(disk, "/d").size(), 1U);
}

// 4.4 rule 7: reported, tried again, and never in the way of writes.
TEST(CheckpointerSchedule, K8AFailureIsReportedAndTriedAgain) {
  RelaxedStore relaxed;
  TestStore& store = *relaxed.store;
  relaxed.disk.inject({.operation = Operation::make_directory});
  for (int i = 0; i < 70; ++i) ASSERT_TRUE(store.put({{"key", std::string(kKiB, 'v')}}).ok());
  ASSERT_TRUE(relaxed.events.wait_for(Event::Kind::snapshot_failed, 1));
  ASSERT_TRUE(store.put({{"key", "later"}}).ok());
  ASSERT_TRUE(relaxed.events.wait_for(Event::Kind::snapshot_published, 1));
  EXPECT_EQ(store.checkpointer().failure_count(), 1U);
  ASSERT_TRUE(store.close().ok());
}

// E11: the files of a recording belong to one snapshot. When they cannot be synced, that snapshot is all that is lost.
TEST(CheckpointerSchedule, E11AFailedSyncOfARecordingCostsOneSnapshot) {
  SimulatedFileSystem disk;
  const ManualClock clock;
  auto store = open(disk, options_of(Durability::unlogged), clock);
  ASSERT_TRUE(store->put({{"a", "1"}}).ok());
  disk.inject({.operation = Operation::sync, .path_contains = ".tlog", .nth = 2});  // the first one is of its header
  const auto failed = store->checkpointer().snapshot();
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.failure().code, Code::Io);
  EXPECT_EQ(failed.failure().outcome, Outcome::not_applied);
  EXPECT_NE(failed.failure().message.find("the snapshot it belongs to is given up"), std::string::npos)
      << failed.failure().message;
  ASSERT_TRUE(store->put({{"b", "2"}}).ok());
  const auto taken = store->checkpointer().snapshot();
  ASSERT_TRUE(taken.ok()) << taken.failure().message;
  ASSERT_TRUE(store->put({{"c", "3"}}).ok());
  ASSERT_TRUE(store->close().ok());
  EXPECT_EQ(disk.faults_met(), 1U);
  EXPECT_EQ(state_in(disk, "/d"), (State{{"a", "1"}, {"b", "2"}, {"c", "3"}}));
}

// A manifest whose replacement failed at its last step may be on the disk all the same, and name the first segment.
TEST(CheckpointerSchedule, ASegmentThatTheManifestMayNameOutlivesTheClose) {
  SimulatedFileSystem disk;
  const ManualClock clock;
  auto store = open(disk, options_of(Durability::durable), clock);
  disk.inject({.operation = Operation::sync_directory, .nth = 2});  // the first one is of the segment's name
  EXPECT_FALSE(store->put({{"a", "1"}}).ok());
  EXPECT_EQ(disk.faults_met(), 1U);
  ASSERT_TRUE(store->close().ok());
  store = open(disk, options_of(Durability::durable), clock);
  ASSERT_NE(store, nullptr);
  ASSERT_TRUE(store->put({{"b", "2"}}).ok());
  ASSERT_TRUE(store->close().ok());
  EXPECT_EQ(state_in(disk, "/d"), (State{{"b", "2"}}));
}

// E13: the disk is full, then it is not.
TEST(CheckpointerSchedule, AFullDiskCostsASnapshotAndNothingElse) {
  for (const Durability durability : {Durability::durable, Durability::unlogged}) {
    SimulatedFileSystem disk;
    const ManualClock clock;
    TestStoreOptions options = options_of(durability);
    options.starts = durability == Durability::unlogged;
    auto store = open(disk, options, clock);
    State state;
    for (int i = 0; i < 200; ++i) state["key" + std::to_string(i)] = std::string(kKiB, 'v');
    ASSERT_TRUE(store->put(state).ok());
    ASSERT_TRUE(store->checkpointer().snapshot().ok());
    ASSERT_TRUE(store->put({{"key0", "second"}}).ok());
    state["key0"] = "second";
    const std::uint64_t capacity = std::uint64_t{1} << 40U;
    disk.set_capacity(disk.free_bytes("/d").ok() ? capacity - disk.free_bytes("/d").value() + 100 * kKiB : 0);
    for (int i = 0; i < 3; ++i) {
      auto taken = store->checkpointer().snapshot();
      ASSERT_FALSE(taken.ok());
      EXPECT_EQ(taken.failure().code, Code::NoSpace) << taken.failure().message;
      ASSERT_TRUE(store->put({{"key1", std::to_string(i)}}).ok()) << "writes go on";
      state["key1"] = std::to_string(i);
    }
    EXPECT_EQ(store->checkpointer().failure_count(), 3U);
    for (const auto& [path, content] : disk.contents()) EXPECT_EQ(path.find(".tmp/"), std::string::npos) << path;
    EXPECT_TRUE(store->checkpointer().prune(0).ok()) << "space can be made";
    disk.set_capacity(capacity);
    EXPECT_TRUE(store->checkpointer().snapshot().ok());
    ASSERT_TRUE(store->close().ok());
    EXPECT_EQ(state_in(disk, "/d"), state);
  }
}

}  // namespace
}  // namespace tuskv::embedded
