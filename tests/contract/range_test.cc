// Ranges of keys: from a key on, up to another, in lists, counts, searches and removals.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "contract/contract.h"
#include "tuskv/typed.h"

namespace tuskv::test {
namespace {

using std::string_view_literals::operator""sv;
using Names = std::vector<std::string>;

class RangeTest : public ContractTest {
 protected:
  Names keys(const ScanOptions& scan) { return store().keys(scan).keys; }
  void set_months() { set_all({"event:2026-01", "event:2026-02", "event:2026-03", "event:2026-12", "eventual", "e"}); }
};
class Ranges : public RangeTest {};
INSTANTIATE_TEST_SUITE_P(Backends, Ranges, testing::ValuesIn(backend_kinds()), backend_name);

TEST_P(Ranges, TheStartBelongsToThemAndTheEndDoesNot) {
  set_all({"a", "b", "b\x01", "c", "d"});
  EXPECT_EQ(keys({.from = "b", .to = "c"}), (Names{"b", "b\x01"}));
  EXPECT_EQ(keys({.from = "aa", .to = "bz"}), (Names{"b", "b\x01"}));  // bounds need not exist
  EXPECT_EQ(keys({.from = "c"}), (Names{"c", "d"}));
  EXPECT_EQ(keys({.to = "b"}), Names{"a"});
  EXPECT_EQ(keys({.to = "b\0"sv}), (Names{"a", "b"}));
  EXPECT_EQ(keys({.from = "", .to = "\xff"}), (Names{"a", "b", "b\x01", "c", "d"}));
  EXPECT_EQ(keys({.from = "b", .to = "d", .reverse = true}), (Names{"c", "b\x01", "b"}));
  EXPECT_EQ(store().count({.from = "b", .to = "c"}), 2u);
  EXPECT_EQ(store().count({.from = "b"}), 4u);
  EXPECT_EQ(store().count({.to = "b"}), 1u);
}

TEST_P(Ranges, WithoutRoomBetweenTheBoundsThereIsNothing) {
  set_all({"a", "b", "c"});
  const std::vector<std::pair<std::string, std::string>> bounds = {
      {"b", "b"}, {"c", "b"}, {"", ""}, {"d", "e"}, {"\xff", "\xfe"}};
  for (const auto& [from, to] : bounds) {
    for (const bool reverse : {false, true}) {
      const KeyPage page = store().keys({.from = from, .to = to, .reverse = reverse});
      EXPECT_EQ(page.keys, Names{}) << from << " to " << to;
      EXPECT_EQ(page.next, "");
    }
    EXPECT_EQ(store().count({.from = from, .to = to}), 0u);
    EXPECT_EQ(store().erase_range(from, to), 0u);
    EXPECT_TRUE(store().entries({.from = from, .to = to}).begin() == std::default_sentinel);
  }
  EXPECT_EQ(store().count(), 3u);
}

TEST_P(Ranges, HoldTogetherWithPrefixGlobAndCursor) {
  set_months();
  EXPECT_EQ(keys({.prefix = "event:", .from = "event:2026-02", .to = "event:2026-1"}),
            (Names{"event:2026-02", "event:2026-03"}));
  EXPECT_EQ(keys({.prefix = "event:", .from = "event:2026-03"}), (Names{"event:2026-03", "event:2026-12"}));
  EXPECT_EQ(keys({.prefix = "event:", .to = "z"}).size(), 4u);
  EXPECT_EQ(keys({.prefix = "event:", .to = "event"}), Names{});
  EXPECT_EQ(keys({.prefix = "event:", .from = "eventual"}), Names{});
  EXPECT_EQ(keys({.from = "event:2026-02", .glob = "*-?2"}), (Names{"event:2026-02", "event:2026-12"}));
  EXPECT_EQ(keys({.to = "event:2026-03", .glob = "event:*"}), (Names{"event:2026-01", "event:2026-02"}));
  EXPECT_EQ(keys({.from = "f", .glob = "event:*"}), Names{});
  EXPECT_EQ(store().count({.from = "event:2026-02", .to = "event:2026-12", .glob = "*3"}), 1u);
  const ScanOptions range{.from = "event:2026-01", .to = "event:2026-12"};
  const auto behind = [&](Bytes cursor, bool reverse) {
    ScanOptions scan = range;
    scan.after = cursor;
    scan.reverse = reverse;
    return keys(scan);
  };
  EXPECT_EQ(behind("event:2026-02", false), Names{"event:2026-03"});
  EXPECT_EQ(behind("event:2026-02", true), Names{"event:2026-01"});
  EXPECT_EQ(behind("a", false).size(), 3u);  // in front of the range: from its start
  EXPECT_EQ(behind("z", true).size(), 3u);
  EXPECT_EQ(behind("z", false), Names{});
  EXPECT_EQ(behind("a", true), Names{});
}

TEST_P(Ranges, PagesFollowEachOtherUpToTheEnd) {
  Names all;
  for (int i = 100; i < 200; ++i) all.push_back("k" + std::to_string(i));
  set_all(all);
  const Names wanted(all.begin() + 25, all.begin() + 75);
  for (const std::size_t limit : {1u, 7u, 50u, 51u}) {
    Names seen;
    EntryRange range = [&] {  // which owns what it was given
      const std::string from = "k125";
      const std::string to = "k175";
      return store().entries({.from = from, .to = to, .limit = limit});
    }();
    for (const Entry& entry : range) seen.push_back(entry.key);
    EXPECT_EQ(seen, wanted) << limit;
    seen.clear();
    for (const Entry& entry : store().entries({.from = "k125", .to = "k175", .limit = limit, .reverse = true})) {
      seen.insert(seen.begin(), entry.key);
    }
    EXPECT_EQ(seen, wanted) << limit;
  }
  EXPECT_EQ(store().keys({.from = "k125", .to = "k175", .limit = 50}).next, "");
}

TEST_P(Ranges, AreSearchedToo) {
  store().set_many({{"a", "hay"}, {"b", "hay"}, {"b:1", "hay"}, {"b:2", "none"}, {"c", "hay"}});
  const auto found = [&](const SearchOptions& search) {
    Names names;
    for (const Entry& entry : store().search_values("hay", search).entries) names.push_back(entry.key);
    return names;
  };
  EXPECT_EQ(found({.from = "b", .to = "c"}), (Names{"b", "b:1"}));
  EXPECT_EQ(found({.prefix = "b", .from = "b:"}), Names{"b:1"});
  EXPECT_EQ(found({.to = "b:1", .after = "a"}), Names{"b"});
}

TEST_P(Ranges, ErasingOneTakesItsKeysAlone) {
  set_all({"a", "b", "b1", "c", "d"});
  store().with_namespace("n").set("b", "other");
  set_dead("b2");
  EXPECT_EQ(store().erase_range("b", "c"), 2u);
  EXPECT_EQ(keys({.from = "b", .to = "c", .include_expired = true}), Names{});  // dead entries go along
  EXPECT_EQ(reopen().keys().keys, (Names{"a", "c", "d"}));
  EXPECT_EQ(store().erase_range("d", std::nullopt), 1u);
  EXPECT_EQ(store().erase_range("", "b"), 1u);
  EXPECT_EQ(store().keys().keys, Names{"c"});
  expect_refused([&] { return store().erase_range("", std::nullopt); }, Code::InvalidArgument, {"clear"});
  EXPECT_EQ(store().with_namespace("n").count(), 1u);
}

TEST_P(Ranges, Y10_StayInTheirNamespace) {
  const std::string high(20, '\xff');
  for (const char* name : {"a", "a\x01", "b"}) store().with_namespace(name).set_many({{"k", "v"}, {high, "v"}});
  set_all({"k", high});
  const Store inside = store().with_namespace("a");
  EXPECT_EQ(inside.keys({.from = "\x01"}).keys, (Names{"k", high}));
  EXPECT_EQ(inside.count({.to = high + "\xff"}), 2u);
  EXPECT_EQ(store().count({.from = "a"}), 2u);
  EXPECT_EQ(store().erase_range("\x01", std::nullopt), 2u);
  EXPECT_EQ(inside.erase_range("\x01", std::nullopt), 2u);
  EXPECT_EQ(store().namespaces(), (Names{"a\x01", "b"}));
}

TEST_P(Ranges, SeeTheTransactionsOwnWrites) {
  set_all({"a", "c", "e"});
  store().transaction([](Transaction& tx) {
    tx.set_many({{"b", "own"}, {"d", "own"}});
    tx.erase("c");
    EXPECT_EQ(tx.keys({.from = "b", .to = "e"}).keys, (Names{"b", "d"}));
    EXPECT_EQ(tx.keys({.from = "b", .to = "e", .limit = 1, .reverse = true}).keys, Names{"d"});
    EXPECT_EQ(tx.count({.from = "b"}), 3u);
    EXPECT_EQ(tx.erase_range("b", "e"), 2u);
    EXPECT_EQ(tx.keys().keys, (Names{"a", "e"}));
  });
  EXPECT_EQ(store().keys().keys, (Names{"a", "e"}));
}

TEST_P(Ranges, BoundsLongerThanAnyKeyAreRefused) {
  const std::string bytes(4096, 'x');
  expect_refused([&] { return store().keys({.from = bytes}); }, Code::InvalidArgument, {"start", "4096"});
  expect_refused([&] { return store().count({.to = bytes}); }, Code::InvalidArgument, {"end", "4096"});
  expect_refused([&] { return store().erase_range(bytes, "z"); }, Code::InvalidArgument, {"start", "4096"});
}

TEST_P(Ranges, OfTypedViewsAreInTheOrderOfTheirKeys) {
  const auto events = store().typed<std::string, std::int64_t>("event:");
  store().set("event;", "not of the view");
  for (const std::int64_t key : {-300, -1, 0, 7, 300}) events.set(key, std::to_string(key));
  std::vector<std::int64_t> seen;
  for (const auto& entry : events.entries({.from = events.cursor(-1), .to = events.cursor(300)})) {
    seen.push_back(entry.key);
  }
  EXPECT_EQ(seen, (std::vector<std::int64_t>{-1, 0, 7}));
  EXPECT_EQ(events.count({.from = events.cursor(0)}), 3u);
  EXPECT_EQ(events.erase_range(-1, 7), 2u);
  EXPECT_EQ(events.erase_range(7, std::nullopt), 2u);
  EXPECT_EQ(events.count(), 1u);
  const auto names = store().typed<std::string>("name:");
  for (const char* name : {"a", "b", "c"}) names.set(name, "v");
  EXPECT_EQ(names.erase_range("a", ""), 0u);
  EXPECT_EQ(names.erase_range("b", std::nullopt), 2u);
  expect_refused([&] { return names.erase_range("", std::nullopt); }, Code::InvalidArgument, {"clear"});
  EXPECT_EQ(store().count(), 3u);
}

/// It has no key in the view; were it listed, a page that ends with it would say that nothing follows.
TEST_P(Ranges, S120_TheEntryWhoseKeyIsThePrefixIsNotOfTheView) {
  const auto numbers = store().typed<int>("n:");
  numbers.set_many({{"a", 1}, {"b", 2}, {"c", 3}});
  store().set("n:", "0");
  for (const bool reverse : {false, true}) {
    Names keys;
    for (const auto& entry : numbers.entries({.limit = 1, .reverse = reverse})) keys.push_back(entry.key);
    EXPECT_THAT(keys, testing::UnorderedElementsAre("a", "b", "c"));
  }
  EXPECT_EQ(numbers.count(), 3u);
  EXPECT_EQ(store().count({.prefix = "n:"}), 4u);
  EXPECT_EQ(numbers.clear(), 3u);
  store().transaction([&](Transaction& tx) {
    tx.set("n:", "1");
    EXPECT_EQ(tx.typed<int>("n:").count(), 0u);
    EXPECT_TRUE(tx.typed<int>("n:").scan().entries.empty());
  });
  EXPECT_EQ(store().get("n:"), "1");
}

}  // namespace
}  // namespace tuskv::test
