// What is PostgreSQL's alone: the table and how it is compared, names, secrets, rights, locks. Everything that all
// engines promise is in the contract.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "postgres/server_test.h"
#include "support/turned_encryptor.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using testing::HasSubstr;
using testing::Not;
using testing::Optional;

class PostgresEngine : public ServerTest {};

void expect_config_error(const std::string& url, std::initializer_list<std::string_view> words) {
  const Error error = error_of([&] { return Store::open(url); });
  EXPECT_EQ(error.code(), Code::Config) << error.what();
  EXPECT_EQ(error.outcome(), Outcome::not_applied);
  for (const std::string_view word : words) EXPECT_THAT(error.what(), HasSubstr(word));
}

// ---- encryption

TEST_F(PostgresEngine, ATableIsForOneSetOfKeysOrForNone) {
  const auto keys = [](const char* name) { return Options{.encryptor = std::make_shared<TurnedEncryptor>(name)}; };
  const auto refused = [&](const std::string& table, const Options& options) {
    return std::string(error_of([&] { return Store::open(url(table), options); }).what());
  };
  const Store first = Store::open(url("&table=one"), keys("one"));
  EXPECT_THAT(refused("&table=one", keys("two")), HasSubstr("the given keys are not its own"));
  EXPECT_THAT(refused("&table=one", {}), HasSubstr("the store is encrypted"));
  const Store second = Store::open(url("&table=one"), keys("one"));
  first.set("k", "v");
  EXPECT_THAT(second.get("k"), Optional(std::string("v")));
  const Store plain = open("&table=plain");
  plain.set("k", "v");
  EXPECT_THAT(refused("&table=plain", keys("one")), HasSubstr("not encrypted with these keys"));
}

TEST_F(PostgresEngine, ManyOpenersWithDifferentKeysMarkATableOnce) {
  constexpr int kOpeners = 12;
  std::atomic<int> opened = 0;
  std::atomic<int> with_first_keys = 0;
  open();  // the table
  run_threads(kOpeners, [&](int i) {
    const std::string name = i % 2 == 0 ? "one" : "two";
    try {
      const Store store = Store::open(url("&pool_size=1"), {.encryptor = std::make_shared<TurnedEncryptor>(name)});
      store.set(name + std::to_string(i), name);
      ++opened;
      if (name == "one") ++with_first_keys;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::Config) << error.what();
    }
  });
  EXPECT_EQ(opened, kOpeners / 2);
  const std::string winner = with_first_keys != 0 ? "one" : "two";
  EXPECT_EQ(with_first_keys, winner == "one" ? kOpeners / 2 : 0);
  EXPECT_EQ(Store::open(url(), {.encryptor = std::make_shared<TurnedEncryptor>(winner)}).scan().entries.size(),
            static_cast<std::size_t>(kOpeners / 2));
}

// ---- the table

TEST_F(PostgresEngine, P20_R15_ManyOpenersMakeTheTableOnce) {
  constexpr int kOpeners = 20;
  std::atomic<int> ready = 0;
  std::vector<std::thread> openers;
  for (int i = 0; i < kOpeners; ++i) {
    openers.emplace_back([&, i] {
      ++ready;
      while (ready < kOpeners) std::this_thread::yield();
      const Store store = open("&schema=fresh&partitions=2&pool_size=1");
      store.set("k" + std::to_string(i), "v");
    });
  }
  for (std::thread& opener : openers) opener.join();
  EXPECT_EQ(open("&schema=fresh&partitions=2").count(), 20u);
}

TEST_F(PostgresEngine, U15_P11_G4_TheTableIsComparedWithTheOptions) {
  open("&table=logged").set("k", "v");
  open("&table=unlogged&durability=unlogged");
  open("&table=json&value_type=jsonb");
  open("&table=parts&partitions=3&durability=unlogged");
  expect_config_error(url("&table=logged&durability=unlogged"), {"logged", "durability"});
  // Whoever believes the table to be durable is told, although he may have said nothing.
  expect_config_error(url("&table=unlogged"),
                      {"UNLOGGED", "durability says durable (its default)", "give durability=unlogged"});
  expect_config_error(url("&table=json"), {"jsonb", "value_type says bytea (its default)", "give value_type=jsonb"});
  expect_config_error(url("&table=logged&value_type=jsonb"), {"bytea", "value_type"});
  expect_config_error(url("&table=parts&partitions=4&durability=unlogged"),
                      {"3 partitions", "partitions says 4", "give partitions=3, or leave it out"});
  expect_config_error(url("&table=logged&partitions=4"), {"0 partitions", "partitions says 4"});
  expect_config_error(url("&table=parts&partitions=3&durability=relaxed"), {"UNLOGGED", "durability says relaxed: to"});
  EXPECT_THAT(open("&table=logged&durability=relaxed").get("k"), Optional(std::string("v")));
  EXPECT_EQ(open("&table=parts&partitions=3&durability=unlogged").count(), 0u);
}

// R12: whatever is there under the name, it is not ours, and stays as it is.
TEST_F(PostgresEngine, R12_WhatIsNotOursIsNeverTouched) {
  sql().run("create table mine (key bytea primary key, value bytea); insert into mine values ('a', 'b')");
  sql().run("create view seen as select * from mine");
  sql().run("create sequence counter");
  open("&table=altered");
  sql().run("alter table altered add column extra int");
  open("&table=newer");
  sql().run("comment on table newer is 'tuskv table, form 99'");
  expect_config_error(url("&table=mine"), {"mine", "not made by tuskv"});
  expect_config_error(url("&table=seen"), {"seen", "no table"});
  expect_config_error(url("&table=counter"), {"counter", "no table"});
  expect_config_error(url("&table=altered"), {"altered", "extra integer", "should be created_at"});
  expect_config_error(url("&table=newer"), {"newer", "another version"});
  EXPECT_EQ(sql().value("select count(*) from mine"), "1");
  EXPECT_EQ(sql().value("select count(*) from pg_attribute where attrelid = 'mine'::regclass and attnum > 0"), "2");
}

TEST_F(PostgresEngine, R115_ATableRestoredWithoutItsCommentIsToldHowToGetItBack) {
  open("&table=restored").set("k", "v");
  sql().run("comment on table restored is null");
  const std::string cure = "comment on table \"public\".\"restored\" is 'tuskv table, form 1'";
  expect_config_error(url("&table=restored"), {cure, "nothing was changed"});
  sql().run(cure);
  EXPECT_THAT(open("&table=restored").get("k"), Optional(std::string("v")));
}

TEST_F(PostgresEngine, Y6_PartitionsTakeTheFillFactorOnTheirLeaves) {
  for (const std::string level : {"durable", "unlogged"}) {
    open("&partitions=3&fill_factor=70&table=" + level + "&durability=" + level).set("k", "v");
    EXPECT_EQ(
        sql().value("select count(*) from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = '" +
                    level + "'::regclass and c.reloptions @> '{fillfactor=70}'"),
        "3");
    EXPECT_EQ(open("&partitions=3&table=" + level + "&durability=" + level).count(), 1u);
  }
}

TEST_F(PostgresEngine, P12_R16_LongNamesNeitherCollideNorLoseTheirIndex) {
  const std::string longest(47, 'a');
  for (const auto& [name, partitions] : {std::pair(longest + "x", ""), std::pair(longest + "y", "&partitions=12")}) {
    open("&table=" + name + partitions).set("k", "v", {.ttl = 60s});
    EXPECT_EQ(sql().value("select count(*) from pg_indexes where tablename = '" + name + "'"), "2") << name;
  }
}

TEST_F(PostgresEngine, PsqlUsersSeeNamespacesKeysAndValues) {
  const Store store = open("&durability=unlogged");  // with a row of our own, which nobody sees
  store.set("k", "v");
  store.with_namespace("ns").set("a", "\xff");
  const std::vector<SqlRow> rows = sql().run("select namespace, key, value from tuskv_view order by namespace");
  EXPECT_EQ(rows, (std::vector<SqlRow>{{"", "k", "v"}, {"ns", "a", "\\377"}}));
  EXPECT_EQ(store.stats().entries, 2u);
  EXPECT_EQ(store.namespaces(), std::vector<std::string>{"ns"});
  EXPECT_EQ(store.clear(), 1u);
}

TEST_F(PostgresEngine, R13_ADroppedTableIsAConfigErrorAndANewOneIsFound) {
  const Store store = open();
  store.set("k", "v");
  sql().run("drop table tuskv cascade");
  for (const Error& no : {error_of([&] { return store.get("k"); }), error_of([&] { return open("&create=false"); })}) {
    EXPECT_EQ(no.code(), Code::Config) << no.what();
    EXPECT_EQ(no.sqlstate(), "42P01");
    EXPECT_EQ(no.outcome(), Outcome::not_applied);
  }
  EXPECT_EQ(open().get("k"), std::nullopt);
  store.set("k", "again");
  EXPECT_THAT(store.get("k"), Optional(std::string("again")));
}

TEST_F(PostgresEngine, R13_PreparedStatementsSurviveAChangeOfTheTable) {
  const Store store = open();
  store.set("k", "v");
  EXPECT_TRUE(store.get("k"));
  sql().run("drop view tuskv_view");
  sql().run(
      "alter table tuskv alter column value type text using encode(value, 'escape'); "
      "alter table tuskv alter column value type bytea using convert_to(value, 'UTF8')");
  EXPECT_THAT(store.get("k"), Optional(std::string("v")));
  store.set("k", "w");
  EXPECT_THAT(store.get("k"), Optional(std::string("w")));
}

// ---- sessions

/// What `synchronous_commit` was in the session of each write since: a trigger of the test's writes it down.
constexpr const char* kRecordSettings =
    "create table seen (setting text); create function note_setting() returns trigger language plpgsql as "
    "$$begin insert into seen values (current_setting('synchronous_commit')); return new; end$$; "
    "create trigger note_setting before insert or update on tuskv for each row execute function note_setting()";

TEST_F(PostgresEngine, Y5_SettingsHoldEachTimeAConnectionIsUsed) {
  open();
  sql().run("alter database " + database() + " set synchronous_commit = off");
  sql().run(kRecordSettings);
  for (const auto& address : {shared().server(), shared().pooler()}) {
    const Store store = Store::open(address.url(database()) + "&ttl_mode=manual&pool_size=2");
    sql().run("truncate seen");
    run_threads(8, [&](int thread) {
      const std::string key = "k" + std::to_string(thread);
      for (int i = 0; i < 10; ++i) {
        store.set(key, "v");
        store.increment("n");
        store.transaction([&](Transaction& tx) { tx.set(key, tx.get(key).value() + "w"); });
      }
    });
    EXPECT_GE(std::stoi(sql().value("select count(*) from seen")), 8 * 10 * 2);
    EXPECT_EQ(sql().value("select string_agg(distinct setting, ',') from seen"), "on") << address.host;
  }
}

TEST_F(PostgresEngine, Y18_NothingIsPreparedThroughAPooler) {
  const Store store = Store::open(shared().pooler().url(database()) + "&ttl_mode=manual");
  run_threads(8, [&](int thread) {
    for (int i = 0; i < 20; ++i) {
      store.set("k" + std::to_string(thread), "v");
      store.get("k");
      store.increment("n");
    }
  });
  // Open transactions keep the pooler's sessions to themselves, so that each of them is asked.
  std::vector<SqlConnection> sessions;
  for (int i = 0; i < PgBouncerSettings().pool_size; ++i) {
    SqlConnection& session = sessions.emplace_back(shared().pooler().url(database()));
    session.run("begin");
    EXPECT_EQ(session.value("select count(*) from pg_prepared_statements"), "0");
  }
}

TEST_F(PostgresEngine, Y18_LargeBatchesLeaveTheCatalogueAlone) {
  const Store store = open("&ttl_mode=manual");
  // Tables and types have numbers from one sequence: a temporary table would have taken some.
  const auto newest = [&] {
    return sql().value("select max(oid::int8) from (select oid from pg_class union all select oid from pg_type) taken");
  };
  std::vector<Item> items;
  std::vector<std::string> keys;
  for (int i = 0; i < 5000; ++i) keys.push_back("k" + std::to_string(i));
  for (const std::string& key : keys) items.push_back({.key = key, .value = "v"});
  const std::string before = newest();
  store.set_many(items);
  store.get_many(keys);
  store.erase_many(keys);
  EXPECT_EQ(newest(), before);
}

// ---- names and secrets

TEST_F(PostgresEngine, P13_R16_HostileBytesNeverBecomeStatements) {
  const Store store = open();
  const std::vector<std::string> hostile = {"'; drop table tuskv; --",
                                            "\"; drop table tuskv; --",
                                            "$1",
                                            "\\",
                                            "%",
                                            "_",
                                            std::string("\0'\0", 3),
                                            "\xff\xfe",
                                            "{T}"};
  for (const std::string& text : hostile) store.set(text, text);
  for (const std::string& text : hostile) EXPECT_THAT(store.get(text), Optional(text));
  EXPECT_EQ(store.count(), hostile.size());
  EXPECT_EQ(store.count({.prefix = "%"}), 1u);
  EXPECT_EQ(store.count({.glob = "_*"}), 1u);
  EXPECT_EQ(store.count({.glob = "\\\\"}), 1u);
  EXPECT_EQ(store.erase_many(hostile), hostile.size());
}

// R22: libpq shows what it cannot read; a password must not get out that way.
TEST_F(PostgresEngine, R22_NoErrorHoldsAPassword) {
  const std::string host = shared().server().host;
  for (const std::string& wrong :
       {std::string("postgresql://u:s3cret@[::1/db"), std::string("postgresql://u:s3cret%zz@localhost/db"),
        std::string("postgresql://u:p@s3cret@localhost/db"), std::string("postgresql://u:x/s3cret@localhost/db"),
        std::string("postgresql://u:1/s3cret@localhost/db"), std::string("postgresql://u:x#s3cret@local host/db"),
        std::string("postgresql://u:s3cret@localhost:port/db"),
        std::string("postgresql://u:s3cret@localhost/db?nope=s3cret"),
        std::string("postgresql://u:s3cret@localhost/db?sslmode=s3cret"),
        std::string("postgresql://u:s3cret@no-such-host.invalid/db?timeout=300ms"),
        std::string("postgresql://u:s3cret@127.0.0.1:1/db?timeout=300ms"),
        std::string("postgresql://u:s3cret@127.0.0.1:1/db?timeout=s3cret"),
        std::string("host=127.0.0.1 port=1 password=s3cret connect_timeout=s3cret"),
        std::string("host=127.0.0.1 password='s3cret"), std::string("password=s3cret nope=s3cret"),
        "postgresql://nobody_s3cret:s3cret@/db?host=" + host + "&password=s3cret"}) {
    const Error error = error_of([&] { return Store::open(wrong, {.timeout = 300ms}); });
    EXPECT_THAT(error.what(), Not(HasSubstr("s3cret"))) << wrong;
    EXPECT_EQ(error.outcome(), Outcome::not_applied) << wrong;
  }
}

TEST_F(PostgresEngine, P15_WhatBelongsToLibpqReachesIt) {
  const auto sessions = [&](const std::string& name) {
    return sql().value(
        "select count(*) from pg_stat_activity where datname = current_database() and "
        "application_name = '" +
        name + "'");
  };
  const Store store = open("&application_name=the_app&pool_size=1&options=-c%20geqo%3Doff");
  store.set("k", "v");
  EXPECT_EQ(sessions("the_app"), "1");
  EXPECT_EQ(sessions("tuskv"), "0");
  const Store plain = open("&pool_size=1");
  EXPECT_EQ(sessions("tuskv"), "1");
}

TEST_F(PostgresEngine, PoolSizeIsALimit) {
  const Store store = open("&application_name=pooled&pool_size=3&direct_callers=20");
  std::vector<std::thread> callers;
  for (int i = 0; i < 16; ++i) {
    callers.emplace_back([&, i] {
      for (int j = 0; j < 50; ++j) store.set("k" + std::to_string(i), std::to_string(j));
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(sql().value("select count(*) from pg_stat_activity where application_name = 'pooled'"), "3");
  EXPECT_EQ(store.count(), 16u);
}

// ---- rights and limits of the server

TEST_F(PostgresEngine, R14_ARoleThatMayOnlyReadReads) {
  const std::string role = "reader_" + std::to_string(::getpid());
  open().set("k", "v");
  sql().run("create role " + role + " login; grant select on tuskv to " + role);
  {
    const Store store = Store::open(url("&create=false&ttl_mode=manual", role));
    EXPECT_THAT(store.get("k"), Optional(std::string("v")));
    EXPECT_EQ(store.count(), 1u);
    const Error error = error_of([&] { return store.set_if_present("k", "w"); });
    EXPECT_EQ(error.code(), Code::Config) << error.what();
    EXPECT_EQ(error.sqlstate(), "42501");
    EXPECT_EQ(error.outcome(), Outcome::not_applied);
    EXPECT_THAT(store.get("k"), Optional(std::string("v")));
  }
  sql().run("drop owned by " + role + "; drop role " + role);
}

TEST_F(PostgresEngine, R6_FewerConnectionsThanThePoolWantsAreEnough) {
  const std::string role = "limited_" + std::to_string(::getpid());
  open();
  sql().run("create role " + role + " login connection limit 2; grant all on tuskv to " + role);
  {
    const Store store = Store::open(url("&pool_size=8&create=false&direct_callers=8&ttl_mode=manual", role));
    std::vector<std::thread> callers;
    for (int i = 0; i < 8; ++i) {
      callers.emplace_back([&] {
        for (int j = 0; j < 20; ++j) store.increment("n");
      });
    }
    for (std::thread& caller : callers) caller.join();
    EXPECT_THAT(store.get("n"), Optional(std::string("160")));
  }
  sql().run("drop owned by " + role + "; drop role " + role);
}

TEST_F(PostgresEngine, AServerThatIsNotThereIsAConnectionErrorInTime) {
  const auto start = std::chrono::steady_clock::now();
  const Error error = error_of([] { return Store::open("postgresql://127.0.0.1:1/db?timeout=400ms"); });
  EXPECT_EQ(error.code(), Code::Connection) << error.what();
  EXPECT_TRUE(error.retryable());
  EXPECT_LT(std::chrono::steady_clock::now() - start, 1400ms);
  expect_config_error(shared().server().url("no_such_database"), {"no_such_database"});
}

// ---- locks

TEST_F(PostgresEngine, R7_ALockedRowHoldsUpOnlyThoseWhoWantIt) {
  const Store store = open("&timeout=1500ms&direct_callers=1&batches=1&pool_size=3");
  store.set("locked", "v");
  SqlConnection holder = other_session();
  holder.run("begin; select 1 from tuskv where key = '\\x00'::bytea || 'locked' for update");
  std::atomic<int> in_time = 0;
  std::atomic<int> late = 0;
  std::vector<std::thread> callers;
  for (int i = 0; i < 12; ++i) {
    callers.emplace_back([&, i] {
      try {
        for (int j = 0; j < 5; ++j) {
          i == 5 ? store.set("locked", "w") : store.set("k" + std::to_string(i), "w");
          i == 6 ? store.increment("locked") : store.increment("n" + std::to_string(i));
        }
        ++in_time;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::Timeout) << error.what();
        EXPECT_TRUE(i == 5 || i == 6) << error.what();
        ++late;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(in_time, 10);
  EXPECT_EQ(late, 2);
  EXPECT_THAT(store.get("locked"), Optional(std::string("v")));  // readers never wait
  // What has to lock before it can write, and did not get the lock, certainly did not happen.
  const Error error = error_of([&] { return store.set_if_present("locked", "w"); });
  EXPECT_EQ(error.code(), Code::Timeout) << error.what();
  EXPECT_EQ(error.outcome(), Outcome::not_applied);
  holder.run("rollback");
  store.set("locked", "x");
  EXPECT_THAT(store.get("locked"), Optional(std::string("x")));
}

TEST_F(PostgresEngine, ALongerTimeoutOfAViewIsGiven) {
  const Store store = open("&timeout=300ms");
  store.set("k", "1");
  SqlConnection holder = other_session();
  holder.run("begin; select 1 from tuskv where key = '\\x00'::bytea || 'k' for update");
  std::thread release([&] {
    std::this_thread::sleep_for(900ms);
    holder.run("rollback");
  });
  store.with_timeout(20s).set("k", "2");
  EXPECT_EQ(store.with_timeout(20s).increment("k"), 3);
  release.join();
}

// ---- sizes

/// With partitions a batch of reads finds rows by ordinal, without by their keys, in the order of bytes.
TEST_F(PostgresEngine, ManyReadsFindEachKeyByItsBytes) {
  using std::string_literals::operator""s;
  const std::vector<std::string> present = {"a", "a\0"s, "a\0b"s, "ab", "\x7f", "\x80", "\xff", "\xff\xff"};
  const std::vector<std::string> asked = {"\xff\xff", "absent", "a",  "\xff\xfe", "a\0b"s, "\x80",
                                          "a",        "\x01",   "ab", "\xff",     "a\0"s,  "\x7f"};
  for (const std::string options : {"&table=plain", "&table=parts&partitions=3"}) {
    const Store store = open(options);
    for (const std::string& key : present) store.set(key, "value of " + key);
    store.set("absent", "was here");
    store.erase("absent");
    const std::vector<std::optional<std::string>> found = store.get_many(asked);
    ASSERT_EQ(found.size(), asked.size());
    for (std::size_t i = 0; i < asked.size(); ++i) {
      const bool is_present = std::find(present.begin(), present.end(), asked[i]) != present.end();
      EXPECT_EQ(found[i], is_present ? std::optional("value of " + asked[i]) : std::nullopt) << options << " " << i;
    }
  }
}

TEST_F(PostgresEngine, LargeValuesTravelAloneAndWhole) {
  const Store store = open("&direct_callers=1");
  std::vector<std::string> keys;
  std::vector<std::string> values;
  for (const std::size_t size : {0u, 1u, (64u << 10) - 1, 64u << 10, (64u << 10) + 1, 3u << 20}) {
    values.push_back(std::string(size, static_cast<char>('a' + values.size())));
    keys.push_back("k" + std::to_string(size));
    store.set(keys.back(), values.back());
  }
  std::vector<std::thread> readers;
  for (int t = 0; t < 8; ++t) {
    readers.emplace_back([&] {
      for (std::size_t i = 0; i < keys.size(); ++i) EXPECT_TRUE(store.get(keys[i]) == values[i]) << keys[i];
    });
  }
  for (std::thread& reader : readers) reader.join();
  const auto all = store.get_many(keys);
  for (std::size_t i = 0; i < keys.size(); ++i) EXPECT_TRUE(all[i] == values[i]) << keys[i];
  EXPECT_TRUE(store.get_and_erase(keys.back()) == values.back());
}

}  // namespace
}  // namespace tuskv::test
