// What a server can be like: its errors, its settings, its rights, the tables that are there already.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <libpq-fe.h>

#include "option_table.h"
#include "postgres/server_test.h"
#include "support/fault_proxy.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::Optional;

class PostgresFacts : public ServerTest {
 protected:
  /// A role of this test that may do the least that a store needs; see README.
  std::string make_role(const std::string& attributes = "") {
    const std::string role = "role_" + database();
    sql().run("create role " + role + " login " + attributes + "; grant all on tuskv to " + role);
    return role;
  }
  void drop_role(const std::string& role) { sql().run("drop owned by " + role + "; drop role " + role); }
};

// ---- errors of the server

struct ServerError {
  const char* sqlstate;
  Code code;
  int attempts;  ///< how often the statement runs before the caller is told; 0: until the deadline
};

/// The table raises an error by itself: every error that a statement can meet, without its cause.
TEST_F(PostgresFacts, R8_R9_EachErrorOfTheServerHasItsCodeAndItsEnd) {
  const Store store = open("&ttl_mode=manual&retries=3&timeout=3s");
  store.set("k", "before");
  sql().run(
      "create sequence raised; create table raises (sqlstate text); insert into raises values (''); "
      "create function raise_it() returns trigger language plpgsql as $$ declare wanted text := (select sqlstate from "
      "raises); begin if wanted <> '' then perform nextval('raised'); raise exception 'as the test asked' using "
      "errcode = "
      "wanted; end if; return new; end $$; "
      "create trigger raise_it before insert or update on tuskv for each row execute function raise_it()");
  for (const ServerError& expected : {
           ServerError{"53100", Code::NoSpace, 1},     // disk full
           ServerError{"53200", Code::NoSpace, 1},     // out of memory
           ServerError{"40001", Code::Conflict, 4},    // serialization failure
           ServerError{"40P01", Code::Conflict, 4},    // deadlock
           ServerError{"25006", Code::Connection, 4},  // a standby, or a server that has become one
           ServerError{"42501", Code::Config, 1},      // no right to
           ServerError{"23514", Code::InvalidValue, 1}, ServerError{"XX001", Code::Corruption, 1},
           ServerError{"58030", Code::Io, 1}, ServerError{"P0001", Code::InvalidValue, 1},  // somebody's trigger
       }) {
    SCOPED_TRACE(expected.sqlstate);
    sql().run("alter sequence raised restart; update raises set sqlstate = " +
              SqlConnection::quoted(expected.sqlstate));
    const auto failure = failure_of(3s, [&] { store.set("k", "after"); });
    sql().run("update raises set sqlstate = ''");
    ASSERT_TRUE(failure);
    EXPECT_EQ(to_string(failure->code()), to_string(expected.code)) << failure->what();
    EXPECT_EQ(failure->outcome(), Outcome::not_applied);
    EXPECT_EQ(failure->sqlstate(), expected.sqlstate);
    EXPECT_THAT(failure->what(), HasSubstr("as the test asked"));
    EXPECT_EQ(sql().value("select last_value from raised"), std::to_string(expected.attempts));
    EXPECT_THAT(store.get("k"), Optional(std::string("before")));
  }
  store.set("k", "after");
  EXPECT_THAT(store.get("k"), Optional(std::string("after")));
}

/// One that has gone when the statement runs again is not seen by the caller at all.
TEST_F(PostgresFacts, R8_AFailureThatPassesIsNotSeen) {
  const Store store = open("&ttl_mode=manual");
  store.set("k", "before");
  sql().run(
      "create sequence raised; create function raise_it() returns trigger language plpgsql as $$ begin if "
      "nextval('raised') % 10 < 2 then raise exception 'once more' using errcode = '40001'; end if; return new; end "
      "$$; "
      "create trigger raise_it before insert or update on tuskv for each row execute function raise_it()");
  for (int i = 0; i < 5; ++i) {
    store.set("k", std::to_string(i));
    EXPECT_EQ(store.get("k"), std::to_string(i));
    store.increment("n");
    store.update("u", [&](std::optional<std::string_view>) -> Change { return std::to_string(i); });
  }
  EXPECT_EQ(store.get("n"), "5");
}

// ---- the table

/// partitions=0, the default, is no wish; the statements are those of what is there.
TEST_F(PostgresFacts, S45_ATableWithPartitionsIsOpenedByWhoDoesNotKnowThem) {
  open("&table=parts&partitions=3");
  const Store store = open("&table=parts");
  store.set_many({{"a", "1"}, {"b", "2"}, {"c", "3"}});
  EXPECT_EQ(store.get_many({"c", "missing", "a"}), (std::vector<std::optional<std::string>>{"3", std::nullopt, "1"}));
  EXPECT_EQ(store.keys().keys, (std::vector<std::string>{"a", "b", "c"}));
  const std::vector<Finding> findings = store.diagnose();
  const auto is_table = [](const Finding& finding) { return finding.topic == "table"; };
  EXPECT_THAT(std::find_if(findings.begin(), findings.end(), is_table)->value, HasSubstr("3 partitions"));
}

/// What is wrong in a URL may be a piece of a password, so only the right name is shown.
TEST_F(PostgresFacts, S46_AMisspeltOptionIsToldByTheRightName) {
  const auto refused = [&](const std::string& text) {
    const Error error = error_of([&] { Store::open(text); });
    EXPECT_EQ(error.code(), Code::Config) << error.what();
    return std::string(error.what());
  };
  EXPECT_THAT(refused(url("&durabilty=relaxed")), HasSubstr("did you mean \"durability\"?"));
  EXPECT_THAT(refused(url("&tabel=cache&timeout=1s")), HasSubstr("did you mean \"table\"?"));
  EXPECT_THAT(refused("postgresql://u:p?partition=s3cret@h/db?partition=s3cret"),
              AllOf(HasSubstr("did you mean \"partitions\"?"), Not(HasSubstr("s3cret")), Not(HasSubstr("partition="))));
  for (const char* other : {"&foo=bar", "&s3cret=1", "&host=%zz"}) {
    EXPECT_THAT(refused(url(other)), Not(HasSubstr("did you mean"))) << other;
  }
}

TEST_F(PostgresFacts, R12_AForeignTableIsNotOurs) {
  sql().run(
      "create foreign data wrapper none; create server nowhere foreign data wrapper none; "
      "create foreign table far (key bytea, value bytea) server nowhere; "
      "create materialized view kept as select 1; create type compound as (a int)");
  for (const char* name : {"far", "kept", "compound"}) {
    const Error error = error_of([&] { return open(std::string("&table=") + name); });
    EXPECT_EQ(error.code(), Code::Config) << error.what();
    EXPECT_EQ(error.outcome(), Outcome::not_applied);
    EXPECT_THAT(error.what(), HasSubstr(name));
  }
}

TEST_F(PostgresFacts, R13_ATableDroppedUnderLoadIsAConfigErrorForEveryone) {
  const Store store = open("&ttl_mode=manual&timeout=2s&durability=relaxed");
  store.set("k", "v");
  std::atomic<bool> done = false;
  std::atomic<int> refused = 0;
  std::thread dropping([&] {
    for (int i = 0; i < 5; ++i) {
      std::this_thread::sleep_for(20ms);
      sql().run("drop table tuskv cascade");
      std::this_thread::sleep_for(20ms);
      open("&ttl_mode=manual&durability=relaxed").close();
    }
    done = true;
  });
  run_threads(6, [&](int t) {
    for (int i = 0; !done; ++i) {
      const auto failure = failure_of(2s, [&] {
        switch ((t + i) % 5) {
          case 0: store.get("k"); break;
          case 1: store.set("k", "v"); break;
          case 2: store.increment("n"); break;
          case 3: store.set_if_absent("a", "v"); break;
          default: store.count();
        }
      });
      if (!failure) continue;
      ++refused;
      EXPECT_EQ(failure->code(), Code::Config) << failure->what();
      EXPECT_EQ(failure->outcome(), Outcome::not_applied) << failure->what();
    }
  });
  dropping.join();
  EXPECT_GT(refused, 0);
  store.set("k", "usable");
  EXPECT_THAT(store.get("k"), Optional(std::string("usable")));
}

/// R15: processes, not threads: nothing but the server keeps them apart.
TEST_F(PostgresFacts, R15_TwentyProcessesMakeTheTableOnce) {
  constexpr int kProcesses = 20;
  std::vector<pid_t> processes;
  for (int i = 0; i < kProcesses; ++i) {
    const pid_t process = ::fork();
    if (process == 0) {
      int status = 1;
      try {
        const Store store = open("&schema=fresh&partitions=2&durability=unlogged&pool_size=1");
        store.set("k" + std::to_string(i), "v");
        status = store.increment("n") > 0 ? 0 : 1;
      } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
      }
      ::_exit(status);
    }
    processes.push_back(process);
  }
  for (const pid_t process : processes) {
    int status = -1;
    EXPECT_EQ(::waitpid(process, &status, 0), process);
    EXPECT_EQ(status, 0);
  }
  const Store store = open("&schema=fresh&partitions=2&durability=unlogged");
  EXPECT_EQ(store.count(), kProcesses + 1u);
  EXPECT_EQ(store.get("n"), std::to_string(kProcesses));
}

TEST_F(PostgresFacts, P13_G14_R16_NamesThatAreNoNamesAreRefusedBeforeAnythingIsSent) {
  for (const char* name : {"a%22b", "x;drop%20table%20t", "Upper", "1st", "with%20space", "%C3%BC", "a.b", "",
                           "a234567890123456789012345678901234567890123456789"}) {
    for (const char* option : {"&table=", "&schema="}) {
      if (option == std::string("&schema=") && (std::string(name).empty() || std::string(name).size() == 49)) continue;
      const Error error = error_of([&] { return open(std::string(option) + name); });
      EXPECT_EQ(error.code(), Code::Config) << error.what() << " " << option << name;
      EXPECT_EQ(error.outcome(), Outcome::not_applied);
      EXPECT_EQ(error.sqlstate(), "") << "the server was asked: " << error.what();
    }
  }
  // A word of SQL is a name like any other.
  open("&table=select&schema=user").set("k", "v");
  EXPECT_EQ(open("&table=select&schema=user").count(), 1u);
}

// ---- settings

TEST_F(PostgresFacts, R23_R17_SettingsOfTheRoleAndTheDatabaseChangeNothing) {
  open();
  const std::string role = make_role();
  for (const char* setting :
       {"bytea_output = 'escape'", "standard_conforming_strings = off", "datestyle = 'German, DMY'",
        "intervalstyle = 'sql_standard'", "timezone = 'Asia/Kolkata'", "client_encoding = 'LATIN1'",
        "search_path = pg_temp", "default_transaction_isolation = 'serializable'", "quote_all_identifiers = on",
        "extra_float_digits = -15", "enable_indexscan = off", "default_transaction_deferrable = on",
        "backslash_quote = on", "escape_string_warning = on", "row_security = off", "synchronous_commit = off",
        "client_min_messages = error"}) {
    sql().run("alter role " + role + " set " + setting);
  }
  const Store store = Store::open(url("&schema=public&create=false&ttl_mode=manual", role));
  const std::string bytes("\\x41\0'\"\xff\xfe\\", 10);
  store.set(bytes, bytes);
  EXPECT_THAT(store.get(bytes), Optional(bytes));
  EXPECT_EQ(store.increment("n", -5), -5);
  store.set("t", "v", {.ttl = 3600s});
  EXPECT_GT(store.ttl("t").left, 3590s);
  EXPECT_LE(store.ttl("t").left, 3600s);
  run_threads(4, [&](int) {
    for (int i = 0; i < 20; ++i) store.increment("shared");
  });
  EXPECT_EQ(store.get("shared"), "80");
  store.transaction([&](Transaction& tx) { tx.set("copy", tx.get(bytes).value()); });
  EXPECT_THAT(store.get("copy"), Optional(bytes));
  EXPECT_EQ(store.scan().entries.size(), 5u);
  store.close();
  drop_role(role);
}

TEST_F(PostgresFacts, R17_BytesAreBytesInEveryEncoding) {
  int databases = 0;
  for (const char* encoding : {"LATIN1", "SQL_ASCII", "EUC_JP"}) {
    const std::string name = database() + "_" + std::to_string(++databases);
    sql().run("create database " + name + " encoding '" + encoding +
              "' lc_ctype 'C' lc_collate 'C' template template0");
    const Store store = Store::open(shared().server().url(name));
    std::string all;
    for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
    store.set(all, all);
    EXPECT_THAT(store.get(all), Optional(all)) << encoding;
    EXPECT_EQ(store.scan().entries.front().key, all) << encoding;
  }
}

/// The table is looked at whole, which takes as long as it takes: by the deadline of the view, be it shorter or longer.
TEST_F(PostgresFacts, R32_StatsKeepTheDeadlineOfTheirView) {
  open().set("k", "v");
  const std::string role = make_role();
  sql().run(
      "alter table tuskv enable row level security; create policy slow on tuskv using (pg_sleep(0.6) is not null)");
  const Store hurried = Store::open(url("&create=false&ttl_mode=manual&timeout=300ms", role));
  EXPECT_EQ(hurried.with_timeout(20s).stats().entries, 1u);
  const Store patient = Store::open(url("&create=false&ttl_mode=manual&timeout=20s", role));
  for (const Store& store : {hurried, patient.with_timeout(300ms)}) {
    const auto failure = failure_of(300ms, [&] { return store.stats(); });
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->code(), Code::Timeout) << failure->what();
    EXPECT_EQ(failure->outcome(), Outcome::not_applied);
  }
  hurried.close();
  patient.close();
  drop_role(role);
}

// ---- sizes

TEST_F(PostgresFacts, R24_R17_ManyKeysAndTheLongestAndTheLargest) {
  const Store store = open("&ttl_mode=manual&durability=relaxed&max_key_bytes=2KiB&timeout=30s");
  constexpr int kKeys = 30'000;
  std::vector<std::string> keys;
  for (int i = 0; i < kKeys; ++i) keys.push_back("k" + std::to_string(i));
  std::vector<Item> items;
  for (const std::string& key : keys) items.push_back({.key = key, .value = "v"});
  store.set_many(items);
  EXPECT_EQ(store.exists_many(keys), static_cast<std::uint64_t>(kKeys));
  EXPECT_EQ(store.get_many(keys).back(), "v");
  EXPECT_EQ(store.erase_many(keys), static_cast<std::uint64_t>(kKeys));
  // Nothing of a key can be compressed away, and it must still fit the index.
  std::string longest;
  for (std::uint32_t random = 1; longest.size() < 2048; random = random * 1664525U + 1013904223U) {
    longest += static_cast<char>(random >> 24U);
  }
  const std::string large(std::size_t{100} << 20, 'x');
  store.set(longest, large);
  EXPECT_TRUE(store.get(longest) == large);
  EXPECT_TRUE(store.erase(longest));
}

// ---- rights and connections

/// From PostgreSQL 15 on this is what every new role meets first.
TEST_F(PostgresFacts, R14_S63_ARoleWithoutRightsIsToldWhich) {
  open("&table=theirs");
  const std::string role = "role_" + database();
  sql().run("create role " + role + " login; revoke create on schema public from public");
  const Error no_table = error_of([&] { return Store::open(url("&table=mine", role)); });
  EXPECT_EQ(no_table.code(), Code::Config) << no_table.what();
  EXPECT_EQ(no_table.sqlstate(), "42501");
  EXPECT_THAT(no_table.what(),
              AllOf(HasSubstr("no table \"public\".\"mine\" yet"), HasSubstr("grant usage, create on schema"),
                    HasSubstr("(PostgreSQL: permission denied for schema public)")));
  const Error no_schema = error_of([&] { return Store::open(url("&schema=mine", role)); });
  EXPECT_EQ(no_schema.sqlstate(), "42501") << no_schema.what();
  EXPECT_THAT(no_schema.what(), AllOf(HasSubstr("no schema \"mine\" yet"), HasSubstr("grant create on the database")));
  const auto no_read = failure_of(5s, [&] { Store::open(url("&table=theirs", role)).get("k"); });
  ASSERT_TRUE(no_read);
  EXPECT_EQ(no_read->code(), Code::Config) << no_read->what();
  EXPECT_EQ(no_read->sqlstate(), "42501");
  // A role that owns one schema and nothing else needs no more.
  sql().run("create schema authorization " + role);
  Store::open(url("&schema=" + role, role)).set("k", "v");
  drop_role(role);
}

/// To see what is in a schema is a right of its own, without which neither is worth anything.
TEST_F(PostgresFacts, R100_ARoleThatMayNotUseTheSchemaIsTold) {
  const std::string role = "role_" + database();
  sql().run("create role " + role + " login; create schema theirs; grant create on schema theirs to " + role);
  const Error made = error_of([&] { return Store::open(url("&schema=theirs", role)); });
  EXPECT_EQ(made.sqlstate(), "42501");
  EXPECT_THAT(made.what(), AllOf(HasSubstr("no table \"theirs\".\"tuskv\" yet"),
                                 HasSubstr("grant usage, create on schema \"theirs\"")));
  EXPECT_EQ(sql().value("select count(*) from pg_class where relnamespace = 'theirs'::regnamespace"), "0");
  open("&schema=theirs").set("k", "v");
  sql().run("grant all on theirs.tuskv to " + role);
  const auto open_as_role = [&] { return Store::open(url("&schema=theirs&create=false&ttl_mode=manual", role)); };
  const auto expect_told = [](const Error& error) {
    EXPECT_EQ(error.code(), Code::Config) << error.what();
    EXPECT_EQ(error.sqlstate(), "42501");
    EXPECT_EQ(error.outcome(), Outcome::not_applied);
    EXPECT_THAT(error.what(), HasSubstr("schema theirs"));
  };
  expect_told(error_of(open_as_role));
  sql().run("grant usage on schema theirs to " + role);
  const Store store = open_as_role();
  EXPECT_THAT(store.get("k"), Optional(std::string("v")));
  sql().run("revoke usage on schema theirs from " + role);
  expect_told(error_of([&] { return store.diagnose(); }));
  expect_told(error_of([&] { store.set("k", "w"); }));
  drop_role(role);
}

/// 42P01 when a store is opened says that its own table is not there: whoever meets it may make one.
TEST_F(PostgresFacts, R105_WhatATriggerMissesIsNotTakenForTheTable) {
  open("&durability=unlogged").set("k", "v");
  sql().run(
      "create function looks() returns trigger language plpgsql as 'begin perform * from missing; return new; end'; "
      "create trigger looks before insert on tuskv for each row execute function looks(); truncate tuskv");
  const Error error = error_of([&] { return open("&durability=unlogged&create=false"); });
  EXPECT_EQ(error.code(), Code::Config);
  EXPECT_EQ(error.sqlstate(), "09000");
  EXPECT_THAT(error.what(), AllOf(HasSubstr("a trigger of the table fails"), HasSubstr("\"missing\"")));
}

/// What a read has met and may not remove costs no connection.
TEST_F(PostgresFacts, R85_ReadsOfAReadOnlySessionKeepTheirConnection) {
  open();
  sql().run("alter database " + database() + " set default_transaction_read_only = on");
  for (const PostgresAddress& server : {shared().server(), shared().pooler()}) {
    FaultProxy proxy(server);
    const Store store = Store::open(proxy.address().url(database()) +
                                    "&sslmode=disable&ttl_mode=on_read&create=false&pool_size=1&timeout=1s");
    EXPECT_EQ(store.get("k"), std::nullopt);
    proxy.set_behaviour({.refuses = true});  // there is no other connection
    for (int i = 0; i < 3; ++i) {
      const auto failure = failure_of(1s, [&] { EXPECT_EQ(store.get("k"), std::nullopt); });
      ASSERT_FALSE(failure) << failure->what();
    }
    const auto failure = failure_of(1s, [&] { store.get_many({"k", "l"}); });
    ASSERT_FALSE(failure) << failure->what();
  }
}

TEST_F(PostgresFacts, R6_NoConnectionToBeHadIsAConnectionErrorUntilOneIs) {
  open();
  const std::string role = make_role("connection limit 1");
  {
    const auto holder = std::make_unique<SqlConnection>(url("", role));
    const auto failure = failure_of(500ms, [&] { Store::open(url("&timeout=500ms&create=false", role)); });
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->code(), Code::Connection) << failure->what();
    EXPECT_TRUE(failure->retryable());
    EXPECT_THAT(failure->what(), HasSubstr("too many connections"));
  }
  const Store store = Store::open(url("&timeout=5s&create=false&ttl_mode=manual", role));
  store.set("k", "v");
  sql().run("select pg_terminate_backend(pid) from pg_stat_activity where usename = '" + role + "'");
  std::unique_ptr<SqlConnection> holder;
  ASSERT_TRUE(eventually([&] {
    try {
      holder = std::make_unique<SqlConnection>(url("", role));
      return true;
    } catch (const SqlError&) {
      return false;  // the session of the store has not gone yet
    }
  }));
  std::thread holding([&] {
    std::this_thread::sleep_for(300ms);
    holder.reset();
  });
  const auto failure = failure_of(5s, [&] { store.set("k", "w"); });
  EXPECT_FALSE(failure) << failure->what();
  holding.join();
  EXPECT_THAT(store.get("k"), Optional(std::string("w")));
  store.close();
  drop_role(role);
}

/// However short a time ago it was used: a write on it would be `unknown`.
TEST_F(PostgresFacts, R1_AConnectionThatTheServerHasEndedIsNotUsed) {
  const Store store = open("&ttl_mode=manual&pool_size=1&application_name=ended");
  const std::string sessions = "select count(*) from pg_stat_activity where application_name = 'ended'";
  for (int i = 0; i < 20; ++i) {
    sql().run("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'ended'");
    ASSERT_TRUE(eventually([&] { return sql().value(sessions) == "0"; }));
    const auto failure = failure_of(5s, [&] { store.increment("n"); });
    ASSERT_FALSE(failure) << i << ": " << failure->what();
  }
  EXPECT_THAT(store.get("n"), Optional(std::string("20")));
}

/// This server has no TLS.
TEST_F(PostgresFacts, R21_TlsThatWasAskedForIsNeverLeftOut) {
  const FaultProxy over_tcp(shared().server());
  const std::string address = over_tcp.address().url(database()) + "&sslmode=";
  for (const char* mode : {"require", "verify-ca", "verify-full"}) {
    const auto failure = failure_of(500ms, [&] { Store::open(address + mode, {.timeout = 500ms}); });
    ASSERT_TRUE(failure) << mode;
    EXPECT_EQ(failure->code(), Code::Connection) << failure->what();
    EXPECT_EQ(failure->outcome(), Outcome::not_applied);
  }
  EXPECT_FALSE(failure_of(5s, [&] { Store::open(address + "prefer"); }));
}

/// Whatever is in a URL is ours or libpq's, never both.
TEST(PostgresOptions, NoneHasTheNameOfAParameterOfLibpq) {
  const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> theirs(PQconndefaults(), &PQconninfoFree);
  ASSERT_NE(theirs, nullptr);
  for (const PQconninfoOption* option = theirs.get(); option->keyword != nullptr; ++option) {
    EXPECT_EQ(find_option(option->keyword), nullptr) << option->keyword;
  }
}

}  // namespace
}  // namespace tuskv::test
