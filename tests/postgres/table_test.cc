// The lock on the whole table, which transactions that list and write, erase_prefix and clear take against writers, and
// drop_index against everybody: what it is for, and that asking for it stops nobody else.
#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "postgres/server_test.h"
#include "support/postgres_server.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using Clock = std::chrono::steady_clock;

class PostgresTable : public ServerTest {};

/// How often `call` succeeds in a second, by two threads.
class Pace final {
 public:
  explicit Pace(std::function<void(int)> call) : call_(std::move(call)), start_(Clock::now()) {
    for (int t = 0; t < 2; ++t) threads_.emplace_back([this, t] { repeat(t); });
  }
  ~Pace() { stop(); }
  Pace(const Pace&) = delete;
  Pace& operator=(const Pace&) = delete;

  /// Ends the calls.
  double stop() {
    const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    done_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    return static_cast<double>(calls_) / seconds;
  }

 private:
  void repeat(int thread) {
    while (!done_) {
      const auto failure = failure_of(5s, [&] { call_(thread); });
      EXPECT_FALSE(failure) << failure->what();
      ++calls_;
    }
  }

  const std::function<void(int)> call_;
  const Clock::time_point start_;
  std::atomic<bool> done_ = false;
  std::atomic<int> calls_ = 0;
  std::vector<std::thread> threads_;
};

double pace_of(const std::function<void(int)>& call, const std::function<void()>& meanwhile) {
  Pace pace(call);
  meanwhile();
  return pace.stop();
}

/// The keys of a transaction that has committed while erase_prefix waited for a row go with the others, be they new or
/// not; so does what one client has set one by one.
TEST_F(PostgresTable, R54_WhatIsSetWhileErasePrefixWaitsGoesOrStaysTogether) {
  const std::vector<std::string> keys = {"p:0", "p:1", "p:2"};
  for (const char* parameters : {"", "&table=parted&partitions=8"}) {
    SCOPED_TRACE(parameters);
    const Store store = open("&ttl_mode=manual" + std::string(parameters));
    const std::vector<std::function<void()>> writers = {
        [&] { store.transaction([](Transaction& tx) { tx.set("p:1", "new"), tx.set("p:2", "new"); }); },
        [&] {
          store.set_many({{"p:1", "new"}, {"p:2", "new"}});
        },
        [&] { store.set("p:1", "new"), store.set("p:2", "new"); },
    };
    for (const auto& write : writers) {
      store.set_many({{"p:0", "old"}, {"p:2", "old"}});
      SqlConnection holder = other_session();
      holder.run("begin; select 1 from " + std::string(*parameters == 0 ? "tuskv" : "parted") +
                 " where key = " + stored_key("p:0") + " for update");
      std::uint64_t erased = 0;
      std::thread erasing([&] { erased = store.erase_prefix("p:"); });
      std::this_thread::sleep_for(60ms);  // it has met the row
      write();
      holder.run("commit");
      erasing.join();
      EXPECT_EQ(erased, 3u);
      EXPECT_EQ(store.exists_many(keys), 0u);
    }
  }
}

/// Who may delete may erase by prefix: the lock needs no right of its own. Readers do not wait for it.
TEST_F(PostgresTable, R54_ErasePrefixNeedsTheRightToDeleteAlone) {
  const Store store = open("&ttl_mode=manual");
  store.set_many({{"p:1", "v"}, {"q", "v"}});
  const std::string role = database() + "_guest";
  sql().run("create role " + role + " login; grant select, delete on tuskv to " + role);
  {
    const Store theirs = Store::open(url("&ttl_mode=manual", role));
    EXPECT_EQ(theirs.erase_prefix("p:"), 1u);
    EXPECT_EQ(theirs.clear(), 1u);
    sql().run("revoke delete on tuskv from " + role);
    EXPECT_EQ(error_of([&] { return theirs.clear(); }).code(), Code::Config);
    sql().run("grant delete on tuskv to " + role + "; alter role " + role + " set default_transaction_read_only = on");
  }
  {
    const Store theirs = Store::open(url("&ttl_mode=manual&timeout=1s", role));
    store.set("q", "v");
    const Error error = error_of([&] { return theirs.clear(); });
    EXPECT_EQ(error.sqlstate(), "25006") << error.what();
    EXPECT_EQ(error.outcome(), Outcome::not_applied);
    EXPECT_TRUE(theirs.get("q"));
  }
  sql().run("drop owned by " + role + "; drop role " + role);
}

TEST_F(PostgresTable, R54_ReadersDoNotWaitForErasePrefix) {
  const Store store = open("&ttl_mode=manual");
  store.set_many({{"p:1", "v"}, {"q", "v"}});
  SqlConnection holder = other_session();
  holder.run("begin; lock table tuskv in share row exclusive mode");  // as a long erase_prefix has it
  const Store hurried = store.with_timeout(1s);
  const double pace = pace_of([&](int) { hurried.get("q"); }, [] { std::this_thread::sleep_for(200ms); });
  EXPECT_GT(pace, 20);
  EXPECT_EQ(hurried.transaction([](Transaction& tx) { return tx.count(); }), 2u);
}

/// The table cannot be had as long as a foreign transaction has written to it. Until then who wants it fails, and
/// nobody else.
TEST_F(PostgresTable, R53_WhoWantsTheTableHoldsUpNoOtherWriter) {
  const Store store = open("&ttl_mode=manual&durability=relaxed");
  store.set_many({{"a", "1"}, {"held", "1"}});
  SqlConnection holder = other_session();
  holder.run("begin; update tuskv set value = value where key = " + stored_key("held"));
  const auto write = [&](int thread) { store.set("w" + std::to_string(thread), "1"); };
  const double alone = pace_of(write, [] { std::this_thread::sleep_for(300ms); });
  const Store hurried = store.with_timeout(1s);
  const std::vector<std::pair<const char*, std::function<void()>>> calls = {
      {"transaction that lists",
       [&] { hurried.transaction([](Transaction& tx) { tx.set("sum", std::to_string(tx.count({.prefix = "a"}))); }); }},
      {"erase_prefix", [&] { hurried.erase_prefix("none"); }},
  };
  for (const auto& [name, call] : calls) {
    SCOPED_TRACE(name);
    std::optional<Error> failure;
    // Several of them are no worse than one.
    const double beside = pace_of(write, [&] {
      run_threads(4, [&](int thread) {
        const auto mine = failure_of(1s, call);
        if (thread == 0) failure = mine;
      });
    });
    EXPECT_GT(beside, alone / 5) << "of " << alone;
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->code(), Code::Timeout);
    EXPECT_EQ(failure->outcome(), Outcome::not_applied);
    EXPECT_THAT(failure->what(), testing::HasSubstr("table"));
  }
  holder.run("rollback");
  for (const auto& [name, call] : calls) call();
}

/// Readers go on beside a drop_index that has to wait for one of them.
TEST_F(PostgresTable, R53_DropIndexHoldsUpNoReader) {
  const Store store = open("&value_type=jsonb&ttl_mode=manual&durability=relaxed");
  store.set("a", R"({"f": 1})");
  store.create_index("f");
  SqlConnection dump = other_session();
  dump.run("begin; select count(*) from tuskv");
  const auto read = [&](int) { store.get("a"); };
  const double alone = pace_of(read, [] { std::this_thread::sleep_for(300ms); });
  const double beside = pace_of(read, [&] {
    const Error error = error_of([&] { return store.with_timeout(1s).drop_index("f"); });
    EXPECT_EQ(error.code(), Code::Timeout) << error.what();
    EXPECT_EQ(error.outcome(), Outcome::not_applied);
  });
  EXPECT_GT(beside, alone / 5) << "of " << alone;
  EXPECT_EQ(store.indexes(), std::vector<std::string>{"f"});
  dump.run("commit");
  EXPECT_TRUE(store.drop_index("f"));
}

/// Nor do writers wait for a create_index that waits for one of them.
TEST_F(PostgresTable, R53_CreateIndexHoldsUpNoWriterWhileItWaits) {
  const Store store = open("&value_type=jsonb&ttl_mode=manual&durability=relaxed");
  store.set("held", "{}");
  SqlConnection holder = other_session();
  holder.run("begin; update tuskv set value = value where key = " + stored_key("held"));
  const auto write = [&](int thread) { store.set("w" + std::to_string(thread), "{}"); };
  const double alone = pace_of(write, [] { std::this_thread::sleep_for(300ms); });
  const double beside = pace_of(write, [&] {
    EXPECT_EQ(error_of([&] { return store.with_timeout(1s).create_index("f"); }).code(), Code::Timeout);
  });
  EXPECT_GT(beside, alone / 5) << "of " << alone;
  holder.run("rollback");
  EXPECT_TRUE(store.create_index("f"));
}

/// An automatic VACUUM, which has the table for hours where it is large, gives way; nobody else waits for that.
TEST(PostgresVacuum, R53_AVacuumOfTheServersOwnGivesWay) {
  PostgresServer server({.lines = {"autovacuum_naptime = 1s", "autovacuum_vacuum_cost_delay = 100ms",
                                   "autovacuum_vacuum_cost_limit = 1", "autovacuum_vacuum_threshold = 1000"}});
  const std::string database = create_database(server.address());
  SqlConnection sql(server.url(database));
  const Store store = Store::open(server.url(database) + "&ttl_mode=manual&durability=relaxed");
  sql.run(
      "insert into tuskv(key, value, created_at, updated_at, version) select '\\x00'::bytea || "
      "convert_to('k' || i, 'UTF8'), convert_to(repeat('x', 200), 'UTF8'), now(), now(), i "
      "from generate_series(1, 20000) i; update tuskv set value = value || 'x'");
  const auto vacuum = [&] {
    return sql.value("select coalesce(max(pid), 0) from pg_stat_progress_vacuum where relid = 'tuskv'::regclass");
  };
  std::string worker;
  ASSERT_TRUE(eventually([&] { return (worker = vacuum()) != "0"; }));
  const auto write = [&](int thread) { store.set("w" + std::to_string(thread), "1"); };
  const double alone = pace_of(write, [] { std::this_thread::sleep_for(300ms); });
  const double beside = pace_of(write, [&] {
    const auto failure = failure_of(4s, [&] {
      store.transaction([](Transaction& tx) { tx.set("sum", std::to_string(tx.count({.prefix = "k1999"}))); });
    });
    EXPECT_FALSE(failure) << failure->what();
  });
  EXPECT_GT(beside, alone / 5) << "of " << alone;
  EXPECT_NE(vacuum(), worker) << "it was not there any more";
}

}  // namespace
}  // namespace tuskv::test
