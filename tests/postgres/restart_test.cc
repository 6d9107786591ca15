// Servers that end, crash and come back while a store is open. Each test has a server of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "postgres/server_test.h"
#include "support/postgres_server.h"
#include "support/sql_connection.h"
#include "support/submitted.h"
#include "support/turned_encryptor.h"
#include "tuskv/tuskv.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;
using testing::Optional;

/// What a read says: the value, "absent", or the code of its error.
std::string outcome_of_get(const Store& store, Bytes key) {
  try {
    return store.get(key).value_or("absent");
  } catch (const Error& error) {
    return std::string(to_string(error.code()));
  }
}

// R3: an UNLOGGED table that a crash has emptied is told once, never taken for one that never had the key.
TEST(PostgresRestart, R2_R3_AnEmptiedTableIsReportedOnce) {
  PostgresServer server;
  const std::string database = create_database(server.address());
  const std::string unlogged = server.url(database) + "&durability=unlogged&ttl_mode=manual";
  const Store first = Store::open(unlogged);
  const Store second = Store::open(unlogged);
  const Store logged = Store::open(server.url(database) + "&table=logged");
  first.set("k", "v");
  logged.set("k", "v");
  server.restart(Shutdown::fast);
  EXPECT_EQ(outcome_of_get(first, "k"), "v");
  EXPECT_EQ(outcome_of_get(second, "k"), "v");
  server.restart(Shutdown::immediate);
  EXPECT_EQ(outcome_of_get(first, "k"), "StoreReset");
  EXPECT_EQ(outcome_of_get(first, "k"), "absent");
  EXPECT_EQ(outcome_of_get(second, "k"), "StoreReset");
  EXPECT_EQ(outcome_of_get(second, "k"), "absent");
  first.set("k", "again");
  EXPECT_EQ(outcome_of_get(second, "k"), "again");
  EXPECT_EQ(outcome_of_get(logged, "k"), "v");
}

// R3: what the engine asks for itself meets the emptied table first, and leaves the report to the user's next call.
TEST(PostgresRestart, R2_R3_TheSweeperDoesNotTakeTheReport) {
  PostgresServer server;
  std::atomic<int> resets = 0;
  Options options{.durability = Durability::unlogged, .sweep_interval = 20ms};
  options.event_context = &resets;
  options.on_event = [](void* context, const Event& event) {
    if (event.kind == Event::Kind::store_reset) ++*static_cast<std::atomic<int>*>(context);
  };
  const Store store = Store::open(server.url(create_database(server.address())), options);
  store.set("k", "v");
  server.restart(Shutdown::immediate);
  ASSERT_TRUE(eventually([&] { return resets > 0; }));
  EXPECT_EQ(outcome_of_get(store, "k"), "StoreReset");
  EXPECT_EQ(outcome_of_get(store, "k"), "absent");
}

// With the table its mark has gone: who opens it without keys must not take ciphertext for values.
TEST(PostgresRestart, R3_AnEmptiedTableOfAnEncryptedStoreIsMarkedAgain) {
  PostgresServer server;
  const std::string unlogged = server.url(create_database(server.address())) + "&durability=unlogged";
  const Options options{.ttl_mode = TtlMode::manual, .encryptor = std::make_shared<TurnedEncryptor>("one")};
  const Store store = Store::open(unlogged, options);
  store.set("k", "v");
  const std::vector<std::function<void()>> writes = {
      [&] { store.set("k", "again"); },
      [&] { submitted(store.async().set("k", std::string("again"))); },
      [&] { store.transaction([](Transaction& tx) { tx.set("k", "again"); }); },
  };
  for (const auto& write : writes) {
    server.restart(Shutdown::immediate);
    EXPECT_EQ(outcome_of_get(store, "k"), "StoreReset");
    EXPECT_EQ(outcome_of_get(store, "k"), "absent");
    write();
    const Error refused = error_of([&] { return Store::open(unlogged); });
    EXPECT_EQ(refused.code(), Code::Config);
    EXPECT_THAT(refused.what(), testing::HasSubstr("the store is encrypted"));
    EXPECT_THAT(Store::open(unlogged, options).get("k"), Optional(std::string("again")));
  }
}

// Whichever call is told of the reset, the mark is there again when it has told.
TEST(PostgresRestart, R123_WhoeverIsToldThatAnEncryptedTableWasEmptiedMarksItAgain) {
  PostgresServer server;
  const std::string unlogged = server.url(create_database(server.address())) + "&durability=unlogged";
  const Options options{.ttl_mode = TtlMode::manual, .encryptor = std::make_shared<TurnedEncryptor>("one")};
  const Store store = Store::open(unlogged, options);
  const std::vector<std::pair<const char*, std::function<void()>>> calls = {
      {"stats", [&] { store.stats(); }},
      {"cleanup_expired", [&] { store.cleanup_expired(); }},
      {"diagnose", [&] { store.diagnose(); }},
      {"reencrypt", [&] { store.reencrypt(); }},
      {"find_value", [&] { store.search_values("v"); }},
      {"get", [&] { store.get("k"); }},
      {"get without waiting", [&] { submitted(store.async().get("k")); }},
      {"transaction", [&] { store.transaction([](Transaction& tx) { tx.get("k"); }); }},
  };
  for (const auto& [name, call] : calls) {
    SCOPED_TRACE(name);
    server.restart(Shutdown::immediate);
    EXPECT_EQ(error_of(call).code(), Code::StoreReset);
    const Error refused = error_of([&] { return Store::open(unlogged); });
    EXPECT_EQ(refused.code(), Code::Config);
    EXPECT_THAT(refused.what(), testing::HasSubstr("the store is encrypted"));
    store.set("k", "again");
    EXPECT_THAT(Store::open(unlogged, options).get("k"), Optional(std::string("again")));
  }
}

// What was on its way when the reset was told may come first: the mark follows.
TEST(PostgresRestart, R124_ValuesThatWereOnTheirWayIntoAnEmptiedTableAreMarked) {
  constexpr int kCallers = 8;
  PostgresServer server;
  const std::string unlogged = server.url(create_database(server.address())) + "&durability=unlogged";
  const Options options{.ttl_mode = TtlMode::manual, .encryptor = std::make_shared<TurnedEncryptor>("one")};
  const Store store = Store::open(unlogged, options);
  for (const bool waits : {true, false}) {
    SCOPED_TRACE(waits);
    server.restart(Shutdown::immediate);
    std::atomic<int> told = 0;
    run_threads(kCallers, [&](int thread) {
      const std::string key = "k" + std::to_string(thread);
      const auto failure = failure_of(5000ms, [&] {
        if (waits) {
          store.set(key, "v");
        } else {
          submitted(store.async().set(key, std::string("v")));
        }
      });
      if (failure && failure->code() == Code::StoreReset) ++told;
    });
    EXPECT_GT(told, 0);
    EXPECT_EQ(error_of([&] { return Store::open(unlogged); }).code(), Code::Config);
  }
}

// Nor must the values of one get among those of others, who were first in the emptied table.
TEST(PostgresRestart, R3_AnEmptiedTableOfOthersIsNotWrittenTo) {
  PostgresServer server;
  const std::string unlogged = server.url(create_database(server.address())) + "&durability=unlogged";
  const Options options{.ttl_mode = TtlMode::manual, .encryptor = std::make_shared<TurnedEncryptor>("one")};
  const Store store = Store::open(unlogged, options);
  server.restart(Shutdown::immediate);
  const std::string without_keys = unlogged + "&ttl_mode=manual";
  EXPECT_EQ(error_of([&] { return Store::open(without_keys); }).code(), Code::StoreReset);
  const Store plain = Store::open(without_keys);
  plain.set("k", "v");
  EXPECT_EQ(outcome_of_get(store, "k"), "StoreReset");
  EXPECT_EQ(error_of([&] { store.set("l", "w"); }).code(), Code::Config);
  EXPECT_EQ(plain.count(), 1u);
}

// Behind a pooler the connection survives the crash, so every answer carries the canary.
TEST(PostgresRestart, R2_R11_AnEmptiedTableIsReportedThroughAPooler) {
  PostgresServer server;
  const std::string database = create_database(server.address());
  const PgBouncer pooler(server.address(), {.lines = {"server_login_retry = 0"}});
  const Store store = Store::open(pooler.url(database) + "&durability=unlogged&ttl_mode=manual&pool_size=1");
  const std::vector<std::pair<const char*, std::function<void()>>> calls = {
      {"get", [&] { store.get("k"); }},
      {"exists", [&] { store.exists("k"); }},
      {"get_many",
       [&] {
         store.get_many({"k", "l"});
       }},
      {"increment", [&] { store.increment("n"); }},
      {"set_if_absent", [&] { store.set_if_absent("a", "v"); }},
      {"get_and_set", [&] { store.get_and_set("k", "v"); }},
      {"erase", [&] { store.erase("k"); }},
      {"transaction", [&] { store.transaction([](Transaction& tx) { tx.set("b", tx.get("k").value_or("")); }); }},
      {"count", [&] { store.count(); }},
      {"keys", [&] { store.keys(); }},
  };
  for (const auto& [name, call] : calls) {
    SCOPED_TRACE(name);
    store.set("k", "v");
    SqlConnection watcher(server.url(database));
    const int victim = std::stoi(watcher.value(
        "select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() limit 1"));
    server.signal_backend(victim, SIGKILL);
    // Until the server has noticed, and ended everybody else, the others go on.
    ASSERT_TRUE(eventually([&] {
      try {
        watcher.run("select 1");
        return false;
      } catch (const SqlError&) {
        return true;
      }
    }));
    std::string told;
    for (int attempts = 0; attempts < 200 && told.empty(); ++attempts) {
      try {
        call();
        told = "answered";
      } catch (const Error& error) {
        // The crash itself may be met first, or a server that has not recovered from it in time.
        if (error.code() != Code::Connection && error.code() != Code::Timeout) told = to_string(error.code());
        std::this_thread::sleep_for(20ms);
      }
    }
    EXPECT_EQ(told, "StoreReset");
    EXPECT_EQ(outcome_of_get(store, "k"), "absent");
  }
}

TEST(PostgresRestart, R1_R3_CallsGoOnWhenTheServerIsBack) {
  PostgresServer server;
  const std::string database = create_database(server.address());
  const Store store = Store::open(server.url(database) + "&timeout=10s&pool_size=4&retries=1000");
  store.set("k", "v");
  std::atomic<bool> done = false;
  std::atomic<int> counted = 0;
  std::atomic<int> uncertain = 0;
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; ++t) {
    callers.emplace_back([&, t] {
      while (!done) {
        try {
          if (t % 2 == 0) {
            EXPECT_THAT(store.get("k"), Optional(std::string("v")));  // reads are tried again
          } else {
            store.increment("n");
            ++counted;
          }
        } catch (const Error& error) {
          EXPECT_EQ(error.code(), Code::Connection) << error.what();
          EXPECT_EQ(t % 2, 1) << "a read failed: " << error.what();
          if (error.outcome() == Outcome::unknown) ++uncertain;
        }
      }
    });
  }
  {
    SqlConnection killer(server.url(database));
    for (int i = 0; i < 10; ++i) {
      std::this_thread::sleep_for(20ms);
      killer.run("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tuskv'");
    }
  }
  server.restart(Shutdown::fast);
  std::this_thread::sleep_for(100ms);
  server.restart(Shutdown::immediate);
  std::this_thread::sleep_for(100ms);
  done = true;
  for (std::thread& caller : callers) caller.join();
  const int stored = std::stoi(store.get("n").value());
  EXPECT_GE(stored, counted);              // nothing acknowledged is lost
  EXPECT_LE(stored, counted + uncertain);  // nothing is applied twice
}

TEST(PostgresRestart, R5_AStoppedBackendDelaysNobodyBeyondTheDeadline) {
  PostgresServer server;
  const std::string database = create_database(server.address());
  const Store store = Store::open(server.url(database) + "&timeout=300ms&pool_size=1&ttl_mode=manual");
  store.set("k", "v");
  SqlConnection sql(server.url(database));
  const int backend = std::stoi(sql.value("select pid from pg_stat_activity where application_name = 'tuskv' limit 1"));
  server.signal_backend(backend, SIGSTOP);
  const auto start = std::chrono::steady_clock::now();
  const std::string outcome = outcome_of_get(store, "k");
  EXPECT_LT(std::chrono::steady_clock::now() - start, 1300ms);
  EXPECT_EQ(outcome, "Timeout");
  EXPECT_EQ(outcome_of_get(store, "k"), "v");  // on another connection
  server.signal_backend(backend, SIGCONT);
}

// The server commits, and says in a warning alone that no standby has confirmed it.
class PostgresStandby : public testing::Test {
 protected:
  PostgresStandby() : database_(create_database(server_.address())), other_(server_.url(database_)) {}

  const PostgresServer& server() const { return server_; }
  const std::string& database() const { return database_; }
  SqlConnection& other() { return other_; }
  static Store open(const std::string& url, const std::string& durability) {
    return Store::open(url + "&ttl_mode=manual&timeout=20s&durability=" + durability);
  }
  /// From now on commits of `store` wait for a standby that there is not.
  void wait_for_nobody(const Store& store) {
    server_.add_setting("synchronous_standby_names = 'nobody'");
    server_.reload();
    ASSERT_TRUE(eventually([&] { return other_.value("show synchronous_standby_names") == "nobody"; }));
    // They do once the checkpointer has read the settings as well.
    ASSERT_TRUE(eventually([&] {
      std::atomic<bool> has_waited = false;
      cancel_waits_during([&] { store.set("k", "one"); }, has_waited);
      return has_waited.load();
    }));
  }
  void expect_unknown(const std::vector<std::function<void()>>& writes) {
    for (std::size_t i = 0; i < writes.size(); ++i) {
      SCOPED_TRACE(i);
      std::atomic<bool> has_waited = false;
      const auto failure = cancel_waits_during(writes[i], has_waited);
      EXPECT_TRUE(failure);
      if (!failure) continue;
      EXPECT_EQ(failure->outcome(), Outcome::unknown) << failure->what();
      EXPECT_THAT(failure->what(), testing::HasSubstr("standbys"));
    }
  }
  std::optional<Error> cancel_waits_during(const std::function<void()>& call, std::atomic<bool>& has_waited) {
    std::atomic<bool> done = false;
    std::thread canceller([&] {
      const std::string cancel =
          "select count(pg_cancel_backend(pid)) from pg_stat_activity where wait_event = 'SyncRep'";
      while (!done) {
        if (other_.value(cancel) != "0") has_waited = true;
        std::this_thread::sleep_for(1ms);
      }
    });
    auto failure = failure_of(20'000ms, call);
    done = true;
    canceller.join();
    return failure;
  }

 private:
  PostgresServer server_;
  const std::string database_;
  SqlConnection other_;
};

TEST_F(PostgresStandby, R58_ACommitThatStoppedWaitingForItsStandbysIsUnknown) {
  const Store store = open(server().url(database()), "durable");
  store.set("k", "v");
  wait_for_nobody(store);
  expect_unknown({
      [&] { store.set("k", "one"); },
      [&] { store.erase("k"); },
      [&] { store.increment("n"); },
      [&] { store.get_and_set("k", "two"); },
      [&] { store.transaction([](Transaction& tx) { tx.set("k", "three"); }); },
      [&] { submitted(store.async().set("k", std::string("four"))); },
  });
  EXPECT_EQ(store.get("k"), "four");
}

/// Where the role or the database wants to hear of no warnings, what this one tells must be heard all the same.
TEST_F(PostgresStandby, R116_AServerThatIsToKeepItsWarningsTellsThatItStoppedWaiting) {
  const PgBouncer pooler(server().address());
  other().run("alter database " + database() + " set client_min_messages = error");
  const Store direct = open(server().url(database()), "durable");
  const Store pooled = open(pooler.url(database()), "durable");
  const Store relaxed = open(pooler.url(database()), "relaxed");
  wait_for_nobody(direct);
  for (const Store& store : {direct, pooled}) {
    expect_unknown({
        [&] { store.set("k", "one"); },
        [&] {
          store.set_many({{"k", "one"}, {"l", "one"}});
        },
        [&] { store.erase("k"); },
        [&] { store.increment("n"); },
        [&] { store.get_and_set("k", "two"); },
        [&] { store.transaction([](Transaction& tx) { tx.set("k", "three"); }); },
        [&] { store.transaction([](Transaction& tx) { tx.set("k", std::to_string(tx.count())); }); },
        [&] { store.erase_prefix("k"); },
    });
  }
  std::atomic<bool> has_waited = false;
  const auto failure = cancel_waits_during([&] { relaxed.sync(); }, has_waited);
  ASSERT_TRUE(failure);
  EXPECT_THAT(failure->what(), testing::HasSubstr("standbys"));
}

}  // namespace
}  // namespace tuskv::test
