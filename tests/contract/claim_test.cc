// Unique claims: of all who ask one gets it, and together with the data it is about.
#include <stdexcept>
#include <string>
#include <vector>

#include "contract/contract.h"
#include "support/submitted.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;

TUSKV_JSON_CONTRACT_SUITE(Claims);

TEST_P(Claims, OneGetsItAndMayAskAgain) {
  const ClaimResult first = store().claim("name:alice", "user:1");
  EXPECT_TRUE(first);
  EXPECT_EQ(first.owner, "user:1");
  const std::uint64_t before = store().stats().sequence;
  EXPECT_TRUE(store().claim("name:alice", "user:1"));
  const ClaimResult refused = store().claim("name:alice", "user:2");
  EXPECT_FALSE(refused);
  EXPECT_EQ(refused.owner, "user:1");
  EXPECT_EQ(store().stats().sequence, before) << "neither changed anything, so neither wrote (Y11)";
  EXPECT_THAT(store().claim_owner("name:alice"), Optional(std::string("user:1")));
  EXPECT_EQ(store().claim_owner("name:bob"), std::nullopt);
  reopen();
  EXPECT_THAT(store().claim_owner("name:alice"), Optional(std::string("user:1")));
}

TEST_P(Claims, OnlyItsOwnerReleasesIt) {
  EXPECT_TRUE(store().claim("n", "a"));
  EXPECT_FALSE(store().release_claim("n", "b"));
  EXPECT_THAT(store().claims_of("a").keys, ElementsAre("n"));
  EXPECT_TRUE(store().release_claim("n", "a"));
  EXPECT_FALSE(store().release_claim("n", "a"));
  EXPECT_THAT(store().claims_of("a").keys, IsEmpty());
  EXPECT_TRUE(store().claim("n", "b"));
  EXPECT_FALSE(store().release_claim("n", "a"));
}

TEST_P(Claims, B4_StaysOrEndsAsTheOwnerSays) {
  EXPECT_TRUE(store().claim("stays", "a"));
  EXPECT_TRUE(store().claim("ends", "a", {.ttl = 100ms}));
  EXPECT_TRUE(store().with_namespace("n", {.ttl = 50ms}).claim("stays", "a")) << "a view's default is for entries";
  advance_ms(60);
  EXPECT_TRUE(store().claim("ends", "a", {.ttl = 100ms})) << "asking again is prolonging";
  advance_ms(60);
  EXPECT_FALSE(store().claim("ends", "b"));
  EXPECT_THAT(store().claims_of("a").keys, ElementsAre("ends", "stays"));
  advance_ms(40);
  EXPECT_THAT(store().claims_of("a").keys, ElementsAre("stays"));
  EXPECT_FALSE(store().release_claim("ends", "a"));
  EXPECT_TRUE(store().claim("ends", "b", {.ttl = 100ms}));
  EXPECT_TRUE(store().claim("ends", "b")) << "without a ttl it stays from now on";
  EXPECT_TRUE(store().claim("stays", "a", {.ttl = 10ms}));
  advance_ms(100'000);
  EXPECT_THAT(store().claim_owner("ends"), Optional(std::string("b")));
  EXPECT_THAT(store().claims_of("b").keys, ElementsAre("ends"));
  EXPECT_EQ(store().claim_owner("stays"), std::nullopt);
  EXPECT_THAT(store().claims_of("a").keys, IsEmpty());
  EXPECT_THAT(store().with_namespace("n").claim_owner("stays"), Optional(std::string("a")));
}

TEST_P(Claims, MovesWithItsExpiry) {
  EXPECT_TRUE(store().claim("n", "a", {.ttl = 100ms}));
  EXPECT_FALSE(store().move_claim("n", "b", "c"));
  EXPECT_FALSE(store().move_claim("none", "a", "b"));
  EXPECT_TRUE(store().move_claim("n", "a", "b"));
  EXPECT_TRUE(store().move_claim("n", "a", "b")) << "done already";
  EXPECT_FALSE(store().move_claim("n", "a", "c"));
  EXPECT_THAT(store().claim_owner("n"), Optional(std::string("b")));
  EXPECT_THAT(store().claims_of("a").keys, IsEmpty());
  EXPECT_THAT(store().claims_of("b").keys, ElementsAre("n"));
  EXPECT_TRUE(store().move_claim("n", "b", "b"));
  advance_ms(100);
  EXPECT_EQ(store().claim_owner("n"), std::nullopt);
  EXPECT_THAT(store().claims_of("b").keys, IsEmpty());
  EXPECT_TRUE(store().claim("m", "a"));
  EXPECT_TRUE(store().move_claim("m", "a", "b"));
  advance_ms(100'000);
  EXPECT_THAT(store().claims_of("b").keys, ElementsAre("m"));
}

TEST_P(Claims, ListsAnOwnersInPages) {
  std::vector<std::string> names;
  for (int i = 0; i < 25; ++i) {
    names.push_back("n" + std::to_string(100 + i));
    ASSERT_TRUE(store().claim(names.back(), "a"));
    ASSERT_TRUE(store().claim("x" + names.back(), "ab"));  // an owner whose name goes on
  }
  std::vector<std::string> listed;
  KeyPage page;
  do {
    page = store().claims_of("a", {.after = page.next, .limit = 10});
    listed.insert(listed.end(), page.keys.begin(), page.keys.end());
  } while (!page.next.empty());
  EXPECT_EQ(listed, names);
  EXPECT_THAT(store().claims_of("a", {.prefix = "n10", .limit = 2}).keys, ElementsAre("n100", "n101"));
  EXPECT_THAT(store().claims_of("a", {.prefix = "x"}).keys, IsEmpty());
  EXPECT_THAT(store().claims_of("b").keys, IsEmpty());
  expect_refused([&] { return store().claims_of("a", {.limit = 0}); }, Code::InvalidArgument, {"limit"});
  expect_refused([&] { return store().claims_of(""); }, Code::InvalidArgument, {"owner"});
}

TEST_P(Claims, Y13_TheyComeAndGoWithTheDataTheyAreAbout) {
  const auto sign_up = [&](const std::string& user, const std::string& name) {
    return store().transaction([&](Transaction& tx) {
      if (!tx.claim("name:" + name, user)) return false;
      tx.set(user, "1");
      return true;
    });
  };
  EXPECT_TRUE(sign_up("user:1", "alice"));
  EXPECT_FALSE(sign_up("user:2", "alice"));
  EXPECT_FALSE(store().exists("user:2"));
  EXPECT_THROW(store().transaction([](Transaction& tx) {
    EXPECT_TRUE(tx.claim("name:carol", "user:3"));
    EXPECT_THAT(tx.claims_of("user:3").keys, ElementsAre("name:carol"));
    throw std::runtime_error("no");
  }),
               std::runtime_error);
  EXPECT_EQ(store().claim_owner("name:carol"), std::nullopt);
  EXPECT_THAT(store().claims_of("user:3").keys, IsEmpty());
  store().transaction([](Transaction& tx) {
    EXPECT_TRUE(tx.claim("name:al", "user:1"));
    EXPECT_TRUE(tx.release_claim("name:alice", "user:1"));
    tx.set("user:1", "2");
  });
  EXPECT_THAT(store().claims_of("user:1").keys, ElementsAre("name:al"));
  store().transaction([](Transaction& tx) {
    EXPECT_TRUE(tx.move_claim("name:al", "user:1", "user:9"));
    tx.erase("user:1");
    for (const std::string& name : tx.claims_of("user:9").keys) EXPECT_TRUE(tx.release_claim(name, "user:9"));
  });
  EXPECT_EQ(store().claim_owner("name:al"), std::nullopt);
}

TEST_P(Claims, Y10_EachNamespaceHasItsOwnAndNoKeyMeetsThem) {
  const Store a = store().with_namespace("a");
  EXPECT_TRUE(store().claim("n", "x"));
  EXPECT_TRUE(a.claim("n", "y"));
  EXPECT_THAT(a.claim_owner("n"), Optional(std::string("y")));
  EXPECT_THAT(a.claims_of("x").keys, IsEmpty());
  EXPECT_EQ(store().count() + a.count(), 0U);
  EXPECT_EQ(a.clear(), 0U);
  EXPECT_THAT(a.claim_owner("n"), Optional(std::string("y")));
  EXPECT_TRUE(store().namespaces().empty());
}

TEST_P(Claims, ArgumentsAreChecked) {
  expect_refused([&] { return store().claim("", "a"); }, Code::InvalidKey, {"claim", "empty"});
  expect_refused([&] { return store().claim("n", ""); }, Code::InvalidArgument, {"owner", "empty"});
  expect_refused([&] { return store().claim("n", std::string(256, 'x')); }, Code::InvalidArgument, {"256", "255"});
  expect_refused([&] { return store().claim(std::string(1025, 'x'), "a"); }, Code::InvalidKey, {"1025", "1024"});
  expect_refused([&] { return store().claim("n", "a", {.ttl = 0ms}); }, Code::InvalidArgument, {"ttl of a claim"});
  expect_refused([&] { return store().move_claim("n", "a", ""); }, Code::InvalidArgument, {"owner"});
  expect_refused([&] { return store().release_claim("n", ""); }, Code::InvalidArgument, {"owner"});
  expect_refused([&] { return store().claim_owner(""); }, Code::InvalidKey);
  const std::string longest(1024, 'x');
  const std::string owner(255, '\xff');
  const Store far = store().with_namespace(std::string(255, 'n'));
  EXPECT_TRUE(far.claim(longest, owner));
  EXPECT_THAT(far.claims_of(owner).keys, ElementsAre(longest));
  const std::string any = std::string("\0\xff\"\\ \n%", 8);
  EXPECT_TRUE(store().claim(any, any));
  EXPECT_THAT(store().claim_owner(any), Optional(any));
  EXPECT_THAT(store().claims_of(any).keys, ElementsAre(any));
}

TEST_P(Claims, AsynchronousCallsDoWhatBlockingOnesDo) {
  const AsyncStore async = store().async();
  EXPECT_TRUE(store().claim("n", "a"));
  EXPECT_THAT(submitted(async.claim_owner("n")), Optional(std::string("a")));
  EXPECT_THAT(submitted(async.claims_of("a")).keys, ElementsAre("n"));
  EXPECT_FALSE(submitted(async.release_claim("n", "b")));
  EXPECT_TRUE(submitted(async.release_claim("n", "a")));
  EXPECT_THAT(store().claims_of("a").keys, IsEmpty());
}

}  // namespace
}  // namespace tuskv::test
