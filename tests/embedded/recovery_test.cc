// Opening what openings, snapshots and other versions have left. Crashes are the matter of log_crash_test.cc, damage of
// recovery_damage_test.cc.
#include "embedded/recovery.h"

#include <gtest/gtest.h>
#include <xxhash.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "embedded/append_record.h"
#include "embedded/byte_order.h"
#include "embedded/log_reader.h"
#include "embedded/snapshot.h"
#include "embedded/store_fixture.h"
#include "support/simulated_file_system.h"

namespace tuskv::embedded {
namespace {

using test::CrashMode;
using test::Operation;
using test::SimulatedFileSystem;

std::unique_ptr<SimulatedFileSystem> empty_disk() {
  auto disk = std::make_unique<SimulatedFileSystem>();
  [[maybe_unused]] const Status made = disk->make_directory("d");
  disk->make_all_durable();
  return disk;
}

std::unique_ptr<LogStore> open_store(SimulatedFileSystem& disk) {
  Result<std::unique_ptr<LogStore>> opened = LogStore::open(disk);
  EXPECT_TRUE(opened.ok()) << opened.failure().message;
  return std::move(opened).value();
}

/// A closed store that holds the first `records` of the workload.
std::unique_ptr<SimulatedFileSystem> closed_store(int records) {
  auto disk = empty_disk();
  std::unique_ptr<LogStore> store = open_store(*disk);
  for (int i = 0; i < records; ++i) EXPECT_TRUE(store->append().ok());
  EXPECT_TRUE(store->log().close().ok());
  return disk;
}

TEST(Recovery, OpeningAClosedStoreWritesAndSyncsNoFile) {
  auto disk = closed_store(100);
  const std::uint64_t writes = disk->count(Operation::write);
  const std::uint64_t syncs = disk->count(Operation::sync);
  const auto before = disk->contents();
  Result<RecoveredState> found = recover_state(*disk, recovery_options());
  ASSERT_TRUE(found.ok()) << found.failure().message;
  EXPECT_EQ(found.value().state, workload_state(100));
  EXPECT_EQ(found.value().recovered.records, 100);
  EXPECT_EQ(found.value().recovered.torn_bytes, 0);
  EXPECT_EQ(disk->count(Operation::write), writes);
  EXPECT_EQ(disk->count(Operation::sync), syncs);
  EXPECT_EQ(disk->contents(), before);
}

TEST(Recovery, ReadingOnlyChangesNothing) {
  auto disk = empty_disk();
  std::unique_ptr<LogStore> store = open_store(*disk);
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(store->append().ok());
  const auto after = disk->crash_image(CrashMode::keep_all, 1);
  after->put("d/MANIFEST.tmp", "leftover");
  const std::uint64_t operations = after->operation_count();
  Result<RecoveredState> found = recover_state(*after, recovery_options(false));
  ASSERT_TRUE(found.ok()) << found.failure().message;
  EXPECT_EQ(found.value().state, workload_state(30));
  EXPECT_EQ(after->operation_count(), operations) << after->trace();
}

// E6, E11: an earlier failed sync leaves pages that look clean and are not on the disk. What is recovered from such a
// cache is there after a power loss, because recovery reads what the disk has.
TEST(Recovery, E11ServesOnlyWhatIsOnTheDiskAfterAFailedSync) {
  for (const test::SyncFailure failure :
       {test::SyncFailure::keeps_new_content, test::SyncFailure::returns_old_content}) {
    auto disk = empty_disk();
    std::unique_ptr<LogStore> store = open_store(*disk);
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(store->append().ok());
    ASSERT_TRUE(store->log().wait_synced(5, 60'000).ok());
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(store->append().ok());
    disk->inject({.operation = Operation::sync, .sync_failure = failure});
    ASSERT_FALSE(store->log().wait_synced(8, 60'000).ok());
    const auto after = disk->crash_image(CrashMode::process, 1);
    Result<RecoveredState> found = recover_state(*after, recovery_options());
    ASSERT_TRUE(found.ok()) << found.failure().message;
    ASSERT_GE(found.value().recovered.last_sequence, 5);
    const auto again = after->crash_image(CrashMode::lose_unsynced, 1);
    Result<RecoveredState> same = recover_state(*again, recovery_options());
    ASSERT_TRUE(same.ok()) << same.failure().message;
    EXPECT_EQ(same.value().recovered.last_sequence, found.value().recovered.last_sequence);
    EXPECT_EQ(same.value().state, found.value().state);
  }
}

/// A log whose first segment has lost the second sector of its seal, and the offset of that seal.
std::unique_ptr<SimulatedFileSystem> disk_with_torn_seal() {
  constexpr std::uint64_t kSectorBytes = 512;
  constexpr std::uint64_t kBytesBeforeTear = 16;  // checksum, length and kind
  for (std::size_t value_bytes = 0; value_bytes < kSectorBytes; value_bytes += kRecordAlignment) {
    auto disk = empty_disk();
    std::unique_ptr<LogStore> store = open_store(*disk);
    RecordBuffer record;
    record.start(RecordKind::changes);
    const std::string value(value_bytes, 'v');
    record.add({.op = ChangeOp::put, .key = "key", .value = value, .created_us = 1, .updated_us = 2});
    EXPECT_TRUE(append_record(store->log(), record).ok());
    const std::uint64_t seal_at = kSegmentHeaderBytes + store->log().log_bytes();
    if ((seal_at + kBytesBeforeTear) % kSectorBytes != 0) continue;
    EXPECT_TRUE(store->log().wait_synced(1, 60'000).ok());
    EXPECT_TRUE(store->log().roll().ok());
    auto torn = disk->crash_image(CrashMode::keep_all, 1);
    std::string bytes = torn->contents().at("d/log-1.tlog");
    bytes.replace(seal_at + kBytesBeforeTear, kRecordHeaderBytes - kBytesBeforeTear,
                  std::string(kRecordHeaderBytes - kBytesBeforeTear, '\0'));
    torn->put("d/log-1.tlog", bytes);
    return torn;
  }
  ADD_FAILURE() << "no size puts the seal across two sectors";
  return empty_disk();
}

// E5: recovery writes a close where a torn seal is, and removes the segment that the seal promised. Were that close
// torn too, the two could make one whole seal.
TEST(Recovery, E5ATornSealIsNotCompletedByTheCloseWrittenOverIt) {
  const auto torn = disk_with_torn_seal();
  for (std::uint64_t operation = 1;; ++operation) {
    const auto crashed = torn->crash_image(CrashMode::keep_all, 1);
    crashed->stop_at({.operation = operation, .partly_written = true});
    const bool ran_through = recover_state(*crashed, recovery_options()).ok();
    for (std::uint64_t seed = 0; seed < 16; ++seed) {
      const auto after = crashed->crash_image(CrashMode::torn_512, seed);
      Result<RecoveredState> found = recover_state(*after, recovery_options());
      ASSERT_TRUE(found.ok()) << "stopped at " << operation << ": " << found.failure().message << crashed->trace();
      EXPECT_EQ(found.value().state.size(), 1U);
    }
    if (ran_through) return;
  }
}

// K16: with more than nine segments, text order is not their order.
TEST(Recovery, K16ManySegmentsInNumericOrder) {
  auto disk = empty_disk();
  {
    std::unique_ptr<LogStore> store = open_store(*disk);
    for (int i = 0; i < 60; ++i) {
      ASSERT_TRUE(store->append().ok());
      if (i % 2 == 1) {
        ASSERT_TRUE(store->log().roll().ok());
      }
    }
    ASSERT_GT(store->log().segment_count(), 20);
    ASSERT_TRUE(store->log().close().ok());
  }
  for (const std::size_t threads : {1U, 2U, 4U, 7U}) {
    Result<RecoveredState> found = recover_state(*disk, {.directory = "d", .threads = threads});
    ASSERT_TRUE(found.ok()) << found.failure().message;
    EXPECT_EQ(found.value().state, workload_state(60));
  }
}

// E20: sequences and ordinals far beyond 32 bits, and many segments.
TEST(Recovery, E20LargeNumbersAndManySegments) {
  constexpr std::uint64_t kFirstOrdinal = std::uint64_t{1} << 40;
  constexpr std::uint64_t kFirstSequence = std::uint64_t{1} << 60;
  constexpr int kSegments = 1000;
  auto disk = empty_disk();
  Manifest manifest{.store_id = {1}, .hash_seed = 7};
  manifest.first_log_ordinal = kFirstOrdinal;
  manifest.last_log_ordinal = kFirstOrdinal - 1;
  manifest.first_log_sequence = kFirstSequence;
  ASSERT_TRUE(write_manifest(*disk, "d", manifest).ok());
  {
    Log log(disk.get(), {.directory = "d",
                         .store_id = manifest.store_id,
                         .segment_bytes_min = 4096,
                         .segment_bytes_max = 4096,
                         .next_ordinal = kFirstOrdinal,
                         .last_sequence = kFirstSequence - 1});
    RecordBuffer record;
    for (int i = 0; i < kSegments; ++i) {
      record.start(RecordKind::changes);
      record.add({.op = ChangeOp::put, .key = "k", .value = std::to_string(i)});
      ASSERT_TRUE(append_record(log, record).ok());
      ASSERT_TRUE(log.roll().ok());
    }
    ASSERT_TRUE(log.close().ok());
  }
  Result<RecoveredState> found = recover_state(*disk, recovery_options());
  ASSERT_TRUE(found.ok()) << found.failure().message;
  EXPECT_EQ(found.value().recovered.last_sequence, kFirstSequence + kSegments - 1);
  EXPECT_EQ(found.value().recovered.segments.size(), kSegments + 1);
  EXPECT_EQ(found.value().state, (State{{"k", std::to_string(kSegments - 1)}}));
}

// E18: a batch is one record, however large, across segments that are smaller.
TEST(Recovery, E18ABatchIsWholeOrAbsent) {
  for (const std::size_t lost_bytes : {0U, 8U, 4000U, 900'000U}) {
    auto disk = empty_disk();
    std::unique_ptr<LogStore> store = open_store(*disk);
    RecordBuffer record;
    record.start(RecordKind::changes);
    for (int i = 0; i < 20'000; ++i) {
      record.add({.op = ChangeOp::put, .key = "key" + std::to_string(i), .value = std::string(40, 'v')});
    }
    const std::size_t size = record.size_bytes();
    ASSERT_TRUE(append_record(store->log(), record).ok());
    const auto after = disk->crash_image(CrashMode::keep_all, 1);
    ASSERT_TRUE(
        after->overwrite("d/log-1.tlog", kSegmentHeaderBytes + size - lost_bytes, std::string(lost_bytes, '\0')));
    Result<RecoveredState> found = recover_state(*after, recovery_options());
    ASSERT_TRUE(found.ok()) << found.failure().message;
    EXPECT_EQ(found.value().state.size(), lost_bytes == 0 ? 20'000 : 0);
  }
}

TEST(Recovery, K18RemovesItsLeftoversAndNothingElse) {
  auto disk = closed_store(20);
  Manifest manifest = std::move(read_manifest(*disk, "d")).value();
  for (const char* name : {"MANIFEST.tmp", "log-3.tlog.tmp", "log-1.tlog.tmp"})
    disk->put(std::string("d/") + name, "x");
  const std::vector<std::string> foreign = {"notes.txt",    "log-01.tlog", "log-x.tlog",
                                            "MANIFEST.old", "notes.tmp",   "\xff\xfe"};
  for (const std::string& name : foreign) disk->put("d/" + name, "mine");
  ASSERT_TRUE(recover_state(*disk, recovery_options()).ok());
  const auto contents = disk->contents();
  for (const std::string& name : foreign) EXPECT_EQ(contents.at("d/" + name), "mine");
  for (const auto& [path, bytes] : contents) EXPECT_FALSE(path.ends_with(".tlog.tmp")) << path;
  EXPECT_FALSE(contents.contains("d/MANIFEST.tmp"));
  EXPECT_TRUE(contents.contains("d/log-1.tlog"));
}

TEST(Recovery, SegmentsBeforeTheFirstOneAreLeftovers) {
  auto disk = closed_store(100);
  Result<RecoveredState> all = recover_state(*disk, recovery_options());
  ASSERT_GT(all.value().recovered.segments.size(), 3);
  auto second = std::move(SegmentReader::open(*disk, "d", {1, 2, 3}, 2)).value();
  RecordHeader header;
  std::string_view record;
  ASSERT_TRUE(second->next(header, record).value());
  Manifest manifest = all.value().recovered.manifest;
  manifest.first_log_ordinal = 2;
  manifest.first_log_sequence = header.sequence;
  second.reset();
  ASSERT_TRUE(write_manifest(*disk, "d", manifest).ok());
  Result<RecoveredState> found = recover_state(*disk, recovery_options());
  ASSERT_TRUE(found.ok()) << found.failure().message;
  EXPECT_EQ(found.value().recovered.segments.size(), all.value().recovered.segments.size() - 1);
  EXPECT_EQ(found.value().recovered.records, 100 - (header.sequence - 1));
  EXPECT_FALSE(disk->content("d/log-1.tlog").has_value());
}

TEST(Recovery, WithoutALogItsSegmentsAreLeftovers) {
  auto disk = closed_store(20);
  Manifest manifest = std::move(read_manifest(*disk, "d")).value();
  manifest.logged = false;
  ASSERT_TRUE(write_manifest(*disk, "d", manifest).ok());
  Result<RecoveredState> found = recover_state(*disk, recovery_options());
  ASSERT_TRUE(found.ok()) << found.failure().message;
  EXPECT_TRUE(found.value().state.empty());
  EXPECT_EQ(found.value().recovered.last_sequence, 0);
  EXPECT_FALSE(disk->content("d/log-1.tlog").has_value());
}

/// Puts `record` in place of the first one of log-1, with a checksum that is right.
void forge_record(SimulatedFileSystem& disk, std::string record) {
  const std::uint64_t segment_id = open_segment(disk, "d", {1, 2, 3}, 1).value().header.segment_id;
  store_integer(record, 0,
                XXH3_64bits_withSeed(record.data() + 8, record.size() - 8, segment_id + kSegmentHeaderBytes));
  ASSERT_TRUE(disk.overwrite("d/log-1.tlog", kSegmentHeaderBytes, record));
}

TEST(Recovery, ARecordThatVerifiesButMakesNoSenseIsCorruption) {
  const auto disk = closed_store(20);
  const std::string path = "d/log-1.tlog";
  RecordHeader header;
  std::string_view bytes;
  auto reader = std::move(SegmentReader::open(*disk, "d", {1, 2, 3}, 1)).value();
  ASSERT_TRUE(reader->next(header, bytes).value());
  const std::string first(bytes);
  struct Forgery {
    std::size_t at;
    char value;
    const char* what;
  };
  const Forgery forgeries[] = {{.at = 16, .value = 2, .what = "sequence 2 instead of 1"},
                               {.at = 32, .value = 2, .what = "do not parse"},
                               {.at = 40, .value = 9, .what = "do not parse"},
                               {.at = 42, .value = '\xff', .what = "do not parse"},
                               {.at = 12, .value = 3, .what = "instead of 0"}};
  for (const Forgery& forgery : forgeries) {
    std::string forged = first;
    forged[forgery.at] = forgery.value;
    forge_record(*disk, forged);
    Result<RecoveredState> found = recover_state(*disk, recovery_options());
    ASSERT_FALSE(found.ok()) << forgery.what;
    EXPECT_EQ(found.failure().code, Code::Corruption);
    EXPECT_NE(found.failure().message.find(path), std::string::npos) << found.failure().message;
    EXPECT_NE(found.failure().message.find(forgery.what), std::string::npos) << found.failure().message;
  }
  forge_record(*disk, first);
  EXPECT_TRUE(recover_state(*disk, recovery_options()).ok());
}

// E21
TEST(Recovery, E21ANewerSegmentIsRefusedByItsVersion) {
  auto disk = closed_store(20);
  std::string header = disk->content("d/log-1.tlog").value().substr(0, kSegmentHeaderBytes);
  store_integer(header, 8, std::uint32_t{2});
  store_integer(header, 56, XXH3_64bits(header.data(), 56));
  ASSERT_TRUE(disk->overwrite("d/log-1.tlog", 0, header));
  Result<RecoveredState> found = recover_state(*disk, recovery_options());
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.failure().code, Code::Config);
  EXPECT_NE(found.failure().message.find("version 2"), std::string::npos) << found.failure().message;
}

/// Copies a directory of real files.
void load_directory(SimulatedFileSystem& disk, const std::filesystem::path& from, const std::string& to) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(from)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(file), {});
    disk.put(to + "/" + std::filesystem::relative(entry.path(), from).string(), bytes);
  }
}

std::string stored_key(const std::string& name_space, const std::string& key) {
  return name_space + std::string(1, '\0') + key;
}

const std::filesystem::path kDataDirectory = TUSKV_TEST_DATA;

// E21, K9: a store of format 1, written by the first version that wrote any: a snapshot whose delta holds records, and
// a log. It must open for ever, with any number of shards and threads.
TEST(Recovery, E21TheFirstFormatOpens) {
  State expected = {{stored_key("", "plain"), "changed"},
                    {stored_key("", "empty"), ""},
                    {stored_key("", "binary"), std::string("\0\xff\n", 3)},
                    {stored_key("", "expires"), "far"},
                    {stored_key("", "counter"), "2"},
                    {stored_key("tenant", "key"), "of tenant"},
                    {stored_key("", "large"), std::string(3000, 'L')},
                    {stored_key("", "during"), "done"},
                    {stored_key("", "a"), "1"},
                    {stored_key("", "b"), "2"}};
  for (const std::size_t shards : {1U, 2U, 8U, 16U, 32U, 64U}) {
    for (const std::size_t threads : {1U, 3U}) {
      SimulatedFileSystem disk;
      load_directory(disk, kDataDirectory / "v1", "d");
      Keyspace keyspace(shards, 1);
      Result<Recovered> recovered = recover(disk, {.directory = "d", .threads = threads}, keyspace);
      ASSERT_TRUE(recovered.ok()) << recovered.failure().message;
      EXPECT_EQ(state_of(keyspace), expected) << shards << " shards";
      EXPECT_EQ(recovered.value().torn_bytes, 0);
      EXPECT_GT(recovered.value().manifest.snapshot.delta_count, 0);
      EXPECT_GT(recovered.value().clock_high_us, 0);
    }
  }
}

// A snapshot's folder opens alone, and its delta is no leftover of it.
TEST(Recovery, ASnapshotFolderOpensAlone) {
  SimulatedFileSystem disk;
  load_directory(disk, kDataDirectory / "v1" / "snapshot-1", "d");
  const auto before = disk.contents();
  for (int opening = 0; opening < 2; ++opening) {
    Result<RecoveredState> found = recover_state(disk, recovery_options());
    ASSERT_TRUE(found.ok()) << found.failure().message;
    EXPECT_EQ(found.value().state.at(stored_key("", "plain")), "value");
    EXPECT_EQ(found.value().state.at(stored_key("", "gone")), "x");
    EXPECT_EQ(found.value().recovered.last_sequence, found.value().recovered.manifest.snapshot.end_sequence);
    EXPECT_GT(found.value().recovered.next_log_ordinal, found.value().recovered.manifest.snapshot.first_delta_ordinal);
    EXPECT_EQ(disk.contents(), before);
  }
}

// E7, E8, E9: a snapshot is whole or it is refused; there is no partial map.
TEST(Recovery, E7E9EveryBitOfASnapshotCounts) {
  SimulatedFileSystem disk;
  load_directory(disk, kDataDirectory / "v1", "d");
  const Result<RecoveredState> whole = recover_state(disk, recovery_options(false));
  ASSERT_TRUE(whole.ok());
  const std::string delta =
      "d/snapshot-1/" + segment_name(whole.value().recovered.manifest.snapshot.first_delta_ordinal);
  int refused = 0;
  for (const auto& [path, bytes] : disk.contents()) {
    const bool is_counted = path != "d/snapshot-1/MANIFEST";  // the store's own manifest has all of it
    for (std::uint64_t bit = 0; bit < bytes.size() * 8; bit += 5) {
      ASSERT_TRUE(disk.flip_bit(path, bit));
      Result<RecoveredState> found = recover_state(disk, recovery_options(false));
      const bool in_seal = path == delta && bit / 8 >= bytes.size() - kRecordHeaderBytes;
      if (found.ok()) {
        ASSERT_TRUE(!is_counted || in_seal) << path << " bit " << bit;
        ASSERT_EQ(found.value().state, whole.value().state);
      } else {
        ASSERT_NE(found.failure().message.find(path), std::string::npos) << found.failure().message;
        ++refused;
      }
      disk.flip_bit(path, bit);
    }
    ASSERT_TRUE(disk.remove(path));
    const Result<RecoveredState> found = recover_state(disk, recovery_options(false));
    ASSERT_EQ(found.ok(), !is_counted) << path;
    if (is_counted && path != "d/MANIFEST") {
      EXPECT_EQ(found.failure().code, Code::Corruption) << found.failure().message;
      EXPECT_TRUE(found.failure().message.starts_with(path + " is missing")) << found.failure().message;
    }
    disk.put(path, bytes);
  }
  EXPECT_GT(refused, 1000);
  ASSERT_TRUE(disk.remove("d/snapshot-1"));
  const Result<RecoveredState> found = recover_state(disk, recovery_options(false));
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.failure().code, Code::Corruption) << found.failure().message;
}

}  // namespace
}  // namespace tuskv::embedded
