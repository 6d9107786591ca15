// Counters: decimal text, 64 bits, strict, bounded.
#include <atomic>
#include <cstdint>
#include <limits>
#include <string>

#include "contract/contract.h"
#include "tuskv/typed.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;
using testing::Optional;

constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

TUSKV_CONTRACT_SUITE(Counter);

TEST_P(Counter, CountsFromZeroAndIsPlainText) {
  EXPECT_EQ(store().increment("n"), 1);
  EXPECT_EQ(store().increment("n", 41), 42);
  EXPECT_THAT(get("n"), Optional(std::string("42")));
  EXPECT_EQ(store().decrement("n", 50), -8);
  EXPECT_THAT(get("n"), Optional(std::string("-8")));
  EXPECT_EQ(store().increment("n", 0), -8);
  EXPECT_EQ(store().increment("zero", 0), 0);
  EXPECT_THAT(get("zero"), Optional(std::string("0")));
  EXPECT_EQ(reopen().increment("n"), -7);
  store().set("text", "99");
  EXPECT_EQ(store().increment("text"), 100);
}

TEST_P(Counter, Y8_NegativeStepsGoTheOtherWay) {
  EXPECT_EQ(store().decrement("n", -5), 5);
  EXPECT_EQ(store().increment("n", -7), -2);
}

TEST_P(Counter, UnsignedStepsAreTakenAsTheyAreOrRefused) {
  EXPECT_EQ(store().increment("n", std::size_t{3}), 3);
  EXPECT_EQ(store().decrement("n", std::uint64_t{1}), 2);
  EXPECT_EQ(store().increment("n", static_cast<std::uint64_t>(kMax) - 2), kMax);
  const std::uint64_t too_large = static_cast<std::uint64_t>(kMax) + 1;
  expect_refused([&] { return store().increment("m", too_large); }, Code::InvalidArgument, {"9223372036854775808"});
  expect_refused([&] { return store().decrement("m", too_large); }, Code::InvalidArgument, {"9223372036854775808"});
  EXPECT_FALSE(store().exists("m"));
}

TEST_P(Counter, Y24_ACounterOfAViewMovesByTheStepItIsGiven) {
  const auto small = store().typed<std::int32_t>("s:");
  EXPECT_EQ(small.increment("n"), 1);
  EXPECT_EQ(small.increment("n", std::int64_t{41}), 42);
  EXPECT_EQ(small.decrement("n", std::uint8_t{2}), 40);
  expect_refused([&] { return small.increment("n", 5'000'000'000); }, Code::InvalidArgument, {"32 bits"});
  expect_refused([&] { return small.decrement("n", std::size_t{1} << 32); }, Code::InvalidArgument);
  EXPECT_EQ(small.get("n"), 40);
  const auto natural = store().typed<std::uint32_t>("u:");
  expect_refused([&] { return natural.increment("n", -1); }, Code::InvalidArgument, {"unsigned"});
  expect_refused([&] { return natural.decrement("n", -1); }, Code::InvalidArgument);
  expect_refused([&] { return natural.decrement("n", 1); }, Code::Overflow);
  EXPECT_FALSE(natural.exists("n"));
  EXPECT_EQ(natural.increment("n", 4'294'967'295), 4'294'967'295U);
}

TEST_P(Counter, Y24_AViewOfIntegersKeepsTheNumberItIsGiven) {
  const auto bytes = store().typed<std::uint8_t>("b:");
  for (const int wrong : {-1, 256, 1000}) {
    expect_refused([&] { return bytes.set("k", wrong); }, Code::InvalidArgument, {"8 bits"});
    expect_refused([&] { return bytes.set_if_absent("k", wrong); }, Code::InvalidArgument);
    expect_refused([&] { return bytes.get_and_set("k", wrong); }, Code::InvalidArgument);
    expect_refused([&] { return bytes.compare_and_swap("k", std::nullopt, wrong); }, Code::InvalidArgument);
    expect_refused([&] { return bytes.compare_and_erase("k", wrong); }, Code::InvalidArgument);
  }
  EXPECT_FALSE(bytes.exists("k"));
  bytes.set("k", std::int64_t{255});
  EXPECT_EQ(bytes.get("k"), 255);
  enum Level { kHigh = 7, kTooHigh = 300 };
  bytes.set("k", kHigh);
  EXPECT_EQ(bytes.get("k"), 7);
  expect_refused([&] { return bytes.set("k", kTooHigh); }, Code::InvalidArgument);
  bytes.set("k", std::atomic<std::int64_t>(8));
  EXPECT_EQ(bytes.get("k"), 8);
  expect_refused([&] { return bytes.set("k", std::atomic<std::int64_t>(264)); }, Code::InvalidArgument);
  const int nine = 9;
  bytes.set_many({{"k", nine}});
  EXPECT_EQ(bytes.get("k"), 9);
  const int wrong = 265;
  expect_refused([&] { return bytes.set_many({{"k", wrong}}); }, Code::InvalidArgument);
}

TEST_P(Counter, Y24_AnUpdateOfIntegersKeepsTheNumberItMakes) {
  const auto bytes = store().typed<std::uint8_t>("b:");
  bytes.set("k", 255);
  const auto add_one = [](std::optional<std::uint8_t> present) { return present.value_or(0) + 1; };
  expect_refused([&] { return bytes.update("k", add_one); }, Code::InvalidArgument, {"8 bits"});
  using Change = TypedChange<std::uint8_t>;
  expect_refused([&] { return bytes.update("k", [](auto) { return Change::replace(256); }); }, Code::InvalidArgument);
  expect_refused([&] { return bytes.update("k", [](auto) { return Change(-1, {.ttl = 100ms}); }); },
                 Code::InvalidArgument);
  EXPECT_EQ(bytes.get("k"), 255);
  EXPECT_EQ(bytes.update("k", [](auto) { return std::int64_t{254}; }), 254);
  EXPECT_EQ(bytes.update("k", add_one), 255);
}

TEST_P(Counter, Y24_AComparisonOfIntegersExpectsTheNumberItIsGiven) {
  const auto bytes = store().typed<std::uint8_t>("b:");
  bytes.set("k", 44);
  expect_refused([&] { return bytes.compare_and_swap("k", 300, 1); }, Code::InvalidArgument, {"8 bits"});
  expect_refused([&] { return bytes.compare_and_swap("k", -212, 1); }, Code::InvalidArgument);
  EXPECT_EQ(bytes.get("k"), 44);
  EXPECT_TRUE(bytes.compare_and_swap("k", std::int64_t{44}, 45));
  EXPECT_TRUE(bytes.compare_and_swap("k", std::optional<std::uint8_t>(45), 46));
  EXPECT_EQ(bytes.compare_and_swap("k", std::nullopt, 47).current, 46);
}

TEST_P(Counter, S184_ACounterCanOptOutOfTheDefaultTtl) {
  const Store view = store().with_namespace("n", {.ttl = 100ms});
  EXPECT_EQ(view.increment("plain"), 1);
  EXPECT_EQ(view.increment("kept", 1, {.persistent = true}), 1);
  EXPECT_EQ(view.ttl("plain").left, 100ms);
  EXPECT_EQ(view.ttl("kept").state, Ttl::State::persistent);
  EXPECT_EQ(view.increment("plain", 1, {.persistent = true}), 2);
  EXPECT_EQ(view.ttl("plain").left, 100ms) << "one that is there keeps its own";
  expect_refused([&] { return view.increment("x", 1, {.ttl_if_created = 1ms, .persistent = true}); },
                 Code::InvalidArgument, {"persistent"});
}

TEST_P(Counter, TheEndsOfTheRange) {
  EXPECT_EQ(store().increment("n", kMax), kMax);
  expect_refused([&] { return store().increment("n"); }, Code::Overflow, {"n"});
  EXPECT_THAT(get("n"), Optional(std::to_string(kMax)));
  EXPECT_EQ(store().increment("n", kMin), -1);
  EXPECT_EQ(store().decrement("n", kMin), kMax);  // exactly, though -kMin does not fit
  EXPECT_EQ(store().increment("m", kMin), kMin);
  EXPECT_THAT(get("m"), Optional(std::to_string(kMin)));
  expect_refused([&] { return store().decrement("m"); }, Code::Overflow);
  expect_refused([&] { return store().decrement("absent", kMin); }, Code::Overflow);
  EXPECT_FALSE(store().exists("absent"));
}

TEST_P(Counter, Y7_WhatIsNoCanonicalIntegerIsRefusedAndUnchanged) {
  for (const std::string text : {"", "abc", " 1", "1 ", "+1", "01", "-0", "1.0", "1e3", "9223372036854775808", "0x10",
                                 "-", "1\n", "12345678901234567890"}) {
    store().set("k", text, {.ttl = 100ms});
    expect_refused([&] { return store().increment("k"); }, Code::NotAnInteger, {"k"});
    expect_refused([&] { return store().decrement("k", 0); }, Code::NotAnInteger);
    EXPECT_THAT(get("k"), Optional(text));
    EXPECT_EQ(store().ttl("k").left, 100ms);
  }
}

TEST_P(Counter, KeepsItsExpiryAndTakesOneWhenCreated) {
  EXPECT_EQ(store().increment("n", 1, {.ttl_if_created = 100ms}), 1);
  EXPECT_EQ(store().ttl("n").left, 100ms);
  advance_ms(40);
  EXPECT_EQ(store().increment("n", 1, {.ttl_if_created = 100ms}), 2);
  EXPECT_EQ(store().ttl("n").left, 60ms);
  EXPECT_EQ(store().increment("n"), 3);
  EXPECT_EQ(store().ttl("n").left, 60ms);
  advance_ms(60);
  EXPECT_EQ(store().increment("n", 1, {.ttl_if_created = 30ms}), 1);
  EXPECT_EQ(store().ttl("n").left, 30ms);
  EXPECT_EQ(store().increment("m"), 1);
  EXPECT_EQ(store().ttl("m").state, Ttl::State::persistent);
}

TEST_P(Counter, BoundsRefuseAndChangeNothing) {
  const CounterOptions bounds = {.min = 0, .max = 10};
  EXPECT_EQ(store().increment("n", 10, bounds), 10);
  expect_refused([&] { return store().increment("n", 1, bounds); }, Code::Overflow, {"n", "10"});
  expect_refused([&] { return store().decrement("n", 11, bounds); }, Code::Overflow, {"n", "0"});
  EXPECT_THAT(get("n"), Optional(std::string("10")));
  EXPECT_EQ(store().decrement("n", 10, bounds), 0);
  expect_refused([&] { return store().decrement("absent", 1, bounds); }, Code::Overflow);
  EXPECT_FALSE(store().exists("absent"));
  expect_refused([&] { return store().increment("n", 1, {.min = 5, .max = 4}); }, Code::InvalidArgument,
                 {"min", "max"});
}

}  // namespace
}  // namespace tuskv::test
