// Hosts that are given by name: whatever becomes of the lookup, calls end in time and say what was wrong.
#include <algorithm>
#include <chrono>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include <libpq-fe.h>

#include "open.h"
#include "postgres/held_lookup.h"
#include "postgres/route.h"
#include "postgres/server_test.h"
#include "support/fault_proxy.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using testing::HasSubstr;
using testing::Optional;

constexpr auto kLookupTimeout = 200ms;

class PostgresNames : public ServerTest {
 protected:
  ~PostgresNames() override { lookup_.release(); }

  std::string port() const { return std::to_string(proxy_.address().port); }
  /// The database at `hosts`, the authority of a URL.
  std::string url_of(const std::string& hosts, const std::string& parameters = {}) const {
    return "postgresql://tuskv@" + hosts + "/" + database() + "?sslmode=disable&ttl_mode=manual" + parameters;
  }
  Store open_named(const std::string& url) const { return open_store(url, {}, {.look_up_name = lookup_.function()}); }
  /// Every connection is gone, and the name server with them.
  void lose_connections_and_names() {
    lookup_.hold();
    proxy_.act_on_all(ProxyAction::reset);
  }

  FaultProxy proxy_{shared().server()};
  HeldLookup lookup_;
};

TEST_F(PostgresNames, R47_AHangingLookupDelaysNobodyBeyondTheDeadline) {
  const Store store = open_named(url_of("db.example:" + port(), "&pool_size=4&timeout=20s"));
  store.set("k", "v");
  const Store hurried = store.with_timeout(kLookupTimeout);
  const std::vector<std::function<void()>> calls = {
      [&] { hurried.get("k"); },
      [&] { hurried.set("k", "w"); },
      [&] { hurried.increment("n"); },
      [&] { hurried.transaction([](Transaction& tx) { tx.set("t", "v"); }); },
  };
  lose_connections_and_names();
  // One by one, then more at once than there may be connections.
  const auto expect_late = [&](const std::function<void()>& call) {
    const auto failure = failure_of(kLookupTimeout, call);
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->outcome(), Outcome::not_applied) << failure->what();
    EXPECT_TRUE(failure->retryable()) << failure->what();
  };
  for (const auto& call : calls) expect_late(call);
  const auto failure = failure_of(kLookupTimeout, calls.front());
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->code(), Code::Timeout);
  EXPECT_THAT(failure->what(), HasSubstr("db.example"));
  run_threads(16, [&](int t) { expect_late(calls[static_cast<std::size_t>(t) % calls.size()]); });
  EXPECT_LE(lookup_.begun("db.example"), 3) << "one for the first connection, and not one for each call";
  lookup_.release();
  store.set("k", "usable");
  EXPECT_THAT(open().get("k"), Optional(std::string("usable")));
}

TEST_F(PostgresNames, R47_AStoreOpensOrFailsInTimeAndClosesWhileALookupHangs) {
  Store store = open_named(url_of("db.example:" + port(), "&timeout=20s"));
  lose_connections_and_names();
  EXPECT_TRUE(failure_of(kLookupTimeout, [&] { store.with_timeout(kLookupTimeout).get("k"); }));
  EXPECT_FALSE(failure_of(0ms, [&] { store.close(); }));
  const auto failure =
      failure_of(kLookupTimeout, [&] { open_named(url_of("other.example:" + port(), "&timeout=200ms")); });
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->code(), Code::Timeout);
  EXPECT_EQ(failure->outcome(), Outcome::not_applied);
  EXPECT_THAT(failure->what(), HasSubstr("other.example"));
}

/// Names that hang, or that nobody knows, are passed by as silent hosts are.
TEST_F(PostgresNames, R50_ANameThatHasNoAddressKeepsNobodyFromTheNext) {
  lookup_.set_answer([](const std::string& name) -> HeldLookup::Answer {
    if (name == "gone.example") return Status(Code::Connection, "there is no such machine");
    return std::vector<std::string>{"127.0.0.1"};
  });
  const auto failure =
      failure_of(2s, [&] { open_named(url_of("gone.example:1,db.example:" + port(), "&timeout=2s")).set("k", "v"); });
  EXPECT_FALSE(failure) << failure->what();
  lookup_.hold("stuck.example");
  const auto later =
      failure_of(2s, [&] { open_named(url_of("stuck.example:1,db.example:" + port(), "&timeout=2s")).set("k", "v"); });
  EXPECT_FALSE(later) << later->what();
  const Error error = error_of([&] { open_named(url_of("gone.example:1,127.0.0.1:1", "&timeout=200ms")); });
  EXPECT_EQ(error.code(), Code::Connection);
  EXPECT_EQ(error.outcome(), Outcome::not_applied);
  EXPECT_TRUE(error.retryable());
  EXPECT_THAT(error.what(), HasSubstr("gone.example"));
  EXPECT_THAT(error.what(), HasSubstr("no such machine"));
  EXPECT_THAT(error.what(), HasSubstr("refused"));
}

TEST_F(PostgresNames, R47_WhatIsAnAddressOrASocketIsNotLookedUp) {
  lookup_.hold();
  const std::string socket = "&timeout=2s&ttl_mode=manual";
  for (const std::string& url : {
           url_of("127.0.0.1:" + port(), "&timeout=2s"),
           url_of("[::1]:1,127.0.0.1:" + port(), "&timeout=2s"),
           url_of("db.example:" + port(), "&timeout=2s&hostaddr=127.0.0.1"),
           url(socket),
       }) {
    const auto failure = failure_of(2s, [&] { open_named(url).set("k", "v"); });
    EXPECT_FALSE(failure) << url << ": " << failure->what();
  }
  EXPECT_EQ(lookup_.begun_of_all(), 0);
}

/// Where libpq would look it up by itself, for as long as it takes.
TEST_F(PostgresNames, R47_AListWithHolesIsLookedUpToo) {
  lookup_.hold("stuck.example");
  for (const std::string& url : {
           // the default port
           url_of("stuck.example,127.0.0.1:" + port(), "&timeout=2s"),
           // an address for one of them only
           url_of("stuck.example:" + port() + ",db.example:" + port(), "&timeout=2s&hostaddr=,127.0.0.1"),
       }) {
    const auto failure = failure_of(2s, [&] { open_named(url).set("k", "v"); });
    EXPECT_FALSE(failure) << url << ": " << failure->what();
  }
  EXPECT_EQ(lookup_.begun("stuck.example"), 2);
  EXPECT_EQ(lookup_.begun_of_all(), 2);
}

/// libpq since version 16 would; one that is given a single address cannot.
TEST_F(PostgresNames, R51_HostsAndAddressesAreShuffledWhereThatIsWanted) {
  const auto random = postgres::Target::parse("host=a load_balance_hosts=random");
  EXPECT_EQ(random.ok(), ::PQlibVersion() >= 160'000);
  if (random.ok()) {
    EXPECT_TRUE(random.value().shuffles_hosts());
  }
  for (const std::string hosts : {"a,b,c,d,e,f,g,h", "name-of-eight"}) {
    const auto target = postgres::Target::parse("host=" + hosts + " port=1 connect_timeout=2 sslmode=disable");
    ASSERT_TRUE(target.ok());
    EXPECT_FALSE(target.value().shuffles_hosts());
    for (const bool shuffles : {false, true}) {
      const auto look_up = [](const std::string& name) -> HeldLookup::Answer {
        if (name.size() == 1) return Status(Code::Connection, "no such machine");
        std::vector<std::string> addresses;
        for (int i = 1; i <= 8; ++i) addresses.push_back("127.0.0." + std::to_string(i));
        return addresses;
      };
      postgres::Route route(target.value(), {.look_up_name = look_up, .shuffles = shuffles});
      std::set<std::string> orders;  // each says why it would not do, in the order they were tried
      for (int i = 0; i < 10; ++i) {
        const auto failed = route.connect({}, 1000, os::deadline_in(5000));
        ASSERT_FALSE(failed.ok());
        EXPECT_EQ(std::ranges::count(failed.failure().message, ';'), 7) << failed.failure().message;
        orders.insert(failed.failure().message);
      }
      EXPECT_EQ(orders.size() > 1, shuffles) << hosts;
    }
  }
}

}  // namespace
}  // namespace tuskv::test
