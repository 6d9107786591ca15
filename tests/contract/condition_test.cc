// Writes that depend on what is there: set if absent or present, compare and swap, update.
#include <stdexcept>
#include <string>

#include "contract/contract.h"
#include "support/submitted.h"
#include "tuskv/typed.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;
using testing::Optional;
using Status = CompareResult::Status;

TUSKV_CONTRACT_SUITE(Condition);

TEST_P(Condition, SetIfAbsent) {
  EXPECT_TRUE(store().set_if_absent("k", "1", {.ttl = 100ms}));
  EXPECT_EQ(store().ttl("k").left, 100ms);
  EXPECT_FALSE(store().set_if_absent("k", "2"));
  EXPECT_THAT(get("k"), Optional(std::string("1")));
  EXPECT_EQ(store().ttl("k").left, 100ms);  // refused: the expiry is as it was
}

TEST_P(Condition, SetIfPresent) {
  EXPECT_FALSE(store().set_if_present("k", "1"));
  EXPECT_EQ(get("k"), std::nullopt);
  store().set("k", "1", {.ttl = 100ms});
  EXPECT_TRUE(store().set_if_present("k", "2", {.keep_ttl = true}));
  EXPECT_EQ(store().ttl("k").left, 100ms);
  EXPECT_TRUE(store().set_if_present("k", "3"));
  EXPECT_EQ(store().ttl("k").state, Ttl::State::persistent);
}

TEST_P(Condition, P4_SetIfAbsentAndSwapFromNothingTakeADeadEntryAsAbsent) {
  set_dead("a");
  EXPECT_TRUE(store().set_if_absent("a", "new"));
  EXPECT_THAT(get("a"), Optional(std::string("new")));
  EXPECT_EQ(store().ttl("a").state, Ttl::State::persistent);
  set_dead("b");
  EXPECT_TRUE(store().compare_and_swap("b", std::nullopt, "new"));
  EXPECT_THAT(get("b"), Optional(std::string("new")));
  set_dead("c");
  EXPECT_FALSE(store().set_if_present("c", "new"));
  EXPECT_EQ(get("c"), std::nullopt);
}

TEST_P(Condition, CompareAndSwapByValue) {
  EXPECT_EQ(store().compare_and_swap("k", "1", "2").status, Status::not_found);
  EXPECT_EQ(get("k"), std::nullopt);
  store().set("k", "1");
  EXPECT_TRUE(store().compare_and_swap("k", "1", "2"));
  EXPECT_THAT(get("k"), Optional(std::string("2")));
  EXPECT_FALSE(store().compare_and_swap("k", "1", "3"));
  EXPECT_THAT(get("k"), Optional(std::string("2")));
}

TEST_P(Condition, P6_AMismatchShowsWhatWasCompared) {
  store().set("k", "actual");
  const CompareResult result = store().compare_and_swap("k", "expected", "new");
  EXPECT_EQ(result.status, Status::mismatch);
  EXPECT_THAT(result.current, Optional(std::string("actual")));
  EXPECT_EQ(store().compare_and_swap("absent", "expected", "new").current, std::nullopt);
  store().set("empty", "");
  EXPECT_THAT(store().compare_and_swap("empty", "x", "new").current, Optional(std::string()));
  EXPECT_TRUE(store().compare_and_swap("empty", "", "new"));
}

TEST_P(Condition, CompareAndSwapFromNothing) {
  EXPECT_TRUE(store().compare_and_swap("k", std::nullopt, "1"));
  const CompareResult result = store().compare_and_swap("k", std::nullopt, "2");
  EXPECT_EQ(result.status, Status::mismatch);
  EXPECT_THAT(get("k"), Optional(std::string("1")));
}

TEST_P(Condition, CompareAndSwapByVersion) {
  store().set("k", "1");
  const Version first = store().get_entry("k")->version;
  EXPECT_TRUE(store().compare_and_swap("k", first, "2"));
  const CompareResult mismatch = store().compare_and_swap("k", first, "3");
  EXPECT_EQ(mismatch.status, Status::mismatch);
  EXPECT_THAT(mismatch.current, Optional(std::string("2")));
  EXPECT_THAT(get("k"), Optional(std::string("2")));
  EXPECT_EQ(store().compare_and_swap("absent", first, "3").status, Status::not_found);
  // The same value again is another version.
  store().set("k", "1");
  EXPECT_FALSE(store().compare_and_swap("k", first, "3"));
}

TEST_P(Condition, S181_AComparisonTellsTheVersionThatItMetOrMade) {
  const auto version = [&] { return store().get_entry("k")->version; };
  const CompareResult created = store().compare_and_swap("k", std::nullopt, "1");
  EXPECT_EQ(created.version, version());
  const CompareResult swapped = store().compare_and_swap("k", "1", "2");
  EXPECT_EQ(swapped.version, version());
  EXPECT_GT(swapped.version, created.version);
  const CompareResult late = store().compare_and_swap("k", created.version, "3");
  EXPECT_EQ(late.status, Status::mismatch);
  EXPECT_EQ(late.version, version());
  const CompareResult again = store().compare_and_swap("k", late.version, "3");
  EXPECT_TRUE(again);
  EXPECT_EQ(again.version, version());
  const CompareResult asynchronous = submitted(store().async().compare_and_swap("k", "3", "4"));
  EXPECT_EQ(asynchronous.version, version());
  EXPECT_EQ(store().compare_and_swap("k", std::nullopt, "5").version, version());
  EXPECT_EQ(store().compare_and_swap("k", "1", "5").version, version());
  EXPECT_EQ(store().compare_and_erase("k", "1").version, version());
  EXPECT_EQ(store().compare_and_erase("k", created.version).version, version());
  EXPECT_EQ(store().compare_and_erase("k", version()).version, Version());
  EXPECT_EQ(store().compare_and_erase("k", "4").version, Version());
  EXPECT_EQ(store().compare_and_swap("k", again.version, "5").version, Version());
  const CompareResult made = store().compare_and_swap("k", std::nullopt, "6");
  const CompareResult erased = store().compare_and_swap("k", made.version, "7", {.expires_at = now_plus_ms(-1000)});
  EXPECT_TRUE(erased);
  EXPECT_EQ(erased.version, Version()) << "nothing was written";
}

TEST_P(Condition, S181_AComparisonInATransactionTellsTheVersionForTheMoment) {
  store().set("k", "1");
  const Version stored = store().get_entry("k")->version;
  const Version made = store().transaction([&](Transaction& tx) {
    EXPECT_EQ(tx.compare_and_swap("k", "x", "2").version, stored);
    const CompareResult swapped = tx.compare_and_swap("k", stored, "2");
    EXPECT_EQ(swapped.version, tx.get_entry("k")->version);
    EXPECT_EQ(tx.compare_and_swap("k", "1", "3").version, swapped.version);
    tx.set("gone", "1");
    EXPECT_EQ(tx.compare_and_swap("gone", "1", "2", {.expires_at = now_plus_ms(-1000)}).version, Version());
    return tx.compare_and_swap("k", swapped.version, "3").version;
  });
  EXPECT_THAT(get("k"), Optional(std::string("3")));
  EXPECT_GE(made.number, std::uint64_t{1} << 63);
  EXPECT_LT(store().get_entry("k")->version.number, std::uint64_t{1} << 63);
}

TEST_P(Condition, S181_AComparisonOfAViewTellsTheVersion) {
  const auto numbers = store().typed<int>("n:");
  const auto version = [&] { return store().get_entry("n:k")->version; };
  EXPECT_EQ(numbers.compare_and_swap("k", 1, 2).version, Version());
  const auto created = numbers.compare_and_swap("k", std::nullopt, 1);
  EXPECT_EQ(created.version, version());
  const auto swapped = numbers.compare_and_swap("k", 1, 2);
  EXPECT_TRUE(swapped);
  EXPECT_EQ(swapped.version, version());
  EXPECT_EQ(numbers.compare_and_swap("k", 1, 3).version, version());
  const auto again = numbers.compare_and_swap("k", swapped.version, 3);
  EXPECT_EQ(again.version, version());
  EXPECT_EQ(numbers.compare_and_erase("k", 1).version, version());
  EXPECT_EQ(numbers.compare_and_erase("k", 3).version, Version());
}

TEST_P(Condition, CompareAndSwapKeepsTheExpiryUnlessTold) {
  store().set("k", "1", {.ttl = 100ms});
  EXPECT_TRUE(store().compare_and_swap("k", "1", "2"));
  EXPECT_EQ(store().ttl("k").left, 100ms);
  EXPECT_TRUE(store().compare_and_swap("k", "2", "3", {.ttl = 200ms}));
  EXPECT_EQ(store().ttl("k").left, 200ms);
  EXPECT_TRUE(store().compare_and_swap("k", "3", "4", {.persistent = true}));
  EXPECT_EQ(store().ttl("k").state, Ttl::State::persistent);
}

TEST_P(Condition, CompareAndErase) {
  EXPECT_EQ(store().compare_and_erase("k", "1").status, Status::not_found);
  store().set("k", "1");
  const CompareResult mismatch = store().compare_and_erase("k", "2");
  EXPECT_EQ(mismatch.status, Status::mismatch);
  EXPECT_THAT(mismatch.current, Optional(std::string("1")));
  EXPECT_TRUE(store().compare_and_erase("k", "1"));
  EXPECT_EQ(get("k"), std::nullopt);
  store().set("k", "1");
  const Version version = store().get_entry("k")->version;
  store().set("k", "1");
  EXPECT_EQ(store().compare_and_erase("k", version).status, Status::mismatch);
  EXPECT_TRUE(store().compare_and_erase("k", store().get_entry("k")->version));
  EXPECT_EQ(store().compare_and_erase("k", version).status, Status::not_found);
}

TEST_P(Condition, P5_ComparisonsWithADeadEntryFindNothing) {
  set_dead("k", "1");
  EXPECT_EQ(store().compare_and_swap("k", "1", "2").status, Status::not_found);
  EXPECT_EQ(store().compare_and_swap("k", "1", "2").current, std::nullopt);
  EXPECT_EQ(store().compare_and_erase("k", "1").status, Status::not_found);
  EXPECT_EQ(get("k"), std::nullopt);
}

TEST_P(Condition, SetManyIfAbsentIsAllOrNothing) {
  EXPECT_TRUE(store().set_many_if_absent({{"a", "1"}, {"b", "2"}}, {.ttl = 100ms}));
  EXPECT_EQ(store().ttl("b").left, 100ms);
  EXPECT_FALSE(store().set_many_if_absent({{"c", "3"}, {"b", "9"}, {"d", "4"}}));
  EXPECT_EQ(store().exists_many({"c", "d"}), 0u);
  EXPECT_THAT(get("b"), Optional(std::string("2")));
  set_dead("e");
  EXPECT_TRUE(store().set_many_if_absent({{"e", "5"}}));
}

TEST_P(Condition, SetManyIfAbsentWithAKeyTwiceTakesTheLast) {
  EXPECT_TRUE(store().set_many_if_absent({{"a", "1"}, {"a", "2"}, {"b", "3"}}));
  EXPECT_THAT(get("a"), Optional(std::string("2")));
  EXPECT_THAT(get("b"), Optional(std::string("3")));
}

// ---- update

TEST_P(Condition, UpdateSetsErasesOrKeeps) {
  const auto append = [](std::optional<std::string_view> value) -> Change {
    return std::string(value.value_or("")) + "x";
  };
  EXPECT_THAT(store().update("k", append), Optional(std::string("x")));
  EXPECT_THAT(store().update("k", append), Optional(std::string("xx")));
  EXPECT_THAT(get("k"), Optional(std::string("xx")));
  const Version before = store().get_entry("k")->version;
  EXPECT_THAT(store().update("k", [](auto) { return Change::keep(); }), Optional(std::string("xx")));
  EXPECT_EQ(store().get_entry("k")->version, before);
  EXPECT_EQ(store().update("k", [](auto) -> Change { return std::nullopt; }), std::nullopt);
  EXPECT_EQ(get("k"), std::nullopt);
  EXPECT_EQ(store().update("k", [](auto) -> Change { return std::nullopt; }), std::nullopt);
  EXPECT_EQ(store().update("k", [](auto) { return Change::keep(); }), std::nullopt);
}

TEST_P(Condition, UpdateKeepsTheExpiryUnlessTold) {
  store().set("k", "1", {.ttl = 100ms});
  store().update("k", [](auto) -> Change { return "2"; });
  EXPECT_EQ(store().ttl("k").left, 100ms);
  store().update("k", [](auto) { return Change("3", {.ttl = 300ms}); });
  EXPECT_EQ(store().ttl("k").left, 300ms);
  store().update("k", [](auto) { return Change("4", {.persistent = true}); });
  EXPECT_EQ(store().ttl("k").state, Ttl::State::persistent);
}

TEST_P(Condition, UpdateSeesADeadEntryAsAbsent) {
  set_dead("k");
  bool had_value = true;
  store().update("k", [&](std::optional<std::string_view> value) -> Change {
    had_value = value.has_value();
    return "new";
  });
  EXPECT_FALSE(had_value);
  EXPECT_THAT(get("k"), Optional(std::string("new")));
  EXPECT_EQ(store().ttl("k").state, Ttl::State::persistent);
}

TEST_P(Condition, UpdateThatThrowsChangesNothing) {
  store().set("k", "1");
  const auto fail = [](std::optional<std::string_view>) -> Change { throw std::runtime_error("mine"); };
  EXPECT_THROW(store().update("k", fail), std::runtime_error);
  EXPECT_THAT(get("k"), Optional(std::string("1")));
}

TEST_P(Condition, G11_UpdateRunsUnderNoLock) {
  store().set("k", "1");
  int runs = 0;
  // The same key, its neighbours and the whole namespace can be used while the function runs; it runs again because
  // the key it looked at was changed.
  const auto result = store().update("k", [&](std::optional<std::string_view> value) -> Change {
    if (runs++ == 0) {
      store().set("k", "5");
      store().set("other", "x");
      EXPECT_EQ(store().count(), 2u);
    }
    return std::string(*value) + "!";
  });
  EXPECT_THAT(result, Optional(std::string("5!")));
  EXPECT_EQ(runs, 2);
}

TEST_P(Condition, G2_UpdateOfAnAbsentKeyNoticesOtherWriters) {
  int runs = 0;
  const auto result = store().update("k", [&](std::optional<std::string_view> value) -> Change {
    if (runs++ == 0) store().set("k", "first");
    return std::string(value.value_or("nothing")) + "+";
  });
  EXPECT_THAT(result, Optional(std::string("first+")));
}

TEST_P(Condition, UpdateGivesUpWithConflict) {
  int runs = 0;
  const Error error = error_of([&] {
    store().update("k", [&](auto) -> Change {
      store().set("k", std::to_string(runs++));
      return "mine";
    });
  });
  EXPECT_EQ(error.code(), Code::Conflict) << error.what();
  EXPECT_TRUE(error.retryable());
  EXPECT_EQ(runs, 256);
  EXPECT_THAT(get("k"), Optional(std::string("255")));
}

}  // namespace
}  // namespace tuskv::test
