// An UNLOGGED table that was emptied while a pooler kept the connections: what a call says of its effect is true, also
// when another process has noticed first and goes on writing.
#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "postgres/server_test.h"
#include "support/fault_proxy.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using testing::Optional;

class PostgresPooledReset : public ServerTest {
 protected:
  Store open_pooled(const std::string& parameters = {}) const {
    return Store::open(shared().pooler().url(database()) + "&durability=unlogged&ttl_mode=manual" + parameters);
  }
  /// What a crash of the server leaves.
  void empty_table() { sql().run("truncate tuskv"); }
  /// The same, and then another process: a canary of its own, and entries.
  void empty_and_refill(const std::vector<std::string>& keys) {
    std::string rows =
        "('\\x01'::bytea || 'tuskv' || '\\x00' || 'canary', convert_to(gen_random_uuid()::text, 'UTF8'), now(), now(), "
        "1)";
    for (const std::string& key : keys) rows += ", (" + stored_key(key) + ", '7', now(), now(), 1)";
    sql().run("begin; truncate tuskv; insert into tuskv(key, value, created_at, updated_at, version) values " + rows +
              "; commit");
  }
  std::string stored(const std::string& key) {
    return sql().value("select coalesce((select convert_from(value, 'UTF8') from tuskv where key = " + stored_key(key) +
                       "), 'absent')");
  }
};

TEST_F(PostgresPooledReset, R36_WhatIsReportedAsResetDidNotHappen) {
  const Store store = open_pooled();
  const std::vector<std::pair<const char*, std::function<void()>>> calls = {
      {"erase", [&] { store.erase("k"); }},
      {"get_and_erase", [&] { store.get_and_erase("k"); }},
      {"compare_and_erase", [&] { store.compare_and_erase("k", "7"); }},
      {"erase_many",
       [&] {
         store.erase_many({"j", "k"});
       }},
      {"erase_prefix", [&] { store.erase_prefix("k"); }},
      {"clear", [&] { store.clear(); }},
      {"increment", [&] { store.increment("k"); }},
      {"set_if_present", [&] { store.set_if_present("k", "8"); }},
      {"get_and_set", [&] { store.get_and_set("k", "8"); }},
      {"transaction", [&] { store.transaction([](Transaction& tx) { tx.erase("k"); }); }},
  };
  for (const auto& [name, call] : calls) {
    SCOPED_TRACE(name);
    empty_and_refill({"k"});
    const auto failure = failure_of(std::chrono::seconds(5), call);
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->code(), Code::StoreReset) << failure->what();
    EXPECT_EQ(failure->outcome(), Outcome::not_applied);
    EXPECT_EQ(stored("k"), "7");
    EXPECT_THAT(store.get("k"), Optional(std::string("7"))) << "told twice";
    EXPECT_TRUE(store.erase("k"));
  }
  // A set looks at nothing, so there is nothing to tell of: it is there.
  empty_and_refill({"k"});
  store.set("k", "8");
  EXPECT_EQ(stored("k"), "8");
}

TEST_F(PostgresPooledReset, R36_InABatchEachIsToldTheTruthOfItsOwn) {
  constexpr int kThreads = 8;
  const Store store = open_pooled("&direct_callers=1&batches=1&pool_size=2");
  std::vector<std::string> keys;
  for (int t = 0; t < kThreads; ++t) keys.push_back("k" + std::to_string(t));
  int resets = 0;
  for (int round = 0; round < 20; ++round) {
    empty_and_refill(keys);
    std::vector<std::string> told(kThreads);
    run_threads(kThreads, [&](int t) {
      const std::string& key = keys[static_cast<std::size_t>(t)];
      std::string& mine = told[static_cast<std::size_t>(t)];
      try {
        if (t % 2 == 0) {
          mine = store.erase(key) ? "absent" : "7";
        } else {
          store.set(key, "8");
          mine = "8";
        }
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::StoreReset) << error.what();
        EXPECT_EQ(error.outcome(), Outcome::not_applied);
        mine = "7";
      }
    });
    for (int t = 0; t < kThreads; ++t) {
      const auto i = static_cast<std::size_t>(t);
      EXPECT_EQ(stored(keys[i]), told[i]) << keys[i] << " in round " << round;
      resets += told[i] == "7" ? 1 : 0;
    }
  }
  EXPECT_GT(resets, 0);
}

/// Without a pooler it is new connections that meet the emptied table, some of which nobody waits for any more.
TEST_F(PostgresPooledReset, R89_AResetThatSeveralConnectionsMeetIsToldOnce) {
  FaultProxy proxy(shared().server());
  const Store store = Store::open(proxy.address().url(database()) +
                                  "&sslmode=disable&durability=unlogged&ttl_mode=manual&pool_size=2&timeout=5s");
  proxy.set_behaviour({.refuses = true});
  proxy.act_on_all(ProxyAction::cut);
  EXPECT_TRUE(failure_of(30ms, [&] { store.with_timeout(30ms).get("k"); })) << "there is no connection";
  empty_table();
  std::this_thread::sleep_for(100ms);     // until the next attempt
  proxy.set_behaviour({.delay_ms = 20});  // both have looked before one of them has done anything about it
  std::thread caller([&] {
    const auto failure = failure_of(5s, [&] { store.get("k"); });
    EXPECT_TRUE(failure && failure->code() == Code::StoreReset);
  });
  EXPECT_TRUE(eventually([&] { return proxy.connections() == 1; }));
  std::this_thread::sleep_for(15ms);
  EXPECT_TRUE(failure_of(20ms, [&] { store.with_timeout(20ms).get("k"); })) << "another connection was begun for it";
  caller.join();
  std::this_thread::sleep_for(200ms);
  EXPECT_EQ(proxy.connections(), 2u);
  EXPECT_EQ(store.get("k"), std::nullopt);
}

/// No canary can be put in where nothing can be written.
TEST_F(PostgresPooledReset, R37_AResetIsToldFromInsideASnapshot) {
  const Store store = open_pooled("&retries=0");
  std::vector<std::string> many;
  for (int i = 0; i < 5000; ++i) many.push_back("k" + std::to_string(i));
  const std::vector<std::pair<const char*, std::function<void()>>> calls = {
      {"get in a transaction", [&] { store.transaction([](Transaction& tx) { tx.get("k"); }); }},
      {"scan in a transaction", [&] { store.transaction([](Transaction& tx) { tx.scan(); }); }},
      {"many keys", [&] { store.get_many(many); }},
  };
  for (const auto& [name, call] : calls) {
    SCOPED_TRACE(name);
    store.set("k", "v");
    empty_table();
    const auto failure = failure_of(std::chrono::seconds(5), call);
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->code(), Code::StoreReset) << failure->what();
    EXPECT_EQ(failure->outcome(), Outcome::not_applied);
    EXPECT_EQ(store.get("k"), std::nullopt);
  }
}

}  // namespace
}  // namespace tuskv::test
