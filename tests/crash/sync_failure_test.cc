// Failed and lying syncs, in the four ways that CuttleFS found in Linux file systems (reliability E11, E23): at every
// sync of a workload.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <string>
#include <tuple>

#include "crash/explorer.h"
#include "crash/runner.h"
#include "crash/workload.h"
#include "support/random_seed.h"

namespace tuskv::test {
namespace {

constexpr const char* kVariantNames[] = {"KeepsNewContent", "ReturnsOldContent", "ReportedLate", "Lies"};
constexpr std::uint64_t kWorkloads = 4;

Mix sync_mix() {
  return {.name = "Syncs",
          .weights = {{Step::Kind::set, 40},
                      {Step::Kind::batch, 15},
                      {Step::Kind::erase, 8},
                      {Step::Kind::sync, 15},
                      {Step::Kind::snapshot, 6},
                      {Step::Kind::reopen, 6}},
          .steps = 30,
          .value_bytes_max = 500,
          .segment_bytes_min = 4096,
          .segment_bytes_max = 8192};
}

class SyncFailureTest : public testing::TestWithParam<std::tuple<SyncFailure, Durability>> {
 protected:
  SyncFailure variant() const { return std::get<0>(GetParam()); }
  Durability durability() const { return std::get<1>(GetParam()); }

  /// The nth sync of the workload goes wrong; false when there are not so many.
  bool fail_sync(std::uint64_t nth, std::uint64_t seed) {
    Runner runner(sync_mix(), durability(), seed);
    runner.disk().inject({.operation = Operation::sync, .nth = nth, .error = EIO, .sync_failure = variant()});
    const Status ended = runner.run();
    if (runner.disk().faults_met() == 0) {
      EXPECT_TRUE(ended.ok()) << ended.failure().message;
      return false;
    }
    EXPECT_TRUE(ended.ok() || ended.failure().code == Code::Io) << ended.failure().message;
    const std::string failing_path = runner.disk().fault_path();
    const bool log_failed = failing_path.find(".tlog") != std::string::npos;
    const bool unknown = runner.history().started() != runner.history().acknowledged();
    if (!ended.ok() && runner.engine() != nullptr && log_failed && unknown) {
      ++poisoned_;
      expect_poisoned(runner, failing_path);
    }
    judge_what_is_left(runner, ended.ok());
    return true;
  }

  /// No write succeeds, what is known to be synced can be read, what is not cannot, and the file is not synced again.
  void expect_poisoned(Runner& runner, const std::string& failing_path) {
    const std::uint64_t syncs = runner.disk().sync_count(failing_path);
    const ModelEntries before = runner.history().state(runner.history().acknowledged(), runner.now_us());
    const ModelEntries after = runner.history().state(runner.history().started(), runner.now_us());
    for (const auto& [key, entry] : after) {
      const auto old = before.find(key);
      const Result<std::optional<std::string>> read = read_one(*runner.engine(), key);
      if (old != before.end() && old->second == entry) {
        ASSERT_TRUE(read.ok()) << key << " was synced: " << read.failure().message;
        EXPECT_EQ(read.value(), entry.value) << key;
      } else if (durability() == Durability::durable) {
        EXPECT_FALSE(read.ok()) << key << " is of unknown fate, and was shown";
      }
    }
    for (const Step& step : {Step{.kind = Step::Kind::set, .key = "probe", .value = "1"},
                             Step{.kind = Step::Kind::erase, .key = before.empty() ? "a/0" : before.begin()->first}}) {
      const Status written = perform(*runner.engine(), step);
      if (step.kind == Step::Kind::erase && before.empty()) continue;  // changes nothing, so may succeed
      ASSERT_FALSE(written.ok()) << to_string(step) << " succeeded after a failed sync";
      EXPECT_EQ(written.failure().code, Code::Io) << written.failure().message;
    }
    EXPECT_FALSE(runner.engine()->sync(kPatientMs).ok());
    EXPECT_FALSE(runner.close().ok());
    EXPECT_EQ(runner.disk().sync_count(failing_path), syncs) << failing_path << " was synced again";
  }

  void judge_what_is_left(Runner& runner, bool ended_well) {
    // What a lie, told now or found out late, has taken away nobody can know.
    const bool lied = variant() == SyncFailure::lies || variant() == SyncFailure::reported_late;
    const std::size_t secured = runner.history().least_kept(true);
    const std::size_t shortest = lied ? 0 : secured;
    for (const CrashMode mode : kCrashModes) {
      const auto image = runner.disk().crash_image(mode, mode == CrashMode::process ? 1 : 7 + secured);
      ++states_;
      Result<std::unique_ptr<Engine>> opened = embedded::EmbeddedEngine::open(runner.options(), *image, runner.clock());
      if (!opened.ok()) {
        EXPECT_TRUE(lied) << to_string(mode) << ": " << opened.failure().message << image->trace();
        // The error of the sync that came late is still waiting for the next one when only the process has died.
        const bool waited = variant() == SyncFailure::reported_late && opened.failure().code == Code::Io;
        const bool detected = opened.failure().code == Code::Corruption || opened.failure().code == Code::Config;
        EXPECT_TRUE(detected || waited) << to_string(opened.failure().code) << ": " << opened.failure().message;
        continue;
      }
      const Prefixes allowed{.shortest = shortest, .longest = runner.history().started()};
      EXPECT_TRUE(shows_prefix(*opened.value(), runner.history(), allowed, runner.now_us(), nullptr))
          << to_string(mode) << (ended_well ? ", the workload ran through" : "") << "\n"
          << runner.disk().trace();
      image->stop();
      if (HasFailure()) return;
    }
    runner.disk().stop();
  }

  std::uint64_t poisoned_ = 0;
  std::uint64_t states_ = 0;
};

TEST_P(SyncFailureTest, PoisonsAndLeavesALegalState) {
  const std::uint64_t seed = random_seed();
  std::uint64_t runs = 0;
  for (std::uint64_t workload = 0; workload < kWorkloads; ++workload) {
    for (std::uint64_t nth = 1; fail_sync(nth, seed + workload) && !HasFailure(); ++nth) ++runs;
    if (HasFailure()) break;
  }
  std::printf("%llu syncs failed, %llu stores poisoned, %llu states\n", static_cast<unsigned long long>(runs),
              static_cast<unsigned long long>(poisoned_), static_cast<unsigned long long>(states_));
  EXPECT_GT(runs, 10U);
  EXPECT_GE(poisoned_, durability() == Durability::durable && variant() != SyncFailure::lies ? 5U : 0U);
}

INSTANTIATE_TEST_SUITE_P(
    Variants, SyncFailureTest,
    testing::Combine(testing::Values(SyncFailure::keeps_new_content, SyncFailure::returns_old_content,
                                     SyncFailure::reported_late, SyncFailure::lies),
                     testing::Values(Durability::durable, Durability::relaxed, Durability::unlogged)),
    [](const auto& param) {
      return std::string(kVariantNames[static_cast<std::size_t>(std::get<0>(param.param))]) +
             level_name(std::get<1>(param.param));
    });

}  // namespace
}  // namespace tuskv::test
