// Typed views on every backend. Values are JSON or numbers, so that a table of JSON keeps them, too.
#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "contract/contract.h"
#include "tuskv/json.h"

namespace tuskv::test {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using Status = CompareResult::Status;

struct User {
  std::string name = {};
  int age = 0;
  friend bool operator==(const User&, const User&) = default;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(User, name, age)

using Users = TypedView<User>;

const User kAlice{"Alice", 30};
const User kBob{"Bob", 40};

TUSKV_JSON_CONTRACT_SUITE(Typed);

/// All that is stored, as it is.
std::vector<std::pair<std::string, std::string>> everything(const Store& store) {
  std::vector<std::pair<std::string, std::string>> found;
  for (const Entry& entry : store.entries()) found.emplace_back(entry.key, entry.value);
  return found;
}

template <class T>
std::vector<T> keys_of(const auto& view, const ScanOptions& options = {}) {
  std::vector<T> keys;
  for (const auto& entry : view.entries(options)) keys.push_back(entry.key);
  return keys;
}

TEST_P(Typed, ValuesComeBackEqualUnderTheirPrefix) {
  const Users users = store().typed<User>("user:");
  users.set("a", kAlice);
  EXPECT_EQ(users.get("a"), kAlice);
  EXPECT_EQ(users.get_or_throw("a"), kAlice);
  EXPECT_EQ(users.get("missing"), std::nullopt);
  expect_refused([&] { return users.get_or_throw("missing"); }, Code::NotFound, {"user:missing"});
  EXPECT_TRUE(store().exists("user:a"));
  EXPECT_FALSE(store().exists("a"));
  EXPECT_TRUE(users.exists("a"));
  EXPECT_EQ(users.exists_many({"a", "b", "a"}), 2u);
  const auto entry = users.get_entry("a");
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->key, "a");
  EXPECT_EQ(entry->value.value(), kAlice);
  EXPECT_EQ(entry->version, store().get_entry("user:a")->version);
  EXPECT_EQ(entry->expires_at, std::nullopt);
  EXPECT_EQ(users.get_entry("missing"), std::nullopt);
  EXPECT_TRUE(users.erase("a"));
  EXPECT_FALSE(users.erase("a"));
}

TEST_P(Typed, ConditionalWrites) {
  const Users users = store().typed<User>("user:");
  EXPECT_FALSE(users.set_if_present("a", kAlice));
  EXPECT_TRUE(users.set_if_absent("a", kAlice));
  EXPECT_FALSE(users.set_if_absent("a", kBob));
  EXPECT_TRUE(users.set_if_present("a", kBob));
  EXPECT_EQ(users.get("a"), kBob);
}

TEST_P(Typed, BatchesAnswerEveryPosition) {
  const Users users = store().typed<User>("user:");
  users.set_many({{"a", kAlice}, {.key = "b", .value = kBob, .ttl = 10ms}});
  EXPECT_EQ(users.ttl("b").left, 10ms);
  users.set_many(std::map<std::string, User>{{"c", kAlice}});
  EXPECT_FALSE(users.set_many_if_absent({{"d", kAlice}, {"a", kBob}}));
  EXPECT_TRUE(users.set_many_if_absent(std::vector<std::pair<std::string, User>>{{"d", kBob}}));
  const std::vector<std::string> keys = {"d", "missing", "a", "a"};
  const auto found = users.get_many(keys);
  ASSERT_EQ(found.size(), 4u);
  EXPECT_EQ(found[0].value(), kBob);
  EXPECT_FALSE(found[1].has_value() || found[1].is_undecodable());
  EXPECT_EQ(found[1].optional(), std::nullopt);
  expect_refused([&] { return found[1].value(); }, Code::NotFound);
  EXPECT_EQ(*found[2], kAlice);
  EXPECT_EQ(found[3]->name, "Alice");
  EXPECT_EQ(users.exists_many(keys), 3u);
  EXPECT_EQ(users.erase_many({"a", "missing"}), 1u);
  EXPECT_EQ(users.erase_many(keys), 1u);
  EXPECT_THAT(keys_of<std::string>(users), ElementsAre("b", "c"));
}

TEST_P(Typed, ListsInKeyOrderAndOnlyItsOwn) {
  store().set("user", "1");
  store().set("user;", "1");
  const Users users = store().typed<User>("user:");
  for (const char* key : {"c", "a", "b:1", "b:2"}) users.set(key, {key, 1});
  EXPECT_THAT(keys_of<std::string>(users), ElementsAre("a", "b:1", "b:2", "c"));
  EXPECT_THAT(keys_of<std::string>(users, {.limit = 1}), ElementsAre("a", "b:1", "b:2", "c"));
  EXPECT_THAT(keys_of<std::string>(users, {.glob = "b*"}), ElementsAre("b:1", "b:2"));
  const auto page = users.scan({.prefix = "b:", .limit = 1});
  ASSERT_EQ(page.entries.size(), 1u);
  EXPECT_EQ(page.entries[0].value->name, "b:1");
  EXPECT_EQ(users.scan({.prefix = "b:", .after = page.next, .limit = 1}).entries.at(0).key, "b:2");
  const auto last = users.scan({.after = users.cursor("c"), .limit = 1, .reverse = true, .keys_only = true});
  ASSERT_EQ(last.entries.size(), 1u);
  EXPECT_EQ(last.entries[0].key, "b:2");
  EXPECT_FALSE(last.entries[0].value.has_value() || last.entries[0].value.is_undecodable());
  EXPECT_EQ(users.count(), 4u);
  EXPECT_EQ(users.count({.prefix = "b"}), 2u);
  EXPECT_EQ(users.erase_prefix("b:"), 2u);
  expect_refused([&] { return users.erase_prefix(""); }, Code::InvalidArgument);
  EXPECT_EQ(users.clear(), 2u);
  EXPECT_EQ(store().count(), 2u);
}

/// An engine may put prefix and glob together into a pattern of its own, in which other characters mean something.
TEST_P(Typed, R117_AGlobMeansTheSameBehindEveryPrefix) {
  for (const char* prefix : {"disc%", "disc_", "disc*", "disc\\", "disc\\%"}) {
    SCOPED_TRACE(prefix);
    const auto view = store().typed<std::string>(prefix);
    for (const char* key : {"%b", "a", "ab", "b"}) view.set(key, "1");
    EXPECT_THAT(keys_of<std::string>(view, {.glob = "*"}), ElementsAre("%b", "a", "ab", "b"));
    for (const char* glob : {"*b", "**b", "***b*"}) {
      EXPECT_THAT(keys_of<std::string>(view, {.glob = glob}), ElementsAre("%b", "ab", "b")) << glob;
      EXPECT_EQ(view.count({.glob = glob}), 3u) << glob;
    }
    EXPECT_THAT(keys_of<std::string>(view, {.glob = "%*"}), ElementsAre("%b"));
    EXPECT_THAT(keys_of<std::string>(view, {.glob = "?b"}), ElementsAre("%b", "ab"));
    EXPECT_EQ(view.clear(), 4u);
  }
}

TEST_P(Typed, IntegerKeysAreInNumericOrder) {
  const auto events = store().typed<int, std::int64_t>("event:");
  constexpr std::int64_t kLowest = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t kHighest = std::numeric_limits<std::int64_t>::max();
  const std::vector<std::int64_t> ordered = {kLowest, -256, -1, 0, 1, 255, 256, 65536, kHighest};
  for (const std::int64_t key : {256L, -1L, kHighest, 0L, 65536L, kLowest, 1L, -256L, 255L}) events.set(key, 7);
  EXPECT_EQ(keys_of<std::int64_t>(events), ordered);
  EXPECT_EQ(events.scan({.after = events.cursor(0), .limit = 1}).entries.at(0).key, 1);
  EXPECT_EQ(events.scan({.after = events.cursor(0), .limit = 1, .reverse = true}).entries.at(0).key, -1);
  EXPECT_EQ(events.exists_many(ordered), 9u);
  EXPECT_EQ(events.get_many({-1, 2})[0].value(), 7);

  const auto bytes = store().typed<int, std::uint8_t>("byte:");
  bytes.set_many(std::map<int, int>{{0, 1}, {128, 2}, {255, 3}});
  EXPECT_EQ(keys_of<std::uint8_t>(bytes), (std::vector<std::uint8_t>{0, 128, 255}));
  expect_refused([&] { bytes.set(256, 1); }, Code::InvalidKey, {"unsigned, 8 bits"});
  expect_refused([&] { return bytes.get(-1); }, Code::InvalidKey);
  expect_refused([&] { return bytes.get_or_throw(7); }, Code::NotFound, {"byte:7"});
}

TEST_P(Typed, TheTtlOfTheViewIsForWritesThatSayNothing) {
  const Users users = store().typed<User>("user:", {.ttl = 100ms});
  users.set("set", kAlice);
  users.set("own", kAlice, {.ttl = 7ms});
  users.set("persistent", kAlice, {.persistent = true});
  users.set_many({{"batch", kAlice}});
  users.compare_and_swap("swapped", std::nullopt, kAlice);
  users.update("updated", [](std::optional<User>) { return kAlice; });
  for (const char* key : {"set", "batch", "swapped", "updated"}) EXPECT_EQ(users.ttl(key).left, 100ms) << key;
  EXPECT_EQ(users.ttl("own").left, 7ms);
  EXPECT_EQ(users.ttl("persistent").state, Ttl::State::persistent);
  store().typed<User>("user:").set("set", kBob);
  EXPECT_EQ(users.ttl("set").state, Ttl::State::persistent);
  const Store sessions = store().with_namespace("sessions", {.ttl = 50ms});
  sessions.typed<User>("u:").set("a", kAlice);
  EXPECT_EQ(sessions.ttl("u:a").left, 50ms);
}

TEST_P(Typed, AViewThatIsSlidingKeepsAliveWhatIsRead) {
  const Users users = store().typed<User>("user:", {.ttl = 100ms, .sliding = true});
  users.set_many({{"read", kAlice}, {"listed", kBob}});
  for (int i = 0; i < 3; ++i) {
    advance_ms(60);
    EXPECT_EQ(users.get("read"), kAlice);
    EXPECT_EQ(users.ttl("read").left, 100ms);
    EXPECT_EQ(users.get_or_throw("read"), kAlice);
    EXPECT_EQ(users.scan().next, "");
  }
  EXPECT_EQ(users.get("listed"), std::nullopt);
  advance_ms(100);
  EXPECT_EQ(users.get("read"), std::nullopt);
  expect_refused([&] { store().typed<User>("user:", {.sliding = true}); }, Code::InvalidArgument, {"ttl"});
  expect_refused([&] { store().typed<User>("user:", {.ttl = 0ms}); }, Code::InvalidArgument, {"ttl"});
}

TEST_P(Typed, Expiry) {
  const Users users = store().typed<User>("user:");
  users.set("a", kAlice, {.ttl = 10ms});
  EXPECT_EQ(users.get_and_touch("a", 20ms), kAlice);
  EXPECT_EQ(users.get_and_touch("missing", 20ms), std::nullopt);
  EXPECT_EQ(users.ttl("a").left, 20ms);
  EXPECT_TRUE(users.persist("a"));
  EXPECT_TRUE(users.expire("a", 30ms));
  EXPECT_TRUE(users.expire_at("a", now_plus_ms(5)));
  advance_ms(5);
  EXPECT_EQ(users.get_and_touch("a", 20ms), std::nullopt);
  EXPECT_EQ(users.get("a"), std::nullopt);
}

TEST_P(Typed, ComparesValuesAndNotTheirSpelling) {
  const Users users = store().typed<User>("user:");
  store().set("user:a", R"(  {"age":30,   "name":"\u0041lice"})");
  EXPECT_EQ(users.compare_and_swap("a", kBob, kBob).current, kAlice);
  EXPECT_TRUE(users.compare_and_swap("a", kAlice, kBob, {.ttl = 10ms}));
  EXPECT_TRUE(users.compare_and_swap("a", kBob, kAlice));  // keeps the expiry
  EXPECT_EQ(users.ttl("a").left, 10ms);
  EXPECT_EQ(users.compare_and_swap("a", std::nullopt, kBob).status, Status::mismatch);
  EXPECT_EQ(users.compare_and_swap("b", kAlice, kBob).status, Status::not_found);
  EXPECT_FALSE(users.exists("b"));

  const Version version = users.get_entry("a")->version;
  EXPECT_TRUE(users.compare_and_swap("a", version, kBob));
  EXPECT_EQ(users.compare_and_swap("a", version, kAlice).current, kBob);
  EXPECT_EQ(users.compare_and_erase("a", version).status, Status::mismatch);
  EXPECT_EQ(users.compare_and_erase("a", kAlice).current, kBob);
  EXPECT_TRUE(users.compare_and_erase("a", kBob));
  EXPECT_EQ(users.compare_and_erase("a", kBob).status, Status::not_found);
}

TEST_P(Typed, ExchangesTakeTheExpiryOfSet) {
  const Users users = store().typed<User>("user:");
  EXPECT_EQ(users.get_and_set("a", kAlice, {.ttl = 10ms}), std::nullopt);
  EXPECT_EQ(users.get_and_set("a", kBob, {.keep_ttl = true}), kAlice);
  EXPECT_EQ(users.ttl("a").left, 10ms);
  EXPECT_EQ(users.get_and_set("a", kAlice), kBob);
  EXPECT_EQ(users.ttl("a").state, Ttl::State::persistent);
  EXPECT_EQ(users.get_and_erase("a"), kAlice);
  EXPECT_EQ(users.get_and_erase("a"), std::nullopt);
}

TEST_P(Typed, ExchangesOfManyThreadsGiveEachValueOnce) {
  const auto numbers = store().typed<int>("number:");
  std::vector<std::vector<int>> taken(4);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&numbers, &mine = taken[static_cast<std::size_t>(t)], t] {
      for (int i = 0; i < 20; ++i) {
        const auto found = i % 4 == 3 ? numbers.get_and_erase("a") : numbers.get_and_set("a", t * 20 + i);
        if (found) mine.push_back(*found);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::vector<int> all;
  for (const auto& mine : taken) all.insert(all.end(), mine.begin(), mine.end());
  if (const auto last = numbers.get("a")) all.push_back(*last);
  std::vector<int> wanted;
  for (int n = 0; n < 80; ++n) {
    if (n % 20 % 4 != 3) wanted.push_back(n);
  }
  EXPECT_THAT(all, testing::UnorderedElementsAreArray(wanted));
}

TEST_P(Typed, UpdateIsGivenValuesAndReturnsTheFinalOne) {
  const Users users = store().typed<User>("user:");
  const auto grow = [](std::optional<User> user) -> TypedChange<User> {
    if (!user) return kAlice;
    ++user->age;
    return *std::move(user);
  };
  EXPECT_EQ(users.update("a", grow), kAlice);
  users.expire("a", 10ms);
  EXPECT_EQ(users.update("a", grow)->age, 31);
  EXPECT_EQ(users.ttl("a").left, 10ms);
  EXPECT_EQ(users.update("a", [](std::optional<User>) { return TypedChange<User>::keep(); })->age, 31);
  const auto touch = [](std::optional<User>) { return TypedChange<User>::keep({.ttl = 70ms}); };
  EXPECT_EQ(users.update("a", touch)->age, 31);
  EXPECT_EQ(users.ttl("a").left, 70ms);
  EXPECT_EQ(users.update("missing", touch), std::nullopt);
  const auto expired = [this](std::optional<User>) { return TypedChange<User>(kBob, {.expires_at = now_plus_ms(0)}); };
  EXPECT_EQ(users.update("a", expired), std::nullopt);
  users.set("a", kAlice);
  EXPECT_EQ(users.update("a", [](std::optional<User>) { return std::nullopt; }), std::nullopt);
  EXPECT_FALSE(users.exists("a"));
}

TEST_P(Typed, NumbersAreCounters) {
  const auto visits = store().typed<std::int32_t>("visits:", {.ttl = 10ms});
  EXPECT_EQ(visits.increment("a"), 1);
  EXPECT_EQ(visits.ttl("a").left, 10ms);
  EXPECT_EQ(visits.decrement("a", 3), -2);
  EXPECT_EQ(visits.get("a"), -2);
  EXPECT_EQ(store().increment("visits:a", 2147483649), 2147483647);
  expect_refused([&] { return visits.increment("a"); }, Code::Overflow);
  expect_refused([&] { return visits.decrement("a", 1, {.min = 2147483647}); }, Code::Overflow);
  EXPECT_EQ(visits.get("a"), 2147483647);
  store().set("visits:a", "2147483648");
  expect_refused([&] { return visits.get("a"); }, Code::Serialization, {"visits:a", "range"});
}

TEST_P(Typed, FunctionsOfAKeyValueWorkInTransactionsAndNamespaces) {
  const auto rename = [](const KeyValue& entries, const std::string& name) {
    const auto users = entries.typed<User>("user:");
    users.update("a", [&](std::optional<User> user) -> TypedChange<User> {
      user->name = name;
      return *std::move(user);
    });
    return users.get_or_throw("a");
  };
  const Store tenant = store().with_namespace("tenant");
  tenant.typed<User>("user:").set("a", kAlice);
  EXPECT_EQ(rename(tenant, "Eve").name, "Eve");
  EXPECT_THROW(tenant.transaction([&](Transaction& tx) {
    EXPECT_EQ(rename(tx, "Mallory").name, "Mallory");
    tx.typed<User>("user:").set("b", kBob);
    EXPECT_EQ(tx.typed<User>("user:").count(), 2u);
    throw std::runtime_error("roll back");
  }),
               std::runtime_error);
  EXPECT_EQ(tenant.typed<User>("user:").get("a"), (User{"Eve", 30}));
  std::optional<Users> kept;
  tenant.transaction([&](Transaction& tx) {
    kept = tx.typed<User>("user:");
    EXPECT_EQ(kept->get_and_set("a", kBob), (User{"Eve", 30}));
    EXPECT_TRUE(kept->get_and_touch("a", 50ms));
  });
  EXPECT_EQ(tenant.ttl("user:a").left, 50ms);
  expect_refused([&] { return kept->get("a"); }, Code::Closed);
  EXPECT_EQ(store().count(), 0u);
}

TEST_P(Typed, AViewKeepsTheStoreOpenAndItsKeysHaveTheLimitOfBoth) {
  options.max_key_bytes = 10;
  Users users = store().with_timeout(1s).typed<User>("user:");
  users.set("12345", kAlice);
  expect_refused([&] { users.set("123456", kAlice); }, Code::InvalidKey, {"limit of 5"});
  expect_refused([&] { users.set("", kAlice); }, Code::InvalidKey);
  expect_refused([&] { store().typed<User>("0123456789"); }, Code::InvalidKey, {"prefix", "10"});
  EXPECT_EQ(store().typed<User>("").get("user:12345"), kAlice);
  store().close();
  expect_refused([&] { return users.get("12345"); }, Code::Closed);
}

// ---- what cannot be decoded

TEST_P(Typed, P19_WhatCannotBeDecodedIsNamedAndNothingChanges) {
  const Users users = store().typed<User>("user:", {.ttl = 500ms});
  const Users sliding = store().typed<User>("user:", {.ttl = 500ms, .sliding = true});
  store().set("user:bad", R"(["no user"])", {.ttl = 100ms});
  const auto before = store().get_entry("user:bad");
  const auto expect_named = [&](auto&& call) {
    expect_refused(call, Code::Serialization, {"user:bad", "decoded"});
    const auto after = store().get_entry("user:bad");
    ASSERT_TRUE(after);
    EXPECT_EQ(after->value, before->value);
    EXPECT_EQ(after->version, before->version);
    EXPECT_EQ(after->expires_at, before->expires_at);
  };
  expect_named([&] { return users.get("bad"); });
  expect_named([&] { return users.get_or_throw("bad"); });
  expect_named([&] { return sliding.get("bad"); });
  expect_named([&] { return users.get_and_touch("bad", 1s); });
  expect_named([&] { return users.get_and_set("bad", kAlice); });
  expect_named([&] { return users.get_and_erase("bad"); });
  expect_named([&] { return users.compare_and_swap("bad", kAlice, kBob); });
  expect_named([&] { return users.compare_and_swap("bad", Version{before->version.number - 1}, kBob); });
  expect_named([&] { return users.compare_and_erase("bad", kAlice); });
  expect_named([&] { return users.update("bad", [](std::optional<User>) { return kBob; }); });
  expect_named([&] {
    store().transaction([&](Transaction& tx) {
      tx.set("other", "1");
      tx.typed<User>("user:").get_and_erase("bad");
    });
  });
  EXPECT_FALSE(store().exists("other"));

  // It can be mended: what does not look at the value does not mind, and its version is known.
  EXPECT_TRUE(users.exists("bad"));
  const auto entry = users.get_entry("bad");
  ASSERT_TRUE(entry);
  EXPECT_THAT(entry->value.error(), HasSubstr("user:bad"));
  EXPECT_TRUE(users.compare_and_swap("bad", entry->version, kAlice));
  EXPECT_EQ(users.get("bad"), kAlice);
}

TEST_P(Typed, P19_WhatCannotBeDecodedDoesNotSpoilItsBatch) {
  const Users users = store().typed<User>("user:");
  users.set_many({{"a", kAlice}, {"c", kBob}});
  store().set("user:b", "17");
  const auto found = users.get_many({"a", "b", "missing", "c"});
  EXPECT_EQ(found[0].value(), kAlice);
  EXPECT_TRUE(found[1].is_undecodable());
  EXPECT_FALSE(found[1].has_value());
  EXPECT_THAT(found[1].error(), HasSubstr("user:b"));
  expect_refused([&] { return found[1].value(); }, Code::Serialization, {"user:b"});
  expect_refused([&] { return found[1].optional(); }, Code::Serialization, {"user:b"});
  EXPECT_FALSE(found[2].is_undecodable());
  EXPECT_EQ(found[3].value(), kBob);

  const auto page = users.scan();
  ASSERT_EQ(page.entries.size(), 3u);
  EXPECT_EQ(page.entries[1].key, "b");
  EXPECT_THAT(page.entries[1].value.error(), HasSubstr("user:b"));
  EXPECT_EQ(page.entries[2].value.value(), kBob);
  int decoded = 0;
  for (const auto& entry : users.entries({.limit = 2})) decoded += entry.value.has_value() ? 1 : 0;
  EXPECT_EQ(decoded, 2);
}

TEST_P(Typed, P19_AKeyThatIsNoneOfTheViewDoesNotSpoilItsPage) {
  const auto events = store().typed<int, std::uint32_t>("event:");
  events.set_many(std::map<std::uint32_t, int>{{1, 10}, {70000, 20}});
  store().set("event:x", "30");
  const auto page = events.scan();
  ASSERT_EQ(page.entries.size(), 3u);
  EXPECT_EQ(page.entries[1].key, 70000u);
  EXPECT_EQ(page.entries[2].key, 0u);
  EXPECT_TRUE(page.entries[2].value.is_undecodable());
  EXPECT_THAT(page.entries[2].value.error(), HasSubstr("event:x"));
}

TEST_P(Typed, P19_WhatCannotBeEncodedIsRefusedBeforeAnyEffect) {
  using Ratio = std::map<std::string, double>;
  const auto ratios = store().typed<Ratio>("ratio:");
  const Ratio bad = {{"x", std::numeric_limits<double>::quiet_NaN()}};
  ratios.set("a", {{"x", 0.5}});
  const auto before = everything(store());
  const auto expect_named = [&](auto&& call) {
    expect_refused(call, Code::Serialization, {"ratio:a", "encoded"});
    EXPECT_EQ(everything(store()), before);
  };
  expect_named([&] { ratios.set("a", bad); });
  expect_named([&] { return ratios.get_and_set("a", bad); });
  expect_named([&] { return ratios.update("a", [&](std::optional<Ratio>) { return bad; }); });
  expect_named([&] { ratios.set_many({{"b", {{"x", 1}}}, {"a", bad}}); });
  expect_named([&] { return ratios.set_many_if_absent({{"b", {{"x", 1}}}, {"a", bad}}); });
  expect_named([&] { return ratios.compare_and_swap("a", std::nullopt, bad); });
}

// ---- the codec does not matter

TEST_P(Typed, Y16_TheCodecChangesNoResult) {
  // The same calls through two codecs, one of text and one of objects, give the same answers.
  const auto transcript = [&](const auto& numbers) {
    std::vector<std::string> answers;
    const auto note = [&](const auto& answer) { answers.push_back(testing::PrintToString(answer)); };
    note(numbers.set_if_absent("a", 9007199254740993));
    note(numbers.get("a"));
    note(numbers.get_and_set("a", -1));
    note(numbers.compare_and_swap("a", 1, 2).current);
    note(static_cast<bool>(numbers.compare_and_swap("a", -1, std::numeric_limits<std::int64_t>::min())));
    note(numbers.update("a", [](std::optional<std::int64_t> n) { return TypedChange<std::int64_t>(*n + 1); }));
    numbers.set_many({{"b", std::numeric_limits<std::int64_t>::max()}, {"c", 0}});
    for (const auto& found : numbers.get_many({"a", "b", "c", "d"})) note(found.optional());
    for (const auto& entry : numbers.entries()) note(std::pair(entry.key, entry.value.value()));
    note(numbers.get_and_erase("b"));
    note(numbers.clear());
    return answers;
  };
  struct Wrapped {
    static std::string encode(std::int64_t value) { return nlohmann::json{{"value", value}}.dump(); }
    static std::int64_t decode(std::string_view bytes) { return nlohmann::json::parse(bytes).at("value"); }
  };
  const auto plain = transcript(store().typed<std::int64_t>("plain:"));
  EXPECT_EQ((transcript(store().typed<std::int64_t, std::string, JsonCodec<std::int64_t>>("json:"))), plain);
  EXPECT_EQ((transcript(store().typed<std::int64_t>("own:", {}, Wrapped()))), plain);
  EXPECT_THAT(plain, testing::Contains(HasSubstr("9007199254740993")));
}

TEST_P(Typed, Y16_NumbersAndTextOfJsonComeBackAsTheyWere) {
  const auto documents = store().typed<nlohmann::json>("document:");
  const nlohmann::json document = {
      {"largest", std::numeric_limits<std::uint64_t>::max()},
      {"lowest", std::numeric_limits<std::int64_t>::min()},
      {"tiny", std::numeric_limits<double>::min()},
      {"huge", std::numeric_limits<double>::max()},
      {"third", 1.0 / 3.0},
      {"text", "\"\\\n\u00fc\u4e2d"},
      {"none", nullptr},
      {"yes", true},
      {"empty", nlohmann::json::array()},
  };
  documents.set("a", document);
  EXPECT_EQ(documents.get("a"), document);
  EXPECT_TRUE(documents.compare_and_swap("a", document, 7));
}

}  // namespace
}  // namespace tuskv::test
