// Several keys in one call: all or nothing, an answer for each position, any size.
#include <map>
#include <ranges>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "contract/contract.h"
#include "support/submitted.h"
#include "tuskv/typed.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;
using testing::Optional;
using Values = std::vector<std::optional<std::string>>;

TUSKV_CONTRACT_SUITE(Batch);

TEST_P(Batch, U8_EmptyBatchesSucceedAndDoNothing) {
  const std::vector<Bytes> no_keys;
  const std::vector<Item> no_items;
  const std::uint64_t before = store().stats().sequence;
  EXPECT_TRUE(store().get_many(no_keys).empty());
  EXPECT_EQ(store().exists_many(no_keys), 0u);
  store().set_many(no_items);
  EXPECT_TRUE(store().set_many_if_absent(no_items));
  EXPECT_EQ(store().erase_many(no_keys), 0u);
  EXPECT_EQ(store().stats().sequence, before);
}

TEST_P(Batch, U8_GetManyAnswersEveryPosition) {
  store().set_many({{"a", "1"}, {"b", ""}});
  EXPECT_EQ(store().get_many({"b", "missing", "a", "a"}), (Values{"", std::nullopt, "1", "1"}));
}

TEST_P(Batch, U8_OfAKeyGivenTwiceTheLastWins) {
  store().set_many({{"a", "1"}, {"b", "2"}, {"a", "3"}});
  EXPECT_EQ(store().get_many({"a", "b"}), (Values{"3", "2"}));
  EXPECT_EQ(store().count(), 2u);
  store().set_many({{.key = "a", .value = "4", .ttl = 10ms}, {.key = "a", .value = "5"}});
  EXPECT_EQ(store().ttl("a").state, Ttl::State::persistent);
  EXPECT_THAT(get("a"), Optional(std::string("5")));
}

TEST_P(Batch, U8_EraseManyCountsLiveEntriesOnce) {
  store().set_many({{"a", "1"}, {"b", "2"}});
  EXPECT_EQ(store().erase_many({"a", "a", "missing", "b"}), 2u);
  EXPECT_EQ(store().count(), 0u);
}

TEST_P(Batch, U8_OneInvalidItemFailsTheCallBeforeAnyEffect) {
  const std::string long_key(1025, 'k');
  expect_refused([&] { store().set_many({{"a", "1"}, {"", "2"}}); }, Code::InvalidKey);
  expect_refused([&] { store().set_many({{"a", "1"}, {long_key, "2"}}); }, Code::InvalidKey);
  expect_refused(
      [&] {
        store().set_many({{"a", "1"}, {.key = "b", .value = "2", .ttl = 0ms}});
      },
      Code::InvalidArgument);
  expect_refused([&] { return store().set_many_if_absent({{"a", "1"}, {"", "2"}}); }, Code::InvalidKey);
  EXPECT_EQ(store().count(), 0u);
  store().set("a", "1");
  expect_refused([&] { return store().erase_many({"a", ""}); }, Code::InvalidKey);
  expect_refused([&] { return store().get_many({"a", ""}); }, Code::InvalidKey);
  expect_refused([&] { return store().exists_many({"a", ""}); }, Code::InvalidKey);
  EXPECT_EQ(store().count(), 1u);
}

TEST_P(Batch, U8_AWrongItemIsRefusedAlsoWhenALaterOneHasItsKey) {
  options.max_value_bytes = 3;
  expect_refused([&] { store().set_many({{"a", "1234"}, {"a", "1"}}); }, Code::TooLarge);
  expect_refused([&] { return store().set_many_if_absent({{"a", "1234"}, {"a", "1"}}); }, Code::TooLarge);
  expect_refused(
      [&] {
        return store().set_many_if_absent({{.key = "a", .value = "1", .ttl = 0ms}, {"a", "1"}});
      },
      Code::InvalidArgument);
  EXPECT_EQ(store().count(), 0u);
}

TEST_P(Batch, U8_OfAKeyGivenTwiceTheEarlierItemLeavesNoTrace) {
  store().set("kept", "v", {.ttl = 100ms});
  store().set_many({{.key = "kept", .value = "1", .ttl = 5ms}, {"kept", "2"}}, {.keep_ttl = true});
  EXPECT_EQ(store().ttl("kept").left, 100ms);
  // The earlier item alone would erase, and the entry be created anew.
  const auto created_at = store().get_entry("kept")->created_at;
  advance_ms(10);
  store().set_many({{"kept", "3"}, {.key = "kept", .value = "4", .ttl = 50ms}}, {.expires_at = now_plus_ms(0)});
  EXPECT_EQ(store().get_entry("kept")->created_at, created_at);
  EXPECT_EQ(store().ttl("kept").left, 50ms);
}

TEST_P(Batch, RangesOfManyKindsAreAccepted) {
  store().set_many(std::map<std::string, std::string>{{"a", "1"}, {"b", "2"}});
  store().set_many(std::vector<std::pair<std::string_view, std::string_view>>{{"c", "3"}});
  const std::vector<std::string> keys = {"a", "b", "c"};
  EXPECT_EQ(store().get_many(keys), (Values{"1", "2", "3"}));
  EXPECT_EQ(store().exists_many(keys), 3u);
  EXPECT_TRUE(store().set_many_if_absent(std::map<std::string, std::string>{{"d", "4"}}));
  EXPECT_EQ(store().erase_many(keys), 3u);
}

TEST_P(Batch, S187_BytesAndRangesThatAreReadOnceAreAccepted) {
  const std::vector<std::pair<Bytes, Bytes>> lent = {{"a", "1"}, {"b", "2"}, {"xc", "3"}};
  store().set_many(lent);
  EXPECT_FALSE(store().set_many_if_absent(lent));
  std::vector<std::string> keys = {"a", "b", "xc"};
  // A filtered view remembers where it begins, so a constant one cannot be walked.
  const auto is_short = [](const std::string& key) { return key.size() == 1; };
  EXPECT_EQ(store().get_many(keys | std::views::filter(is_short)), (Values{"1", "2"}));
  auto kept = keys | std::views::filter(is_short);
  EXPECT_EQ(store().exists_many(kept), 2u);
  std::map<std::string, std::string> items = {{"a", "10"}, {"xc", "30"}};
  store().set_many(items | std::views::filter([](const auto& item) { return item.first != "a"; }));
  EXPECT_EQ(store().get_many(keys), (Values{"1", "2", "30"}));
  submitted(store().async().set("a", Bytes("11")));
  EXPECT_EQ(submitted(store().async().get_many(kept)), (Values{"11", "2"}));
  EXPECT_EQ(store().erase_many(kept), 2u);
  const auto numbers = store().typed<int>("n:");
  std::map<std::string, int> counts = {{"a", 1}, {"xc", 2}};
  numbers.set_many(counts | std::views::filter([](const auto& item) { return item.second == 2; }));
  EXPECT_EQ(numbers.exists_many(keys | std::views::filter(is_short)), 0u);
  EXPECT_EQ(numbers.get("xc"), 2);
}

TEST_P(Batch, G8_AHundredThousandEntriesInOneCall) {
  constexpr std::size_t kEntries = 100'000;
  std::vector<std::string> keys(kEntries);
  std::vector<std::pair<std::string_view, std::string_view>> items;
  for (std::size_t i = 0; i < kEntries; ++i) {
    keys[i] = "key " + std::to_string(i);
    items.emplace_back(keys[i], keys[i]);
  }
  store().set_many(items);
  EXPECT_EQ(store().count(), kEntries);
  reopen();
  const Values values = store().get_many(keys);
  ASSERT_EQ(values.size(), kEntries);
  for (std::size_t i = 0; i < kEntries; ++i) ASSERT_EQ(values[i], keys[i]);
  EXPECT_EQ(store().exists_many(keys), kEntries);
  EXPECT_FALSE(store().set_many_if_absent(items));
  EXPECT_EQ(store().erase_many(keys), kEntries);
  EXPECT_EQ(store().count(), 0u);
}

TEST_P(Batch, G8_MoreThanTheLimitIsTooLargeAndDoesNothing) {
  const std::vector<Item> items(1'000'001, Item{.key = "k", .value = ""});
  expect_refused([&] { store().set_many(items); }, Code::TooLarge, {"1000000"});
  EXPECT_EQ(store().count(), 0u);
  const std::vector<Bytes> keys(1'000'001, Bytes("k"));
  expect_refused([&] { return store().get_many(keys); }, Code::TooLarge, {"1000000"});
}

TEST_P(Batch, G7_Y17_OverlappingBatchesInOppositeOrdersDoNotDeadlock) {
  const Store shared = store();
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&shared, t] {
      std::vector<std::string> keys;
      for (int i = 0; i < 40; ++i) keys.push_back("k" + std::to_string(t % 2 == 0 ? i : 39 - i));
      const std::string value = "writer " + std::to_string(t);
      std::vector<Item> items;
      for (const std::string& key : keys) items.push_back({.key = key, .value = value});
      for (int round = 0; round < 20; ++round) {
        shared.set_many(items);
        if (t == 0) shared.erase_many(keys);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const Page page = store().scan();  // every entry from the same, last batch
  for (const Entry& entry : page.entries) EXPECT_EQ(entry.value, page.entries.front().value);
}

TEST_P(Batch, ErasePrefixIsLiteralAndConfirmsTheEmptyOne) {
  store().set_many({{"a:1", ""}, {"a:2", ""}, {"a;", ""}, {"a*", ""}, {"b", ""}});
  EXPECT_EQ(store().erase_prefix("a:"), 2u);
  EXPECT_EQ(store().erase_prefix("a*"), 1u);
  EXPECT_EQ(store().erase_prefix("missing"), 0u);
  expect_refused([&] { return store().erase_prefix(""); }, Code::InvalidArgument, {"prefix"});
  EXPECT_EQ(store().count(), 2u);
  EXPECT_EQ(store().erase_prefix("", {.allow_empty_prefix = true}), 2u);
  EXPECT_EQ(store().count(), 0u);
}

TEST_P(Batch, ErasePrefixOfTheHighestBytes) {
  const std::string high = "\xff\xff";
  store().set_many({{high, ""}, {high + "x", ""}, {"\xff", ""}, {"\xfe", ""}});
  EXPECT_EQ(store().erase_prefix(high), 2u);
  EXPECT_EQ(store().erase_prefix("\xff"), 1u);
  EXPECT_EQ(store().keys().keys, std::vector<std::string>{"\xfe"});
  reopen();
  EXPECT_EQ(store().keys().keys, std::vector<std::string>{"\xfe"});
}

TEST_P(Batch, ClearEmptiesAndCounts) {
  store().set_many({{"a", ""}, {"b", ""}});
  set_dead("dead");
  EXPECT_EQ(store().clear(), 2u);
  EXPECT_EQ(store().clear(), 0u);
  reopen();
  EXPECT_EQ(store().count(), 0u);
  store().set("a", "again");
  reopen();
  EXPECT_THAT(get("a"), Optional(std::string("again")));
}

}  // namespace
}  // namespace tuskv::test
