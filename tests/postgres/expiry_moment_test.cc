// The moment at which entries expire: with clocks of the test's own in the server (one that moves when it is asked, one
// that runs very fast, one that a trigger moves in the middle of a call), and with the server's.
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
  /// From now on this statement runs whenever an entry has been changed and the change is not committed yet.
  void run_in_each_update(const std::string& statement) {
    sql().run("create function in_update() returns trigger language plpgsql as $$ begin " + statement +
              "; return null; end $$; create trigger in_update after update on tuskv for each row "
              "execute function in_update()");
  }
  void run_nothing_in_updates() { sql().run("drop trigger in_update on tuskv; drop function in_update"); }
  /// Others see that everything has expired.
  static constexpr const char* kPassAnHour =
      "perform setval('clock_us', pg_sequence_last_value('clock_us'::regclass) + 3600000000)";

 private:
  void make_clock(const std::string& name, const std::string& expression) {
    sql().run("create function " + name + "_clock() returns timestamptz volatile language sql as $$select " +
              expression + "$$");
  }
};

/// A call, which says whether it found "k". Its value is 5.
using Calls = std::vector<std::pair<const char*, std::function<bool(const Store&)>>>;

/// Calls that change what they find.
Calls changing_calls() {
  return {
      {"expire", [](const Store& store) { return store.expire("k", 24h); }},
      {"persist", [](const Store& store) { return static_cast<bool>(store.persist("k")); }},
      {"get_and_touch", [](const Store& store) { return store.get_and_touch("k", 24h).has_value(); }},
      {"set_if_present", [](const Store& store) { return store.set_if_present("k", "new"); }},
      {"compare_and_swap",
       [](const Store& store) { return static_cast<bool>(store.compare_and_swap("k", "5", "new")); }},
      {"update",
       [](const Store& store) {
         bool found = false;
         store.update("k", [&](std::optional<std::string_view> value) -> Change {
           found = value.has_value();
           return found ? Change("new") : Change::keep();
         });
         return found;
       }},
  };
}

/// Calls that write something else because of what they find.
Calls deciding_calls() {
  return {
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
}

Calls both(Calls first, const Calls& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

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

/// What several statements of one snapshot find is judged by the time of the snapshot: with a later one, an entry would
/// have expired before what was written earlier is there. The clock lets time pass once it has been looked at.
TEST_F(PostgresExpiry, R118_ALargeBatchIsOfTheMomentOfItsSnapshot) {
  sql().run(
      "create function halting_clock() returns timestamptz volatile language plpgsql as $$ declare now timestamptz := "
      "standing_clock(); begin while exists (select from pg_locks where locktype = 'advisory' and objid = 118 and "
      "database = (select oid from pg_database where datname = current_database())) loop perform pg_sleep(0.001); end "
      "loop; return now; end $$");
  const Store store = open_at(url(), "standing");
  const Store reader = open_at(url(), "halting");
  std::vector<std::string> keys = {"a", "z"};
  for (int i = 0; i < 4100; ++i) keys.push_back("k" + std::to_string(i));
  std::vector<Item> items;
  for (const std::string& key : keys) items.push_back({.key = key, .value = "old"});
  // "a" is written anew before "z" expires.
  const auto look_while_time_passes = [&](const std::function<void()>& look) {
    store.set_many(items, {.ttl = 24h});
    store.erase("a");
    store.set("z", "old", {.ttl = 10s});
    SqlConnection holder = other_session();
    holder.run("select pg_advisory_lock(118)");
    std::thread looking(look);
    EXPECT_TRUE(eventually([&] {
      return sql().value(
                 "select count(*) from pg_stat_activity where datname = current_database() and wait_event = "
                 "'PgSleep'") == "1";
    }));
    store.set("a", "new");
    sql().run("select setval('clock_us', pg_sequence_last_value('clock_us'::regclass) + 20000000)");
    holder.run("select pg_advisory_unlock(118)");
    looking.join();
  };
  look_while_time_passes([&] {
    const auto found = reader.get_many(keys);
    EXPECT_EQ(found[0], std::nullopt);
    EXPECT_THAT(found[1], Optional(std::string("old")));
  });
  look_while_time_passes([&] { EXPECT_EQ(reader.exists_many(keys), keys.size() - 1); });
}

/// What was seen to have expired does not come back by a write that had looked at it before.
TEST_F(PostgresExpiry, R43_WhatExpiresWhileItIsBeingChangedIsGone) {
  const Store store = open_at(url(), "standing");
  store.set("other", "");
  for (const auto& [name, call] : both(changing_calls(), deciding_calls())) {
    SCOPED_TRACE(name);
    store.set("k", "5", {.ttl = 10s});
    run_in_each_update(kPassAnHour);
    EXPECT_FALSE(call(store));
    EXPECT_EQ(store.get("k"), std::nullopt);
    EXPECT_NE(store.get("other"), "live");
    run_nothing_in_updates();
  }
  store.set("k", "5", {.ttl = 10s});
  run_in_each_update(kPassAnHour);
  const Error once = error_of([&] { open_at(url(), "standing", "&retries=0").expire("k", 24h); });
  EXPECT_EQ(once.code(), Code::Conflict);
  EXPECT_EQ(once.outcome(), Outcome::not_applied);
  EXPECT_THAT(once.what(), testing::HasSubstr("expired"));
}

/// The server's own clock, which every other test replaces: it goes on while a transaction is open, and a call judges
/// by what it says at the end. (Here real time has to pass. The first attempt must have found the entry, or nothing is
/// tested, so on a busy machine its life is longer.)
TEST_F(PostgresExpiry, U4_R110_TheServersClockGoesOnWhileAnEntryIsBeingChanged) {
  const Store store = open("&ttl_mode=manual&timeout=20s");
  store.set("other", "");
  sql().run("create sequence changed");
  const auto found_first = [&] { return sql().value("select is_called from changed") == "t"; };
  for (const auto& [name, call] : both(changing_calls(), deciding_calls())) {
    SCOPED_TRACE(name);
    sql().run("select setval('changed', 1, false)");
    for (int ttl_ms = 25; !found_first() && ttl_ms < 5000; ttl_ms *= 2) {
      run_in_each_update("perform nextval('changed'), pg_sleep(" + std::to_string(ttl_ms) + " / 1000.0)");
      store.erase("k");
      store.set("k", "5", {.ttl = std::chrono::milliseconds(ttl_ms)});
      EXPECT_FALSE(call(store));
      run_nothing_in_updates();
    }
    EXPECT_TRUE(found_first());
    EXPECT_EQ(store.get("k"), std::nullopt);
    EXPECT_NE(store.get("other"), "live");
  }
}

/// The same for calls that wait for another's lock meanwhile: they find what is there when they get it.
TEST_F(PostgresExpiry, Y12_R110_WhatExpiresWhileItIsWaitedForIsNotFound) {
  const Store store = open("&ttl_mode=manual&timeout=20s");
  const Calls for_the_row = {
      {"erase", [](const Store& one) { return one.erase("k"); }},
      {"get_and_erase", [](const Store& one) { return one.get_and_erase("k").has_value(); }},
      {"get_and_set", [](const Store& one) { return one.get_and_set("k", "new").has_value(); }},
      {"increment", [](const Store& one) { return one.increment("k") != 1; }},
      {"set_if_absent", [](const Store& one) { return !one.set_if_absent("k", "new"); }},
  };
  const Calls for_the_table = {
      {"get", [](const Store& one) { return one.get("k").has_value(); }},
      {"get_entry", [](const Store& one) { return one.get_entry("k").has_value(); }},
      {"get_many",
       [](const Store& one) {
         return one.get_many({"j", "k"}).back().has_value();
       }},
      {"count", [](const Store& one) { return one.count() > 0; }},
      {"scan", [](const Store& one) { return !one.scan().entries.empty(); }},
  };
  const auto check = [&](const Calls& calls, const std::string& lock) {
    for (const auto& [name, call] : calls) {
      SCOPED_TRACE(name);
      store.set("k", "5", {.ttl = 25ms});
      SqlConnection holder = other_session();
      holder.run("begin; " + lock);
      // Let go just behind the end, so that what waits then has waited since before it.
      holder.send("select pg_sleep(extract(epoch from expires_at - clock_timestamp()) + 0.001) from tuskv; commit");
      EXPECT_FALSE(call(store));
      holder.finish();
    }
  };
  check(both(changing_calls(), for_the_row), "select from tuskv for update");
  check(for_the_table, "lock table tuskv in access exclusive mode");
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
