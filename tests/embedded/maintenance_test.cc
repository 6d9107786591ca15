#include "embedded/maintenance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "embedded/snapshot.h"
#include "embedded/test_store.h"
#include "support/simulated_file_system.h"

namespace tuskv::embedded {
namespace {

using test::CrashMode;
using test::ManualClock;
using test::Operation;
using test::SimulatedFileSystem;

constexpr std::int64_t kNowUs = 1'800'000'000'000'000;

TestStoreOptions options_of(Durability durability = Durability::durable) {
  TestStoreOptions options;
  options.checkpointer.durability = durability;
  options.checkpointer.threads = 1;
  options.checkpointer.keep_snapshots = 10;
  options.shards = 2;
  return options;
}

std::unique_ptr<TestStore> open(os::FileSystem& disk, const ManualClock& clock,
                                Durability durability = Durability::durable) {
  auto store = TestStore::open(disk, options_of(durability), clock);
  EXPECT_TRUE(store.ok()) << store.failure().message;
  return store.ok() ? std::move(store).value() : nullptr;
}

State state_in(os::FileSystem& disk, const std::string& directory) {
  auto loaded = load_store(disk, directory);
  EXPECT_TRUE(loaded.ok()) << loaded.failure().message;
  return loaded.ok() ? TestStore::contents_of(*loaded.value().keyspace) : State{};
}

/// Two snapshots, with records behind the second; returns the state at each snapshot and at the end.
std::vector<State> fill(SimulatedFileSystem& disk, bool closes = true) {
  const ManualClock clock;
  auto store = open(disk, clock);
  std::vector<State> states;
  State state;
  for (int round = 1; round <= 3; ++round) {
    for (int i = 0; i < 5; ++i) {
      const std::string key = "key" + std::to_string(i * round);
      state[key] = "value" + std::to_string(round) + std::string(20, 'v');
      EXPECT_TRUE(store->put({{key, state[key]}}).ok());
    }
    EXPECT_TRUE(store->erase("key4").ok());
    state.erase("key4");
    if (round < 3) {
      EXPECT_TRUE(store->checkpointer().snapshot().ok());
    }
    states.push_back(state);
  }
  if (closes) {
    EXPECT_TRUE(store->close().ok());
  }
  return states;
}

std::vector<std::string> files_below(const SimulatedFileSystem& disk, const std::string& prefix) {
  std::vector<std::string> names;
  for (const auto& [path, content] : disk.contents()) {
    if (path.starts_with(prefix) && !path.ends_with("LOCK")) names.push_back(path);
  }
  return names;
}

// ---- check

TEST(Check, FindsNothingWrongAndChangesNothing) {
  SimulatedFileSystem disk;
  const std::vector<State> states = fill(disk);
  const auto before = disk.contents();
  auto report = check_store(disk, "/d");
  ASSERT_TRUE(report.ok()) << report.failure().message;
  EXPECT_TRUE(report.value().damage.empty()) << report.value().damage[0].file << report.value().damage[0].what;
  EXPECT_EQ(report.value().entries, states[2].size());
  EXPECT_EQ(report.value().records, 6U);
  EXPECT_GE(report.value().files, files_below(disk, "d/").size());
  EXPECT_EQ(disk.contents(), before);
}

TEST(Check, RefusesWhatIsNoStoreAndWhatIsOpen) {
  SimulatedFileSystem disk;
  disk.put("other/file", "text");
  EXPECT_EQ(check_store(disk, "/other").failure().code, Code::Config);
  EXPECT_EQ(check_store(disk, "/missing").failure().code, Code::Config);
  EXPECT_EQ(files_below(disk, "other/").size(), 1U) << "nothing is put into somebody else's directory";
  const ManualClock clock;
  auto store = open(disk, clock);
  EXPECT_EQ(check_store(disk, "/d").failure().code, Code::Busy);
  ASSERT_TRUE(store->close().ok());
}

// E7: each flipped bit of each file is found, naming the file, or changes nothing that counts.
TEST(Check, EveryFlippedBitIsFoundOrHarmless) {
  SimulatedFileSystem disk;
  const std::vector<State> states = fill(disk);
  const auto contents = disk.contents();
  for (const std::string& file : files_below(disk, "d/")) {
    const std::uint64_t bits = contents.at(file).size() * 8;
    // Padding of preallocated segments is tried here and there only.
    const std::uint64_t dense = std::min<std::uint64_t>(bits, contents.at(file).find_last_not_of('\0') * 8 + 128);
    for (std::uint64_t bit = 0; bit < bits; bit += bit < dense ? 7 : 30'011) {
      ASSERT_TRUE(disk.flip_bit(file, bit));
      auto report = check_store(disk, "/d");
      ASSERT_TRUE(report.ok()) << file << " " << bit << " " << report.failure().message;
      if (report.value().damage.empty()) {
        EXPECT_EQ(state_in(disk, "/d"), states[2]) << file << " bit " << bit;
        EXPECT_EQ(state_in(disk, "/d/snapshot-1"), states[0]) << file << " bit " << bit;
        EXPECT_EQ(state_in(disk, "/d/snapshot-2"), states[1]) << file << " bit " << bit;
      } else {
        EXPECT_EQ(report.value().damage[0].file, "/" + file) << report.value().damage[0].what;
      }
      disk.flip_bit(file, bit);
    }
  }
}

// E8: each file cut at each length, or gone.
TEST(Check, EveryTruncationIsFoundOrHarmless) {
  SimulatedFileSystem disk;
  const std::vector<State> states = fill(disk);
  const auto contents = disk.contents();
  for (const std::string& file : files_below(disk, "d/")) {
    const std::string& bytes = contents.at(file);
    for (std::size_t size = 0; size <= bytes.size(); size += 3) {
      const bool removed = size == bytes.size();
      if (removed) {
        disk.remove(file);
      } else {
        disk.put(file, bytes.substr(0, size));
      }
      auto report = check_store(disk, "/d");
      ASSERT_TRUE(report.ok()) << report.failure().message;
      if (report.value().damage.empty()) {
        EXPECT_EQ(state_in(disk, "/d"), states[2]) << file << " cut to " << size;
      } else {
        const std::string& named = report.value().damage[0].file;
        EXPECT_TRUE(named == "/" + file || named == "/d") << named << " for " << file;
      }
      disk.put(file, bytes);
      if (size + 3 > bytes.size() && !removed) size = bytes.size() - 3;
    }
  }
}

TEST(Check, ReportsAllDamageNotOnlyTheFirst) {
  SimulatedFileSystem disk;
  fill(disk);
  std::set<std::string> damaged;
  for (const std::string& file : files_below(disk, "d/")) {
    const bool is_part = file.find("/part-") != std::string::npos;
    if (!is_part && file != "d/snapshot-1/MANIFEST") continue;
    damaged.insert("/" + file);
    ASSERT_TRUE(disk.flip_bit(file, 8 * 70));
  }
  auto report = check_store(disk, "/d");
  ASSERT_TRUE(report.ok()) << report.failure().message;
  std::set<std::string> found;
  for (const Damage& damage : report.value().damage) found.insert(damage.file);
  damaged.erase("/d/snapshot-1/part-0");  // its folder has no readable manifest any more
  damaged.erase("/d/snapshot-1/part-1");
  EXPECT_EQ(found, damaged);
}

TEST(Check, S38_ReadersShareTheDirectoryAndWriteNothing) {
  SimulatedFileSystem disk;
  fill(disk);
  disk.remove("d/LOCK");
  const auto before = disk.contents();
  const std::uint64_t changes = disk.operation_count();
  const auto reader = share_store(disk, "/d");
  ASSERT_TRUE(reader.ok());
  EXPECT_TRUE(check_store(disk, "/d").value().damage.empty());
  EXPECT_EQ(list_store_snapshots(disk, "/d").value().size(), 2U);
  EXPECT_EQ(disk.operation_count(), changes);
  EXPECT_EQ(disk.contents(), before);
  EXPECT_EQ(prune_store_snapshots(disk, "/d", 0).failure().code, Code::Busy);
  EXPECT_EQ(restore_store(disk, "/d", 1, kNowUs).failure().code, Code::Busy);
  EXPECT_EQ(repair_store(disk, "/d", kNowUs).failure().code, Code::Busy);
}

/// Numbers that a store can have, but not this one: the files there are decide.
TEST(Check, S37_EndsWhateverNumbersTheManifestHas) {
  constexpr std::uint64_t kMany = std::uint64_t{1} << 60U;
  const std::vector<void (*)(Manifest&)> changes = {
      [](Manifest& m) { m.last_log_ordinal = kMany; },
      [](Manifest& m) { m.snapshot.delta_count = kMany; },
      [](Manifest& m) {
        m.snapshot.first_delta_ordinal = kMany;
        m.snapshot.delta_count = 1;
      },
      [](Manifest& m) { m.durable_sequence = kMany; },
      [](Manifest& m) { m.snapshot.parts[0] = {.size_bytes = kMany, .checksum = 1, .entries = kMany / 64}; },
      [](Manifest& m) { m.snapshot.parts.resize(1000); },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    SimulatedFileSystem disk;
    const std::vector<State> states = fill(disk);
    Manifest manifest = read_manifest(disk, "/d").value();
    changes[i](manifest);
    ASSERT_TRUE(write_manifest(disk, "/d", manifest).ok()) << i;
    const ManualClock clock;
    const auto opened = TestStore::open(disk, options_of(), clock);
    ASSERT_FALSE(opened.ok()) << i;
    EXPECT_EQ(opened.failure().code, Code::Corruption) << i;
    const auto report = check_store(disk, "/d");
    ASSERT_TRUE(report.ok()) << i << ": " << report.failure().message;
    EXPECT_GE(report.value().damage.size(), 1U) << i;
    EXPECT_LE(report.value().damage.size(), 1002U) << i;
    ASSERT_TRUE(repair_store(disk, "/d", kNowUs).ok()) << i;
    if (i < 5) {
      EXPECT_EQ(state_in(disk, "/d"), states[2]) << i;
    }
    EXPECT_TRUE(check_store(disk, "/d").value().damage.empty()) << i;
  }
}

/// What lost its manifest is a backup that needs help, not one that was on its way out.
TEST(Check, S35_AKeptSnapshotWithoutItsManifestIsDamagedAndStays) {
  SimulatedFileSystem disk;
  const std::vector<State> states = fill(disk);
  const std::vector<std::string> parts = {"d/snapshot-1/part-0", "d/snapshot-1/part-1"};
  const auto before = disk.contents();
  disk.remove("d/snapshot-1/MANIFEST");
  const auto report = check_store(disk, "/d");
  ASSERT_TRUE(report.ok());
  ASSERT_EQ(report.value().damage.size(), 1U);
  EXPECT_EQ(report.value().damage[0].file, "/d/snapshot-1/MANIFEST");
  EXPECT_NE(report.value().damage[0].what.find("is missing"), std::string::npos) << report.value().damage[0].what;

  const ManualClock clock;
  auto store = open(disk, clock);
  ASSERT_NE(store, nullptr);
  EXPECT_EQ(store->contents(), states[2]);
  ASSERT_TRUE(store->checkpointer().snapshot().ok());
  EXPECT_TRUE(store->checkpointer().prune(0).ok());
  ASSERT_TRUE(store->close().ok());
  for (const std::string& part : parts) EXPECT_EQ(disk.content(part), before.at(part)) << part;

  const auto repaired = repair_store(disk, "/d", kNowUs);
  ASSERT_TRUE(repaired.ok());
  for (const std::string& part : parts) {
    EXPECT_EQ(disk.content(repaired.value().backup.substr(1) + part.substr(1)), before.at(part)) << part;
  }
  EXPECT_TRUE(check_store(disk, "/d").value().damage.empty());
  EXPECT_EQ(state_in(disk, "/d"), states[2]);
}

TEST(Check, ATornTailIsCountedAndNoDamage) {
  SimulatedFileSystem disk;
  const ManualClock clock;
  TestStoreOptions options = options_of(Durability::relaxed);
  auto store = TestStore::open(disk, options, clock);
  ASSERT_TRUE(store.ok());
  ASSERT_TRUE(store.value()->put({{"a", "1"}}).ok());
  ASSERT_TRUE(store.value()->log().wait_synced(1, 1000).ok());
  ASSERT_TRUE(store.value()->put({{"b", std::string(100, 'b')}}).ok());
  auto after = disk.crash_image(CrashMode::keep_all, 1);
  const auto contents = after->contents();
  for (const auto& [path, bytes] : contents) {
    if (!path.starts_with("d/log-")) continue;
    std::string torn = bytes.substr(0, bytes.find_last_not_of('\0') - 5);
    torn.resize(bytes.size());
    after->put(path, torn);
  }
  auto report = check_store(*after, "/d");
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report.value().damage.empty());
  EXPECT_GT(report.value().torn_bytes, 0U);
  auto repaired = repair_store(*after, "/d", kNowUs);
  ASSERT_TRUE(repaired.ok());
  EXPECT_TRUE(repaired.value().backup.empty()) << "nothing to repair";
}

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
      auto store = open(disk, clock);
      ASSERT_NE(store, nullptr);
      EXPECT_GT(store->put({{"new", "1"}}).value(), 18U);
      ASSERT_TRUE(store->close().ok());
    }
  }
}

TEST(Repair, DamageInTheLogKeepsTheRecordsBehindIt) {
  SimulatedFileSystem disk;
  const ManualClock clock;
  auto store = open(disk, clock);
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

// ---- snapshots of a directory

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
    auto store = open(disk, clock, durability);
    EXPECT_EQ(store->put({{"new", "1"}}).value(), 19U);
    ASSERT_TRUE(store->close().ok());
    // And back again; now the restored snapshot 4 and a new state lie between.
    ASSERT_TRUE(restore_store(disk, "/d", 3, kNowUs).ok());
    EXPECT_EQ(state_in(disk, "/d"), states[2]);
  }
}

TEST(Restore, OfTheNewestAlone) {
  SimulatedFileSystem disk;
  const ManualClock clock;
  auto store = open(disk, clock, Durability::unlogged);
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
      auto store = open(*after, clock);
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
