// Lists: byte order, prefixes and globs, pages that stay stable while others write.
#include <algorithm>
#include <chrono>
#include <set>
#include <string>
#include <vector>

#include "contract/contract.h"
#include "support/random.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;
using Names = std::vector<std::string>;

class ListTest : public ContractTest {
 protected:
  /// All keys, page by page.
  Names page_through(ScanOptions scan) {
    Names keys;
    std::string after(scan.after.view());
    for (int pages = 0; pages < 100'000; ++pages) {
      scan.after = after;
      const KeyPage page = store().keys(scan);
      EXPECT_LE(page.keys.size(), scan.limit);
      keys.insert(keys.end(), page.keys.begin(), page.keys.end());
      if (page.next.empty()) return keys;
      after = page.next;
    }
    ADD_FAILURE() << "paging does not end";
    return keys;
  }
};
class List : public ListTest {};
INSTANTIATE_TEST_SUITE_P(Backends, List, testing::ValuesIn(backend_kinds()), backend_name);

TEST_P(List, U1_KeysComeInUnsignedByteOrder) {
  Random random(1);
  std::set<std::string> keys = {"a", "A", "b", "ab", "a ", "\x7f", "\x80", "\xff", std::string("a\0", 2)};
  for (int i = 0; i < 300; ++i) keys.insert(random.bytes(1 + random.below(6)));
  set_all({keys.begin(), keys.end()});
  reopen();
  const Names expected(keys.begin(), keys.end());  // std::string compares unsigned
  EXPECT_EQ(page_through({.limit = 7}), expected);
  EXPECT_EQ(page_through({.limit = 1000}), expected);
  Names backwards = page_through({.limit = 7, .reverse = true});
  std::reverse(backwards.begin(), backwards.end());
  EXPECT_EQ(backwards, expected);
}

TEST_P(List, ScanGivesWholeEntriesUnlessKeysOnly) {
  store().set("a", "1", {.ttl = 100ms});
  store().set("b", "2");
  const Page page = store().scan();
  ASSERT_EQ(page.entries.size(), 2u);
  EXPECT_EQ(page.next, "");
  const Entry& entry = page.entries[0];
  const Entry direct = store().get_entry("a").value();
  EXPECT_EQ(entry.key, "a");
  EXPECT_EQ(entry.value, "1");
  EXPECT_EQ(entry.version, direct.version);
  EXPECT_EQ(entry.expires_at, direct.expires_at);
  EXPECT_EQ(entry.created_at, direct.created_at);
  EXPECT_EQ(entry.updated_at, direct.updated_at);
  const Page keys_only = store().scan({.keys_only = true});
  EXPECT_EQ(keys_only.entries[1].key, "b");
  EXPECT_EQ(keys_only.entries[1].value, "");
}

TEST_P(List, Y11_APageGivesABoundedNumberOfBytes) {
  const std::string mebibyte(std::size_t{1} << 20, 'x');
  Names keys;
  for (int i = 0; i < 20; ++i) keys.push_back("k" + std::to_string(10 + i));
  for (const std::string& key : keys) store().set(key, mebibyte);
  const Page first = store().scan();
  EXPECT_EQ(first.entries.size(), 16u);
  EXPECT_EQ(first.next, keys[15]);
  const Page second = store().scan({.after = first.next});
  EXPECT_EQ(second.entries.size(), 4u);
  EXPECT_EQ(second.entries.at(3).value, mebibyte);
  EXPECT_EQ(second.next, "");
  EXPECT_EQ(store().scan({.after = keys[3]}).next, "");  // 16 and no more
  EXPECT_EQ(store().scan({.glob = "k*", .reverse = true}).next, keys[4]);
  EXPECT_EQ(store().scan({.glob = "*9"}).next, "");  // what does not match weighs nothing
  EXPECT_EQ(store().keys().keys, keys);
  Names found;
  for (const Entry& entry : store().entries()) found.push_back(entry.key);
  EXPECT_EQ(found, keys);
}

/// What the transaction has written counts as what is stored does.
TEST_P(List, Y11_APageOfATransactionGivesABoundedNumberOfBytes) {
  const std::string mebibyte(std::size_t{1} << 20, 'x');
  Names keys;
  for (int i = 0; i < 40; ++i) keys.push_back("k" + std::to_string(10 + i));
  for (std::size_t i = 0; i < keys.size(); i += 4) store().set(keys[i], mebibyte);
  store().transaction([&](Transaction& tx) {
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (i % 4 != 0) tx.set(keys[i], mebibyte);
    }
    const Page first = tx.scan();
    EXPECT_EQ(first.entries.size(), 16u);
    EXPECT_EQ(first.next, keys[15]);
    EXPECT_EQ(tx.scan({.after = first.next}).next, keys[31]);
    EXPECT_EQ(tx.scan({.after = keys[31]}).next, "");
    EXPECT_EQ(tx.scan({.reverse = true}).next, keys[24]);
    EXPECT_EQ(tx.keys().keys, keys);
    Names found;
    for (const Entry& entry : tx.entries()) found.push_back(entry.key);
    EXPECT_EQ(found, keys);
    tx.clear();
  });
}

TEST_P(List, Y11_APageHasAnEntryHoweverLarge) {
  const std::string large(std::size_t{17} << 20, 'x');
  store().set_many({{"a", large}, {"b", "small"}});
  const Page first = store().scan();
  ASSERT_EQ(first.entries.size(), 1u);
  EXPECT_EQ(first.entries[0].value.size(), large.size());
  EXPECT_EQ(first.next, "a");
  EXPECT_EQ(store().scan({.after = "a"}).entries.at(0).value, "small");
  EXPECT_EQ(store().scan({.reverse = true}).entries.size(), 2u);
}

TEST_P(List, G5_APrefixIsLiteral) {
  set_all({"user_1", "userX1", "100%", "1000a", "user_", "a*b", "axb", "a\\b"});
  EXPECT_EQ(store().keys({.prefix = "user_"}).keys, (Names{"user_", "user_1"}));
  EXPECT_EQ(store().keys({.prefix = "100%"}).keys, Names{"100%"});
  EXPECT_EQ(store().keys({.prefix = "a*"}).keys, Names{"a*b"});
  EXPECT_EQ(store().keys({.prefix = "a\\"}).keys, Names{"a\\b"});
  EXPECT_EQ(store().count({.prefix = "user_"}), 2u);
}

TEST_P(List, APrefixOfHighBytesHasAnEnd) {
  set_all({"\xfe", "\xff", "\xff\xff", "\xff\xff\x01", "a\xff", "a\xff\xff", "b"});
  EXPECT_EQ(store().keys({.prefix = "\xff"}).keys, (Names{"\xff", "\xff\xff", "\xff\xff\x01"}));
  EXPECT_EQ(store().keys({.prefix = "\xff\xff"}).keys, (Names{"\xff\xff", "\xff\xff\x01"}));
  EXPECT_EQ(store().keys({.prefix = "a\xff"}).keys, (Names{"a\xff", "a\xff\xff"}));
  EXPECT_EQ(store().keys({.prefix = "\xff", .reverse = true}).keys, (Names{"\xff\xff\x01", "\xff\xff", "\xff"}));
}

TEST_P(List, KeysWithNulAndHighBytesAreInEveryListThatHoldsThem) {
  const std::string key("a\0\xff", 3);
  const std::string a_nul("a\0", 2);
  const std::string last_glob("*\0\xff", 3);
  set_all({"a", key, "a\x01", "b"});
  EXPECT_EQ(store().keys().keys, (Names{"a", key, "a\x01", "b"}));
  EXPECT_EQ(store().keys({.prefix = "a"}).keys, (Names{"a", key, "a\x01"}));
  for (const std::string& prefix : {a_nul, key}) EXPECT_EQ(store().keys({.prefix = prefix}).keys, Names{key});
  for (const std::string& glob : {std::string("???"), std::string("*\xff"), std::string("?*\xff"), last_glob}) {
    EXPECT_EQ(store().keys({.glob = glob}).keys, Names{key}) << testing::PrintToString(glob);
  }
  EXPECT_EQ(store().keys({.after = "a", .limit = 1}).keys, Names{key});
  EXPECT_EQ(store().keys({.after = a_nul, .limit = 1}).keys, Names{key});
  EXPECT_EQ(store().keys({.after = "a\x01", .limit = 1, .reverse = true}).keys, Names{key});
  EXPECT_EQ(store().keys({.prefix = "a", .after = key}).keys, Names{"a\x01"});
  EXPECT_EQ(store().count({.prefix = key}), 1u);
  EXPECT_EQ(store().erase_prefix(a_nul), 1u);
  EXPECT_EQ(store().keys().keys, (Names{"a", "a\x01", "b"}));
}

TEST_P(List, GlobsMatchWholeKeys) {
  set_all({"user:1", "user:10", "user:2:name", "users", "xuser:1", "a*b", "a?b", "axb", "a\\b"});
  EXPECT_EQ(store().keys({.glob = "user:*"}).keys, (Names{"user:1", "user:10", "user:2:name"}));
  EXPECT_EQ(store().keys({.glob = "user:?"}).keys, (Names{"user:1"}));
  EXPECT_EQ(store().keys({.glob = "*:1"}).keys, (Names{"user:1", "xuser:1"}));
  EXPECT_EQ(store().keys({.glob = "a\\*b"}).keys, (Names{"a*b"}));
  EXPECT_EQ(store().keys({.glob = "a\\?b"}).keys, (Names{"a?b"}));
  EXPECT_EQ(store().keys({.glob = "a\\\\b"}).keys, (Names{"a\\b"}));
  EXPECT_EQ(store().keys({.glob = "a?b"}).keys, (Names{"a*b", "a?b", "a\\b", "axb"}));
  EXPECT_EQ(store().keys({.glob = "user"}).keys, Names{});
  EXPECT_EQ(store().count({.glob = "user:*"}), 3u);
  EXPECT_EQ(store().keys({.prefix = "user", .glob = "*1*"}).keys, (Names{"user:1", "user:10"}));
  EXPECT_EQ(store().count({.prefix = "x", .glob = "*1"}), 1u);
}

TEST_P(List, Y11_AHostileGlobCostsLittle) {
  set_all({std::string(1000, 'a')});
  std::string pattern;
  while (pattern.size() < 1022) pattern += "a*";
  pattern += "b";
  EXPECT_TRUE(store().keys({.glob = pattern}).keys.empty());
  EXPECT_EQ(store().count({.glob = pattern}), 0u);
}

TEST_P(List, AfterIsExclusiveAndNeedNotExist) {
  set_all({"a", "b", "c", "d"});
  EXPECT_EQ(store().keys({.after = "b"}).keys, (Names{"c", "d"}));
  EXPECT_EQ(store().keys({.after = "bb"}).keys, (Names{"c", "d"}));
  EXPECT_EQ(store().keys({.after = "d"}).keys, Names{});
  EXPECT_EQ(store().keys({.after = "c", .reverse = true}).keys, (Names{"b", "a"}));
  EXPECT_EQ(store().keys({.after = "bb", .reverse = true}).keys, (Names{"b", "a"}));
  EXPECT_EQ(store().keys({.prefix = "b", .after = "a"}).keys, Names{"b"});  // before the prefix: from its start
  EXPECT_EQ(store().keys({.prefix = "b", .after = "c"}).keys, Names{});
}

TEST_P(List, Y11_PagesAreLimitedByDefault) {
  Names keys;
  for (int i = 0; i < 250; ++i) keys.push_back("k" + std::to_string(1000 + i));
  set_all(keys);
  const Page first = store().scan();
  EXPECT_EQ(first.entries.size(), 100u);
  EXPECT_EQ(first.next, "k1099");
  EXPECT_EQ(page_through({}).size(), 250u);
  EXPECT_EQ(store().scan({.limit = 10'000}).entries.size(), 250u);
  expect_refused([&] { return store().scan({.limit = 0}); }, Code::InvalidArgument, {"limit", "1", "10000"});
  expect_refused([&] { return store().scan({.limit = 10'001}); }, Code::InvalidArgument, {"limit"});
  expect_refused([&] { return store().keys({.limit = 0}); }, Code::InvalidArgument, {"limit"});
  const std::string long_glob(1025, '*');
  expect_refused([&] { return store().keys({.glob = long_glob}); }, Code::InvalidArgument, {"glob", "1024"});
  expect_refused([&] { return store().count({.glob = long_glob}); }, Code::InvalidArgument, {"glob", "1024"});
}

TEST_P(List, ExactlyFullLastPagesEndThePaging) {
  set_all({"a", "b", "c", "d"});
  EXPECT_EQ(page_through({.limit = 2}), (Names{"a", "b", "c", "d"}));
  EXPECT_EQ(page_through({.limit = 4}), (Names{"a", "b", "c", "d"}));
  EXPECT_EQ(page_through({.limit = 1, .reverse = true}), (Names{"d", "c", "b", "a"}));
}

/// By time, as nothing else tells: a page that walked to its place would take thousands of times as long here.
TEST_P(List, P17_APageCostsTheSameWhereverItIs) {
  if (backend().engine() != "memory") GTEST_SKIP() << "file: has the same index, and of a server rows are counted";
  constexpr int kKeys = 50'000;
  std::vector<std::string> keys;
  for (int i = 0; i < kKeys; ++i) keys.push_back("k" + std::to_string(100'000 + i));
  set_all(keys);
  const auto shortest = [&](const ScanOptions& where) {
    auto least = std::chrono::steady_clock::duration::max();
    for (int i = 0; i < 50; ++i) {
      const auto start = std::chrono::steady_clock::now();
      EXPECT_EQ(store().keys(where).keys.size(), 5u);
      least = std::min(least, std::chrono::steady_clock::now() - start);
    }
    return least;
  };
  const auto first = shortest({.limit = 5});
  EXPECT_LT(shortest({.after = keys[kKeys - 10], .limit = 5}), 20 * first);
  EXPECT_LT(shortest({.after = keys[10], .limit = 5, .reverse = true}), 20 * first);
}

TEST_P(List, P17_PagingIsStableUnderWrites) {
  std::set<std::string> stable;
  for (int i = 0; i < 500; ++i) {
    stable.insert("k" + std::to_string(1000 + i));
  }
  set_all({stable.begin(), stable.end()});
  Random random(17);
  std::multiset<std::string> seen;
  std::string after;
  do {
    const KeyPage page = store().keys({.after = after, .limit = 23});
    for (const std::string& key : page.keys) seen.insert(key);
    after = page.next;
    // Between pages keys come, go and are overwritten, in front of the cursor, behind it and on it.
    for (int i = 0; i < 40; ++i) {
      const std::string key = "k" + std::to_string(1000 + random.below(500));
      switch (random.below(3)) {
        case 0: store().set(key + "x", "new"); break;
        case 1: store().erase(key + "x"); break;
        default: store().set(key, "overwritten"); break;
      }
    }
    if (!after.empty() && random.chance(30) && after.back() != 'x') {
      store().erase(after);  // even the cursor's own key may go
      stable.erase(after);
    }
  } while (!after.empty());
  for (const std::string& key : stable) EXPECT_EQ(seen.count(key), 1u) << key;
  for (const std::string& key : seen) EXPECT_EQ(seen.count(key), 1u) << key;
}

TEST_P(List, DeadEntriesShowOnlyForAdministration) {
  set_dead("dead");
  store().set("live", "v");
  EXPECT_EQ(page_through({.limit = 1}), Names{"live"});
  EXPECT_EQ(page_through({.limit = 1, .include_expired = true}), (Names{"dead", "live"}));
  const Page all = store().scan({.include_expired = true});
  ASSERT_EQ(all.entries.size(), 2u);
  EXPECT_EQ(all.entries[0].value, "dead");
  EXPECT_TRUE(all.entries[0].expires_at);
  EXPECT_EQ(store().count(), 1u);
}

TEST_P(List, APageLooksAtABoundedNumberOfKeys) {
  Names keys;
  for (int i = 0; i < 50'000; ++i) keys.push_back("k" + std::to_string(100'000 + i));
  set_all(keys);
  const KeyPage page = store().keys({.glob = "*149999"});
  EXPECT_TRUE(page.keys.empty());  // it ended early, with a cursor
  EXPECT_NE(page.next, "");
  EXPECT_EQ(page_through({.glob = "*149999"}), Names{"k149999"});
  EXPECT_EQ(page_through({.glob = "k1000?0", .reverse = true}).size(), 10u);
  EXPECT_EQ(store().count({.glob = "*9"}), 5'000u);
  EXPECT_EQ(page_through({.limit = 10'000}).size(), 50'000u);
}

// ---- entries

TEST_P(List, EntriesStreamsEverythingInOrder) {
  Names keys;
  for (int i = 0; i < 1000; ++i) keys.push_back("k" + std::to_string(1000 + i));
  set_all(keys);
  int expected = 0;
  for (const Entry& entry : store().entries({.prefix = "k", .limit = 64})) {
    EXPECT_EQ(entry.key, "k" + std::to_string(1000 + expected));
    EXPECT_EQ(entry.value, "v");
    ++expected;
  }
  EXPECT_EQ(expected, 1000);
  for (const Entry& entry : store().entries({.prefix = "k", .reverse = true})) {
    EXPECT_EQ(entry.key, "k1999");
    break;  // stopping early is fine
  }
  EXPECT_TRUE(store().entries({.prefix = "none"}).begin() == std::default_sentinel);
}

TEST_P(List, EntriesOwnsWhatItWasGivenAndMayWriteWhileIterating) {
  set_all({"a:1", "a:2", "a:3", "b:1"});
  EntryRange range = [&] {
    const std::string prefix = "a:";
    const std::string glob = "*:*";
    return store().entries({.prefix = prefix, .glob = glob, .limit = 1});
  }();
  Names seen;
  for (const Entry& entry : range) {
    seen.push_back(entry.key);
    store().erase(entry.key);
    store().set("z" + entry.key, "not in the range");
  }
  EXPECT_EQ(seen, (Names{"a:1", "a:2", "a:3"}));
  EXPECT_EQ(store().keys().keys, (Names{"b:1", "za:1", "za:2", "za:3"}));
}

TEST_P(List, EntriesWithKeysOnlyAndGlobs) {
  set_all({"a", "b", "c"});
  Names seen;
  for (const Entry& entry : store().entries({.glob = "?", .after = "a", .limit = 1, .keys_only = true})) {
    EXPECT_EQ(entry.value, "");
    seen.push_back(entry.key);
  }
  EXPECT_EQ(seen, (Names{"b", "c"}));
}

}  // namespace
}  // namespace tuskv::test
