// Indexes on the fields of documents: that they are used, that they belong to their table, and that no name or value
// gets into a statement.
#include "postgres/field_index.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "json_member.h"
#include "postgres/schema.h"
#include "postgres/server_test.h"
#include "postgres/statements.h"
#include "postgres/target.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;
using testing::HasSubstr;
using testing::Not;
using Names = std::vector<std::string>;

class PostgresIndex : public ServerTest {
 protected:
  /// Of our indexes, as SQL has them.
  Names index_names() {
    Names names;
    for (const SqlRow& row :
         sql().run("select c.oid::regclass from pg_class c where c.relname like 'tuskv\\_field\\_%' "
                   "and not c.relispartition order by 1")) {
      names.push_back(row.at(0).value());
    }
    return names;
  }
};

/// The plan of a page through an index, in a session like those of a store.
std::string plan_of(SqlConnection& sql, const std::string& table, const std::string& field, const std::string& value,
                    bool or_written_as) {
  const postgres::TableName name{.schema = "public", .table = table};
  const postgres::Statements statements({.table = name.quoted(), .value_type = ValueType::jsonb});
  const postgres::Statement page =
      statements.indexed_page(postgres::escaped_literal(field), postgres::index_comment(field), or_written_as);
  const postgres::SessionSettings settings{.synchronous_commit = true, .statement_timeout_ms = 60'000};
  const postgres::Target target = postgres::Target::parse("postgresql://").value();
  for (const auto& [keyword, options] : target.keywords(target.hosts().front(), &settings)) {
    if (keyword != "options") continue;
    for (std::size_t at = options.find("-c "); at != std::string::npos; at = options.find("-c ", at + 1)) {
      const std::size_t equal = options.find('=', at);
      std::string setting = options.substr(equal + 1, options.find(" -c ", at) - equal - 1);
      std::erase(setting, '\\');
      sql.run("set " + options.substr(at + 3, equal - at - 3) + " = " + SqlConnection::quoted(setting));
    }
  }
  sql.run("prepare page(bytea, bytea, int8, bool, bool, int8, int8, text" +
          std::string(or_written_as ? ", text, text" : "") + ") as " + page.text);
  std::string plan;
  for (const SqlRow& row : sql.run("explain (analyze, timing off, summary off) execute page('\\x00633a', '\\x00633b', "
                                   "102, false, true, 16777216, 100, " +
                                   SqlConnection::quoted(value) + (or_written_as ? ", '7', '7'" : "") + ")")) {
    plan += row.at(0).value() + "\n";
  }
  sql.run("deallocate page");
  return plan;
}

void fill(SqlConnection& sql, const std::string& table, int count) {
  sql.run(
      "insert into " + table +
      "(key, value, created_at, updated_at, version) select '\\x00'::bytea || convert_to('c:' || lpad(i::text, 7, "
      "'0'), 'UTF8'), jsonb_build_object('n', i % 1000, 'half', i % 2 = 0, 'pad', repeat('x', 50)), now(), now(), i "
      "from generate_series(1, " +
      std::to_string(count) + ") i");
}

TEST_F(PostgresIndex, Y11_AnIndexIsUsedWhateverIsKnownOfTheData) {
  const Store store = open("&value_type=jsonb");
  fill(sql(), "tuskv", 20'000);
  ASSERT_TRUE(store.create_index("n"));
  ASSERT_TRUE(store.create_index("half"));
  for (const bool analyzed : {false, true}) {
    if (analyzed) sql().run("analyze tuskv");
    for (const auto& [field, value] :
         {std::pair("n", "7"), std::pair("n", "\"none\""), std::pair("half", "null"), std::pair("half", "true")}) {
      for (const bool or_written_as : {false, true}) {
        const std::string plan = plan_of(sql(), "tuskv", field, value, or_written_as);
        EXPECT_THAT(plan, HasSubstr("tuskv_field_")) << plan;
        EXPECT_THAT(plan, HasSubstr("Index Cond: ((jsonb_hash_extended(")) << plan;
        EXPECT_THAT(plan, Not(HasSubstr("_pkey"))) << plan;
        EXPECT_THAT(plan, Not(HasSubstr("Seq Scan on tuskv"))) << plan;
        EXPECT_EQ(plan.find("Sort") != std::string::npos, or_written_as) << plan;
      }
    }
  }
  // Pages stay in key order.
  Names keys;
  std::string after;
  do {
    Page page = store.find_by_field("c", "n", "7", {.limit = 3, .after = after});
    for (Entry& entry : page.entries) keys.push_back(std::move(entry.key));
    after = std::move(page.next);
  } while (!after.empty());
  EXPECT_EQ(keys.size(), 20u);
  EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
  EXPECT_EQ(keys.front(), "c:0000007");
  EXPECT_EQ(store.find_by_field("c", "half", "true").entries.size(), 100u);
}

TEST_F(PostgresIndex, AnIndexThatSomebodyDropsIsDoneWithout) {
  const Store store = open("&value_type=jsonb&partitions=4");
  store.set_many({{"c:1", R"({"f": 1})"}, {"c:2", R"({"f": 2})"}, {"c:3", R"({"f": 1.0})"}});
  ASSERT_TRUE(store.create_index("f"));
  const auto find = [&] { return keys_of(store.find_by_field("c", "f", "1")); };
  EXPECT_EQ(find(), (Names{"c:1", "c:3"}));
  sql().run("drop index " + index_names().at(0));
  EXPECT_EQ(find(), (Names{"c:1", "c:3"}));
  EXPECT_EQ(store.indexes(), Names{});
  EXPECT_FALSE(store.drop_index("f"));
  EXPECT_TRUE(store.create_index("f"));
  EXPECT_EQ(find(), (Names{"c:1", "c:3"}));
  // doctor does not take it for one that somebody added.
  for (const Finding& finding : store.diagnose()) {
    EXPECT_TRUE(finding.topic != "indexes" || finding.severity == Finding::Severity::ok) << finding.value;
  }
}

TEST_F(PostgresIndex, AnIndexBelongsToItsTable) {
  std::optional<Store> store = open("&value_type=jsonb");
  ASSERT_TRUE(store->create_index("f"));
  sql().run("alter table tuskv rename to tuskv_old; alter view tuskv_view rename to tuskv_old_view");
  store = open("&value_type=jsonb");
  EXPECT_EQ(store->indexes(), Names{});
  EXPECT_FALSE(store->drop_index("f"));
  EXPECT_TRUE(store->create_index("f"));
  EXPECT_FALSE(store->create_index("f"));
  const Store old = open("&value_type=jsonb&table=tuskv_old");
  EXPECT_EQ(old.indexes(), Names{"f"});
  EXPECT_FALSE(old.create_index("f"));
  EXPECT_TRUE(old.drop_index("f"));
  EXPECT_EQ(store->indexes(), Names{"f"});
}

TEST_F(PostgresIndex, AnIndexThatIsNotWholeIsMadeAnew) {
  const Store store = open("&value_type=jsonb");
  store.set("c:1", R"({"f": 1})");
  ASSERT_TRUE(store.create_index("f"));
  sql().run("update pg_index set indisvalid = false where indexrelid = '" + index_names().at(0) + "'::regclass");
  EXPECT_EQ(store.indexes(), Names{});
  EXPECT_EQ(keys_of(store.find_by_field("c", "f", "1")), Names{"c:1"});
  EXPECT_TRUE(store.create_index("f"));
  EXPECT_EQ(store.indexes(), Names{"f"});
  EXPECT_EQ(index_names().size(), 1u);
}

TEST_F(PostgresIndex, ASearchIsRightWhileItsIndexComesAndGoes) {
  const Store store = open("&value_type=jsonb");
  fill(sql(), "tuskv", 500);
  std::atomic<bool> done = false;
  std::atomic<int> searches = 0;
  std::thread changing([&] {
    for (int i = 0; i < 20 || searches < 20; ++i) {
      EXPECT_TRUE(store.create_index("half"));
      EXPECT_TRUE(store.drop_index("half"));
    }
    done = true;
  });
  for (; !done; ++searches) {
    EXPECT_EQ(store.find_by_field("c", "half", "true", {.limit = 1000}).entries.size(), 250u);
  }
  changing.join();
}

// PostgreSQL leaves such an index alone; a page that counted on it would read the whole table.
TEST_F(PostgresIndex, Y11_AnIndexThatMayNotBeUsedYetIsDoneWithout) {
  const Store store = open("&value_type=jsonb");
  fill(sql(), "tuskv", 30'000);
  SqlConnection other = other_session();
  other.run("create table elsewhere(i int)");
  other.run("begin isolation level repeatable read");
  other.run("insert into elsewhere values (1)");
  sql().run("update tuskv set value = value || '{\"n\": 1000}' where key = " + stored_key("c:0030000"));
  ASSERT_TRUE(store.create_index("n"));
  ASSERT_EQ(sql().value("select indcheckxmin from pg_index where indexrelid = '" + index_names().at(0) + "'::regclass"),
            "t");
  const Page page = store.find_by_field("c", "n", "\"none\"");
  EXPECT_FALSE(page.next.empty());  // as without an index
  other.run("commit");
  // And once whatever else this server is doing has ended.
  EXPECT_TRUE(eventually([&] { return store.find_by_field("c", "n", "\"none\"").next.empty(); }));
}

TEST_F(PostgresIndex, P20_IndexesOfOneTableHoldUpNoOther) {
  const Store store = open("&value_type=jsonb");
  SqlConnection other = other_session();
  other.run("begin; lock table tuskv in row exclusive mode");
  std::thread waiting([&] { error_of([&] { return store.with_timeout(1000ms).create_index("f"); }); });
  ASSERT_TRUE(eventually([&] {
    return sql().value("select exists(select from pg_locks where relation = 'tuskv'::regclass and not granted)") == "t";
  }));
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(open("&value_type=jsonb&table=second").create_index("f"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, 800ms);
  waiting.join();
  other.run("commit");
}

TEST_F(PostgresIndex, AnIndexIsForTheOwnerOfTheTable) {
  open("&value_type=jsonb");
  const std::string role = database() + "_guest";
  sql().run("create role " + role + " login; grant all on tuskv to " + role);
  const Store theirs = Store::open(url("&value_type=jsonb", role));
  const Error error = error_of([&] { return theirs.create_index("f"); });
  EXPECT_EQ(error.code(), Code::Config);
  EXPECT_THAT(error.what(), HasSubstr("only the owner of a table"));
  EXPECT_EQ(theirs.indexes(), Names{});
  theirs.close();
  sql().run("drop owned by " + role + "; drop role " + role);
}

TEST_F(PostgresIndex, AnIndexIsUsedWithoutPreparedStatements) {
  const Store store = open("&value_type=jsonb&prepare=never");
  fill(sql(), "tuskv", 30'000);
  ASSERT_TRUE(store.create_index("n"));
  EXPECT_TRUE(store.find_by_field("c", "n", "\"none\"").next.empty());
  EXPECT_EQ(store.find_by_field("c", "n", "7").entries.size(), 30u);
  EXPECT_EQ(store.find_by_field("c", "n", "7", {.text = true}).entries.size(), 30u);
}

TEST_F(PostgresIndex, NoNameOfAFieldChangesAStatement) {
  const Store store = open("&value_type=jsonb");
  Names fields = {"'",  "\"", "\\", "f'); drop table tuskv; --", "{T}",
                  "$1", "%s", "\n", "\xc3\xa4\xf0\x9f\x98\x80",  std::string(1023, '\''),
                  "f",  "F"};
  for (const std::string& field : fields) {
    store.set("c:1", "{" + quoted_string(field) + ": 1}");
    EXPECT_TRUE(store.create_index(field)) << field;
    EXPECT_FALSE(store.create_index(field)) << field;
    EXPECT_EQ(store.find_by_field("c", field, "1").entries.size(), 1u) << field;
    EXPECT_EQ(store.find_by_field("c", field, "1", {.text = true}).entries.size(), 1u) << field;
    EXPECT_EQ(store.find_by_field("c", field + "x", "1").entries.size(), 0u) << field;
  }
  std::sort(fields.begin(), fields.end());
  EXPECT_EQ(store.indexes(), fields);
  for (const std::string& field : fields) EXPECT_TRUE(store.drop_index(field)) << field;
  EXPECT_EQ(store.indexes(), Names{});
}

TEST_F(PostgresIndex, WhatIsIndexedMayBeAnything) {
  const Store store = open("&value_type=jsonb");
  ASSERT_TRUE(store.create_index("f"));
  const std::string large(1'000'000, 'x');
  store.set("c:1", R"({"f": ")" + large + R"("})");  // more than an index takes
  store.set("c:2", R"({"f": [1, {"g": ")" + large + R"("}]})");
  store.set("c:3", R"([1])");
  store.set("c:" + std::string(1000, 'k'), R"({"f": 1e131071})");
  EXPECT_EQ(store.find_by_field("c", "f", "1e131071").entries.size(), 1u);
  EXPECT_EQ(store.find_by_field("c", "f", "\"" + large.substr(0, 60'000) + "\"").entries.size(), 0u);
  EXPECT_EQ(store.search_values(large.substr(0, 4096)).entries.size(), 2u);
}

TEST_F(PostgresIndex, P20_ManyMayMakeTheSameIndexAtOnce) {
  const Store store = open("&value_type=jsonb");
  std::atomic<int> made = 0;
  run_threads(8, [&](int) { made += store.create_index("f") ? 1 : 0; });
  EXPECT_EQ(made, 1);
  EXPECT_EQ(store.indexes(), Names{"f"});
}

TEST_F(PostgresIndex, AnIndexIsThereWholeOrNotAtAll) {
  const Store store = open("&value_type=jsonb");
  SqlConnection other = other_session();
  other.run("begin; lock table tuskv in row exclusive mode");  // a writer that does not end
  const Error error = error_of([&] { return store.with_timeout(300ms).create_index("f"); });
  EXPECT_EQ(error.code(), Code::Timeout);
  EXPECT_EQ(error.outcome(), Outcome::not_applied);
  other.run("commit");
  EXPECT_EQ(store.indexes(), Names{});
  EXPECT_TRUE(store.create_index("f"));
}

}  // namespace
}  // namespace tuskv::test
