// The moment at which entries expire, with clocks of the test's own in the server: one that moves when it is asked, one
// that runs very fast, and one that a trigger moves in the middle of a call.
#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "open.h"
#include "postgres/database.h"
#include "postgres/postgres_engine.h"
#include "postgres/server_test.h"
#include "session.h"
#include "support/fault_proxy.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""min;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using testing::Optional;

class PostgresExpiry : public ServerTest {
 protected:
  PostgresExpiry() {
    sql().run("create sequence clock_us increment by 1000 start 1700000000000000; select nextval('clock_us')");
    make_clock("standing", "timestamptz 'epoch' + pg_sequence_last_value('clock_us'::regclass) * interval '1 us'");
    // A millisecond each time. A transaction that only reads has no sequence to move.
    make_clock("ticking", "timestamptz 'epoch' + nextval('clock_us'::regclass) * interval '1 us'");
    const std::string start = SqlConnection::quoted(sql().value("select clock_timestamp()"));
    make_clock("fast", start + "::timestamptz + (clock_timestamp() - " + start + "::timestamptz) * 1000");
  }
  Store open_at(const std::string& address, const std::string& clock, const std::string& parameters = {}) const {
    return open_store(address + "&ttl_mode=manual" + parameters, {.timeout = 10s},
                      {.postgres_clock = "public." + clock + "_clock()"});
  }
  /// From now on the time passes by an hour while an entry is being changed: others see that it has expired.
  void pass_an_hour_in_each_update() {
    sql().run(
        "create function pass_an_hour() returns trigger language plpgsql as $$ begin perform setval('clock_us', "
        "pg_sequence_last_value('clock_us'::regclass) + 3600000000); return null; end $$; "
        "create trigger pass_an_hour after update on tuskv for each row execute function pass_an_hour()");
  }

 private:
  void make_clock(const std::string& name, const std::string& expression) {
    sql().run("create function " + name + "_clock() returns timestamptz volatile language sql as $$select " +
              expression + "$$");
  }
};

/// What was set together is gone together, for every way to look at several keys.
TEST_F(PostgresExpiry, R42_ABatchExpiresAsOne) {
  constexpr std::size_t kKeys = 8;
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < kKeys; ++i) keys.push_back("k" + std::to_string(i));
  std::vector<Item> items;
  for (const std::string& key : keys) items.push_back({.key = key, .value = "v"});
  const auto live_of = [](const std::vector<std::optional<std::string>>& found) {
    return static_cast<std::uint64_t>(std::count_if(found.begin(), found.end(), [](const auto& v) { return v; }));
  };
  const std::vector<std::pair<const char*, std::function<std::uint64_t(const Store&)>>> ways = {
      {"get_many", [&](const Store& store) { return live_of(store.get_many(keys)); }},
      {"exists_many", [&](const Store& store) { return store.exists_many(keys); }},
      {"count", [&](const Store& store) { return store.count(); }},
      {"scan", [&](const Store& store) { return store.scan().entries.size(); }},
      {"transaction",
       [&](const Store& store) {
         return store.transaction([&](Transaction& tx) { return live_of(tx.get_many(keys)); });
       }},
  };
  for (const char* parameters : {"&table=whole", "&table=parts&partitions=2"}) {
    const Store store = open_at(url(), "ticking", parameters);
    for (const auto& [name, look] : ways) {
      SCOPED_TRACE(std::string(name) + parameters);
      store.set_many(items, {.ttl = 60ms});
      std::uint64_t live = look(store);
      EXPECT_EQ(live, kKeys);
      while (live == kKeys) live = look(store);
      EXPECT_EQ(live, 0u);
    }
    store.set_many(items, {.ttl = 60ms});
    while (store.exists(keys.front())) {
    }
    EXPECT_EQ(store.erase_many(keys), 0u);
  }
}

/// The same where the keys fill more than one statement.
TEST_F(PostgresExpiry, R42_ALargeBatchExpiresAsOne) {
  const Store store = open_at(url(), "fast");
  std::vector<std::string> keys;
  for (int i = 0; i < 4100; ++i) keys.push_back("k" + std::to_string(i));
  std::vector<Item> items;
  for (const std::string& key : keys) items.push_back({.key = key, .value = "v"});
  for (int i = 0; i < 4; ++i) {
    store.set_many(items, {.ttl = 200s});  // 200 ms
    EXPECT_EQ(sql().value("select count(distinct expires_at) from tuskv"), "1");
    std::uint64_t live = keys.size();
    while (live == keys.size()) {
      const auto found = store.get_many(keys);
      live = static_cast<std::uint64_t>(std::count_if(found.begin(), found.end(), [](const auto& v) { return v; }));
    }
    EXPECT_EQ(live, 0u);
  }
}

/// What was seen to have expired does not come back by a write that had looked at it before.
TEST_F(PostgresExpiry, R43_WhatExpiresWhileItIsBeingChangedIsGone) {
  const std::vector<std::pair<const char*, std::function<bool(const Store&)>>> calls = {
      {"expire", [](const Store& store) { return store.expire("k", 24h); }},
      {"persist", [](const Store& store) { return static_cast<bool>(store.persist("k")); }},
      {"get_and_touch", [](const Store& store) { return store.get_and_touch("k", 24h).has_value(); }},
      {"set_if_present", [](const Store& store) { return store.set_if_present("k", "new"); }},
      {"compare_and_swap",
       [](const Store& store) { return static_cast<bool>(store.compare_and_swap("k", "v", "new")); }},
      {"update",
       [](const Store& store) {
         bool found = false;
         store.update("k", [&](std::optional<std::string_view> value) -> Change {
           found = value.has_value();
           return found ? Change("new") : Change::keep();
         });
         return found;
       }},
      {"transaction",
       [](const Store& store) {
         return store.transaction([&](Transaction& tx) {
           const bool found = tx.exists("k");
           tx.set("other", found ? "live" : "dead");
           return found;
         });
       }},
      {"transaction that lists",
       [](const Store& store) {
         return store.transaction([&](Transaction& tx) {
           const bool found = tx.count({.prefix = "k"}) > 0;
           tx.set("other", found ? "live" : "dead");
           return found;
         });
       }},
  };
  const Store store = open_at(url(), "standing");
  store.set("other", "");
  for (const auto& [name, call] : calls) {
    SCOPED_TRACE(name);
    store.set("k", "v", {.ttl = 10s});
    pass_an_hour_in_each_update();
    EXPECT_FALSE(call(store));
    EXPECT_EQ(store.get("k"), std::nullopt);
    EXPECT_NE(store.get("other"), "live");
    sql().run("drop trigger pass_an_hour on tuskv; drop function pass_an_hour");
  }
  store.set("k", "v", {.ttl = 10s});
  pass_an_hour_in_each_update();
  const Error once = error_of([&] { open_at(url(), "standing", "&retries=0").expire("k", 24h); });
  EXPECT_EQ(once.code(), Code::Conflict);
  EXPECT_EQ(once.outcome(), Outcome::not_applied);
  EXPECT_THAT(once.what(), testing::HasSubstr("expired"));
}

/// In a transaction two looks at the same entries agree, whatever statements they are.
TEST_F(PostgresExpiry, R44_ATransactionSeesNobodyExpireHalfway) {
  const Store store = open_at(url(), "fast");
  const std::vector<std::pair<const char*, std::function<std::uint64_t(Transaction&)>>> looks = {
      {"get", [](Transaction& tx) { return tx.get("k1") ? 2u : 0u; }},
      {"scan", [](Transaction& tx) { return tx.scan({.prefix = "k"}).entries.size(); }},
      {"glob", [](Transaction& tx) { return tx.scan({.glob = "k?"}).entries.size(); }},
      {"count", [](Transaction& tx) { return tx.count({.prefix = "k"}); }},
  };
  for (const auto& first : looks) {
    for (const auto& second : looks) {
      for (int ttl_ms = 50; ttl_ms <= 1000; ttl_ms += 50) {  // up to a few round trips
        store.set_many({{"k1", "v"}, {"k2", "v"}}, {.ttl = std::chrono::milliseconds(ttl_ms)});
        const auto [before, after] = store.transaction([&](Transaction& tx) {
          const std::uint64_t seen_first = first.second(tx);
          return std::pair(seen_first, second.second(tx));
        });
        EXPECT_EQ(before, after) << first.first << " and " << second.first << " after " << ttl_ms;
      }
    }
  }
}

/// Nothing of a transaction is lost because the server cannot say what time it is.
TEST_F(PostgresExpiry, R45_AClockThatCannotBeAskedIsKnownWellEnough) {
  FaultProxy proxy(shared().server());
  const Store store =
      open_at(proxy.address().url(database()) + "&sslmode=disable", "standing", "&timeout=300ms&retries=0");
  int runs = 0;
  store.with_timeout(2s).transaction([&](Transaction& tx) {
    if (++runs == 1) {
      proxy.set_behaviour({.refuses = true});
      proxy.act_on_all(ProxyAction::cut);
    }
    tx.set("k", "v", {.ttl = 1h});
    EXPECT_THAT(tx.get("k"), Optional(std::string("v")));
    proxy.set_behaviour({});
  });
  EXPECT_EQ(runs, 1);
  EXPECT_THAT(store.get("k"), Optional(std::string("v")));
  EXPECT_GT(store.ttl("k").left, 59min);
}

/// Lifetimes in a transaction are counted from what the server's clock is known to be from its last answers. Meanwhile
/// it can have been set, or the server been replaced by one with another.
TEST_F(PostgresExpiry, R56_LifetimesCountedFromAWrongClockAreCountedAgain) {
  auto opened = postgres::Database::open(
      {.target = postgres::Target::parse(url()).value(), .options = {.ttl_mode = TtlMode::manual}, .clock = {}});
  ASSERT_TRUE(opened.ok());
  postgres::Database& database = *opened.value();
  postgres::PostgresEngine engine(std::move(opened).value());
  const auto server_us = [&] {
    return std::stoll(sql().value("select (extract(epoch from clock_timestamp()) * 1000000)::int8"));
  };
  /// Its failure, nothing when it succeeded.
  const auto commit = [&](const std::function<void()>& before_commit) -> std::optional<Code> {
    Session session(engine, {});
    Command put(Put{
        .key = std::string_view("\0k", 2), .value = "v", .expiry = {.kind = Expiry::Kind::after, .value = 1'800'000}});
    Unit unit{.commands = std::span(&put, 1)};
    session.execute(std::span(&unit, 1));
    EXPECT_EQ(unit.failure, nullptr);
    before_commit();
    const Status status = session.commit();
    return status.ok() ? std::nullopt : std::optional(status.failure().code);
  };
  constexpr std::int64_t kHourUs = std::int64_t{3600} * 1'000'000;
  const auto know = [&](std::int64_t error_us) { database.clock().note(server_us() + error_us); };
  for (const std::int64_t error_us : {-kHourUs, kHourUs, std::int64_t{-2'000'000}, std::int64_t{2'000'000}}) {
    SCOPED_TRACE(error_us);
    know(error_us);
    EXPECT_EQ(commit([] {}), Code::Conflict);
    // Others learn the right time between the call and the commit.
    know(error_us);
    EXPECT_EQ(commit([&] { know(0); }), Code::Conflict);
    EXPECT_EQ(sql().value("select count(*) from tuskv"), "0");
  }
  // The refusal has brought the right time.
  know(kHourUs);
  EXPECT_EQ(commit([] {}), Code::Conflict);
  EXPECT_EQ(commit([] {}), std::nullopt);
  EXPECT_EQ(sql().value("select expires_at - clock_timestamp() between '29 min' and '31 min' from tuskv"), "t");
}

}  // namespace
}  // namespace tuskv::test
