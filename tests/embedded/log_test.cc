// The log alone, on a simulated disk: what is written when, rolling, recording for snapshots, closing. Failures are the
// matter of log_failure_test.cc, crashes of log_crash_test.cc.
#include "embedded/log.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "embedded/log_fixture.h"

namespace tuskv::embedded {
namespace {

using test::Operation;
using test::SimulatedFileSystem;

TEST(Log, WritesNothingUntilTheFirstRecord) {
  auto disk = log_disk();
  const std::uint64_t before = disk->operation_count();
  {
    Log log(disk.get(), log_options());
    EXPECT_TRUE(log.wait_synced(0, kLongMs).ok());
    EXPECT_TRUE(log.close().ok());
  }
  EXPECT_EQ(disk->operation_count(), before) << disk->trace();
}

TEST(Log, ReadsBackWhatWasWritten) {
  auto disk = log_disk();
  Log log(disk.get(), log_options());
  std::vector<std::string> keys;
  for (int i = 0; i < 1000; ++i) {
    keys.push_back("key" + std::to_string(i));
    EXPECT_EQ(append_put(log, keys.back()).value(), i + 1);
  }
  EXPECT_EQ(log.last_sequence(), 1000);
  EXPECT_GT(log.segment_count(), 3);
  EXPECT_EQ(keys_in_log(*disk), keys) << "written is readable, synced or not";
  EXPECT_TRUE(log.close().ok());
  EXPECT_EQ(keys_in_log(*disk), keys);
  Result<LogSurvey> found = survey(*disk);
  ASSERT_TRUE(found.ok());
  EXPECT_FALSE(found.value().torn);
  EXPECT_EQ(found.value().last_sequence, 1000);
  EXPECT_EQ(found.value().records, 1000);
  EXPECT_EQ(found.value().clock_high_us, 1);
  EXPECT_EQ(found.value().segments.back().ending, RecordKind::close);
  EXPECT_EQ(found.value().segments.back().end_bytes, found.value().segments.back().file_bytes) << "cut to its length";
  EXPECT_EQ(append_put(log, "late").failure().code, Code::Closed);
  EXPECT_TRUE(log.close().ok()) << "again";
}

TEST(Log, SegmentsDoubleUpToTheirLimit) {
  auto disk = log_disk();
  Log log(disk.get(), log_options());
  for (int i = 0; i < 2000; ++i) ASSERT_TRUE(append_put(log, "key").ok());
  std::vector<std::uint64_t> sizes;
  for (std::uint64_t ordinal = 1; ordinal <= 4; ++ordinal) {
    sizes.push_back(open_segment(*disk, kLogDirectory, kLogStoreId, ordinal).value().header.size_bytes);
  }
  EXPECT_EQ(sizes, (std::vector<std::uint64_t>{4096, 8192, 16384, 16384}));
}

TEST(Log, ARecordLargerThanASegmentGetsOneThatFits) {
  auto disk = log_disk();
  Log log(disk.get(), log_options());
  ASSERT_TRUE(append_put(log, "small").ok());
  ASSERT_TRUE(append_put(log, "large", 100'000).ok());
  ASSERT_TRUE(append_put(log, "small again").ok());
  ASSERT_TRUE(append_put(log, "larger", 3'000'000).ok());
  EXPECT_TRUE(log.close().ok());
  EXPECT_EQ(keys_in_log(*disk), (std::vector<std::string>{"small", "large", "small again", "larger"}));
}

TEST(Log, ReplacesAPreparedSegmentThatIsTooSmall) {
  auto disk = log_disk();
  Log log(disk.get(), log_options());
  ASSERT_TRUE(append_put(log, "first").ok());
  ASSERT_TRUE(log.prepare_roll().ok());
  ASSERT_TRUE(append_put(log, "large", 100'000).ok());
  EXPECT_EQ(log.segment_count(), 2);
  EXPECT_TRUE(log.close().ok());
  EXPECT_EQ(keys_in_log(*disk), (std::vector<std::string>{"first", "large"}));
}

TEST(Log, AnnouncesItsFirstSegmentBeforeTheFirstRecord) {
  struct Seen {
    SimulatedFileSystem* disk = nullptr;
    std::vector<std::uint64_t> ordinals = {};
    bool refuse = true;
    bool was_durable = false;
  } seen;
  auto disk = log_disk();
  seen.disk = disk.get();
  LogOptions options = log_options();
  options.next_ordinal = 7;
  options.last_sequence = 41;
  options.context = &seen;
  options.on_first_segment = [](void* context, std::uint64_t ordinal) -> Status {
    Seen& noted = *static_cast<Seen*>(context);
    noted.ordinals.push_back(ordinal);
    const auto image = noted.disk->crash_image(test::CrashMode::lose_unsynced, 1);
    noted.was_durable = open_segment(*image, kLogDirectory, kLogStoreId, ordinal).ok();
    return noted.refuse ? Status(Code::Io, "no") : Status();
  };
  Log log(disk.get(), options);
  EXPECT_EQ(append_put(log, "a").failure().code, Code::Io);
  EXPECT_EQ(log.last_sequence(), 41);
  seen.refuse = false;
  EXPECT_EQ(append_put(log, "a").value(), 42);
  EXPECT_EQ(append_put(log, "b").value(), 43);
  EXPECT_EQ(seen.ordinals, (std::vector<std::uint64_t>{7, 7}));
  EXPECT_TRUE(seen.was_durable);
}

TEST(Log, RollSealsAndStartsTheNext) {
  auto disk = log_disk();
  Log log(disk.get(), log_options());
  ASSERT_TRUE(append_put(log, "a").ok());
  EXPECT_EQ(log.roll().value(), 2);
  EXPECT_EQ(log.roll().value(), 2) << "nothing is in it yet";
  ASSERT_TRUE(append_put(log, "b").ok());
  ASSERT_TRUE(log.wait_synced(2, kLongMs).ok());
  const auto after = disk->crash_image(test::CrashMode::lose_unsynced, 1);
  EXPECT_EQ(keys_in_log(*after), (std::vector<std::string>{"a", "b"})) << "sealed segments are synced too";
  EXPECT_EQ(survey(*after).value().segments.front().ending, RecordKind::seal);
  EXPECT_GT(log.log_bytes(), 0);
  const std::uint64_t bytes = log.log_bytes();
  ASSERT_TRUE(log.remove_segments_before(2).ok());
  EXPECT_LT(log.log_bytes(), bytes);
  EXPECT_EQ(log.segment_count(), 1);
  EXPECT_EQ(list_segments(*disk, kLogDirectory).value(), (std::vector<std::uint64_t>{2}));
}

TEST(Log, S129_ASegmentThatCannotBeRemovedKeepsNoOther) {
  auto disk = log_disk();
  Log log(disk.get(), log_options());
  for (const char* key : {"a", "b", "c", "d"}) {
    ASSERT_TRUE(append_put(log, key).ok());
    ASSERT_TRUE(log.roll().ok());
  }
  const std::uint64_t bytes = log.log_bytes();
  disk->inject({.operation = test::Operation::remove_file, .path_contains = segment_name(1)});
  EXPECT_FALSE(log.remove_segments_before(4).ok());
  EXPECT_EQ(list_segments(*disk, kLogDirectory).value(), (std::vector<std::uint64_t>{1, 4, 5}));
  EXPECT_EQ(log.log_bytes(), bytes / 2);
  EXPECT_TRUE(log.remove_segments_before(4).ok()) << "it is tried again";
  EXPECT_EQ(list_segments(*disk, kLogDirectory).value(), (std::vector<std::uint64_t>{4, 5}));
}

TEST(Log, RollMakesTheFirstSegmentToo) {
  auto disk = log_disk();
  Log log(disk.get(), log_options());
  EXPECT_EQ(log.roll().value(), 1);
  EXPECT_EQ(list_segments(*disk, kLogDirectory).value(), (std::vector<std::uint64_t>{1}));
  EXPECT_EQ(log.roll().value(), 1);
}

TEST(Log, ASealedSegmentGivesUnusedSpaceBack) {
  auto disk = log_disk();
  LogOptions options = log_options();
  options.segment_bytes_min = 1 << 20;
  Log log(disk.get(), options);
  ASSERT_TRUE(append_put(log, "a").ok());
  ASSERT_TRUE(log.roll().ok());
  ASSERT_TRUE(append_put(log, "b").ok());
  ASSERT_TRUE(log.wait_synced(2, kLongMs).ok());
  EXPECT_LT(disk->content(segment_path(1)).value().size(), 1000);
  EXPECT_EQ(keys_in_log(*disk), (std::vector<std::string>{"a", "b"}));
}

TEST(Log, InMemoryItOnlyCounts) {
  Log log(nullptr, {.durability = Durability::unlogged, .last_sequence = 5});
  EXPECT_FALSE(log.recording());
  EXPECT_EQ(log.next_sequence(), 6);
  EXPECT_TRUE(log.wait_synced(6, 0).ok());
  EXPECT_TRUE(log.notify_synced(6, 0, nullptr, nullptr));
  EXPECT_TRUE(log.close().ok());
}

TEST(Log, UnloggedRecordsWhileAsked) {
  auto disk = log_disk();
  Log log(disk.get(), log_options(Durability::unlogged));
  EXPECT_EQ(log.next_sequence(), 1);
  EXPECT_EQ(log.next_sequence(), 2);
  EXPECT_EQ(log.start_recording().value(), 1);
  EXPECT_TRUE(log.recording());
  for (int i = 0; i < 300; ++i) ASSERT_EQ(append_put(log, "k" + std::to_string(i)).value(), i + 3);
  const std::uint64_t end = log.stop_recording().value();
  EXPECT_GT(end, 2);
  EXPECT_FALSE(log.recording());
  EXPECT_EQ(log.next_sequence(), 303);
  ASSERT_TRUE(log.wait_synced(302, kLongMs).ok());
  const auto after = disk->crash_image(test::CrashMode::lose_unsynced, 1);
  LogRange range = log_range();
  range.last_ordinal = end - 1;
  range.first_sequence = 3;
  range.durable_sequence = 302;
  range.is_delta = true;
  Result<LogSurvey> found = survey_log(*after, range);
  ASSERT_TRUE(found.ok()) << found.failure().message;
  EXPECT_EQ(found.value().last_sequence, 302);
  EXPECT_EQ(found.value().segments.size(), end - 1);
  EXPECT_EQ(log.start_recording().value(), end) << "again";
  EXPECT_EQ(append_put(log, "k").value(), 304);
  EXPECT_TRUE(log.close().ok());
}

TEST(Log, RelaxedSyncsInTheBackground) {
  auto disk = log_disk();
  LogOptions options = log_options(Durability::relaxed);
  options.sync_interval_ms = 5;
  Log log(disk.get(), options);
  for (int round = 0; round < 3; ++round) {
    const std::uint64_t sequence = append_put(log, "a").value();
    for (int i = 0; i < 2000 && log.synced_sequence() < sequence; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    EXPECT_EQ(log.synced_sequence(), sequence);
  }
}

TEST(Log, TellsWhoeverAsked) {
  struct Told {
    std::atomic<int> count = 0;
    std::atomic<int> failures = 0;
  } told;
  const auto done = [](void* context, const Status& status) {
    Told& noted = *static_cast<Told*>(context);
    if (!status.ok()) ++noted.failures;
    ++noted.count;
  };
  auto disk = log_disk();
  {
    Log log(disk.get(), log_options());
    int asked = 0;
    for (int i = 0; i < 100; ++i) {
      const std::uint64_t sequence = append_put(log, "a").value();
      if (!log.notify_synced(sequence, kLongMs, done, &told)) ++asked;
    }
    EXPECT_TRUE(log.close().ok());
    EXPECT_EQ(told.count, asked) << "close waits for them";
    EXPECT_EQ(told.failures, 0);
    EXPECT_TRUE(log.notify_synced(100, kLongMs, done, &told)) << "synced already";
  }
  EXPECT_GT(told.count, 0);
}

TEST(Log, EveryRecordCarriesWhatWasSynced) {
  auto disk = log_disk();
  Log log(disk.get(), log_options());
  ASSERT_TRUE(append_put(log, "a").ok());
  ASSERT_TRUE(append_put(log, "b").ok());
  ASSERT_TRUE(log.wait_synced(2, kLongMs).ok());
  ASSERT_TRUE(append_put(log, "c").ok());
  ASSERT_TRUE(log.close().ok());
  auto reader = std::move(SegmentReader::open(*disk, kLogDirectory, kLogStoreId, 1)).value();
  RecordHeader header;
  std::string_view record;
  std::vector<std::uint64_t> marks;
  while (reader->next(header, record).value()) marks.push_back(header.synced);
  EXPECT_EQ(marks, (std::vector<std::uint64_t>{0, 0, 2, 3}));
  EXPECT_EQ(header.kind, RecordKind::close);
}

// One sync serves many: far fewer syncs than records, each of them durable when its writer goes on.
TEST(LogGroupSync, K19SixtyFourWritersShareSyncs) {
  auto disk = log_disk();
  LogOptions options = log_options();
  options.segment_bytes_max = 1 << 16;
  Log log(disk.get(), options);
  disk->set_hook([](Operation operation, const std::string&) {
    if (operation == Operation::sync) std::this_thread::sleep_for(std::chrono::microseconds(200));
  });
  constexpr int kThreads = 64;
  constexpr int kRecords = 50;
  std::atomic<int> failures = 0;
  std::vector<std::thread> writers;
  for (int t = 0; t < kThreads; ++t) {
    writers.emplace_back([&] {
      for (int i = 0; i < kRecords; ++i) {
        Result<std::uint64_t> sequence = append_put(log, "key");
        if (!sequence.ok() || !log.wait_synced(sequence.value(), kLongMs).ok() ||
            log.synced_sequence() < sequence.value()) {
          ++failures;
        }
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(log.last_sequence(), kThreads * kRecords);
  EXPECT_LT(log.sync_count(), kThreads * kRecords / 2);
  const auto after = disk->crash_image(test::CrashMode::lose_unsynced, 1);
  EXPECT_EQ(keys_in_log(*after).size(), kThreads * kRecords);
}

}  // namespace
}  // namespace tuskv::embedded
