// update, entries, get_into and views: the loops over commands.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <ranges>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "api/reference_store.h"
#include "named_limits.h"
#include "support/submitted.h"

namespace tuskv::test {
namespace {

using namespace std::chrono_literals;
using OptionalView = std::optional<std::string_view>;

static_assert(std::input_iterator<EntryRange::Iterator>);
static_assert(std::ranges::input_range<EntryRange>);

TEST(Update, SetsErasesAndKeeps) {
  ReferenceStore store;
  EXPECT_EQ(store->update("k", [](OptionalView present) { return Change(present ? "wrong" : "1"); }), "1");
  EXPECT_EQ(store->update("k", [](OptionalView present) { return std::string(*present) + "2"; }), "12");
  EXPECT_EQ(store->update("k", [](OptionalView) { return Change::keep(); }), "12");
  EXPECT_EQ(store->update("k", [](OptionalView) { return std::nullopt; }), std::nullopt);
  EXPECT_FALSE(store->exists("k"));
  EXPECT_EQ(store->update("k", [](OptionalView) { return std::nullopt; }), std::nullopt);
  EXPECT_EQ(store->update("k", [](OptionalView) { return Change::keep(); }), std::nullopt);
}

template <class L>
concept HasToken = requires { std::declval<L>().token(); };
template <class L>
concept HasLease = requires { std::declval<L>().lease(); };

/// What a slip of the hand would make of a handle, a change or a lock; must_not_compile.txt has the calls.
TEST(Handles, S185_AreNotTurnedIntoSomethingElseByAccident) {
  EXPECT_FALSE((std::is_assignable_v<KeyValue&, const Transaction&>));
  EXPECT_FALSE((std::is_assignable_v<KeyValue&, Store>));
  EXPECT_TRUE((std::is_copy_constructible_v<KeyValue> && std::is_copy_assignable_v<Store>));
  EXPECT_TRUE((std::is_copy_assignable_v<AsyncStore>));
  EXPECT_FALSE((std::is_constructible_v<Change, std::nullptr_t>));
  EXPECT_TRUE((HasToken<Lock&> && HasLease<const Lock&>));
  EXPECT_FALSE((HasToken<Lock>));
  EXPECT_FALSE((HasLease<Lock>));
}

Change count_one_more(OptionalView present) { return present ? std::string(*present) + "|" : "|"; }

TEST(Update, TakesAPlainFunction) {
  ReferenceStore store;
  EXPECT_EQ(store->update("k", count_one_more), "|");
  EXPECT_EQ(store->update("k", &count_one_more), "||");
}

TEST(Callables, LentWithoutAResultTheirsIsDropped) {
  int calls = 0;
  const auto add = [&](int by) { return calls += by; };
  const FunctionRef<void(int)> lent = add;
  lent(2);
  EXPECT_EQ(calls, 2);
}

/// Calls of several steps, each of which takes its time.
TEST(Deadline, R57_ACallOfSeveralStepsHasOneDeadlineForAllOfThem) {
  constexpr std::int64_t kStepMs = 30;
  ReferenceStore store({.execute_ms = kStepMs}, {.timeout = 5s});
  const auto expect_steps = [&](const char* call, std::size_t count) {
    SCOPED_TRACE(call);
    const std::vector<std::int64_t> timeouts_ms = store.engine->take_execute_timeouts_ms();
    EXPECT_EQ(timeouts_ms.size(), count);
    for (std::size_t i = 0; i < timeouts_ms.size(); ++i) {
      EXPECT_LE(timeouts_ms[i], 5000 - kStepMs * static_cast<std::int64_t>(i));
    }
  };
  store->update("k", [](OptionalView) { return "1"; });
  expect_steps("update", 2);
  int runs = 0;
  store->update("k", [&](OptionalView) {
    if (++runs == 1) store.engine->put("k", "other");
    store.engine->take_execute_timeouts_ms();
    return "2";
  });
  EXPECT_LE(store.engine->take_execute_timeouts_ms().at(0), 5000 - 2 * kStepMs);
  EXPECT_TRUE(store->try_lock("l", {.owner = "me"}));
  expect_steps("try_lock, free", 2);
  EXPECT_TRUE(store->try_lock("l", {.owner = "me"}));
  expect_steps("try_lock, own", 2);
  EXPECT_TRUE(store->claim("c", "me", {.ttl = 10s}));
  store.engine->take_execute_timeouts_ms();
  EXPECT_TRUE(store->claim("c", "me", {.ttl = 20s}));
  expect_steps("claim, own", 2);
  EXPECT_TRUE(store->move_claim("c", "me", "you"));
  expect_steps("move_claim", 2);
}

/// There may be any number of them: together they would take longer than any one call.
TEST(Deadline, S196_EveryNamespaceIsLookedForWithADeadlineOfItsOwn) {
  ReferenceStore store({.execute_ms = 30}, {.timeout = 5s});
  store->with_namespace("a").set("k", "v");
  store->with_namespace("b").set("k", "v");
  store.engine->take_execute_timeouts_ms();
  EXPECT_EQ(store->namespaces().size(), 2u);
  EXPECT_EQ(store.engine->take_execute_timeouts_ms(), (std::vector<std::int64_t>{5000, 5000, 5000}));
  EXPECT_EQ(store->with_timeout(20ms).namespaces().size(), 2u);
}

TEST(Deadline, R57_ACallInATransactionHasOneDeadlineForItsPages) {
  constexpr std::int64_t kStepMs = 30;
  ReferenceStore store({.execute_ms = kStepMs}, {.timeout = 5s});
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < kScanLimitMax + 1; ++i) keys.push_back("k" + std::to_string(i));
  std::vector<Item> items;
  for (const std::string& key : keys) items.push_back({.key = key, .value = "v"});
  store->set_many(items);
  const Store hurried = store->with_timeout(20ms);
  EXPECT_EQ(code_of([&] { hurried.transaction([](Transaction& tx) { tx.clear(); }); }), Code::Timeout);
  const auto expect_two_steps = [&](const char* call) {
    const std::vector<std::int64_t> timeouts_ms = store.engine->take_execute_timeouts_ms();
    ASSERT_EQ(timeouts_ms.size(), 2u) << call;
    EXPECT_GT(timeouts_ms[0], 5000 - kStepMs) << call << " has a deadline of its own";
    EXPECT_LE(timeouts_ms[1], 5000 - kStepMs) << call;
  };
  store->transaction([&](Transaction& tx) {
    store.engine->take_execute_timeouts_ms();
    tx.set("own", "v");
    static_cast<void>(tx.count());
    expect_two_steps("count");
    EXPECT_EQ(tx.clear(), keys.size() + 1);
    expect_two_steps("clear");
  });
}

TEST(Deadline, R57_ThatNothingIsLeftOfItIsSaidBeforeTheNextStep) {
  ReferenceStore store({.execute_ms = 30});
  const Store hurried = store->with_timeout(20ms);
  EXPECT_EQ(code_of([&] { hurried.update("k", [](OptionalView) { return "1"; }); }), Code::Timeout);
  EXPECT_EQ(code_of([&] { static_cast<void>(hurried.try_lock("l")); }), Code::Timeout);
  EXPECT_EQ(store.engine->take_execute_timeouts_ms().size(), 2u);
  EXPECT_FALSE(store->exists("k"));
}

/// The function of an update has no deadline and takes nothing from that of the call; but it is not run for ever.
TEST(Deadline, R57_AFunctionMayTakeItsTime) {
  ReferenceStore store;
  const Store hurried = store->with_timeout(20ms);
  int runs = 0;
  const auto slow = [&](OptionalView) {
    ++runs;
    std::this_thread::sleep_for(40ms);
    return "1";
  };
  EXPECT_EQ(hurried.update("k", slow), "1");
  const auto disturbed = [&](OptionalView present) {
    store.engine->put("k", std::to_string(runs));
    return slow(present);
  };
  EXPECT_EQ(code_of([&] { hurried.update("k", disturbed); }), Code::Timeout);
  EXPECT_EQ(runs, 2);
}

TEST(Update, KeepsTheExpiryUnlessToldOtherwise) {
  ReferenceStore store;
  store->set("k", "1", {.ttl = 10s});
  store->update("k", [](OptionalView) { return "2"; });
  EXPECT_EQ(store->ttl("k").left, 10s);
  store->update("k", [](OptionalView) { return Change("3", {.ttl = 5s}); });
  EXPECT_EQ(store->ttl("k").left, 5s);
  store->update("k", [](OptionalView) { return Change("3", SetOptions()); });
  EXPECT_EQ(store->ttl("k").left, 5s);
  store->update("k", [](OptionalView) { return Change("4", {.persistent = true}); });
  EXPECT_EQ(store->ttl("k").state, Ttl::State::persistent);
  EXPECT_EQ(store->update("k", [](OptionalView) { return Change("5", {.expires_at = std::chrono::sys_seconds(1s)}); }),
            std::nullopt);
  EXPECT_FALSE(store->exists("k"));
}

TEST(Update, ReplaceTreatsTheExpiryAsSetDoes) {
  ReferenceStore store;
  store->set("k", "1", {.ttl = 10s});
  store->update("k", [](OptionalView) { return Change::replace("2", {.keep_ttl = true}); });
  EXPECT_EQ(store->ttl("k").left, 10s);
  store->update("k", [](OptionalView) { return Change::replace("3", {.ttl = 5s}); });
  EXPECT_EQ(store->ttl("k").left, 5s);
  EXPECT_EQ(store->update("k", [](OptionalView) { return Change::replace("4"); }), "4");
  EXPECT_EQ(store->ttl("k").state, Ttl::State::persistent);
  const Store view = store->with_namespace("n", {.ttl = 7s});
  view.set("k", "1", {.persistent = true});
  view.update("k", [](OptionalView) { return Change::replace("2"); });
  EXPECT_EQ(view.ttl("k").left, 7s);
}

TEST(Update, KeepWithAnExpiryChangesThatAlone) {
  ReferenceStore store;
  const auto touch = [](const SetOptions& options) {
    return [options](OptionalView) { return Change::keep(options); };
  };
  EXPECT_EQ(store->update("k", touch({.ttl = 5s})), std::nullopt);
  EXPECT_FALSE(store->exists("k"));
  store->set("k", "1", {.ttl = 10s});
  EXPECT_EQ(store->update("k", touch({.ttl = 5s})), "1");
  EXPECT_EQ(store->ttl("k").left, 5s);
  EXPECT_EQ(store->update("k", touch({.keep_ttl = true})), "1");
  EXPECT_EQ(store->update("k", touch({})), "1");
  EXPECT_EQ(store->ttl("k").left, 5s);
  EXPECT_EQ(store->update("k", touch({.persistent = true})), "1");
  EXPECT_EQ(store->ttl("k").state, Ttl::State::persistent);
  EXPECT_EQ(store->update("k", touch({.expires_at = std::chrono::sys_seconds(1s)})), std::nullopt);
  EXPECT_FALSE(store->exists("k"));
  EXPECT_EQ(code_of([&] { store->update("k", touch({.ttl = 0s})); }), Code::InvalidArgument);

  // The entry it prolongs is the one the function has seen.
  store->set("k", "1");
  int calls = 0;
  EXPECT_EQ(store->update("k",
                          [&](OptionalView) {
                            if (++calls == 1) store.engine->put("k", "10");
                            if (calls == 2) store.engine->erase("k");
                            return Change::keep({.ttl = 5s});
                          }),
            std::nullopt);
  EXPECT_EQ(calls, 3);
}

TEST(Update, RunsAgainWhenAnotherWriteCameInBetween) {
  ReferenceStore store;
  store->set("k", "1");
  int calls = 0;
  EXPECT_EQ(store->update("k",
                          [&](OptionalView present) {
                            if (++calls == 1) store.engine->put("k", "10");
                            if (calls == 2) store.engine->erase("k");
                            return std::string(present.value_or("none")) + "+";
                          }),
            "none+");
  EXPECT_EQ(calls, 3);
  calls = 0;
  const auto contended = [&](OptionalView) {
    store.engine->put("k", std::to_string(++calls));
    return "mine";
  };
  EXPECT_EQ(code_of([&] { store->update("k", contended); }), Code::Conflict);
  EXPECT_EQ(calls, kConflictAttempts);
  EXPECT_EQ(code_of([&] { store->with_timeout(2ms).update("k", contended); }), Code::Timeout);
}

TEST(Update, AnExceptionLeavesTheEntryAlone) {
  ReferenceStore store;
  store->set("k", "1");
  EXPECT_THROW(store->update("k", [](OptionalView) -> Change { throw std::domain_error("no"); }), std::domain_error);
  EXPECT_EQ(store->get("k"), "1");
}

TEST(Entries, GivesEveryEntryOnceInOrder) {
  ReferenceStore store;
  std::map<std::string, std::string> expected;
  for (int i = 0; i < 250; ++i) expected["k" + std::to_string(i)] = std::to_string(i);
  store->set_many(expected);
  store->set("other", "x");
  for (const std::size_t limit : {1u, 7u, 250u, 1000u}) {
    std::map<std::string, std::string> seen;
    std::string last;
    for (const Entry& entry : store->entries({.prefix = std::string("k"), .limit = limit})) {
      EXPECT_LT(last, entry.key);
      last = entry.key;
      seen.emplace(entry.key, entry.value);
    }
    EXPECT_EQ(seen, expected);
  }
  std::vector<std::string> reversed;
  for (const Entry& entry : store->entries({.glob = "k24?", .limit = 3, .reverse = true}))
    reversed.push_back(entry.key);
  EXPECT_EQ(reversed.size(), 10u);
  EXPECT_TRUE(std::is_sorted(reversed.begin(), reversed.end(), std::greater<>()));
}

TEST(Entries, S83_ALookAtTheBeginningSkipsNothing) {
  ReferenceStore store;
  for (const char* key : {"a", "b", "c"}) store->set(key, "v");
  std::string seen;
  EntryRange range = store->entries({.limit = 1});
  EXPECT_FALSE(range.begin() == range.end());
  EntryRange::Iterator at = range.begin();
  for (; at != range.end(); ++at) {
    seen += at->key;
    EXPECT_EQ(range.begin()->key, at->key) << "it begins where it stands";
  }
  EXPECT_EQ(seen, "abc");
  EXPECT_TRUE(range.begin() == range.end());
}

TEST(Entries, S83_ARangeThatFailedGoesOnWhereItWas) {
  ReferenceStore store;
  for (const char* key : {"a", "b"}) store->set(key, "v");
  EntryRange range = store->entries({.limit = 1});
  store.engine->lose_answer(Code::Timeout);
  EXPECT_EQ(code_of([&] { range.begin(); }), Code::Timeout);
  EXPECT_EQ(range.begin()->key, "a");
  store.engine->lose_answer(Code::Timeout);
  EXPECT_EQ(code_of([&] { ++range.begin(); }), Code::Timeout);
  EXPECT_EQ(range.begin()->key, "b");
}

TEST(Entries, NoneIsAnEmptyRange) {
  ReferenceStore store;
  for (const Entry& entry : store->entries()) ADD_FAILURE() << entry.key;
  for (const Entry& entry : Store(*store.store).with_namespace("gone").entries()) ADD_FAILURE() << entry.key;
}

TEST(GetInto, ReusesTheString) {
  ReferenceStore store;
  store->set("k", "value");
  std::string value(1000, 'x');
  const char* const memory = value.data();
  EXPECT_TRUE(store->get_into("k", value));
  EXPECT_EQ(value, "value");
  EXPECT_EQ(value.data(), memory);
  EXPECT_FALSE(store->get_into("absent", value));
  EXPECT_EQ(value, "");
}

TEST(Views, ADefaultTtl) {
  ReferenceStore store;
  const Store sessions = store->with_namespace("sessions", {.ttl = 10s});
  const auto left = [&](Bytes key) { return sessions.ttl(key).left; };
  sessions.set("a", "1");
  EXPECT_EQ(left("a"), 10s);
  sessions.set("a", "1", {.ttl = 3s});
  EXPECT_EQ(left("a"), 3s);
  sessions.set("a", "1", {.keep_ttl = true});
  EXPECT_EQ(left("a"), 3s);
  sessions.set("a", "1", {.persistent = true});
  EXPECT_EQ(sessions.ttl("a").state, Ttl::State::persistent);
  sessions.update("a", [](OptionalView) { return "2"; });
  EXPECT_EQ(sessions.ttl("a").state, Ttl::State::persistent);
  sessions.update("b", [](OptionalView) { return "2"; });
  EXPECT_EQ(left("b"), 10s);
  sessions.increment("n");
  EXPECT_EQ(left("n"), 10s);
  sessions.increment("m", 1, {.ttl_if_created = 2s});
  EXPECT_EQ(left("m"), 2s);
  sessions.set_many({{.key = "p", .value = ""}, {.key = "q", .value = "", .ttl = 1s}});
  EXPECT_EQ(left("p"), 10s);
  EXPECT_EQ(left("q"), 1s);
  sessions.compare_and_swap("c", std::nullopt, "1");
  EXPECT_EQ(left("c"), 10s);
  EXPECT_EQ(sessions.with_namespace("deeper").with_timeout(1s).get_and_set("d", "1"), std::nullopt);
  EXPECT_EQ(sessions.with_namespace("deeper").ttl("d").left, 10s);
  store->set("root", "1");
  EXPECT_EQ(store->ttl("root").state, Ttl::State::persistent);
}

TEST(Views, NamespacesAreListed) {
  ReferenceStore store;
  EXPECT_TRUE(store->namespaces().empty());
  store->set("root", "1");
  for (const char* name : {"b", "a", "a/x", "\x02", "\xff\xff", "ab"}) {
    for (const char* key : {"k1", "k2", "\xff"}) store->with_namespace(name).set(key, "1");
  }
  const std::vector<std::string> expected = {"\x02", "a", "a/x", "ab", "b", "\xff\xff"};
  EXPECT_EQ(store->namespaces(), expected);
  EXPECT_EQ(store->with_namespace("a").namespaces(), expected) << "of the whole store";
  store->with_namespace("gone").set("k", "1", {.ttl = 1s});
  store.clock.advance_ms(1000);
  EXPECT_EQ(store->namespaces(), expected) << "expired entries do not count";
}

TEST(Batches, OfAKeyGivenTwiceTheLastWins) {
  ReferenceStore store;
  store->set_many({{.key = "k", .value = "1"}, {.key = "k", .value = "2"}});
  EXPECT_EQ(store->get("k"), "2");
  EXPECT_TRUE(
      store->set_many_if_absent({{.key = "n", .value = "1"}, {.key = "m", .value = "x"}, {.key = "n", .value = "2"}}));
  EXPECT_EQ(store->get("n"), "2");
  EXPECT_FALSE(store->set_many_if_absent({{.key = "new", .value = "1"}, {.key = "n", .value = "3"}}));
  EXPECT_FALSE(store->exists("new"));
  EXPECT_EQ(store->erase_many({"n", "absent", "n"}), 1u);
  EXPECT_EQ(store->exists_many({"k", "k", "absent"}), 2u);
}

TEST(Closing, ClosesEveryCopyAndView) {
  ReferenceStore store;
  const Store copy = *store.store;
  const Store tenant = store->with_namespace("t");
  copy.close();
  copy.close();
  EXPECT_EQ(code_of([&] { store->get("k"); }), Code::Closed);
  EXPECT_EQ(code_of([&] { tenant.set("k", "1"); }), Code::Closed);
  EXPECT_EQ(code_of([&] { submitted(tenant.async().get("k")); }), Code::Closed);
  EXPECT_EQ(code_of([&] { store->stats(); }), Code::Closed);
  EXPECT_EQ(code_of([&] { store->cleanup_expired(); }), Code::Closed);
}

}  // namespace
}  // namespace tuskv::test
