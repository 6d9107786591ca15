#include "embedded/snapshot.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "support/random.h"
#include "support/simulated_file_system.h"

namespace tuskv::embedded {
namespace {

using test::CrashMode;
using test::Operation;
using test::SimulatedFileSystem;

using State = std::map<std::string, std::string>;

class Collector final : public EntrySink {
 public:
  void entry(const Change& put, std::uint64_t sequence) override {
    EXPECT_TRUE(state.emplace(put.key, put.value).second) << "a key comes twice";
    last_sequence = std::max(last_sequence, sequence);
  }
  State state = {};
  std::uint64_t last_sequence = 0;
};

void load(Keyspace& keyspace, const State& state, std::int64_t expires_us = 0) {
  std::uint64_t sequence = keyspace.entry_count();
  for (const auto& [key, value] : state) {
    const Change put{.key = key, .value = value, .expires_us = expires_us, .created_us = 1, .updated_us = 2};
    keyspace.load_entry(keyspace.hash(key), put, ++sequence);
  }
  for (std::size_t i = 0; i < keyspace.shard_count(); ++i) keyspace.finish_loading(i);
}

State random_state(std::size_t count) {
  test::Random random(count);
  State state;
  while (state.size() < count) state[random.bytes(1 + random.below(20))] = random.bytes(random.below(300));
  return state;
}

Manifest folder_manifest(std::uint64_t ordinal, std::vector<PartInfo> parts) {
  Manifest manifest{.hash_seed = 99, .is_snapshot_folder = true};
  manifest.store_id[0] = 7;
  manifest.snapshot.ordinal = ordinal;
  manifest.snapshot.start_sequence = 1'000'000;
  manifest.snapshot.end_sequence = 1'000'000;
  manifest.snapshot.parts = std::move(parts);
  return manifest;
}

/// A whole folder without a delta.
Manifest write_folder(os::FileSystem& disk, const std::string& folder, std::uint64_t ordinal, const Keyspace& keyspace,
                      std::size_t threads) {
  EXPECT_TRUE(disk.make_directory(folder).ok());
  Manifest manifest = folder_manifest(ordinal, {});
  PartHeader header = part_header(manifest, 0);
  header.part_count = keyspace.shard_count();
  auto parts = write_parts(disk, folder, header, keyspace, kKeepExpired, threads);
  EXPECT_TRUE(parts.ok());
  manifest.snapshot.parts = std::move(parts).value();
  EXPECT_TRUE(write_manifest(disk, folder, manifest).ok());
  return manifest;
}

State read_folder(os::FileSystem& disk, const std::string& folder, const Manifest& manifest) {
  Collector collector;
  for (std::size_t i = 0; i < manifest.snapshot.parts.size(); ++i) {
    const Status status = read_part(disk, folder, part_header(manifest, i), manifest.snapshot.parts[i], collector);
    EXPECT_TRUE(status.ok()) << status.failure().message;
  }
  return collector.state;
}

TEST(Snapshot, K9AnyNumberOfShardsAndThreads) {
  const State state = random_state(700);
  for (const std::size_t shards : {1U, 2U, 16U, 64U}) {
    Keyspace keyspace(shards, 5);
    load(keyspace, state);
    for (std::size_t threads = 1; threads <= 13; threads += 3) {
      SimulatedFileSystem disk;
      disk.put("d/other", "");
      const Manifest manifest = write_folder(disk, "/d/snapshot-1", 1, keyspace, threads);
      ASSERT_EQ(manifest.snapshot.parts.size(), shards);
      EXPECT_EQ(read_folder(disk, "/d/snapshot-1", manifest), state) << shards << " shards, " << threads << " threads";
      EXPECT_TRUE(verify_snapshot(disk, "/d/snapshot-1", manifest).ok());
      auto info = snapshot_info(disk, "/d/snapshot-1", manifest.snapshot);
      ASSERT_TRUE(info.ok());
      EXPECT_EQ(info.value().entries, state.size());
    }
  }
}

TEST(Snapshot, LeavesOutOnlyWhatIsDead) {
  Keyspace keyspace(16, 5);
  load(keyspace, {{"dead", "1"}}, 1000);
  load(keyspace, {{"just dead", "2"}}, 2000);
  load(keyspace, {{"live", "3"}}, 2001);
  load(keyspace, {{"eternal", "4"}});
  for (const bool keeps_expired : {false, true}) {
    SimulatedFileSystem disk;
    disk.put("d/other", "");
    PartHeader header{.part_count = 16};
    auto parts = write_parts(disk, "/d", header, keyspace, keeps_expired ? kKeepExpired : 2000, 1);
    ASSERT_TRUE(parts.ok());
    std::uint64_t entries = 0;
    for (const PartInfo& part : parts.value()) entries += part.entries;
    EXPECT_EQ(entries, keeps_expired ? 4U : 2U);
  }
}

// A page of 256 large values must not be copied at once: what is held is a block and one value.
TEST(Snapshot, LargeValuesAreDumpedOneByOne) {
  Keyspace keyspace(1, 5);
  State state;
  for (int i = 0; i < 20; ++i) state["key" + std::to_string(i)] = std::string(100'000, static_cast<char>('a' + i));
  load(keyspace, state);
  SimulatedFileSystem disk;
  disk.put("d/other", "");
  const Manifest manifest = write_folder(disk, "/d/snapshot-1", 1, keyspace, 1);
  EXPECT_EQ(read_folder(disk, "/d/snapshot-1", manifest), state);
  // Header, a block for each value, footer; then the manifest.
  EXPECT_GE(disk.count(Operation::write), 22U);
}

// K5: one failed call anywhere fails the dump, whichever thread met it.
TEST(Snapshot, K5EveryFailedCallFailsTheDump) {
  Keyspace keyspace(16, 5);
  load(keyspace, random_state(300));
  for (const std::size_t threads : {1U, 4U}) {
    for (const Operation operation : {Operation::create, Operation::write, Operation::sync}) {
      for (std::uint64_t nth = 1; nth <= 16; nth += 5) {
        SimulatedFileSystem disk;
        disk.put("d/other", "");
        disk.inject({.operation = operation, .nth = nth});
        auto parts = write_parts(disk, "/d", {.part_count = 16}, keyspace, kKeepExpired, threads);
        ASSERT_EQ(disk.faults_met(), 1U);
        EXPECT_FALSE(parts.ok());
      }
    }
  }
}

TEST(Snapshot, VerifyNoticesWhatIsMissingOrCut) {
  Keyspace keyspace(2, 5);
  load(keyspace, random_state(50));
  SimulatedFileSystem disk;
  disk.put("d/other", "");
  const Manifest manifest = write_folder(disk, "/d/snapshot-1", 1, keyspace, 1);
  const std::string part = disk.content("d/snapshot-1/part-1").value();
  disk.truncate_to("d/snapshot-1/part-1", part.size() - 1);
  EXPECT_FALSE(verify_snapshot(disk, "/d/snapshot-1", manifest).ok());
  disk.put("d/snapshot-1/part-1", part);
  EXPECT_TRUE(verify_snapshot(disk, "/d/snapshot-1", manifest).ok());
  Manifest with_delta = manifest;
  with_delta.snapshot.first_delta_ordinal = 4;
  with_delta.snapshot.delta_count = 1;
  EXPECT_FALSE(verify_snapshot(disk, "/d/snapshot-1", with_delta).ok());
  disk.remove("d/snapshot-1/MANIFEST");
  EXPECT_FALSE(verify_snapshot(disk, "/d/snapshot-1", manifest).ok());
}

TEST(Snapshot, SegmentsAreLinkedOrCopied) {
  for (const bool has_links : {true, false}) {
    SimulatedFileSystem disk;
    disk.put("d/" + segment_name(3), "three");
    disk.put("d/" + segment_name(4), std::string(3'000'000, '4'));
    disk.put("d/snapshot-1/other", "");
    if (!has_links) disk.inject({.operation = Operation::link, .for_ever = true, .error = EPERM});
    ASSERT_TRUE(link_segments(disk, "/d", "/d/snapshot-1", 3, 2).ok());
    EXPECT_EQ(disk.content("d/snapshot-1/" + segment_name(3)), "three");
    EXPECT_EQ(disk.content("d/snapshot-1/" + segment_name(4)), std::string(3'000'000, '4'));
    if (!has_links) {
      EXPECT_EQ(disk.count(Operation::sync), 2U);
    }
    EXPECT_FALSE(link_segments(disk, "/d", "/d/snapshot-1", 5, 1).ok());
  }
}

TEST(Snapshot, ListsPublishedFoldersByNumber) {
  Keyspace keyspace(1, 5);
  SimulatedFileSystem disk;
  disk.put("d/other", "");
  for (const std::uint64_t ordinal : {10U, 9U, 2U, 11U}) {
    write_folder(disk, "/d/" + snapshot_folder_name(ordinal), ordinal, keyspace, 1);
  }
  disk.put("d/snapshot-3/part-0", "a leftover");
  disk.put("d/snapshot-4/MANIFEST", "damaged");
  disk.put("d/snapshot-5.tmp/MANIFEST", "unfinished");
  disk.put("d/snapshot-6", "a file");
  ASSERT_TRUE(disk.copy_tree("d/snapshot-2", "d/snapshot-7"));  // somebody's copy, under another number
  auto listed = list_snapshot_folders(disk, "/d", nullptr, 10);
  ASSERT_TRUE(listed.ok());
  std::vector<std::uint64_t> ordinals;
  for (const Manifest& manifest : listed.value()) ordinals.push_back(manifest.snapshot.ordinal);
  EXPECT_EQ(ordinals, (std::vector<std::uint64_t>{2, 9, 10}));
}

// K10: a crash while a folder is removed leaves a folder that is whole, or none of that name.
TEST(Snapshot, K10_S35_RemovedByHalvesHasAnotherName) {
  Keyspace keyspace(4, 5);
  const State state = random_state(40);
  load(keyspace, state);
  for (std::uint64_t stop = 1;; ++stop) {
    SimulatedFileSystem disk;
    disk.put("d/other", "");
    const Manifest manifest = write_folder(disk, "/d/snapshot-1", 1, keyspace, 1);
    disk.make_all_durable();
    disk.stop_at({.operation = disk.operation_count() + stop});
    const bool removed = remove_snapshot_folder(disk, "/d/snapshot-1").ok();
    for (const CrashMode mode : test::kCrashModes) {
      auto after = disk.crash(mode, stop);
      if (after->kind("/d/snapshot-1").value() == os::FileKind::directory) {
        EXPECT_FALSE(removed);
        ASSERT_TRUE(after->content("d/snapshot-1/MANIFEST")) << to_string(mode) << " at " << stop;
        EXPECT_EQ(read_folder(*after, "/d/snapshot-1", manifest), state);
      }
      for (const auto& [path, content] : after->contents()) {
        EXPECT_TRUE(path.starts_with("d/snapshot-1/") || path.starts_with("d/snapshot-1.tmp/") || path == "d/other")
            << path;
      }
    }
    if (removed) break;
  }
}

/// A leftover of a removal, beside a folder that got the name again.
TEST(Snapshot, S35_ARemovalThatWasInterruptedIsEndedFirst) {
  Keyspace keyspace(4, 5);
  SimulatedFileSystem disk;
  disk.put("d/snapshot-1.tmp/part-0", "left");
  write_folder(disk, "/d/snapshot-1", 1, keyspace, 1);
  ASSERT_TRUE(remove_snapshot_folder(disk, "/d/snapshot-1").ok());
  EXPECT_TRUE(disk.list("/d").value().empty());
}

}  // namespace
}  // namespace tuskv::embedded
