// Running a store: statistics, sync, snapshots; and the same operations asynchronously.
#include <atomic>
#include <chrono>
#include <future>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "contract/contract.h"
#include "support/submitted.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;
using testing::Optional;

TUSKV_CONTRACT_SUITE(Running);

TEST_P(Running, StatsCountWhatIsStored) {
  EXPECT_EQ(store().stats().entries, 0u);
  store().set("abc", "12345");
  store().set("d", std::string(1000, 'v'));
  set_dead("x", "");
  const Stats stats = store().stats();
  EXPECT_EQ(stats.entries, 3u);
  EXPECT_EQ(stats.expired, 1u);
  const std::size_t overhead = backend().capabilities().value_overhead_bytes;
  EXPECT_EQ(stats.value_bytes, 1005u + 3 * overhead);
  EXPECT_EQ(stats.value_bytes_max, 1000u + overhead);
  EXPECT_GE(stats.key_bytes, 5u);
  EXPECT_LE(stats.key_bytes, 5u + 3u);  // with the NUL behind the empty namespace
  EXPECT_GT(stats.memory_bytes, 1010u);
  store().set("d", "");
  EXPECT_EQ(store().stats().value_bytes, 5u + 3 * overhead);
  store().clear();
  store().cleanup_expired();
  EXPECT_EQ(store().stats().entries, 0u);
  EXPECT_EQ(store().stats().value_bytes, 0u);
  EXPECT_EQ(store().stats().key_bytes, 0u);
}

TEST_P(Running, StatsCountAttemptsThatOthersHaveUndone) {
  store().set("k", "1");
  EXPECT_EQ(store().stats().conflicts, 0u);
  int runs = 0;
  store().update("k", [&](auto) -> Change {
    if (runs++ < 3) store().set("k", std::to_string(runs));
    return "updated";
  });
  EXPECT_EQ(store().stats().conflicts, 3u);
  runs = 0;
  store().with_namespace("a").transaction([&](Transaction& tx) {
    tx.get("k");
    if (runs++ < 2) std::thread([&] { store().with_namespace("a").set("k", std::to_string(runs)); }).join();
    tx.set("k", "committed");
  });
  EXPECT_EQ(store().stats().conflicts, 5u);
  // A comparison that fails is an answer.
  EXPECT_FALSE(store().compare_and_swap("k", "other", "x"));
  EXPECT_FALSE(store().compare_and_swap("k", Version{1}, "x"));
  EXPECT_EQ(store().with_namespace("b").stats().conflicts, 5u);
}

TEST_P(Running, SequenceGrowsWithEveryWrite) {
  const std::uint64_t start = store().stats().sequence;
  store().set("k", "v");
  const std::uint64_t once = store().stats().sequence;
  EXPECT_GT(once, start);
  EXPECT_EQ(get("k"), "v");
  EXPECT_EQ(store().stats().sequence, once);
  store().set("k", "v");
  EXPECT_GT(store().stats().sequence, once);
}

TEST_P(Running, SyncReturnsOnceEverythingIsSafe) {
  if (!backend().capabilities().syncs) {
    expect_refused([&] { store().sync(); }, Code::Unsupported, {"UNLOGGED"});
    return;
  }
  store().sync();
  for (int i = 0; i < 10; ++i) store().set("k" + std::to_string(i), "v");
  store().sync();
  const Stats stats = store().stats();
  EXPECT_GE(stats.synced_sequence, backend().capabilities().reopens ? stats.sequence : 0);
}

TEST_P(Running, SnapshotsAreTakenListedAndPruned) {
  if (!backend().capabilities().has_snapshots) {
    expect_refused([&] { return store().snapshot(); }, Code::Unsupported);
    return;
  }
  options.keep_snapshots = 10;
  store().set("k", "1");
  const SnapshotInfo first = store().snapshot();
  EXPECT_EQ(first.entries, 1u);
  EXPECT_GT(first.size_bytes, 0u);
  store().set("k", "2");
  store().set("l", "2");
  const SnapshotInfo second = store().snapshot();
  EXPECT_GT(second.ordinal, first.ordinal);
  EXPECT_GT(second.sequence, first.sequence);
  EXPECT_EQ(second.entries, 2u);
  std::set<std::uint64_t> listed;
  for (const SnapshotInfo& info : store().snapshots()) listed.insert(info.ordinal);
  EXPECT_TRUE(listed.contains(first.ordinal) && listed.contains(second.ordinal));
  EXPECT_EQ(store().stats().newest_snapshot->ordinal, second.ordinal);
  const std::size_t pruned = store().prune_snapshots(0);
  EXPECT_GE(pruned, 1u);
  EXPECT_EQ(store().snapshots().size(), 1u);
  EXPECT_EQ(store().snapshots().front().ordinal, second.ordinal);
  EXPECT_EQ(store().prune_snapshots(0), 0u);
  EXPECT_THAT(reopen().get("k"), Optional(std::string("2")));
}

TEST_P(Running, K13_OldSnapshotsAreRemovedByThemselves) {
  if (!backend().capabilities().has_snapshots) GTEST_SKIP() << "this backend has no snapshots";
  options.keep_snapshots = 2;
  for (int i = 0; i < 8; ++i) {
    store().set("k", std::to_string(i));
    store().snapshot();
    EXPECT_LE(store().snapshots().size(), 3u);  // the newest and two older ones
  }
  EXPECT_EQ(store().snapshots().size(), 3u);
  EXPECT_THAT(reopen().get("k"), Optional(std::string("7")));
}

TEST_P(Running, K12_TheLogStaysBoundedAlsoAcrossReopens) {
  if (!backend().capabilities().has_snapshots) GTEST_SKIP() << "this backend has no log";
  options.snapshot_log_bytes_min = 64 << 10;
  const std::string value(1000, 'v');
  for (int round = 0; round < 20; ++round) {
    // Each opening writes too little to reach the limit alone.
    std::vector<std::string> keys;
    for (int i = 0; i < 20; ++i) keys.push_back("k" + std::to_string(i));
    std::vector<Item> items;
    for (const std::string& key : keys) items.push_back({.key = key, .value = value});
    store().set_many(items);
    reopen();
  }
  // 400 kB were written over 20 kB of live data; the log may hold its minimum and what came since.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (store().stats().log_bytes > 128 << 10 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_LE(store().stats().log_bytes, 128u << 10);
  EXPECT_EQ(store().count(), 20u);
}

TEST_P(Running, K9_EveryCombinationOfThreadsAndSizesWorks) {
  for (const std::size_t threads : {1u, 2u, 3u, 5u, 7u, 10u, 12u, 24u, 31u, 64u}) {
    Options combination = options;
    combination.snapshot_threads = threads;
    combination.keep_snapshots = threads % 3;
    reopen_with(combination);
    store().set("threads", std::to_string(threads));
    if (backend().capabilities().has_snapshots) store().snapshot();
    store().set("after", std::to_string(threads));
    reopen();
    EXPECT_THAT(get("threads"), Optional(std::to_string(threads)));
    EXPECT_THAT(get("after"), Optional(std::to_string(threads)));
  }
}

// ---- asynchronous

TEST_P(Running, AsynchronousCallsDoWhatBlockingOnesDo) {
  const AsyncStore async = store().async();
  submitted(async.set("k", "1"));
  EXPECT_THAT(submitted(async.get("k")), Optional(std::string("1")));
  EXPECT_EQ(submitted(async.get("missing")), std::nullopt);
  expect_refused([&] { return submitted(async.get_or_throw("missing")); }, Code::NotFound);
  EXPECT_EQ(submitted(async.increment("k", 4)), 5);
  EXPECT_FALSE(submitted(async.set_if_absent("k", "x")));
  EXPECT_TRUE(submitted(async.compare_and_swap("k", "5", "6")));
  EXPECT_THAT(submitted(async.get_and_set("k", std::string("7"))), Optional(std::string("6")));
  submitted(async.set_many({{"a", "1"}, {"b", "2"}}));
  EXPECT_EQ(submitted(async.get_many({"a", "x", "b"})),
            (std::vector<std::optional<std::string>>{"1", std::nullopt, "2"}));
  EXPECT_EQ(submitted(async.count()), 3u);
  EXPECT_EQ(submitted(async.keys({.limit = 1})).next, "a");
  EXPECT_EQ(submitted(async.scan({.prefix = "a"})).entries.front().value, "1");
  EXPECT_TRUE(submitted(async.expire("a", 100ms)));
  EXPECT_EQ(submitted(async.ttl("a")).left, 100ms);
  EXPECT_EQ(submitted(async.erase_many({"a", "b"})), 2u);
  EXPECT_EQ(submitted(async.with_namespace("ns").get("k")), std::nullopt);
  EXPECT_EQ(submitted(async.clear()), 1u);
}

TEST_P(Running, AnAsynchronousCallCanBeWaitedFor) {
  const AsyncStore async = store().async();
  async.set("k", "1").wait();
  EXPECT_THAT(async.get("k").wait(), Optional(std::string("1")));
  expect_refused([&] { return async.get_or_throw("missing").wait(); }, Code::NotFound);
}

TEST_P(Running, AsynchronousCallsOwnTheirBytesAndAreLazy) {
  const AsyncStore async = store().async();
  auto call = [&] {
    const std::string key = "a key that is gone when the call is made";
    const std::string value = "and its value, which is as long";
    return async.set(key, value);
  }();
  EXPECT_EQ(store().count(), 0u);  // not made yet
  submitted(std::move(call));
  EXPECT_THAT(get("a key that is gone when the call is made"),
              Optional(std::string("and its value, which is as long")));
  { auto never_made = async.set("never", "made"); }
  EXPECT_FALSE(store().exists("never"));
  // Wrong arguments throw at the call.
  expect_refused([&] { return async.get(""); }, Code::InvalidKey);
}

TEST_P(Running, ManyAsynchronousCallsAtOnceEachGetTheirAnswer) {
  const AsyncStore async = store().async();
  constexpr int kCalls = 500;
  std::atomic<int> done = 0;
  std::promise<void> all_done;
  std::vector<std::optional<std::string>> answers(kCalls);
  for (int i = 0; i < kCalls; ++i) {
    async.set("k" + std::to_string(i), std::to_string(i)).then([&, i](std::exception_ptr failure) {
      EXPECT_EQ(failure, nullptr);
      async.get("k" + std::to_string(i)).then([&, i](std::exception_ptr failed, std::optional<std::string> value) {
        EXPECT_EQ(failed, nullptr);
        answers[static_cast<std::size_t>(i)] = std::move(value);
        if (done.fetch_add(1) + 1 == kCalls) all_done.set_value();
      });
    });
  }
  all_done.get_future().wait();
  for (int i = 0; i < kCalls; ++i) EXPECT_EQ(answers[static_cast<std::size_t>(i)], std::to_string(i));
}

}  // namespace
}  // namespace tuskv::test
