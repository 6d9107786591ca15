// What calls cost the server, counted: statements, rows and index entries read, bytes on the wire, updates that touch
// no index. Times are for the bench: they differ from machine to machine, and these do not.
#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "postgres/server_test.h"
#include "support/fault_proxy.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

using Call = std::function<void(const Store&)>;

class PostgresCost : public ServerTest {
 protected:
  std::int64_t number(const std::string& query) { return std::stoll(sql().value(query)); }
  /// A session tells what it has done when it ends.
  void close(const Store& store, const std::string& application) {
    store.close();
    EXPECT_TRUE(eventually([&] {
      return number("select count(*) from pg_stat_activity where application_name = '" + application + "'") == 0;
    }));
  }
};

struct Keys {
  explicit Keys(int count) {
    for (int i = 0; i < count; ++i) names.push_back("k" + std::to_string(1'000'000 + i));
    for (const std::string& name : names) items.push_back({.key = name, .value = "value"});
  }
  std::vector<std::string> names;
  std::vector<Item> items;
};

// ---- batches

/// As many statements for a thousand keys as for two, and a fraction of the bytes.
TEST_F(PostgresCost, P16_ABatchIsNotItsItemsOneByOne) {
  FaultProxy proxy(shared().server());
  const Store store = Store::open(proxy.address().url(database()) + "&sslmode=disable&ttl_mode=manual&pool_size=1");
  sql().run(
      "create sequence statements; create function count_statement() returns trigger language plpgsql as "
      "$$ begin perform nextval('statements'); return null; end $$; create trigger count_statement before insert or "
      "update or delete on tuskv for each statement execute function count_statement()");
  struct Cost {
    std::int64_t writes = 0;
    std::uint64_t bytes = 0;
  };
  const auto bytes = [&] { return proxy.bytes(ProxyDirection::to_server) + proxy.bytes(ProxyDirection::to_client); };
  const auto cost_of = [&](const std::function<void()>& call) {
    sql().run("select setval('statements', 1)");
    const std::uint64_t before = bytes();
    call();
    return Cost{.writes = number("select last_value - 1 from statements"), .bytes = bytes() - before};
  };
  using OnKeys = std::function<void(const Keys&)>;
  const std::vector<std::pair<const char*, OnKeys>> calls = {
      {"set_many", [&](const Keys& keys) { store.set_many(keys.items); }},
      {"get_many", [&](const Keys& keys) { EXPECT_EQ(store.get_many(keys.names).size(), keys.names.size()); }},
      {"exists_many", [&](const Keys& keys) { EXPECT_EQ(store.exists_many(keys.names), keys.names.size()); }},
      {"erase_many", [&](const Keys& keys) { EXPECT_EQ(store.erase_many(keys.names), keys.names.size()); }},
      {"set_many_if_absent", [&](const Keys& keys) { EXPECT_TRUE(store.set_many_if_absent(keys.items)); }},
      {"set_many with TTLs kept", [&](const Keys& keys) { store.set_many(keys.items, {.keep_ttl = true}); }},
      {"transaction",
       [&](const Keys& keys) {
         store.transaction([&](Transaction& tx) {
           for (const std::string& name : keys.names) tx.set(name, "value");
         });
       }},
      {"transaction of instants",
       [&](const Keys& keys) {
         const auto later = std::chrono::system_clock::now() + 1h;
         store.transaction([&](Transaction& tx) {
           for (const std::string& name : keys.names) tx.set(name, "value", {.expires_at = later});
         });
       }},
      {"erase_many again", [&](const Keys& keys) { store.erase_many(keys.names); }},
  };
  const Keys two(2);
  const Keys thousand(1000);
  std::vector<Cost> costs_of_few(calls.size());
  for (const Keys* keys : {&two, &two, &thousand}) {  // the first time statements are prepared
    for (std::size_t i = 0; i < calls.size(); ++i) {
      SCOPED_TRACE(calls[i].first);
      const Cost cost = cost_of([&] { calls[i].second(*keys); });
      if (keys == &thousand) {
        EXPECT_EQ(cost.writes, costs_of_few[i].writes);
        EXPECT_LT(cost.bytes, 1000 * costs_of_few[i].bytes / 4) << costs_of_few[i].bytes << " for two";
      }
      costs_of_few[i] = cost;
    }
  }
}

// ---- options

/// How many keys, and bytes of values, the largest statement had that callers shared.
TEST_F(PostgresCost, P15_BatchesAreAsLargeAsTheOptionsSay) {
  sql().run(
      "create table batches (keys int8, bytes int8); create function note_batch() returns trigger language "
      "plpgsql as $$ begin insert into batches select count(*), sum(octet_length(value)) from new_rows; "
      "perform pg_sleep(0.01); return null; end $$");  // meanwhile the next one fills
  const std::string value(1000, 'v');
  const auto largest = [&](const std::string& table, const std::string& parameters) {
    const Store store = open("&ttl_mode=manual&timeout=20s&direct_callers=1&batches=1&table=" + table + parameters);
    sql().run("truncate batches; create trigger note_batch after insert on " + table +
              " referencing new table as new_rows for each statement execute function note_batch()");
    run_threads(24, [&](int thread) {
      for (int i = 0; i < 2; ++i) store.set("k" + std::to_string(thread) + ":" + std::to_string(i), value);
    });
    EXPECT_EQ(number("select sum(keys) from batches"), 48);
    return std::pair(number("select max(keys) from batches"), number("select max(bytes) from batches"));
  };
  EXPECT_GT(largest("as_it_is", "").first, 8);
  const std::int64_t keys = largest("of_keys", "&batch_keys=3").first;
  EXPECT_TRUE(keys == 2 || keys == 3) << keys;
  const std::int64_t bytes = largest("of_bytes", "&batch_bytes=4KiB").second;
  EXPECT_TRUE(bytes > 1000 && bytes <= 4096) << bytes;
}

/// What is prepared is sent by its name.
TEST_F(PostgresCost, P15_StatementsAreSentOnceOrEachTimeAsTheOptionSays) {
  open().set("k", "v");
  const auto is_sent_each_time = [&](const PostgresAddress& address, const std::string& mode) {
    FaultProxy proxy(address);
    const Store store = Store::open(proxy.address().url(database()) +
                                    "&sslmode=disable&ttl_mode=manual&pool_size=1&create=false&prepare=" + mode);
    std::uint64_t least = UINT64_MAX;
    for (int i = 0; i < 10; ++i) {
      const std::uint64_t before = proxy.bytes(ProxyDirection::to_server);
      EXPECT_TRUE(store.get("k"));
      least = std::min(least, proxy.bytes(ProxyDirection::to_server) - before);
    }
    return least > 150;  // the text alone; without it a message of half of that
  };
  EXPECT_FALSE(is_sent_each_time(shared().server(), "auto"));
  EXPECT_FALSE(is_sent_each_time(shared().server(), "always"));
  EXPECT_TRUE(is_sent_each_time(shared().server(), "never"));
  EXPECT_TRUE(is_sent_each_time(shared().pooler(), "auto"));
  // One client alone has the same server connection each time, so this pooler supports it well enough.
  EXPECT_FALSE(is_sent_each_time(shared().pooler(), "always"));
}

// ---- updates

/// The index has buckets of minutes, so that an expiry can move without it; an index of instants would be written with
/// each update.
TEST_F(PostgresCost, R112_UpdatesThatOnlyMoveTheExpiryStayHot) {
  const Store store = open("&ttl_mode=manual&pool_size=1&application_name=mover");
  // A quarter into a bucket of 256 s, in some days.
  const std::int64_t begin_ms = (((number("select extract(epoch from now())::int8") >> 8) + 1000) * 256 + 64) * 1000;
  store.set("k", "v", {.expires_at = TimePoint(std::chrono::milliseconds(begin_ms))});
  for (int i = 1; i <= 1000; ++i) EXPECT_TRUE(store.expire_at("k", TimePoint(std::chrono::milliseconds(begin_ms + i))));
  close(store, "mover");
  const auto count = [&](const std::string& column) {
    return number("select " + column + " from pg_stat_user_tables where relname = 'tuskv'");
  };
  EXPECT_GE(count("n_tup_upd"), 1000);
  // All, but for those that found their page full: another session's snapshot may keep the dead ones there.
  EXPECT_GE(count("n_tup_hot_upd"), 900);
}

// ---- plans

constexpr int kLarge = 3000;

/// A call, and how many rows and index entries it may read of `kLarge`.
struct CostCase {
  const char* name;
  std::int64_t rows_max;
  Call call;
};

/// On a table of many keys g…, all of which expire some time; some keys dead…, which have; and few keys k….
std::vector<CostCase> cost_cases() {
  static const Keys some(20);
  const auto in_transaction = [](auto act) { return [act](const Store& store) { store.transaction(act); }; };
  return {
      {"get", 2, [](const Store& store) { store.get("k1000000"); }},
      {"get_entry", 2, [](const Store& store) { store.get_entry("k1000000"); }},
      {"ttl", 2, [](const Store& store) { store.ttl("k1000000"); }},
      {"get_many", 40, [](const Store& store) { store.get_many(some.names); }},
      {"exists_many", 40, [](const Store& store) { store.exists_many(some.names); }},
      {"set", 4, [](const Store& store) { store.set("k1000000", "w"); }},
      {"set_many", 80, [](const Store& store) { store.set_many(some.items); }},
      {"set_many_if_absent", 80, [](const Store& store) { store.set_many_if_absent(some.items); }},
      {"set_if_absent", 8, [](const Store& store) { store.set_if_absent("k1000001", "w"); }},
      {"set_if_present", 8, [](const Store& store) { store.set_if_present("k1000001", "w"); }},
      {"compare_and_swap", 8, [](const Store& store) { store.compare_and_swap("k1000001", "w", "x"); }},
      {"update", 12, [](const Store& store) { store.update("k1000001", [](auto) { return Change("w"); }); }},
      {"increment", 4, [](const Store& store) { store.increment("n"); }},
      {"increment of what is absent", 12, [](const Store& store) { store.increment("fresh"), store.erase("fresh"); }},
      {"get_and_set", 8, [](const Store& store) { store.get_and_set("k1000002", "w"); }},
      {"get_and_erase", 8, [](const Store& store) { store.get_and_erase("k1000003"); }},
      {"erase", 4, [](const Store& store) { store.erase("k1000004"); }},
      {"erase_many", 80,
       [](const Store& store) {
         store.erase_many({"k1000005", "k1000006", "none"});
       }},
      {"get_and_touch", 8, [](const Store& store) { store.get_and_touch("k1000007", 1h); }},
      {"expire", 8, [](const Store& store) { store.expire("k1000007", 2h); }},
      {"persist", 8, [](const Store& store) { store.persist("k1000007"); }},
      {"scan", 120, [](const Store& store) { store.scan({.prefix = "g", .limit = 50}); }},
      {"scan from the middle", 120, [](const Store& store) { store.scan({.after = "g2500", .limit = 50}); }},
      {"scan backwards", 120, [](const Store& store) { store.scan({.limit = 50, .reverse = true}); }},
      {"keys", 300, [](const Store& store) { store.keys({.glob = "g12?", .limit = 50}); }},
      {"count", 300, [](const Store& store) { store.count({.prefix = "g12"}); }},
      {"count of a glob", 300, [](const Store& store) { store.count({.glob = "g12?"}); }},
      {"erase_prefix", 300, [](const Store& store) { store.erase_prefix("g14"); }},
      {"erase_range", 300, [](const Store& store) { store.erase_range("g16", "g17"); }},
      {"cleanup_expired", 200, [](const Store& store) { store.cleanup_expired(20); }},
      {"sweeper", 1000,  // and who waits for it
       [](const Store& store) {
         store.set("dead", "now", {.ttl = 1ms});
         store.start_sweeper({.interval = 50ms, .batch = std::size_t{50}});
         const ScanOptions dead = {.prefix = "dead", .limit = 1, .include_expired = true};
         EXPECT_TRUE(eventually([&] { return store.scan(dead).entries.empty(); }));
         store.stop_sweeper();
       }},
      {"transaction", 40,
       in_transaction([](Transaction& tx) { tx.set("k1000008", tx.get("k1000009").value_or("w")); })},
      {"transaction that lists", 1000,
       in_transaction([](Transaction& tx) { tx.set("k1000008", std::to_string(tx.count({.prefix = "g18"}))); })},
  };
}

class PostgresCostOfPlans : public PostgresCost {
 protected:
  /// A call prepared on few rows, and made on many. The table has `partitions`, of which each may be looked at.
  void expect_good_plans(int partitions) {
    const std::string options = "&ttl_mode=manual&pool_size=1&partitions=" + std::to_string(partitions);
    open(options);
    sql().run(
        "do $$ declare leaf regclass; begin for leaf in select oid from pg_class where relname like 'tuskv%' and "
        "relkind "
        "= 'r' loop execute format('alter table %s set (autovacuum_enabled = off)', leaf); end loop; end $$");
    for (const int rows : {0, 1, 3, 20}) {
      for (const CostCase& one : cost_cases()) {
        SCOPED_TRACE(std::string(one.name) + ", prepared on rows: " + std::to_string(rows));
        make_small(rows, options);
        const Store store = open(options + "&application_name=plans");
        one.call(store);
        make_large();
        const std::int64_t before = rows_read();
        one.call(store);
        close(store, "plans");
        EXPECT_LE(rows_read() - before, one.rows_max * std::max(1, partitions));
      }
    }
  }

 private:
  /// What the server believes of the table is true, and as many rows as said.
  void make_small(int rows, const std::string& options) {
    sql().run("truncate tuskv");
    const Store store = open(options + "&application_name=small");
    store.set_many(Keys(rows).items);
    close(store, "small");
    sql().run("vacuum analyze tuskv");
  }
  /// Plans are made anew when the table is analyzed or changed, and are not by this.
  void make_large() {
    sql().run(
        "insert into tuskv(key, value, expires_at, expires_bucket, created_at, updated_at, version) "
        "select '\\x00'::bytea || convert_to(r.name, 'UTF8'), 'v', r.at, "
        "(extract(epoch from r.at)::int8 >> 8)::int4 + 1, now(), now(), 1 from (select 'g' || i as name, "
        "now() + interval '1 day' + i * interval '1 s' as at from generate_series(1, " +
        std::to_string(kLarge) +
        ") i union all select 'dead' || i, now() - interval '1 day' from generate_series(1, 40) i) r");
  }
  std::int64_t rows_read() {
    return number(
        "select (select sum(seq_tup_read) from pg_stat_user_tables where relname like 'tuskv%') + "
        "(select sum(idx_tup_read) from pg_stat_user_indexes where relname like 'tuskv%')");
  }
};

/// A plan made while the table was small must not be used when it has grown, and no plan may read what its call does
/// not need. Rows read tell that with fewer rows than it would take to feel it.
TEST_F(PostgresCostOfPlans, R113_PlansStayGoodWhenTheTableGrows) { expect_good_plans(0); }
TEST_F(PostgresCostOfPlans, R113_PlansStayGoodWhenPartitionsGrow) { expect_good_plans(2); }

}  // namespace
}  // namespace tuskv::test
