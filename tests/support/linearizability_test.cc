#include "support/linearizability.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "support/random.h"

namespace tuskv::test {
namespace {

using Verdict = LinearizabilityResult::Verdict;

Call read(std::int64_t called, std::int64_t returned, std::optional<std::string> value, const std::string& key = "k") {
  return {.seen = {saw(key, value)}, .called = called, .returned = returned};
}

Call write(std::int64_t called, std::int64_t returned, std::optional<std::string> value, const std::string& key = "k") {
  return {.done = {{key, value}}, .called = called, .returned = returned};
}

Call change(std::int64_t called, std::int64_t returned, std::optional<std::string> before, std::string after) {
  return {.seen = {saw("k", before)}, .done = {{"k", after}}, .called = called, .returned = returned};
}

TEST(Linearizability, AnEmptyHistoryIsFine) { EXPECT_TRUE(check_linearizability({})); }

TEST(Linearizability, SequentialHistories) {
  EXPECT_TRUE(check_linearizability({read(1, 2, {}), write(3, 4, "a"), read(5, 6, "a")}));
  EXPECT_FALSE(check_linearizability({write(1, 2, "a"), read(3, 4, {})}));                     // a lost write
  EXPECT_FALSE(check_linearizability({write(1, 2, "a"), write(3, 4, "b"), read(5, 6, "a")}));  // a stale read
  EXPECT_FALSE(check_linearizability({read(1, 2, "a")}));                                      // out of nothing
  EXPECT_FALSE(check_linearizability({write(1, 2, "a"), write(3, 4, {}), read(5, 6, "a")}));   // a resurrection
  EXPECT_TRUE(check_linearizability({read(1, 2, "a")}, {{"k", "a"}}));
}

TEST(Linearizability, OverlappingCallsMayComeInEitherOrder) {
  EXPECT_TRUE(check_linearizability({write(1, 10, "a"), read(2, 3, {}), read(4, 5, "a")}));
  EXPECT_TRUE(check_linearizability({write(1, 10, "a"), write(1, 10, "b"), read(11, 12, "a")}));
  EXPECT_FALSE(check_linearizability({write(1, 10, "a"), read(2, 3, "a"), read(4, 5, {})}));  // seen, then unseen
  EXPECT_FALSE(check_linearizability({write(1, 10, "a"), write(1, 10, "b"), read(11, 12, "a"), read(13, 14, "b")}));
}

TEST(Linearizability, LostUpdatesAreFound) {
  EXPECT_TRUE(check_linearizability({change(1, 9, {}, "1"), change(2, 8, "1", "2")}));
  EXPECT_FALSE(check_linearizability({change(1, 9, {}, "1"), change(2, 8, {}, "1")}));
  // The old value handed out twice.
  EXPECT_FALSE(check_linearizability({write(1, 2, "a"), change(3, 9, "a", "b"), change(4, 8, "a", "c")}));
}

TEST(Linearizability, ConditionsThatDidNotHold) {
  const Call refused = {.seen = {{"k", Sighting::Kind::differs, "x"}}, .called = 5, .returned = 6};
  EXPECT_TRUE(check_linearizability({write(1, 2, "a"), refused}));
  EXPECT_FALSE(check_linearizability({write(1, 2, "x"), refused}));
  EXPECT_FALSE(check_linearizability({refused}));
  const Call present = {.seen = {{"k", Sighting::Kind::present, ""}}, .called = 5, .returned = 6};
  EXPECT_TRUE(check_linearizability({write(1, 9, "a"), present}));
  EXPECT_FALSE(check_linearizability({write(7, 9, "a"), present}));
  const Call not_x = {.seen = {{"k", Sighting::Kind::is_not, "x"}}, .called = 5, .returned = 6};
  EXPECT_TRUE(check_linearizability({not_x}));
  EXPECT_TRUE(check_linearizability({write(1, 2, "a"), not_x}));
  EXPECT_FALSE(check_linearizability({write(1, 2, "x"), not_x}));
}

TEST(Linearizability, BatchesAreSeenWholeOrNotAtAll) {
  const Call batch = {.done = {{"x", "1"}, {"y", "1"}}, .called = 1, .returned = 10};
  const Call whole = {.seen = {saw("x", "1"), saw("y", "1")}, .called = 2, .returned = 3};
  const Call none = {.seen = {saw("x", {}), saw("y", {})}, .called = 2, .returned = 3};
  const Call half = {.seen = {saw("x", "1"), saw("y", {})}, .called = 2, .returned = 3};
  EXPECT_TRUE(check_linearizability({batch, whole}));
  EXPECT_TRUE(check_linearizability({batch, none}));
  EXPECT_FALSE(check_linearizability({batch, half}));
}

TEST(Linearizability, WriteSkewIsFound) {
  const std::vector<Effect> initial = {{"x", "on"}, {"y", "on"}};
  const Call leaves_x = {.seen = {saw("x", "on"), saw("y", "on")}, .done = {{"x", "off"}}, .called = 1, .returned = 9};
  const Call leaves_y = {.seen = {saw("x", "on"), saw("y", "on")}, .done = {{"y", "off"}}, .called = 2, .returned = 8};
  EXPECT_TRUE(check_linearizability({leaves_x}, initial));
  EXPECT_FALSE(check_linearizability({leaves_x, leaves_y}, initial));
}

TEST(Linearizability, UnknownOutcomesMayHappenLateOrNever) {
  Call unknown = write(1, 2, "a");
  unknown.may_never_happen = true;
  EXPECT_TRUE(check_linearizability({unknown}));
  EXPECT_TRUE(check_linearizability({unknown, read(3, 4, {})}));
  EXPECT_TRUE(check_linearizability({unknown, read(3, 4, {}), read(5, 6, "a")}));
  EXPECT_FALSE(check_linearizability({unknown, read(3, 4, "a"), read(5, 6, {})}));  // it cannot be undone
}

TEST(Linearizability, IndependentKeysAreJudgedApart) {
  std::vector<Call> history;
  for (int key = 0; key < 50; ++key) {
    for (int i = 0; i < 20; ++i) history.push_back(write(0, 100, std::to_string(i), std::to_string(key)));
  }
  EXPECT_TRUE(check_linearizability(history));
  history.push_back(read(101, 102, "none of these", "49"));
  const auto result = check_linearizability(history, {}, 1'000'000);
  EXPECT_NE(result.verdict, Verdict::linearizable);
}

TEST(Linearizability, GivesUpRatherThanRunForEver) {
  std::vector<Call> history;
  for (int i = 0; i < 40; ++i) history.push_back(write(0, 100, std::to_string(i)));
  history.push_back(read(101, 102, "none of these"));
  EXPECT_EQ(check_linearizability(history, {}, 10'000).verdict, Verdict::gave_up);
}

TEST(Linearizability, TheExplanationShowsTheCallsThatDoNotFit) {
  const auto result = check_linearizability({write(1, 2, "a"), read(3, 4, "phantom")});
  EXPECT_EQ(result.verdict, Verdict::violation);
  EXPECT_NE(result.explanation.find("1 of 2 calls fit"), std::string::npos) << result.explanation;
  EXPECT_NE(result.explanation.find("saw k = phantom"), std::string::npos) << result.explanation;
}

/// The verdict by its definition: some permutation that respects time and in which all sightings are true.
bool linearizable_by_definition(const std::vector<Call>& history) {
  std::vector<std::size_t> order(history.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  do {
    std::map<std::string, std::string> state;
    bool fits = true;
    for (std::size_t i = 0; i < order.size() && fits; ++i) {
      const Call& call = history[order[i]];
      for (std::size_t j = i + 1; j < order.size(); ++j) fits = fits && history[order[j]].returned >= call.called;
      for (const Sighting& seen : call.seen) {
        const auto found = state.find(seen.key);
        fits = fits && (found == state.end() ? seen.kind == Sighting::Kind::absent
                                             : seen.kind == Sighting::Kind::equals && seen.value == found->second);
      }
      for (const Effect& done : call.done) {
        if (done.value) {
          state[done.key] = *done.value;
        } else {
          state.erase(done.key);
        }
      }
    }
    if (fits) return true;
  } while (std::next_permutation(order.begin(), order.end()));
  return false;
}

/// A few calls on two keys with random times and random, often impossible, sightings.
std::vector<Call> random_history(Random& random) {
  std::vector<Call> history;
  const auto value = [&] { return random.chance(25) ? std::nullopt : std::optional(std::to_string(random.below(2))); };
  for (std::uint64_t i = 0, size = 2 + random.below(5); i < size; ++i) {
    Call call = {.called = static_cast<std::int64_t>(random.below(12))};
    call.returned = call.called + 1 + static_cast<std::int64_t>(random.below(6));
    for (const char* key : {"x", "y"}) {
      if (random.chance(40)) call.seen.push_back(saw(key, value()));
      if (random.chance(50)) call.done.push_back({key, value()});
    }
    history.push_back(std::move(call));
  }
  return history;
}

TEST(Linearizability, AgreesWithItsDefinitionOnRandomHistories) {
  Random random(20260727);
  int good = 0;
  constexpr int kHistories = 4000;
  for (int i = 0; i < kHistories; ++i) {
    const std::vector<Call> history = random_history(random);
    const bool expected = linearizable_by_definition(history);
    good += expected ? 1 : 0;
    ASSERT_EQ(bool(check_linearizability(history)), expected) << "history " << i;
  }
  EXPECT_GT(good, kHistories / 20);  // both verdicts were met often
  EXPECT_LT(good, kHistories * 19 / 20);
}

/// What 8 clients would record against a store that is atomic, its instants chosen within each call.
std::vector<Call> atomic_history(Random& random, int calls) {
  std::vector<Call> history;
  std::vector<std::int64_t> free_at(8);
  std::int64_t now = 0;
  std::optional<std::string> present;
  for (int i = 0; i < calls; ++i) {
    now += 1 + static_cast<std::int64_t>(random.below(4));
    std::int64_t& client = *std::min_element(free_at.begin(), free_at.end());
    Call call = {.called = std::max(client, now - static_cast<std::int64_t>(random.below(20)))};
    now = std::max(now, call.called);
    call.returned = client = now + static_cast<std::int64_t>(random.below(20));
    if (random.chance(60)) call.seen.push_back(saw("k", present));
    if (random.chance(60)) {
      present = random.chance(10) ? std::nullopt : std::optional(std::to_string(i));
      call.done.push_back({"k", present});
    }
    ++client;
    history.push_back(std::move(call));
  }
  return history;
}

TEST(Linearizability, AcceptsLongAtomicHistoriesAndFindsOneWrongRead) {
  Random random(7);
  for (int round = 0; round < 20; ++round) {
    std::vector<Call> history = atomic_history(random, 800);
    ASSERT_TRUE(check_linearizability(history)) << "round " << round;
    // The first call's value, seen again at the end by a call of its own, is long gone.
    history.push_back(read(1'000'000, 1'000'001, "never written"));
    EXPECT_EQ(check_linearizability(history).verdict, Verdict::violation) << "round " << round;
  }
}

}  // namespace
}  // namespace tuskv::test
