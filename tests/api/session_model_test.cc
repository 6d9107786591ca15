// A transaction against its definition: whatever is called inside it answers what a store of its own would answer that
// had the same entries, and commits to the same entries.
#include <gtest/gtest.h>

#include <random>
#include <sstream>

#include "api/reference_store.h"

namespace tuskv::test {
namespace {

using Random = std::mt19937_64;

std::size_t below(Random& random, std::size_t bound) {
  return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random);
}

const std::vector<std::string>& all_keys() {
  static const std::vector<std::string> kKeys = {"a",  "ab", "abc", "b",  "b\xff", "b\xff\xff",
                                                 "ba", "c",  "d",   "da", "e"};
  return kKeys;
}

std::string any_key(Random& random) { return all_keys()[below(random, all_keys().size())]; }

std::string any_number(Random& random) { return std::to_string(below(random, 50)); }

std::string text(const std::optional<std::string>& value) { return value ? "=" + *value : "none"; }

std::string text(const Page& page) {
  std::ostringstream out;
  for (const Entry& entry : page.entries) {
    out << entry.key << "=" << entry.value;
    if (entry.expires_at) out << "@" << entry.expires_at->time_since_epoch().count();
    out << ";";
  }
  out << "next " << page.next.empty();
  return out.str();
}

/// All pages, as one text: where pages end may differ.
std::string scan_all(const KeyValue& store, ScanOptions options) {
  std::string all;
  std::string after(options.after.view());
  for (int page_count = 0; page_count < 100; ++page_count) {
    options.after = after;
    const Page page = store.scan(options);
    EXPECT_LE(page.entries.size(), options.limit);
    for (const Entry& entry : page.entries) all += text(Page{.entries = {entry}}) + "|";
    if (page.next.empty()) return all;
    after = page.next;
  }
  ADD_FAILURE() << "a scan does not end";
  return all;
}

SetOptions any_expiry(Random& random) {
  switch (below(random, 5)) {
    case 0: return {.ttl = std::chrono::milliseconds(1 + below(random, 20))};
    case 1: return {.keep_ttl = true};
    case 2: return {.persistent = true};
    default: return {};
  }
}

std::string write_something(const KeyValue& store, Random& random) {
  const std::string key = any_key(random);
  const std::string value = any_number(random);
  const SetOptions options = any_expiry(random);
  switch (below(random, 14)) {
    case 0: store.set(key, value, options); return "set";
    case 1: return std::to_string(store.set_if_absent(key, value, options));
    case 2: return std::to_string(store.set_if_present(key, value, options));
    case 3: return std::to_string(store.erase(key));
    case 4: return std::to_string(store.increment(key));
    case 5: return text(store.get_and_set(key, value, options));
    case 6: return text(store.get_and_erase(key));
    case 7: return text(store.get_and_touch(key, std::chrono::milliseconds(5)));
    case 8: return text(store.compare_and_swap(key, Bytes("1"), value, options).current);
    case 9: return std::to_string(static_cast<int>(store.persist(key).status));
    case 10: return std::to_string(store.erase_prefix(key.substr(0, 1)));
    case 11: return std::to_string(store.erase_many({key, any_key(random), key}));
    case 12:
      store.set_many({{.key = key, .value = value}, {.key = any_key(random), .value = value}}, options);
      return "set_many";
    default:
      return text(store.update(key, [&](std::optional<std::string_view> present) -> Change {
        if (present && present->size() > 1) return std::nullopt;
        return value;
      }));
  }
}

std::string read_something(const KeyValue& store, Random& random) {
  const std::string key = any_key(random);
  ScanOptions options{.limit = 1 + below(random, 4), .reverse = below(random, 2) == 0};
  switch (below(random, 7)) {
    case 0: return text(store.get(key));
    case 1: return std::to_string(store.ttl(key).left.count());
    case 2: return std::to_string(store.count({.prefix = key.substr(0, 1)}));
    case 3: return scan_all(store, options);
    case 4: options.prefix = key; return scan_all(store, options);
    case 5:
      options.after = key;
      options.keys_only = true;
      return scan_all(store, options);
    default: options.glob = "?*b*"; return scan_all(store, options);
  }
}

std::string step(const KeyValue& store, std::uint64_t seed) {
  Random random(seed);
  return below(random, 2) == 0 ? write_something(store, random) : read_something(store, random);
}

class SessionModel : public testing::TestWithParam<std::uint64_t> {};

TEST_P(SessionModel, AnswersAsAStoreOfItsOwn) {
  Random random(GetParam());
  ReferenceStore store;
  ReferenceStore model;
  for (int i = 0; i < 20; ++i) {
    const std::uint64_t seed = random();
    ASSERT_EQ(step(*store.store, seed), step(*model.store, seed));
  }
  // A stored entry that expires after it was read would be a conflict.
  for (const std::string& key : all_keys()) {
    store->persist(key);
    model->persist(key);
  }
  int attempts = 0;
  store->transaction([&](Transaction& tx) {
    ASSERT_EQ(++attempts, 1);
    for (int i = 0; i < 60; ++i) {
      const std::uint64_t seed = random();
      ASSERT_EQ(step(tx, seed), step(*model.store, seed)) << "step " << i;
      const std::int64_t passed_ms = below(random, 4) == 0 ? 3 : 0;
      store.clock.advance_ms(passed_ms);
      model.clock.advance_ms(passed_ms);
      if (HasFatalFailure()) return;
    }
    ASSERT_EQ(store.engine->commit_count(), 0u);
  });
  EXPECT_EQ(scan_all(*store.store, {}), scan_all(*model.store, {}));
}

INSTANTIATE_TEST_SUITE_P(Seeds, SessionModel, testing::Range<std::uint64_t>(0, 200));

}  // namespace
}  // namespace tuskv::test
