// What every operation refuses before any engine sees it, and in which words.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/reference_store.h"
#include "named_limits.h"
#include "stored_range.h"
#include "support/forked.h"
#include "support/submitted.h"

namespace tuskv::test {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using namespace std::string_view_literals;

constexpr Code kNone = Code::Internal;

/// The code, having seen that no engine was asked.
template <class F>
Code refused(ReferenceStore& store, F&& call) {
  const std::size_t before = store.engine->execute_count();
  const std::optional<Code> code = code_of(call);
  EXPECT_EQ(store.engine->execute_count(), before);
  return code.value_or(kNone);
}

TEST(Checks, EveryOperationChecksItsKey) {
  ReferenceStore store;
  const Store& s = *store.store;
  const AsyncStore a = s.async();
  for (const std::string& key : {""s, std::string(1025, 'k')}) {
    const auto expect_refused = [&](auto&& call) { EXPECT_EQ(refused(store, call), Code::InvalidKey); };
    std::string value;
    expect_refused([&] { s.get(key); });
    expect_refused([&] { s.get_into(key, value); });
    expect_refused([&] { s.get_or_throw(key); });
    expect_refused([&] { s.get_entry(key); });
    expect_refused([&] { s.get_many({"ok", key}); });
    expect_refused([&] { s.exists(key); });
    expect_refused([&] { s.exists_many({"ok", key}); });
    expect_refused([&] { s.ttl(key); });
    expect_refused([&] { s.set(key, "v"); });
    expect_refused([&] { s.set_if_absent(key, "v"); });
    expect_refused([&] { s.set_if_present(key, "v"); });
    expect_refused([&] { s.set_many({{.key = "ok", .value = "v"}, {.key = key, .value = "v"}}); });
    expect_refused([&] { s.set_many_if_absent({{.key = key, .value = "v"}}); });
    expect_refused([&] { s.erase(key); });
    expect_refused([&] { s.erase_many({"ok", key}); });
    expect_refused([&] { s.increment(key); });
    expect_refused([&] { s.decrement(key); });
    expect_refused([&] { s.compare_and_swap(key, Bytes("a"), "b"); });
    expect_refused([&] { s.compare_and_swap(key, Version{1}, "b"); });
    expect_refused([&] { s.compare_and_erase(key, "a"); });
    expect_refused([&] { s.compare_and_erase(key, Version{1}); });
    expect_refused([&] { s.get_and_set(key, "v"); });
    expect_refused([&] { s.get_and_erase(key); });
    expect_refused([&] { s.get_and_touch(key, 1s); });
    expect_refused([&] { s.expire(key, 1s); });
    expect_refused([&] { s.expire_at(key, std::chrono::system_clock::now()); });
    expect_refused([&] { s.persist(key); });
    expect_refused([&] { s.update(key, [](auto) { return Change::keep(); }); });
    // Asynchronous calls throw at the call, not when they are ended.
    expect_refused([&] { static_cast<void>(a.get(key)); });
    expect_refused([&] { static_cast<void>(a.set(key, "v")); });
  }
  EXPECT_FALSE(s.exists("ok"));
}

TEST(Checks, KeysNameTheirLimit) {
  ReferenceStore store({}, {.max_key_bytes = 2048});
  EXPECT_EQ(message_of([&] { store->get(""); }), "the key is empty");
  EXPECT_EQ(message_of([&] { store->get(std::string(2049, 'k')); }),
            "a key of 2049 bytes is over the limit of 2048 (max_key_bytes)");
  const std::string longest(2048, 'k');
  store->set(longest, "1");
  EXPECT_EQ(store->get(longest), "1");
  const Store tenant = store->with_namespace("tenant");
  tenant.set(std::string(2042, 'k'), "1");
  EXPECT_EQ(message_of([&] { tenant.get(std::string(2043, 'k')); }),
            "a key of 2043 bytes in a namespace of 6 bytes is over the limit of 2048 for both");
}

TEST(Checks, Values) {
  ReferenceStore store({}, {.max_value_bytes = 4});
  store->set("k", "1234");
  const auto expect_refused = [&](auto&& call) { EXPECT_EQ(refused(store, call), Code::TooLarge); };
  expect_refused([&] { store->set("k", "12345"); });
  expect_refused([&] { store->set_if_absent("k", "12345"); });
  expect_refused([&] { store->set_if_present("k", "12345"); });
  expect_refused([&] { store->set_many({{.key = "a", .value = "1"}, {.key = "b", .value = "12345"}}); });
  expect_refused([&] { store->set_many_if_absent({{.key = "b", .value = "12345"}}); });
  expect_refused([&] { store->compare_and_swap("k", Bytes("1"), "12345"); });
  expect_refused([&] { store->compare_and_swap("k", Version{1}, "12345"); });
  expect_refused([&] { store->get_and_set("k", "12345"); });
  EXPECT_EQ(code_of([&] { store->update("k", [](auto) { return "12345"; }); }), Code::TooLarge);
  EXPECT_EQ(store->get("k"), "1234");
}

// U6: a time to live is positive and does not overflow; more than one word on expiry is a mistake.
TEST(Checks, U6Expiry) {
  ReferenceStore store;
  const Instant now = std::chrono::system_clock::now();
  const auto expect_refused = [&](auto&& call) { EXPECT_EQ(refused(store, call), Code::InvalidArgument); };
  for (const Duration wrong :
       {Duration(0ms), Duration(-1ms), Duration(std::chrono::hours::max()), Duration(std::chrono::hours::min()),
        Duration(std::chrono::milliseconds(kTtlMsMax + 1))}) {
    expect_refused([&] { store->set("k", "v", {.ttl = wrong}); });
    expect_refused([&] { store->set_many({{.key = "k", .value = "v", .ttl = wrong}}); });
    expect_refused([&] { store->expire("k", wrong); });
    expect_refused([&] { store->get_and_touch("k", wrong); });
    expect_refused([&] { store->increment("k", 1, {.ttl_if_created = wrong}); });
    expect_refused([&] { return store->with_namespace("n", {.ttl = wrong}); });
  }
  EXPECT_EQ(message_of([&] { store->set("k", "v", {.ttl = 0s}); }), "ttl must be positive");
  expect_refused([&] { store->set("k", "v", {.ttl = 1s, .keep_ttl = true}); });
  expect_refused([&] { store->set("k", "v", {.ttl = 1s, .persistent = true}); });
  expect_refused([&] { store->set("k", "v", {.ttl = 1s, .expires_at = now}); });
  expect_refused([&] { store->set("k", "v", {.keep_ttl = true, .persistent = true}); });
  expect_refused([&] { store->expire_at("k", std::chrono::sys_seconds::max()); });
  store->set("k", "v", {.ttl = std::chrono::milliseconds(kTtlMsMax)});
  EXPECT_EQ(store->ttl("k").left.count(), kTtlMsMax);
  store->set("k", "v", {.ttl = 1us});
  EXPECT_EQ(store->ttl("k").left.count(), 1) << "rounded up";
}

TEST(Checks, ListsAndCounters) {
  ReferenceStore store;
  const auto expect_refused = [&](auto&& call) { EXPECT_EQ(refused(store, call), Code::InvalidArgument); };
  const std::string long_glob(kGlobBytesMax + 1, '*');
  const std::string long_bytes(kStoredKeyBytesMax, 'x');
  expect_refused([&] { store->scan({.limit = 0}); });
  expect_refused([&] { store->keys({.limit = kScanLimitMax + 1}); });
  expect_refused([&] { store->scan({.glob = long_glob}); });
  expect_refused([&] { store->count({.glob = long_glob}); });
  expect_refused([&] { store->scan({.prefix = long_bytes}); });
  expect_refused([&] { store->scan({.after = long_bytes}); });
  expect_refused([&] { store->scan({.from = long_bytes}); });
  expect_refused([&] { store->scan({.to = long_bytes}); });
  expect_refused([&] { store->erase_prefix(""); });
  expect_refused([&] { store->erase_range("", std::nullopt); });
  expect_refused([&] { store->increment("k", 1, {.min = 1, .max = 0}); });
  expect_refused([&] { return store->with_timeout(0ms); });
  expect_refused([&] { return store->with_timeout(25h); });
  expect_refused([&] { store->start_sweeper({.interval = 0ms}); });
  expect_refused([&] { store->start_sweeper({.batch = 0}); });
  expect_refused([&] { store->get(static_cast<const char*>(nullptr)); });
}

TEST(Checks, Namespaces) {
  ReferenceStore store;
  const auto code = [&](std::string_view name) {
    return code_of([&] { return store->with_namespace(name); }).value_or(kNone);
  };
  EXPECT_EQ(code(""), Code::InvalidKey);
  EXPECT_EQ(code("a\0b"sv), Code::InvalidKey);
  EXPECT_EQ(code("\x01locks"), Code::InvalidKey);
  EXPECT_EQ(code(std::string(256, 'n')), Code::InvalidKey);
  EXPECT_EQ(code(std::string(255, 'n')), kNone);
  EXPECT_EQ(code_of([&] { return store->with_namespace(std::string(200, 'n')).with_namespace(std::string(55, 'm')); }),
            Code::InvalidKey);
  store->with_namespace("a").with_namespace("b").set("k", "1");
  EXPECT_EQ(store->with_namespace("a/b").get("k"), "1");
  EXPECT_FALSE(store->with_namespace("a").exists("b/k"));
}

// G7: an empty batch succeeds without asking anybody.
TEST(Checks, U8EmptyBatches) {
  ReferenceStore store;
  EXPECT_TRUE(store->get_many(std::span<const Bytes>()).empty());
  EXPECT_EQ(store->exists_many(std::span<const Bytes>()), 0u);
  EXPECT_EQ(store->erase_many(std::span<const Bytes>()), 0u);
  store->set_many(std::span<const Item>());
  EXPECT_TRUE(store->set_many_if_absent(std::span<const Item>()));
  EXPECT_TRUE(submitted(store->async().get_many(std::span<const Bytes>())).empty());
}

TEST(Checks, BatchesAreLimited) {
  ReferenceStore store;
  const std::vector<Bytes> many(kBatchCommandsMax + 1, Bytes("k"));
  EXPECT_EQ(refused(store, [&] { store->get_many(many); }), Code::TooLarge);
}

TEST(Checks, OverflowNamesTheBounds) {
  ReferenceStore store;
  store->set("stock", "2");
  EXPECT_EQ(message_of([&] { store->decrement("stock", 3, {.min = 0}); }),
            "the counter of key \"stock\" is 2 and would leave its bounds 0 to 9223372036854775807");
  EXPECT_EQ(code_of([&] { store->decrement("stock", 3, {.min = 0}); }), Code::Overflow);
  EXPECT_EQ(store->get("stock"), "2");
  store->set("low", "-1");
  EXPECT_EQ(store->decrement("low", INT64_MAX), INT64_MIN);
  store->set("zero", "-1");
  EXPECT_EQ(store->decrement("zero", INT64_MIN), INT64_MAX);
  EXPECT_EQ(code_of([&] { store->decrement("zero", -1); }), Code::Overflow);
}

TEST(Checks, RangesStayInTheirNamespace) {
  EXPECT_EQ(behind_prefix("\0"sv), "\x01");
  EXPECT_EQ(behind_prefix("ns\0"sv), "ns\x01");
  EXPECT_EQ(behind_prefix("a\xff\xff"), "b");
  EXPECT_EQ(behind_prefix("\xff"), "");
  EXPECT_EQ(behind_prefix("\x7f"), "\x80");

  ReferenceStore store;
  const std::string high(10, '\xff');
  const Store a = store->with_namespace("a");
  const Store next = store->with_namespace("a\x01");
  a.set(high, "1");
  next.set(high, "1");
  store->set(high, "1");
  EXPECT_EQ(a.count({.prefix = "\xff"}), 1u);
  EXPECT_EQ(a.keys({.reverse = true}).keys, std::vector<std::string>{high});
  EXPECT_EQ(a.erase_prefix("\xff\xff"), 1u);
  EXPECT_EQ(store->clear(), 1u);
  EXPECT_EQ(next.count(), 1u);
}

TEST(Checks, PrefixAndGlobBothApply) {
  ReferenceStore store;
  store->set_many({{.key = "ab1", .value = ""}, {.key = "ab2", .value = ""}, {.key = "ac1", .value = ""}});
  const auto keys = [&](Bytes prefix, Bytes glob) { return store->keys({.prefix = prefix, .glob = glob}).keys; };
  EXPECT_EQ(keys("a", "ab*"), (std::vector<std::string>{"ab1", "ab2"}));
  EXPECT_EQ(keys("ab", "a*1"), (std::vector<std::string>{"ab1"}));
  EXPECT_EQ(keys("ab", "ac*"), (std::vector<std::string>{}));
  EXPECT_EQ(store->count({.prefix = "ac", .glob = "*1"}), 1u);
}

// A fork has none of the threads: its calls are refused, and ending it touches nothing.
TEST(Checks, AChildOfForkIsRefused) {
  std::optional<Store> store(Store::open("memory:"));
  store->set("k", "1");
  const pid_t child = fork();
  if (child == 0) {
    const bool refused_all = code_of([&] { store->get("k"); }) == Code::Unsupported &&
                             code_of([&] { store->set("k", "2"); }) == Code::Unsupported &&
                             code_of([&] { store->close(); }) == Code::Unsupported &&
                             code_of([&] { submitted(store->async().get("k")); }) == Code::Unsupported &&
                             code_of([&] { store->transaction([](Transaction&) {}); }) == Code::Unsupported;
    store.reset();
    _exit(refused_all ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(store->get("k"), "1");
}

// A child that a function forks goes on in the call: from there, too, the engine is asked nothing.
TEST(Checks, S130_AChildForkedInsideACallIsRefusedTheRestOfIt) {
  ReferenceStore store({.spells_values = true});
  store->set("k", "1");
  const auto asked = [engine = store.engine] {
    return engine->execute_count() + engine->respell_count() + engine->commit_count();
  };
  std::size_t before = 0;
  const auto is_refused = [&](auto call) {
    return is_refused_in_child(
        [&](auto fork_here) {
          call([&] {
            before = asked();
            fork_here();
          });
        },
        [&] { return asked() == before; });
  };
  EXPECT_TRUE(is_refused([&](auto fork_here) {
    store->transaction([&](Transaction& transaction) {
      transaction.erase("k");
      fork_here();
    });
  })) << "a commit";
  EXPECT_TRUE(is_refused([&](auto fork_here) {
    store->transaction([&](Transaction& transaction) {
      transaction.get("k");
      fork_here();
      transaction.get("k");
    });
  })) << "the look whether what was read still holds";
  EXPECT_TRUE(is_refused([&](auto fork_here) {
    store->transaction([&](Transaction& transaction) {
      fork_here();
      transaction.transaction([](Transaction&) {});
    });
  })) << "a savepoint";
  EXPECT_TRUE(is_refused([&](auto fork_here) {
    store->update("k", [&](std::optional<std::string_view>) {
      fork_here();
      return Change("2");
    });
  })) << "an update";
  EXPECT_EQ(store->get("k"), "1");
}

}  // namespace
}  // namespace tuskv::test
