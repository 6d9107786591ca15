// Expiry: when an entry is live, what sets, keeps and clears its time, and that a dead entry is an absent one.
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "contract/contract.h"
#include "tuskv/typed.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""min;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""us;
using testing::Optional;

TUSKV_CONTRACT_SUITE(Expiry);

TEST_P(Expiry, U3_P9_LiveBeforeTheInstantAndDeadFromItOn) {
  store().set("k", "v", {.ttl = 1000ms});
  const auto entry = store().get_entry("k");
  advance_ms(999);
  // Just before: every call agrees that it is live.
  EXPECT_TRUE(get("k"));
  EXPECT_TRUE(store().exists("k"));
  EXPECT_EQ(store().count(), 1u);
  EXPECT_EQ(store().ttl("k").left, 1ms);
  EXPECT_EQ(store().scan().entries.size(), 1u);
  EXPECT_EQ(store().cleanup_expired(), 0u);
  EXPECT_FALSE(store().set_if_absent("k", "x"));
  advance_ms(1);
  // At the instant itself: every call agrees that it is dead.
  EXPECT_FALSE(get("k"));
  EXPECT_FALSE(store().exists("k"));
  EXPECT_EQ(store().count(), 0u);
  EXPECT_EQ(store().ttl("k").state, Ttl::State::missing);
  EXPECT_TRUE(store().scan().entries.empty());
  EXPECT_EQ(store().cleanup_expired(), 1u);
}

TEST_P(Expiry, U3_TheBoundaryIsTheInstantThatTheEntryTells) {
  store().set("k", "v", {.expires_at = now_plus_ms(40)});
  advance_ms(39);
  EXPECT_TRUE(store().exists("k"));
  advance_ms(1);
  EXPECT_FALSE(store().exists("k"));
}

TEST_P(Expiry, U5_P5_B1_ADeadEntryIsAbsentInEveryRead) {
  set_dead("k");
  store().set("live", "v");
  EXPECT_EQ(store().get("k"), std::nullopt);
  EXPECT_EQ(store().get_entry("k"), std::nullopt);
  expect_refused([&] { return store().get_or_throw("k"); }, Code::NotFound);
  std::string into = "x";
  EXPECT_FALSE(store().get_into("k", into));
  EXPECT_EQ(store().get_many({"k", "live"}), (std::vector<std::optional<std::string>>{std::nullopt, "v"}));
  EXPECT_FALSE(store().exists("k"));
  EXPECT_EQ(store().exists_many({"k", "live"}), 1u);
  EXPECT_EQ(store().ttl("k").state, Ttl::State::missing);
  EXPECT_EQ(store().scan().entries.size(), 1u);
  EXPECT_EQ(store().keys().keys, std::vector<std::string>{"live"});
  EXPECT_EQ(store().count(), 1u);
  for (const Entry& entry : store().entries()) EXPECT_EQ(entry.key, "live");
}

TEST_P(Expiry, U5_P5_ADeadEntryIsAbsentInEveryWrite) {
  set_dead("erase");
  EXPECT_FALSE(store().erase("erase"));
  set_dead("erase_many");
  EXPECT_EQ(store().erase_many({"erase_many"}), 0u);
  set_dead("prefix:1");
  EXPECT_EQ(store().erase_prefix("prefix:"), 0u);
  set_dead("expire");
  EXPECT_FALSE(store().expire("expire", 1000ms));
  EXPECT_EQ(get("expire"), std::nullopt);
  set_dead("expire_at");
  EXPECT_FALSE(store().expire_at("expire_at", now_plus_ms(1000)));
  EXPECT_EQ(get("expire_at"), std::nullopt);
  set_dead("persist");
  EXPECT_EQ(store().persist("persist").status, PersistResult::Status::missing);
  EXPECT_EQ(get("persist"), std::nullopt);
  set_dead("get_and_erase");
  EXPECT_EQ(store().get_and_erase("get_and_erase"), std::nullopt);
  set_dead("get_and_touch");
  EXPECT_EQ(store().get_and_touch("get_and_touch", 1000ms), std::nullopt);
  EXPECT_EQ(get("get_and_touch"), std::nullopt);
  set_dead("get_and_set");
  EXPECT_EQ(store().get_and_set("get_and_set", "new"), std::nullopt);
  set_dead("clear");
  EXPECT_EQ(store().clear(), 1u);  // what get_and_set stored
}

TEST_P(Expiry, U5_StampsOfARevivedKeyStartAgain) {
  set_dead("k");
  advance_ms(100);
  store().set("k", "new");
  const Entry entry = store().get_entry("k").value();
  EXPECT_EQ(entry.created_at, entry.updated_at);
  store().set("fresh", "x");
  EXPECT_EQ(entry.created_at, store().get_entry("fresh")->created_at);
}

TEST_P(Expiry, P3_Y1_WritesOverADeadEntryAreVisibleAndStay) {
  const auto expect_stays = [&](const char* key, const char* value) {
    EXPECT_THAT(get(key), Optional(std::string(value))) << key;
    EXPECT_EQ(store().ttl(key).state, Ttl::State::persistent) << key;
  };
  set_dead("set");
  set_dead("keep");
  set_dead("many");
  set_dead("count", "5");
  set_dead("get_and_set");
  set_dead("update");
  set_dead("cas");
  store().set("set", "1");
  store().set("keep", "1", {.keep_ttl = true});  // nothing live to keep: no expiry
  store().set_many({{"many", "1"}});
  EXPECT_EQ(store().increment("count"), 1);  // counts from 0
  store().get_and_set("get_and_set", "1");
  store().update("update", [](auto) -> Change { return "1"; });
  store().compare_and_swap("cas", std::nullopt, "1");
  EXPECT_EQ(store().cleanup_expired(), 0u);
  for (const char* key : {"set", "keep", "many", "count", "get_and_set", "update", "cas"}) expect_stays(key, "1");
  reopen();
  for (const char* key : {"set", "keep", "many", "count", "get_and_set", "update", "cas"}) expect_stays(key, "1");
}

TEST_P(Expiry, U7_PlainWritesReplaceTheExpiry) {
  const auto expect_cleared = [&](const char* what) {
    EXPECT_EQ(store().ttl("k").state, Ttl::State::persistent) << what;
    store().set("k", "v", {.ttl = 1000ms});
  };
  store().set("k", "v", {.ttl = 1000ms});
  store().set("k", "w");
  expect_cleared("set");
  store().set_many({{"k", "w"}});
  expect_cleared("set_many");
  store().set_if_present("k", "w");
  expect_cleared("set_if_present");
  store().get_and_set("k", "w");
  expect_cleared("get_and_set");
  store().set("k", "w", {.ttl = 1000ms});
  store().set("k", "w", {.keep_ttl = true});
  EXPECT_EQ(store().ttl("k").left, 1000ms);
  store().set("new", "w", {.keep_ttl = true});
  EXPECT_EQ(store().ttl("new").state, Ttl::State::persistent);
}

/// Nothing is kept then; the default TTL is for writes that say nothing.
TEST_P(Expiry, Y20_KeepTtlCreatesWithoutExpiryInEveryCall) {
  const Store hours = store().with_namespace("hours", {.ttl = 1h});
  const auto numbers = hours.typed<int>("n:");
  constexpr SetOptions kKeep{.keep_ttl = true};
  hours.set("set", "1", kKeep);
  hours.get_and_set("get_and_set", "1", kKeep);
  hours.compare_and_swap("compare_and_swap", std::nullopt, "1", kKeep);
  hours.update("update", [&](auto) { return Change("1", kKeep); });
  hours.update("replace", [&](auto) { return Change::replace("1", kKeep); });
  numbers.set("set", 1, kKeep);
  numbers.get_and_set("get_and_set", 1, kKeep);
  numbers.compare_and_swap("compare_and_swap", std::nullopt, 1, kKeep);
  numbers.update("update", [&](auto) { return TypedChange<int>(1, kKeep); });
  numbers.update("replace", [&](auto) { return TypedChange<int>::replace(1, kKeep); });
  for (const Entry& entry : hours.entries()) EXPECT_EQ(entry.expires_at, std::nullopt) << entry.key;
  EXPECT_EQ(hours.count(), 10u);

  numbers.update("says nothing", [](auto) { return 1; });
  numbers.update("replaces", [](auto) { return TypedChange<int>::replace(1); });
  numbers.set("kept", 1, {.ttl = 20ms});
  numbers.update("kept", [&](auto) { return TypedChange<int>::replace(2, kKeep); });
  EXPECT_EQ(numbers.ttl("says nothing").left, 1h);
  EXPECT_EQ(numbers.ttl("replaces").left, 1h);
  EXPECT_EQ(numbers.ttl("kept").left, 20ms);
}

TEST_P(Expiry, B4_EntriesWithoutExpiryAndWithOneOfTheirOwn) {
  store().set("forever", "v");
  store().set("short", "v", {.ttl = 10ms});
  store().set("long", "v", {.ttl = 24h});
  advance_ms(11);
  EXPECT_EQ(store().keys().keys, (std::vector<std::string>{"forever", "long"}));
  advance_ms(24 * 3600 * 1000);
  EXPECT_EQ(store().keys().keys, (std::vector<std::string>{"forever"}));
}

TEST_P(Expiry, U6_AnInstantThatHasPassedErases) {
  store().set("k", "v");
  store().set("k", "w", {.expires_at = now_plus_ms(0)});
  EXPECT_EQ(get("k"), std::nullopt);
  EXPECT_EQ(store().stats().entries, 0u);
  store().set("new", "w", {.expires_at = now_plus_ms(-1000)});
  EXPECT_EQ(get("new"), std::nullopt);
  store().set("k", "v");
  EXPECT_TRUE(store().expire_at("k", now_plus_ms(0)));
  EXPECT_EQ(get("k"), std::nullopt);
  EXPECT_FALSE(store().expire_at("k", now_plus_ms(0)));
}

TEST_P(Expiry, ExpireExpireAtAndPersist) {
  EXPECT_FALSE(store().expire("absent", 1s));
  EXPECT_EQ(store().persist("absent").status, PersistResult::Status::missing);
  store().set("k", "v");
  const PersistResult had_none = store().persist("k");
  EXPECT_EQ(had_none.status, PersistResult::Status::had_none);
  EXPECT_FALSE(had_none);
  EXPECT_TRUE(store().expire("k", 100ms));
  EXPECT_EQ(store().ttl("k").left, 100ms);
  EXPECT_TRUE(store().expire("k", 50ms));
  EXPECT_EQ(store().ttl("k").left, 50ms);
  EXPECT_TRUE(store().persist("k"));
  EXPECT_EQ(store().ttl("k").state, Ttl::State::persistent);
  EXPECT_TRUE(store().expire_at("k", now_plus_ms(70)));
  EXPECT_EQ(store().ttl("k").left, 70ms);
  EXPECT_THAT(get("k"), Optional(std::string("v")));
  reopen();
  EXPECT_EQ(store().ttl("k").left, 70ms);
}

TEST_P(Expiry, GetAndTouchSlides) {
  store().set("k", "v", {.ttl = 100ms});
  for (int i = 0; i < 5; ++i) {
    advance_ms(60);
    EXPECT_THAT(store().get_and_touch("k", 100ms), Optional(std::string("v")));
  }
  advance_ms(100);
  EXPECT_EQ(store().get_and_touch("k", 100ms), std::nullopt);
}

TEST_P(Expiry, TtlTellsMissingPersistentAndRemaining) {
  EXPECT_EQ(store().ttl("k").redis(), -2);
  store().set("k", "v");
  EXPECT_EQ(store().ttl("k").redis(), -1);
  store().set("k", "v", {.ttl = 1001ms});
  EXPECT_EQ(store().ttl("k").state, Ttl::State::remaining);
  EXPECT_EQ(store().ttl("k").redis(), 2);
  advance_ms(1);
  EXPECT_EQ(store().ttl("k").redis(), 1);
  advance_ms(999);
  EXPECT_EQ(store().ttl("k").redis(), 1);  // 1 ms left is not 0
}

TEST_P(Expiry, DurationsAreRoundedUpToMilliseconds) {
  store().set("k", "v", {.ttl = 1us});
  EXPECT_EQ(store().ttl("k").left, 1ms);
  store().set("k", "v", {.ttl = 1001us});
  EXPECT_EQ(store().ttl("k").left, 2ms);
  store().set("k", "v", {.ttl = std::chrono::duration<double>(0.0015)});
  EXPECT_EQ(store().ttl("k").left, 2ms);
}

TEST_P(Expiry, TheLongestTtlWorks) {
  store().set("k", "v", {.ttl = std::chrono::milliseconds(31'556'952'000'000)});
  EXPECT_TRUE(store().exists("k"));
  EXPECT_EQ(store().ttl("k").left, std::chrono::milliseconds(31'556'952'000'000));
  reopen();
  EXPECT_TRUE(store().exists("k"));
}

TEST_P(Expiry, ManyEntriesOfOneCallAndOneOfTheirOwn) {
  store().set_many({{.key = "a", .value = "1", .ttl = 10ms}, {.key = "b", .value = "2"}}, {.ttl = 20ms});
  EXPECT_EQ(store().ttl("a").left, 10ms);
  EXPECT_EQ(store().ttl("b").left, 20ms);
  store().set_many({{"a", "1"}, {"b", "2"}}, {.keep_ttl = true});
  EXPECT_EQ(store().ttl("a").left, 10ms);
  EXPECT_EQ(store().ttl("b").left, 20ms);
}

TEST_P(Expiry, DeadlinesPassWhileTheStoreIsClosed) {
  store().set("short", "v", {.ttl = 10ms});
  store().set("long", "v", {.ttl = 1min});
  if (backend().capabilities().reopens) {
    store().close();
    advance_ms(10);
    reopen();
  } else {
    advance_ms(10);
  }
  EXPECT_EQ(store().keys().keys, std::vector<std::string>{"long"});
  EXPECT_EQ(store().ttl("long").left, 1min - 10ms);
}

TEST_P(Expiry, U4_AClockSetBackRevivesNothing) {
  if (!backend().capabilities().clock_goes_back) GTEST_SKIP() << "this backend's clock only moves forward";
  store().set("k", "v", {.ttl = 10ms});
  advance_ms(10);
  EXPECT_FALSE(store().exists("k"));
  advance_ms(-3'600'000);
  EXPECT_FALSE(store().exists("k"));
  EXPECT_EQ(store().count(), 0u);
  store().set("later", "v", {.ttl = 10ms});
  EXPECT_TRUE(store().exists("later"));
  EXPECT_GE(store().get_entry("later")->updated_at, store().get_entry("later")->created_at);
  advance_ms(3'600'010);  // delayed by the step at most
  EXPECT_FALSE(store().exists("later"));
}

TEST_P(Expiry, R127_APutUntilAnInstantToComeRestsOnNothing) {
  const auto attempts_of = [&](std::int64_t ms) {
    set_all({"k"});
    int attempts = 0;
    store().transaction([&](Transaction& tx) {
      tx.set("k", "mine", {.expires_at = now_plus_ms(ms)});
      if (++attempts == 1) std::thread([&] { store().set("k", "theirs"); }).join();
    });
    return attempts;
  };
  EXPECT_EQ(attempts_of(1000), 1);
  EXPECT_THAT(get("k"), Optional(std::string("mine")));
  EXPECT_EQ(store().ttl("k").left, 1000ms);
  // Whether one that has passed erases anything depends on what is there.
  EXPECT_EQ(attempts_of(0), 2);
  EXPECT_EQ(get("k"), std::nullopt);
}

TEST_P(Expiry, R127_APutWhoseInstantPassesBeforeTheCommitLeavesNothing) {
  set_all({"k"});
  store().transaction([&](Transaction& tx) {
    tx.set("k", "mine", {.expires_at = now_plus_ms(10)});
    tx.set("new", "mine", {.expires_at = now_plus_ms(10)});
    EXPECT_EQ(tx.get("k"), "mine");
    advance_ms(10);
    EXPECT_EQ(tx.get("k"), std::nullopt);
    EXPECT_EQ(tx.count(), 0u);
  });
  EXPECT_EQ(store().count(), 0u);
  EXPECT_TRUE(store().set_if_absent("k", "v"));
}

TEST_P(Expiry, ATransactionGivesEachOfManyKeysItsOwn) {
  constexpr int kMany = 300;
  const auto key = [](int i) { return "k" + std::to_string(i * 7919 % kMany); };
  std::vector<Item> items;
  std::vector<std::string> keys;
  for (int i = 0; i < kMany; ++i) keys.push_back(key(i));
  for (const std::string& each : keys) items.push_back({.key = each, .value = "1", .ttl = 1h});
  store().set_many(items);
  store().transaction([&](Transaction& tx) {
    for (int i = 0; i < kMany; ++i) {
      if (i % 3 == 0) {
        tx.persist(keys[static_cast<std::size_t>(i)]);
      } else {
        tx.expire(keys[static_cast<std::size_t>(i)], std::chrono::hours(10 + i));
      }
    }
  });
  for (int i = 0; i < kMany; ++i) {
    const Ttl ttl = store().ttl(keys[static_cast<std::size_t>(i)]);
    EXPECT_EQ(ttl.state, i % 3 == 0 ? Ttl::State::persistent : Ttl::State::remaining);
    if (i % 3 == 0) continue;
    EXPECT_LE(ttl.left, std::chrono::hours(10 + i));
    EXPECT_GT(ttl.left, std::chrono::hours(9 + i));
  }
}

}  // namespace
}  // namespace tuskv::test
