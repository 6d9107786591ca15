// Every call to the disk fails once, and from some moment on for ever: at each call of a workload, for each kind of
// call. A failed step must say the right thing, must not take effect later, and must leave a store that is usable, or
// that says what it is (reliability E10, E12 to E15). An encrypted store promises the same.
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <tuple>
#include <utility>

#include "crash/explorer.h"
#include "crash/runner.h"
#include "crash/workload.h"
#include "support/random_seed.h"
#include "support/turned_encryptor.h"

namespace tuskv::test {
namespace {

/// Everything that touches the disk, in few steps.
Mix fault_mix() {
  return {.name = "Faults",
          .weights = {{Step::Kind::set, 30},
                      {Step::Kind::batch, 12},
                      {Step::Kind::erase, 8},
                      {Step::Kind::add, 5},
                      {Step::Kind::erase_prefix, 4},
                      {Step::Kind::transfer, 5},
                      {Step::Kind::sync, 6},
                      {Step::Kind::snapshot, 10},
                      {Step::Kind::prune, 4},
                      {Step::Kind::reopen, 10}},
          .steps = 30,
          .value_bytes_max = 700,
          .writes_in_snapshots = true,
          .segment_bytes_min = 4096,
          .segment_bytes_max = 8192};
}

// Every call fails in its turn; of an encrypted store's, which are those of the same engine, one in five. The
// sanitizers, under which each run takes many times as long, look at some of them.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kStride = 11;
#else
constexpr std::uint64_t kStride = 1;
#endif

Code expected_code(int error) {
  return error == ENOSPC || error == EDQUOT || error == EFBIG ? Code::NoSpace : Code::Io;
}

/// One run of the workload with one planned fault.
class FaultedRun final {
 public:
  FaultedRun(Durability durability, std::uint64_t seed, const Fault& fault, std::shared_ptr<const Encryptor> encryptor)
      : fault_(fault), runner_(fault_mix(), durability, seed, std::move(encryptor)), seed_(seed) {
    runner_.disk().inject(fault);
  }

  /// True when the fault was met.
  bool run() {
    runner_.disk().set_hook(
        [this](Operation operation, const std::string& path) { runner_.write_during_snapshot(operation, path); });
    while (!testing::Test::HasFailure() && !gave_up_ && (runner_.engine() == nullptr || !runner_.finished())) {
      if (runner_.engine() == nullptr) {
        open();
      } else {
        run_step();
      }
    }
    const bool met = runner_.disk().faults_met() != 0;
    runner_.disk().clear_faults();
    if (!testing::Test::HasFailure()) judge_what_is_left();
    runner_.disk().set_hook(nullptr);
    return met;
  }

  std::uint64_t states() const { return states_; }

 private:
  void open() {
    const std::uint64_t met = runner_.disk().faults_met();
    const Status opened = runner_.open();
    if (opened.ok()) {
      poisoned_ = false;
      return;
    }
    expect_caused(opened, met);
    if (fault_.for_ever) gave_up_ = true;  // the faults end, and then it must open
  }

  void run_step() {
    const std::uint64_t met = runner_.disk().faults_met();
    const Status status = runner_.run_next();
    if (status.ok()) return;
    expect_caused(status, met);
    if (sync_may_have_failed()) runner_.data_may_be_lost();
    poisoned_ = poisoned_ || (sync_may_have_failed() && log_is_poisoned());
    if (runner_.engine() != nullptr) expect_readable();
  }

  /// Asks the log itself: what a failed step said may be about a file of its own. Only a log that is always written can
  /// be poisoned; a snapshot's recording is a log of its own each time.
  bool log_is_poisoned() {
    if (runner_.engine() == nullptr || runner_.options().options.durability == Durability::unlogged) return false;
    const std::size_t answered = runner_.history().acknowledged();
    if (!runner_.engine()->sync(kPatientMs).ok()) return true;
    runner_.history().secure(answered);
    return false;
  }

  bool sync_may_have_failed() { return fault_.operation == Operation::sync && runner_.disk().faults_met() != 0; }

  void expect_caused(const Status& status, std::uint64_t met_before) {
    const Failure& failure = status.failure();
    const bool now = runner_.disk().faults_met() != met_before;
    EXPECT_TRUE(now || sync_may_have_failed()) << "failed without a cause: " << failure.message;
    const bool right =
        failure.code == expected_code(fault_.error) || (sync_may_have_failed() && failure.code == Code::Io);
    EXPECT_TRUE(right) << to_string(failure.code) << ": " << failure.message;
    EXPECT_NE(failure.outcome, Outcome::applied) << failure.message;
  }

  /// Everything acknowledged can be read while the disk is in trouble, except next to what nobody knows the fate of.
  void expect_readable() {
    const bool unknown = runner_.history().started() != runner_.history().acknowledged();
    if (unknown || poisoned_) return;
    const std::size_t count = runner_.history().acknowledged();
    EXPECT_TRUE(shows_prefix(*runner_.engine(), runner_.history(), {.shortest = count, .longest = count},
                             runner_.now_us(), nullptr));
  }

  /// The disk works again.
  void judge_what_is_left() {
    if (runner_.engine() == nullptr) {
      const Status opened = runner_.open();
      EXPECT_TRUE(opened.ok()) << opened.failure().message;
      if (!opened.ok()) return;
      poisoned_ = false;
    }
    expect_usable_or_poisoned();
    if (testing::Test::HasFailure()) return;
    CrashExplorer explorer(runner_.options(), runner_.history(), runner_.clock(),
                           {.seed = seed_, .nested_percent = 20});
    explorer.explore(runner_.disk(), crash_mode());
    states_ += explorer.counts().states;
    close_and_reopen();
  }

  /// One of those that say something after this fault. A call refused for another reason leaves the same bytes, so the
  /// errors of one call share the modes; the engine has to come through every error all the same.
  CrashMode crash_mode() {
    constexpr CrashMode kModes[] = {CrashMode::process, CrashMode::lose_unsynced, CrashMode::torn_1};
    constexpr CrashMode kModesAfterFailedSync[] = {CrashMode::lose_unsynced, CrashMode::keep_all};
    const std::uint64_t error = fault_.error == EIO ? 0 : fault_.error == ENOSPC ? 1 : 2;
    const std::uint64_t turn = fault_.nth + error;
    return sync_may_have_failed() ? kModesAfterFailedSync[turn % std::size(kModesAfterFailedSync)]
                                  : kModes[turn % std::size(kModes)];
  }

  void expect_usable_or_poisoned() {
    const Step probe{.kind = Step::Kind::set, .key = "probe", .value = "after the faults"};
    runner_.history().start(probe, runner_.now_us());
    const Status written = perform(*runner_.engine(), probe);
    if (written.ok()) {
      EXPECT_FALSE(poisoned_) << "a write succeeded after a failed sync";
      return runner_.history().acknowledge();
    }
    EXPECT_EQ(written.failure().outcome, Outcome::not_applied);
    EXPECT_TRUE(sync_may_have_failed() && log_is_poisoned()) << "not usable: " << written.failure().message;
    runner_.history().withdraw();
  }

  void close_and_reopen() {
    const Status closed = runner_.close();
    EXPECT_TRUE(closed.ok() || sync_may_have_failed()) << closed.failure().message;
    const Status reopened = runner_.open();
    EXPECT_TRUE(reopened.ok()) << reopened.failure().message;
  }

  const Fault fault_;
  Runner runner_;
  const std::uint64_t seed_;
  bool gave_up_ = false;
  bool poisoned_ = false;
  std::uint64_t states_ = 0;
};

enum class Values { plain, encrypted };

class DiskErrorTest : public testing::TestWithParam<std::tuple<Operation, Durability, Values>> {
 protected:
  static constexpr std::uint64_t kFaultsMetMin = 5;

  void fail_with_seed(std::uint64_t seed) {
    const bool writes = std::get<0>(GetParam()) == Operation::write;
    const int third[] = {EDQUOT, EROFS, EMFILE};
    for (const bool for_ever : {false, true}) {
      for (const int error : {EIO, ENOSPC, third[seed % 3]}) {
        fail_calls({.for_ever = for_ever, .error = error}, seed);
        if (writes) fail_calls({.for_ever = for_ever, .error = error, .partly_written = true}, seed);
      }
    }
  }

  void fail_calls(Fault fault, std::uint64_t seed) {
    const auto& [operation, durability, values] = GetParam();
    const auto encryptor = values == Values::encrypted ? std::make_shared<const TurnedEncryptor>("K") : nullptr;
    const std::uint64_t stride = values == Values::encrypted ? 5 * kStride : kStride;
    fault.operation = operation;
    for (fault.nth = 1; !HasFailure(); fault.nth += stride) {
      FaultedRun run(durability, seed, fault, encryptor);
      const bool met = run.run();
      ++runs_;
      met_ += met ? 1 : 0;
      states_ += run.states();
      if (HasFailure()) {
        ADD_FAILURE() << "with " << to_string(operation) << " number " << fault.nth << " failing with "
                      << std::to_string(fault.error) << (fault.for_ever ? " for ever" : " once")
                      << (fault.partly_written ? ", partly written" : "") << ", seed " << seed;
      }
      if (!met) return;
    }
  }

  std::uint64_t runs_ = 0;
  std::uint64_t met_ = 0;
  std::uint64_t states_ = 0;
};

TEST_P(DiskErrorTest, FailsAtEveryCall) {
  // Some workloads hardly make some calls: then the next one is looked at as well.
  constexpr std::uint64_t kWorkloadsMax = 8;
  const std::uint64_t first = random_seed();
  for (std::uint64_t i = 0; i < kWorkloadsMax && met_ <= kFaultsMetMin && !HasFailure(); ++i) fail_with_seed(first + i);
  std::printf("%llu runs, %llu faults met, %llu states\n", static_cast<unsigned long long>(runs_),
              static_cast<unsigned long long>(met_), static_cast<unsigned long long>(states_));
  // Without a log there is a segment to cut only where a snapshot's recording leaves one.
  const bool is_rare = GetParam() == std::tuple(Operation::truncate, Durability::unlogged, Values::plain);
  if (!is_rare) {
    EXPECT_GT(met_, kFaultsMetMin) << "the workloads hardly make this call";
  }
}

std::string test_name(const testing::TestParamInfo<DiskErrorTest::ParamType>& param) {
  std::string name;
  bool capital = true;
  for (const char letter : to_string(std::get<0>(param.param))) {
    if (letter != ' ') name += static_cast<char>(capital ? std::toupper(letter) : letter);
    capital = letter == ' ';
  }
  return name + std::to_string(static_cast<int>(std::get<0>(param.param))) + level_name(std::get<1>(param.param)) +
         (std::get<2>(param.param) == Values::encrypted ? "Encrypted" : "");
}

INSTANTIATE_TEST_SUITE_P(
    Calls, DiskErrorTest,
    testing::Combine(testing::Values(Operation::open, Operation::create, Operation::read, Operation::write,
                                     Operation::sync, Operation::allocate, Operation::truncate, Operation::size,
                                     Operation::kind, Operation::list, Operation::make_directory, Operation::rename,
                                     Operation::link, Operation::remove_file, Operation::remove_directory,
                                     Operation::sync_directory, Operation::lock),
                     testing::Values(Durability::durable, Durability::relaxed, Durability::unlogged),
                     testing::Values(Values::plain)),
    test_name);

// The calls that encryption makes others of: it marks a store at its first opening, and reads before it counts.
INSTANTIATE_TEST_SUITE_P(EncryptedCalls, DiskErrorTest,
                         testing::Combine(testing::Values(Operation::open, Operation::create, Operation::read,
                                                          Operation::write, Operation::sync, Operation::rename),
                                          testing::Values(Durability::durable), testing::Values(Values::encrypted)),
                         test_name);

}  // namespace
}  // namespace tuskv::test
