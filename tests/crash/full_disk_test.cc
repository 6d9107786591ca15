// A disk that is full (reliability E12, E13): writes are refused with nothing applied, reads and erases go on, and when
// there is space again so does everything, without a restart.
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>

#include "crash/explorer.h"
#include "crash/runner.h"
#include "crash/workload.h"

namespace tuskv::test {
namespace {

constexpr std::uint64_t kSmallDiskBytes = 512 << 10;
constexpr std::size_t kErasesOnAFullDisk = 5;

Mix full_mix() {
  return {.name = "Full",
          .weights = {{Step::Kind::set, 1}},
          .steps = 0,
          .segment_bytes_min = 64 << 10,
          .segment_bytes_max = 128 << 10};
}

class FullDiskTest : public testing::TestWithParam<Durability> {
 protected:
  FullDiskTest() : runner_(full_mix(), GetParam(), 1) {
    const Status opened = runner_.open();
    EXPECT_TRUE(opened.ok()) << opened.failure().message;
    runner_.disk().set_capacity(kSmallDiskBytes);
  }

  Status write(const Step& step) {
    runner_.history().start(step, runner_.now_us());
    Status status = perform(*runner_.engine(), step);
    if (status.ok()) {
      runner_.history().acknowledge();
    } else if (status.failure().outcome == Outcome::not_applied) {
      runner_.history().withdraw();
    }
    return status;
  }

  static Step set(std::size_t index) {
    return {.kind = Step::Kind::set, .key = "k" + std::to_string(index), .value = std::string(900, 'v')};
  }

  /// How many sets fit.
  std::size_t fill() {
    for (std::size_t i = 0; i < 10'000; ++i) {
      const Status status = write(set(i));
      if (status.ok()) continue;
      EXPECT_EQ(status.failure().code, Code::NoSpace) << status.failure().message;
      EXPECT_EQ(status.failure().outcome, Outcome::not_applied);
      return i;
    }
    ADD_FAILURE() << "the disk never got full";
    return 0;
  }

  void expect_exact() {
    const std::size_t count = runner_.history().acknowledged();
    ASSERT_EQ(count, runner_.history().started());
    EXPECT_TRUE(shows_prefix(*runner_.engine(), runner_.history(), {.shortest = count, .longest = count},
                             runner_.now_us(), nullptr));
  }

  void explore() {
    CrashExplorer explorer(runner_.options(), runner_.history(), runner_.clock(), {.seed = 5, .follow_up_percent = 0});
    explorer.explore(runner_.disk());
    EXPECT_FALSE(explorer.failed());
  }

  void close_and_reopen() {
    const Status closed = runner_.close();
    ASSERT_TRUE(closed.ok()) << closed.failure().message;
    const Status opened = runner_.open();
    ASSERT_TRUE(opened.ok()) << opened.failure().message;
    expect_exact();
  }

  Runner runner_;
};

/// Without a log nothing is written before a snapshot is.
class FullLogTest : public FullDiskTest {};

TEST_P(FullLogTest, RefusesWritesAndServesTheRest) {
  const std::size_t fitted = fill();
  ASSERT_GT(fitted, 2 * kErasesOnAFullDisk);
  expect_exact();
  explore();
  for (std::size_t i = 0; i < kErasesOnAFullDisk; ++i) {
    const Status erased = write({.kind = Step::Kind::erase, .key = "k" + std::to_string(i)});
    ASSERT_TRUE(erased.ok()) << "erase " << i << ": " << erased.failure().message;
  }
  EXPECT_FALSE(write(set(fitted)).ok());
  expect_exact();
  explore();
}

TEST_P(FullLogTest, GoesOnWhenThereIsSpaceAgain) {
  const std::size_t fitted = fill();
  runner_.disk().set_capacity(std::uint64_t{1} << 30U);
  for (std::size_t i = 0; i < 50; ++i) {
    const Status status = write(set(fitted + i));
    ASSERT_TRUE(status.ok()) << status.failure().message;
  }
  expect_exact();
  explore();
  close_and_reopen();
}

/// The first erase of an opening needs a segment and a manifest: closing gives back what the last segment has kept.
TEST_P(FullLogTest, S30_ErasesFirstThingAfterOpeningAgain) {
  for (std::size_t opening = 0; opening < 8; ++opening) {
    fill();
    close_and_reopen();
    for (std::size_t i = 0; i < kErasesOnAFullDisk; ++i) {
      const std::size_t index = opening * kErasesOnAFullDisk + i;
      const Status erased = write({.kind = Step::Kind::erase, .key = "k" + std::to_string(index)});
      ASSERT_TRUE(erased.ok()) << "opening " << opening << ", erase " << index << ": " << erased.failure().message;
    }
    explore();
  }
}

TEST_P(FullDiskTest, ASnapshotThatDoesNotFitLeavesNothingBehind) {
  for (std::size_t i = 0; i < 300; ++i) ASSERT_TRUE(write(set(i)).ok());
  const bool logged = GetParam() != Durability::unlogged;
  runner_.disk().set_capacity(logged ? kSmallDiskBytes : kSmallDiskBytes / 3);
  const Result<SnapshotInfo> taken = runner_.engine()->snapshot();
  ASSERT_FALSE(taken.ok()) << "the disk is too large for this test";
  EXPECT_EQ(taken.failure().code, Code::NoSpace) << taken.failure().message;
  for (const auto& [path, bytes] : runner_.disk().contents()) {
    EXPECT_EQ(path.find("snapshot-"), std::string::npos) << path << " was left behind";
  }
  expect_exact();
  explore();
  runner_.disk().set_capacity(std::uint64_t{1} << 30U);
  const Result<SnapshotInfo> second = runner_.engine()->snapshot();
  ASSERT_TRUE(second.ok()) << second.failure().message;
  close_and_reopen();
}

std::string test_name(const testing::TestParamInfo<Durability>& level) { return level_name(level.param); }

INSTANTIATE_TEST_SUITE_P(Levels, FullLogTest, testing::Values(Durability::durable, Durability::relaxed), test_name);
INSTANTIATE_TEST_SUITE_P(Levels, FullDiskTest,
                         testing::Values(Durability::durable, Durability::relaxed, Durability::unlogged), test_name);

}  // namespace
}  // namespace tuskv::test
