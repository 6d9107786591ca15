// Damage to a recorded log: every single bit, every truncation, every sector, and whole files lost, swapped or
// replaced. What opening must say is worked out here from the records alone: an error that names the file, or exactly a
// known state. The one damage that may go unnoticed is asserted as well: after an unclean stop, a record that no other
// one knows to have been synced is cut off like a torn tail, together with all that follows.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "embedded/log_reader.h"
#include "embedded/store_fixture.h"
#include "support/simulated_file_system.h"

namespace tuskv::embedded {
namespace {

using test::CrashMode;
using test::SimulatedFileSystem;

constexpr int kRecords = 130;

std::string path_of(std::uint64_t ordinal) { return "d/" + segment_name(ordinal); }

/// A store of several segments and two openings, stopped in an orderly way or not.
std::unique_ptr<SimulatedFileSystem> record_store(bool orderly) {
  SimulatedFileSystem disk;
  [[maybe_unused]] const Status made = disk.make_directory("d");
  disk.make_all_durable();
  for (const int records : {kRecords / 2, kRecords - kRecords / 2}) {
    std::unique_ptr<LogStore> store = std::move(LogStore::open(disk)).value();
    for (int i = 0; i < records; ++i) {
      const std::uint64_t appended = store->append().value();
      if (i % 10 == 9) {
        EXPECT_TRUE(store->log().wait_synced(appended, 60'000).ok());
      }
    }
    if (orderly || store->log().last_sequence() < kRecords) {
      EXPECT_TRUE(store->log().close().ok());
    }
  }
  auto image = disk.crash_image(CrashMode::keep_all, 1);
  image->make_all_durable();
  return image;
}

struct PlacedRecord {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint64_t missing = 0;  ///< the sequence that is missing when this record is not valid
  std::uint64_t synced = 0;
};

struct RecordedSegment {
  std::uint64_t ordinal = 0;
  std::uint64_t file_bytes = 0;
  std::uint64_t made_bytes = 0;
  std::vector<PlacedRecord> records = {};
};

struct Expected {
  bool is_error = false;
  std::uint64_t last_sequence = 0;  ///< otherwise
};

/// What is in the log, and what to expect of damage to it.
class RecordedLog final {
 public:
  explicit RecordedLog(SimulatedFileSystem& disk) {
    manifest_ = std::move(read_manifest(disk, "d")).value();
    const std::vector<std::uint64_t> ordinals = list_segments(disk, "d").value();
    for (const std::uint64_t ordinal : ordinals) {
      const auto reader = std::move(SegmentReader::open(disk, "d", manifest_.store_id, ordinal)).value();
      RecordedSegment segment{
          .ordinal = ordinal, .file_bytes = reader->file_bytes(), .made_bytes = reader->header().size_bytes};
      RecordHeader header;
      std::string_view bytes;
      while (reader->next(header, bytes).value()) {
        const bool is_end = header.kind != RecordKind::changes;
        segment.records.push_back({.begin = reader->offset() - header.length,
                                   .end = reader->offset(),
                                   .missing = header.sequence + (is_end ? 1 : 0),
                                   .synced = header.synced});
        if (!is_end) last_sequence_ = header.sequence;
        if (is_end) break;
      }
      const bool is_unused = segment.records.empty();  // prepared ahead of need, or not: that is up to a thread
      if (!is_unused) segments_.push_back(segment);
    }
  }

  const std::vector<RecordedSegment>& segments() const { return segments_; }
  std::uint64_t last_sequence() const { return last_sequence_; }
  std::uint64_t last_known_ordinal() const { return manifest_.last_log_ordinal; }

  /// When bytes [from, to) of the segment are not what they were, and the file is `file_bytes` long.
  Expected after(const RecordedSegment& damaged, std::uint64_t from, std::uint64_t to, std::uint64_t file_bytes) const {
    if (from < kSegmentHeaderBytes) return {.is_error = true};
    std::optional<std::uint64_t> missing;
    std::uint64_t attested = 0;
    for (const RecordedSegment& segment : segments_) {
      for (const PlacedRecord& record : segment.records) {
        const bool is_hit = segment.ordinal == damaged.ordinal && record.begin < to && from < record.end;
        if (is_hit && !missing) missing = record.missing;
        if (!is_hit) attested = std::max(attested, record.synced);
      }
    }
    if (!missing) return {.last_sequence = last_sequence_};
    const bool is_error = attested >= *missing || damaged.ordinal < manifest_.last_log_ordinal ||
                          manifest_.durable_sequence >= *missing || file_bytes < damaged.made_bytes;
    return {.is_error = is_error, .last_sequence = *missing - 1};
  }

 private:
  Manifest manifest_;
  std::vector<RecordedSegment> segments_;
  std::uint64_t last_sequence_ = 0;
};

/// Opens without writing and compares; counts what was seen, so that a test can say that it saw both.
struct Verdicts {
  int errors = 0;
  int prefixes = 0;
  int exact = 0;
};

void check(SimulatedFileSystem& disk, const Expected& expected, const std::string& names, const RecordedLog& log,
           Verdicts& verdicts) {
  Result<RecoveredState> found = recover_state(disk, recovery_options(false));
  if (expected.is_error) {
    ASSERT_FALSE(found.ok()) << "damage went unnoticed: last sequence " << found.value().recovered.last_sequence;
    ASSERT_TRUE(found.failure().code == Code::Corruption || found.failure().code == Code::Config);
    ASSERT_NE(found.failure().message.find(names), std::string::npos) << found.failure().message;
    ++verdicts.errors;
    return;
  }
  ASSERT_TRUE(found.ok()) << found.failure().message;
  ASSERT_EQ(found.value().recovered.last_sequence, expected.last_sequence);
  ASSERT_EQ(found.value().state, workload_state(expected.last_sequence));
  ++(expected.last_sequence == log.last_sequence() ? verdicts.exact : verdicts.prefixes);
}

class RecoveryDamage : public ::testing::TestWithParam<bool> {
 protected:
  bool orderly() const { return GetParam(); }

  std::unique_ptr<SimulatedFileSystem> disk_ = record_store(GetParam());
  RecordedLog log_{*disk_};
  Verdicts verdicts_;
};
INSTANTIATE_TEST_SUITE_P(Store, RecoveryDamage, ::testing::Values(true, false),
                         [](const auto& store) { return store.param ? "Closed" : "Crashed"; });

TEST_P(RecoveryDamage, TheRecordedStoreIsLargeEnough) {
  std::uint64_t bytes = 0;
  for (const RecordedSegment& segment : log_.segments()) bytes += segment.records.back().end;
  EXPECT_GE(bytes, 8192);
  EXPECT_GE(log_.segments().size(), 4);
  EXPECT_EQ(log_.last_sequence(), kRecords);
}

// Every bit of every segment and of the manifest; under the sanitizers every seventh, which meets each bit of a byte.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kBitStride = 7;
#else
constexpr int kBitStride = 1;
#endif

TEST_P(RecoveryDamage, K4E7EveryBitFlip) {
  for (const RecordedSegment& segment : log_.segments()) {
    const std::uint64_t used = segment.records.back().end;
    for (std::uint64_t bit = 0; bit < segment.file_bytes * 8; bit += bit / 8 < used ? kBitStride : 13) {
      ASSERT_TRUE(disk_->flip_bit(path_of(segment.ordinal), bit));
      const Expected expected = log_.after(segment, bit / 8, bit / 8 + 1, segment.file_bytes);
      ASSERT_NO_FATAL_FAILURE(check(*disk_, expected, path_of(segment.ordinal), log_, verdicts_))
          << path_of(segment.ordinal) << " bit " << bit;
      disk_->flip_bit(path_of(segment.ordinal), bit);
    }
  }
  for (std::uint64_t bit = 0; disk_->flip_bit("d/MANIFEST", bit); bit += kBitStride) {
    ASSERT_NO_FATAL_FAILURE(check(*disk_, {.is_error = true}, "d/MANIFEST", log_, verdicts_)) << "bit " << bit;
    disk_->flip_bit("d/MANIFEST", bit);
  }
  EXPECT_GT(verdicts_.errors, 10'000 / kBitStride);
  EXPECT_GT(verdicts_.exact, 100 / kBitStride);
  EXPECT_EQ(verdicts_.prefixes > 0, !orderly()) << "only the last group after an unclean stop is exempt";
}

// E8: a file cut from outside, to every length.
TEST_P(RecoveryDamage, E8EveryTruncation) {
  for (const RecordedSegment& segment : log_.segments()) {
    const std::string whole = disk_->content(path_of(segment.ordinal)).value();
    const std::uint64_t used = segment.records.back().end;
    for (std::uint64_t size = 0; size < whole.size(); size += size <= used ? 1 : 7) {
      disk_->put(path_of(segment.ordinal), std::string_view(whole).substr(0, size));
      Expected expected = log_.after(segment, size, UINT64_MAX, size);
      // Bytes behind the last record: the segment has lost only unused space, unless it was the open one.
      const bool is_open = segment.ordinal == log_.segments().back().ordinal && !orderly();
      if (size >= used && is_open) expected.is_error = true;
      ASSERT_NO_FATAL_FAILURE(check(*disk_, expected, path_of(segment.ordinal), log_, verdicts_))
          << path_of(segment.ordinal) << " cut to " << size;
    }
    disk_->put(path_of(segment.ordinal), whole);
  }
  EXPECT_GT(verdicts_.errors, 5'000);
  EXPECT_EQ(verdicts_.prefixes, 0) << "a file that is shorter than it was made never passes for a torn tail";
}

// E8: a sector that reads as zeros, or as another one.
TEST_P(RecoveryDamage, E8ZeroedAndDuplicatedSectors) {
  constexpr std::uint64_t kSector = 512;
  for (const RecordedSegment& segment : log_.segments()) {
    const std::string whole = disk_->content(path_of(segment.ordinal)).value();
    const std::string first = whole.substr(0, kSector);
    for (std::uint64_t at = 0; at < whole.size(); at += kSector) {
      for (const std::string& other : {std::string(kSector, '\0'), first}) {
        std::string damaged = whole;
        damaged.replace(at, kSector, other.substr(0, std::min<std::uint64_t>(kSector, whole.size() - at)));
        std::uint64_t from = at;
        std::uint64_t to = std::min<std::uint64_t>(at + kSector, whole.size());
        while (from < to && damaged[from] == whole[from]) ++from;
        while (to > from && damaged[to - 1] == whole[to - 1]) --to;
        disk_->put(path_of(segment.ordinal), damaged);
        const Expected expected = from == to ? Expected{.last_sequence = log_.last_sequence()}
                                             : log_.after(segment, from, to, segment.file_bytes);
        ASSERT_NO_FATAL_FAILURE(check(*disk_, expected, path_of(segment.ordinal), log_, verdicts_))
            << path_of(segment.ordinal) << " at " << at;
      }
    }
    disk_->put(path_of(segment.ordinal), whole);
  }
  EXPECT_GT(verdicts_.errors, 20);
}

TEST_P(RecoveryDamage, E8ASegmentMissing) {
  for (const RecordedSegment& segment : log_.segments()) {
    const std::string path = path_of(segment.ordinal);
    const std::string whole = disk_->content(path).value();
    ASSERT_TRUE(disk_->remove(path));
    ASSERT_NO_FATAL_FAILURE(check(*disk_, {.is_error = true}, path, log_, verdicts_)) << path;
    disk_->put(path, whole);
  }
}

TEST_P(RecoveryDamage, E8ASegmentOfAnotherStoreOrPlace) {
  SimulatedFileSystem other;
  ASSERT_TRUE(other.make_directory("d").ok());
  ASSERT_TRUE(write_manifest(other, "d", {.store_id = {9}, .hash_seed = 7}).ok());
  std::unique_ptr<LogStore> store = std::move(LogStore::open(other)).value();
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(store->append().ok());
  for (const RecordedSegment& segment : log_.segments()) {
    const std::string path = path_of(segment.ordinal);
    const std::string whole = disk_->content(path).value();
    disk_->put(path, other.content(path).value());
    ASSERT_NO_FATAL_FAILURE(check(*disk_, {.is_error = true}, path, log_, verdicts_)) << "another store";
    for (const RecordedSegment& neighbour : log_.segments()) {
      if (neighbour.ordinal == segment.ordinal) continue;
      disk_->put(path, disk_->content(path_of(neighbour.ordinal)).value());
      ASSERT_NO_FATAL_FAILURE(check(*disk_, {.is_error = true}, path, log_, verdicts_)) << "a copy of another segment";
    }
    disk_->put(path, whole);
  }
}

// E8: a segment as it was some time before. Only the last one's fate depends on who knows better: the manifest does
// when it was written since.
TEST_P(RecoveryDamage, E8AnOlderCopyOfASegment) {
  for (const RecordedSegment& segment : log_.segments()) {
    const std::string path = path_of(segment.ordinal);
    const std::string whole = disk_->content(path).value();
    for (std::size_t kept = 0; kept < segment.records.size(); kept += 3) {
      const PlacedRecord& first_lost = segment.records[kept];
      std::string older = whole.substr(0, first_lost.begin);
      older.resize(segment.made_bytes, '\0');
      disk_->put(path, older);
      Expected expected = log_.after(segment, first_lost.begin, UINT64_MAX, segment.made_bytes);
      ASSERT_NO_FATAL_FAILURE(check(*disk_, expected, path, log_, verdicts_)) << path << ", records " << kept;
      const std::string manifest = disk_->content("d/MANIFEST").value();
      Manifest knowing = std::move(read_manifest(*disk_, "d")).value();
      knowing.durable_sequence = log_.last_sequence();
      disk_->put("d/MANIFEST", encode_manifest(knowing));
      expected.is_error = expected.is_error || first_lost.missing <= log_.last_sequence();
      ASSERT_NO_FATAL_FAILURE(check(*disk_, expected, path, log_, verdicts_)) << path << ", records " << kept;
      disk_->put("d/MANIFEST", manifest);
    }
    disk_->put(path, whole);
  }
}

TEST_P(RecoveryDamage, E8GarbageAppended) {
  test::Random random(1);
  for (const RecordedSegment& segment : log_.segments()) {
    const std::string path = path_of(segment.ordinal);
    const std::string whole = disk_->content(path).value();
    for (const std::size_t size : {1U, 40U, 511U, 5000U}) {
      disk_->put(path, whole + random.bytes(size));
      Expected expected{.last_sequence = log_.last_sequence()};
      ASSERT_NO_FATAL_FAILURE(check(*disk_, expected, path, log_, verdicts_)) << path;
      // Opening in earnest leaves a sound store as well.
      const auto copy = disk_->crash_image(CrashMode::keep_all, 1);
      ASSERT_TRUE(recover_state(*copy, recovery_options()).ok());
      ASSERT_NO_FATAL_FAILURE(check(*copy, expected, path, log_, verdicts_)) << path;
    }
    disk_->put(path, whole);
  }
}

// Whole and orderly closed, but of an older copy than the manifest beside it.
TEST(RecoveryOlderCopy, ALogThatEndsBeforeWhatTheManifestKnowsIsDamage) {
  SimulatedFileSystem disk;
  ASSERT_TRUE(disk.make_directory("d").ok());
  std::unique_ptr<LogStore> store = std::move(LogStore::open(disk)).value();
  ASSERT_TRUE(store->append().ok());
  ASSERT_TRUE(store->log().close().ok());
  Manifest manifest = read_manifest(disk, "d").value();
  manifest.durable_sequence = 2;
  ASSERT_TRUE(write_manifest(disk, "d", manifest).ok());
  const auto found = recover_state(disk, recovery_options());
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.failure().code, Code::Corruption);
  EXPECT_NE(found.failure().message.find(path_of(1)), std::string::npos) << found.failure().message;
}

TEST_P(RecoveryDamage, ARefusedOpeningChangesNothing) {
  const RecordedSegment& first = log_.segments().front();
  ASSERT_TRUE(disk_->flip_bit(path_of(first.ordinal), first.records.front().begin * 8));
  disk_->put("d/log-77.tlog.tmp", "leftover");
  const auto before = disk_->contents();
  EXPECT_FALSE(recover_state(*disk_, recovery_options()).ok());
  EXPECT_EQ(disk_->contents(), before);
}

}  // namespace
}  // namespace tuskv::embedded
