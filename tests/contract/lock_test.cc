// Locks: held while live by the store's clock, tokens that only grow, and what a late holder cannot do.
#include <stdexcept>
#include <string>
#include <utility>

#include "contract/contract.h"
#include "support/submitted.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""h;
using std::chrono_literals::operator""min;

TUSKV_JSON_CONTRACT_SUITE(Locks);

TEST_P(Locks, OneHoldsItUntilItIsUnlocked) {
  const auto first = store().try_lock("job", {.ttl = 100ms, .owner = "a"});
  ASSERT_TRUE(first);
  EXPECT_EQ(first->name, "job");
  EXPECT_EQ(first->owner, "a");
  EXPECT_FALSE(store().try_lock("job", {.owner = "b"}));
  EXPECT_TRUE(store().try_lock("other"));
  const auto holder = store().lock_holder("job");
  ASSERT_TRUE(holder);
  EXPECT_EQ(holder->owner, "a");
  EXPECT_EQ(holder->token, first->token);
  EXPECT_EQ(Instant(holder->expires_at).microseconds(), now_plus_ms(100).microseconds());
  EXPECT_TRUE(store().unlock(*first));
  EXPECT_FALSE(store().unlock(*first));
  EXPECT_FALSE(store().lock_holder("job"));
  const auto second = store().try_lock("job", {.owner = "b"});
  ASSERT_TRUE(second);
  EXPECT_GT(second->token, first->token);
}

TEST_P(Locks, Y12_TheStoresClockEndsIt) {
  const auto late = store().try_lock("job", {.ttl = 100ms, .owner = "late"});
  ASSERT_TRUE(late);
  advance_ms(99);
  EXPECT_FALSE(store().try_lock("job", {.ttl = 100ms}));
  EXPECT_TRUE(store().renew(*late, 50ms));
  advance_ms(49);
  EXPECT_FALSE(store().try_lock("job", {.ttl = 100ms}));
  advance_ms(1);
  EXPECT_FALSE(store().lock_holder("job"));
  EXPECT_FALSE(store().renew(*late, 100ms)) << "what has ended cannot be renewed, though nobody took it";
  const auto next = store().try_lock("job", {.ttl = 100ms, .owner = "next"});
  ASSERT_TRUE(next);
  EXPECT_GT(next->token, late->token);
  EXPECT_FALSE(store().renew(*late));
  EXPECT_FALSE(store().unlock(*late));
  EXPECT_TRUE(store().renew(*next));
}

TEST_P(Locks, Y12_AskingAgainProlongsAndKeepsTheToken) {
  const auto lease = store().try_lock("job", {.ttl = 100ms, .owner = "a"});
  ASSERT_TRUE(lease);
  advance_ms(60);
  const auto again = store().try_lock("job", {.ttl = 100ms, .owner = "a"});
  ASSERT_TRUE(again);
  EXPECT_EQ(again->token, lease->token);
  advance_ms(99);
  EXPECT_TRUE(store().renew(*lease, 100ms)) << "the second call did not prolong it";
  advance_ms(100);
  const auto anew = store().try_lock("job", {.ttl = 100ms, .owner = "a"});
  ASSERT_TRUE(anew);
  EXPECT_GT(anew->token, lease->token) << "it had ended: this is another turn";
  EXPECT_FALSE(store().unlock(*lease)) << "the lease of an earlier turn, though of the same owner";
  EXPECT_TRUE(store().unlock(*anew));
}

TEST_P(Locks, S143_NobodyWhoHasTheLeaseShortensIt) {
  const auto lease = store().try_lock("job", {.ttl = 1h, .owner = "a"});
  ASSERT_TRUE(lease);
  const auto again = store().try_lock("job", {.ttl = 100ms, .owner = "a"});
  ASSERT_TRUE(again);
  EXPECT_EQ(again->token, lease->token);
  EXPECT_TRUE(store().renew(*again));
  EXPECT_TRUE(store().transaction([&](Transaction& tx) { return tx.renew(*lease, 100ms); }));
  advance_ms(100);
  EXPECT_FALSE(store().try_lock("job", {.owner = "b"}));
  EXPECT_TRUE(store().renew(*lease, 2h)) << "longer it may be";
  advance_ms(90 * 60'000);
  EXPECT_TRUE(store().unlock(*lease));
}

TEST_P(Locks, TokensOnlyGrow) {
  std::uint64_t last = 0;
  const auto take_turn = [&] {
    const auto lease = store().try_lock("job", {.ttl = 100ms});
    ASSERT_TRUE(lease);
    EXPECT_GT(lease->token, last);
    last = lease->token;
  };
  take_turn();
  advance_ms(100);
  store().cleanup_expired();  // nothing is left of the lock
  take_turn();
  reopen();
  advance_ms(100);
  take_turn();
  store().clear();  // is about entries
  EXPECT_TRUE(store().lock_holder("job"));
  advance_ms(100);
  take_turn();
  EXPECT_TRUE(store().unlock(Lease{"job", store().lock_holder("job")->owner, last}));
  store().cleanup_expired();
  reopen();
  take_turn();
}

TEST_P(Locks, APausedHoldersGuardedWriteIsRefused) {
  const auto write = [&](const Lease& lease, const char* number) {
    return store().transaction([&](Transaction& tx) {
      if (!tx.renew(lease, 100ms)) return false;
      tx.set("report", number);
      return true;
    });
  };
  const auto paused = store().try_lock("job", {.ttl = 100ms});
  ASSERT_TRUE(paused && write(*paused, "1"));
  advance_ms(100);  // it sleeps, and wakes after another has done its work
  const auto other = store().try_lock("job", {.ttl = 100ms});
  ASSERT_TRUE(other && write(*other, "2"));
  EXPECT_FALSE(write(*paused, "3"));
  EXPECT_TRUE(store().unlock(*other));
  EXPECT_FALSE(write(*paused, "3")) << "free is not held";
  EXPECT_THAT(get("report"), testing::Optional(std::string("2")));

  // A resource outside of transactions keeps the highest token it has seen.
  std::uint64_t highest = 0;
  const auto accept = [&](std::uint64_t token) { return token >= highest && ((highest = token), true); };
  EXPECT_TRUE(accept(other->token));
  EXPECT_FALSE(accept(paused->token));
}

TEST_P(Locks, RenewingGivesALeaseTheTtlItWasTakenWith) {
  const auto lease = store().try_lock("job", {.ttl = 10min});
  ASSERT_TRUE(lease);
  EXPECT_TRUE(store().transaction([&](Transaction& tx) { return tx.renew(*lease); }));
  advance_ms(9 * 60'000);
  EXPECT_TRUE(store().renew(*lease));
  advance_ms(9 * 60'000);
  EXPECT_FALSE(store().try_lock("job"));
  EXPECT_TRUE(store().unlock(*lease));
}

TEST_P(Locks, ALockLostBeforeTheCommitUndoesTheTransaction) {
  const auto lease = store().try_lock("job", {.ttl = 100ms});
  int attempts = 0;
  const bool written = store().transaction([&](Transaction& tx) {
    if (!tx.renew(*lease, 100ms)) return false;
    tx.set("report", "1");
    if (++attempts == 1) advance_ms(100);
    return true;
  });
  EXPECT_FALSE(written);
  EXPECT_EQ(attempts, 1);
  EXPECT_FALSE(store().exists("report"));
}

/// What the answer is for; must_not_compile.txt has the calls that drop it.
TEST_P(Locks, S180_ARefusedRenewalOrClaimKeepsNothingFromBeingWritten) {
  const auto lease = store().try_lock("job", {.ttl = 1h});
  ASSERT_TRUE(lease && store().unlock(*lease) && store().claim("name", "other"));
  store().transaction([&](Transaction& tx) {
    EXPECT_FALSE(tx.renew(*lease));
    EXPECT_FALSE(tx.claim("name", "me"));
    EXPECT_FALSE(tx.move_claim("name", "me", "you"));
    tx.set("k", "1");
  });
  EXPECT_TRUE(store().exists("k"));
  EXPECT_ANY_THROW(store().transaction([&](Transaction& tx) {
    tx.set("k", "2");
    if (!tx.renew(*lease)) throw std::runtime_error("the lock is lost");
  }));
  EXPECT_EQ(get("k"), "1");
}

TEST_P(Locks, TakenInATransactionIsTakenWithIt) {
  std::optional<Lease> lease;
  EXPECT_THROW(store().transaction([&](Transaction& tx) {
    lease = tx.try_lock("job");
    EXPECT_TRUE(lease && tx.lock_holder("job"));
    throw std::runtime_error("no");
  }),
               std::runtime_error);
  EXPECT_FALSE(store().lock_holder("job"));
  store().transaction([&](Transaction& tx) {
    lease = tx.try_lock("job", {.owner = "a"});
    tx.set("k", "1");
  });
  ASSERT_TRUE(lease);
  EXPECT_FALSE(store().try_lock("job"));
  EXPECT_EQ(store().lock_holder("job")->token, lease->token);
  EXPECT_TRUE(store().unlock(*lease));
}

TEST_P(Locks, Y11_WhoDoesNotGetItWritesNothing) {
  ASSERT_TRUE(store().try_lock("job"));
  const std::uint64_t before = store().stats().sequence;
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(store().try_lock("job"));
  EXPECT_EQ(store().stats().sequence, before);
}

TEST_P(Locks, Y10_EachNamespaceHasItsOwnAndNoKeyMeetsThem) {
  const Store a = store().with_namespace("a");
  const Store nested = a.with_namespace("b");
  const auto of_root = store().try_lock("job");
  const auto of_a = a.try_lock("job");
  const auto of_nested = nested.try_lock("job");
  ASSERT_TRUE(of_root && of_a && of_nested);
  EXPECT_FALSE(store().with_namespace("a/b").try_lock("job")) << "the same namespace";
  for (const Store& each : {store(), a, nested}) {
    EXPECT_EQ(each.count(), 0U);
    EXPECT_TRUE(each.scan().entries.empty());
    EXPECT_FALSE(each.exists("job"));
    EXPECT_EQ(each.clear(), 0U);
    EXPECT_TRUE(each.lock_holder("job"));
  }
  EXPECT_TRUE(store().namespaces().empty());
  EXPECT_FALSE(a.unlock(Lease{"job", of_root->owner, of_root->token}));
  EXPECT_TRUE(a.unlock(*of_a));
  EXPECT_TRUE(store().lock_holder("job"));
}

TEST_P(Locks, AbandonedOnesAreSwept) {
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(store().try_lock("order:" + std::to_string(i), {.ttl = 100ms}));
  EXPECT_GT(store().stats().entries, 300U);
  advance_ms(100);
  EXPECT_EQ(store().cleanup_expired(), 300U);
  EXPECT_LE(store().stats().entries, 256U) << "what gives the tokens does not grow with the names";
}

TEST_P(Locks, TheGuardHoldsAndLetsGo) {
  Lease seen;
  {
    const Lock lock = store().lock("job", {.ttl = 1h, .owner = "a"});
    seen = lock.lease();
    EXPECT_TRUE(lock.held());
    EXPECT_EQ(lock.token(), seen.token);
    EXPECT_FALSE(store().try_lock("job"));
  }
  EXPECT_FALSE(store().lock_holder("job"));
  Lock lock = store().lock("job", {.ttl = 1h});
  Lock moved = std::move(lock);
  EXPECT_FALSE(lock.held());   // NOLINT(bugprone-use-after-move): what is left of it is promised
  EXPECT_FALSE(lock.renew());  // NOLINT(bugprone-use-after-move)
  EXPECT_FALSE(lock.unlock());
  lock = store().lock("second", {.ttl = 1h});
  moved = std::move(lock);
  EXPECT_FALSE(store().lock_holder("job")) << "what the target held is let go";
  EXPECT_TRUE(store().lock_holder("second"));
  EXPECT_TRUE(moved.renew());
  EXPECT_TRUE(moved.unlock());
  EXPECT_FALSE(moved.held());
  EXPECT_FALSE(moved.unlock());
}

TEST_P(Locks, TheGuardKnowsWhenItIsLost) {
  Lock lock = store().lock("job", {.ttl = 1h, .auto_renew = false});
  advance_ms(3'600'000);
  ASSERT_TRUE(store().try_lock("job"));
  EXPECT_TRUE(lock.held()) << "it cannot know yet";
  EXPECT_FALSE(lock.renew());
  EXPECT_FALSE(lock.held());
  EXPECT_FALSE(lock.unlock());
  EXPECT_TRUE(store().lock_holder("job")) << "the other's lock is left alone";
}

TEST_P(Locks, WaitingIsBounded) {
  const auto lease = store().try_lock("job", {.owner = "somebody"});
  expect_refused([&] { return store().lock("job", {.wait = 0ms}); }, Code::Timeout, {"job", "somebody"});
  expect_refused([&] { return store().lock("job", {.wait = 5ms}); }, Code::Timeout, {"job", "5 ms"});
  EXPECT_TRUE(store().unlock(*lease));
  EXPECT_TRUE(store().lock("job", {.wait = 0ms}).held());
}

TEST_P(Locks, ArgumentsAreChecked) {
  expect_refused([&] { return store().try_lock(""); }, Code::InvalidKey, {"lock", "empty"});
  expect_refused([&] { return store().try_lock(std::string(1025, 'x')); }, Code::InvalidKey, {"1025", "1024"});
  expect_refused([&] { return store().try_lock("k", {.owner = ""}); }, Code::InvalidArgument, {"owner", "empty"});
  expect_refused([&] { return store().try_lock("k", {.owner = std::string(256, 'x')}); }, Code::InvalidArgument,
                 {"256", "255"});
  for (const Duration ttl : {Duration(0ms), Duration(-1ms), Duration(std::chrono::hours::max())}) {
    expect_refused([&] { return store().try_lock("k", {.ttl = ttl}); }, Code::InvalidArgument, {"ttl of a lock"});
    expect_refused([&] { return store().lock("k", {.ttl = ttl}); }, Code::InvalidArgument, {"ttl of a lock"});
    expect_refused([&] { return store().renew(Lease{"k", "a", 1}, ttl); }, Code::InvalidArgument, {"ttl of a lock"});
  }
  expect_refused([&] { return store().lock("k", {.wait = -1ms}); }, Code::InvalidArgument, {"wait"});
  expect_refused([&] { return store().lock("k", {.wait = 25h}); }, Code::InvalidArgument, {"wait"});
  expect_refused([&] { return store().unlock(Lease{}); }, Code::InvalidKey);
  expect_refused([&] { return store().lock_holder(""); }, Code::InvalidKey);
  EXPECT_FALSE(store().lock_holder("k"));
  const std::string any = std::string("\0\xff\"\\ \n%", 8);
  const auto lease = store().try_lock(any, {.owner = any});
  ASSERT_TRUE(lease);
  EXPECT_EQ(store().lock_holder(any)->owner, any);
  EXPECT_TRUE(store().unlock(*lease));
}

TEST_P(Locks, AStoreThatIgnoresExpiryHasNone) {
  options.ttl_mode = TtlMode::disabled;
  expect_refused([&] { return store().try_lock("k"); }, Code::Unsupported, {"ttl_mode=disabled"});
  expect_refused([&] { return store().rate_limit("k", {.limit = 1, .window = 1h}); }, Code::Unsupported, {"disabled"});
  expect_refused([&] { return store().claim("k", "a", {.ttl = 1h}); }, Code::Unsupported, {"disabled"});
  EXPECT_TRUE(store().claim("k", "a"));
}

TEST_P(Locks, AsynchronousCallsDoWhatBlockingOnesDo) {
  const AsyncStore async = store().async();
  const auto lease = store().try_lock("job", {.ttl = 100ms});
  ASSERT_TRUE(lease);
  auto renew = async.renew(*lease, 200ms);
  EXPECT_TRUE(submitted(std::move(renew)));
  auto holder = async.lock_holder("job");
  EXPECT_EQ(submitted(std::move(holder))->token, lease->token);
  EXPECT_TRUE(submitted(async.unlock(*lease)));
  EXPECT_FALSE(submitted(async.unlock(*lease)));
}

}  // namespace
}  // namespace tuskv::test
