// Who removes entries that have expired: a read, a call, the sweeper, or nobody.
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "contract/contract.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""min;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using testing::Optional;

TUSKV_CONTRACT_SUITE(Removal);

TEST_P(Removal, P2_OnReadRemovesWhatItMeetsAndOnlyThat) {
  options.ttl_mode = TtlMode::on_read;
  set_dead("k");
  store().set("live", "v", {.ttl = 1min});
  EXPECT_EQ(store().stats().entries, 2u);
  EXPECT_EQ(get("k"), std::nullopt);
  EXPECT_TRUE(get("live"));
  EXPECT_EQ(store().stats().entries, 1u);
  EXPECT_EQ(store().stats().swept, 1u);
}

TEST_P(Removal, Y2_CleanupLeavesAKeyThatWasRefreshed) {
  set_dead("refreshed");
  set_dead("dead");
  store().set("refreshed", "new", {.ttl = 1min});
  EXPECT_EQ(store().cleanup_expired(), 1u);
  EXPECT_THAT(get("refreshed"), Optional(std::string("new")));
}

TEST_P(Removal, B3_G15_CleanupRemovesTheEarliestFirstUpToItsLimit) {
  for (int i = 0; i < 10; ++i) store().set("k" + std::to_string(i), "v", {.ttl = std::chrono::milliseconds(10 - i)});
  store().set("live", "v");
  advance_ms(10);
  EXPECT_EQ(store().cleanup_expired(4), 4u);
  const KeyPage left = store().keys({.include_expired = true});
  EXPECT_EQ(left.keys, (std::vector<std::string>{"k0", "k1", "k2", "k3", "k4", "k5", "live"}));
  EXPECT_EQ(store().cleanup_expired(), 6u);
  EXPECT_EQ(store().cleanup_expired(), 0u);
  EXPECT_EQ(store().stats().entries, 1u);
  EXPECT_EQ(store().stats().swept, 10u);
}

TEST_P(Removal, CleanupTakesAnEarlierEntryBeforeManyOfOneLaterInstant) {
  for (int i = 0; i < 50; ++i) store().set("later" + std::to_string(i), "v", {.ttl = 3ms});
  for (int i = 0; i < 5; ++i) store().set("earlier" + std::to_string(i), "v", {.ttl = 2ms});
  advance_ms(3);
  EXPECT_EQ(store().cleanup_expired(10), 10u);
  EXPECT_TRUE(store().keys({.prefix = "earlier", .include_expired = true}).keys.empty());
  EXPECT_EQ(store().stats().entries, 45u);
}

TEST_P(Removal, Y3_OneRoundDrainsEverythingThatHasExpired) {
  std::vector<std::string> keys;
  for (int i = 0; i < 3000; ++i) keys.push_back("k" + std::to_string(i));
  std::vector<Item> items;
  for (const std::string& key : keys) items.push_back({.key = key, .value = "v", .ttl = 5ms});
  store().set_many(items);
  advance_ms(5);
  store().start_sweeper({.interval = 1ms, .batch = std::size_t{10}});
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  const auto is_drained = [&] {
    const Stats stats = store().stats();  // what a server has removed is counted a moment later
    return stats.entries == 0 && stats.swept == 3000;
  };
  while (!is_drained() && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(store().stats().entries, 0u);
  EXPECT_EQ(store().stats().swept, 3000u);
  store().stop_sweeper();
}

TEST_P(Removal, TheSweeperStopsAndStartsAtRunTime) {
  options.ttl_mode = TtlMode::background;
  options.sweep_interval = 1ms;
  store().stop_sweeper();
  store().stop_sweeper();
  set_dead("k");
  std::this_thread::sleep_for(20ms);  // many intervals: a sweeper that still ran would have removed it
  EXPECT_EQ(store().stats().entries, 1u);
  store().start_sweeper();
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (store().stats().entries != 0 && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(store().stats().entries, 0u);
}

// ---- TtlMode::disabled: expiry is stored and told, and no call acts on it

class Disabled : public ContractTest {
 protected:
  Disabled() { options.ttl_mode = TtlMode::disabled; }
};
INSTANTIATE_TEST_SUITE_P(Backends, Disabled, testing::ValuesIn(backend_kinds()), backend_name);

TEST_P(Disabled, S20_NothingEndsDuringATransaction) {
  store().set_many({{"first", "v"}, {"second", "v"}}, {.ttl = std::chrono::seconds(1)});
  int runs = 0;
  store().transaction([&](Transaction& tx) {
    ++runs;
    EXPECT_TRUE(tx.exists("first"));
    advance_ms(10'000);
    EXPECT_EQ(tx.count({.prefix = "second"}), 1u);
  });
  EXPECT_EQ(runs, 1);
}

TEST_P(Disabled, P10_EveryReadShowsAnExpiredEntry) {
  set_dead("k", "v");
  EXPECT_THAT(get("k"), Optional(std::string("v")));
  ASSERT_TRUE(store().get_entry("k"));
  EXPECT_TRUE(store().get_entry("k")->expires_at);
  EXPECT_EQ(store().get_or_throw("k"), "v");
  EXPECT_EQ(store().get_many({"k"}).front(), "v");
  EXPECT_TRUE(store().exists("k"));
  EXPECT_EQ(store().exists_many({"k"}), 1u);
  EXPECT_NE(store().ttl("k").state, Ttl::State::missing);
  EXPECT_EQ(store().scan().entries.size(), 1u);
  EXPECT_EQ(store().keys().keys.size(), 1u);
  EXPECT_EQ(store().count(), 1u);
  EXPECT_EQ(store().namespaces().size(), 0u);
  EXPECT_EQ(store().transaction([](Transaction& tx) { return tx.get("k"); }), "v");
}

TEST_P(Disabled, P10_EveryConditionTakesAnExpiredEntryAsPresent) {
  set_dead("k", "1");
  EXPECT_FALSE(store().set_if_absent("k", "x"));
  EXPECT_TRUE(store().compare_and_swap("k", "1", "2"));
  EXPECT_EQ(store().increment("k"), 3);
  EXPECT_THAT(store().get_and_set("k", "4", {.keep_ttl = true}), Optional(std::string("3")));
  EXPECT_TRUE(store().set_if_present("k", "5", {.keep_ttl = true}));
  EXPECT_EQ(store().update("k", [](std::optional<std::string_view> v) -> Change { return std::string(*v) + "6"; }),
            "56");
  EXPECT_TRUE(store().get_entry("k")->expires_at);  // still the one that has passed
  EXPECT_TRUE(store().persist("k"));
  EXPECT_TRUE(store().expire("k", 10ms));
  advance_ms(10);
  EXPECT_THAT(store().get_and_erase("k"), Optional(std::string("56")));
}

TEST_P(Disabled, P10_NothingRemovesAnExpiredEntry) {
  set_dead("k", "v");
  EXPECT_EQ(store().cleanup_expired(), 0u);
  store().start_sweeper({.interval = 1ms});
  std::this_thread::sleep_for(10ms);
  store().stop_sweeper();
  EXPECT_THAT(get("k"), Optional(std::string("v")));
  reopen();
  EXPECT_THAT(get("k"), Optional(std::string("v")));
  if (backend().capabilities().has_snapshots) {
    store().snapshot();
    reopen();
    EXPECT_THAT(get("k"), Optional(std::string("v")));
  }
  EXPECT_TRUE(store().erase("k"));
  set_dead("a:1");
  EXPECT_EQ(store().erase_prefix("a:"), 1u);
  set_dead("b");
  EXPECT_EQ(store().clear(), 1u);
}

}  // namespace
}  // namespace tuskv::test
