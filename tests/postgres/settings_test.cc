// Settings that statements need and that a server, a role or a database can have otherwise: directly, and through a
// pooler, which leaves out those of a session.
#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "postgres/server_test.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

class PostgresSession : public ServerTest {};

/// Where SERIALIZABLE is the server's default, what has waited for a row would fail when it gets it.
TEST_F(PostgresSession, R35_TransactionsAreOfTheLevelTheyNeed) {
  sql().run("alter database " + database() + " set default_transaction_isolation = 'serializable'");
  for (const bool pooled : {false, true}) {
    SCOPED_TRACE(pooled);
    const std::string own = (pooled ? shared().pooler() : shared().server()).url(database()) +
                            "&ttl_mode=manual&retries=0&durability=relaxed";
    const std::vector<Store> stores = {Store::open(own), Store::open(own)};
    stores.front().set("k", "0");
    run_threads(4, [&](int t) {
      const auto failure = failure_of(20s, [&] {
        for (int i = 0; i < 50; ++i) stores[static_cast<std::size_t>(t % 2)].get_and_set("k", "v");
      });
      EXPECT_FALSE(failure) << failure->what();
    });
  }
}

/// What is one statement begins no transaction, and a pooler leaves out the settings of the session.
TEST_F(PostgresSession, R121_SingleStatementsAreOfTheLevelTheyNeed) {
  sql().run("alter database " + database() + " set default_transaction_isolation = 'serializable'");
  const std::string own = shared().pooler().url(database()) + "&ttl_mode=manual&retries=0&durability=relaxed";
  const std::vector<Store> stores = {Store::open(own), Store::open(own)};
  const std::vector<std::pair<const char*, std::function<void(const Store&)>>> calls = {
      {"set", [](const Store& store) { store.set("k", "v"); }},
      {"set_many",
       [](const Store& store) {
         store.set_many({{"k", "v"}, {"l", "v"}});
       }},
      {"increment", [](const Store& store) { store.increment("n"); }},
      {"erase",
       [](const Store& store) {
         store.set("k", "v");
         store.erase("k");
       }},
      {"cleanup_expired",
       [](const Store& store) {
         store.set("expired", "v", {.ttl = 1ms});
         store.cleanup_expired();
       }},
  };
  for (const auto& [name, call] : calls) {
    SCOPED_TRACE(name);
    run_threads(4, [&](int t) {
      const auto failure = failure_of(20s, [&] {
        for (int i = 0; i < 50; ++i) call(stores[static_cast<std::size_t>(t % 2)]);
      });
      EXPECT_FALSE(failure) << failure->what();
    });
  }
  EXPECT_EQ(stores.front().get("n"), "200");
}

/// Between two messages of a transaction as much time may pass as its call has, and some.
TEST_F(PostgresSession, R119_TheServerWaitsForTheRestOfATransactionAsLongAsItsCallHasTime) {
  open();
  sql().run(
      "create table waits (ms int8); create function note() returns trigger language plpgsql as $$ begin insert into "
      "waits select setting::int8 from pg_settings where name = 'idle_in_transaction_session_timeout'; return new; end "
      "$$; "
      "create trigger note before insert or update on tuskv for each row execute function note()");
  const auto longest_wait_ms = [&](const Store& store) {
    sql().run("truncate waits");
    store.get_and_set("k", "v");
    return std::stoll(sql().value("select max(ms) from waits"));
  };
  for (const bool pooled : {false, true}) {
    SCOPED_TRACE(pooled);
    const std::string address =
        (pooled ? shared().pooler() : shared().server()).url(database()) + "&ttl_mode=manual&timeout=";
    EXPECT_EQ(longest_wait_ms(Store::open(address + "1s")), 5000);
    const Store store = Store::open(address + "20s");
    EXPECT_EQ(longest_wait_ms(store), 20'000);
    EXPECT_NEAR(static_cast<double>(longest_wait_ms(store.with_timeout(60s))), 60'000, 10'000);
    EXPECT_GE(longest_wait_ms(store.with_timeout(3s)), 5000);
  }
}

}  // namespace
}  // namespace tuskv::test
