// The process dies in the middle of a write: part of its bytes is down, and nothing happens any more. What the kernel
// has of it survives the process (reliability E1, E14).
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>

#include "crash/explorer.h"
#include "crash/runner.h"
#include "crash/workload.h"
#include "support/random_seed.h"

namespace tuskv::test {
namespace {

// The world stops at every operation. The sanitizers, under which each run takes many times as long, look at some.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kStride = 7;
#else
constexpr std::uint64_t kStride = 1;
#endif

class StoppedWriteTest : public testing::TestWithParam<Durability> {};

Mix stopped_mix() {
  return {.name = "Stopped",
          .weights = {{Step::Kind::set, 40},
                      {Step::Kind::batch, 20},
                      {Step::Kind::erase, 8},
                      {Step::Kind::sync, 5},
                      {Step::Kind::snapshot, 7},
                      {Step::Kind::reopen, 6}},
          .steps = 30,
          .value_bytes_max = 1500,
          .writes_in_snapshots = true,
          .segment_bytes_min = 4096,
          .segment_bytes_max = 8192};
}

/// False when the workload ends before operation `nth`.
bool stop_in(std::uint64_t nth, Durability durability, std::uint64_t seed, std::uint64_t* states) {
  Runner runner(stopped_mix(), durability, seed);
  runner.disk().stop_at({.operation = nth, .partly_written = true});
  runner.disk().set_hook(
      [&](Operation operation, const std::string& path) { runner.write_during_snapshot(operation, path); });
  const Status ended = runner.run();
  runner.disk().set_hook(nullptr);
  if (!runner.disk().stopped()) return false;
  if (ended.ok()) return true;  // only work in the background was hit
  CrashExplorer explorer(runner.options(), runner.history(), runner.clock(), {.seed = seed, .nested_percent = 10});
  for (const CrashMode mode :
       {CrashMode::process, CrashMode::process, CrashMode::lose_unsynced, CrashMode::torn_1, CrashMode::torn_512}) {
    explorer.explore(runner.disk(), mode);
  }
  *states += explorer.counts().states;
  return true;
}

TEST_P(StoppedWriteTest, LeavesAPrefix) {
  const std::uint64_t seed = random_seed();
  std::uint64_t stops = 0;
  std::uint64_t states = 0;
  for (std::uint64_t workload = 0; workload < 3 && !HasFailure(); ++workload) {
    std::uint64_t nth = 1;
    for (; !HasFailure() && stop_in(nth, GetParam(), seed + workload, &states); nth += kStride) ++stops;
  }
  std::printf("%llu stops, %llu states\n", static_cast<unsigned long long>(stops),
              static_cast<unsigned long long>(states));
  EXPECT_GT(stops, 100U);
}

INSTANTIATE_TEST_SUITE_P(Levels, StoppedWriteTest,
                         testing::Values(Durability::durable, Durability::relaxed, Durability::unlogged),
                         [](const auto& level) { return level_name(level.param); });

}  // namespace
}  // namespace tuskv::test
