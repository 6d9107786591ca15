// Namespaces: keys that cannot meet, views with a default expiry, handles with a deadline of their own.
#include <string>
#include <vector>

#include "contract/contract.h"
#include "support/submitted.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using std::string_view_literals::operator""sv;
using testing::Optional;
using Names = std::vector<std::string>;

TUSKV_CONTRACT_SUITE(Namespace);

TEST_P(Namespace, KeysAreIsolatedInEveryCall) {
  const Store a = store().with_namespace("a");
  const Store b = store().with_namespace("b");
  a.set("k", "of a");
  EXPECT_EQ(b.get("k"), std::nullopt);
  EXPECT_EQ(get("k"), std::nullopt);
  b.set("k", "of b");
  store().set("k", "of the root");
  EXPECT_THAT(a.get("k"), Optional(std::string("of a")));
  EXPECT_EQ(a.count(), 1u);
  EXPECT_EQ(a.scan().entries.front().key, "k");
  EXPECT_EQ(a.keys().keys, Names{"k"});
  EXPECT_EQ(a.get_entry("k")->key, "k");
  EXPECT_EQ(store().count(), 1u);
  EXPECT_TRUE(a.erase("k"));
  EXPECT_FALSE(a.erase("k"));
  EXPECT_THAT(b.get("k"), Optional(std::string("of b")));
  EXPECT_THAT(get("k"), Optional(std::string("of the root")));
}

TEST_P(Namespace, Y10_NoTwoNamespacesMeet) {
  // Joined by the separators of others these would be one and the same.
  store().with_namespace("a").set("b:c", "1");
  EXPECT_FALSE(store().with_namespace("a:b").exists("c"));
  store().with_namespace("a").set("b/c", "1");
  EXPECT_FALSE(store().with_namespace("a/b").exists("c"));
  store().set("a\0x"sv, "1");
  EXPECT_FALSE(store().with_namespace("a").exists("x"));
  store().with_namespace("a").set("\0y"sv, "1");
  EXPECT_FALSE(store().exists("a\0\0y"sv));
  EXPECT_FALSE(store().with_namespace("a").exists("y"));
  EXPECT_EQ(store().with_namespace("a").count(), 3u);
}

TEST_P(Namespace, Y10_ClearAndErasePrefixStayInside) {
  store().set("k", "root");
  for (const char* name : {"a", "ab", "a/b", "a:"}) store().with_namespace(name).set("k", name);
  EXPECT_EQ(store().with_namespace("a").clear(), 1u);
  for (const char* name : {"ab", "a/b", "a:"}) EXPECT_TRUE(store().with_namespace(name).exists("k")) << name;
  EXPECT_EQ(store().clear(), 1u);
  EXPECT_EQ(store().with_namespace("ab").erase_prefix("k"), 1u);
  EXPECT_EQ(store().namespaces(), (Names{"a/b", "a:"}));
  EXPECT_EQ(store().with_namespace("a:").erase_prefix("", {.allow_empty_prefix = true}), 1u);
  EXPECT_EQ(store().namespaces(), (Names{"a/b"}));
}

TEST_P(Namespace, Y10_GlobCharactersInNamesMeanThemselves) {
  store().with_namespace("*").set("star", "1");
  store().with_namespace("?").set("question", "1");
  store().with_namespace("x").set("plain", "1");
  EXPECT_EQ(store().with_namespace("*").keys({.glob = "*"}).keys, Names{"star"});
  EXPECT_EQ(store().with_namespace("?").count(), 1u);
}

TEST_P(Namespace, NestingJoinsNames) {
  store().with_namespace("a").with_namespace("b").set("k", "v");
  EXPECT_THAT(store().with_namespace("a/b").get("k"), Optional(std::string("v")));
  EXPECT_FALSE(store().with_namespace("a").exists("k"));
  EXPECT_FALSE(store().with_namespace("a").exists("b/k"));
}

TEST_P(Namespace, NamesAreListedInOrder) {
  EXPECT_TRUE(store().namespaces().empty());
  store().set("root", "is not listed");
  EXPECT_TRUE(store().namespaces().empty());
  for (const char* name : {"b", "a", "c", "a/x", "\xff"}) store().with_namespace(name).set("k", "v");
  for (int i = 0; i < 50; ++i) store().with_namespace("a").set(std::to_string(i), "v");
  EXPECT_EQ(store().namespaces(), (Names{"a", "a/x", "b", "c", "\xff"}));
  store().with_namespace("b").clear();
  EXPECT_EQ(store().namespaces(), (Names{"a", "a/x", "c", "\xff"}));
  store().with_namespace("dead").set("k", "v", {.ttl = 1ms});
  advance_ms(1);
  EXPECT_EQ(store().namespaces(), (Names{"a", "a/x", "c", "\xff"}));
}

TEST_P(Namespace, NamesHaveRules) {
  expect_refused([&] { return store().with_namespace(""); }, Code::InvalidKey, {"namespace"});
  expect_refused([&] { return store().with_namespace("a\0b"sv); }, Code::InvalidKey, {"NUL"});
  expect_refused([&] { return store().with_namespace("\x01mine"); }, Code::InvalidKey, {"namespace"});
  expect_refused([&] { return store().with_namespace(std::string(256, 'n')); }, Code::InvalidKey, {"255"});
  const Store longest = store().with_namespace(std::string(255, 'n'));
  longest.set("k", "v");
  expect_refused([&] { return longest.with_namespace("x"); }, Code::InvalidKey, {"255"});
  EXPECT_EQ(store().namespaces(), Names{std::string(255, 'n')});
}

TEST_P(Namespace, TheDefaultTtlIsForWritesThatSayNothing) {
  const Store sessions = store().with_namespace("sessions", {.ttl = 100ms});
  sessions.set("plain", "v");
  sessions.set("own", "v", {.ttl = 500ms});
  sessions.set("forever", "v", {.persistent = true});
  sessions.set_many({{"many", "v"}, {.key = "many own", .value = "v", .ttl = 7ms}});
  sessions.set_if_absent("absent", "v");
  sessions.get_and_set("exchanged", "v");
  sessions.increment("counter");
  sessions.compare_and_swap("swapped", std::nullopt, "v");
  sessions.update("updated", [](auto) -> Change { return "v"; });
  EXPECT_EQ(sessions.ttl("plain").left, 100ms);
  EXPECT_EQ(sessions.ttl("own").left, 500ms);
  EXPECT_EQ(sessions.ttl("forever").state, Ttl::State::persistent);
  EXPECT_EQ(sessions.ttl("many").left, 100ms);
  EXPECT_EQ(sessions.ttl("many own").left, 7ms);
  EXPECT_EQ(sessions.ttl("absent").left, 100ms);
  EXPECT_EQ(sessions.ttl("exchanged").left, 100ms);
  EXPECT_EQ(store().with_namespace("sessions").ttl("plain").left, 100ms);
  store().with_namespace("sessions").set("no default", "v");
  EXPECT_EQ(sessions.ttl("no default").state, Ttl::State::persistent);
  expect_refused([&] { return store().with_namespace("x", {.ttl = 0ms}); }, Code::InvalidArgument, {"ttl"});
}

TEST_P(Namespace, TheDefaultTtlGoesWithEveryHandleMadeOfTheView) {
  const Store sessions = store().with_namespace("sessions", {.ttl = 100ms});
  sessions.transaction([](Transaction& tx) { tx.set("transaction", "v"); });
  submitted(sessions.async().set("asynchronous", "v"));
  sessions.with_timeout(1s).set("timeout", "v");
  submitted(store().async().with_namespace("sessions", {.ttl = 200ms}).set("made asynchronously", "v"));
  sessions.with_namespace("deeper").set("k", "v");
  EXPECT_EQ(sessions.ttl("transaction").left, 100ms);
  EXPECT_EQ(sessions.ttl("asynchronous").left, 100ms);
  EXPECT_EQ(sessions.ttl("timeout").left, 100ms);
  EXPECT_EQ(sessions.ttl("made asynchronously").left, 200ms);
  EXPECT_EQ(sessions.with_namespace("deeper").ttl("k").left, 100ms);
  store().transaction([](Transaction& tx) { tx.with_namespace("sessions").set("of the root", "v"); });
  EXPECT_EQ(sessions.ttl("of the root").state, Ttl::State::persistent);
  sessions.transaction([](Transaction& tx) { tx.with_namespace("deeper").set("inside", "v"); });
  EXPECT_EQ(sessions.with_namespace("deeper").ttl("inside").left, 100ms);
  sessions.with_namespace("own", {.ttl = 7ms}).set("k", "v");
  EXPECT_EQ(sessions.with_namespace("own").ttl("k").left, 7ms);
}

TEST_P(Namespace, S184_ANamespaceSeenFromATransactionCanHaveADefaultTtl) {
  store().transaction([](Transaction& tx) {
    tx.with_namespace("sessions", {.ttl = 100ms}).set("k", "v");
    tx.with_namespace("sessions", {.ttl = 100ms}).set("own", "v", {.ttl = 500ms});
  });
  EXPECT_EQ(store().with_namespace("sessions").ttl("k").left, 100ms);
  EXPECT_EQ(store().with_namespace("sessions").ttl("own").left, 500ms);
  expect_refused(
      [&] { store().transaction([](Transaction& tx) { tx.with_namespace("x", {.ttl = 0ms}).exists("k"); }); },
      Code::InvalidArgument, {"ttl"});
}

TEST_P(Namespace, KeyAndNamespaceTogetherHaveALimit) {
  const std::string name(255, 'n');
  options.max_key_bytes = 2048;
  const Store inside = store().with_namespace(name);
  const std::string longest(2048 - 255, 'k');
  inside.set(longest, "v");
  EXPECT_THAT(inside.get(longest), Optional(std::string("v")));
  expect_refused([&] { inside.set(longest + "k", "v"); }, Code::InvalidKey, {"1794", "over the limit"});
  EXPECT_EQ(inside.keys().keys, Names{longest});
}

TEST_P(Namespace, HandlesCarryTheirOwnDeadline) {
  const Store patient = store().with_timeout(30s);
  patient.set("k", "v");
  EXPECT_THAT(store().with_namespace("a").with_timeout(1s).get("k"), testing::Eq(std::nullopt));
  EXPECT_THAT(get("k"), Optional(std::string("v")));
  expect_refused([&] { return store().with_timeout(0ms); }, Code::InvalidArgument, {"timeout"});
  expect_refused([&] { return store().with_timeout(std::chrono::hours::max()); }, Code::InvalidArgument, {"timeout"});
}

}  // namespace
}  // namespace tuskv::test
