#include "embedded/checkpointer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "embedded/maintenance.h"
#include "embedded/snapshot.h"
#include "embedded/test_store.h"
#include "support/simulated_file_system.h"

namespace tuskv::embedded {
namespace {

using test::CrashMode;
using test::ManualClock;
using test::Operation;
using test::SimulatedFileSystem;

constexpr Durability kDurabilities[] = {Durability::durable, Durability::relaxed, Durability::unlogged};

TestStoreOptions options_of(Durability durability, const std::string& directory = "/d") {
  TestStoreOptions options;
  options.checkpointer.directory = directory;
  options.checkpointer.durability = durability;
  options.checkpointer.threads = 1;
  options.checkpointer.interval_ms = 7LL * 24 * 3600 * 1000;
  return options;
}

std::unique_ptr<TestStore> open(os::FileSystem& disk, const TestStoreOptions& options, const ManualClock& clock) {
  auto store = TestStore::open(disk, options, clock);
  EXPECT_TRUE(store.ok()) << store.failure().message;
  return store.ok() ? std::move(store).value() : nullptr;
}

/// What the directory holds, read as check does: nothing is changed.
State state_in(os::FileSystem& disk, const std::string& directory) {
  auto loaded = load_store(disk, directory);
  EXPECT_TRUE(loaded.ok()) << loaded.failure().message;
  return loaded.ok() ? TestStore::contents_of(*loaded.value().keyspace) : State{};
}

std::vector<std::uint64_t> ordinals_of(const Checkpointer& checkpointer) {
  std::vector<std::uint64_t> ordinals;
  for (const SnapshotInfo& info : checkpointer.snapshots()) ordinals.push_back(info.ordinal);
  return ordinals;
}

std::vector<std::string> names_below(const SimulatedFileSystem& disk, const std::string& prefix) {
  std::vector<std::string> names;
  for (const auto& [path, content] : disk.contents()) {
    if (path.starts_with(prefix)) names.push_back(path);
  }
  return names;
}

TEST(Checkpointer, SnapshotTakesThePlaceOfTheLog) {
  for (const Durability durability : kDurabilities) {
    SimulatedFileSystem disk;
    const ManualClock clock;
    auto store = open(disk, options_of(durability), clock);
    ASSERT_TRUE(store->put({{"a", "1"}, {"b", "2"}}).ok());
    ASSERT_TRUE(store->erase("b").ok());
    auto taken = store->checkpointer().snapshot();
    ASSERT_TRUE(taken.ok()) << taken.failure().message;
    EXPECT_EQ(taken.value().ordinal, 1U);
    EXPECT_EQ(taken.value().sequence, 2U);
    EXPECT_EQ(taken.value().entries, 1U);
    EXPECT_EQ(store->log().log_bytes(), 0U);
    ASSERT_TRUE(store->put({{"c", "3"}}).ok());
    ASSERT_TRUE(store->close().ok());
    store = open(disk, options_of(durability), clock);
    EXPECT_EQ(store->contents(), (State{{"a", "1"}, {"c", "3"}}));
    EXPECT_EQ(store->recovered().last_sequence, 3U);
    EXPECT_EQ(store->recovered().records, durability == Durability::unlogged ? 0U : 1U);
    ASSERT_TRUE(store->close().ok());
  }
}

TEST(Checkpointer, UnloggedCrashGoesBackToTheSnapshot) {
  SimulatedFileSystem disk;
  const ManualClock clock;
  auto store = open(disk, options_of(Durability::unlogged), clock);
  ASSERT_TRUE(store->put({{"a", "1"}}).ok());
  ASSERT_TRUE(store->checkpointer().snapshot_if_changed().ok());
  ASSERT_TRUE(store->checkpointer().snapshot_if_changed().ok());
  EXPECT_EQ(ordinals_of(store->checkpointer()), (std::vector<std::uint64_t>{1}));
  ASSERT_TRUE(store->put({{"b", "2"}}).ok());
  for (const CrashMode mode : test::kCrashModes) {
    auto after = disk.crash_image(mode, 1);
    auto reopened = open(*after, options_of(Durability::unlogged), clock);
    EXPECT_EQ(reopened->contents(), (State{{"a", "1"}}));
  }
}

TEST(Checkpointer, G4EveryDurabilityOpensWhatAnotherLeft) {
  for (const Durability first : kDurabilities) {
    for (const Durability second : kDurabilities) {
      for (const Durability third : kDurabilities) {
        SimulatedFileSystem disk;
        const ManualClock clock;
        State expected;
        std::uint64_t last_sequence = 0;
        for (const Durability durability : {first, second, third}) {
          auto store = open(disk, options_of(durability), clock);
          ASSERT_NE(store, nullptr);
          ASSERT_EQ(store->contents(), expected);
          EXPECT_EQ(store->recovered().last_sequence, last_sequence);
          const std::string key = "key" + std::to_string(expected.size());
          last_sequence = store->put({{key, "v"}}).value();
          expected[key] = "v";
          ASSERT_TRUE(store->close().ok());
        }
        EXPECT_EQ(state_in(disk, "/d"), expected);
      }
    }
  }
}

TEST(Checkpointer, KeepsTheConfiguredNumberK13) {
  for (const std::size_t keep : {0U, 1U, 3U}) {
    SimulatedFileSystem disk;
    const ManualClock clock;
    TestStoreOptions options = options_of(Durability::durable);
    options.checkpointer.keep_snapshots = keep;
    auto store = open(disk, options, clock);
    for (std::uint64_t i = 1; i <= 6; ++i) {
      ASSERT_TRUE(store->put({{"key", std::to_string(i)}}).ok());
      ASSERT_TRUE(store->checkpointer().snapshot().ok());
      const auto kept = ordinals_of(store->checkpointer());
      EXPECT_EQ(kept.size(), std::min<std::uint64_t>(keep + 1, i));
      EXPECT_EQ(kept.back(), i);
    }
    // The names agree with the list, and nothing else is left.
    auto folders = list_snapshot_folders(disk, "/d", nullptr, UINT64_MAX);
    ASSERT_TRUE(folders.ok());
    EXPECT_EQ(folders.value().size(), keep + 1);
    // K20: each one can be chosen, and holds what it held.
    for (const Manifest& folder : folders.value()) {
      EXPECT_EQ(state_in(disk, "/d/" + snapshot_folder_name(folder.snapshot.ordinal)),
                (State{{"key", std::to_string(folder.snapshot.ordinal)}}));
    }
    auto removed = store->checkpointer().prune(0);
    ASSERT_TRUE(removed.ok());
    EXPECT_EQ(removed.value(), keep);
    EXPECT_EQ(ordinals_of(store->checkpointer()), (std::vector<std::uint64_t>{6}));
    ASSERT_TRUE(store->close().ok());
    EXPECT_EQ(state_in(disk, "/d"), (State{{"key", "6"}}));
  }
}

TEST(Checkpointer, ExpiredEntriesAreLeftOutUnlessExpiryIsDisabled) {
  for (const bool keeps_expired : {false, true}) {
    SimulatedFileSystem disk;
    ManualClock clock;
    TestStoreOptions options = options_of(Durability::durable);
    options.checkpointer.keeps_expired = keeps_expired;
    auto store = open(disk, options, clock);
    const std::int64_t soon = clock.now_us() + 1000;
    ASSERT_TRUE(store->put({{"dies", "1"}}, soon).ok());
    ASSERT_TRUE(store->put({{"lives", "2"}}, soon + 1).ok());
    clock.set_us(soon);
    ASSERT_TRUE(store->checkpointer().snapshot().ok());
    ASSERT_TRUE(store->close().ok());
    // E19: the clock set back brings nothing to life, for the manifest knows how late it was.
    clock.advance_us(-1'000'000);
    store = open(disk, options, clock);
    EXPECT_EQ(store->contents(), keeps_expired ? (State{{"dies", "1"}, {"lives", "2"}}) : (State{{"lives", "2"}}));
    EXPECT_GE(std::max(store->recovered().clock_high_us, store->recovered().manifest.clock_high_us), soon);
    ASSERT_TRUE(store->close().ok());
  }
}

// ---- while writes go on

constexpr int kWriters = 4;

/// Writer `writer` puts the same number under three keys, spread over shards, or erases all three.
void write_batches(TestStore& store, int writer, const std::atomic<bool>& stop) {
  const std::string prefix = "writer" + std::to_string(writer);
  const std::string keys[] = {prefix + "a", prefix + "b", prefix + "c"};
  for (int i = 1; !stop.load(); ++i) {
    const std::string number = std::to_string(i);
    if (i % 5 == 0) {
      ASSERT_TRUE(store
                      .apply({{.op = ChangeOp::erase, .key = keys[0]},
                              {.op = ChangeOp::erase, .key = keys[1]},
                              {.op = ChangeOp::erase, .key = keys[2]}})
                      .ok());
    } else {
      ASSERT_TRUE(store.put({{keys[0], number}, {keys[1], number}, {keys[2], number}}).ok());
    }
    ASSERT_TRUE(
        store.put({{"filler" + std::to_string(i % 500), std::string(static_cast<std::size_t>(i % 200), 'f')}}).ok());
  }
}

void expect_whole_batches(const State& state, const std::string& what) {
  for (int writer = 0; writer < kWriters; ++writer) {
    const auto value = [&](const char* suffix) {
      const auto found = state.find("writer" + std::to_string(writer) + suffix);
      return found == state.end() ? std::string() : found->second;
    };
    EXPECT_EQ(value("a"), value("b")) << what;
    EXPECT_EQ(value("a"), value("c")) << what;
  }
}

TEST(Checkpointer, EachSnapshotUnderWritesShowsWholeBatches) {
  for (const Durability durability : {Durability::relaxed, Durability::unlogged}) {
    SimulatedFileSystem disk;
    const ManualClock clock;
    TestStoreOptions options = options_of(durability);
    options.checkpointer.keep_snapshots = 100;
    options.checkpointer.threads = 2;
    options.shards = 16;
    auto store = open(disk, options, clock);
    std::atomic<bool> stop = false;
    std::vector<std::thread> writers;
    for (int i = 0; i < kWriters; ++i) writers.emplace_back([&store, i, &stop] { write_batches(*store, i, stop); });
    std::uint64_t with_delta = 0;
    for (int i = 0; i < 8; ++i) {
      auto taken = store->checkpointer().snapshot();
      ASSERT_TRUE(taken.ok()) << taken.failure().message;
    }
    stop = true;
    for (std::thread& writer : writers) writer.join();
    ASSERT_TRUE(store->close().ok());
    auto folders = list_snapshot_folders(disk, "/d", nullptr, UINT64_MAX);
    ASSERT_TRUE(folders.ok());
    ASSERT_GE(folders.value().size(), 8U);
    for (const Manifest& folder : folders.value()) {
      with_delta += folder.snapshot.end_sequence > folder.snapshot.start_sequence ? 1 : 0;
      const std::string name = snapshot_folder_name(folder.snapshot.ordinal);
      // Copied elsewhere, and in place.
      ASSERT_TRUE(disk.copy_tree("d/" + name, "copies/" + name));
      const State copied = state_in(disk, "/copies/" + name);
      expect_whole_batches(copied, "copied " + name);
      for (const Durability opened : kDurabilities) {
        for (const std::string& place : {"/copies/" + name, "/d/" + name}) {
          auto alone = open(disk, options_of(opened, place), clock);
          ASSERT_NE(alone, nullptr);
          EXPECT_EQ(alone->contents(), copied) << place;
          EXPECT_EQ(alone->recovered().last_sequence, folder.snapshot.end_sequence);
          ASSERT_TRUE(alone->close().ok());
        }
      }
    }
    EXPECT_GT(with_delta, 0U) << "no write came during a snapshot: the test shows nothing";
    expect_whole_batches(state_in(disk, "/d"), "the store");
  }
}

// ---- folders opened as stores

TEST(Checkpointer, ACopiedFolderBecomesAnOrdinaryStore) {
  for (const Durability durability : kDurabilities) {
    SimulatedFileSystem disk;
    const ManualClock clock;
    auto store = open(disk, options_of(Durability::durable), clock);
    ASSERT_TRUE(store->put({{"a", "1"}}).ok());
    ASSERT_TRUE(store->checkpointer().snapshot().ok());
    ASSERT_TRUE(store->close().ok());
    ASSERT_TRUE(disk.copy_tree("d/snapshot-1", "copy"));

    store = open(disk, options_of(durability, "/copy"), clock);
    EXPECT_EQ(ordinals_of(store->checkpointer()), (std::vector<std::uint64_t>{1}));
    ASSERT_TRUE(store->put({{"b", "2"}}).ok());
    auto taken = store->checkpointer().snapshot();
    ASSERT_TRUE(taken.ok()) << taken.failure().message;
    EXPECT_EQ(taken.value().ordinal, 2U);
    EXPECT_TRUE(names_below(disk, "copy/part-").empty()) << "the parts it began with are superseded";
    ASSERT_TRUE(store->close().ok());
    EXPECT_EQ(state_in(disk, "/copy"), (State{{"a", "1"}, {"b", "2"}}));
    EXPECT_EQ(state_in(disk, "/d"), (State{{"a", "1"}}));
  }
}

// ---- failures

/// Puts `entries`; when that fails with an unknown outcome, `unknown` is the state that it may have led to.
void put_into(TestStore& store, State& state, std::optional<State>& unknown, const State& entries) {
  State next = state;
  for (const auto& [key, value] : entries) next[key] = value;
  auto put = store.put(entries);
  if (put.ok()) {
    state = next;
  } else if (put.failure().outcome == Outcome::unknown && !unknown.has_value()) {
    unknown = next;
  }
}

/// Puts, a snapshot, and a put again: returns whether the snapshot was taken. Every put that returns success is in
/// `state`.
bool work(TestStore& store, State& state, int round, std::optional<State>& unknown) {
  for (int i = 0; i < 6; ++i) {
    const std::string key = "key" + std::to_string(i + round);
    const std::string value = std::to_string(round) + std::string(100, 'v');
    put_into(store, state, unknown, {{key, value}, {"twin" + key, value}});
  }
  const bool taken = store.checkpointer().snapshot().ok();
  put_into(store, state, unknown, {{"after", std::to_string(round)}});
  return taken;
}

bool work(TestStore& store, State& state, int round) {
  std::optional<State> unknown;
  const bool taken = work(store, state, round, unknown);
  EXPECT_FALSE(unknown.has_value());
  return taken;
}

// K5, K8, E10: whichever single call of a snapshot fails, nothing false is published, no write is lost, writes go on,
// and the next snapshot succeeds.
TEST(Checkpointer, K5AnySingleFailedCallPublishesNothingFalse) {
  const ManualClock clock;
  const Operation operations[] = {Operation::create, Operation::open,           Operation::write,
                                  Operation::sync,   Operation::link,           Operation::rename,
                                  Operation::list,   Operation::sync_directory, Operation::make_directory,
                                  Operation::read,   Operation::remove_file};
  for (const Durability durability : {Durability::durable, Durability::unlogged}) {
    for (const Operation operation : operations) {
      for (std::uint64_t nth = 1; nth < 200; ++nth) {
        SimulatedFileSystem disk;
        State state;
        auto store = open(disk, options_of(durability), clock);
        ASSERT_TRUE(work(*store, state, 1));
        disk.inject({.operation = operation, .path_contains = "snapshot-2", .nth = nth, .error = EIO});
        const bool taken = work(*store, state, 2);
        const bool met = disk.faults_met() != 0;
        EXPECT_EQ(store->checkpointer().failure_count(), taken ? 0U : 1U);
        EXPECT_EQ(store->contents(), state);
        disk.clear_faults();
        const std::string what = std::string(to_string(operation)) + " " + std::to_string(nth);
        if (durability == Durability::durable) {
          auto after = disk.crash_image(CrashMode::lose_unsynced, nth);
          EXPECT_EQ(state_in(*after, "/d"), state) << what;
        }
        ASSERT_TRUE(work(*store, state, 3)) << what;
        ASSERT_TRUE(store->close().ok()) << what;
        EXPECT_EQ(state_in(disk, "/d"), state) << what;
        for (const std::string& name : names_below(disk, "d/")) EXPECT_EQ(name.find(".tmp"), std::string::npos) << name;
        if (!met) break;
      }
    }
  }
}

// The manifest's own replacement may fail after the new one is in place: then both must stay good.
TEST(Checkpointer, AFailedPublicationLeavesBothManifestsGood) {
  const ManualClock clock;
  for (const Operation operation : {Operation::create, Operation::write, Operation::sync, Operation::rename}) {
    for (std::uint64_t nth = 1; nth <= 3; ++nth) {
      SimulatedFileSystem disk;
      State state;
      auto store = open(disk, options_of(Durability::durable), clock);
      ASSERT_TRUE(work(*store, state, 1));
      disk.inject({.operation = operation, .path_contains = "/d/MANIFEST", .nth = nth, .for_ever = true});
      work(*store, state, 2);
      work(*store, state, 3);
      for (const CrashMode mode : test::kCrashModes) {
        auto after = disk.crash_image(mode, nth);
        EXPECT_EQ(state_in(*after, "/d"), state) << to_string(operation);
      }
      disk.clear_faults();
      ASSERT_TRUE(work(*store, state, 4));
      ASSERT_TRUE(store->close().ok());
      EXPECT_EQ(state_in(disk, "/d"), state);
    }
  }
}

TEST(Checkpointer, AFailedDirectorySyncBehindThePublicationLosesNothing) {
  const ManualClock clock;
  for (std::uint64_t nth = 1; nth <= 12; ++nth) {
    SimulatedFileSystem disk;
    State state;
    auto store = open(disk, options_of(Durability::durable), clock);
    ASSERT_TRUE(work(*store, state, 1));
    disk.inject({.operation = Operation::sync_directory, .nth = nth});
    work(*store, state, 2);
    for (const CrashMode mode : test::kCrashModes) {
      auto after = disk.crash_image(mode, nth);
      auto loaded = load_store(*after, "/d");
      ASSERT_TRUE(loaded.ok()) << loaded.failure().message;
      EXPECT_EQ(TestStore::contents_of(*loaded.value().keyspace), state) << "directory sync " << nth;
    }
    disk.clear_faults();
    work(*store, state, 3);
    ASSERT_TRUE(work(*store, state, 4));
    ASSERT_TRUE(store->close().ok());
    EXPECT_EQ(state_in(disk, "/d"), state);
  }
}

// E4, E9, K10: the world stops at any operation of a run, in any way.
TEST(Checkpointer, ACrashAtEveryOperationLeavesTheRightState) {
  const ManualClock clock;
  for (const Durability durability : {Durability::durable, Durability::unlogged}) {
    for (std::uint64_t stop = 1;; ++stop) {
      SimulatedFileSystem disk;
      State before;
      auto store = open(disk, options_of(durability), clock);
      ASSERT_TRUE(work(*store, before, 1));
      ASSERT_TRUE(store->checkpointer().snapshot_if_changed().ok());
      disk.stop_at({.operation = disk.operation_count() + stop, .partly_written = stop % 2 == 1});
      State after = before;
      std::optional<State> unknown;
      const bool finished = work(*store, after, 2, unknown) && !disk.stopped();
      for (const CrashMode mode : test::kCrashModes) {
        auto image = disk.crash(mode, stop);
        const auto checked = check_store(*image, "/d");
        ASSERT_TRUE(checked.ok()) << checked.failure().message;
        EXPECT_TRUE(checked.value().damage.empty()) << to_string(mode) << " at " << stop << "\n" << disk.trace();
        auto reopened = TestStore::open(*image, options_of(durability), clock);
        ASSERT_TRUE(reopened.ok()) << to_string(mode) << " at " << stop << ": " << reopened.failure().message << "\n"
                                   << disk.trace();
        const State found = reopened.value()->contents();
        if (durability == Durability::durable) {
          EXPECT_TRUE(found == after || found == unknown) << to_string(mode) << " at " << stop << "\n" << disk.trace();
        } else {
          // All of one snapshot or all of the next.
          State next = after;
          next["after"] = before["after"];
          EXPECT_TRUE(found == before || found == next) << to_string(mode) << " at " << stop;
        }
        // And it goes on from there.
        State state = found;
        EXPECT_TRUE(work(*reopened.value(), state, 3));
        EXPECT_TRUE(reopened.value()->close().ok());
        EXPECT_EQ(state_in(*image, "/d"), state);
      }
      if (finished) break;
    }
  }
}

/// A sweep may still be at it when the store is closed.
TEST(Checkpointer, S13_TheTimeIsWrittenWhenItIsOldAndNeverOnceStopped) {
  auto disk = std::make_unique<test::SimulatedFileSystem>();
  test::ManualClock clock;
  auto store = TestStore::open(*disk, {}, clock).value();
  const auto writes = [&](std::int64_t age_us) {
    const std::uint64_t before = disk->count(test::Operation::rename);
    store->checkpointer().remember_time(age_us, 60'000);
    return disk->count(test::Operation::rename) - before;
  };
  EXPECT_EQ(writes(1), 1U);
  clock.advance_ms(1);
  EXPECT_EQ(writes(1'001), 0U);
  EXPECT_EQ(writes(1'000), 1U);
  clock.advance_ms(1);
  ASSERT_TRUE(store->close().ok());
  EXPECT_EQ(writes(1), 0U);
}

}  // namespace
}  // namespace tuskv::embedded
