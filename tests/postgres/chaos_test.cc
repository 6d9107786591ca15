// Servers that are killed, stopped and fail over under load. What was acknowledged is there, what was reported as not
// applied is not, an emptied table is told, and no call comes back late. Each test has servers of its own.
#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
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
using Clock = std::chrono::steady_clock;

constexpr auto kTimeout = 3s;
/// Each call inside of a transaction has the whole timeout, and so has its commit.
constexpr auto kTransactionTimeout = 3 * kTimeout;

/// Counts what a counter must be at least and may be at most.
struct Count {
  std::atomic<int> acknowledged = 0;
  std::atomic<int> uncertain = 0;

  void check(const Store& store, Bytes key) const {
    const int stored = std::stoi(store.get(key).value_or("0"));
    EXPECT_GE(stored, acknowledged) << "acknowledged and lost: " << key.view();
    EXPECT_LE(stored, acknowledged + uncertain) << "applied twice, or in spite of not_applied: " << key.view();
  }
};

/// Threads that count in several ways and read, until they are stopped.
class Load final {
 public:
  explicit Load(const Store& store) : store_(store) {
    store_.set("read", "v");
    for (int t = 0; t < kThreads; ++t) {
      threads_.emplace_back([this, t] {
        while (!done_) call(t % 4);
      });
    }
  }
  ~Load() { stop(); }

  void stop() {
    done_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  /// Calls that failed so far.
  int failures() const { return failures_; }
  int calls() const { return calls_; }
  /// After stop().
  void check(const Store& store) const {
    increments_.check(store, "increment");
    swaps_.check(store, "transaction");
    batches_.check(store, "batch");
    EXPECT_EQ(store.get("batch"), store.get("batch twin")) << "half a batch";
  }

 private:
  static constexpr int kThreads = 8;

  void call(int way) {
    switch (way) {
      case 0: count(increments_, kTimeout, [&] { store_.increment("increment"); }); break;
      case 1:
        count(swaps_, kTransactionTimeout, [&] {
          store_.transaction([](Transaction& tx) {
            tx.set("transaction", std::to_string(std::stoi(tx.get("transaction").value_or("0")) + 1));
          });
        });
        break;
      case 2:
        count(batches_, kTransactionTimeout, [&] {
          store_.transaction([](Transaction& tx) {
            tx.increment("batch");
            tx.increment("batch twin");
          });
        });
        break;
      default: read();
    }
  }
  void count(Count& counted, std::chrono::seconds timeout, const std::function<void()>& call) {
    const auto failure = failure_of(timeout, call);
    ++calls_;
    if (!failure) {
      ++counted.acknowledged;
      return;
    }
    ++failures_;
    EXPECT_TRUE(failure->code() == Code::Connection || failure->code() == Code::Timeout ||
                failure->code() == Code::Conflict)
        << failure->what();
    if (failure->outcome() == Outcome::unknown) ++counted.uncertain;
    EXPECT_NE(failure->outcome(), Outcome::applied);
  }
  void read() {
    const auto failure = failure_of(kTimeout, [&] { EXPECT_THAT(store_.get("read"), Optional(std::string("v"))); });
    ++calls_;
    EXPECT_TRUE(!failure || failure->outcome() == Outcome::not_applied) << failure->what();
  }

  const Store store_;
  std::atomic<bool> done_ = false;
  std::atomic<int> failures_ = 0;
  std::atomic<int> calls_ = 0;
  Count increments_;
  Count swaps_;
  Count batches_;
  std::vector<std::thread> threads_;
};

/// A backend that serves a store at the moment; 0: none.
int any_backend(SqlConnection& sql) {
  const auto rows =
      sql.run("select pid from pg_stat_activity where application_name = 'tuskv' order by random() limit 1");
  return rows.empty() ? 0 : std::stoi(*rows.front().front());
}

/// Waits until the server takes connections again.
SqlConnection connect_eventually(const std::string& url) {
  for (const auto start = Clock::now();;) {
    try {
      return SqlConnection(url);
    } catch (const SqlError&) {
      if (Clock::now() - start > 20s) throw;
      std::this_thread::sleep_for(10ms);
    }
  }
}

void kill_a_backend(const PostgresServer& server, const std::string& url) {
  int victim = 0;
  ASSERT_TRUE(eventually([&] {
    try {
      SqlConnection sql(url);
      return (victim = any_backend(sql)) != 0;
    } catch (const SqlError&) {
      return false;  // the server is still ending the sessions of the last crash, this one too
    }
  }));
  server.signal_backend(victim, SIGKILL);
}

TEST(PostgresChaos, R1_R2_R3_LoggedTablesLoseNothingAndCountNothingTwice) {
  PostgresServer server;
  const std::string url = server.url(create_database(server.address()));
  const Store store = Store::open(url + "&pool_size=4&ttl_mode=manual", {.timeout = kTimeout});
  Load load(store);
  for (int i = 0; i < 40; ++i) {  // politely, in the middle of something
    SqlConnection sql(url);
    for (int j = 0; j < 5; ++j) {
      std::this_thread::sleep_for(3ms);
      sql.run("select pg_terminate_backend(" + std::to_string(any_backend(sql)) + ")");
    }
  }
  const int failed_politely = load.failures();
  EXPECT_GT(failed_politely, 0);
  for (int i = 0; i < 4; ++i) {  // all sessions are cut, the server recovers
    std::this_thread::sleep_for(50ms);
    kill_a_backend(server, url);
  }
  EXPECT_GT(load.failures(), failed_politely);
  for (const Shutdown how : {Shutdown::immediate, Shutdown::fast, Shutdown::immediate}) {
    std::this_thread::sleep_for(50ms);
    server.restart(how);
  }
  connect_eventually(url);
  const int before = load.calls();
  EXPECT_TRUE(eventually([&] { return load.calls() > before + 100; })) << "the store is not usable afterwards";
  load.stop();
  load.check(Store::open(url));
}

/// What one store handle was told of an emptied table, by many threads.
class ResetWatch final {
 public:
  explicit ResetWatch(std::string url) : store_(Store::open(url + "&ttl_mode=manual", {.timeout = kTimeout})) {}

  void fill() {
    for (int t = 0; t < kThreads; ++t) store_.set("k" + std::to_string(t), "v");
  }
  /// Reads until each thread sees that its key has gone.
  void read_until_gone() {
    const Clock::time_point stop_at = Clock::now() + 20s;
    std::atomic<int> gone = 0;
    run_threads(kThreads, [&](int t) {
      while (Clock::now() < stop_at) {
        const auto start = Clock::now();
        std::optional<std::string> found = "unread";
        const auto failure = failure_of(kTimeout, [&] { found = read("k" + std::to_string(t), t); });
        if (failure && failure->code() == Code::StoreReset) {
          note_told(start);
        } else if (failure) {
          ASSERT_TRUE(failure->code() == Code::Connection || failure->code() == Code::Timeout) << failure->what();
        } else if (!found) {
          note_absent();
          ++gone;
          return;
        }
      }
    });
    EXPECT_EQ(gone, kThreads);
  }
  /// The first call to find nothing ended after a call had begun that was told why. Calls under way at that moment may
  /// be told too, later ones are not.
  void check_and_forget() {
    const std::lock_guard lock(mutex_);
    EXPECT_GT(told_, 0);
    EXPECT_LT(first_told_start_, first_absent_end_) << "an emptied table was taken for one without the key";
    EXPECT_LT(last_told_start_, first_told_end_) << "told " << told_ << " times";
    told_ = 0;
    first_told_start_ = first_told_end_ = first_absent_end_ = Clock::time_point::max();
    last_told_start_ = Clock::time_point::min();
  }
  const Store& store() const { return store_; }

 private:
  static constexpr int kThreads = 6;

  std::optional<std::string> read(const std::string& key, int way) {
    switch (way % 3) {
      case 0: return store_.get(key);
      case 1: return store_.get_many({key}).front();
      default: return store_.exists(key) ? std::optional<std::string>("v") : std::nullopt;
    }
  }
  void note_told(Clock::time_point start) {
    const std::lock_guard lock(mutex_);
    ++told_;
    first_told_start_ = std::min(first_told_start_, start);
    last_told_start_ = std::max(last_told_start_, start);
    first_told_end_ = std::min(first_told_end_, Clock::now());
  }
  void note_absent() {
    const std::lock_guard lock(mutex_);
    first_absent_end_ = std::min(first_absent_end_, Clock::now());
  }

  const Store store_;
  std::mutex mutex_;
  int told_ = 0;
  Clock::time_point first_told_start_ = Clock::time_point::max();
  Clock::time_point last_told_start_ = Clock::time_point::min();
  Clock::time_point first_told_end_ = Clock::time_point::max();
  Clock::time_point first_absent_end_ = Clock::time_point::max();
};

void crash_and_watch(const PostgresServer& server, const std::string& direct, const std::string& url, int crashes) {
  std::vector<std::unique_ptr<ResetWatch>> watches;  // each is a process to the server
  for (const char* pool : {"&pool_size=4", "&pool_size=1"}) {
    watches.push_back(std::make_unique<ResetWatch>(url + "&durability=unlogged" + pool));
  }
  for (int i = 0; i < crashes; ++i) {
    SCOPED_TRACE("crash " + std::to_string(i));
    for (const auto& watch : watches) watch->fill();
    if (testing::Test::HasFailure()) return;
    kill_a_backend(server, direct);
    for (const auto& watch : watches) watch->read_until_gone();
    for (const auto& watch : watches) {
      watch->store().set("after", "v");
      EXPECT_THAT(watch->store().get("after"), Optional(std::string("v")));
      watch->check_and_forget();
    }
  }
}

TEST(PostgresChaos, R2_R3_EveryResetIsToldOnceOnDirectConnections) {
  const PostgresServer server;
  const std::string url = server.url(create_database(server.address()));
  crash_and_watch(server, url, url, 8);
}

TEST(PostgresChaos, R2_R11_EveryResetIsToldOnceThroughAPooler) {
  const PostgresServer server;
  const std::string database = create_database(server.address());
  const PgBouncer pooler(server.address(), {.lines = {"server_login_retry = 0"}});
  crash_and_watch(server, server.url(database), pooler.url(database), 8);
}

/// R10: the store is given both hosts, and writes go to the one that takes them.
TEST(PostgresChaos, R10_AFailoverIsFollowedAndEmptiesUnloggedTables) {
  PostgresServer primary({.lines = {"max_wal_senders = 4", "wal_level = replica"}, .listens_on_tcp = true});
  const std::string database = create_database(primary.address());
  PostgresServer standby({.listens_on_tcp = true, .standby_of = &primary});
  const std::string both = "postgresql://tuskv@127.0.0.1:" + std::to_string(standby.tcp_address().port) +
                           ",127.0.0.1:" + std::to_string(primary.tcp_address().port) + "/" + database +
                           "?ttl_mode=manual&timeout=3s";
  const Store logged = Store::open(both);
  const Store unlogged = Store::open(both + "&table=fast&durability=unlogged");
  logged.set("k", "1");
  unlogged.set("k", "1");
  {  // Asked directly, a standby says what it is.
    const auto failure = failure_of(1s, [&] { Store::open(standby.url(database) + "&timeout=1s&table=new"); });
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->code(), Code::Connection) << failure->what();
    EXPECT_EQ(failure->outcome(), Outcome::not_applied);
    SqlConnection(standby.url("postgres")).run("select 1");
  }
  ASSERT_TRUE(eventually([&] {
    try {
      return SqlConnection(standby.url(database)).value("select count(*) from tuskv") == "1";
    } catch (const SqlError&) {
      return false;
    }
  }));
  primary.stop(Shutdown::immediate);
  const auto failure = failure_of(3s, [&] { logged.set("k", "2"); });
  ASSERT_TRUE(failure) << "nobody could take this write";
  EXPECT_EQ(failure->code(), Code::Connection) << failure->what();
  standby.promote();
  logged.set("k", "3");
  EXPECT_THAT(logged.get("k"), Optional(std::string("3")));
  const Error reset = error_of([&] { return unlogged.get("k"); });
  EXPECT_EQ(reset.code(), Code::StoreReset) << reset.what();
  unlogged.set("k", "2");
  EXPECT_THAT(unlogged.get("k"), Optional(std::string("2")));
}

/// Sessions that a server ends because there are too many are not a reason to fail.
TEST(PostgresChaos, R6_AServerWithFewConnectionsServesManyStores) {
  const PostgresServer server({.lines = {"max_connections = 9", "superuser_reserved_connections = 3"}});
  const std::string database = create_database(server.address());
  SqlConnection(server.url(database)).run("create role few login; create schema authorization few");
  const std::string url = server.address().url(database, "few") + "&ttl_mode=manual&pool_size=6";
  const std::vector<Store> stores = {Store::open(url + "&timeout=10s"), Store::open(url + "&timeout=10s")};
  run_threads(12, [&](int t) {
    for (int i = 0; i < 30; ++i) {
      const auto failure = failure_of(10s, [&] { stores[static_cast<std::size_t>(t % 2)].increment("n"); });
      EXPECT_FALSE(failure) << failure->what();
    }
  });
  EXPECT_EQ(stores.front().get("n"), "360");
}

/// Everything a server was ever sent: texts are the same whatever keys and values are.
TEST(PostgresChaos, P13_R16_WhatUsersGiveIsNeverPartOfAStatement) {
  const PostgresServer server({.lines = {"log_statement = all", "log_parameter_max_length = 0"}});
  const std::string url = server.url(create_database(server.address())) + "&ttl_mode=manual&pool_size=1";
  const auto call_everything = [](const Store& store, const std::string& text) {
    const std::string other = text + "2";
    store.set(text, text, {.ttl = 60s});
    store.set_many({{text, text}, {other, text}});
    store.set_if_absent(text, text);
    store.compare_and_swap(text, text, other);
    store.update(text, [&](std::optional<std::string_view>) -> Change { return text; });
    store.transaction([&](Transaction& tx) {
      tx.set(other, tx.get(text).value_or(""));
      tx.count({.prefix = text});
    });
    store.keys({.prefix = text, .after = text});
    store.count({.glob = text});
    store.get_many({text, other});
    store.with_namespace(text).set(text, text);
    store.with_namespace(text).increment("n");
    store.erase_prefix(text);
    store.erase(other);
  };
  for (const char* prepare : {"&prepare=auto", "&prepare=never"}) {
    const Store store = Store::open(url + prepare);
    for (const std::string text : {"plainHOSTILE", "'HOSTILE; drop table tuskv; --", "\"HOSTILE\"", "$1HOSTILE",
                                   "\\HOSTILE", "/*HOSTILE", "%HOSTILE_", "{T}HOSTILE"}) {
      call_everything(store, text);
    }
  }
  const std::string log = server.log();
  EXPECT_GT(log.size(), 10'000u);
  EXPECT_EQ(log.find("HOSTILE"), std::string::npos) << log.substr(log.find("HOSTILE") - 500, 600);
}

}  // namespace
}  // namespace tuskv::test
