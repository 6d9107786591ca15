// Repairing, restoring and pruning directories that are not open; check_test.cc has the check.
#include "embedded/maintenance.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "embedded/maintained_store.h"
#include "embedded/snapshot.h"

namespace tuskv::embedded {
namespace {

using test::CrashMode;
using test::ManualClock;
using test::SimulatedFileSystem;

// ---- repair

RepairReport repaired(SimulatedFileSystem& disk) {
  auto report = repair_store(disk, "/d", kNowUs);
  EXPECT_TRUE(report.ok()) << report.failure().message;
  if (!report.ok()) return {};
  auto checked = check_store(disk, "/d");
  EXPECT_TRUE(checked.ok());
  EXPECT_TRUE(checked.ok() && checked.value().damage.empty()) << checked.value().damage[0].file;
  return std::move(report).value();
}

TEST(Repair, LeavesAHealthyStoreAsItIs) {
  SimulatedFileSystem disk;
  const std::vector<State> states = fill(disk);
  const auto before = disk.contents();
  const RepairReport report = repaired(disk);
  EXPECT_TRUE(report.damage.empty());
  EXPECT_TRUE(report.backup.empty());
  EXPECT_EQ(report.entries_kept, states[2].size());
  EXPECT_EQ(disk.contents(), before);
}

// Damage in one place of any file costs at most what stood there, never the rest, and the files as found are kept.
TEST(Repair, KeepsAllButWhatIsDamaged) {
  SimulatedFileSystem original;
  const std::vector<State> states = fill(original);
  for (const std::string& file : files_below(original, "d/")) {
    for (const std::uint64_t byte : {3U, 70U, 100U, 130U, 200U}) {
      SimulatedFileSystem disk;
      ASSERT_FALSE(fill(disk).empty());
      if (!disk.flip_bit(file, byte * 8)) continue;
      const auto found = disk.contents();
      const bool was_damaged = !check_store(disk, "/d").value().damage.empty();
      const RepairReport report = repaired(disk);
      EXPECT_EQ(report.damage.empty(), !was_damaged);
      if (!was_damaged) continue;
      ASSERT_FALSE(report.backup.empty());
      for (const auto& [path, bytes] : found) {
        if (path.ends_with("LOCK") || !path.starts_with("d/")) continue;
        EXPECT_EQ(disk.content(report.backup.substr(1) + path.substr(1)), bytes) << path << " in the backup";
      }
      // Every value is one that was written for its key, and at most one block or a few records are lost.
      const State state = state_in(disk, "/d");
      EXPECT_EQ(report.entries_kept, state.size());
      for (const auto& [key, value] : state) EXPECT_TRUE(value.starts_with("value")) << key;
      const bool is_manifest = file.ends_with("MANIFEST");
      const bool is_old = file.starts_with("d/snapshot-1/");
      if (is_manifest || is_old) {
        EXPECT_EQ(state, states[2]) << file << " byte " << byte;
      }
      // And it works as a store: sequences go on above the old ones.
      const ManualClock clock;
      auto store = open_maintained(disk, clock);
      ASSERT_NE(store, nullptr);
      EXPECT_GT(store->put({{"new", "1"}}).value(), 18U);
      ASSERT_TRUE(store->close().ok());
    }
  }
}

TEST(Repair, DamageInTheLogKeepsTheRecordsBehindIt) {
  SimulatedFileSystem disk;
  const ManualClock clock;
  auto store = open_maintained(disk, clock);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(store->put({{"key" + std::to_string(i), std::string(40, 'v')}}).ok());
  ASSERT_TRUE(store->close().ok());
  const std::string log = files_below(disk, "d/log-").front();
  ASSERT_TRUE(disk.flip_bit(log, 8 * (disk.content(log)->find("key4") + 1)));
  const RepairReport report = repaired(disk);
  EXPECT_EQ(report.records_dropped, 1U);
  EXPECT_EQ(report.entries_kept, 9U);
  State expected;
  for (int i = 0; i < 10; ++i) {
    if (i != 4) expected["key" + std::to_string(i)] = std::string(40, 'v');
  }
  EXPECT_EQ(state_in(disk, "/d"), expected);
}

/// Of 2000 entries, which nothing but a snapshot has.
TEST(Repair, S40_CountsTheEntriesOfLostParts) {
  constexpr std::uint64_t kEntries = 2000;
  const auto flip = [](SimulatedFileSystem& disk, const char* file) { ASSERT_TRUE(disk.flip_bit(file, 8 * 5000)); };
  struct Case {
    std::function<void(SimulatedFileSystem&)> damage;
    bool loses_some = true;
    bool is_known = true;
  };
  const std::vector<Case> cases = {
      {[&](auto& disk) { flip(disk, "d/snapshot-1/part-0"); }},
      {[&](auto& disk) { disk.remove("d/snapshot-1/part-1"); }},
      {[&](auto& disk) {
        flip(disk, "d/snapshot-1/part-0");
        disk.remove("d/snapshot-1/part-1");
      }},
      {[](auto& disk) { disk.remove("d/snapshot-1"); }},
      {[](auto& disk) { disk.remove("d/MANIFEST"); }, false},
      {[](auto& disk) {
         disk.remove("d/MANIFEST");
         disk.remove("d/snapshot-1/MANIFEST");
       },
       false},
      {[](auto& disk) {
         disk.remove("d/MANIFEST");
         disk.remove("d/snapshot-1/MANIFEST");
         disk.remove("d/snapshot-1/part-1");
       },
       true, false},
  };
  for (std::size_t i = 0; i < cases.size(); ++i) {
    SimulatedFileSystem disk;
    const ManualClock clock;
    auto store = open_maintained(disk, clock);
    State state;
    for (std::uint64_t n = 0; n < kEntries; ++n) state["key" + std::to_string(n)] = std::string(60, 'v');
    ASSERT_TRUE(store->put(state).ok());
    ASSERT_TRUE(store->checkpointer().snapshot().ok());
    ASSERT_TRUE(store->close().ok());
    cases[i].damage(disk);
    EXPECT_FALSE(check_store(disk, "/d").value().damage.empty()) << i;
    const RepairReport report = repaired(disk);
    EXPECT_EQ(report.entries_dropped.has_value(), cases[i].is_known) << i;
    EXPECT_EQ(report.records_dropped, 0U) << i;
    EXPECT_EQ(report.entries_kept, state_in(disk, "/d").size()) << i;
    EXPECT_EQ(report.entries_kept < kEntries, cases[i].loses_some) << i;
    if (report.entries_dropped) {
      EXPECT_EQ(report.entries_kept + *report.entries_dropped, kEntries) << i;
    }
  }
}

TEST(Repair, WithoutAnyManifest) {
  SimulatedFileSystem disk;
  const std::vector<State> states = fill(disk);
  for (const char* file : {"d/MANIFEST", "d/snapshot-1/MANIFEST", "d/snapshot-2/MANIFEST"}) disk.remove(file);
  const RepairReport report = repaired(disk);
  EXPECT_FALSE(report.backup.empty());
  EXPECT_EQ(state_in(disk, "/d"), states[2]);
}

TEST(Repair, WithoutTheNewestSnapshotTakesAnOlderOne) {
  SimulatedFileSystem disk;
  const std::vector<State> states = fill(disk);
  disk.remove("d/snapshot-2");
  const RepairReport report = repaired(disk);
  EXPECT_EQ(report.records_dropped, 6U);
  State expected = states[0];
  for (const char* key : {"key0", "key3", "key6", "key9", "key12"}) expected[key] = states[2].at(key);
  EXPECT_EQ(state_in(disk, "/d"), expected);
}

TEST(Repair, SaysWhenNothingCanBeRead) {
  SimulatedFileSystem disk;
  disk.put("d/" + segment_name(1), "no segment");
  auto report = repair_store(disk, "/d", kNowUs);
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.failure().code, Code::Corruption);
}

TEST(Repair, ACrashAtEveryOperationLosesNothingMore) {
  for (std::uint64_t stop = 1;; ++stop) {
    SimulatedFileSystem disk;
    const std::vector<State> states = fill(disk);
    ASSERT_TRUE(disk.flip_bit("d/snapshot-1/part-0", 8 * 80));
    ASSERT_TRUE(disk.flip_bit("d/MANIFEST", 80));
    disk.stop_at({.operation = disk.operation_count() + stop});
    const bool finished = repair_store(disk, "/d", kNowUs).ok() && !disk.stopped();
    for (const CrashMode mode : test::kCrashModes) {
      auto after = disk.crash(mode, stop);
      repaired(*after);
      EXPECT_EQ(state_in(*after, "/d"), states[2]) << to_string(mode) << " at " << stop;
    }
    if (finished) break;
  }
}

/// What lies in `folder` now, for somebody to find it unchanged.
std::map<std::string, std::string> files_in(const SimulatedFileSystem& disk, const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const auto& [path, bytes] : disk.contents()) {
    if (path.starts_with(folder + "/")) files.emplace(path, bytes);
  }
  return files;
}

/// The snapshot of another store as `folder`.
void put_foreign_snapshot(SimulatedFileSystem& disk, const std::string& folder, std::uint64_t ordinal) {
  ASSERT_TRUE(disk.copy_tree("d/snapshot-1", folder));
  Manifest manifest = read_manifest(disk, "/" + folder).value();
  manifest.store_id[0] ^= 1U;
  manifest.snapshot.ordinal = ordinal;
  ASSERT_TRUE(write_manifest(disk, "/" + folder, manifest).ok());
}

TEST(Repair, S118_ASnapshotOfAnotherStoreIsNoneToStartFrom) {
  for (const bool knows_manifest : {true, false}) {
    SimulatedFileSystem disk;
    const std::vector<State> states = fill(disk);
    put_foreign_snapshot(disk, "d/snapshot-9", 9);
    const auto foreign = files_in(disk, "d/snapshot-9");
    disk.remove("d/snapshot-2");
    if (!knows_manifest) disk.remove("d/MANIFEST");
    const RepairReport report = repaired(disk);
    EXPECT_EQ(report.records_dropped, 6U);
    State expected = states[0];
    for (const char* key : {"key0", "key3", "key6", "key9", "key12"}) expected[key] = states[2].at(key);
    EXPECT_EQ(state_in(disk, "/d"), expected);
    EXPECT_EQ(files_in(disk, "d/snapshot-9"), foreign);
  }
}

TEST(Repair, S118_NothingIsChosenWhereNobodyKnowsWhoseTheSnapshotsAre) {
  SimulatedFileSystem disk;
  fill(disk);
  const auto entries = disk.list("/d");
  for (const os::DirectoryEntry& entry : entries.value()) {
    if (entry.name.ends_with(".tlog")) disk.remove("d/" + entry.name);
  }
  disk.remove("d/MANIFEST");
  ASSERT_TRUE(disk.copy_tree("d", "known"));
  put_foreign_snapshot(disk, "d/snapshot-9", 9);
  const auto before = files_in(disk, "d");
  const auto refused = repair_store(disk, "/d", kNowUs);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.failure().code, Code::Corruption);
  EXPECT_NE(refused.failure().message.find("more than one store"), std::string::npos) << refused.failure().message;
  EXPECT_EQ(files_in(disk, "d"), before);
  EXPECT_TRUE(repair_store(disk, "/known", kNowUs).ok()) << "where all are of one store";
}

TEST(Repair, S127_ACopiedSnapshotWithoutItsManifestIsReadFromItsParts) {
  for (const bool is_missing : {false, true}) {
    for (const bool goes_on : {false, true}) {
      SimulatedFileSystem disk;
      State expected = fill(disk)[1];
      ASSERT_TRUE(disk.copy_tree("d/snapshot-2", "copy"));
      disk.remove("d");
      ASSERT_TRUE(disk.copy_tree("copy", "d"));
      if (goes_on) {
        const ManualClock clock;
        const auto store = open_maintained(disk, clock);
        ASSERT_TRUE(store->put({{"later", "1"}}).ok());
        ASSERT_TRUE(store->close().ok());
        expected["later"] = "1";
      }
      if (is_missing) {
        disk.remove("d/MANIFEST");
      } else {
        ASSERT_TRUE(disk.flip_bit("d/MANIFEST", 300));
      }
      const RepairReport report = repaired(disk);
      EXPECT_EQ(report.entries_dropped, 0U);
      EXPECT_EQ(report.records_dropped, 0U);
      EXPECT_EQ(state_in(disk, "/d"), expected) << is_missing << goes_on;
    }
  }
}

TEST(Repair, S118_FoldersOfOthersThatAreNamedLikeSnapshotsStay) {
  for (const char* damaged : {"d/MANIFEST", "d/snapshot-2/part-0"}) {
    SimulatedFileSystem disk;
    const std::vector<State> states = fill(disk);
    put_foreign_snapshot(disk, "d/snapshot-8", 8);
    ASSERT_TRUE(disk.copy_tree("d", "elsewhere"));
    ASSERT_TRUE(disk.copy_tree("elsewhere", "d/snapshot-9"));  // a whole store, which lacks something
    disk.remove("d/snapshot-9/snapshot-2");
    disk.put("d/snapshot-11/mine.txt", "mine");
    disk.remove("d/snapshot-1");
    disk.put("d/snapshot-1/mine.txt", "mine");
    std::map<std::string, std::map<std::string, std::string>> before;
    for (const char* folder : {"d/snapshot-1", "d/snapshot-8", "d/snapshot-9", "d/snapshot-11"}) {
      before[folder] = files_in(disk, folder);
    }
    EXPECT_TRUE(check_store(disk, "/d").value().damage.empty()) << "they are nobody's business";
    ASSERT_TRUE(disk.flip_bit(damaged, 80));
    repaired(disk);
    for (const auto& [folder, files] : before) EXPECT_EQ(files_in(disk, folder), files) << folder;
  }
}

// ---- snapshots of a directory

TEST(Prune, S119_SnapshotsOfAnotherStoreAreNeitherListedNorRemoved) {
  SimulatedFileSystem disk;
  fill(disk);
  put_foreign_snapshot(disk, "d/snapshot-1", 1);
  const auto foreign = files_in(disk, "d/snapshot-1");
  EXPECT_EQ(list_store_snapshots(disk, "/d").value().size(), 1U);
  EXPECT_FALSE(restore_store(disk, "/d", 1, kNowUs).ok());
  EXPECT_EQ(prune_store_snapshots(disk, "/d", 0).value(), 0U);
  const ManualClock clock;
  TestStoreOptions options = maintained_options();
  options.checkpointer.keep_snapshots = 1;
  auto store = TestStore::open(disk, options, clock);
  ASSERT_TRUE(store.ok());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(store.value()->checkpointer().snapshot().ok());
  ASSERT_TRUE(store.value()->close().ok());
  EXPECT_EQ(files_in(disk, "d/snapshot-1"), foreign);
  EXPECT_EQ(list_store_snapshots(disk, "/d").value().size(), 2U) << "the one kept and the newest";
}

TEST(Restore, MakesAKeptSnapshotThePresentState) {
  for (const Durability durability : {Durability::durable, Durability::unlogged}) {
    SimulatedFileSystem disk;
    const std::vector<State> states = fill(disk);
    auto before = restore_store(disk, "/d", 1, kNowUs);
    ASSERT_TRUE(before.ok()) << before.failure().message;
    EXPECT_EQ(before.value().ordinal, 3U);
    EXPECT_EQ(before.value().entries, states[2].size());
    EXPECT_EQ(state_in(disk, "/d"), states[0]);
    EXPECT_EQ(state_in(disk, "/d/snapshot-3"), states[2]) << "the state before is kept";
    EXPECT_TRUE(check_store(disk, "/d").value().damage.empty());
    // Versions go on above the highest ever used.
    const ManualClock clock;
    auto store = open_maintained(disk, clock, durability);
    EXPECT_EQ(store->put({{"new", "1"}}).value(), 19U);
    ASSERT_TRUE(store->close().ok());
    // And back again; now the restored snapshot 4 and a new state lie between.
    ASSERT_TRUE(restore_store(disk, "/d", 3, kNowUs).ok());
    EXPECT_EQ(state_in(disk, "/d"), states[2]);
  }
}

/// It is the only copy of what was acknowledged, and what was restored may have been the wrong one.
TEST(Restore, S41_TheStateBeforeOutlivesRetention) {
  for (const bool is_newest : {false, true}) {
    SimulatedFileSystem disk;
    State state = fill(disk)[2];
    const ManualClock clock;
    TestStoreOptions options = maintained_options();
    options.checkpointer.keep_snapshots = 1;
    const auto work = [&](int snapshots) {
      auto store = TestStore::open(disk, options, clock);
      ASSERT_TRUE(store.ok());
      for (int i = 0; i < snapshots; ++i) {
        ASSERT_TRUE(store.value()->put({{"new", std::to_string(i)}}).ok());
        ASSERT_TRUE(store.value()->checkpointer().snapshot().ok());
      }
      ASSERT_TRUE(store.value()->close().ok());
    };
    if (is_newest) {
      work(1);
      state = state_in(disk, "/d");
    }
    const auto listed = list_store_snapshots(disk, "/d").value();
    const auto before = restore_store(disk, "/d", listed.front().ordinal, kNowUs);
    ASSERT_TRUE(before.ok());
    EXPECT_TRUE(before.value().pinned);
    work(3);
    const auto after = list_store_snapshots(disk, "/d").value();
    ASSERT_EQ(after.size(), 3U) << "the pinned one, the one kept and the newest";
    EXPECT_EQ(after[0].ordinal, before.value().ordinal);
    EXPECT_TRUE(after[0].pinned && !after[1].pinned && !after[2].pinned);
    ASSERT_TRUE(restore_store(disk, "/d", after[0].ordinal, kNowUs).ok());
    EXPECT_EQ(state_in(disk, "/d"), state);
    EXPECT_GT(prune_store_snapshots(disk, "/d", 0).value(), 0U);
    EXPECT_EQ(list_store_snapshots(disk, "/d").value().size(), 1U) << "when it is asked for";
  }
}

TEST(Restore, OfTheNewestAlone) {
  SimulatedFileSystem disk;
  const ManualClock clock;
  auto store = open_maintained(disk, clock, Durability::unlogged);
  ASSERT_TRUE(store->put({{"a", "1"}}).ok());
  ASSERT_TRUE(store->close().ok());
  const auto before = disk.contents();
  auto restored = restore_store(disk, "/d", 1, kNowUs);
  ASSERT_TRUE(restored.ok());
  EXPECT_EQ(restored.value().ordinal, 1U);
  EXPECT_EQ(disk.contents(), before) << "it is the present state: nothing to do";
}

TEST(Restore, NamesTheSnapshotsThereAre) {
  SimulatedFileSystem disk;
  fill(disk);
  auto restored = restore_store(disk, "/d", 7, kNowUs);
  ASSERT_FALSE(restored.ok());
  EXPECT_EQ(restored.failure().code, Code::InvalidArgument);
  EXPECT_NE(restored.failure().message.find("it has 1, 2"), std::string::npos) << restored.failure().message;
}

TEST(Restore, ACrashAtEveryOperationGivesOneStateOrTheOther) {
  for (std::uint64_t stop = 1;; ++stop) {
    SimulatedFileSystem disk;
    const std::vector<State> states = fill(disk);
    disk.stop_at({.operation = disk.operation_count() + stop});
    const bool finished = restore_store(disk, "/d", 1, kNowUs).ok() && !disk.stopped();
    for (const CrashMode mode : test::kCrashModes) {
      auto after = disk.crash(mode, stop);
      const ManualClock clock;
      auto store = open_maintained(*after, clock);
      ASSERT_NE(store, nullptr);
      const State found = store->contents();
      EXPECT_TRUE(found == states[0] || found == states[2]) << to_string(mode) << " at " << stop;
      if (finished) {
        EXPECT_EQ(found, states[0]);
      }
      ASSERT_TRUE(store->close().ok());
      ASSERT_TRUE(restore_store(*after, "/d", 1, kNowUs).ok());
      EXPECT_EQ(state_in(*after, "/d"), states[0]);
    }
    if (finished) break;
  }
}

TEST(Prune, OfAClosedDirectory) {
  SimulatedFileSystem disk;
  const std::vector<State> states = fill(disk);
  auto listed = list_store_snapshots(disk, "/d");
  ASSERT_TRUE(listed.ok());
  ASSERT_EQ(listed.value().size(), 2U);
  EXPECT_EQ(listed.value()[0].ordinal, 1U);
  EXPECT_EQ(listed.value()[1].sequence, 12U);
  EXPECT_EQ(prune_store_snapshots(disk, "/d", 1).value(), 0U);
  EXPECT_EQ(prune_store_snapshots(disk, "/d", 0).value(), 1U);
  EXPECT_EQ(list_store_snapshots(disk, "/d").value().size(), 1U);
  EXPECT_EQ(state_in(disk, "/d"), states[2]);
}

}  // namespace
}  // namespace tuskv::embedded
