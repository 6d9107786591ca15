// The fixed-window rate limiter.
#include <algorithm>
#include <stdexcept>

#include "contract/contract.h"
#include "support/submitted.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""us;

TUSKV_JSON_CONTRACT_SUITE(RateLimits);

TEST_P(RateLimits, Y14_GrantsItsLimitInEachWindowAndNoMore) {
  const RateLimitOptions limit = {.limit = 3, .window = 100ms};
  for (int window = 0; window < 3; ++window) {
    for (int hit = 0; hit < 6; ++hit) {
      const RateLimitResult result = store().rate_limit("login", limit);
      EXPECT_EQ(result.allowed, hit < 3);
      EXPECT_EQ(static_cast<bool>(result), hit < 3);
      EXPECT_EQ(result.remaining, std::max(2 - hit, 0));
      EXPECT_EQ(result.reset_after, std::chrono::milliseconds(100 - hit * 10)) << "from the first hit";
      advance_ms(10);
    }
    advance_ms(40);
  }
}

TEST_P(RateLimits, Y14_DeniedHitsCountNothing) {
  const RateLimitOptions five = {.limit = 5, .window = 100ms, .cost = 2};
  EXPECT_TRUE(store().rate_limit("k", five));
  EXPECT_TRUE(store().rate_limit("k", five));
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(store().rate_limit("k", five));
  const RateLimitResult last = store().rate_limit("k", {.limit = 5, .window = 100ms});
  EXPECT_TRUE(last) << "one was left";
  EXPECT_EQ(last.remaining, 0);
  EXPECT_FALSE(store().rate_limit("fresh", {.limit = 5, .window = 100ms, .cost = 6}));
  EXPECT_EQ(store().peek_rate_limit("fresh").reset_after, 0ms) << "a denied hit starts no window";
}

TEST_P(RateLimits, Y14_TheResetTimeIsRoundedUp) {
  EXPECT_TRUE(store().rate_limit("k", {.limit = 1, .window = 1ms}));
  EXPECT_EQ(store().rate_limit("k", {.limit = 1, .window = 1ms}).reset_after, 1ms);
  advance_ms(1);
  EXPECT_TRUE(store().rate_limit("k", {.limit = 1, .window = 100us})) << "a window is whole milliseconds, rounded up";
  EXPECT_EQ(store().peek_rate_limit("k").reset_after, 1ms);
}

TEST_P(RateLimits, PeekCountsNothingAndResetEndsTheWindow) {
  EXPECT_EQ(store().peek_rate_limit("k").granted, 0);
  EXPECT_EQ(store().peek_rate_limit("k").reset_after, 0ms);
  EXPECT_FALSE(store().reset_rate_limit("k"));
  EXPECT_TRUE(store().rate_limit("k", {.limit = 10, .window = 100ms, .cost = 4}));
  advance_ms(30);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(store().peek_rate_limit("k").granted, 4);
    EXPECT_EQ(store().peek_rate_limit("k").reset_after, 70ms);
  }
  EXPECT_TRUE(store().reset_rate_limit("k"));
  EXPECT_FALSE(store().reset_rate_limit("k"));
  EXPECT_EQ(store().rate_limit("k", {.limit = 10, .window = 100ms}).reset_after, 100ms);
}

TEST_P(RateLimits, LimitsMayChangeWhileAWindowRuns) {
  EXPECT_EQ(store().rate_limit("k", {.limit = 10, .window = 100ms, .cost = 8}).remaining, 2);
  const RateLimitResult lowered = store().rate_limit("k", {.limit = 5, .window = 1ms});
  EXPECT_FALSE(lowered);
  EXPECT_EQ(lowered.remaining, 0);
  EXPECT_EQ(lowered.reset_after, 100ms) << "a running window keeps its end";
  EXPECT_EQ(store().rate_limit("k", {.limit = 20, .window = 1ms}).remaining, 11);
  EXPECT_FALSE(store().rate_limit("none", {.limit = 0, .window = 100ms})) << "a limit of 0 grants nothing";
  EXPECT_EQ(store().rate_limit("none", {.limit = 0, .window = 100ms}).reset_after, 0ms);
}

TEST_P(RateLimits, Y10_Y14_TheyAreApartFromKeysAndNamespaces) {
  store().set("k", R"("not a number")");
  EXPECT_TRUE(store().rate_limit("k", {.limit = 1, .window = 100ms}));
  EXPECT_TRUE(store().with_namespace("a").rate_limit("k", {.limit = 1, .window = 100ms}));
  EXPECT_FALSE(store().with_namespace("a").rate_limit("k", {.limit = 1, .window = 100ms}));
  EXPECT_EQ(get("k"), R"("not a number")");
  EXPECT_EQ(store().ttl("k").state, Ttl::State::persistent);
  EXPECT_EQ(store().clear(), 1U);
  EXPECT_EQ(store().peek_rate_limit("k").granted, 1);
}

TEST_P(RateLimits, TheyWorkInTransactionsAndAsynchronously) {
  const RateLimitOptions limit = {.limit = 2, .window = 100ms};
  EXPECT_THROW(store().transaction([&](Transaction& tx) {
    EXPECT_TRUE(tx.rate_limit("k", limit));
    throw std::runtime_error("no");
  }),
               std::runtime_error);
  EXPECT_EQ(store().peek_rate_limit("k").granted, 0);
  store().transaction([&](Transaction& tx) { EXPECT_TRUE(tx.rate_limit("k", limit)); });
  const AsyncStore async = store().async();
  EXPECT_EQ(submitted(async.rate_limit("k", limit)).remaining, 0);
  EXPECT_FALSE(submitted(async.rate_limit("k", limit)));
  EXPECT_EQ(submitted(async.peek_rate_limit("k")).granted, 2);
  EXPECT_TRUE(submitted(async.reset_rate_limit("k")));
}

TEST_P(RateLimits, ArgumentsAreChecked) {
  const auto hit = [&](const RateLimitOptions& with) { return store().rate_limit("k", with); };
  expect_refused([&] { return hit({.window = 1ms}); }, Code::InvalidArgument, {"limit", "0"});
  expect_refused([&] { return hit({.limit = 1}); }, Code::InvalidArgument, {"window", "positive"});
  expect_refused([&] { return hit({.limit = 1, .window = -1ms}); }, Code::InvalidArgument, {"window"});
  expect_refused([&] { return hit({.limit = 1, .window = 1ms, .cost = 0}); }, Code::InvalidArgument, {"cost"});
  expect_refused([&] { return hit({.limit = 1, .window = 1ms, .cost = -1}); }, Code::InvalidArgument, {"cost", "-1"});
  const std::int64_t most = 1'000'000'000'000'000;
  expect_refused([&] { return hit({.limit = most + 1, .window = 1ms}); }, Code::InvalidArgument, {"limit"});
  expect_refused([&] { return hit({.limit = 1, .window = 1ms, .cost = most + 1}); }, Code::InvalidArgument, {"cost"});
  expect_refused([&] { return store().rate_limit("", {.limit = 1, .window = 1ms}); }, Code::InvalidKey, {"rate limit"});
  EXPECT_TRUE(hit({.limit = most, .window = 100ms, .cost = most}));
  EXPECT_FALSE(hit({.limit = most, .window = 100ms, .cost = most})) << "their sum fits";
}

}  // namespace
}  // namespace tuskv::test
