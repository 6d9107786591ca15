// The log under crashes: stopped at every single operation, of the process or of the power, with what was not synced
// lost, kept, reordered or torn. Whatever is recovered must be exactly the state after some record, not before what was
// acknowledged; and recovering may itself be stopped anywhere, again and again.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>

#include "embedded/store_fixture.h"
#include "support/simulated_file_system.h"

namespace tuskv::embedded {
namespace {

using test::CrashMode;
using test::Operation;
using test::SimulatedFileSystem;

std::unique_ptr<SimulatedFileSystem> empty_disk(bool reserves_space) {
  auto disk = std::make_unique<SimulatedFileSystem>();
  [[maybe_unused]] const Status made = disk->make_directory("d");
  disk->make_all_durable();
  if (!reserves_space) disk->inject({.operation = Operation::allocate, .for_ever = true, .error = EOPNOTSUPP});
  return disk;
}

struct Progress {
  std::uint64_t written = 0;  ///< appends that returned
  std::uint64_t synced = 0;   ///< waits that returned
  bool finished = false;
};

/// One opening: some appends, some waited for, a roll, a close.
bool run_opening(SimulatedFileSystem& disk, int records, Progress& progress) {
  Result<std::unique_ptr<LogStore>> opened = LogStore::open(disk);
  if (!opened.ok()) return false;
  LogStore& store = *opened.value();
  progress.written = progress.synced = store.log().last_sequence();
  for (int i = 0; i < records; ++i) {
    if (i == records / 2 && !store.log().roll().ok()) return false;
    Result<std::uint64_t> appended = store.append();
    if (!appended.ok()) return false;
    progress.written = appended.value();
    if (i % 7 != 6) continue;
    if (!store.log().wait_synced(progress.written, 60'000).ok()) return false;
    progress.synced = progress.written;
  }
  if (!store.log().close().ok()) return false;
  progress.synced = progress.written;
  return true;
}

Progress run_workload(SimulatedFileSystem& disk) {
  Progress progress;
  progress.finished =
      run_opening(disk, 60, progress) && run_opening(disk, 0, progress) && run_opening(disk, 25, progress);
  return progress;
}

void check_state(const RecoveredState& found, const Progress& progress, CrashMode mode, const std::string& about) {
  const std::uint64_t last = found.recovered.last_sequence;
  ASSERT_EQ(found.state, workload_state(last)) << about;
  ASSERT_LE(last, progress.written + 1) << about << "at most the one in flight more";
  ASSERT_GE(last, mode == CrashMode::process ? progress.written : progress.synced) << about;
}

class LogCrash : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Disk, LogCrash, ::testing::Values(true, false),
                         [](const auto& disk) { return disk.param ? "PreallocatedSegments" : "GrowingSegments"; });

// E1, E2, E3, E4, K2, K3, K11.
TEST_P(LogCrash, E1E2E3E4RecoversAPrefixFromEveryStop) {
  for (std::uint64_t stop = 1;; ++stop) {
    auto disk = empty_disk(GetParam());
    disk->stop_at({.operation = disk->operation_count() + stop, .partly_written = true});
    const Progress progress = run_workload(*disk);
    for (const CrashMode mode : test::kCrashModes) {
      const std::uint64_t seeds = mode == CrashMode::process || mode == CrashMode::lose_unsynced ? 1 : 2;
      for (std::uint64_t seed = 0; seed < seeds; ++seed) {
        const std::string about = "stop " + std::to_string(stop) + ", " + std::string(to_string(mode)) + ", seed " +
                                  std::to_string(seed) + "\n" + disk->trace();
        const auto after = disk->crash_image(mode, stop * 100 + seed);
        if (after->content("d/MANIFEST") == std::nullopt) {
          ASSERT_EQ(progress.written, 0) << about;
          continue;
        }
        Result<RecoveredState> found = recover_state(*after, recovery_options());
        ASSERT_TRUE(found.ok()) << found.failure().message << "\n" << about;
        ASSERT_NO_FATAL_FAILURE(check_state(found.value(), progress, mode, about));
        // E6: what was recovered is there after the next power loss, and nothing is appended behind the old tail.
        const auto again = after->crash_image(CrashMode::lose_unsynced, 1);
        Result<RecoveredState> same = recover_state(*again, recovery_options());
        ASSERT_TRUE(same.ok()) << same.failure().message << "\n" << about;
        ASSERT_EQ(same.value().recovered.last_sequence, found.value().recovered.last_sequence) << about;
        ASSERT_EQ(same.value().state, found.value().state) << about;
        ASSERT_EQ(same.value().recovered.torn_bytes, 0) << about;
      }
    }
    if (progress.finished) {
      EXPECT_GT(stop, 150);
      break;
    }
  }
}

// E5: recovery stopped at each of its operations, three levels deep, then left in peace.
void recover_through_stops(SimulatedFileSystem& disk, int depth, const RecoveredState& expected, std::uint64_t& count) {
  for (std::uint64_t stop = 1;; ++stop) {
    const auto image = disk.crash_image(CrashMode::keep_all, 1);
    image->make_all_durable();
    image->stop_at({.operation = stop, .partly_written = true});
    Result<RecoveredState> found = recover_state(*image, recovery_options());
    ++count;
    if (found.ok()) {
      ASSERT_EQ(found.value().recovered.last_sequence, expected.recovered.last_sequence);
      ASSERT_EQ(found.value().state, expected.state);
      return;
    }
    ASSERT_TRUE(image->stopped()) << found.failure().message << "\n" << image->trace();
    constexpr CrashMode kModes[] = {CrashMode::lose_unsynced, CrashMode::torn_1, CrashMode::keep_subset,
                                    CrashMode::process};
    const auto next = image->crash_image(kModes[(stop + static_cast<std::uint64_t>(depth)) % 4], stop);
    if (depth == 0) {
      Result<RecoveredState> last = recover_state(*next, recovery_options());
      ASSERT_TRUE(last.ok()) << last.failure().message << "\n" << image->trace();
      ASSERT_EQ(last.value().recovered.last_sequence, expected.recovered.last_sequence) << image->trace();
      ASSERT_EQ(last.value().state, expected.state) << image->trace();
    } else {
      ASSERT_NO_FATAL_FAILURE(recover_through_stops(*next, depth - 1, expected, count)) << image->trace();
    }
  }
}

TEST_P(LogCrash, E5RecoveryMayBeStoppedAnywhereRepeatedly) {
  std::uint64_t count = 0;
  std::uint64_t torn = 0;
  std::uint64_t unusable = 0;
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    auto disk = empty_disk(GetParam());
    Progress progress;
    ASSERT_TRUE(run_opening(*disk, 20, progress));
    std::unique_ptr<LogStore> store = std::move(LogStore::open(*disk)).value();
    for (int i = 0; i < 45; ++i) ASSERT_TRUE(store->append().ok());
    if (seed % 2 == 1) {
      ASSERT_TRUE(store->log().roll().ok());
    }
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(store->append().ok());
    const auto after = disk->crash_image(seed % 3 == 0 ? CrashMode::keep_subset : CrashMode::torn_512, seed);
    const auto undisturbed = after->crash_image(CrashMode::keep_all, 1);
    const std::size_t segments = list_segments(*undisturbed, "d").value().size();
    Result<RecoveredState> expected = recover_state(*undisturbed, recovery_options());
    ASSERT_TRUE(expected.ok()) << expected.failure().message;
    torn += expected.value().recovered.torn_bytes != 0 ? 1 : 0;
    unusable += list_segments(*undisturbed, "d").value().size() < segments ? 1 : 0;
    ASSERT_NO_FATAL_FAILURE(recover_through_stops(*after, 2, expected.value(), count)) << "seed " << seed;
  }
  EXPECT_GT(count, 1000);
  EXPECT_GT(torn, 3) << "the seeds must make torn tails";
  EXPECT_GT(unusable, 1) << "and segments behind them";
}

// K3: what was written after a torn tail is never behind garbage.
TEST_P(LogCrash, K3WritesAfterATornTailAreReadable) {
  auto disk = empty_disk(GetParam());
  std::uint64_t last = 0;
  for (std::uint64_t round = 0; round < 20; ++round) {
    std::unique_ptr<LogStore> store = std::move(LogStore::open(*disk)).value();
    ASSERT_GE(store->log().last_sequence(), last);
    ASSERT_EQ(store->recovered().state, workload_state(store->log().last_sequence()));
    for (int i = 0; i < 5; ++i) last = store->append().value();
    ASSERT_TRUE(store->log().wait_synced(last, 60'000).ok());
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(store->append().ok());
    auto after = disk->crash_image(CrashMode::torn_1, round);
    store.reset();
    disk = std::move(after);
    if (!GetParam()) disk->inject({.operation = Operation::allocate, .for_ever = true, .error = EOPNOTSUPP});
  }
}

// K2, K3: a tail torn at every byte, the rest being zeros, garbage or an old record.
TEST(LogTornTail, K2K3AtEveryByte) {
  auto disk = empty_disk(true);
  std::unique_ptr<LogStore> store = std::move(LogStore::open(*disk)).value();
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(store->append().ok());
  ASSERT_TRUE(store->log().wait_synced(8, 60'000).ok());
  const std::uint64_t before = store->log().log_bytes() + kSegmentHeaderBytes;
  ASSERT_TRUE(store->append().ok());
  const std::uint64_t after = store->log().log_bytes() + kSegmentHeaderBytes;
  disk->make_all_durable();
  const auto image = disk->crash_image(CrashMode::keep_all, 1);
  const std::string whole = image->content("d/log-1.tlog").value();
  for (std::uint64_t kept = before; kept <= after; ++kept) {
    for (const char filler : {'\0', '\x55', '\xff'}) {
      std::string torn = whole;
      for (std::uint64_t at = kept; at < after; ++at) torn[at] = filler;
      const bool is_whole = torn == whole;
      image->put("d/log-1.tlog", torn);
      Result<RecoveredState> found = recover_state(*image, recovery_options(false));
      ASSERT_TRUE(found.ok()) << found.failure().message;
      ASSERT_EQ(found.value().recovered.last_sequence, is_whole ? 9 : 8) << kept;
      ASSERT_EQ(found.value().state, workload_state(is_whole ? 9 : 8));
      ASSERT_EQ(found.value().recovered.torn_bytes != 0, !is_whole && (filler != '\0' || kept > before)) << kept;
    }
  }
}

// E3: the disk may keep a record and lose one before it.
TEST(LogTornTail, E3AHoleBeforeValidRecordsIsATornTailUnlessTheyWereSynced) {
  for (const bool synced : {false, true}) {
    auto disk = empty_disk(true);
    std::unique_ptr<LogStore> store = std::move(LogStore::open(*disk)).value();
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(store->append().ok());
    ASSERT_TRUE(store->log().wait_synced(3, 60'000).ok());
    const std::uint64_t hole = store->log().log_bytes() + kSegmentHeaderBytes;
    ASSERT_TRUE(store->append().ok());
    const std::uint64_t behind = store->log().log_bytes() + kSegmentHeaderBytes;
    if (synced) {
      ASSERT_TRUE(store->log().wait_synced(4, 60'000).ok());
    }
    ASSERT_TRUE(store->append().ok());  // carries the mark
    const auto after = disk->crash_image(CrashMode::keep_all, 1);
    ASSERT_TRUE(after->overwrite("d/log-1.tlog", hole, std::string(behind - hole, '\0')));
    Result<RecoveredState> found = recover_state(*after, recovery_options());
    if (synced) {
      ASSERT_FALSE(found.ok());
      EXPECT_EQ(found.failure().code, Code::Corruption);
      EXPECT_NE(found.failure().message.find("d/log-1.tlog"), std::string::npos) << found.failure().message;
      EXPECT_NE(found.failure().message.find("offset " + std::to_string(hole)), std::string::npos);
    } else {
      ASSERT_TRUE(found.ok()) << found.failure().message;
      EXPECT_EQ(found.value().recovered.last_sequence, 3);
      EXPECT_GT(found.value().recovered.torn_bytes, 0);
    }
  }
}

}  // namespace
}  // namespace tuskv::embedded
