// Power loss and process crashes at every operation of workloads on a simulated disk (reliability goals E2 to E6).
//
// A failure prints its seed; TUSKV_TEST_SEED=<seed> with the same --gtest_filter repeats it.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <tuple>

#include "crash/explorer.h"
#include "crash/runner.h"
#include "crash/workload.h"
#include "support/random.h"
#include "support/random_seed.h"

namespace tuskv::test {
namespace {

// 8 mixes at 3 levels: more than the 100,000 states that every run has to look at. Every operation is looked at, in as
// many modes as make about this number. The sanitizers look at a few operations of several workloads.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kExploredPercent = 3;
constexpr std::uint64_t kStatesPerTest = 400;
#else
constexpr std::uint64_t kExploredPercent = 100;
constexpr std::uint64_t kStatesPerTest = 4200;
static_assert(8 * 3 * kStatesPerTest > 100'000);
#endif
/// What becomes of one image: itself, its recovery crashed, read and written to, crashed again.
constexpr std::uint64_t kStatesPerImage = 2;

class PowerLossTest : public testing::TestWithParam<std::tuple<std::string, Durability>> {
 protected:
  Runner make_runner(std::uint64_t seed) {
    const auto& [mix_name, durability] = GetParam();
    const auto mixes = all_mixes();
    return {mix_named(mixes, mix_name), durability, seed};
  }

  void run_and_close(Runner& runner) {
    Status status = runner.run();
    EXPECT_TRUE(status.ok()) << status.failure().message;
    if (status.ok()) status = runner.close();
    EXPECT_TRUE(status.ok()) << status.failure().message;
  }

  std::uint64_t count_operations(std::uint64_t seed) {
    Runner runner = make_runner(seed);
    std::atomic<std::uint64_t> operations = 0;
    runner.disk().set_hook([&](Operation operation, const std::string& path) {
      operations += mutates(operation) ? 1 : 0;
      runner.write_during_snapshot(operation, path);
    });
    run_and_close(runner);
    runner.disk().set_hook(nullptr);
    return operations;
  }

  /// One workload, looked at before each of its operations, or before so many of them.
  ExplorerCounts explore_one(std::uint64_t seed) {
    const std::uint64_t looks = std::max<std::uint64_t>(1, count_operations(seed) * kExploredPercent / 100);
    const std::size_t modes =
        std::clamp<std::size_t>(kStatesPerTest / kStatesPerImage / looks, 1, std::size(kCrashModes));
    Runner runner = make_runner(seed);
    CrashExplorer explorer(runner.options(), runner.history(), runner.clock(), {.seed = seed});
    std::atomic<std::uint64_t> calls = 0;
    runner.disk().set_hook([&](Operation operation, const std::string& path) {
      const bool looks_here = mutates(operation) && Random(seed ^ (++calls << 32U)).chance(kExploredPercent);
      if (looks_here) explorer.explore_some(runner.disk(), modes);
      runner.write_during_snapshot(operation, path);
    });
    run_and_close(runner);
    explorer.explore(runner.disk());
    runner.disk().set_hook(nullptr);
    return explorer.counts();
  }
};

TEST_P(PowerLossTest, EveryAcknowledgedWriteStaysAndNothingElseShows) {
  const std::uint64_t seed = random_seed();
  const auto start = std::chrono::steady_clock::now();
  ExplorerCounts total;
  std::uint64_t workloads = 0;
  while (total.states < kStatesPerTest && !HasFailure()) {
    const ExplorerCounts counts = explore_one(seed + workloads++);
    total.states += counts.states;
    total.nested += counts.nested;
    total.rereads += counts.rereads;
    total.follow_ups += counts.follow_ups;
  }
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
  std::printf("%llu states of %llu workloads in %.1f s (%llu nested, %llu reread, %llu written to)\n",
              static_cast<unsigned long long>(total.states), static_cast<unsigned long long>(workloads), spent.count(),
              static_cast<unsigned long long>(total.nested), static_cast<unsigned long long>(total.rereads),
              static_cast<unsigned long long>(total.follow_ups));
  EXPECT_GE(total.states, kStatesPerTest);
  EXPECT_GT(total.nested, 0U);
  EXPECT_GT(total.rereads, 0U);
  EXPECT_GT(total.follow_ups, 0U);
}

std::vector<std::string> mix_names() {
  std::vector<std::string> names;
  for (const Mix& mix : all_mixes()) names.push_back(mix.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(
    Mixes, PowerLossTest,
    testing::Combine(testing::ValuesIn(mix_names()),
                     testing::Values(Durability::durable, Durability::relaxed, Durability::unlogged)),
    [](const auto& param) { return std::get<0>(param.param) + level_name(std::get<1>(param.param)); });

}  // namespace
}  // namespace tuskv::test
