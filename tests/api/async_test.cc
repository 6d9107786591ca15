// Asynchronous calls: the ways to end one, what it owns, and what happens when its caller goes away.
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <new>
#include <optional>
#include <semaphore>
#include <thread>

#include "api/reference_store.h"
#include "api/task.h"
#include "support/simulated_file_system.h"
#include "support/temporary_directory.h"

namespace tuskv::test {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

/// Inline completion, and completion on a thread of the engine.
class AsyncOperations : public testing::TestWithParam<bool> {
 protected:
  ReferenceStore store{{.has_worker = GetParam()}};
  AsyncStore kv = store->async();
};

// In these coroutines everything lent is a temporary that dies before the operation runs.
Task exercise_keys(AsyncStore kv) {
  co_await kv.set("user:"s + "1", "Alice"s);
  EXPECT_EQ(co_await kv.get("user:"s + "1"), "Alice");
  EXPECT_EQ(co_await kv.get_or_throw("user:1"), "Alice");
  EXPECT_FALSE(co_await kv.set_if_absent("user:1"s, std::string(1000, 'x')));
  EXPECT_TRUE(co_await kv.set_if_present("user:1", std::string(1000, 'x'), {.ttl = 10s}));
  EXPECT_EQ((co_await kv.ttl("user:1")).left, 10s);
  EXPECT_EQ((co_await kv.get_entry("user:"s + "1"))->value, std::string(1000, 'x'));
  EXPECT_EQ(co_await kv.increment("n"s, 5, {.max = 6}), 5);
  EXPECT_EQ(co_await kv.decrement("n", 2), 3);
  EXPECT_TRUE(co_await kv.compare_and_swap("n", Bytes("3"), "4"s));
  EXPECT_EQ((co_await kv.compare_and_swap("n", Bytes("3"), "5"s)).current, "4");
  EXPECT_EQ(co_await kv.get_and_set("n", "9"), "4");
  EXPECT_EQ(co_await kv.get_and_touch("n", 1s), "9");
  EXPECT_TRUE(co_await kv.persist("n"));
  EXPECT_TRUE(co_await kv.compare_and_erase("n"s, "9"s));
  EXPECT_FALSE(co_await kv.exists("n"));
}

Task exercise_lists(AsyncStore kv) {
  // g++ 12 takes no braced list inside a co_await expression: list calls stand in a statement of their own.
  auto set_many = kv.set_many({{.key = "a"s, .value = "1"s}, {.key = "b"s, .value = "2"s}});
  co_await std::move(set_many);
  auto get_many = kv.get_many({"a"s + "", "zz"s, "b"s});
  const auto values = co_await std::move(get_many);
  EXPECT_EQ(values, (std::vector<std::optional<std::string>>{"1", std::nullopt, "2"}));
  const std::vector<std::string> keys = {"a", "b", "a"};
  EXPECT_EQ(co_await kv.exists_many(keys), 3u);
  auto set_absent = kv.set_many_if_absent({{.key = "c"s, .value = "3"s}, {.key = "a"s, .value = "9"s}});
  EXPECT_FALSE(co_await std::move(set_absent));
  // Options are trivially destructible, so a braced one inside co_await is destroyed once.
  const Page page = co_await kv.scan({.prefix = "a"s, .limit = 10});
  EXPECT_EQ(page.entries.size(), 1u);
  const KeyPage listed = co_await kv.keys({.glob = "?"s, .after = "a"s});
  EXPECT_EQ(listed.keys, std::vector<std::string>{"b"});
  const KeyPage between = co_await kv.keys({.from = "a"s, .to = "b"s});
  EXPECT_EQ(between.keys, std::vector<std::string>{"a"});
  EXPECT_EQ(co_await kv.erase_range("aa"s, "b"s), 0u);
  EXPECT_EQ(co_await kv.count(), 2u);
  EXPECT_EQ(co_await kv.erase_prefix("a"s), 1u);
  EXPECT_EQ(co_await kv.clear(), 1u);
}

TEST_P(AsyncOperations, AwaitsEachKindOfCall) {
  exercise_keys(kv).finish();
  exercise_lists(kv.with_namespace("lists")).finish();
}

TEST_P(AsyncOperations, CoAwaitRethrows) {
  const auto fails = [](AsyncStore async) -> Task {
    co_await async.set("text", "abc"s);
    co_await async.increment("text");
  };
  EXPECT_EQ(code_of([&] { fails(kv).finish(); }), Code::NotAnInteger);
}

TEST_P(AsyncOperations, WaitsOnTheSpot) {
  kv.set("k", "1").wait();
  EXPECT_EQ(kv.get("k").wait(), "1");
  EXPECT_EQ(code_of([&] { kv.get_or_throw("absent").wait(); }), Code::NotFound);
}

TEST_P(AsyncOperations, IsLazyAndOwnsItsBytes) {
  auto operation = [&] {
    const std::string key = "a key longer than any small string";
    const std::string value(100, 'v');
    return kv.set(key, value);
  }();
  EXPECT_EQ(store->count(), 0u);
  std::move(operation).wait();
  EXPECT_EQ(store->get("a key longer than any small string"), std::string(100, 'v'));
  { [[maybe_unused]] auto never_ended = kv.erase("a key longer than any small string"); }
  EXPECT_EQ(store->count(), 1u);
}

TEST_P(AsyncOperations, ThenIsCalledOnceWithTheResultOrTheFailure) {
  std::promise<std::optional<std::string>> value;
  store->set("k", "1");
  kv.get("k").then([&](std::exception_ptr failure, std::optional<std::string> result) {
    EXPECT_EQ(failure, nullptr);
    value.set_value(std::move(result));
  });
  EXPECT_EQ(value.get_future().get(), "1");

  std::promise<Code> code;
  kv.increment("text").then([&](std::exception_ptr failure, std::int64_t result) {
    EXPECT_EQ(failure, nullptr);
    EXPECT_EQ(result, 1);
    kv.get_or_throw("absent").then([&](std::exception_ptr inner, const std::string&) {
      code.set_value(*code_of([&] { std::rethrow_exception(inner); }));
    });
  });
  EXPECT_EQ(code.get_future().get(), Code::NotFound);

  std::promise<void> done;
  kv.set("k", "2").then([&](std::exception_ptr failure) {
    EXPECT_EQ(failure, nullptr);
    done.set_value();
  });
  done.get_future().get();
  EXPECT_EQ(store->get("k"), "2");
}

/// A call that was ended is like a future whose value has been taken.
TEST_P(AsyncOperations, S64_ACallThatWasEndedIsRefusedAndNotMadeAgain) {
  auto call = kv.increment("n");
  EXPECT_EQ(std::move(call).wait(), 1);
  // NOLINTBEGIN(bugprone-use-after-move): the mistake
  EXPECT_EQ(code_of([&] { std::move(call).wait(); }), Code::InvalidArgument);
  EXPECT_EQ(code_of([&] { std::move(call).then([](std::exception_ptr, std::int64_t) { FAIL(); }); }),
            Code::InvalidArgument);
  const auto awaits = [](Async<std::int64_t>& ended) -> Task { co_await std::move(ended); };
  EXPECT_EQ(code_of([&] { awaits(call).finish(); }), Code::InvalidArgument);
  // NOLINTEND(bugprone-use-after-move)
  EXPECT_EQ(store->get("n"), "1");
}

TEST_P(AsyncOperations, ManyAtOnce) {
  constexpr int kCalls = 200;
  std::counting_semaphore<kCalls> done(0);
  for (int i = 0; i < kCalls; ++i) {
    kv.increment("n").then([&](std::exception_ptr failure, std::int64_t) {
      EXPECT_EQ(failure, nullptr);
      done.release();
    });
  }
  for (int i = 0; i < kCalls; ++i) done.acquire();
  EXPECT_EQ(store->get("n"), std::to_string(kCalls));
}

INSTANTIATE_TEST_SUITE_P(InlineAndOnAWorker, AsyncOperations, testing::Bool());

Task await_one(AsyncStore kv, std::shared_ptr<int> held) {
  co_await kv.set("k", "1");
  ++*held;
}

TEST(AsyncMemory, S80_ACallThatFindsNoMemoryIsGivenUpWhole) {
  ManualClock clock;
  std::atomic<bool> destroyed = false;
  auto made =
      std::make_unique<ReferenceEngine>(clock, ReferenceEngine::Settings{.has_worker = true, .destroyed = &destroyed});
  ReferenceEngine* const engine = made.get();
  std::optional<Store> store(store_on(std::move(made), {}));
  const auto held = std::make_shared<int>(0);

  engine->run_out_of_memory();
  EXPECT_THROW(store->async().set("k", "1").then([held](std::exception_ptr) { ++*held; }), std::bad_alloc);
  EXPECT_EQ(held.use_count(), 1) << "the callback is still somewhere";

  engine->run_out_of_memory();
  {
    Task task = await_one(store->async(), held);
    EXPECT_THROW(task.finish(), std::bad_alloc);
  }
  EXPECT_EQ(held.use_count(), 1);

  EXPECT_EQ(*held, 0);
  EXPECT_FALSE(store->exists("k"));
  await_one(store->async(), held).finish();
  EXPECT_EQ(store->get("k"), "1");
  store.reset();
  EXPECT_TRUE(destroyed) << "a call that was not made holds the store open";
}

// ---- callers that go away

Task set_and_mark(AsyncStore kv, std::shared_ptr<int> alive, bool& resumed) {
  co_await kv.set("k", std::string(100, 'v'));
  resumed = true;
  ++*alive;
}

TEST(AsyncLifetime, ACoroutineDestroyedWhileItWaits) {
  ReferenceStore store({.has_worker = true});
  store.engine->hold_worker(true);
  const auto alive = std::make_shared<int>(0);
  bool resumed = false;
  {
    const Task abandoned = set_and_mark(store->async(), alive, resumed);
    EXPECT_EQ(alive.use_count(), 2);
  }
  EXPECT_EQ(alive.use_count(), 1);
  store.engine->hold_worker(false);
  // The worker takes submissions in order: behind this one the abandoned one has ended.
  std::promise<void> later;
  store->async().exists("k").then([&](std::exception_ptr, bool) { later.set_value(); });
  later.get_future().get();
  EXPECT_FALSE(resumed);
  EXPECT_EQ(store->get("k"), std::string(100, 'v')) << "it had been submitted: it takes effect";
}

Task hold_the_store(Store store, std::promise<void>& ended) {
  co_await store.async().set("k", "1");
  ended.set_value();
}

Task write_one(AsyncStore kv, std::promise<void>& ended) {
  co_await kv.set("k", "1");
  ended.set_value();
}

TEST(AsyncLifetime, TheLastHandleDiesOnTheWorkerItself) {
  ManualClock clock;
  std::atomic<bool> destroyed = false;
  std::promise<void> ended;
  {
    auto made = std::make_unique<ReferenceEngine>(
        clock, ReferenceEngine::Settings{.has_worker = true, .destroyed = &destroyed});
    ReferenceEngine* const engine = made.get();
    Store store = store_on(std::move(made), {});
    engine->hold_worker(true);
    store.async().set("k", "1").then([last = Store(store), &ended](std::exception_ptr) { ended.set_value(); });
    engine->hold_worker(false);
  }  // from here on the callback's copy is the last
  ended.get_future().get();
  while (!destroyed) std::this_thread::yield();
}

TEST(AsyncLifetime, S17_WhoIsToldMayDropTheLastHandle) {
  ManualClock clock;
  std::atomic<bool> destroyed = false;
  std::optional<Store> store(
      store_on(std::make_unique<ReferenceEngine>(clock, ReferenceEngine::Settings{.destroyed = &destroyed}), {}));
  bool was_last = false;
  auto call = store->async().set("k", "1");
  std::move(call).then([&](std::exception_ptr) {
    store.reset();
    was_last = destroyed;
  });
  EXPECT_TRUE(was_last) << "the call still held the store when its end was told";
}

TEST(AsyncLifetime, TheLastHandleOfADurableStoreDiesOnItsLogThread) {
  const TemporaryDirectory directory;
  const std::string url = "file:" + directory.path() + "/data";
  for (int round = 0; round < 5; ++round) {
    std::promise<void> ended;
    std::optional<Task> task;
    task.emplace(hold_the_store(Store::open(url), ended));
    ended.get_future().get();
    task->finish();
    task.reset();
    const Store again = Store::open(url);
    EXPECT_EQ(again.get("k"), "1");
    again.close();
  }
}

TEST(AsyncLifetime, S141_WhoeverOpensTheDirectoryAgainWaitsForTheStoreThatCloses) {
  const TemporaryDirectory directory;
  const std::string url = "file:" + directory.path() + "/data";
  std::optional<Code> code_inside;
  std::promise<void> told;
  {
    std::optional<Store> store(Store::open(url));
    std::promise<void> handle_is_gone;
    store->async()
        .offload([&](Store& same) {
          same.set("k", "1");
          handle_is_gone.get_future().wait();
        })
        .then([&](std::exception_ptr) {
          // What closes the store waits for this thread: to wait here would be for nothing.
          code_inside = code_of([&] { Store::open(url + "?timeout=1d"); });
          told.set_value();
          std::this_thread::sleep_for(100ms);
        });
    store.reset();
    handle_is_gone.set_value();
    told.get_future().wait();
  }
  EXPECT_EQ(Store::open(url).get("k"), "1");
  EXPECT_EQ(code_inside, Code::Busy);
}

// Nothing is queued that could be withdrawn: a write that waits for its sync has been made.
TEST(AsyncDurable, ACallerThatGoesAwayGivesUpTheReplyAlone) {
  SimulatedFileSystem disk;
  std::optional<Store> store(open_store("file:/store", {}, {.file_system = &disk}));
  store->set("k", "before");
  std::promise<void> syncing;
  std::promise<void> released;
  std::atomic<bool> first = true;
  disk.set_hook([&](Operation operation, const std::string&) {
    if (operation != Operation::sync || !first.exchange(false)) return;
    syncing.set_value();
    released.get_future().wait();
  });
  std::promise<void> ended;
  {
    const Task task = write_one(store->async(), ended);
    syncing.get_future().wait();
  }  // destroyed where it waits
  released.set_value();
  EXPECT_EQ(store->get("k"), "1");
  const auto after = disk.crash_image(CrashMode::lose_unsynced, 1);
  EXPECT_EQ(open_store("file:/store", {}, {.file_system = after.get()}).get("k"), "1");
  store.reset();
  EXPECT_EQ(ended.get_future().wait_for(0s), std::future_status::timeout) << "nobody was told";
}

// It would be waited for by the very thread that it runs on.
TEST(AsyncDurable, S5_CloseInACompletionIsRefusedAndChangesNothing) {
  SimulatedFileSystem disk;
  const Store store = open_store("file:/store", {}, {.file_system = &disk});
  store.set("k", "before");
  std::promise<void> released;
  std::atomic<bool> first = true;
  disk.set_hook([&](Operation operation, const std::string&) {
    if (operation == Operation::sync && first.exchange(false)) released.get_future().wait();
  });
  std::promise<std::optional<Code>> refused;
  store.async().set("k", "1").then([&](std::exception_ptr) { refused.set_value(code_of([&] { store.close(); })); });
  released.set_value();
  EXPECT_EQ(refused.get_future().get(), Code::InvalidArgument);
  store.set("l", "2");
  store.close();
  EXPECT_EQ(open_store("file:/store", {}, {.file_system = &disk}).count(), 2u);
}

Task write_and_read(AsyncStore kv, int count) {
  for (int i = 0; i < count; ++i) {
    co_await kv.set("k" + std::to_string(i), std::to_string(i));
    EXPECT_EQ(co_await kv.get("k" + std::to_string(i)), std::to_string(i));
  }
}

TEST(AsyncDurable, AwaitsTheSync) {
  const TemporaryDirectory directory;
  const Store store = Store::open("file:" + directory.path() + "/data");
  std::vector<Task> tasks;
  for (int i = 0; i < 8; ++i) tasks.push_back(write_and_read(store.with_namespace(std::to_string(i)).async(), 20));
  for (Task& task : tasks) task.finish();
  EXPECT_EQ(store.stats().entries, 160u);
}

}  // namespace
}  // namespace tuskv::test
