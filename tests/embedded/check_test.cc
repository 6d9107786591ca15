// What a check finds, and what it leaves alone.
#include <gtest/gtest.h>
#include <xxhash.h>

#include <algorithm>
#include <cstdio>
#include <set>
#include <string>
#include <vector>

#include "embedded/byte_order.h"
#include "embedded/maintained_store.h"
#include "embedded/manifest.h"
#include "embedded/segment.h"

namespace tuskv::embedded {
namespace {

using test::CrashMode;
using test::ManualClock;
using test::SimulatedFileSystem;

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
  auto store = open_maintained(disk, clock);
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

/// Not one for each file that was in it, and nothing that was not counted.
TEST(Check, S42_OneLineForASnapshotThatIsMissing) {
  SimulatedFileSystem disk;
  fill(disk);
  disk.remove("d/snapshot-2");
  const auto report = check_store(disk, "/d");
  ASSERT_TRUE(report.ok());
  ASSERT_EQ(report.value().damage.size(), 1U);
  EXPECT_EQ(report.value().damage[0].file, "/d/snapshot-2");
  EXPECT_EQ(report.value().damage[0].what, "the directory is missing");
  EXPECT_FALSE(report.value().entries || report.value().records);
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
    const auto opened = TestStore::open(disk, maintained_options(), clock);
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
  auto store = open_maintained(disk, clock);
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

/// The manifest as a later format may have it, which ends as every version does.
void make_manifest_newer(SimulatedFileSystem& disk, const std::string& file) {
  std::string text = disk.content(file).value();
  text = "tuskv manifest 3\n" + text.substr(text.find('\n') + 1);
  text.resize(text.find("checksum "));
  char line[32];
  std::snprintf(line, sizeof line, "checksum %016llx\n",
                static_cast<unsigned long long>(XXH3_64bits(text.data(), text.size())));
  disk.put(file, text + line);
}

/// Segments and parts have version and checksum at the same places.
void make_header_newer(SimulatedFileSystem& disk, const std::string& file) {
  std::string header = disk.content(file).value().substr(0, kSegmentHeaderBytes);
  store_integer(header, 8, std::uint32_t{2});
  store_integer(header, 56, XXH3_64bits(header.data(), 56));
  ASSERT_TRUE(disk.overwrite(file, 0, header));
}

void expect_left_alone(SimulatedFileSystem& disk, const std::string& file, bool opens) {
  SCOPED_TRACE(file);
  const auto before = disk.contents();
  const auto expect_refused = [&](const Failure& failure) {
    EXPECT_EQ(failure.code, Code::Config);
    EXPECT_TRUE(failure.message.starts_with("/" + file + " has format version ")) << failure.message;
  };
  const ManualClock clock;
  if (!opens) {
    const auto opened = TestStore::open(disk, maintained_options(), clock);
    ASSERT_FALSE(opened.ok());
    expect_refused(opened.failure());
  }
  const auto checked = check_store(disk, "/d");
  ASSERT_FALSE(checked.ok()) << "called damaged";
  expect_refused(checked.failure());
  const auto repaired = repair_store(disk, "/d", kNowUs);
  ASSERT_FALSE(repaired.ok()) << "rewritten";
  expect_refused(repaired.failure());
  EXPECT_EQ(disk.contents(), before);
}

TEST(Check, S117_WhatANewerProgramHasWrittenIsRefusedAndLeftAlone) {
  SimulatedFileSystem original;
  fill(original);
  for (const std::string& file : files_below(original, "d/")) {
    SimulatedFileSystem disk;
    fill(disk);
    file.ends_with("MANIFEST") ? make_manifest_newer(disk, file) : make_header_newer(disk, file);
    // What only a kept snapshot needs is not read by who opens the store.
    expect_left_alone(disk, file, file.starts_with("d/snapshot-1/") || file == "d/snapshot-2/MANIFEST");
  }
}

TEST(Check, S117_WhatANewerProgramHasWrittenIsLeftAloneBesideDamage) {
  SimulatedFileSystem disk;
  fill(disk);
  const std::string log = files_below(disk, "d/log-").back();
  make_header_newer(disk, log);
  ASSERT_TRUE(disk.flip_bit("d/snapshot-2/part-0", 8 * 70));
  expect_left_alone(disk, log, true);
  disk.remove("d/MANIFEST");
  const auto before = disk.contents();
  EXPECT_FALSE(repair_store(disk, "/d", kNowUs).ok());
  EXPECT_EQ(disk.contents(), before);
}

TEST(Check, ATornTailIsCountedAndNoDamage) {
  SimulatedFileSystem disk;
  const ManualClock clock;
  TestStoreOptions options = maintained_options(Durability::relaxed);
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

}  // namespace
}  // namespace tuskv::embedded
