// The sweeper beside sessions that hold rows, refresh them, or have taken its right away. What expires is moved hours
// back in the table, where no live entry is.
#include <atomic>
#include <chrono>
#include <string>
#include <vector>

#include "postgres/server_test.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

class PostgresSweep : public ServerTest {
 protected:
  /// Entries k000, k001 and so on, each expired a little later than the one before.
  void add_expired(const Store& store, int count) {
    for (int i = 0; i < count; ++i) {
      std::string number = std::to_string(i);
      number.insert(0, 3 - number.size(), '0');
      store.set("k" + number, "old", {.ttl = 1h});
    }
    sql().run(
        "update tuskv set expires_at = expires_at - interval '1 day', "
        "expires_bucket = (extract(epoch from expires_at - interval '1 day')::int8 >> 8)::int4 + 1 "
        "where expires_at is not null");
  }
  SqlConnection hold(const std::string& keys) const {
    SqlConnection holder = other_session();
    holder.run("begin; select 1 from tuskv where key in (" + keys + ") for update");
    return holder;
  }
  bool eventually_left(const std::string& count) {
    return eventually([&] { return sql().value("select count(*) from tuskv where expires_at is not null") == count; });
  }
};

/// A round that ended with the first short batch would take nine an interval, five minutes for all.
TEST_F(PostgresSweep, R92_Y3_AHeldRowCostsARoundThatRowAlone) {
  const Store store = open("&sweep_interval=1s&sweep_batch=10&ttl_mode=manual");
  add_expired(store, 300);
  SqlConnection holder = hold(stored_key("k000"));
  store.start_sweeper({.interval = 1s, .batch = std::size_t{10}});
  EXPECT_TRUE(eventually_left("1"));
  holder.run("commit");
  EXPECT_TRUE(eventually_left("0"));
}

TEST_F(PostgresSweep, R92_CleanupGoesOnBehindABatchOfHeldRows) {
  const Store store = open("&sweep_batch=2&ttl_mode=manual");
  add_expired(store, 9);
  SqlConnection holder = hold(stored_key("k000") + ", " + stored_key("k001") + ", " + stored_key("k004"));
  EXPECT_EQ(store.cleanup_expired(3), 3u);
  EXPECT_EQ(store.keys({.include_expired = true}).keys,
            (std::vector<std::string>{"k000", "k001", "k004", "k006", "k007", "k008"}));
  EXPECT_EQ(store.cleanup_expired(), 3u);
  holder.run("commit");
  EXPECT_EQ(store.cleanup_expired(), 3u);
}

TEST_F(PostgresSweep, R93_Y2_TheSweeperLeavesWhatIsBeingRefreshed) {
  const Store store = open("&ttl_mode=manual");
  add_expired(store, 2);
  SqlConnection other = other_session();
  other.run("begin; update tuskv set value = 'new', expires_at = null, expires_bucket = null where key = " +
            stored_key("k000"));
  store.start_sweeper({.interval = 1ms});
  EXPECT_TRUE(eventually([&] { return store.stats().swept == 1; }));
  other.run("commit");
  // A round that began after the commit has ended when this one is gone.
  store.set("k002", "old", {.ttl = 1ms});
  EXPECT_TRUE(eventually([&] { return store.stats().swept == 2; }));
  EXPECT_EQ(store.keys().keys, std::vector<std::string>{"k000"});
}

TEST_F(PostgresSweep, R94_ASweepThatMayNotDeleteIsReported) {
  const std::string role = "role_" + database();
  sql().run("create role " + role + " login");
  open().set("k", "v");
  sql().run("grant select, insert, update on tuskv to " + role);
  struct Reported {
    std::atomic<int> failures = 0;
    std::atomic<bool> is_named = true;
  } reported;
  Options options{.sweep_interval = 1ms};
  options.event_context = &reported;
  options.on_event = [](void* context, const Event& event) {
    if (event.kind != Event::Kind::sweep_failed) return;
    auto& seen = *static_cast<Reported*>(context);
    if (event.message.find("permission denied") == std::string::npos) seen.is_named = false;
    ++seen.failures;
  };
  {
    const Store store = Store::open(url("&create=false", role), options);
    add_expired(store, 1);
    EXPECT_TRUE(eventually([&] { return reported.failures > 1; }));
    EXPECT_TRUE(reported.is_named);
    EXPECT_TRUE(eventually_left("1"));
  }
  sql().run("drop owned by " + role + "; drop role " + role);
}

/// What was removed before is gone, whatever the end says.
TEST_F(PostgresSweep, R106_ACleanupThatFailsHalfWayIsNotSaidToHaveDoneNothing) {
  const Store store = open("&ttl_mode=manual&sweep_batch=1");
  sql().run(
      "insert into tuskv(key, value, created_at, updated_at, version, expires_at, expires_bucket) "
      "select convert_to('k' || i, 'UTF8'), '', now(), now(), i, now() - interval '1 h' + i * interval '1 s', 1 "
      "from generate_series(1, 3) i; "
      "create function refuse() returns trigger language plpgsql as $$ begin "
      "if old.version = 3 then raise exception 'as the test asked' using errcode = '53100'; end if; return old; end "
      "$$; "
      "create trigger refuse before delete on tuskv for each row execute function refuse()");
  const Error half = error_of([&] { return store.cleanup_expired(); });
  EXPECT_EQ(half.code(), Code::NoSpace);
  EXPECT_EQ(half.outcome(), Outcome::unknown);
  EXPECT_EQ(sql().value("select count(*) from tuskv"), "1");
  EXPECT_EQ(error_of([&] { return store.cleanup_expired(); }).outcome(), Outcome::not_applied);
}

}  // namespace
}  // namespace tuskv::test
