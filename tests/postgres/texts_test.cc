// What stands in the texts of our statements means what was meant, whatever settings and search paths make of it.
#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "postgres/server_test.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using testing::Optional;

class PostgresTexts : public ServerTest {};

/// Every way of the engine to its statements.
void call_everything(const Store& store) {
  store.set("k", "1", {.ttl = 3600s});
  store.set_many({{"a", "1"}, {"b", "2"}});
  store.increment("n");
  store.get_many({"a", "b", "none"});
  store.get_entry("k");
  EXPECT_THAT(store.get("k"), Optional(std::string("1")));
  EXPECT_TRUE(store.compare_and_swap("k", "1", "2"));
  store.set_if_absent("x", "3");
  store.expire("x", 3600s);
  store.transaction([](Transaction& tx) { tx.set("c", std::to_string(tx.count({.prefix = "a"}))); });
  EXPECT_EQ(store.scan({.glob = "*"}).entries.size(), 6u);
  EXPECT_EQ(store.scan({.reverse = true}).entries.size(), 6u);
  EXPECT_EQ(store.count({.glob = "?"}), 6u);
  EXPECT_EQ(store.count(), 6u);
  EXPECT_EQ(store.search_values("2").entries.size(), 2u);
  EXPECT_EQ(store.search_values("2", {.ignore_case = true}).entries.size(), 2u);
  EXPECT_TRUE(store.find_by_field("k", "f", "2").entries.empty());
  store.erase_many({"a", "none"});
  store.erase("b");
  EXPECT_EQ(store.erase_prefix("c"), 1u);
  store.cleanup_expired();
  EXPECT_EQ(store.stats().entries, 3u);
  store.diagnose();
}

/// What sweeps, locks, syncs and looks into documents, too.
void call_more(const Store& store, bool is_jsonb) {
  store.set("expired", "1", {.ttl = 1ms});
  EXPECT_TRUE(eventually([&] { return !store.exists("expired"); }));
  store.start_sweeper({.interval = 1ms});
  const std::uint64_t swept = store.stats().swept;
  store.set("swept", "1", {.ttl = 1ms});
  EXPECT_TRUE(eventually([&] { return store.stats().swept > swept; }));
  store.stop_sweeper();
  store.increment("n", 1, {.ttl_if_created = 3600s});
  store.update("k", [](std::optional<std::string_view>) { return "4"; });
  EXPECT_TRUE(store.try_lock("l"));
  EXPECT_TRUE(store.claim("c", "me").granted);
  store.transaction([](Transaction& tx) {
    tx.get_many({"k", "none"});
    tx.set("t", "5", {.ttl = 3600s});
  });
  store.set("doc:1", R"({"f": "x"})");
  EXPECT_EQ(store.find_by_field("doc", "f", "\"x\"").entries.size(), 1u);
  EXPECT_EQ(store.find_by_field("doc", "f", "x", {.text = true}).entries.size(), 1u);
  if (!is_jsonb) return;
  EXPECT_TRUE(store.create_index("f"));
  EXPECT_EQ(store.find_by_field("doc", "f", "\"x\"").entries.size(), 1u);
  EXPECT_EQ(store.find_by_field("doc", "f", "x", {.text = true}).entries.size(), 1u);
  EXPECT_THAT(store.indexes(), testing::ElementsAre("f"));
  store.diagnose();
  EXPECT_TRUE(store.drop_index("f"));
}

/// A schema in front of the server's own, with a function of every name that there is.
constexpr const char* kPlant =
    "do $$ declare f record; begin "
    "for f in select proname, pg_get_function_identity_arguments(oid) as arguments, "
    "pg_get_function_result(oid) as result from pg_proc where pronamespace = 'pg_catalog'::regnamespace "
    "and prokind = 'f' "
    "loop begin execute format('create function hostile.%I(%s) returns %s language plpgsql as "
    "''begin raise exception $m$hijacked: %s$m$; end''', f.proname, f.arguments, f.result, f.proname); "
    "exception when others then null; end; end loop; end $$; grant usage on schema hostile to public";

TEST_F(PostgresTexts, R33_FunctionsPlantedInTheSearchPathAreNotCalled) {
  const std::string role = "role_" + database();
  sql().run("create role " + role + " login; create schema authorization " + role + "; create schema hostile");
  sql().run(kPlant);
  EXPECT_GT(std::stoi(sql().value("select count(*) from pg_proc where pronamespace = 'hostile'::regnamespace")), 1500);
  sql().run("alter role " + role + " set search_path = hostile, pg_catalog");
  for (const std::string options : {"&table=one", "&table=two&durability=unlogged", "&table=three&value_type=jsonb"}) {
    SCOPED_TRACE(options);
    const auto failure =
        failure_of(20s, [&] { call_everything(Store::open(url("&ttl_mode=on_read&schema=" + role + options, role))); });
    EXPECT_FALSE(failure) << failure->what();
  }
  sql().run("drop owned by " + role + "; drop role " + role);
}

/// In the schema that everybody shares: an operator for each pair of types that the server's own have none for, and
/// functions of the names that stand for aggregates. Under the default search path such a one is the better match for
/// whatever is not exactly of the types of the server's own. Each tells that it was called.
constexpr const char* kPlantOperators =
    "create table public.called(what text); grant insert on public.called to public; set search_path = pg_catalog; "
    "do $$ declare o text; l text; r text; result text; "
    "types text[] := array['name', 'text', 'bytea', 'int2', 'int4', 'int8', 'float4', 'float8', 'numeric', 'bool', "
    "'oid', 'regclass', 'timestamptz', 'interval', 'jsonb', '\"char\"']; "
    "body text := 'begin insert into public.called values (%L); return null; end'; begin "
    "foreach o in array array['||', '=', '<', '<=', '>', '>=', '<>', '+', '-', '*', '/', '%', '>>', '<<', '|', '&', "
    "'~', '~~', '->', '->>'] loop foreach l in array types loop foreach r in array types loop "
    "continue when exists(select from pg_operator where oprnamespace = 'pg_catalog'::regnamespace and oprname = o "
    "and oprleft = l::regtype and oprright = r::regtype); "
    "result := case when o in ('=', '<', '<=', '>', '>=', '<>', '~', '~~') then 'bool' when o in ('||', '->>') then "
    "'text' else r end; "
    "execute format('create function public.%I(%s, %s) returns %s language plpgsql as %L', 'op_' || o, l, r, result, "
    "format(body, l || ' ' || o || ' ' || r)); "
    "execute format('create operator public.%s (leftarg = %s, rightarg = %s, function = public.%I)', o, l, r, "
    "'op_' || o); end loop; end loop; end loop; "
    "foreach o in array array['count', 'sum', 'min', 'max', 'unnest'] loop foreach l in array types loop "
    "continue when exists(select from pg_proc where pronamespace = 'pg_catalog'::regnamespace and proname = o "
    "and proargtypes::oid[] = array[l::regtype::oid]); "
    "execute format('create function public.%I(%s) returns int8 language plpgsql as %L', o, l, "
    "format(body, o || '(' || l || ')')); end loop; end loop; end $$; reset search_path";

TEST_F(PostgresTexts, R55_OperatorsPlantedInTheSearchPathAreNotCalled) {
  const std::string role = "role_" + database();
  sql().run("create role " + role + " login; create schema authorization " + role);
  sql().run(kPlantOperators);
  EXPECT_GT(std::stoi(sql().value("select count(*) from pg_operator where oprnamespace = 'public'::regnamespace")),
            3000);
  std::atomic<int> failed_sweeps = 0;
  Options options{.ttl_mode = TtlMode::on_read};
  options.event_context = &failed_sweeps;
  options.on_event = [](void* context, const Event& event) {
    if (event.kind == Event::Kind::sweep_failed) ++*static_cast<std::atomic<int>*>(context);
  };
  // The pooler knows the superuser alone.
  for (const std::string& address :
       {shared().server().url(database(), role), shared().pooler().url(database()) + "&schema=" + role}) {
    for (const std::string table :
         {"one", "two&durability=unlogged", "three&value_type=jsonb&durability=relaxed", "four&partitions=3"}) {
      SCOPED_TRACE(address + " " + table);
      const bool is_jsonb = table.find("jsonb") != std::string::npos;
      const auto failure = failure_of(20s, [&] {
        const Store store = Store::open(address + "&table=" + table, options);
        call_everything(store);
        call_more(store, is_jsonb);
        if (is_jsonb) store.sync();
        const std::string view = role + "." + table.substr(0, table.find('&')) + "_view";
        EXPECT_GE(sql().run("select * from " + view).size(), 5u);
        store.clear();
      });
      EXPECT_FALSE(failure) << failure->what();
      EXPECT_EQ(sql().value("select coalesce(string_agg(distinct what, ', '), 'none') from called"), "none");
    }
    sql().run("drop schema " + role + " cascade; create schema authorization " + role);
  }
  EXPECT_EQ(failed_sweeps, 0);
  sql().run("drop owned by " + role + "; drop role " + role);
}

/// What stands in our texts is meant as written, also where a backslash could mean something else.
TEST_F(PostgresTexts, R34_R120_TextsAreReadAsWrittenWhateverTheServerSays) {
  sql().run("create schema \"o\\d'd\"; alter database " + database() + " set search_path = \"o\\d'd\"; " +
            "alter database " + database() + " set standard_conforming_strings = off");
  for (const bool pooled : {false, true}) {
    SCOPED_TRACE(pooled);
    const PostgresAddress& address = pooled ? shared().pooler() : shared().server();
    const std::string table = pooled ? "pooled" : "direct";
    const Store store = Store::open(address.url(database()) + "&ttl_mode=manual&durability=unlogged&table=" + table);
    const auto failure = failure_of(20s, [&] { call_everything(store); });
    EXPECT_FALSE(failure) << failure->what();
    EXPECT_EQ(other_session().value("select string_agg(key, ',' order by key) from " + table + "_view"), "k,n,x");
  }
}

}  // namespace
}  // namespace tuskv::test
