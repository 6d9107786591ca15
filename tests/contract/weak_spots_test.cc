// Weak spots of other stores that no other file of the contract has a place for. tests/weak_spots.md lists them all.
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "contract/contract.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using testing::Optional;

TUSKV_CONTRACT_SUITE(WeakSpot);

TEST_P(WeakSpot, G16_Y9_ValuesThatLookLikeJsonComeBackAsTheyWere) {
  const std::vector<std::string> values = {"null",        "",     "{\"b\": 1,  \"a\": 2, \"a\": 3}", "1.0", "1e3",
                                           "\"\\u0000\"", " true"};
  for (const std::string& value : values) {
    store().set("k", value);
    EXPECT_THAT(get("k"), Optional(value));
    EXPECT_TRUE(store().exists("k")) << value;
    EXPECT_FALSE(store().set_if_absent("k", "x")) << value;
    EXPECT_TRUE(store().compare_and_swap("k", value, value)) << value;
    EXPECT_THAT(reopen().get("k"), Optional(value));
  }
}

TEST_P(WeakSpot, B5_LimitsCountBytesAndNotCharacters) {
  std::string text;
  while (text.size() < 1024) text += "ä";  // two bytes each
  store().set(text, text);
  EXPECT_THAT(reopen().get(text), Optional(text));
  expect_refused([&] { store().set(text + "ä", ""); }, Code::InvalidKey, {"1026", "1024"});
}

TEST_P(WeakSpot, P14_WhatIsRetryableSucceedsOnceItsCauseIsGone) {
  store().set("k", "v");
  bool others_write = true;
  const auto change = [&] {
    store().update("k", [&](std::optional<std::string_view> value) -> Change {
      if (others_write) store().set("k", "theirs");
      return std::string(*value) + "!";
    });
  };
  const Error conflict = error_of(change);
  EXPECT_TRUE(conflict.retryable()) << conflict.what();
  others_write = false;
  change();
  EXPECT_THAT(get("k"), Optional(std::string("theirs!")));
  if (!backend().capabilities().is_one_process) return;
  EXPECT_TRUE(error_of([&] { return backend().open(options); }).retryable());
  EXPECT_THAT(reopen().get("k"), Optional(std::string("theirs!")));
}

TEST_P(WeakSpot, P16_ABatchCostsOneSync) {
  std::vector<std::string> keys;
  std::vector<Item> items;
  for (int i = 0; i < 1000; ++i) keys.push_back("k" + std::to_string(i));
  for (const std::string& key : keys) items.push_back({.key = key, .value = key});
  store().set("first", "makes what the first write makes");
  const Stats before = store().stats();
  store().set_many(items);
  EXPECT_EQ(store().erase_many(keys), 1000u);
  const Stats after = store().stats();
  EXPECT_LE(after.syncs - before.syncs, 2u);
  EXPECT_LE(after.sequence - before.sequence, 2u);
}

TEST_P(WeakSpot, P20_FirstOpensAtTheSameMomentMakeOneStore) {
  constexpr int kThreads = 8;
  std::atomic<int> waiting = kThreads;
  std::atomic<int> opened = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      --waiting;
      while (waiting > 0) std::this_thread::yield();
      try {
        const Store own = backend().open(options);
        own.set("k", std::to_string(i));
        EXPECT_TRUE(own.exists("k"));
        ++opened;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::Busy) << error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GE(opened, 1);
  if (!backend().capabilities().reopens) return;
  EXPECT_TRUE(store().exists("k"));  // of one that opened: nobody has made the store anew over another
  EXPECT_EQ(store().count(), 1u);
}

TEST_P(WeakSpot, Y4_NoValueOfAnOptionMakesWritesVanish) {
  const Options least = {.timeout = 1s,
                         .ttl_mode = TtlMode::background,
                         .sweep_interval = 1ms,
                         .sweep_batch = 1,
                         .max_key_bytes = 1,
                         .max_value_bytes = 1,
                         .sync_interval = 1ms,
                         .snapshot_interval = 100ms,
                         .snapshot_log_percent = 10,
                         .snapshot_log_bytes_min = std::size_t{64} << 10,
                         .keep_snapshots = 0,
                         .snapshot_threads = 1};
  const Options most = {.timeout = 24h,
                        .ttl_mode = TtlMode::background,
                        .sweep_interval = 24h,
                        .sweep_batch = 100'000,
                        .max_key_bytes = 2048,
                        .max_value_bytes = std::size_t{1016} << 20,
                        .sync_interval = 1h,
                        .snapshot_interval = 24h * 7,
                        .snapshot_log_percent = 10'000,
                        .snapshot_log_bytes_min = std::size_t{1} << 40,
                        .keep_snapshots = 1000,
                        .snapshot_threads = 64};
  for (const Options& extreme : {least, most}) {
    reopen_with(extreme);
    store().set("a", "1");
    store().set_many({{"b", "2"}, {"c", "3"}});
    EXPECT_TRUE(store().set_if_absent("d", "4", {.ttl = 24h}));
    store().increment("n");
    reopen();
    EXPECT_EQ(store().get_many({"a", "b", "c", "d", "n"}),
              (std::vector<std::optional<std::string>>{"1", "2", "3", "4", "1"}));
    EXPECT_EQ(store().clear(), 5u);
  }
}

TEST_P(WeakSpot, Y12_R18_ExpiryIsJudgedWhenACallRunsNotWhenItsTransactionBegan) {
  store().set("k", "v", {.ttl = 10ms});
  int runs = 0;
  store().transaction([&](Transaction& tx) {
    const bool live = tx.exists("k");
    if (runs++ == 0) advance_ms(10);  // while the function thinks, what it saw expires
    tx.set("seen", live ? "live" : "dead");
  });
  EXPECT_EQ(runs, 2);
  EXPECT_THAT(get("seen"), Optional(std::string("dead")));
}

TEST_P(WeakSpot, Y15_OptionsBelongToTheStoreTheyWereGivenTo) {
  options.max_value_bytes = 3;
  store().set("k", "123");
  const auto elsewhere = GetParam().make();
  const Store other = elsewhere->open({.ttl_mode = TtlMode::disabled, .max_value_bytes = 5});
  other.set("k", "12345", {.ttl = 1ms});
  elsewhere->advance_ms(1);
  expect_refused([&] { store().set("k", "1234"); }, Code::TooLarge, {"limit of 3"});
  EXPECT_THAT(other.get("k"), Optional(std::string("12345")));
  set_dead("dead", "v");
  EXPECT_EQ(get("dead"), std::nullopt);
}

TEST_P(WeakSpot, K14_ALevelPaysForNothingItDoesNotPromise) {
  if (!backend().capabilities().counts_syncs) GTEST_SKIP() << "another process writes this backend's log";
  options.sync_interval = 1h;
  options.snapshot_interval = 24h;
  store().set("first", "makes what the first write makes");
  const Stats before = store().stats();
  for (int i = 0; i < 200; ++i) store().set("k" + std::to_string(i), "v");
  const Stats after = store().stats();
  const std::uint64_t syncs = after.syncs - before.syncs;
  switch (backend().durability()) {
    case Durability::durable:
      EXPECT_GE(syncs, 200u);
      EXPECT_GE(after.synced_sequence, after.sequence);
      break;
    case Durability::relaxed:
      EXPECT_EQ(syncs, 0u);
      EXPECT_GT(after.log_bytes, before.log_bytes + 200);
      break;
    case Durability::unlogged:
      EXPECT_EQ(syncs, 0u);
      EXPECT_EQ(after.log_bytes, 0u);
      break;
  }
}

}  // namespace
}  // namespace tuskv::test
