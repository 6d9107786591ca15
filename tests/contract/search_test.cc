// Searching in values: the same entries on every backend, page by page, whatever the values hold.
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "contract/contract.h"
#include "support/submitted.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;
using std::string_literals::operator""s;
using Names = std::vector<std::string>;

Names keys_of(const Page& page) {
  Names keys;
  for (const Entry& entry : page.entries) keys.push_back(entry.key);
  return keys;
}

/// All pages, each behind the last; `page` takes the cursor.
template <class F>
Names page_through(F&& next_page) {
  Names keys;
  std::string after;
  for (int pages = 0; pages < 10'000; ++pages) {
    const Page page = next_page(after);
    for (const Entry& entry : page.entries) keys.push_back(entry.key);
    if (page.next.empty()) return keys;
    EXPECT_GT(page.next, after);
    after = page.next;
  }
  ADD_FAILURE() << "paging does not end";
  return keys;
}

TUSKV_CONTRACT_SUITE(Search);

TEST_P(Search, FindsBytesAndKeepsTheirMeaning) {
  store().set_many({{"a", "a haystack"},
                    {"b", "100%"},
                    {"c", "x_y"},
                    {"d", "\\271 as text"},
                    {"e", "byte \xb9"},
                    {"f", "nul \0 here"s},
                    {"g", ""},
                    {"h", "Grün \xff"}});
  EXPECT_EQ(keys_of(store().search_values("haystack")), Names{"a"});
  EXPECT_EQ(keys_of(store().search_values("%")), Names{"b"});
  EXPECT_EQ(keys_of(store().search_values("_")), Names{"c"});
  EXPECT_EQ(keys_of(store().search_values("\\271")), Names{"d"});
  EXPECT_EQ(keys_of(store().search_values("\xb9")), Names{"e"});
  EXPECT_EQ(keys_of(store().search_values("\0"s)), Names{"f"});
  EXPECT_EQ(keys_of(store().search_values("\xff")), Names{"h"});
  EXPECT_EQ(keys_of(store().search_values("grün")), Names{});
  EXPECT_EQ(keys_of(store().search_values("e")), (Names{"d", "e", "f"}));
  const Entry found = store().search_values("haystack").entries.at(0);
  EXPECT_EQ(found.value, "a haystack");
  EXPECT_EQ(found.version, store().get_entry("a")->version);
}

TEST_P(Search, IgnoresTheCaseOfAsciiAlone) {
  store().set_many({{"a", "HayStack"},
                    {"b", "hay\xc3\x84Stack"},
                    {"c", "[]"},
                    {"d", "{}"},
                    {"e", "\\271"},
                    {"f", "\xb9"},
                    {"g", "\0X\0"s}});
  const SearchOptions ignoring{.ignore_case = true};
  EXPECT_EQ(keys_of(store().search_values("STACK", ignoring)), (Names{"a", "b"}));
  EXPECT_EQ(keys_of(store().search_values("hAY\xc3\x84s", ignoring)), Names{"b"});
  EXPECT_EQ(keys_of(store().search_values("Y\xc3\xa4", ignoring)), Names{});
  EXPECT_EQ(keys_of(store().search_values("[", ignoring)), Names{"c"});
  EXPECT_EQ(keys_of(store().search_values("\\271", ignoring)), Names{"e"});
  EXPECT_EQ(keys_of(store().search_values("\xb9", ignoring)), Names{"f"});
  EXPECT_EQ(keys_of(store().search_values("\0x\0"s, ignoring)), Names{"g"});
}

TEST_P(Search, Y11_PagesAreLimitedAndFollowEachOther) {
  std::vector<std::string> keys;
  for (int i = 0; i < 300; ++i) keys.push_back("k" + std::to_string(1000 + i));
  std::vector<Item> items;
  for (const std::string& key : keys) items.push_back({.key = key, .value = key.back() == '7' ? "hit" : "miss"});
  store().set_many(items);
  Names hits;
  for (int i = 7; i < 300; i += 10) hits.push_back("k" + std::to_string(1000 + i));
  for (const std::size_t limit : {std::size_t{1}, std::size_t{7}, std::size_t{30}, std::size_t{31}}) {
    EXPECT_EQ(page_through([&](Bytes after) { return store().search_values("hit", {.limit = limit, .after = after}); }),
              hits);
    EXPECT_EQ(page_through([&](Bytes after) {
                return store().search_values("HIT", {.ignore_case = true, .limit = limit, .after = after});
              }),
              hits);
  }
  EXPECT_EQ(store().search_values("i", {}).entries.size(), 100u);  // the default
  EXPECT_EQ(keys_of(store().search_values("hit", {.prefix = "k101", .limit = 5})), Names{"k1017"});
  EXPECT_EQ(keys_of(store().search_values("hit", {.limit = 1, .after = "k1017"})), Names{"k1027"});
  EXPECT_EQ(keys_of(store().search_values("hit", {.prefix = "k", .after = "j"})).size(), 30u);
}

TEST_P(Search, Y11_APageLooksAtABoundedNumberOfKeys) {
  std::vector<std::string> keys;
  for (int i = 0; i < 21'000; ++i) keys.push_back("k" + std::to_string(100'000 + i));
  std::vector<Item> items;
  for (const std::string& key : keys) items.push_back({.key = key, .value = "miss"});
  items.back().value = "hit";
  store().set_many(items);
  const Page first = store().search_values("hit");
  EXPECT_TRUE(first.entries.empty());
  EXPECT_FALSE(first.next.empty());
  EXPECT_LT(first.next, keys.back());
  EXPECT_EQ(page_through([&](Bytes after) { return store().search_values("hit", {.after = after}); }),
            Names{keys.back()});
}

TEST_P(Search, Y11_APageLooksAtABoundedNumberOfBytes) {
  const std::string mebibyte(std::size_t{1} << 20, 'x');
  for (int i = 0; i < 20; ++i) store().set("k" + std::to_string(10 + i), mebibyte);
  store().set("k30", "needle");
  for (const bool ignore_case : {false, true}) {
    const Page first = store().search_values("needle", {.ignore_case = ignore_case});
    EXPECT_EQ(keys_of(first), Names{});
    EXPECT_EQ(first.next, "k25");  // the sixteenth of them
    const Page second = store().search_values("needle", {.ignore_case = ignore_case, .after = first.next});
    EXPECT_EQ(keys_of(second), Names{"k30"});
    EXPECT_EQ(second.next, "");
  }
}

TEST_P(Search, Y11_APageOfATransactionLooksAtABoundedNumberOfItsOwnKeysAndBytes) {
  const std::string mebibyte(std::size_t{1} << 20, 'x');
  std::vector<std::string> keys;
  for (int i = 0; i < 21'000; ++i) keys.push_back("k" + std::to_string(100'000 + i));
  std::vector<Item> items;
  for (const std::string& key : keys) items.push_back({.key = key, .value = "miss"});
  items.back().value = "hit";
  store().set_many({{"k100000", "hit"}, {"k110000x", "hit"}, {"k120999x", "hit"}});
  const Names hits = {"k110000x", keys.back(), "k120999x"};
  store().transaction([&](Transaction& tx) {
    tx.set_many(items);
    const Page first = tx.search_values("hit");
    EXPECT_EQ(keys_of(first), Names{"k110000x"});
    EXPECT_EQ(first.next, keys[19'999]);
    EXPECT_EQ(page_through([&](Bytes after) { return tx.search_values("hit", {.after = after}); }), hits);
    EXPECT_EQ(page_through([&](Bytes after) { return tx.search_values("hit", {.limit = 1, .after = after}); }), hits);
    EXPECT_EQ(tx.count(), 21'002u);
    tx.clear();
    for (int i = 0; i < 20; ++i) tx.set("j" + std::to_string(10 + i), mebibyte);
    tx.set("j30", "needle");
    EXPECT_EQ(tx.search_values("needle").next, "j25");
    EXPECT_EQ(keys_of(tx.search_values("needle", {.after = "j25"})), Names{"j30"});
    tx.clear();
  });
}

TEST_P(Search, SearchesWholeValuesOfEverySize) {
  std::string large(3'000'000, 'x');
  store().set_many({{"end", large + "needle"}, {"middle", large + "NEEDLE" + large}, {"none", large}});
  EXPECT_EQ(keys_of(store().search_values("needle")), Names{"end"});
  EXPECT_EQ(keys_of(store().search_values("needle", {.ignore_case = true})), (Names{"end", "middle"}));
  EXPECT_EQ(store().search_values("NEEDLE").entries.at(0).value.size(), 6'000'006u);
}

TEST_P(Search, Y10_ANamespaceFindsItsOwnValuesAlone) {
  store().set("k", "secret");
  const Store a = store().with_namespace("a");
  a.set("x", "secret");
  store().with_namespace("ab").set("y", "secret");
  EXPECT_EQ(keys_of(store().search_values("secret")), Names{"k"});
  EXPECT_EQ(keys_of(a.search_values("secret")), Names{"x"});
  EXPECT_EQ(keys_of(a.search_values("secret", {.after = "x"})), Names{});
}

TEST_P(Search, P5_DeadEntriesAreNotFound) {
  set_dead("dead", "secret");
  store().set("mortal", "secret", {.ttl = 100ms});
  EXPECT_EQ(keys_of(store().search_values("secret")), Names{"mortal"});
  advance_ms(100);
  EXPECT_EQ(keys_of(store().search_values("secret")), Names{});
  EXPECT_EQ(keys_of(store().search_values("SECRET", {.ignore_case = true})), Names{});
}

TEST_P(Search, TransactionsSeeTheirOwnWrites) {
  store().set_many({{"a", "hit"}, {"b", "hit"}, {"c", "miss"}, {"d", "hit"}});
  store().transaction([](Transaction& tx) {
    tx.set("b", "miss");
    tx.set("c", "hit");
    tx.erase("d");
    tx.set("e", "hit");
    tx.expire("a", 1h);
    EXPECT_EQ(keys_of(tx.search_values("hit")), (Names{"a", "c", "e"}));
    EXPECT_EQ(tx.search_values("hit").entries.at(0).value, "hit");
    EXPECT_EQ(page_through([&](Bytes after) { return tx.search_values("hit", {.limit = 1, .after = after}); }),
              (Names{"a", "c", "e"}));
  });
  EXPECT_EQ(keys_of(store().search_values("hit")), (Names{"a", "c", "e"}));
}

TEST_P(Search, WhatASearchHasPassedOverIsPartOfItsTransaction) {
  store().set_many({{"a", "miss"}, {"b", "hit"}});
  int runs = 0;
  const std::size_t found = store().transaction([&](Transaction& tx) {
    const std::size_t hits = tx.search_values("hit").entries.size();
    if (++runs == 1) std::thread([&] { store().set("a", "hit"); }).join();
    tx.set("hits", std::to_string(hits));
    return hits;
  });
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(found, 2u);
  EXPECT_EQ(get("hits"), "2");
}

TEST_P(Search, AsynchronousSearchesOwnTheirBytes) {
  store().set_many({{"a", "hit"}, {"b", "miss"}});
  std::string needle = "HIT";
  auto search = store().async().search_values(needle, {.ignore_case = true});
  auto find = store().async().find_by_field(std::string("c"), std::string("f"), std::string("1"));
  needle = "gone";
  EXPECT_EQ(keys_of(submitted(std::move(search))), Names{"a"});
  EXPECT_EQ(keys_of(submitted(std::move(find))), Names{});
}

TEST_P(Search, WrongArgumentsAreRefusedBeforeAnyEngine) {
  const Code wrong = Code::InvalidArgument;
  expect_refused([&] { return store().search_values(""); }, wrong, {"empty"});
  expect_refused([&] { return store().search_values(std::string(4097, 'x')); }, wrong, {"4097", "4096"});
  expect_refused([&] { return store().search_values("x", {.limit = 0}); }, wrong, {"limit"});
  expect_refused([&] { return store().search_values("x", {.limit = 10'001}); }, wrong, {"limit"});
  expect_refused([&] { return store().find_by_field("", "f", "1"); }, wrong, {"collection", "empty"});
  expect_refused([&] { return store().find_by_field(std::string(3'000, 'c'), "f", "1"); }, wrong,
                 {"collection", "3000", "2048"});
  expect_refused([&] { return store().find_by_field("c", "", "1"); }, wrong, {"field", "empty"});
  expect_refused([&] { return store().find_by_field("c", "\xff", "1"); }, wrong, {"field", "UTF-8"});
  expect_refused([&] { return store().find_by_field("c", std::string(1025, 'f'), "1"); }, wrong, {"1025", "1024"});
  for (const std::string& value : {""s, "Paris"s, "1 2"s, "01"s, "nul"s, "\"\xff\""s, "\"\\ud800\""s, "{"s}) {
    expect_refused([&] { return store().find_by_field("c", "f", value); }, wrong, {"not JSON"});
  }
  expect_refused([&] { return store().find_by_field("c", "f", "[1]"); }, wrong, {"array"});
  expect_refused([&] { return store().find_by_field("c", "f", "{}"); }, wrong, {"object"});
  expect_refused([&] { return store().find_by_field("c", "f", "1e1000000000"); }, wrong, {"exponent"});
  expect_refused([&] { return store().find_by_field("c", "f", "\xff", {.text = true}); }, wrong, {"UTF-8"});
  expect_refused([&] { return store().find_by_field("c", "f", std::string(65'537, '1')); }, wrong, {"65537", "65536"});
  expect_refused([&] { return store().find_by_field("c", "f", "1", {.limit = 0}); }, wrong, {"limit"});
  expect_refused([&] { return store().create_index(""); }, wrong, {"empty"});
  expect_refused([&] { return store().create_index("a\0b"s); }, wrong, {"NUL"});
}

TUSKV_JSON_CONTRACT_SUITE(Find);

TEST_P(Find, ComparesByTypeAndValue) {
  store().set_many({{"c:01", R"({"f": true})"},
                    {"c:02", R"({"f": false})"},
                    {"c:03", R"({"f": null})"},
                    {"c:04", R"({"g": null})"},
                    {"c:05", R"({"f": 1})"},
                    {"c:06", R"({"f": 1.0})"},
                    {"c:07", R"({"f": 10e-1})"},
                    {"c:08", R"({"f": "1"})"},
                    {"c:09", R"({"f": "true"})"},
                    {"c:10", R"({"f": "Par\u0069s"})"},
                    {"c:11", R"({"f": [1]})"},
                    {"c:12", R"({"f": {"f": 1}})"},
                    {"c:13", R"([{"f": 1}])"},
                    {"c:14", R"("f")"},
                    {"c:15", R"({"f": ""})"},
                    {"c:16", R"({"f": -0.0})"}});
  const auto find = [&](Bytes value) { return keys_of(store().find_by_field("c", "f", value)); };
  EXPECT_EQ(find("true"), Names{"c:01"});
  EXPECT_EQ(find("false"), Names{"c:02"});
  EXPECT_EQ(find(" null "), Names{"c:03"});
  EXPECT_EQ(find("1"), (Names{"c:05", "c:06", "c:07"}));
  EXPECT_EQ(find("1.000"), (Names{"c:05", "c:06", "c:07"}));
  EXPECT_EQ(find("0.1e1"), (Names{"c:05", "c:06", "c:07"}));
  EXPECT_EQ(find("\"1\""), Names{"c:08"});
  EXPECT_EQ(find("\"true\""), Names{"c:09"});
  EXPECT_EQ(find("\"Paris\""), Names{"c:10"});
  EXPECT_EQ(find("\"P\\u0061ris\""), Names{"c:10"});
  EXPECT_EQ(find("\"paris\""), Names{});
  EXPECT_EQ(find("\"\""), Names{"c:15"});
  EXPECT_EQ(find("0"), Names{"c:16"});
  EXPECT_EQ(find("2"), Names{});
}

TEST_P(Find, NothingIsReadForWhatCannotBeThere) {
  if (!backend().capabilities().keeps_json) return;
  store().set("c:1", R"({"f": 1})");
  int runs = 0;
  store().transaction([&](Transaction& tx) {
    ++runs;
    EXPECT_EQ(keys_of(tx.find_by_field("c", "f", "1e131072")), Names{});
    EXPECT_EQ(keys_of(tx.find_by_field("c", "f", "\"\\u0000\"")), Names{});
    if (runs == 1) std::thread([&] { store().set("c:2", R"({"f": 2})"); }).join();
    tx.set("done", "1");
  });
  EXPECT_EQ(runs, 1);
}

TEST_P(Find, ComparesTextsAsTheyAreWritten) {
  store().set_many({{"c:1", R"({"f": "Paris"})"},
                    {"c:2", R"({"f": 1.50})"},
                    {"c:3", R"({"f": "1.50"})"},
                    {"c:4", R"({"f": 1e2})"},
                    {"c:5", R"({"f": true})"},
                    {"c:6", R"({"f": "true"})"},
                    {"c:7", R"({"f": null})"},
                    {"c:8", R"({"f": []})"},
                    {"c:9", R"({"f": "a\"b\\c\n\u00fc"})"}});
  const auto find = [&](Bytes text) { return keys_of(store().find_by_field("c", "f", text, {.text = true})); };
  EXPECT_EQ(find("Paris"), Names{"c:1"});
  EXPECT_EQ(find("1.50"), (Names{"c:2", "c:3"}));
  EXPECT_EQ(find("1.5"), Names{});
  EXPECT_EQ(find("100"), Names{"c:4"});
  EXPECT_EQ(find("1e2"), Names{});
  EXPECT_EQ(find("true"), (Names{"c:5", "c:6"}));
  EXPECT_EQ(find("null"), Names{});
  EXPECT_EQ(find(""), Names{});
  EXPECT_EQ(find("[]"), Names{});
  EXPECT_EQ(find("a\"b\\c\n\xc3\xbc"), Names{"c:9"});
  EXPECT_EQ(find("a\0b"s), Names{});
}

TEST_P(Find, NumbersAreComparedInFull) {
  store().set_many({{"c:1", R"({"f": 12345678901234567890123})"},
                    {"c:2", R"({"f": 12345678901234567890124})"},
                    {"c:3", R"({"f": 1e400})"},
                    {"c:4", R"({"f": 0.1})"},
                    {"c:5", R"({"f": 0.10000000000000000001})"},
                    {"c:6", R"({"f": -9007199254740993})"},
                    {"c:7", R"({"f": -1e131071})"},
                    {"c:8", R"({"f": -1e-16383})"}});
  const auto find = [&](Bytes value) { return keys_of(store().find_by_field("c", "f", value)); };
  EXPECT_EQ(find("12345678901234567890123"), Names{"c:1"});
  EXPECT_EQ(find("12345678901234567890124.00"), Names{"c:2"});
  EXPECT_EQ(find("10e399"), Names{"c:3"});
  EXPECT_EQ(find("1e-1"), Names{"c:4"});
  EXPECT_EQ(find("-9007199254740992"), Names{});
  EXPECT_EQ(find("-10e131070"), Names{"c:7"});
  EXPECT_EQ(find("-1e-16383"), Names{"c:8"});
  // No document of PostgreSQL can hold these, and asking for them is no error.
  for (const char* value : {"1e131072", "-1e131072", "1e-16384", "1e999999999", "\"\\u0000\""}) {
    EXPECT_EQ(find(value), Names{}) << value;
  }
  EXPECT_EQ(find("0.1" + std::string(20'000, '0')), Names{"c:4"});
  EXPECT_EQ(keys_of(store().find_by_field("c", "f\0"s, "1")), Names{});
}

TEST_P(Find, A10_HostileDocumentsGiveTheSameAnswerEverywhere) {
  const std::string deep = std::string(1'000, '[') + std::string(1'000, ']');
  store().set_many({{"c:1", R"({"f": 1, "f": 2})"},
                    {"c:2", R"({"f": 2, "\u0066": 1})"},
                    {"c:3", R"({"deep": )" + deep + R"(, "f": 2})"},
                    {"c:4", R"({"\u0066": 2, "\ud83d\ude00": "\ud83d\ude00"})"},
                    {"c:5", R"({"large": ")" + std::string(1'000'000, 'x') + R"(", "f": 2})"}});
  EXPECT_EQ(keys_of(store().find_by_field("c", "f", "2")), (Names{"c:1", "c:3", "c:4", "c:5"}));
  EXPECT_EQ(keys_of(store().find_by_field("c", "f", "2", {.text = true})), (Names{"c:1", "c:3", "c:4", "c:5"}));
  EXPECT_EQ(keys_of(store().find_by_field("c", "\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\"")), Names{"c:4"});
  for (const char* field : {"f'", "f\"", "') or true --", "f\\", "{T}", "$6", "%s", "\xc3\xa4", "f\n"}) {
    EXPECT_EQ(keys_of(store().find_by_field("c", field, "2")), Names{}) << field;
    EXPECT_EQ(keys_of(store().find_by_field("c", "f", "'); drop table tuskv; --", {.text = true})), Names{});
  }
}

TEST_P(Find, A10_WhatIsNoJsonDoesNotMatchAndFailsNothing) {
  store().set("c:0", R"({"f": 1})");
  if (backend().capabilities().keeps_json) return;  // nothing else can be there
  const std::string too_deep = std::string(100'000, '[') + std::string(100'000, ']');
  store().set_many({{"c:01", ""},
                    {"c:02", R"({"f": 1)"},
                    {"c:03", R"({"f": 1}x)"},
                    {"c:04", "{\"f\": 1, \"g\": \"\xff\"}"},
                    {"c:05", R"({"f": 1, "g": "\ud800"})"},
                    {"c:06", R"({"f": 01})"},
                    {"c:07", "{\"f\": 1, \"g\": \"\0\"}"s},
                    {"c:08", "\xef\xbb\xbf{\"f\": 1}"},
                    {"c:09", R"({'f': 1})"},
                    {"c:10", std::string(100'000, '[')},
                    {"c:11", R"({"g": )" + too_deep + R"(, "f": 1})"},
                    {"c:12", R"({"f": 1, "g": "\u0000"})"},
                    {"c:13", R"({"f": 1, "g": 1e1000000000})"}});
  EXPECT_EQ(keys_of(store().find_by_field("c", "f", "1")), (Names{"c:0", "c:11", "c:12", "c:13"}));
  EXPECT_EQ(keys_of(store().find_by_field("c", "f", "1", {.text = true})), (Names{"c:0", "c:11", "c:12", "c:13"}));
  store().set("c:14", R"({"a\u0000b": "\u0000"})");
  EXPECT_EQ(keys_of(store().find_by_field("c", "a\0b"s, "\"\\u0000\"")), Names{"c:14"});
}

TEST_P(Find, ACollectionIsTheLiteralStartOfAKey) {
  for (const char* key : {"user:1", "user:", "user", "users:1", "user::2", "u%:1", "ux:1", "a:user:1"}) {
    store().set(key, R"({"f": 1})");
  }
  EXPECT_EQ(keys_of(store().find_by_field("user", "f", "1")), (Names{"user:", "user:1", "user::2"}));
  EXPECT_EQ(keys_of(store().find_by_field("u%", "f", "1")), Names{"u%:1"});
  EXPECT_EQ(keys_of(store().find_by_field("a", "f", "1")), Names{"a:user:1"});
  EXPECT_EQ(keys_of(store().with_namespace("user").find_by_field("user", "f", "1")), Names{});
}

TEST_P(Find, PagesFollowEachOtherInKeyOrder) {
  std::vector<std::string> keys;
  std::vector<Item> items;
  for (int i = 0; i < 400; ++i) keys.push_back("c:" + std::to_string(1000 + i));
  for (const std::string& key : keys) items.push_back({.key = key, .value = key.back() == '3' ? R"({"f": "x"})" : "1"});
  store().set_many(items);
  Names hits;
  for (int i = 3; i < 400; i += 10) hits.push_back("c:" + std::to_string(1000 + i));
  for (const std::size_t limit : {std::size_t{1}, std::size_t{9}, std::size_t{40}, std::size_t{100}}) {
    for (const bool text : {false, true}) {
      EXPECT_EQ(page_through([&](Bytes after) {
                  return store().find_by_field("c", "f", text ? "x" : "\"x\"",
                                               {.text = text, .limit = limit, .after = after});
                }),
                hits);
    }
  }
  EXPECT_EQ(store().find_by_field("c", "f", "\"x\"", {.limit = 1}).entries.at(0).value, R"({"f": "x"})");
}

TEST_P(Find, P5_DeadEntriesAreNotFoundAndTransactionsSeeTheirOwn) {
  set_dead("c:1", R"({"f": 1})");
  store().set("c:2", R"({"f": 1})", {.ttl = 100ms});
  store().set("c:3", R"({"f": 2})");
  store().transaction([](Transaction& tx) {
    tx.set("c:3", R"({"f": 1.0})");
    tx.set("c:4", R"({"f": 1})");
    EXPECT_EQ(keys_of(tx.find_by_field("c", "f", "1")), (Names{"c:2", "c:3", "c:4"}));
    EXPECT_EQ(keys_of(tx.find_by_field("c", "f", "1.0", {.text = true})), Names{"c:3"});
    tx.erase("c:4");
    EXPECT_EQ(keys_of(tx.find_by_field("c", "f", "1")), (Names{"c:2", "c:3"}));
  });
  advance_ms(100);
  EXPECT_EQ(keys_of(store().find_by_field("c", "f", "1")), Names{"c:3"});
}

TEST_P(Find, IndexesAreForDocumentsThatPostgresKeepsAsSuch) {
  store().set("c:1", R"({"f": 1})");
  if (!backend().capabilities().keeps_json) {
    expect_refused([&] { return store().create_index("f"); }, Code::Unsupported, {"jsonb"});
    expect_refused([&] { return store().drop_index("f"); }, Code::Unsupported, {"jsonb"});
    expect_refused([&] { return store().indexes(); }, Code::Unsupported, {"jsonb"});
    return;
  }
  EXPECT_TRUE(store().create_index("f"));
  EXPECT_FALSE(store().create_index("f"));
  EXPECT_EQ(store().indexes(), Names{"f"});
  EXPECT_EQ(keys_of(store().find_by_field("c", "f", "1")), Names{"c:1"});
  EXPECT_TRUE(store().drop_index("f"));
  EXPECT_FALSE(store().drop_index("f"));
  EXPECT_EQ(store().indexes(), Names{});
  EXPECT_EQ(keys_of(store().find_by_field("c", "f", "1")), Names{"c:1"});
}

}  // namespace
}  // namespace tuskv::test
