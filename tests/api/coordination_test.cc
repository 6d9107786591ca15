// Coordination below its contract: the bytes it stores, what it makes of bytes that are not its own, and the thread
// that renews a lock.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "api/reference_store.h"
#include "coordination/records.h"
#include "support/forked.h"

namespace tuskv::test {
namespace {

using namespace coordination;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""min;
using std::chrono_literals::operator""h;
using std::string_literals::operator""s;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Optional;
using testing::Pair;

/// Everything that is stored, as it is stored.
std::map<std::string, std::string> stored(ReferenceStore& store) {
  Command command(Scan{.limit = 1000});
  Unit unit{.commands = std::span(&command, 1)};
  store.engine->execute(std::span(&unit, 1));
  std::map<std::string, std::string> all;
  for (const Entry& entry : std::get<Scan>(command).entries) all[entry.key] = entry.value;
  return all;
}

/// Stores a record past every handle.
void put(ReferenceStore& store, std::string_view stored_key, std::string_view value) {
  Command command(Put{.key = stored_key, .value = value});
  Unit unit{.commands = std::span(&command, 1)};
  store.engine->execute(std::span(&unit, 1));
}

bool wait_for(const std::function<bool()>& condition, int looks = 10'000) {
  for (int i = 0; i < looks; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(1ms);
  }
  return false;
}

TEST(CoordinationRecord, HasTheseBytes) {
  EXPECT_EQ(encode_lock(42, "worker-1"), R"("1 42 worker-1")");
  EXPECT_EQ(encode_lock(18, "a b\"%\xff\0c"s), R"("1 18 a%20b%22%25%FF%00c")");
  EXPECT_EQ(encode_claim("user:1@x/y+z~_."), R"("1 user:1@x/y+z~_.")");
  EXPECT_EQ(encode_claim("\xc3\xa4"), R"("1 %C3%A4")");
  EXPECT_EQ(kOwnedRecord, "1");
}

TEST(CoordinationRecord, ComesBack) {
  std::string any;
  for (int byte = 0; byte < 256; ++byte) any += static_cast<char>(byte);
  EXPECT_THAT(decode_claim(encode_claim(any)), Optional(any));
  const auto lock = decode_lock(encode_lock(INT64_MAX, any));
  ASSERT_TRUE(lock);
  EXPECT_EQ(lock->token, static_cast<std::uint64_t>(INT64_MAX));
  EXPECT_EQ(lock->owner, any);
}

TEST(CoordinationRecord, NothingElseIsOne) {
  for (const std::string& bytes :
       {""s, "\""s, "\"1 "s, "\"1 \""s, "\"1 a"s, "1 a\""s, "\"2 a\""s, "\"1 a b\""s, "\"1 %\""s, "\"1 %4\""s,
        "\"1 %zz\""s, "\"1 %ff\""s, "\"1 %41\""s, "\"1 a\"\""s, "\"1 \xc3\xa4\""s, "{}"s, "null"s}) {
    EXPECT_EQ(decode_claim(bytes), std::nullopt) << bytes;
  }
  for (const std::string& bytes : {"\"1 a\""s, "\"1 1 \""s, "\"1 x a\""s, "\"1 -1 a\""s, "\"1 01 a\""s, "\"2 1 a\""s,
                                   "\"1 9223372036854775808 a\""s, "\"1 1 a b\""s, "\"1 1  a\""s}) {
    EXPECT_EQ(decode_lock(bytes), std::nullopt) << bytes;
  }
  for (const char* bytes : {"", "-1", "01", "1.0", "x"}) EXPECT_EQ(decode_number(bytes), std::nullopt) << bytes;
}

TEST(CoordinationRecord, LiesUnderTheseKeys) {
  ReferenceStore store;
  ASSERT_TRUE(store->try_lock("job", {.owner = "w"}));
  ASSERT_TRUE(store->claim("name", "user:1"));
  ASSERT_TRUE(store->rate_limit("login", {.limit = 9, .window = 1h, .cost = 7}));
  EXPECT_THAT(stored(store), ElementsAre(Pair("\001claim\0name"s, "\"1 user:1\""), Pair("\001lock\0job"s, "\"1 1 w\""),
                                         Pair("\001owner\0\006user:1name"s, "1"), Pair("\001rate\0login"s, "7"),
                                         Pair("\001token\000"s + "d9", "1")));
  ReferenceStore other;
  ASSERT_TRUE(other->with_namespace("a/b").try_lock("job", {.owner = "w"}));
  EXPECT_THAT(stored(other),
              ElementsAre(Pair("\001lock/a/b\0job"s, "\"1 1 w\""), Pair("\001token/a/b\000"s + "d9", "1")));
}

TEST(CoordinationRecord, P19_OneThatCannotBeDecodedIsNamedAndLeftAlone) {
  ReferenceStore store;
  const std::string newer = "\"2 something\"";
  put(store, "\001lock\0job"s, newer);
  put(store, "\001claim\0name"s, newer);
  put(store, "\001rate\0login"s, newer);
  const auto before = stored(store);
  const std::array<std::function<void()>, 7> calls = {[&] { static_cast<void>(store->try_lock("job")); },
                                                      [&] { store->lock_holder("job"); },
                                                      [&] { store->lock("job").unlock(); },
                                                      [&] { static_cast<void>(store->claim("name", "a")); },
                                                      [&] { store->claim_owner("name"); },
                                                      [&] { static_cast<void>(store->move_claim("name", "a", "b")); },
                                                      [&] { store->peek_rate_limit("login"); }};
  const std::array<const char*, 7> names = {"job", "job", "job", "name", "name", "name", "login"};
  for (std::size_t i = 0; i < calls.size(); ++i) {
    EXPECT_EQ(code_of(calls[i]), Code::Serialization) << i;
    EXPECT_THAT(message_of(calls[i]), HasSubstr(names[i]));
  }
  EXPECT_EQ(code_of([&] { store->rate_limit("login", {.limit = 1, .window = 1h}); }), Code::NotAnInteger);
  EXPECT_FALSE(store->release_claim("name", "something"));
  EXPECT_FALSE(store->unlock(Lease{"job", "something", 1}));
  EXPECT_EQ(stored(store), before);
  ASSERT_TRUE(store->try_lock("free"));
  ASSERT_TRUE(store->reset_rate_limit("login"));
}

TEST(CoordinationRecord, ATokenThatCannotBeDecodedStopsTheLock) {
  ReferenceStore store;
  put(store, "\001token\000"s + "d9", "\"2\"");
  EXPECT_EQ(code_of([&] { static_cast<void>(store->try_lock("job")); }), Code::Serialization);
  put(store, "\001token\000"s + "d9", "41");
  EXPECT_EQ(store->try_lock("job")->token, 42U);
}

TEST(LockGuard, RenewsInTheBackground) {
  ReferenceStore store;
  Lock lock = store->lock("job", {.ttl = 30ms});
  for (int i = 0; i < 5; ++i) {
    store.clock.advance_ms(10);
    const auto renewed = [&] {
      const auto holder = store->lock_holder("job");
      return holder && Instant(holder->expires_at).microseconds() == store.clock.now_us() + 30'000;
    };
    ASSERT_TRUE(wait_for(renewed)) << i;
  }
  EXPECT_TRUE(lock.held());
  EXPECT_TRUE(lock.unlock());
}

TEST(LockGuard, OfAThousandYearsIsNotRenewedAllTheTime) {
  ReferenceStore store;
  const Lock lock = store->lock("job", {.ttl = std::chrono::milliseconds(31'556'952'000'000)});
  EXPECT_TRUE(lock.held());
  const std::size_t calls = store.engine->execute_count();
  EXPECT_FALSE(wait_for([&] { return store.engine->execute_count() != calls; }, 20));
}

TEST(LockGuard, NoticesInTheBackgroundThatItIsLost) {
  ReferenceStore store;
  Lock lock = store->lock("job", {.ttl = 30ms, .owner = "a"});
  ASSERT_TRUE(store->unlock(lock.lease()));
  ASSERT_TRUE(store->try_lock("job", {.ttl = 1h, .owner = "b"}));
  EXPECT_TRUE(wait_for([&] { return !lock.held(); }));
  EXPECT_FALSE(lock.unlock());
  EXPECT_EQ(store->lock_holder("job")->owner, "b");
}

TEST(LockGuard, FearsTheWorstWhenNoRenewalComesThrough) {
  ReferenceStore store;
  Lock lock = store->lock("job", {.ttl = 30ms});
  store->close();
  EXPECT_TRUE(wait_for([&] { return !lock.held(); }));
  EXPECT_EQ(code_of([&] { lock.unlock(); }), Code::Closed);
}

TEST(LockGuard, InAChildOfForkIsTheParents) {
  ReferenceStore store;
  std::optional<Lock> lock = store->lock("job");
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    lock.reset();
    ::_exit(0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(store->lock_holder("job"));
  EXPECT_TRUE(lock->unlock());
}

// Its mutex may have been locked by a thread that is not in the child.
TEST(LockGuard, S144_IsNotHeldInAChildOfFork) {
  ReferenceStore store;
  Lock lock = store->lock("job");
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const bool held = lock.held();
    const bool refused =
        code_of([&] { lock.renew(); }) == Code::Unsupported && code_of([&] { lock.unlock(); }) == Code::Unsupported;
    ::_exit(!held && refused ? 0 : 1);
  }
  EXPECT_TRUE(ended_well(child));
  EXPECT_TRUE(lock.held());
  EXPECT_TRUE(lock.unlock());
}

TEST(LockGuard, S143_IsNotShortenedByTheSameOwner) {
  ReferenceStore store;
  const Lock lock = store->lock("job", {.ttl = 30min, .auto_renew = false, .owner = "a"});
  const auto again = store->try_lock("job", {.ttl = 100ms, .owner = "a"});
  ASSERT_TRUE(again && store->renew(*again));
  const Lock shorter = store->lock("job", {.ttl = 100ms, .auto_renew = false, .owner = "a"});
  store.clock.advance_ms(200);
  EXPECT_FALSE(store->try_lock("job", {.owner = "b"})) << "another has it";
  EXPECT_TRUE(lock.held());
}

TEST(LockGuard, S142_ARenewalThatHangsLeavesTimeForTwoMore) {
  ReferenceStore store;
  Lock lock = store->lock("job", {.ttl = 1200ms});
  store.engine->take_execute_timeouts_ms();
  std::vector<std::int64_t> timeouts;
  ASSERT_TRUE(wait_for([&] { return !(timeouts = store.engine->take_execute_timeouts_ms()).empty(); }));
  // Begun after 400 ms, given up after 700, tried again after 760 and given up after 1060.
  EXPECT_THAT(timeouts, testing::Each(testing::Le(300)));
  EXPECT_TRUE(lock.renew());
  EXPECT_THAT(store.engine->take_execute_timeouts_ms(), Contains(5000)) << "who calls waits as for any call";
}

TEST(LockGuard, S186_WantOfMemoryEndsNeitherTheRenewalsNorTheProcess) {
  ReferenceStore store;
  {
    const Lock lock = store->lock("job", {.ttl = 30ms});
    store.engine->run_out_of_memory();
    ASSERT_TRUE(wait_for([&] { return store.engine->has_memory(); })) << "no renewal was tried";
    const std::size_t calls = store.engine->execute_count();
    EXPECT_TRUE(wait_for([&] { return store.engine->execute_count() > calls; })) << "no renewal came after it";
  }
  EXPECT_FALSE(store->lock_holder("job"));
  {
    const Lock lock = store->lock("job", {.ttl = 1h, .auto_renew = false});
    store.engine->run_out_of_memory();
  }
  EXPECT_TRUE(store.engine->has_memory());
  EXPECT_TRUE(store->lock_holder("job")) << "it ends with its TTL";
}

TEST(LockGuard, WaitsUntilTheLockIsFree) {
  ReferenceStore store;
  const auto lease = store->try_lock("job", {.ttl = 1h});
  std::thread holder([&] {
    std::this_thread::sleep_for(5ms);
    store->unlock(*lease);
  });
  const Lock lock = store->lock("job", {.wait = 1h});
  holder.join();
  EXPECT_GT(lock.token(), lease->token);
}

}  // namespace
}  // namespace tuskv::test
