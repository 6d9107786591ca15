// Several threads write while the disk is looked at. Each thread has keys of its own, so that what it wrote must show
// as a prefix of its own order; and since the store has one order, nothing may show that was started after a lost write
// had been acknowledged (G-order). All threads move money between the same accounts: a balance tells which transfers
// are there, wholly and once.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "crash/engine_client.h"
#include "crash/history.h"
#include "crash/runner.h"
#include "crash/workload.h"
#include "os/mutex.h"
#include "support/random.h"
#include "support/random_seed.h"

namespace tuskv::test {
namespace {

constexpr std::size_t kTellers = 3;
constexpr std::uint64_t kAccounts = 4;
constexpr std::uint64_t kTransfersBetweenLooks = 10;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kStatesPerTest = 150;
#else
constexpr std::uint64_t kStatesPerTest = 2000;
#endif

std::string account(std::uint64_t index) { return "account" + std::to_string(index); }

/// One thread's part of the bank and what it knows of its own writes.
class Teller final {
 public:
  struct Transfer {
    std::uint64_t from = 0;
    std::uint64_t to = 0;
    std::int64_t amount = 0;
    std::uint64_t started_at = 0;
    std::uint64_t answered_at = 0;  ///< 0: not yet
  };

  Teller(std::size_t index, Durability durability, std::uint64_t seed)
      : prefix_("teller" + std::to_string(index) + "/"), history_(durability), random_(seed + index) {}

  /// False when the disk has stopped.
  bool transfer(Engine& engine, std::atomic<std::uint64_t>& ticks, std::int64_t now_us) {
    const Transfer next = start(ticks, now_us);
    Status status = engine_transfer(engine, next);
    if (!status.ok()) return false;
    os::MutexLock lock(mutex_);
    transfers_.back().answered_at = ++ticks;
    history_.acknowledge();
    return true;
  }

  const History& history() const { return history_; }
  const std::string& prefix() const { return prefix_; }
  void secure(std::size_t count) { history_.secure(count); }
  void secure_answered() { secure(history_.acknowledged()); }
  std::vector<Transfer> transfers() const {
    os::MutexLock lock(mutex_);
    return transfers_;
  }

 private:
  Transfer start(std::atomic<std::uint64_t>& ticks, std::int64_t now_us) {
    os::MutexLock lock(mutex_);
    Transfer next{.from = random_.below(kAccounts), .amount = 1 + static_cast<std::int64_t>(random_.below(20))};
    next.to = (next.from + 1 + random_.below(kAccounts - 1)) % kAccounts;
    receipt_ = {.kind = Step::Kind::batch};
    const std::string number = std::to_string(transfers_.size() + 1);
    receipt_.items = {{.key = prefix_ + "count", .value = number},
                      {.key = prefix_ + std::to_string(transfers_.size() % 5), .value = number}};
    next.started_at = ++ticks;
    transfers_.push_back(next);
    history_.start(receipt_, now_us);
    return next;
  }

  Status engine_transfer(Engine& engine, const Transfer& next) const {
    for (;;) {
      OptimisticTransaction transaction;
      Status status = add_balances(engine, next, transaction);
      if (status.ok()) {
        for (const BatchItem& item : receipt_.items) {
          transaction.writes.push_back({.key = stored_key(item.key), .value = *item.value});
        }
        status = engine.commit(transaction, kPatientMs);
      }
      if (status.ok() || status.failure().code != Code::Conflict) return status;
    }
  }

  static Status add_balances(Engine& engine, const Transfer& next, OptimisticTransaction& transaction) {
    const std::string keys[] = {stored_key(account(next.from)), stored_key(account(next.to))};
    for (std::size_t i = 0; i < 2; ++i) {
      std::string balance;
      Command read = Read{.key = keys[i], .into = &balance};
      Unit unit{.commands = std::span(&read, 1), .timeout_ms = kPatientMs};
      TUSKV_RETURN_IF_ERROR(engine.read(transaction, unit));
      const std::int64_t before = balance.empty() ? kAccountStart : std::stoll(balance);
      const std::int64_t after = i == 0 ? before - next.amount : before + next.amount;
      transaction.writes.push_back({.key = keys[i], .value = std::to_string(after)});
    }
    return {};
  }

  const std::string prefix_;
  History history_;
  Step receipt_;
  mutable os::Mutex mutex_;
  Random random_ TUSKV_GUARDED_BY(mutex_);
  std::vector<Transfer> transfers_ TUSKV_GUARDED_BY(mutex_);
};

class Bank final {
 public:
  Bank(Durability durability, std::uint64_t seed)
      : options_(engine_options(mix(), durability)), disk_({.seed = seed}), random_seed_(seed) {
    options_.options.sync_interval = std::chrono::milliseconds(1);
    for (std::size_t i = 0; i < kTellers; ++i) tellers_.push_back(std::make_unique<Teller>(i, durability, seed));
  }

  std::uint64_t run(std::uint64_t states_wanted) {
    auto opened = embedded::EmbeddedEngine::open(options_, disk_, clock_);
    if (!opened.ok()) {
      ADD_FAILURE() << opened.failure().message;
      return 0;
    }
    engine_ = std::move(opened).value();
    disk_.set_hook([this](Operation operation, const std::string&) {
      if (mutates(operation) && ++operations_ % 5 == 0) look();
    });
    std::vector<std::thread> threads;
    for (auto& teller : tellers_) {
      threads.emplace_back([&, this] {
        while (states_ < states_wanted && !testing::Test::HasFailure()) {
          if (teller->history().started() > kTransfersBetweenLooks * (looks_ + 1)) {
            std::this_thread::yield();  // without a log, transfers are far faster than snapshots
            continue;
          }
          ASSERT_TRUE(teller->transfer(*engine_, ticks_, clock_.now_us()));
        }
      });
    }
    threads.emplace_back([&, this] { take_snapshots(states_wanted); });
    for (std::thread& thread : threads) thread.join();
    disk_.set_hook(nullptr);
    const Status closed = engine_->close();
    EXPECT_TRUE(closed.ok()) << closed.failure().message;
    for (auto& teller : tellers_) teller->secure_answered();
    engine_.reset();
    if (!testing::Test::HasFailure()) look_at(CrashMode::lose_unsynced, 1);
    return states_;
  }

 private:
  static Mix mix() {
    return {.name = "Bank",
            .segment_bytes_min = 4096,
            .segment_bytes_max = 8192,
            .snapshot_log_bytes_min = std::size_t{16} << 10};
  }

  void take_snapshots(std::uint64_t states_wanted) {
    while (states_ < states_wanted && !testing::Test::HasFailure()) {
      std::vector<std::size_t> answered;
      for (auto& teller : tellers_) answered.push_back(teller->history().acknowledged());
      const Result<SnapshotInfo> taken = engine_->snapshot();
      ASSERT_TRUE(taken.ok()) << taken.failure().message;
      for (std::size_t i = 0; i < tellers_.size(); ++i) tellers_[i]->secure(answered[i]);
    }
  }

  void look() {
    const std::uint64_t number = ++looks_;
    look_at(kCrashModes[number % std::size(kCrashModes)], number ^ random_seed_);
  }

  void look_at(CrashMode mode, std::uint64_t seed) {
    if (testing::Test::HasFailure()) return;
    ++states_;
    const bool power_lost = mode != CrashMode::process;
    std::vector<Prefixes> allowed;
    for (auto& teller : tellers_) allowed.push_back({.shortest = teller->history().least_kept(power_lost)});
    const auto image = disk_.crash_image(mode, seed);
    for (std::size_t i = 0; i < tellers_.size(); ++i) allowed[i].longest = tellers_[i]->history().started();
    auto opened = embedded::EmbeddedEngine::open(options_, *image, clock_);
    ASSERT_TRUE(opened.ok()) << to_string(mode) << " seed " << seed << ": " << opened.failure().message
                             << image->trace();
    Result<Found> found = read_everything(*opened.value());
    ASSERT_TRUE(found.ok()) << found.failure().message;
    compare(found.value().entries, allowed);
    if (testing::Test::HasFailure()) ADD_FAILURE() << to_string(mode) << " seed " << seed << "\n" << disk_.trace();
    image->stop();
  }

  void compare(const ModelEntries& found, const std::vector<Prefixes>& allowed) {
    std::vector<std::size_t> shown;
    for (std::size_t i = 0; i < tellers_.size(); ++i) {
      ModelEntries own;
      std::uint64_t own_digest = 0;
      for (const auto& [key, entry] : found) {
        if (!key.starts_with(tellers_[i]->prefix())) continue;
        own[key] = entry;
        own_digest += digest(key, entry);
      }
      const auto count = tellers_[i]->history().find(allowed[i], own_digest, clock_.now_us());
      ASSERT_TRUE(count) << tellers_[i]->history().explain(allowed[i], own, clock_.now_us());
      shown.push_back(*count);
    }
    compare_orders(shown);
    compare_balances(found, shown);
  }

  /// What was started after something had been answered comes after it.
  void compare_orders(const std::vector<std::size_t>& shown) {
    std::uint64_t newest_shown = 0;
    for (std::size_t i = 0; i < shown.size(); ++i) {
      if (shown[i] != 0) newest_shown = std::max(newest_shown, tellers_[i]->transfers()[shown[i] - 1].started_at);
    }
    for (std::size_t i = 0; i < shown.size(); ++i) {
      const auto transfers = tellers_[i]->transfers();
      if (shown[i] == transfers.size()) continue;
      const std::uint64_t answered_at = transfers[shown[i]].answered_at;
      EXPECT_TRUE(answered_at == 0 || answered_at > newest_shown)
          << "transfer " << shown[i] + 1 << " of " << tellers_[i]->prefix() << " is lost, a later one is there";
    }
  }

  void compare_balances(const ModelEntries& found, const std::vector<std::size_t>& shown) {
    std::vector<std::int64_t> expected(kAccounts, kAccountStart);
    for (std::size_t i = 0; i < shown.size(); ++i) {
      const auto transfers = tellers_[i]->transfers();
      for (std::size_t done = 0; done < shown[i]; ++done) {
        expected[transfers[done].from] -= transfers[done].amount;
        expected[transfers[done].to] += transfers[done].amount;
      }
    }
    for (std::uint64_t i = 0; i < kAccounts; ++i) {
      const auto entry = found.find(account(i));
      const std::int64_t balance = entry == found.end() ? kAccountStart : std::stoll(entry->second.value);
      EXPECT_EQ(balance, expected[i]) << account(i);
    }
  }

  embedded::EngineOptions options_;
  SimulatedFileSystem disk_;
  ManualClock clock_;
  const std::uint64_t random_seed_;
  std::vector<std::unique_ptr<Teller>> tellers_;
  std::unique_ptr<Engine> engine_;
  std::atomic<std::uint64_t> ticks_ = 0;
  std::atomic<std::uint64_t> operations_ = 0;
  std::atomic<std::uint64_t> looks_ = 0;
  std::atomic<std::uint64_t> states_ = 0;
};

class ThreadsCrashTest : public testing::TestWithParam<Durability> {};

TEST_P(ThreadsCrashTest, ShowsOneOrderAndEveryTransferOnce) {
  Bank bank(GetParam(), random_seed());
  const std::uint64_t states = bank.run(kStatesPerTest);
  std::printf("%llu states\n", static_cast<unsigned long long>(states));
  EXPECT_GE(states, kStatesPerTest);
}

INSTANTIATE_TEST_SUITE_P(Levels, ThreadsCrashTest,
                         testing::Values(Durability::durable, Durability::relaxed, Durability::unlogged),
                         [](const auto& level) { return level_name(level.param); });

}  // namespace
}  // namespace tuskv::test
