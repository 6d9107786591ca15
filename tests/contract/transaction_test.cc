// Transactions: all or nothing, one's own writes are seen, others' never half; savepoints; serializable.
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "contract/contract.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using testing::Optional;
using Names = std::vector<std::string>;

struct Rollback : std::runtime_error {
  Rollback() : std::runtime_error("rolled back by the test") {}
};

TUSKV_CONTRACT_SUITE(Transactional);

TEST_P(Transactional, CommitsOnReturnAndGivesTheResult) {
  const int result = store().transaction([](Transaction& tx) {
    tx.set("a", "1");
    tx.set("b", "2");
    return 7;
  });
  EXPECT_EQ(result, 7);
  EXPECT_EQ(reopen().exists_many({"a", "b"}), 2u);
  store().transaction([](Transaction&) {});
}

TEST_P(Transactional, RollsBackOnThrow) {
  store().set("a", "1");
  EXPECT_THROW(store().transaction([](Transaction& tx) {
    tx.set("a", "2");
    tx.erase("a");
    tx.set("b", "2");
    throw Rollback();
  }),
               Rollback);
  EXPECT_THAT(get("a"), Optional(std::string("1")));
  EXPECT_FALSE(store().exists("b"));
  store().set("a", "2");  // nothing is left locked
  EXPECT_THAT(get("a"), Optional(std::string("2")));
}

TEST_P(Transactional, P8_AnExceptionLeavesNothingOpen) {
  for (int i = 0; i < 10; ++i) {
    EXPECT_THROW(store().transaction([](Transaction& tx) {
      tx.increment("n");
      throw Rollback();
    }),
                 Rollback);
  }
  EXPECT_EQ(store().transaction([](Transaction& tx) { return tx.increment("n"); }), 1);
}

TEST_P(Transactional, P8_ASwallowedErrorUndoesNothingElse) {
  store().set("text", "abc");
  store().transaction([](Transaction& tx) {
    tx.set("before", "1");
    expect_refused([&] { return tx.increment("text"); }, Code::NotAnInteger);
    expect_refused([&] { tx.set("", "v"); }, Code::InvalidKey);
    expect_refused([&] { return tx.get_or_throw("missing"); }, Code::NotFound);
    tx.set("after", "1");
  });
  // It returned, so it committed, and all of it.
  EXPECT_EQ(store().exists_many({"before", "after"}), 2u);
  EXPECT_THAT(get("text"), Optional(std::string("abc")));
}

TEST_P(Transactional, P8_ASwallowedConflictDoomsTheAttempt) {
  store().set("k", "0");
  int runs = 0;
  store().transaction([&](Transaction& tx) {
    const int run = ++runs;
    tx.get("k");
    if (run == 1) {
      std::thread([&] { store().set_many({{"k", "other"}, {"elsewhere", "other"}}); }).join();
      EXPECT_EQ(error_of([&] { tx.get("elsewhere"); }).code(), Code::Conflict);  // notices that k has changed
      // What follows does not pass for done, whatever the function makes of the error.
      EXPECT_EQ(error_of([&] { tx.set("written", "1"); }).code(), Code::Conflict);
      EXPECT_EQ(error_of([&] { tx.get("untouched"); }).code(), Code::Conflict);
      return;
    }
    tx.set("written", std::to_string(run));
  });
  EXPECT_EQ(runs, 2);
  EXPECT_THAT(get("written"), Optional(std::string("2")));
}

TEST_P(Transactional, SeesItsOwnWritesInEveryRead) {
  store().set_many({{"a", "1"}, {"b", "2"}, {"c", "3"}});
  store().transaction([&](Transaction& tx) {
    tx.set("a", "new");
    tx.erase("b");
    tx.set("d", "4", {.ttl = 100ms});
    EXPECT_THAT(tx.get("a"), Optional(std::string("new")));
    EXPECT_EQ(tx.get("b"), std::nullopt);
    EXPECT_FALSE(tx.exists("b"));
    EXPECT_EQ(tx.exists_many({"a", "b", "c", "d"}), 3u);
    EXPECT_EQ(tx.ttl("d").left, 100ms);
    EXPECT_EQ(tx.get_entry("a")->value, "new");
    EXPECT_EQ(tx.get_many({"a", "b", "c"}), (std::vector<std::optional<std::string>>{"new", std::nullopt, "3"}));
    EXPECT_EQ(tx.keys().keys, (Names{"a", "c", "d"}));
    EXPECT_EQ(tx.keys({.reverse = true}).keys, (Names{"d", "c", "a"}));
    EXPECT_EQ(tx.scan().entries[0].value, "new");
    EXPECT_EQ(tx.count(), 3u);
    EXPECT_EQ(tx.count({.prefix = "d"}), 1u);
    Names seen;
    for (const Entry& entry : tx.entries({.limit = 1})) seen.push_back(entry.key);
    EXPECT_EQ(seen, (Names{"a", "c", "d"}));
  });
}

TEST_P(Transactional, CountsWhatItHasWrittenAmongWhatIsThere) {
  store().set_many({{"k1", ""}, {"k2", ""}, {"k3", ""}, {"k4", ""}, {"other", ""}});
  set_dead("k5");
  set_dead("k6");
  store().transaction([&](Transaction& tx) {
    tx.set("k1", "over it");
    tx.erase("k2");
    tx.expire("k3", 1s);
    tx.set("k4", "gone", {.expires_at = now_plus_ms(0)});
    tx.set("k5", "over a dead one");
    tx.erase("k6");
    tx.set("k7", "new");
    tx.set("k8", "new and gone");
    tx.erase("k8");
    EXPECT_EQ(tx.count({.prefix = "k"}), 4u);
    EXPECT_EQ(tx.count({.glob = "?1"}), 1u);
    EXPECT_EQ(tx.count({.glob = "*7"}), 1u);
    EXPECT_EQ(tx.count({.glob = "*[24]"}), 0u);
    EXPECT_EQ(tx.count(), 5u);
  });
  EXPECT_EQ(store().count(), 5u);
}

TEST_P(Transactional, RunsAgainWhenWhatItCountedHasChanged) {
  store().set_many({{"p:1", "v"}, {"p:2", "v"}});
  for (const Bytes glob : {Bytes(""), Bytes("*1")}) {
    int runs = 0;
    store().transaction([&](Transaction& tx) {
      EXPECT_GE(tx.count({.prefix = "p:", .glob = glob}), 1u);
      if (runs++ == 0) std::thread([&] { store().set("p:1", "w"); }).join();
      tx.set("other", "");
    });
    EXPECT_EQ(runs, 2);
  }
}

TEST_P(Transactional, EveryOperationWorksInside) {
  store().set_many({{"n", "5"}, {"text", "abc"}, {"p:1", ""}, {"p:2", ""}});
  store().transaction([](Transaction& tx) {
    EXPECT_EQ(tx.increment("n", 2), 7);
    EXPECT_EQ(tx.decrement("n"), 6);
    EXPECT_FALSE(tx.set_if_absent("n", "x"));
    EXPECT_TRUE(tx.set_if_absent("fresh", "1"));
    EXPECT_TRUE(tx.set_if_present("fresh", "2"));
    EXPECT_TRUE(tx.compare_and_swap("fresh", "2", "3"));
    EXPECT_EQ(tx.compare_and_swap("fresh", "2", "4").current, "3");
    EXPECT_TRUE(tx.compare_and_erase("fresh", "3"));
    EXPECT_THAT(tx.get_and_set("text", "def"), Optional(std::string("abc")));
    EXPECT_THAT(tx.get_and_erase("text"), Optional(std::string("def")));
    EXPECT_EQ(tx.get_and_erase("text"), std::nullopt);
    tx.set_many({{"m1", "1"}, {"m2", "2"}, {"m1", "3"}});
    EXPECT_FALSE(tx.set_many_if_absent({{"m1", "9"}, {"m3", "9"}}));
    EXPECT_TRUE(tx.set_many_if_absent({{"m3", "9"}}));
    EXPECT_EQ(tx.erase_many({"m2", "m2", "missing"}), 1u);
    EXPECT_TRUE(tx.expire("m1", 50ms));
    EXPECT_THAT(tx.get_and_touch("m1", 60ms), Optional(std::string("3")));
    EXPECT_EQ(tx.ttl("m1").left, 60ms);
    EXPECT_TRUE(tx.persist("m1"));
    EXPECT_EQ(tx.update("m1", [](std::optional<std::string_view> v) -> Change { return std::string(*v) + "!"; }), "3!");
    EXPECT_EQ(tx.erase_prefix("p:"), 2u);
    std::string into;
    EXPECT_TRUE(tx.get_into("m3", into));
    EXPECT_EQ(into, "9");
  });
  EXPECT_EQ(reopen().keys().keys, (Names{"m1", "m3", "n"}));
  EXPECT_EQ(store().get_many({"m1", "n"}), (std::vector<std::optional<std::string>>{"3!", "6"}));
  EXPECT_EQ(store().transaction([](Transaction& tx) { return tx.clear(); }), 3u);
  EXPECT_EQ(store().count(), 0u);
}

TEST_P(Transactional, P7_BatchesInsideDoNotCommitEarly) {
  EXPECT_THROW(store().transaction([](Transaction& tx) {
    tx.set("a", "1");
    tx.set_many({{"b", "2"}, {"c", "3"}});
    throw Rollback();
  }),
               Rollback);
  EXPECT_EQ(store().count(), 0u);
}

TEST_P(Transactional, P7_NestedTransactionsAreSavepoints) {
  store().transaction([](Transaction& tx) {
    tx.set("outer", "1");
    tx.set("both", "outer");
    EXPECT_THROW(tx.transaction([](Transaction& inner) {
      inner.set("inner", "1");
      inner.set("both", "inner");
      inner.erase("outer");
      EXPECT_FALSE(inner.exists("outer"));
      throw Rollback();
    }),
                 Rollback);
    EXPECT_THAT(tx.get("both"), Optional(std::string("outer")));
    EXPECT_TRUE(tx.exists("outer"));
    EXPECT_EQ(tx.transaction([](Transaction& inner) {
      inner.set("kept", "1");
      return inner.get("both");
    }),
              "outer");
  });
  EXPECT_EQ(store().keys().keys, (Names{"both", "kept", "outer"}));
  EXPECT_THROW(store().transaction([](Transaction& tx) {
    tx.transaction([](Transaction& inner) { inner.set("committed inside only", "1"); });
    throw Rollback();
  }),
               Rollback);
  EXPECT_EQ(store().count(), 3u);
}

TEST_P(Transactional, SavepointsNestDeeplyWithinALimit) {
  const auto dive = [](auto&& self, Transaction& tx, int depth) -> int {
    tx.increment("depth");
    return depth == 0 ? 0 : 1 + tx.transaction([&](Transaction& inner) { return self(self, inner, depth - 1); });
  };
  EXPECT_EQ(store().transaction([&](Transaction& tx) { return dive(dive, tx, 60); }), 60);
  EXPECT_THAT(get("depth"), Optional(std::string("61")));
  expect_refused([&] { return store().transaction([&](Transaction& tx) { return dive(dive, tx, 100); }); },
                 Code::InvalidArgument, {"64"});
  EXPECT_THAT(get("depth"), Optional(std::string("61")));
}

TEST_P(Transactional, TheHandleEndsWithTheCallback) {
  std::optional<KeyValue> escaped;
  store().transaction([&](Transaction& tx) {
    tx.set("k", "v");
    escaped.emplace(tx);
  });
  expect_refused([&] { escaped->set("k", "w"); }, Code::Closed);
  expect_refused([&] { return escaped->get("k"); }, Code::Closed);
}

TEST_P(Transactional, CallsOnTheStoreInsideAreRefused) {
  store().transaction([&](Transaction& tx) {
    tx.set("k", "v");
    expect_refused([&] { store().set("x", "v"); }, Code::InvalidArgument, {"transaction"});
    expect_refused([&] { return store().get("k"); }, Code::InvalidArgument, {"transaction"});
    expect_refused([&] { store().transaction([](Transaction&) {}); }, Code::InvalidArgument, {"transaction"});
  });
  EXPECT_EQ(store().keys().keys, Names{"k"});
}

TEST_P(Transactional, NamespacesCommitTogether) {
  store().with_namespace("a").transaction([](Transaction& tx) {
    tx.set("k", "in a");
    tx.with_namespace("b").set("k", "in a/b");
    EXPECT_EQ(tx.with_namespace("b").count(), 1u);
    EXPECT_EQ(tx.count(), 1u);
  });
  EXPECT_THAT(store().with_namespace("a").get("k"), Optional(std::string("in a")));
  EXPECT_THAT(store().with_namespace("a/b").get("k"), Optional(std::string("in a/b")));
  EXPECT_EQ(store().count(), 0u);
}

TEST_P(Transactional, RunsAgainWhenWhatItReadHasChanged) {
  store().set("balance", "10");
  int runs = 0;
  store().transaction([&](Transaction& tx) {
    const std::string balance = tx.get_or_throw("balance");
    if (runs++ == 0) std::thread([&] { store().set("balance", "20"); }).join();
    tx.set("copy", balance);
  });
  EXPECT_EQ(runs, 2);
  EXPECT_THAT(get("copy"), Optional(std::string("20")));
}

TEST_P(Transactional, RunsAgainWhenAKeyAppearedThatItFoundMissing) {
  int runs = 0;
  store().transaction([&](Transaction& tx) {
    const bool taken = tx.exists("name");
    if (runs++ == 0) std::thread([&] { store().set("name", "other"); }).join();
    if (!taken) tx.set("name", "mine");
  });
  EXPECT_EQ(runs, 2);
  EXPECT_THAT(get("name"), Optional(std::string("other")));
}

TEST_P(Transactional, RunsAgainWhenAnEntryAppearedInARangeItListed) {
  store().set("p:1", "v");
  int runs = 0;
  store().transaction([&](Transaction& tx) {
    const std::uint64_t counted = tx.count({.prefix = "p:"});
    if (runs++ == 0) std::thread([&] { store().set("p:2", "v"); }).join();
    tx.set("count", std::to_string(counted));
  });
  EXPECT_EQ(runs, 2);
  EXPECT_THAT(get("count"), Optional(std::string("2")));
}

TEST_P(Transactional, S58_ExpiredEntriesThatItIsShownAreNotWatched) {
  set_dead("dead");
  store().set("live", "v");
  int runs = 0;
  store().transaction([&](Transaction& tx) {
    const std::size_t shown = tx.scan({.include_expired = true}).entries.size();
    if (runs++ == 0) std::thread([&] { EXPECT_EQ(store().cleanup_expired(), 1u); }).join();
    EXPECT_EQ(tx.count(), 1u);
    tx.set("shown", std::to_string(shown));
  });
  EXPECT_EQ(runs, 1);
  EXPECT_THAT(get("shown"), Optional(std::string("2")));
}

TEST_P(Transactional, WritesElsewhereDoNotDisturbIt) {
  store().set("mine", "1");
  int runs = 0;
  store().transaction([&](Transaction& tx) {
    const std::string value = tx.get_or_throw("mine");
    if (runs++ == 0) std::thread([&] { store().set("theirs", "1"); }).join();
    tx.set("mine", value + "!");
  });
  EXPECT_EQ(runs, 1);
}

TEST_P(Transactional, GivesUpWithConflict) {
  options.timeout = std::chrono::seconds(60);
  int runs = 0;
  const Error error = error_of([&] {
    store().transaction([&](Transaction& tx) {
      tx.get("k");
      const std::string value = std::to_string(runs++);
      std::thread([&] { store().set("k", value); }).join();
      tx.set("mine", "1");
    });
  });
  EXPECT_EQ(error.code(), Code::Conflict) << error.what();
  EXPECT_EQ(error.outcome(), Outcome::not_applied);
  EXPECT_TRUE(error.retryable());
  EXPECT_EQ(runs, 256);
  EXPECT_FALSE(store().exists("mine"));
}

TEST_P(Transactional, SetAndEraseOfAnAbsentKeyLeavesNothing) {
  store().transaction([](Transaction& tx) {
    tx.set("k", "v");
    tx.erase("k");
  });
  EXPECT_EQ(store().stats().entries, 0u);
}

TEST_P(Transactional, CreatedAtRestartsWhenErasedAndSetInside) {
  store().set("erased", "v");
  store().set("kept", "v");
  const TimePoint created = store().get_entry("kept")->created_at;
  advance_ms(100);
  store().transaction([](Transaction& tx) {
    tx.erase("erased");
    tx.set("erased", "again");
    tx.set("kept", "again");
  });
  EXPECT_EQ(store().get_entry("erased")->created_at - created, 100ms);
  EXPECT_EQ(store().get_entry("kept")->created_at, created);
}

TEST_P(Transactional, AnEntryThatIsTouchedAndThenSetIsTheSameEntry) {
  store().set("k", "v");
  const TimePoint created = store().get_entry("k")->created_at;
  advance_ms(100);
  store().transaction([](Transaction& tx) {
    EXPECT_TRUE(tx.expire("k", 50ms));
    tx.set("k", "w");
  });
  EXPECT_EQ(store().get_entry("k")->created_at, created);
  EXPECT_EQ(store().ttl("k").state, Ttl::State::persistent);
}

TEST_P(Transactional, ExpiryInsideIsTheStoresExpiry) {
  set_dead("dead");
  store().set("k", "v", {.ttl = 100ms});
  store().transaction([&](Transaction& tx) {
    EXPECT_EQ(tx.get("dead"), std::nullopt);
    EXPECT_TRUE(tx.set_if_absent("dead", "new"));
    tx.set("k", "w", {.keep_ttl = true});
    EXPECT_EQ(tx.ttl("k").left, 100ms);
    tx.set("gone", "v");
    tx.set("gone", "v", {.expires_at = now_plus_ms(0)});
    EXPECT_FALSE(tx.exists("gone"));
  });
  EXPECT_EQ(store().ttl("k").left, 100ms);
  EXPECT_THAT(get("dead"), Optional(std::string("new")));
  EXPECT_FALSE(store().exists("gone"));
}

/// Ways to see whether an entry is there.
std::vector<bool (*)(Transaction& tx, Bytes key)> looks() {
  return {
      [](Transaction& tx, Bytes key) { return tx.exists(key); },
      [](Transaction& tx, Bytes key) {
        return tx.get_many({key, "absent"})[0].has_value();
      },
      [](Transaction& tx, Bytes key) { return tx.count({.prefix = key}) == 1; },
      [](Transaction& tx, Bytes key) { return !tx.scan({.prefix = key}).entries.empty(); },
      [](Transaction& tx, Bytes key) { return !tx.search_values("live", {.prefix = key}).entries.empty(); },
  };
}

TEST_P(Transactional, S20_ATransactionSeesOneMomentWhileTimePasses) {
  for (const auto first : looks()) {
    for (const auto second : looks()) {
      store().set("first", "live", {.ttl = 10s});
      store().set("second", "live", {.ttl = 20s});
      int runs = 0;
      const auto [saw_first, saw_second] = store().transaction([&](Transaction& tx) {
        const bool found = first(tx, "first");
        if (++runs == 1) advance_ms(30'000);
        return std::pair(found, second(tx, "second"));
      });
      EXPECT_EQ(runs, 2);
      EXPECT_FALSE(saw_first);
      EXPECT_FALSE(saw_second);
    }
  }
}

TEST_P(Transactional, S20_TimeThatEndsNothingDisturbsNoTransaction) {
  set_dead("dead");
  store().set("lasting", "live", {.ttl = 60s});
  int runs = 0;
  store().transaction([&](Transaction& tx) {
    ++runs;
    for (const auto look : looks()) {
      EXPECT_FALSE(look(tx, "dead"));
      EXPECT_TRUE(look(tx, "lasting"));
      advance_ms(10'000);
    }
  });
  EXPECT_EQ(runs, 1);
}

/// What takes a KeyValue works on a store and in a transaction alike.
void rename_key(const KeyValue& entries, Bytes from, Bytes to) {
  if (auto value = entries.get_and_erase(from)) entries.set(to, *value);
}

/// All of it or nothing, wherever it is called.
void exchange(const KeyValue& entries, Bytes one, Bytes other) {
  entries.transaction([&](Transaction& tx) {
    const std::string value = tx.get_and_set(one, "on its way").value();
    tx.set(one, tx.get_or_throw(other));
    tx.set(other, value);
  });
}

TEST_P(Transactional, OfAKeyValueIsASavepointInATransaction) {
  const Store inside = store().with_namespace("n");
  for (const Store& one : {store(), inside}) {
    one.set_many({{"a", "1"}, {"b", "2"}});
    exchange(one, "a", "b");
    EXPECT_THAT(one.get("a"), Optional(std::string("2")));
    expect_refused([&] { exchange(one, "a", "missing"); }, Code::NotFound);
    EXPECT_THAT(one.get("a"), Optional(std::string("2"))) << "half of it was committed";
  }
  const std::uint64_t count = store().transaction([](Transaction& tx) {
    tx.set("c", "3");
    expect_refused([&] { exchange(tx, "c", "missing"); }, Code::NotFound);
    EXPECT_THAT(tx.get("c"), Optional(std::string("3"))) << "half of it is left";
    exchange(tx, "a", "c");
    exchange(tx.with_namespace("n"), "a", "b");
    const KeyValue& same = tx;
    return same.transaction([](Transaction& inner) { return inner.count(); });
  });
  EXPECT_EQ(count, 3u);
  EXPECT_EQ(store().get_many({"a", "b", "c"}), (std::vector<std::optional<std::string>>{"3", "1", "2"}));
  EXPECT_EQ(inside.get_many({"a", "b"}), (std::vector<std::optional<std::string>>{"1", "2"}));
}

TEST_P(Transactional, FunctionsOfAKeyValueWorkInBoth) {
  store().set("a", "v");
  rename_key(store(), "a", "b");
  store().transaction([](Transaction& tx) { rename_key(tx, "b", "c"); });
  EXPECT_EQ(store().keys().keys, Names{"c"});
}

}  // namespace
}  // namespace tuskv::test
