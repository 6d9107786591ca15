// The log on a disk that refuses: every call once and for ever, full disks, failed syncs. A write that was refused must
// never be found, neither by readers nor after any crash; a sync that failed is final.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "embedded/log_fixture.h"
#include "embedded/segment_supply.h"
#include "support/simulated_file_system.h"

namespace tuskv::embedded {
namespace {

using test::CrashMode;
using test::Fault;
using test::Operation;
using test::SimulatedFileSystem;
using test::SyncFailure;

/// What a run of appends has led to.
struct Outcomes {
  std::vector<std::string> applied = {};  ///< keys of the records that were appended, in order
  std::size_t synced = 0;                 ///< so many of them are known to be durable
  std::string unknown = {};               ///< the record whose outcome is unknown, if any
  int refused = 0;
};

/// Appends `count` records whose keys tell them apart, syncing every few.
void append_some(Log& log, int first, int count, Outcomes& outcomes) {
  for (int i = first; i < first + count; ++i) {
    const std::string key = "record" + std::to_string(i);
    Result<std::uint64_t> appended = append_put(log, key, i % 10 == 9 ? 3000 : 100);
    if (appended.ok()) {
      EXPECT_TRUE(outcomes.unknown.empty()) << "nothing is written behind a record of unknown fate";
      EXPECT_EQ(appended.value(), outcomes.applied.size() + 1);
      outcomes.applied.push_back(key);
    } else {
      ++outcomes.refused;
      if (appended.failure().outcome == Outcome::unknown) {
        EXPECT_TRUE(outcomes.unknown.empty());
        outcomes.unknown = key;
      }
    }
    if (i % 4 == 3 && log.wait_synced(outcomes.applied.size(), kLongMs).ok()) outcomes.synced = outcomes.applied.size();
  }
}

/// Every crash from now on must leave a prefix of what was applied.
void check_crashes(const SimulatedFileSystem& disk, const Outcomes& outcomes, const std::string& about) {
  for (const CrashMode mode : test::kCrashModes) {
    for (std::uint64_t seed = 0; seed < 2; ++seed) {
      const auto after = disk.crash_image(mode, seed);
      std::vector<std::string> keys = keys_in_log(*after);
      const std::string where = about + " " + std::string(to_string(mode)) + "\n" + disk.trace();
      if (keys.size() == outcomes.applied.size() + 1) {
        ASSERT_EQ(keys.back(), outcomes.unknown) << where;
        keys.pop_back();
      }
      ASSERT_LE(keys.size(), outcomes.applied.size()) << where;
      ASSERT_GE(keys.size(), mode == CrashMode::process ? outcomes.applied.size() : outcomes.synced)
          << (keys.empty() ? "" : keys.front()) << where;
      for (std::size_t i = 0; i < keys.size(); ++i) ASSERT_EQ(keys[i], outcomes.applied[i]) << where;
    }
  }
}

std::string name_of(const Fault& fault) {
  return std::string(to_string(*fault.operation)) + " " + std::to_string(fault.nth) +
         (fault.for_ever ? " and all later" : "") + ", errno " + std::to_string(fault.error);
}

void run_with_fault(const Fault& fault, bool reserves_space, std::uint64_t& met) {
  SCOPED_TRACE(name_of(fault) + (reserves_space ? "" : ", growing segments"));
  auto disk = log_disk({.seed = fault.nth});
  if (!reserves_space) disk->inject({.operation = Operation::allocate, .for_ever = true, .error = EOPNOTSUPP});
  const std::uint64_t met_before = disk->faults_met();
  Outcomes outcomes;
  {
    Log log(disk.get(), log_options());
    disk->inject(fault);
    append_some(log, 0, 30, outcomes);
    ASSERT_NO_FATAL_FAILURE(check_crashes(*disk, outcomes, "after the failure"));
    met = disk->faults_met() - met_before;
    disk->clear_faults();
    if (!reserves_space) disk->inject({.operation = Operation::allocate, .for_ever = true, .error = EOPNOTSUPP});
    if (log.health().ok()) {
      // The disk works again, and so does the log, at once and without a restart.
      const std::string was_unknown = std::exchange(outcomes.unknown, "");
      const int refused = outcomes.refused;
      append_some(log, 100, 10, outcomes);
      ASSERT_EQ(outcomes.refused, refused) << disk->trace();
      ASSERT_TRUE(log.close().ok());
      ASSERT_EQ(keys_in_log(*disk), outcomes.applied) << was_unknown << disk->trace();
    } else {
      ASSERT_FALSE(log.close().ok());
    }
  }
  ASSERT_NO_FATAL_FAILURE(check_crashes(*disk, outcomes, "in the end"));
}

// The sanitizers, under which each run takes many times as long, look at some of the calls.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kCallStride = 5;
constexpr std::uint64_t kCallsMin = 1;
#else
constexpr std::uint64_t kCallStride = 1;
constexpr std::uint64_t kCallsMin = 3;
#endif

// E10, K4, K6: everything the log asks the disk for is refused once, and for ever.
TEST(LogFailure, E10EveryCallRefused) {
  constexpr Operation kOperations[] = {Operation::create,     Operation::write,  Operation::allocate,
                                       Operation::truncate,   Operation::rename, Operation::sync_directory,
                                       Operation::remove_file};
  for (const Operation operation : kOperations) {
    for (const bool reserves_space : {true, false}) {
      if (operation == Operation::allocate && !reserves_space) continue;
      std::uint64_t most = 0;
      for (const bool for_ever : {false, true}) {
        for (const int error : {EIO, ENOSPC}) {
          for (std::uint64_t nth = 1; nth <= 60; nth += kCallStride) {
            std::uint64_t met = 0;
            const Fault fault{.operation = operation,
                              .nth = nth,
                              .for_ever = for_ever,
                              .error = error,
                              .partly_written = nth % 2 == 0};
            ASSERT_NO_FATAL_FAILURE(run_with_fault(fault, reserves_space, met));
            if (met == 0) break;
            most = std::max(most, nth);
          }
        }
      }
      // Segments are cut only when they gave back a lot or when something went wrong, and files removed likewise.
      if (operation != Operation::truncate && operation != Operation::remove_file) {
        EXPECT_GE(most, kCallsMin) << to_string(operation);
      }
    }
  }
}

// The record reached the disk whole and was reported as failed all the same; the process is killed right afterwards, or
// the power goes.
TEST(LogFailure, K6ARefusedRecordIsNeverFound) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    for (const bool reserves_space : {true, false}) {
      auto disk = log_disk({.seed = seed});
      if (!reserves_space) disk->inject({.operation = Operation::allocate, .for_ever = true, .error = EOPNOTSUPP});
      Log log(disk.get(), log_options());
      Outcomes outcomes;
      append_some(log, 0, 3, outcomes);
      disk->inject({.operation = Operation::write, .error = EIO, .partly_written = true});
      Result<std::uint64_t> refused = append_put(log, "refused", 10);
      ASSERT_FALSE(refused.ok());
      ASSERT_EQ(refused.failure().outcome, Outcome::not_applied);
      ASSERT_NO_FATAL_FAILURE(check_crashes(*disk, outcomes, "refused"));
      append_some(log, 3, 2, outcomes);
      ASSERT_NO_FATAL_FAILURE(check_crashes(*disk, outcomes, "overwritten"));
    }
  }
}

TEST(LogFailure, ARecordThatCannotBeTakenBackIsUnknownAndTakenBackLater) {
  auto disk = log_disk();
  Log log(disk.get(), log_options());
  ASSERT_TRUE(append_put(log, "a").ok());
  disk->inject({.operation = Operation::write, .for_ever = true, .error = EIO, .partly_written = true});
  Result<std::uint64_t> first = append_put(log, "b");
  ASSERT_FALSE(first.ok());
  EXPECT_EQ(first.failure().outcome, Outcome::unknown);
  Result<std::uint64_t> second = append_put(log, "c");
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.failure().outcome, Outcome::not_applied) << "nothing of it was written";
  disk->clear_faults();
  EXPECT_EQ(append_put(log, "d").value(), 2);
  EXPECT_TRUE(log.close().ok());
  EXPECT_EQ(keys_in_log(*disk), (std::vector<std::string>{"a", "d"}));
}

/// Of the segments up to `last_ordinal`; they are opened, and so counted, under their temporary names.
std::uint64_t segment_syncs(const test::SimulatedFileSystem& disk, std::uint64_t last_ordinal) {
  std::uint64_t syncs = 0;
  for (std::uint64_t ordinal = 1; ordinal <= last_ordinal; ++ordinal) {
    syncs += disk.sync_count(segment_path(ordinal) + kTemporarySuffix);
  }
  return syncs;
}

// E11: after a failed sync nobody is told that anything is durable, and the file is never synced again.
TEST(LogFailure, E11AFailedSyncIsFinal) {
  constexpr SyncFailure kFailures[] = {SyncFailure::keeps_new_content, SyncFailure::returns_old_content};
  int poisoned = 0;
  for (const SyncFailure failure : kFailures) {
    for (std::uint64_t nth = 1; nth <= 12; ++nth) {
      auto disk = log_disk();
      Outcomes outcomes;
      Log log(disk.get(), log_options());
      append_some(log, 0, 8, outcomes);
      disk->inject({.operation = Operation::sync, .path_contains = ".tlog", .nth = nth, .sync_failure = failure});
      append_some(log, 8, 40, outcomes);
      if (log.health().ok()) continue;  // it was the sync of a segment in the making, which is simply made again
      ++poisoned;
      // A segment that is just being made does not hold anything and may still be finished.
      const std::uint64_t made = list_segments(*disk, kLogDirectory).value().back();
      const std::uint64_t syncs = segment_syncs(*disk, made);
      const std::uint64_t last = log.last_sequence();
      const Status waited = log.wait_synced(last, kLongMs);
      ASSERT_FALSE(waited.ok());
      EXPECT_EQ(waited.failure().code, Code::Io);
      EXPECT_EQ(waited.failure().outcome, Outcome::unknown);
      EXPECT_TRUE(log.wait_synced(log.synced_sequence(), kLongMs).ok()) << "what was synced stays synced";
      Result<std::uint64_t> refused = append_put(log, "late");
      ASSERT_FALSE(refused.ok());
      EXPECT_EQ(refused.failure().code, Code::Io);
      EXPECT_EQ(refused.failure().outcome, Outcome::not_applied);
      EXPECT_EQ(log.roll().failure().code, Code::Io);
      EXPECT_FALSE(log.close().ok());
      EXPECT_EQ(segment_syncs(*disk, made), syncs) << "never again\n" << disk->trace();
      for (const CrashMode mode : test::kCrashModes) {
        const auto after = disk->crash_image(mode, nth);
        const std::vector<std::string> keys = keys_in_log(*after);
        ASSERT_GE(keys.size(), outcomes.synced) << (keys.empty() ? "" : keys.front());
        for (std::size_t i = 0; i < keys.size(); ++i) ASSERT_EQ(keys[i], outcomes.applied[i]);
      }
    }
  }
  EXPECT_GT(poisoned, 12);
}

TEST(LogFailure, E11AFailedSyncReachesEveryWaiter) {
  auto disk = log_disk();
  Log log(disk.get(), log_options());
  ASSERT_TRUE(append_put(log, "a").ok());
  disk->inject({.operation = Operation::sync});
  std::atomic<int> unknown = 0;
  std::vector<std::thread> waiters;
  for (int i = 0; i < 8; ++i) {
    waiters.emplace_back([&] {
      const Status status = log.wait_synced(1, kLongMs);
      if (!status.ok() && status.failure().outcome == Outcome::unknown) ++unknown;
    });
  }
  for (std::thread& waiter : waiters) waiter.join();
  EXPECT_EQ(unknown, 8);
  struct Told {
    std::atomic<bool> called = false;
    std::atomic<bool> failed = false;
  } told;
  const auto done = [](void* context, const Status& status) {
    Told& noted = *static_cast<Told*>(context);
    noted.failed = !status.ok();
    noted.called = true;
  };
  EXPECT_FALSE(log.notify_synced(1, kLongMs, done, &told));
  EXPECT_FALSE(log.close().ok());
  EXPECT_TRUE(told.called);
  EXPECT_TRUE(told.failed);
  told.called = false;
  EXPECT_FALSE(log.notify_synced(1, kLongMs, done, &told)) << "after the end";
  EXPECT_TRUE(told.called);
}

// E23: a disk that lies about a sync loses data, but what is left is a prefix or is refused.
TEST(LogFailure, E23ALyingDiskLeavesAPrefixOrIsRefused) {
  int refused = 0;
  for (const SyncFailure failure : {SyncFailure::lies, SyncFailure::reported_late}) {
    for (std::uint64_t nth = 1; nth <= 12; ++nth) {
      auto disk = log_disk();
      Outcomes outcomes;
      Log log(disk.get(), log_options());
      disk->inject({.operation = Operation::sync, .nth = nth, .sync_failure = failure});
      append_some(log, 0, 40, outcomes);
      for (const CrashMode mode : test::kCrashModes) {
        const auto after = disk->crash_image(mode, nth);
        const std::vector<std::string> keys = keys_in_log(*after);
        if (keys.size() == 1 && keys[0].starts_with("failure: ")) {
          ASSERT_NE(keys[0].find("d/log-"), std::string::npos) << keys[0];
          ++refused;
          continue;
        }
        ASSERT_LE(keys.size(), outcomes.applied.size());
        for (std::size_t i = 0; i < keys.size(); ++i) ASSERT_EQ(keys[i], outcomes.applied[i]);
      }
    }
  }
  EXPECT_GT(refused, 0);
}

// E12: a full disk refuses puts, takes erases, and works again as soon as there is room.
TEST(LogFailure, E12AFullDiskStillErases) {
  auto disk = log_disk();
  Log log(disk.get(), log_options());
  Outcomes outcomes;
  append_some(log, 0, 10, outcomes);
  disk->set_capacity(0);
  int more = 0;
  for (Result<std::uint64_t> put = append_put(log, "put"); put.ok(); put = append_put(log, "put")) ++more;
  EXPECT_GT(more, 0) << "the present segment has room";
  EXPECT_LT(more, 2000);
  for (int i = 0; i < 5; ++i) {
    Result<std::uint64_t> put = append_put(log, "put");
    ASSERT_FALSE(put.ok());
    EXPECT_EQ(put.failure().code, Code::NoSpace);
    EXPECT_EQ(put.failure().outcome, Outcome::not_applied);
    EXPECT_TRUE(append_erase(log, "erase").ok());
  }
  EXPECT_TRUE(log.wait_synced(log.last_sequence(), kLongMs).ok());
  disk->set_capacity(std::uint64_t{1} << 30);
  EXPECT_TRUE(append_put(log, "again").ok());
  EXPECT_TRUE(log.close().ok());
  EXPECT_EQ(keys_in_log(*disk).size(), outcomes.applied.size() + static_cast<std::size_t>(more) + 6);
}

TEST(LogFailure, E12AnAlmostFullDiskGetsSmallerSegments) {
  auto disk = log_disk({.capacity_bytes = 100'000});
  LogOptions options = log_options();
  options.segment_bytes_min = 1 << 20;
  Log log(disk.get(), options);
  EXPECT_TRUE(append_put(log, "a").ok());
  EXPECT_EQ(append_put(log, "large", 200'000).failure().code, Code::NoSpace);
  EXPECT_TRUE(append_put(log, "b").ok());
  EXPECT_TRUE(log.close().ok());
  EXPECT_EQ(keys_in_log(*disk), (std::vector<std::string>{"a", "b"}));
}

TEST(LogFailure, AWaiterGivesUpAtItsDeadline) {
  auto disk = log_disk();
  Log log(disk.get(), log_options());
  ASSERT_TRUE(append_put(log, "a").ok());
  std::atomic<bool> stalled = false;
  std::atomic<bool> go_on = false;
  disk->set_hook([&](Operation operation, const std::string&) {
    if (operation != Operation::sync) return;
    stalled = true;
    while (!go_on) std::this_thread::yield();
  });
  std::thread leader([&] { EXPECT_TRUE(log.wait_synced(1, kLongMs).ok()); });
  while (!stalled) std::this_thread::yield();
  EXPECT_TRUE(append_put(log, "b").ok()) << "appends do not wait for the sync";
  for (const std::int64_t timeout_ms : {0, 20}) {
    const Status status = log.wait_synced(1, timeout_ms);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.failure().code, Code::Timeout);
    EXPECT_EQ(status.failure().outcome, Outcome::unknown);
  }
  go_on = true;
  leader.join();
  EXPECT_TRUE(log.wait_synced(2, kLongMs).ok());
}

TEST(SegmentSupply, S102_S128_ASegmentThatWasLostIsAnErrorForWhoTakesIt) {
  for (const test::Fault& lost : {test::Fault{.operation = Operation::sync_directory},
                                  test::Fault{.operation = Operation::rename, .is_done = true}}) {
    SimulatedFileSystem disk;
    ASSERT_TRUE(disk.make_directory("d").ok());
    SegmentSupply supply(&disk, {.directory = "d"});
    std::int64_t patience_ms = kLongMs;
    ASSERT_TRUE(supply.prepare(10, patience_ms).ok());
    disk.inject(lost);
    EXPECT_FALSE(supply.prepare(std::uint64_t{2} << 20, patience_ms).ok()) << "another wants a larger one";
    EXPECT_EQ(disk.faults_met(), 1U);
    const Result<Segment> refused = supply.take();
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.failure().code, Code::Io);
    ASSERT_TRUE(supply.prepare().ok());
    const Result<Segment> taken = supply.take();
    ASSERT_TRUE(taken.ok());
    const Result<OpenedSegment> named = open_segment(disk, "d", {}, 1);
    ASSERT_TRUE(named.ok()) << named.failure().message;
    EXPECT_EQ(named.value().header.segment_id, taken.value().header.segment_id);
  }
}

}  // namespace
}  // namespace tuskv::embedded
