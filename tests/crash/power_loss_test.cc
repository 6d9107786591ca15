// Power loss and process crashes at every operation of workloads on a simulated disk (reliability goals E2 to E6).
//
// A failure prints its seed; TUSKV_TEST_SEED=<seed> with the same --gtest_filter repeats it.
#include <gtest/gtest.h>

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

// 8 mixes at 3 levels: more than the 100,000 states that every run has to look at. The sanitizers look at fewer, spread
// over several workloads: a whole one can have 20,000.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kExploredPercent = 3;
constexpr std::uint64_t kStatesPerTest = 400;
#else
constexpr std::uint64_t kExploredPercent = 100;
constexpr std::uint64_t kStatesPerTest = 4200;
static_assert(8 * 3 * kStatesPerTest > 100'000);
#endif

class PowerLossTest : public testing::TestWithParam<std::tuple<std::string, Durability>> {
 protected:
  /// One workload, looked at before each of its operations, or before so many of them.
  ExplorerCounts explore_one(std::uint64_t seed) {
    const auto& [mix_name, durability] = GetParam();
    const auto mixes = all_mixes();
    Runner runner(mix_named(mixes, mix_name), durability, seed);
    CrashExplorer explorer(runner.options(), runner.history(), runner.clock(), {.seed = seed});
    std::atomic<std::uint64_t> calls = 0;
    runner.disk().set_hook([&](Operation operation, const std::string& path) {
      const bool looks = mutates(operation) && Random(seed ^ (++calls << 32U)).chance(kExploredPercent);
      if (looks) explorer.explore(runner.disk());
      runner.write_during_snapshot(operation, path);
    });
    Status status = runner.run();
    EXPECT_TRUE(status.ok()) << status.failure().message;
    if (status.ok()) status = runner.close();
    EXPECT_TRUE(status.ok()) << status.failure().message;
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
