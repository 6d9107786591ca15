#include "plan.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace tuskv {
namespace {

using Kind = PlannedChange::Kind;
using std::string_view_literals::operator""sv;

constexpr std::int64_t kNow = 1'000'000'000;
constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

EntryState live(std::string_view value = "old") {
  return {.found = true, .version = 7, .expires_us = kNow + 500, .created_us = 10, .updated_us = 20, .value = value};
}

/// A command, planned; the change points into it.
template <class C>
struct Planned {
  Command command;
  PlannedChange change = {};
  Status status = {};

  Planned(const EntryState& state, C asked, std::int64_t now_us = kNow) : command(std::move(asked)) {
    status = plan(state, command, now_us, change);
  }
  Planned(const Planned&) = delete;
  C& reply() { return std::get<C>(command); }
};

TEST(Plan, LiveUntilTheInstantOfExpiry) {
  EXPECT_TRUE(is_live(0, kNow));
  EXPECT_TRUE(is_live(kNow + 1, kNow));
  EXPECT_FALSE(is_live(kNow, kNow));
  EXPECT_FALSE(is_live(kNow - 1, kNow));
}

TEST(Plan, ReadCopiesTheValueWhenWanted) {
  std::string into = "before";
  Planned<Read> value(live(), {.key = "k", .into = &into});
  EXPECT_EQ(into, "old");
  EXPECT_TRUE(value.reply().seen.found);
  EXPECT_EQ(value.reply().seen.version, 7u);
  EXPECT_EQ(value.reply().seen.expires_us, kNow + 500);
  EXPECT_EQ(value.reply().seen.created_us, 10);
  EXPECT_EQ(value.reply().seen.updated_us, 20);
  EXPECT_EQ(value.reply().seen.value, "");
  EXPECT_EQ(value.change.kind, Kind::none);

  Planned<Read> meta(live(), {.key = "k", .want = Want::meta});
  EXPECT_EQ(meta.reply().seen.version, 7u);
}

TEST(Plan, ReadOfAnAbsentEntryEmptiesWhereTheValueGoes) {
  std::string into = "before";
  Planned<Read> read({}, {.key = "k", .into = &into});
  EXPECT_EQ(into, "");
  EXPECT_FALSE(read.reply().seen.found);
}

TEST(Plan, PutOfANewEntryStartsItsStamps) {
  Planned<Put> put({}, {.key = "k", .value = "v"});
  EXPECT_TRUE(put.reply().applied);
  EXPECT_FALSE(put.reply().seen.found);
  EXPECT_EQ(put.change.kind, Kind::put);
  EXPECT_EQ(put.change.value, "v");
  EXPECT_EQ(put.change.expires_us, 0);
  EXPECT_EQ(put.change.created_us, kNow);
  EXPECT_EQ(put.change.updated_us, kNow);
}

TEST(Plan, PutKeepsCreatedAtOfALiveEntryAndClearsItsExpiry) {
  Planned<Put> put(live(), {.key = "k", .value = "v"});
  EXPECT_EQ(put.change.created_us, 10);
  EXPECT_EQ(put.change.updated_us, kNow);
  EXPECT_EQ(put.change.expires_us, 0);
  EXPECT_TRUE(put.reply().seen.found);
  EXPECT_EQ(put.reply().seen.value, "");
}

TEST(Plan, UpdatedIsNeverBeforeCreatedWhenTheClockGoesBack) {
  EntryState state = live();
  state.created_us = kNow + 90;
  state.expires_us = 0;
  EXPECT_EQ(Planned<Put>(state, {.value = "v"}).change.updated_us, kNow + 90);
  const Expiry later = {.kind = Expiry::Kind::after, .value = 5};
  EXPECT_EQ(Planned<Touch>(state, {.expiry = later}).change.updated_us, kNow + 90);
}

TEST(Plan, ExpiryKinds) {
  const auto put_with = [](const EntryState& state, Expiry expiry) {
    Planned<Put> put(state, {.key = "k", .value = "v", .expiry = expiry});
    EXPECT_TRUE(put.reply().applied);
    return put.change;
  };
  EXPECT_EQ(put_with(live(), {.kind = Expiry::Kind::keep}).expires_us, kNow + 500);
  EXPECT_EQ(put_with({}, {.kind = Expiry::Kind::keep}).expires_us, 0);
  EXPECT_EQ(put_with(live(), {.kind = Expiry::Kind::after, .value = 3}).expires_us, kNow + 3000);
  EXPECT_EQ(put_with(live(), {.kind = Expiry::Kind::at, .value = kNow + 1}).expires_us, kNow + 1);
  EXPECT_EQ(put_with(live(), {.kind = Expiry::Kind::after, .value = kMax}).expires_us, kMax);
}

TEST(Plan, PutAtAPassedInstantIsAnErase) {
  const Expiry passed = {.kind = Expiry::Kind::at, .value = kNow};
  Planned<Put> over_live(live(), {.key = "k", .value = "v", .expiry = passed});
  EXPECT_TRUE(over_live.reply().applied);
  EXPECT_EQ(over_live.change.kind, Kind::erase);
  Planned<Put> over_nothing({}, {.key = "k", .value = "v", .expiry = passed});
  EXPECT_TRUE(over_nothing.reply().applied);
  EXPECT_EQ(over_nothing.change.kind, Kind::none);
}

TEST(Plan, AnInstantOfZeroDoesNotMeanNever) {
  Planned<Put> put({}, {.value = "v", .expiry = {.kind = Expiry::Kind::at, .value = 0}}, -5);
  EXPECT_EQ(put.change.kind, Kind::put);
  EXPECT_EQ(put.change.expires_us, 1);
  Planned<Put> passed({}, {.value = "v", .expiry = {.kind = Expiry::Kind::at, .value = 0}});
  EXPECT_EQ(passed.change.kind, Kind::none);
}

TEST(Plan, ConditionsAreJudgedOnTheLiveEntry) {
  using Condition = tuskv::Condition;
  const auto applies = [](const EntryState& state, Condition condition) {
    return Planned<Put>(state, {.key = "k", .value = "v", .condition = condition}).reply().applied;
  };
  EXPECT_TRUE(applies({}, {.kind = Condition::Kind::absent}));
  EXPECT_FALSE(applies(live(), {.kind = Condition::Kind::absent}));
  EXPECT_FALSE(applies({}, {.kind = Condition::Kind::present}));
  EXPECT_TRUE(applies(live(), {.kind = Condition::Kind::present}));
  EXPECT_TRUE(applies(live(), {.kind = Condition::Kind::equals, .bytes = "old"}));
  EXPECT_FALSE(applies(live(), {.kind = Condition::Kind::equals, .bytes = "olde"}));
  EXPECT_FALSE(applies({}, {.kind = Condition::Kind::equals, .bytes = ""}));
  EXPECT_TRUE(applies(live(""), {.kind = Condition::Kind::equals, .bytes = ""}));
  EXPECT_TRUE(applies(live(), {.kind = Condition::Kind::version, .version = 7}));
  EXPECT_FALSE(applies(live(), {.kind = Condition::Kind::version, .version = 8}));
  EXPECT_FALSE(applies({}, {.kind = Condition::Kind::version, .version = 0}));
}

TEST(Plan, SeenHoldsTheValueWhenAskedForOrWhenAComparisonFailed) {
  const tuskv::Condition other = {.kind = tuskv::Condition::Kind::equals, .bytes = "other"};
  Planned<Put> mismatch(live(), {.value = "v", .condition = other});
  EXPECT_FALSE(mismatch.reply().applied);
  EXPECT_EQ(mismatch.reply().seen.value, "old");
  EXPECT_EQ(mismatch.change.kind, Kind::none);
  const tuskv::Condition stale = {.kind = tuskv::Condition::Kind::version, .version = 6};
  EXPECT_EQ(Planned<Put>(live(), {.value = "v", .condition = stale}).reply().seen.value, "old");
  const tuskv::Condition absent = {.kind = tuskv::Condition::Kind::absent};
  EXPECT_EQ(Planned<Put>(live(), {.value = "v", .condition = absent}).reply().seen.value, "");
  EXPECT_EQ(Planned<Put>(live(), {.value = "v", .want_previous = true}).reply().seen.value, "old");
  EXPECT_EQ(Planned<Erase>(live(), {.condition = other}).reply().seen.value, "old");
  EXPECT_EQ(Planned<Erase>(live(), {.want_previous = true}).reply().seen.value, "old");
  EXPECT_EQ(Planned<Erase>(live(), {}).reply().seen.value, "");
  EXPECT_EQ(Planned<Touch>(live(), {.want = Want::value}).reply().seen.value, "old");
  EXPECT_EQ(Planned<Touch>(live(), {}).reply().seen.value, "");
}

TEST(Plan, PlanningAgainLeavesNothingOfTheFirstTime) {
  Planned<Put> put(live(), {.value = "v", .want_previous = true});
  EXPECT_EQ(put.reply().seen.value, "old");
  ASSERT_TRUE(plan({}, put.command, kNow, put.change).ok());
  EXPECT_FALSE(put.reply().seen.found);
  EXPECT_EQ(put.reply().seen.value, "");
  EXPECT_EQ(put.reply().seen.version, 0u);
}

TEST(Plan, EraseOfAnAbsentEntryChangesNothing) {
  Planned<Erase> erase({}, {.key = "k"});
  EXPECT_TRUE(erase.reply().applied);
  EXPECT_FALSE(erase.reply().seen.found);
  EXPECT_EQ(erase.change.kind, Kind::none);
  EXPECT_EQ(Planned<Erase>(live(), {.key = "k"}).change.kind, Kind::erase);
}

TEST(Plan, TouchMovesTheExpiryOfALiveEntryOnly) {
  const Expiry later = {.kind = Expiry::Kind::after, .value = 5};
  Planned<Touch> touch(live(), {.key = "k", .expiry = later});
  EXPECT_TRUE(touch.reply().applied);
  EXPECT_EQ(touch.change.kind, Kind::touch);
  EXPECT_EQ(touch.change.expires_us, kNow + 5000);
  EXPECT_EQ(touch.change.created_us, 10);
  EXPECT_EQ(touch.change.updated_us, kNow);
  Planned<Touch> absent({}, {.key = "k", .expiry = later});
  EXPECT_FALSE(absent.reply().applied);
  EXPECT_EQ(absent.change.kind, Kind::none);
}

TEST(Plan, TouchAtAPassedInstantErases) {
  Planned<Touch> touch(live(), {.key = "k", .expiry = {.kind = Expiry::Kind::at, .value = kNow - 1}});
  EXPECT_TRUE(touch.reply().applied);
  EXPECT_EQ(touch.change.kind, Kind::erase);
}

TEST(Plan, TouchThatMovesNothingWritesNothing) {
  EntryState state = live();
  state.expires_us = 0;
  Planned<Touch> persist(state, {.key = "k", .expiry = {.kind = Expiry::Kind::never}});
  EXPECT_TRUE(persist.reply().applied);
  EXPECT_EQ(persist.reply().seen.expires_us, 0);
  EXPECT_EQ(persist.change.kind, Kind::none);
  EXPECT_EQ(Planned<Touch>(live(), {.expiry = {.kind = Expiry::Kind::never}}).change.kind, Kind::touch);
}

TEST(Plan, TouchAtLeastKeepsALaterExpiry) {
  const auto touched = [](std::int64_t expires_us) {
    EntryState state = live();
    state.expires_us = expires_us;
    Planned<Touch> touch(state, {.key = "k", .expiry = {.kind = Expiry::Kind::at_least, .value = 5}});
    EXPECT_TRUE(touch.reply().applied);
    return touch.change;
  };
  EXPECT_EQ(touched(kNow + 4999).expires_us, kNow + 5000);
  for (const std::int64_t later : {kNow + 5000, kNow + 5001, kMax, std::int64_t{0}}) {
    EXPECT_EQ(touched(later).kind, Kind::none) << later;
  }
}

TEST(Plan, AddCountsAnAbsentEntryAsZero) {
  Planned<Add> add({}, {.key = "k", .magnitude = 5, .if_created = {.kind = Expiry::Kind::after, .value = 9}});
  EXPECT_TRUE(add.reply().applied);
  EXPECT_EQ(add.reply().value, 5);
  EXPECT_EQ(add.change.kind, Kind::put);
  EXPECT_EQ(add.change.value, "5");
  EXPECT_EQ(add.change.expires_us, kNow + 9000);
  EXPECT_EQ(add.change.created_us, kNow);
  EXPECT_EQ(add.reply().expires_us, kNow + 9000);
}

TEST(Plan, AddKeepsTheExpiryAndCreationOfALiveCounter) {
  Planned<Add> add(live("41"), {.magnitude = 1, .if_created = {.kind = Expiry::Kind::after, .value = 9}});
  EXPECT_EQ(add.change.value, "42");
  EXPECT_EQ(add.change.expires_us, kNow + 500);
  EXPECT_EQ(add.change.created_us, 10);
  EXPECT_EQ(add.reply().expires_us, kNow + 500);
}

TEST(Plan, AddHandlesTheEndsOfTheRange) {
  const std::uint64_t whole = std::uint64_t{1} << 63;
  EXPECT_EQ(Planned<Add>({}, {.magnitude = whole, .negative = true}).reply().value, kMin);
  EXPECT_EQ(Planned<Add>({}, {.magnitude = whole, .negative = true}).change.value.size(), 20u);
  EXPECT_EQ(Planned<Add>(live("-1"), {.magnitude = whole}).reply().value, kMax);  // decrement by the smallest integer
  EXPECT_EQ(Planned<Add>(live("-9223372036854775808"), {.magnitude = whole}).reply().value, 0);
  EXPECT_EQ(Planned<Add>(live("9223372036854775807"), {.magnitude = whole, .negative = true}).reply().value, -1);
}

TEST(Plan, AddBeyond64BitsFails) {
  Planned<Add> over(live("9223372036854775807"), {.key = "ns\0visits"sv, .magnitude = 1});
  ASSERT_FALSE(over.status.ok());
  EXPECT_EQ(over.status.failure().code, Code::Overflow);
  EXPECT_NE(over.status.failure().message.find("\"visits\""), std::string::npos) << over.status.failure().message;
  EXPECT_EQ(over.change.kind, Kind::none);
  EXPECT_FALSE(over.reply().applied);
  Planned<Add> whole({}, {.magnitude = std::uint64_t{1} << 63});
  EXPECT_FALSE(whole.status.ok());
}

TEST(Plan, AddOutsideItsBoundsIsNotApplied) {
  Planned<Add> over(live("9"), {.magnitude = 2, .min = 0, .max = 10});
  EXPECT_TRUE(over.status.ok());
  EXPECT_FALSE(over.reply().applied);
  EXPECT_EQ(over.reply().value, 9);
  EXPECT_EQ(over.change.kind, Kind::none);
  EXPECT_TRUE(Planned<Add>(live("9"), {.magnitude = 1, .min = 0, .max = 10}).reply().applied);
  EXPECT_FALSE(Planned<Add>({}, {.magnitude = 1, .negative = true, .min = 0}).reply().applied);
}

TEST(Plan, AddRefusesWhatIsNoCanonicalInteger) {
  for (const std::string_view text :
       {""sv, "-"sv, "+1"sv, " 1"sv, "1 "sv, "01"sv, "-0"sv, "-01"sv, "00"sv, "1.0"sv, "0x1"sv, "1e3"sv,
        "9223372036854775808"sv, "-9223372036854775809"sv, "1\n"sv, "1\0"sv, "--1"sv, "abc"sv}) {
    Planned<Add> add(live(text), {.key = "k", .magnitude = 1});
    ASSERT_FALSE(add.status.ok()) << text;
    EXPECT_EQ(add.status.failure().code, Code::NotAnInteger);
    EXPECT_EQ(add.status.failure().outcome, Outcome::not_applied);
    EXPECT_EQ(add.change.kind, Kind::none);
  }
}

TEST(Plan, ParseCounterTakesCanonicalText) {
  const auto parsed = [](std::string_view text) {
    std::int64_t value = 0;
    EXPECT_TRUE(parse_counter(text, value)) << text;
    return value;
  };
  EXPECT_EQ(parsed("0"), 0);
  EXPECT_EQ(parsed("10"), 10);
  EXPECT_EQ(parsed("-7"), -7);
  EXPECT_EQ(parsed("9223372036854775807"), kMax);
  EXPECT_EQ(parsed("-9223372036854775808"), kMin);
}

TEST(Plan, FactsOfACommand) {
  Command put = Put{.key = "p"};
  Command add = Add{.key = "a"};
  Command read = Read{.key = "r"};
  Command scan = Scan{};
  EXPECT_EQ(command_key(put), "p");
  EXPECT_EQ(command_key(add), "a");
  EXPECT_EQ(command_key(read), "r");
  EXPECT_EQ(command_key(scan), "");
  EXPECT_TRUE(is_keyed_write(put) && is_keyed_write(add) && is_keyed_write(Erase{}) && is_keyed_write(Touch{}));
  EXPECT_FALSE(is_keyed_write(read) || is_keyed_write(scan) || is_keyed_write(Count{}) || is_keyed_write(EraseRange{}));
  EXPECT_FALSE(is_applied(put));
  EXPECT_TRUE(is_applied(read) && is_applied(scan));
  std::get<Put>(put).applied = true;
  EXPECT_TRUE(is_applied(put));
  clear_applied(put);
  EXPECT_FALSE(is_applied(put));
  set_version(put, 5);
  set_version(add, 6);
  set_version(read, 7);
  EXPECT_EQ(std::get<Put>(put).version, 5u);
  EXPECT_EQ(std::get<Add>(add).version, 6u);
  EXPECT_EQ(std::get<Read>(read).seen.version, 0u);
}

TEST(Plan, CommandsOnRangesCannotBePlanned) {
  Planned<Scan> scan({}, {});
  ASSERT_FALSE(scan.status.ok());
  EXPECT_EQ(scan.status.failure().code, Code::Internal);
}

}  // namespace
}  // namespace tuskv
