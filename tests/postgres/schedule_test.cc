// Two sessions, step by step, and many at random. The schedules are those in which SERIALIZABLE transactions beside
// single statements would have had no order: T1 reads, C writes what T1 read, T2 sees that and not yet what T1 writes.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "postgres/server_test.h"
#include "support/random.h"
#include "support/random_seed.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using testing::Optional;

class PostgresSchedule : public ServerTest {
 protected:
  /// Sessions report what they met when they end.
  std::string deadlocks() {
    EXPECT_TRUE(eventually([&] {
      return sql().value("select count(*) from pg_stat_activity where datname = current_database()") == "1";
    }));
    return sql().value("select deadlocks from pg_stat_database where datname = current_database()");
  }
  /// T1 reads with `read` and writes y. Between the two, C sets x on a store of its own, and T2 sees x and no y. T1
  /// must find out, whatever `read` was.
  void expect_that_t1_runs_again(const std::function<std::string(Transaction&)>& read, const std::string& last_seen) {
    const Store first = open("&ttl_mode=manual");
    const Store second = open("&ttl_mode=manual");
    int attempts = 0;
    std::string seen;
    first.transaction([&](Transaction& tx) {
      seen = read(tx);
      if (++attempts == 1) {
        second.set("x", "2");
        second.transaction([](Transaction& other) {
          EXPECT_THAT(other.get("x"), Optional(std::string("2")));
          EXPECT_FALSE(other.get("y"));
          other.set("z", "T2 was here");
        });
      }
      tx.set("y", seen);
    });
    EXPECT_EQ(attempts, 2);
    EXPECT_EQ(seen, last_seen);
    EXPECT_EQ(first.get("y"), last_seen);
    EXPECT_EQ(first.get("z"), "T2 was here");
    EXPECT_EQ(sql().value("select count(*) from tuskv"), "3") << "a guard row was left";
  }
};

TEST_F(PostgresSchedule, ASingleWriteBetweenReadAndCommitIsNoticed) {
  open().set("x", "1");
  expect_that_t1_runs_again([](Transaction& tx) { return tx.get("x").value_or("absent"); }, "2");
}

TEST_F(PostgresSchedule, SoIsTheWriteOfAKeyThatWasAbsent) {
  expect_that_t1_runs_again([](Transaction& tx) { return tx.get("x").value_or("absent"); }, "2");
}

TEST_F(PostgresSchedule, SoIsANewEntryInARangeThatWasListed) {
  expect_that_t1_runs_again(
      [](Transaction& tx) {
        std::string listed;
        for (const Entry& entry : tx.scan({.prefix = "x"}).entries) listed += entry.key + "=" + entry.value;
        return listed;
      },
      "x=2");
}

TEST_F(PostgresSchedule, SoIsAChangedCount) {
  expect_that_t1_runs_again([](Transaction& tx) { return std::to_string(tx.count({.prefix = "x"})); }, "1");
}

TEST_F(PostgresSchedule, ATransactionThatOnlyReadsSeesOneMoment) {
  const Store first = open("&ttl_mode=manual");
  const Store second = open("&ttl_mode=manual");
  second.set_many({{"a", "1"}, {"b", "1"}});
  int attempts = 0;
  const std::string seen = first.transaction([&](Transaction& tx) {
    const std::string a = tx.get("a").value();
    if (++attempts == 1) second.set_many({{"a", "2"}, {"b", "2"}});
    return a + tx.get("b").value();
  });
  EXPECT_EQ(seen, "22");
  EXPECT_EQ(attempts, 2);
}

TEST_F(PostgresSchedule, NothingIsHeldWhileUserCodeRuns) {
  const Store first = open("&ttl_mode=manual");
  const Store second = open("&ttl_mode=manual&timeout=5s");
  first.set("x", "1");
  first.transaction([&](Transaction& tx) {
    tx.get("x");
    tx.set("y", "1");
    EXPECT_EQ(sql().value("select count(*) from pg_stat_activity where datname = current_database() and "
                          "state like 'idle in transaction%'"),
              "0");
    second.set("other", "v");
    EXPECT_FALSE(second.get("y"));
  });
  EXPECT_THAT(second.get("y"), Optional(std::string("1")));
}

/// R7: a lock on the whole table, as ALTER TABLE or VACUUM FULL take it, delays everyone and fails nobody.
TEST_F(PostgresSchedule, R7_ALockOnTheTableIsWaitedFor) {
  const Store store = open("&ttl_mode=manual&timeout=5s");
  store.set("k", "v");
  const std::vector<std::pair<const char*, std::function<void()>>> calls = {
      {"get", [&] { EXPECT_TRUE(store.get("k")); }},
      {"get_many",
       [&] {
         EXPECT_EQ(store.get_many({"k", "l"}).size(), 2u);
       }},
      {"count", [&] { EXPECT_GT(store.count(), 0u); }},
      {"scan", [&] { EXPECT_FALSE(store.scan().entries.empty()); }},
      {"set", [&] { store.set("k", "w"); }},
      {"increment", [&] { store.increment("n"); }},
      {"set_if_absent", [&] { store.set_if_absent("a", "v"); }},
      {"erase_prefix", [&] { store.erase_prefix("none"); }},
      {"cleanup_expired", [&] { store.cleanup_expired(); }},
      {"transaction that reads", [&] { store.transaction([](Transaction& tx) { tx.get("k"); }); }},
      {"transaction", [&] { store.transaction([](Transaction& tx) { tx.set("b", tx.get("k").value()); }); }},
      {"transaction that lists",
       [&] { store.transaction([](Transaction& tx) { tx.set("c", std::to_string(tx.count())); }); }},
      {"stats", [&] { store.stats(); }},
  };
  // Longer than the wait for a row, also where that is repeated once.
  for (const auto& [name, call] : calls) {
    SCOPED_TRACE(name);
    SqlConnection holder = other_session();
    holder.run("begin; lock table tuskv in access exclusive mode");
    holder.send("select pg_sleep(0.15); commit");
    const auto failure = failure_of(5s, call);
    EXPECT_FALSE(failure) << failure->what();
    holder.finish();
  }
}

/// R19: an entry that is set again while a sweep waits for its row.
TEST_F(PostgresSchedule, R19_Y2_ASweepSkipsWhatIsBeingRefreshed) {
  const Store store = open("&ttl_mode=manual");
  store.set_many({{.key = "refreshed", .value = "old", .ttl = 1ms}, {.key = "dead", .value = "old", .ttl = 1ms}});
  sql().run("update tuskv set expires_at = expires_at - interval '1 hour', expires_bucket = expires_bucket - 14");
  SqlConnection other = other_session();
  other.run("begin; update tuskv set value = 'new', expires_at = null, expires_bucket = null where key = " +
            stored_key("refreshed"));
  EXPECT_EQ(store.cleanup_expired(), 1u);
  other.run("commit");
  EXPECT_EQ(store.cleanup_expired(), 0u);
  EXPECT_EQ(store.keys().keys, std::vector<std::string>{"refreshed"});
}

/// R8: what cannot deadlock takes rows in one order. With the middle one held, those before it are taken, and none
/// behind.
TEST_F(PostgresSchedule, R8_EveryCallLocksRowsInKeyOrder) {
  const Store store = open("&ttl_mode=manual&timeout=20s");
  const std::vector<std::string> keys = {"z", "m", "a", "t", "g"};
  std::vector<Item> items;
  for (const std::string& key : keys) items.push_back({.key = key, .value = "v"});
  const std::vector<std::pair<const char*, std::function<void()>>> calls = {
      {"set_many", [&] { store.set_many(items); }},
      {"set_many with a TTL kept", [&] { store.set_many(items, {.keep_ttl = true}); }},
      {"erase_many", [&] { store.erase_many(keys); }},
      {"transaction",
       [&] {
         store.transaction([&](Transaction& tx) {
           for (const std::string& key : keys) tx.increment("n" + key), tx.set(key, "w");
         });
       }},
  };
  for (const auto& [name, call] : calls) {
    SCOPED_TRACE(name);
    store.set_many(items);
    SqlConnection holder = other_session();
    holder.run("begin; select 1 from tuskv where key = " + stored_key("m") + " for update");
    std::thread calling(call);
    std::string free;
    const auto look = [&] {
      free = sql().value(
          "select coalesce(string_agg(convert_from(substr(key, 2), 'UTF8'), '' order by key), '') from "
          "(select key from tuskv where octet_length(key) = 2 for update skip locked) free");
      return free == "tz" || !("agtz" == free || "gtz" == free);
    };
    EXPECT_TRUE(eventually(look));
    EXPECT_EQ(free, "tz");
    holder.run("rollback");
    calling.join();
  }
}

/// R8: rows taken in the other order by somebody else's transaction. The store gives way before the server has to.
TEST_F(PostgresSchedule, R8_AnotherProgramThatLocksInAnotherOrderGoesFirst) {
  const Store store = open("&ttl_mode=manual");
  store.set_many({{"a", "1"}, {"b", "1"}});
  SqlConnection other = other_session();
  other.run("begin; update tuskv set value = '2' where key = " + stored_key("b"));
  std::thread writer([&] { store.set_many({{"a", "3"}, {"b", "3"}}); });
  EXPECT_TRUE(eventually([&] {
    return sql().value(
               "select count(*) from pg_stat_activity where datname = current_database() and "
               "wait_event_type = 'Lock'") == "1";
  }));
  other.run("update tuskv set value = '2' where key = " + stored_key("a") + "; commit");
  writer.join();
  EXPECT_EQ(store.get("a"), "3");
  EXPECT_EQ(store.get("b"), "3");
}

/// More keys than one statement takes.
struct LargeBatch {
  LargeBatch() {
    for (int i = 0; i < 5000; ++i) keys.push_back("k" + std::to_string(10'000 + i));
  }
  /// The value is lent.
  std::vector<Item> items(const std::string& value) const {
    std::vector<Item> all;
    for (const std::string& key : keys) all.push_back({.key = key, .value = value});
    return all;
  }
  /// The value of all of them in one look, "absent", or a complaint.
  std::string seen_in(const Store& store) const {
    const std::vector<std::optional<std::string>> values = store.get_many(keys);
    const auto same = static_cast<std::size_t>(std::count(values.begin(), values.end(), values.front()));
    return same == keys.size() ? values.front().value_or("absent") : std::to_string(same) + " like the first";
  }

  std::vector<std::string> keys;
};

/// What cannot have its last key has none, and nobody sees it by half.
TEST_F(PostgresSchedule, U8_R111_WhatTakesSeveralStatementsIsDoneWholeOrNotAtAll) {
  const LargeBatch batch;
  const Store store = open("&ttl_mode=manual&timeout=20s");
  const Store reader = open("&ttl_mode=manual&timeout=20s");
  const std::vector<std::pair<const char*, std::function<void(const Store&)>>> calls = {
      {"set_many", [&](const Store& hurried) { hurried.set_many(batch.items("new")); }},
      {"set_many with TTLs kept",
       [&](const Store& hurried) { hurried.set_many(batch.items("new"), {.keep_ttl = true}); }},
      {"erase_many", [&](const Store& hurried) { hurried.erase_many(batch.keys); }},
      {"transaction",
       [&](const Store& hurried) { hurried.transaction([&](Transaction& tx) { tx.set_many(batch.items("new")); }); }},
  };
  store.set_many(batch.items("old"));
  for (const auto& [name, call] : calls) {
    SCOPED_TRACE(name);
    SqlConnection holder = other_session();
    holder.run("begin; select 1 from tuskv where key = " + stored_key(batch.keys.back()) + " for update");
    std::atomic<bool> ended = false;
    std::thread calling([&] {
      const auto failure = failure_of(250ms, [&] { call(store.with_timeout(250ms)); });
      EXPECT_TRUE(failure && failure->code() == Code::Timeout);
      ended = true;
    });
    while (!ended) EXPECT_EQ(batch.seen_in(reader), "old");
    calling.join();
    holder.run("rollback");
    EXPECT_EQ(batch.seen_in(reader), "old");
  }
}

TEST_F(PostgresSchedule, U8_R111_NobodySeesSeveralStatementsByHalf) {
  constexpr int kRounds = 8;
  const LargeBatch batch;
  const Store store = open("&ttl_mode=manual&timeout=20s&durability=relaxed");
  const Store reader = open("&ttl_mode=manual&timeout=20s&durability=relaxed");
  std::atomic<bool> done = false;
  std::thread writing([&] {
    for (int i = 0; i < kRounds; ++i) {
      store.set_many(batch.items("v" + std::to_string(i)));
      if (i % 2 == 1) {
        EXPECT_EQ(store.erase_many(batch.keys), batch.keys.size());
      }
    }
    done = true;
  });
  while (!done) {
    const std::string seen = batch.seen_in(reader);
    EXPECT_TRUE(seen == "absent" || seen.starts_with("v")) << seen;
    const std::uint64_t found = reader.exists_many(batch.keys);
    EXPECT_TRUE(found == 0 || found == batch.keys.size()) << found;
    const std::string together = reader.transaction([&](Transaction& tx) {
      const std::vector<std::optional<std::string>> values = tx.get_many(batch.keys);
      return values.front() == values.back() ? std::string("alike") : std::string("by half");
    });
    EXPECT_EQ(together, "alike");
  }
  writing.join();
}

TEST_F(PostgresSchedule, U8_R111_OneDocumentThatIsNoneSpoilsTheWholeCall) {
  const LargeBatch batch;
  const Store store = open("&ttl_mode=manual&value_type=jsonb&timeout=20s");
  for (const SetOptions& options : {SetOptions{}, SetOptions{.keep_ttl = true}}) {
    const std::string number = "1";
    std::vector<Item> items = batch.items(number);
    items.back().value = "no JSON";
    const Error error = error_of([&] { store.set_many(items, options); });
    EXPECT_EQ(error.code(), Code::InvalidValue) << error.what();
    EXPECT_EQ(error.outcome(), Outcome::not_applied);
    EXPECT_EQ(store.count(), 0u);
  }
}

// ---- many at random

/// Any call that reads or writes, on a few of twelve keys, or several at once.
class RandomCaller final {
 public:
  RandomCaller(const Store& store, std::uint64_t seed) : store_(store), random_(seed) {}

  void call() {
    const std::uint64_t choice = random_.below(100);
    if (choice < 45) return call_on_several();
    if (choice < 65) return write_one();
    if (choice < 80) return change_one();
    choice < 87 ? list() : coordinate();
  }

 private:
  void call_on_several() {
    switch (random_.below(12)) {
      case 0: store_.get_many(keys()); break;
      case 1: store_.exists_many(keys()); break;
      case 2:
      case 3:
      case 4: store_.set_many(items(), {.ttl = ttl()}); break;
      case 5: store_.set_many(items(), {.keep_ttl = true}); break;
      case 6: store_.set_many_if_absent(items()); break;
      case 7:
      case 8: store_.erase_many(keys()); break;
      case 9: random_.chance(50) ? store_.erase_prefix("k1") : store_.erase_range("k3", "k5"); break;
      case 10: store_.cleanup_expired(5); break;
      default: transfer(); break;
    }
  }
  void write_one() {
    switch (random_.below(9)) {
      case 0: store_.increment(counter(), 1, {.ttl_if_created = ttl()}); break;
      case 1: store_.set(key(), "v", {.expires_at = soon()}); break;
      case 2: store_.set(key(), "v", {.keep_ttl = true}); break;
      case 3: store_.get_and_set(key(), "exchanged"); break;
      case 4: store_.set_if_absent(key(), "new", {.ttl = ttl()}); break;
      case 5: store_.set_if_present(key(), "newer"); break;
      case 6: store_.get_and_erase(key()); break;
      case 7: store_.erase(key()); break;
      default:
        store_.update(key(), [](std::optional<std::string_view> value) -> Change {
          return value ? std::string(*value).substr(0, 20) + "u" : std::string("u");
        });
    }
  }
  void change_one() {
    const std::string name = key();
    switch (random_.below(8)) {
      case 0: store_.compare_and_swap(name, store_.get(name).value_or(""), "swapped"); break;
      case 1: store_.compare_and_erase(name, "v"); break;
      case 2:
        if (const auto entry = store_.get_entry(name)) store_.compare_and_swap(name, entry->version, "swapped");
        break;
      case 3: store_.get_and_touch(name, ttl()); break;
      case 4: store_.expire(name, 1s); break;
      case 5: store_.expire_at(name, soon()); break;
      case 6: store_.persist(name); break;
      default: store_.ttl(name);
    }
  }
  void list() {
    switch (random_.below(4)) {
      case 0: store_.scan({.limit = 5, .reverse = random_.chance(50)}); break;
      case 1: store_.keys({.glob = "k?"}); break;
      case 2: store_.count({.prefix = "k"}); break;
      default: store_.search_values("v"); break;
    }
  }
  void coordinate() {
    const std::string name = key();
    const std::string owner = "owner" + std::to_string(random_.below(3));
    switch (random_.below(9)) {
      case 0:
        if (auto lease = store_.try_lock(name, {.ttl = ttl()})) lease_ = std::move(lease);
        break;
      case 1:
        if (lease_) static_cast<void>(store_.renew(*lease_, ttl()));
        break;
      case 2:
        if (lease_) store_.unlock(*lease_);
        break;
      case 3:
        store_.transaction([&](Transaction& tx) {
          if (tx.claim(name, owner, {.ttl = ttl()})) tx.set(name, owner);
        });
        break;
      case 4: static_cast<void>(store_.claim(name, owner)); break;
      case 5: store_.release_claim(name, owner); break;
      case 6: static_cast<void>(store_.move_claim(name, owner, "heir")); break;
      case 7: store_.rate_limit(name, {.limit = 10, .window = ttl()}); break;
      default: store_.reset_rate_limit(name); break;
    }
  }

  std::string key() { return "k" + std::to_string(random_.below(12)); }
  /// Counters are keys of their own: what is no number would be an error.
  std::string counter() { return "n" + std::to_string(random_.below(3)); }
  Duration ttl() { return std::chrono::milliseconds(1 + random_.below(50)); }
  Instant soon() {
    return std::chrono::system_clock::now() + std::chrono::milliseconds(random_.below(50)) - 5ms;  // or just now
  }
  std::vector<std::string> keys() {
    std::vector<std::string> some;
    for (std::uint64_t i = 1 + random_.below(10); i > 0; --i) some.push_back(key());
    return some;
  }
  const std::vector<Item>& items() {
    names_ = keys();
    items_.clear();
    for (const std::string& name : names_) items_.push_back({.key = name, .value = "v"});
    return items_;
  }
  void transfer() {
    const std::string from = key();
    const std::string to = key();
    store_.transaction([&](Transaction& tx) {
      tx.set(to, tx.get(from).value_or("nothing"));
      tx.erase(from);
      if (random_.chance(10)) tx.count({.prefix = "k"});
    });
  }

  const Store& store_;
  Random random_;
  std::optional<tuskv::Lease> lease_;  ///< the last one it got; it may be gone
  std::vector<std::string> names_;
  std::vector<Item> items_;
};

TEST_F(PostgresSchedule, RandomBatchesNeverDeadlock) {
  constexpr int kThreads = 16;
  constexpr int kCallsEach = 625;
  const std::uint64_t seed = random_seed();
  // Found before a lock timeout ends the wait.
  sql().run("alter database " + database() + " set deadlock_timeout = '1ms'");
  // As many processes, with few connections, so that calls of several threads share batches.
  std::vector<Store> stores;
  for (const char* parameters : {"", "", "&direct_callers=1", "&direct_callers=1&batches=1"}) {
    stores.push_back(open("&ttl_mode=manual&durability=relaxed&pool_size=3&timeout=30s" + std::string(parameters)));
  }
  std::atomic<int> conflicts = 0;
  run_threads(kThreads, [&](int t) {
    RandomCaller caller(stores[static_cast<std::size_t>(t) % stores.size()], seed + static_cast<std::uint64_t>(t));
    for (int i = 0; i < kCallsEach; ++i) {
      try {
        caller.call();
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::Conflict) << error.what();  // of a transaction, used up
        EXPECT_EQ(error.sqlstate(), "") << error.what();
        ++conflicts;
      }
    }
  });
  EXPECT_LT(conflicts, kThreads * kCallsEach / 100);
  stores.clear();
  EXPECT_EQ(deadlocks(), "0");
  EXPECT_EQ(sql().value("select count(*) from tuskv where expires_at = '-infinity'"), "0") << "a guard row was left";
}

}  // namespace
}  // namespace tuskv::test
