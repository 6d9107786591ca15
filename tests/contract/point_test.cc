// One key at a time: get, set, erase, and what is known of an entry.
#include <string>
#include <string_view>

#include "contract/contract.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;
using std::string_view_literals::operator""sv;
using testing::Optional;

TUSKV_CONTRACT_SUITE(Point);

TEST_P(Point, SetReplacesAndGetReturns) {
  EXPECT_EQ(get("k"), std::nullopt);
  store().set("k", "1");
  EXPECT_THAT(get("k"), Optional(std::string("1")));
  store().set("k", "22");
  EXPECT_THAT(get("k"), Optional(std::string("22")));
  EXPECT_THAT(reopen().get("k"), Optional(std::string("22")));
}

TEST_P(Point, U1_KeysAreArbitraryBytes) {
  const std::string_view keys[] = {"\0"sv,  "\xff"sv, "a"sv,    "a\0"sv, "a\0b"sv, "\r\n"sv, "\xc3\x28"sv,    "%_*?"sv,
                                   "\\x"sv, " "sv,    "\x01"sv, "/"sv,   ":"sv,    "'\""sv,  "\xff\xff\xff"sv};
  for (const std::string_view key : keys) store().set(key, "value of " + std::string(key));
  store().set(std::string(1024, 'k'), "longest");
  reopen();
  for (const std::string_view key : keys) EXPECT_THAT(get(key), Optional("value of " + std::string(key)));
  EXPECT_THAT(get(std::string(1024, 'k')), Optional(std::string("longest")));
  EXPECT_EQ(store().count(), std::size(keys) + 1);
  for (const std::string_view key : keys) EXPECT_TRUE(store().erase(key));
  EXPECT_EQ(store().count(), 1u);
}

TEST_P(Point, U1_EveryByteIsAKeyOfItsOwn) {
  for (int byte = 0; byte < 256; ++byte) store().set(std::string(1, static_cast<char>(byte)), std::to_string(byte));
  for (int byte = 0; byte < 256; ++byte) {
    EXPECT_THAT(get(std::string(1, static_cast<char>(byte))), Optional(std::to_string(byte)));
  }
}

TEST_P(Point, U2_ValuesAreArbitraryBytesOfAnySize) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  store().set("all", all);
  const std::size_t sizes[] = {0, 1, 7, 8, 4095, 4096, 4097, 65535, 65536, 65537, std::size_t{1} << 20};
  for (const std::size_t size : sizes) store().set("size " + std::to_string(size), std::string(size, 'v'));
  reopen();
  EXPECT_THAT(get("all"), Optional(all));
  for (const std::size_t size : sizes) {
    EXPECT_THAT(get("size " + std::to_string(size)), Optional(std::string(size, 'v')));
  }
}

TEST_P(Point, K1_AnEmptyValueIsAValueAlsoAfterReopening) {
  store().set("empty", "");
  store().set("gone", "x");
  store().erase("gone");
  reopen();
  EXPECT_THAT(get("empty"), Optional(std::string()));
  EXPECT_TRUE(store().exists("empty"));
  EXPECT_EQ(store().count(), 1u);
  EXPECT_FALSE(store().set_if_absent("empty", "x"));
  EXPECT_TRUE(store().erase("empty"));
}

TEST_P(Point, G12_UpdateTellsAnEmptyValueFromAMissingOne) {
  store().set("empty", "");
  bool had_value = false;
  const auto look = [&](std::optional<std::string_view> value) {
    had_value = value.has_value();
    return Change::keep();
  };
  store().update("empty", look);
  EXPECT_TRUE(had_value);
  store().update("missing", look);
  EXPECT_FALSE(had_value);
}

TEST_P(Point, B2_AbsenceIsAnAnswerAndOnlyGetOrThrowThrows) {
  EXPECT_EQ(store().get("k"), std::nullopt);
  EXPECT_EQ(store().get_entry("k"), std::nullopt);
  EXPECT_EQ(store().get_and_erase("k"), std::nullopt);
  EXPECT_EQ(store().get_and_touch("k", 5ms), std::nullopt);
  EXPECT_EQ(store().get_and_set("k", "1"), std::nullopt);
  EXPECT_TRUE(store().erase("k"));
  EXPECT_FALSE(store().erase("k"));
  EXPECT_FALSE(store().exists("k"));
  EXPECT_EQ(store().ttl("k").state, Ttl::State::missing);
  expect_refused([&] { return store().get_or_throw("k"); }, Code::NotFound, {"k"});
  store().set("k", "v");
  EXPECT_EQ(store().get_or_throw("k"), "v");
}

TEST_P(Point, GetIntoReusesTheStringAndEmptiesItWhenAbsent) {
  store().set("k", "value");
  std::string value = "something longer than the value";
  EXPECT_TRUE(store().get_into("k", value));
  EXPECT_EQ(value, "value");
  EXPECT_FALSE(store().get_into("absent", value));
  EXPECT_EQ(value, "");
}

TEST_P(Point, EntryTellsWhatIsKnown) {
  store().set("k", "v", {.ttl = 1000ms});
  const std::int64_t set_at_us = backend().now_us();
  const auto entry = store().get_entry("k");
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->key, "k");
  EXPECT_EQ(entry->value, "v");
  ASSERT_TRUE(entry->expires_at);
  const auto off_by = [&](TimePoint at, std::int64_t us) { return std::abs(at.time_since_epoch().count() - us); };
  EXPECT_LE(off_by(*entry->expires_at, set_at_us + 1'000'000), 1000);
  EXPECT_LE(off_by(entry->created_at, set_at_us), 1000);
  EXPECT_EQ(entry->created_at, entry->updated_at);
}

TEST_P(Point, OverwritingKeepsCreatedAtAndErasingRestartsIt) {
  store().set("k", "1");
  const Entry first = store().get_entry("k").value();
  advance_ms(50);
  store().set("k", "2");
  const Entry second = store().get_entry("k").value();
  EXPECT_EQ(second.created_at, first.created_at);
  EXPECT_EQ(second.updated_at - first.updated_at, 50ms);
  reopen();
  EXPECT_EQ(store().get_entry("k")->created_at, first.created_at);
  EXPECT_EQ(store().get_entry("k")->updated_at, second.updated_at);
  advance_ms(50);
  store().erase("k");
  store().set("k", "3");
  EXPECT_EQ(store().get_entry("k")->created_at - first.created_at, 100ms);
}

TEST_P(Point, VersionsGrowWithEveryWriteAndAreNeverUsedAgain) {
  const auto version = [&] { return store().get_entry("k").value().version; };
  store().set("k", "same");
  Version last = version();
  const auto expect_grown = [&](const char* what) {
    EXPECT_GT(version(), last) << what;
    last = version();
  };
  store().set("k", "same");
  expect_grown("set");
  store().expire("k", 500ms);
  expect_grown("expire");
  store().compare_and_swap("k", "same", "1");
  expect_grown("compare_and_swap");
  store().increment("k");
  expect_grown("increment");
  store().erase("k");
  store().set("k", "again");
  expect_grown("set after erase");
  store().erase("k");
  reopen();
  store().set("k", "again");
  expect_grown("set after erase and reopen");
  EXPECT_EQ(version(), version());
}

TEST_P(Point, ExistsCountsWhatIsNamed) {
  store().set_many({{"a", "1"}, {"b", "2"}});
  EXPECT_TRUE(store().exists("a"));
  EXPECT_FALSE(store().exists("c"));
  EXPECT_EQ(store().exists_many({"a", "b", "c"}), 2u);
  EXPECT_EQ(store().exists_many({"a", "a", "c", "c"}), 2u);  // twice named, twice counted
}

TEST_P(Point, K20_WritesTellWhatWasThereBefore) {
  EXPECT_TRUE(store().set_if_absent("k", "1"));
  EXPECT_THAT(store().get_and_set("k", "2"), Optional(std::string("1")));
  EXPECT_THAT(store().get_and_erase("k"), Optional(std::string("2")));
  EXPECT_FALSE(store().erase("k"));
  store().set("k", "3");
  EXPECT_TRUE(store().erase("k"));
}

TEST_P(Point, P1_GetAndSetReplacesLikeSet) {
  store().set("k", "1", {.ttl = 1000ms});
  EXPECT_THAT(store().get_and_set("k", "2"), Optional(std::string("1")));
  EXPECT_EQ(store().ttl("k").state, Ttl::State::persistent);  // as set: clears the expiry
  store().get_and_set("k", "3", {.ttl = 500ms});
  store().get_and_set("k", "4", {.keep_ttl = true});
  EXPECT_EQ(store().ttl("k").left, 500ms);
  EXPECT_THAT(get("k"), Optional(std::string("4")));
}

TEST_P(Point, U12_G9_ValuesAreOwnedByWhoHoldsThem) {
  std::string key = "key";
  std::string value = "value";
  store().set(key, value);
  key = "xxx";
  value = "yyyyy";
  auto got = store().get("key");
  ASSERT_THAT(got, Optional(std::string("value")));
  got->assign("changed by the caller");
  EXPECT_THAT(get("key"), Optional(std::string("value")));
  auto entry = store().get_entry("key");
  entry->value[0] = 'X';
  EXPECT_THAT(get("key"), Optional(std::string("value")));
}

TEST_P(Point, U13_K20_NothingIsPrinted) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  for (int i = 0; i < 100; ++i) store().set("k" + std::to_string(i), "v");
  expect_refused([&] { return store().get_or_throw("absent"); }, Code::NotFound);
  expect_refused([&] { store().set("", "v"); }, Code::InvalidKey);
  expect_refused([&] { store().increment("k1"); }, Code::NotAnInteger);
  reopen();
  store().cleanup_expired();
  store().close();
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST_P(Point, HandlesAreCheapCopiesOfOneStore) {
  const Store copy = store();
  Store assigned = copy;
  assigned = store();
  copy.set("k", "v");
  EXPECT_THAT(assigned.get("k"), Optional(std::string("v")));
  const Store moved = std::move(assigned);
  EXPECT_THAT(moved.get("k"), Optional(std::string("v")));
}

}  // namespace
}  // namespace tuskv::test
