// Rows that somebody else has locked, and calls that take long: who has to wait waits beside the others, and the
// connections of the pool are for those who can go on.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "postgres/server_test.h"
#include "support/fault_proxy.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using testing::Optional;
using Clock = std::chrono::steady_clock;

class PostgresWaiting : public ServerTest {
 protected:
  /// A session that has the rows until it rolls back.
  SqlConnection hold(const std::vector<std::string>& keys) const {
    SqlConnection holder = other_session();
    holder.run("begin");
    for (const std::string& key : keys) {
      holder.run("select 1 from tuskv where key = " + stored_key(key) + " for update");
    }
    return holder;
  }
};

/// How an asynchronous call ended.
template <class T>
std::future<std::optional<Error>> start(Async<T> call) {
  auto promise = std::make_shared<std::promise<std::optional<Error>>>();
  std::move(call).then([promise](const std::exception_ptr& failure, const auto&...) {
    try {
      if (failure) std::rethrow_exception(failure);
      promise->set_value(std::nullopt);
    } catch (const Error& error) {
      promise->set_value(error);
    }
  });
  return promise->get_future();
}

struct Waiters {
  std::vector<std::thread> threads = {};
  std::atomic<int> done = 0;

  void add(std::function<void()> call) {
    threads.emplace_back([this, call = std::move(call)] {
      const auto failure = failure_of(20s, call);
      EXPECT_FALSE(failure) << failure->what();
      ++done;
    });
  }
  void join() {
    for (std::thread& thread : threads) thread.join();
    threads.clear();
  }
  ~Waiters() { join(); }
};

/// However many wait, in whatever call, they leave connections to those who want other keys.
TEST_F(PostgresWaiting, R26_ThoseWhoWaitForRowsLeaveThePoolToOthers) {
  for (const int pool_size : {4, 1}) {
    SCOPED_TRACE(pool_size);
    const Store store = open("&ttl_mode=manual&timeout=20s&pool_size=" + std::to_string(pool_size) + "&table=of_" +
                             std::to_string(pool_size));
    const std::vector<std::string> locked = {"locked0", "locked1", "locked2"};
    for (const std::string& key : locked) store.set(key, "0");
    store.set("free", "0");
    Waiters waiters;
    SqlConnection holder = other_session();  // whose end lets the waiters go
    holder.run("begin; select 1 from of_" + std::to_string(pool_size) + " where key <> " + stored_key("free") +
               " for update");
    for (const std::string& key : locked) {
      for (int i = 0; i < 2; ++i) {
        waiters.add([&] { store.increment(key); });
        waiters.add([&] { store.transaction([&](Transaction& tx) { tx.set("t" + key, tx.get(key).value()); }); });
        waiters.add([&] { store.transaction([&](Transaction& tx) { tx.increment(key, 0); }); });
        waiters.add([&] { store.expire(key, 3600s); });
      }
      waiters.add([&] { store.erase_prefix("t" + key + "none"); });
      waiters.add([&] { store.set_many({{key + "a", "v"}, {"z" + key, "v"}}); });
    }
    std::this_thread::sleep_for(100ms);  // all have met their rows
    for (int i = 0; i < 25; ++i) {
      const auto failure = failure_of(1s, [&] {
        store.with_timeout(1s).get("free");
        store.with_timeout(1s).set("free", "1");
      });
      ASSERT_FALSE(failure) << failure->what();
    }
    holder.run("rollback");
    waiters.join();
    EXPECT_EQ(store.get("locked0"), "2");
  }
}

/// Who gives up while its batch waits for a connection has done nothing, and is told so.
TEST_F(PostgresWaiting, R52_WhoGetsNoConnectionInTimeHasDoneNothing) {
  FaultProxy proxy(shared().server());
  const Store store =
      Store::open(proxy.address().url(database()) +
                  "&sslmode=disable&ttl_mode=manual&timeout=20s&pool_size=1&direct_callers=1&batches=1");
  store.set("k", "v");
  proxy.set_behaviour({.holds = true});
  std::thread holder([&] { EXPECT_TRUE(failure_of(1s, [&] { store.with_timeout(1s).count(); })); });
  std::this_thread::sleep_for(100ms);  // it has the only connection
  run_threads(12, [&](int t) {
    const auto timeout = std::chrono::milliseconds(300 + 20 * (t / 2));
    const Store hurried = store.with_timeout(timeout);
    const auto failure = t % 2 == 0 ? failure_of(timeout, [&] { hurried.set("k", "w"); })
                                    : failure_of(timeout, [&] { hurried.increment("n"); });
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->code(), Code::Timeout) << failure->what();
    EXPECT_EQ(failure->outcome(), Outcome::not_applied) << failure->what();
  });
  holder.join();
  proxy.act_on_all(ProxyAction::reset);
  proxy.set_behaviour({});
  EXPECT_EQ(store.get("k"), "v");
  EXPECT_EQ(store.get("n"), std::nullopt);
}

/// A row that is free again is not waited for behind those that are not.
TEST_F(PostgresWaiting, R26_EachRowHasItsOwnLine) {
  const Store store = open("&ttl_mode=manual&timeout=20s&pool_size=4");
  store.set_many({{"held", "0"}, {"freed", "0"}});
  Waiters behind_held;
  SqlConnection holder = hold({"held"});
  for (int i = 0; i < 24; ++i) behind_held.add([&] { store.increment("held"); });
  std::this_thread::sleep_for(50ms);
  {
    SqlConnection brief = hold({"freed"});
    Waiters behind_freed;
    for (int i = 0; i < 4; ++i) behind_freed.add([&] { store.increment("freed"); });
    std::this_thread::sleep_for(50ms);
    const auto before = Clock::now();
    brief.run("rollback");
    behind_freed.join();
    EXPECT_LT(Clock::now() - before, 1s);
  }
  EXPECT_EQ(behind_held.done, 0);
  holder.run("rollback");
  behind_held.join();
  EXPECT_EQ(store.get("held"), "24");
  EXPECT_EQ(store.get("freed"), "4");
}

/// Nor behind those, however many there are, that have been held for longer.
TEST_F(PostgresWaiting, R86_ARowThatWasHeldForAMomentIsNotWaitedForBehindAllOthers) {
  const Store store = open("&ttl_mode=manual&timeout=20s&pool_size=4");
  std::vector<std::string> held;
  for (int i = 0; i < 32; ++i) held.push_back("held" + std::to_string(i));
  for (const std::string& key : held) store.set(key, "0");
  store.set("brief", "0");
  Waiters waiters;
  SqlConnection holder = hold(held);
  for (const std::string& key : held) waiters.add([&store, &key] { store.set(key, "1"); });
  std::this_thread::sleep_for(500ms);  // each has met its row
  for (int round = 0; round < 3; ++round) {
    SqlConnection brief = hold({"brief"});
    const auto begin = Clock::now();
    std::thread caller([&] { EXPECT_FALSE(failure_of(20s, [&] { store.increment("brief"); })); });
    std::this_thread::sleep_for(60ms);
    brief.run("rollback");
    caller.join();
    EXPECT_LT(Clock::now() - begin, 1s);
  }
  EXPECT_EQ(waiters.done, 0);
  holder.run("rollback");
  waiters.join();
  EXPECT_EQ(store.get("held31"), "1");
}

/// The answer is there; to remove what has expired can wait for somebody else's CREATE INDEX.
TEST_F(PostgresWaiting, R107_ARemovalOnReadHoldsUpNoReader) {
  for (const PostgresAddress& server : {shared().server(), shared().pooler()}) {
    const Store store = Store::open(server.url(database()) + "&ttl_mode=on_read&timeout=3s");
    store.set("k", "v", {.ttl = 1h});
    sql().run("update tuskv set expires_at = now() - interval '1 h', expires_bucket = 1");
    SqlConnection holder = other_session();
    holder.run("begin; lock table tuskv in share mode");
    const auto begin = Clock::now();
    EXPECT_EQ(store.get("k"), std::nullopt);
    EXPECT_LT(Clock::now() - begin, 1s);
    holder.run("rollback");
    EXPECT_EQ(store.get("k"), std::nullopt);
    EXPECT_EQ(sql().value("select count(*) from tuskv"), "0");
  }
}

/// The server connections of a pooler are few, and not the store's alone.
TEST_F(PostgresWaiting, R87_ThoseWhoWaitForRowsLeaveAPoolersConnectionsToOthers) {
  const Store store = Store::open(shared().pooler().url(database()) + "&ttl_mode=manual&timeout=20s&pool_size=16");
  std::vector<std::string> held;
  for (int i = 0; i < 8; ++i) held.push_back("held" + std::to_string(i));
  for (const std::string& key : held) store.set(key, "0");
  Waiters waiters;
  SqlConnection holder = hold(held);
  for (std::size_t i = 0; i < held.size(); ++i) {
    waiters.add([&store, &key = held[i], plain = i % 2 == 0] {
      if (plain) return store.set(key, "1");
      store.transaction([&](Transaction& tx) { tx.set(key, "1"); });
    });
  }
  std::this_thread::sleep_for(300ms);  // each has met its row
  constexpr int kCalls = 50;
  int waiting = 0;
  for (int i = 0; i < kCalls; ++i) {
    const auto failure = failure_of(1s, [&] { store.with_timeout(1s).set("free", "0"); });
    ASSERT_FALSE(failure) << failure->what();
    waiting += std::stoi(sql().value(
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"));
  }
  EXPECT_LT(waiting, kCalls) << "less than one at a time, of three";
  EXPECT_EQ(waiters.done, 0);
  holder.run("rollback");
  waiters.join();
  EXPECT_EQ(store.get("held7"), "1");
}

/// A call that has less time than the store's timeout leaves nothing running beside its connection's successor.
TEST_F(PostgresWaiting, R88_WhatAHurriedCallHasGivenUpEndsOnTheServer) {
  const Store store = open("&ttl_mode=manual&timeout=20s&pool_size=2");
  store.set("k", "0");
  sql().run(
      "create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(5); return new; end $$; "
      "create trigger slow before insert or update on tuskv for each row execute function slow()");
  const Store hurried = store.with_timeout(100ms);
  const auto failure = failure_of(100ms, [&] { hurried.set("k", "1"); });
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->code(), Code::Timeout) << failure->what();
  EXPECT_EQ(failure->outcome(), Outcome::not_applied) << failure->what();
  std::atomic<bool> done = false;
  Waiters callers;
  for (int t = 0; t < 6; ++t) {
    callers.add([&, t] {
      for (int i = 0; !done; ++i) {
        const std::string key = std::to_string(t) + "k" + std::to_string(i);
        EXPECT_TRUE(failure_of(100ms, [&] { i % 2 == 0 ? hurried.set(key, "1") : void(hurried.increment(key)); }));
      }
    });
  }
  int most = 0;
  for (int i = 0; i < 20; ++i) {
    std::this_thread::sleep_for(50ms);
    const std::string sessions = sql().value(
        "select count(*) from pg_stat_activity where application_name = 'tuskv' and datname = current_database()");
    most = std::max(most, std::stoi(sessions));
  }
  done = true;
  callers.join();
  EXPECT_LE(most, 2);
  EXPECT_EQ(sql().value("select count(*) from tuskv"), "1");
}

/// Nobody is told more or later than the deadline allows: who has waited for a row only has done nothing.
TEST_F(PostgresWaiting, R26_WhoWaitsInVainHasDoneNothing) {
  const Store store = open("&ttl_mode=manual&pool_size=4");
  store.set("held", "0");
  SqlConnection holder = hold({"held"});
  run_threads(12, [&](int t) {
    const auto timeout = std::chrono::milliseconds(300 + 20 * t);
    const Store hurried = store.with_timeout(timeout);
    const auto failure =
        t % 2 == 0 ? failure_of(timeout, [&] { hurried.set("held", "1"); })
                   : failure_of(timeout, [&] { hurried.transaction([](Transaction& tx) { tx.increment("held"); }); });
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->code(), Code::Timeout) << failure->what();
    EXPECT_EQ(failure->outcome(), Outcome::not_applied) << failure->what();
  });
  holder.run("rollback");
  EXPECT_EQ(store.get("held"), "0");
}

/// An asynchronous write that has met a locked row waits, too: it neither asks all the time nor joins batches.
TEST_F(PostgresWaiting, R27_AnAsynchronousWriteWaitsForItsRowAtRest) {
  const FaultProxy proxy(shared().server());
  const Store store = Store::open(proxy.address().url(database()) +
                                  "&sslmode=disable&ttl_mode=manual&timeout=20s&direct_callers=1&batches=1");
  store.set("held", "0");
  SqlConnection holder = hold({"held"});
  auto write = start(store.async().set("held", "1"));
  auto other = start(store.async().increment("held"));
  std::this_thread::sleep_for(100ms);
  const std::uint64_t before = proxy.bytes(ProxyDirection::to_server);
  std::this_thread::sleep_for(600ms);
  EXPECT_LT(proxy.bytes(ProxyDirection::to_server) - before, 5000u);
  auto late = start(store.with_timeout(200ms).async().set("held", "2"));
  const auto failure = late.get();
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->code(), Code::Timeout);
  EXPECT_EQ(failure->outcome(), Outcome::not_applied);
  EXPECT_EQ(write.wait_for(0ms), std::future_status::timeout);
  holder.run("rollback");
  EXPECT_FALSE(write.get());
  EXPECT_FALSE(other.get());
  EXPECT_THAT(store.get("held"), Optional(testing::AnyOf(std::string("1"), std::string("2"))));
}

/// What walks over a range takes as long as it takes, beside the reads of others and by its own deadline.
TEST_F(PostgresWaiting, R28_AsynchronousListingsHoldUpNoReads) {
  const Store store = open("&ttl_mode=manual&timeout=20s&batches=1&pool_size=4");
  store.set_many({{"p1", "0"}, {"q", "0"}});
  SqlConnection holder = hold({"p1"});
  auto erase = start(store.async().erase_prefix("p"));
  std::vector<std::future<std::optional<Error>>> gets;
  std::vector<std::future<std::optional<Error>>> erases;
  const auto begin = Clock::now();
  for (int i = 0; i < 8; ++i) {
    gets.push_back(start(store.async().get("q")));
    erases.push_back(start(store.with_timeout(700ms).async().erase_prefix("p")));
    gets.push_back(start(store.async().get("p1")));
  }
  for (auto& get : gets) EXPECT_FALSE(get.get());
  EXPECT_LT(Clock::now() - begin, 700ms);
  for (auto& each : erases) {
    const auto failure = each.get();
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->code(), Code::Timeout) << failure->what();
    EXPECT_EQ(failure->outcome(), Outcome::not_applied) << failure->what();
  }
  EXPECT_LT(Clock::now() - begin, 700ms + kLateMax);
  EXPECT_EQ(erase.wait_for(0ms), std::future_status::timeout);
  holder.run("rollback");
  EXPECT_FALSE(erase.get());
  EXPECT_EQ(store.count(), 1u);
}

/// They sleep until the table is free, without a connection, and so may be any number.
TEST_F(PostgresWaiting, R141_RangeErasesThatWaitForTheTableHoldUpNoListings) {
  const Store store = open("&ttl_mode=manual&timeout=10s&pool_size=8");
  store.set_many({{"p1", "0"}, {"q", "0"}});
  SqlConnection holder = other_session();
  holder.run("begin");
  holder.run("update tuskv set value = value where key = " + stored_key("q"));
  std::vector<std::future<std::optional<Error>>> erases;
  for (int i = 0; i < 4; ++i) erases.push_back(start(store.async().erase_prefix("p")));
  EXPECT_FALSE(start(store.async().count()).get());
  EXPECT_FALSE(start(store.async().keys()).get());
  for (auto& erase : erases) EXPECT_EQ(erase.wait_for(0ms), std::future_status::timeout);
  holder.run("rollback");
  for (auto& erase : erases) EXPECT_FALSE(erase.get());
  EXPECT_EQ(store.count(), 1u);
}

/// The connection that a caller waits for may be lost rather than given back.
TEST_F(PostgresWaiting, R29_AConnectionThatIsLostMakesRoomForWhoeverWaits) {
  FaultProxy proxy(shared().server());
  const Store store = Store::open(proxy.address().url(database()) +
                                  "&sslmode=disable&ttl_mode=manual&timeout=10s&pool_size=1&retries=0");
  store.set("held", "0");
  SqlConnection holder = other_session();
  holder.run("begin; lock table tuskv in exclusive mode");
  std::thread first([&] {
    const auto failure = failure_of(10s, [&] { store.cleanup_expired(); });
    EXPECT_TRUE(failure) << "its connection was cut";
  });
  std::this_thread::sleep_for(60ms);  // it has the connection, and waits for the table
  proxy.set_behaviour({.holds = true});
  std::this_thread::sleep_for(300ms);  // what it sends is not answered
  std::atomic<bool> got = false;
  std::vector<std::thread> waiting;
  for (int i = 0; i < 3; ++i) {
    waiting.emplace_back([&] {
      EXPECT_FALSE(failure_of(10s, [&] { store.get("held"); }));
      got = true;
    });
  }
  std::this_thread::sleep_for(50ms);
  const auto begin = Clock::now();
  proxy.act_on_all(ProxyAction::reset);
  proxy.set_behaviour({});
  for (std::thread& thread : waiting) thread.join();
  EXPECT_LT(Clock::now() - begin, 3s);
  holder.run("rollback");
  first.join();
}

}  // namespace
}  // namespace tuskv::test
