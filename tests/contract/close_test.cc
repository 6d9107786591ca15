// The life of a store: open, close, what closed means.
#include <unistd.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "contract/contract.h"
#include "support/submitted.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Optional;

TUSKV_CONTRACT_SUITE(Closing);

using NamedCalls = std::vector<std::pair<const char*, std::function<void(const Store&)>>>;

/// Every call that takes no key, or several.
NamedCalls calls_on_many() {
  return {
      {"get_many",
       [](const Store& s) {
         s.get_many({"k", "l"});
       }},
      {"set_many",
       [](const Store& s) {
         s.set_many({{"a", ""}, {"b", ""}});
       }},
      {"get_many of nothing", [](const Store& s) { s.get_many(std::vector<std::string>()); }},
      {"set_many of nothing", [](const Store& s) { s.set_many(std::vector<Item>()); }},
      {"asynchronous get_many of nothing",
       [](const Store& s) { submitted(s.async().get_many(std::vector<std::string>())); }},
      {"erase_prefix", [](const Store& s) { s.erase_prefix("k"); }},
      {"erase_range", [](const Store& s) { s.erase_range("k", "l"); }},
      {"clear", [](const Store& s) { s.clear(); }},
      {"scan", [](const Store& s) { s.scan(); }},
      {"keys", [](const Store& s) { s.keys(); }},
      {"count", [](const Store& s) { s.count(); }},
      {"entries", [](const Store& s) { s.entries().begin(); }},
      {"search_values", [](const Store& s) { s.search_values("v"); }},
      {"find_by_field", [](const Store& s) { s.find_by_field("k", "field", "1"); }},
      {"transaction", [](const Store& s) { s.transaction([](Transaction& tx) { tx.set("k", "v"); }); }},
      {"transaction that reads", [](const Store& s) { s.transaction([](Transaction& tx) { tx.get("k"); }); }},
      {"namespaces", [](const Store& s) { s.namespaces(); }},
      {"cleanup_expired", [](const Store& s) { s.cleanup_expired(); }},
      {"start_sweeper", [](const Store& s) { s.start_sweeper(); }},
      {"stop_sweeper", [](const Store& s) { s.stop_sweeper(); }},
      {"stats", [](const Store& s) { s.stats(); }},
      {"diagnose", [](const Store& s) { s.diagnose(); }},
      {"create_index", [](const Store& s) { s.create_index("field"); }},
      {"drop_index", [](const Store& s) { s.drop_index("field"); }},
      {"indexes", [](const Store& s) { s.indexes(); }},
      {"sync", [](const Store& s) { s.sync(); }},
      {"snapshot", [](const Store& s) { s.snapshot(); }},
      {"snapshots", [](const Store& s) { s.snapshots(); }},
      {"prune_snapshots", [](const Store& s) { s.prune_snapshots(0); }},
      {"reencrypt", [](const Store& s) { s.reencrypt(); }},
  };
}

/// Locks, claims and limits; `lease` was got before.
NamedCalls coordinating_calls(const Lease& lease) {
  return {
      {"try_lock", [](const Store& s) { static_cast<void>(s.try_lock("l")); }},
      {"lock", [](const Store& s) { static_cast<void>(s.lock("l")); }},
      {"renew", [&](const Store& s) { static_cast<void>(s.renew(lease)); }},
      {"unlock", [&](const Store& s) { s.unlock(lease); }},
      {"lock_holder", [](const Store& s) { s.lock_holder("l"); }},
      {"claim", [](const Store& s) { static_cast<void>(s.claim("n", "owner")); }},
      {"move_claim", [](const Store& s) { static_cast<void>(s.move_claim("n", "owner", "other")); }},
      {"release_claim", [](const Store& s) { s.release_claim("n", "owner"); }},
      {"claim_owner", [](const Store& s) { s.claim_owner("n"); }},
      {"claims_of", [](const Store& s) { s.claims_of("owner"); }},
      {"rate_limit", [](const Store& s) { s.rate_limit("r", {.limit = 1, .window = 1s}); }},
      {"peek_rate_limit", [](const Store& s) { s.peek_rate_limit("r"); }},
      {"reset_rate_limit", [](const Store& s) { s.reset_rate_limit("r"); }},
  };
}

NamedCalls asynchronous_calls() {
  return {
      {"asynchronous get", [](const Store& s) { submitted(s.async().get("k")); }},
      {"asynchronous set", [](const Store& s) { submitted(s.async().set("k", "v")); }},
      {"asynchronous scan", [](const Store& s) { submitted(s.async().scan()); }},
      {"offload", [](const Store& s) { submitted(s.async().offload([](const Store& own) { own.get("k"); })); }},
  };
}

TEST_P(Closing, U11_G10_EveryCallAfterCloseThrowsClosed) {
  const Store closed = store();
  closed.set("k", "v");
  const Lease lease = closed.try_lock("l").value();
  const Store inside = closed.with_namespace("a");
  closed.close();
  const auto check = [](const char* name, const std::function<void()>& call) {
    SCOPED_TRACE(name);
    expect_refused(call, Code::Closed, {"closed"});
  };
  for (const auto& [name, call] : keyed_calls()) check(name, [&, &call = call] { call(closed, "k"); });
  for (const NamedCalls& calls : {calls_on_many(), coordinating_calls(lease), asynchronous_calls()}) {
    for (const auto& [name, call] : calls) check(name, [&, &call = call] { call(closed); });
  }
  check("a namespace", [&] { inside.get("k"); });
  check("a namespace made since", [&] { closed.with_namespace("b").get("k"); });
  check("another handle", [&] { store().get("k"); });
}

TEST_P(Closing, U11_G10_CloseTwiceIsFineFromManyThreads) {
  options.ttl_mode = TtlMode::background;
  options.sweep_interval = 1ms;
  const Store shared = store();
  shared.set("k", "v");
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&shared] {
      shared.close();
      shared.close();
    });
  }
  for (std::thread& thread : threads) thread.join();
  expect_refused([&] { return shared.get("k"); }, Code::Closed);
}

TEST_P(Closing, U10_CloseWhileOthersWorkEndsTheirCallsAndLosesNothingAnswered) {
  const Store shared = store();
  constexpr int kThreads = 4;
  std::atomic<int> started = 0;
  std::vector<int> answered(kThreads, -1);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const std::string prefix = "t" + std::to_string(t) + ":";
      try {
        for (int i = 0;; ++i) {
          shared.set(prefix + std::to_string(i), "v");
          answered[static_cast<std::size_t>(t)] = i;
          if (i == 20) ++started;
        }
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::Closed) << error.what();
      }
    });
  }
  while (started < kThreads) std::this_thread::yield();
  shared.close();
  for (std::thread& thread : threads) thread.join();
  if (!backend().capabilities().reopens) return;
  reopen();
  for (int t = 0; t < kThreads; ++t) {
    for (int i = 0; i <= answered[static_cast<std::size_t>(t)]; ++i) {
      ASSERT_TRUE(store().exists("t" + std::to_string(t) + ":" + std::to_string(i))) << "lost after close";
    }
  }
}

TEST_P(Closing, TheLastHandleCloses) {
  if (!backend().capabilities().reopens) GTEST_SKIP() << "this backend keeps nothing";
  {
    const Store first = backend().open(options);
    first.set("k", "v");
    const Store copy = first;
  }
  const Store second = backend().open(options);
  EXPECT_THAT(second.get("k"), Optional(std::string("v")));
}

TEST_P(Closing, ASecondOpenIsBusyAndSaysWhoHoldsIt) {
  if (!backend().capabilities().is_one_process) GTEST_SKIP() << "many may open this backend at once";
  store().set("k", "v");
  expect_refused([&] { return backend().open(options); }, Code::Busy, {std::to_string(::getpid())});
  EXPECT_THAT(get("k"), Optional(std::string("v")));  // the first is unharmed
  store().close();
  EXPECT_THAT(reopen().get("k"), Optional(std::string("v")));
}

TEST_P(Closing, ReopenKeepsEverythingThatIsKnownOfAnEntry) {
  if (!backend().capabilities().reopens) GTEST_SKIP() << "this backend keeps nothing";
  store().set_many({{"plain", "1"}, {.key = "expiring", .value = "2", .ttl = 60s}});
  store().with_namespace("ns").set("k", "3");
  advance_ms(5);
  store().increment("n", 7);
  store().erase("plain");
  store().set("plain", "4");
  const auto entries = [&] {
    std::vector<Entry> all = store().scan().entries;
    for (const Entry& entry : store().with_namespace("ns").entries()) all.push_back(entry);
    return all;
  };
  const std::vector<Entry> before = entries();
  for (int i = 0; i < 3; ++i) {
    reopen();
    const std::vector<Entry> after = entries();
    ASSERT_EQ(after.size(), before.size());
    for (std::size_t j = 0; j < before.size(); ++j) {
      EXPECT_EQ(after[j].key, before[j].key);
      EXPECT_EQ(after[j].value, before[j].value);
      EXPECT_EQ(after[j].version, before[j].version);
      EXPECT_EQ(after[j].expires_at, before[j].expires_at);
      EXPECT_EQ(after[j].created_at, before[j].created_at);
      EXPECT_EQ(after[j].updated_at, before[j].updated_at);
    }
  }
}

TEST_P(Closing, U15_P11_TheStoreSaysWhichDurabilityItHas) {
  EXPECT_EQ(store().stats().engine, backend().engine());
  EXPECT_EQ(store().stats().durability, backend().durability());
}

TEST_P(Closing, DiagnoseFindsNothingWrongWithAGoodStore) {
  store().set("k", "v");
  set_dead("dead");
  bool tells_durability = false;
  for (const Finding& finding : store().diagnose()) {
    EXPECT_NE(finding.severity, Finding::Severity::warning) << finding.topic << ": " << finding.value;
    EXPECT_EQ(finding.severity == Finding::Severity::ok, finding.advice.empty()) << finding.topic;
    EXPECT_THAT(finding.value, Not(IsEmpty())) << finding.topic;
    if (finding.topic == "expired") {
      EXPECT_THAT(finding.value, HasSubstr("1 expired"));
    }
    tells_durability = tells_durability || finding.topic == "durability";
  }
  EXPECT_TRUE(tells_durability);
  EXPECT_EQ(store().stats().expired, 1u);
}

}  // namespace
}  // namespace tuskv::test
