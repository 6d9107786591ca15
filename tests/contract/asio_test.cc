// Asynchronous calls through Asio, on every engine. The one source that pays for Asio's headers.
#include "tuskv/asio.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <future>
#include <iterator>
#include <memory>
#include <optional>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <asio/awaitable.hpp>
#include <asio/bind_executor.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/experimental/awaitable_operators.hpp>
#include <asio/experimental/deferred.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <asio/strand.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/use_future.hpp>

#include "contract/contract.h"
#include "contract/threads.h"
#include "support/temporary_directory.h"

namespace tuskv::test {
namespace {

using asio::use_awaitable;
using std::string_literals::operator""s;
using std::chrono_literals::operator""ms;
using testing::ElementsAre;
using testing::Optional;

TUSKV_CONTRACT_SUITE(AsioCalls);

/// Runs a coroutine on a context of its own, on this thread, to its end.
void run_to_end(asio::awaitable<void> coroutine, asio::io_context& context) {
  std::exception_ptr thrown;
  bool ended = false;
  asio::co_spawn(context, std::move(coroutine), [&](std::exception_ptr failure) {
    thrown = failure;
    ended = true;
  });
  context.run();
  EXPECT_TRUE(ended) << "the context ran out of work while a call was waited for";
  if (thrown) std::rethrow_exception(thrown);
}

std::optional<Code> code_thrown(std::exception_ptr failure) {
  try {
    if (failure) std::rethrow_exception(failure);
  } catch (const Error& error) {
    return error.code();
  }
  return std::nullopt;
}

asio::awaitable<void> make_calls(AsyncStore kv) {
  const auto here = std::this_thread::get_id();
  co_await kv.set("k"s, std::string(100, 'v'))(use_awaitable);
  EXPECT_EQ(std::this_thread::get_id(), here);
  EXPECT_EQ(co_await kv.get("k"s)(use_awaitable), std::string(100, 'v'));
  EXPECT_EQ(std::this_thread::get_id(), here);
  EXPECT_EQ(co_await kv.increment("n", 5, {.max = 6})(use_awaitable), 5);
  auto list = kv.get_many({"n", "absent"});
  const auto values = co_await std::move(list)(use_awaitable);
  EXPECT_THAT(values, ElementsAre(Optional("5"s), std::nullopt));
  const Page page = co_await kv.scan({.prefix = "k"s})(use_awaitable);
  EXPECT_EQ(page.entries.size(), 1u);
  EXPECT_EQ(std::this_thread::get_id(), here);
  std::optional<Code> code;
  try {
    co_await kv.get_or_throw("absent")(use_awaitable);
  } catch (const Error& error) {
    code = error.code();
  }
  EXPECT_EQ(code, Code::NotFound);
  EXPECT_EQ(std::this_thread::get_id(), here);
}

TEST_P(AsioCalls, AreAwaitedInItsCoroutines) {
  asio::io_context context;
  run_to_end(make_calls(store().async()), context);
}

TEST_P(AsioCalls, OneThatWasEndedIsRefusedBeforeAsioHearsOfIt) {
  asio::io_context context;
  int told = 0;
  const auto token = asio::bind_executor(context, [&](std::exception_ptr, std::int64_t) { ++told; });
  auto call = store().async().increment("n");
  std::move(call)(token);
  expect_refused([&] { return std::move(call)(use_awaitable); }, Code::InvalidArgument, {"ended before"});
  context.run();
  EXPECT_EQ(told, 1);
  EXPECT_EQ(get("n"), "1");
}

asio::awaitable<void> make_offloaded_calls(AsyncStore kv) {
  const auto here = std::this_thread::get_id();
  const std::int64_t sum = co_await kv.offload(
      [](Store& store, const std::string& key) {
        return store.transaction([&](Transaction& tx) { return tx.increment(key) + tx.increment(key); });
      },
      "a key longer than any small string"s)(use_awaitable);
  EXPECT_EQ(sum, 3);
  EXPECT_EQ(std::this_thread::get_id(), here);
  bool caught = false;
  try {
    co_await kv.offload([](Store& store) {
      store.transaction([](Transaction& tx) {
        tx.set("k", "v");
        throw std::range_error("undone");
      });
    })(use_awaitable);
  } catch (const std::range_error&) {
    caught = true;
  }
  EXPECT_TRUE(caught);
  EXPECT_FALSE(co_await kv.exists("k")(use_awaitable));
}

TEST_P(AsioCalls, OffloadedTransactionsAreAwaited) {
  asio::io_context context;
  run_to_end(make_offloaded_calls(store().async()), context);
}

// On memory: the call itself ends before it returns, elsewhere on a thread of the engine: neither may run the handler.
TEST_P(AsioCalls, S50_AHandlerRunsOnItsExecutorAndNeverWithinTheCall) {
  const AsyncStore kv = store().async();
  asio::io_context context;
  const auto strand = asio::make_strand(context);
  std::vector<std::string> told;
  kv.set("k", "v")(asio::bind_executor(strand, [&](std::exception_ptr failure) {
    EXPECT_EQ(failure, nullptr);
    EXPECT_TRUE(strand.running_in_this_thread());
    told.push_back("set");
    kv.get_or_throw("absent")(asio::bind_executor(strand, [&](std::exception_ptr inner, const std::string&) {
      EXPECT_TRUE(strand.running_in_this_thread());
      EXPECT_EQ(code_thrown(inner), Code::NotFound);
      told.push_back("get");
    }));
    EXPECT_THAT(told, ElementsAre("set"));
  }));
  EXPECT_THAT(told, ElementsAre());
  context.run();  // has work as long as a call is under way
  EXPECT_THAT(told, ElementsAre("set", "get"));
}

TEST_P(AsioCalls, S51_AContextHasWorkWhileACallIsUnderWay) {
  asio::io_context context;
  std::atomic<bool> released = false;
  bool told = false;
  store().async().offload([&](Store&) {
    while (!released) std::this_thread::yield();
  })(asio::bind_executor(context, [&](std::exception_ptr) { told = true; }));
  EXPECT_EQ(context.poll(), 0u);
  EXPECT_FALSE(context.stopped());
  released = true;
  context.run();
  EXPECT_TRUE(told);
}

/// What stays of a handler in the store, once it has been posted, holds up the thread that lets go of it.
class LingeringHandler {
 public:
  struct Seen {
    std::thread::id loop = std::this_thread::get_id();
    std::atomic<bool> told = false;
    std::binary_semaphore lingers{0};
    std::binary_semaphore released{0};
    std::atomic<bool> gone = false;
  };

  explicit LingeringHandler(Seen& seen) : seen_(seen) {}
  LingeringHandler(LingeringHandler&& other) noexcept : seen_(other.seen_) {}
  LingeringHandler& operator=(LingeringHandler&&) = delete;
  ~LingeringHandler() {
    // The one that the call was given; those made of it elsewhere are on their way to the loop.
    if (made_on_ != seen_.loop || std::this_thread::get_id() == seen_.loop) return;
    seen_.lingers.release();
    seen_.released.acquire();
    seen_.gone = true;
  }

  void operator()(const std::exception_ptr& failure) {
    EXPECT_EQ(failure, nullptr);
    seen_.told = true;
  }

 private:
  Seen& seen_;
  std::thread::id made_on_ = std::this_thread::get_id();
};

TEST_P(AsioCalls, S81_AContextHasWorkUntilTheStoreHasLetGoAndNoLonger) {
  const AsyncStore kv = store().async();
  asio::io_context context;
  LingeringHandler::Seen seen;
  std::binary_semaphore runs(0);
  kv.offload([&](Store&) { runs.acquire(); })(asio::bind_executor(context, LingeringHandler(seen)));
  EXPECT_EQ(context.poll(), 0u);
  EXPECT_FALSE(context.stopped());

  // Calls of others, and those that are not made, are no work of it.
  asio::io_context other;
  bool told = false;
  kv.exists("k")(asio::bind_executor(other, [&](std::exception_ptr, bool) { told = true; }));
  other.run();
  EXPECT_TRUE(told);
  other.restart();
  {
    auto never_made = kv.increment("n")(asio::experimental::deferred);
    auto never_awaited = kv.increment("n")(use_awaitable);
  }
  EXPECT_EQ(other.poll(), 0u);
  EXPECT_TRUE(other.stopped());

  runs.release();
  ASSERT_TRUE(seen.lingers.try_acquire_for(std::chrono::seconds(10)))
      << "nobody let go of the handler, or after its work had ended";
  EXPECT_EQ(context.poll(), 1u);
  EXPECT_TRUE(seen.told);
  EXPECT_FALSE(context.stopped()) << "a thread of the store has something of Asio's";
  seen.released.release();
  context.run();
  EXPECT_TRUE(seen.gone);
  while (!seen.gone) std::this_thread::yield();
}

TEST_P(AsioCalls, FuturesHaveTheResultOrTheFailure) {
  const AsyncStore kv = store().async();
  asio::io_context context;
  const auto token = asio::bind_executor(context, asio::use_future);
  std::future<void> set = kv.set("k", "v")(token);
  context.run();
  set.get();
  context.restart();
  std::future<std::optional<std::string>> value = kv.get("k")(token);
  std::future<std::string> absent = kv.get_or_throw("absent")(token);
  context.run();
  EXPECT_EQ(value.get(), "v");
  EXPECT_EQ(error_of([&] { return absent.get(); }).code(), Code::NotFound);
}

TEST_P(AsioCalls, DeferredCallsAreMadeWhenTheyAreInitiated) {
  const AsyncStore kv = store().async();
  asio::io_context context;
  auto write = kv.increment("n")(asio::experimental::deferred);
  auto failing = kv.get_or_throw("absent")(asio::experimental::deferred);
  EXPECT_EQ(store().count(), 0u);
  std::vector<std::optional<Code>> codes;
  std::move(write)(asio::bind_executor(context, [&](std::exception_ptr failure, std::int64_t number) {
    codes.push_back(code_thrown(failure));
    EXPECT_EQ(number, 1);
    std::move(failing)(asio::bind_executor(
        context, [&](std::exception_ptr inner, const std::string&) { codes.push_back(code_thrown(inner)); }));
  }));
  context.run();
  EXPECT_THAT(codes, ElementsAre(std::nullopt, Optional(Code::NotFound)));
}

asio::awaitable<void> count_up(AsyncStore kv, int times) {
  for (int i = 0; i < times; ++i) co_await kv.increment("n")(use_awaitable);
}

TEST_P(AsioCalls, ManyAtOnceOnSeveralThreads) {
  constexpr int kCoroutines = 50;
  constexpr int kTimes = 4;
  asio::io_context context;
  std::atomic<int> ended = 0;
  for (int i = 0; i < kCoroutines; ++i) {
    asio::co_spawn(asio::make_strand(context), count_up(store().async(), kTimes), [&](std::exception_ptr failure) {
      EXPECT_EQ(code_thrown(failure), std::nullopt);
      ++ended;
    });
  }
  run_together(2, [&](int) { context.run(); });
  EXPECT_EQ(ended, kCoroutines);
  EXPECT_EQ(get("n"), std::to_string(kCoroutines * kTimes));
}

// Cancellation is left out: what the other side of || makes of a call changes nothing of it.
asio::awaitable<void> race_with_time(AsyncStore kv) {
  using namespace asio::experimental::awaitable_operators;
  asio::steady_timer timer(co_await asio::this_coro::executor, 0ms);
  auto number = kv.increment("n");
  co_await (std::move(number)(use_awaitable) || timer.async_wait(use_awaitable));
}

TEST_P(AsioCalls, ACallThatItsCallerCancelsEndsWithItsTrueResult) {
  asio::io_context context;
  run_to_end(race_with_time(store().async()), context);
  EXPECT_EQ(get("n"), "1");
}

TEST_P(AsioCalls, AStoreThatIsClosedEndsEveryCall) {
  constexpr int kCalls = 100;
  const AsyncStore kv = store().async();
  asio::io_context context;
  std::vector<std::optional<Code>> codes;
  for (int i = 0; i < kCalls; ++i) {
    kv.set("k" + std::to_string(i), "v")(
        asio::bind_executor(context, [&](std::exception_ptr failure) { codes.push_back(code_thrown(failure)); }));
    if (i == kCalls / 2) store().close();
  }
  context.run();
  ASSERT_EQ(std::ssize(codes), kCalls);
  for (const std::optional<Code>& code : codes) EXPECT_EQ(code.value_or(Code::Closed), Code::Closed);
  EXPECT_GE(std::count(codes.begin(), codes.end(), std::optional(Code::Closed)), kCalls / 2 - 1);
}

asio::awaitable<void> hold(AsyncStore kv, std::shared_ptr<int> held) {
  co_await kv.set("k", "v")(use_awaitable);
  ++*held;
}

/// A directory of a store whose calls end where they are made (relaxed), or on a thread of the store (durable).
struct AsioDirectory {
  explicit AsioDirectory(const std::string& durability)
      : url("file:" + directory.path("data") + "?durability=" + durability) {}

  /// The entries. Where the last handle died on a thread of the store, opening waits for that to close.
  std::uint64_t count() const { return Store::open(url).count(); }

  TemporaryDirectory directory;
  std::string url;
};

TEST(AsioLifetime, S82_TheLastHandleGoesWhileCallsAreUnderWay) {
  constexpr int kCalls = 50;
  const AsioDirectory directory("durable");
  asio::io_context context;
  int told = 0;
  {
    const AsyncStore kv = Store::open(directory.url).async();
    for (int i = 0; i < kCalls; ++i) {
      kv.set("k" + std::to_string(i), "v")(asio::bind_executor(context, [&](std::exception_ptr failure) {
        EXPECT_EQ(code_thrown(failure), std::nullopt);
        ++told;
      }));
    }
  }  // from here on the calls keep the store
  context.run();
  EXPECT_EQ(told, kCalls);
  EXPECT_EQ(directory.count(), std::uint64_t{kCalls});
}

asio::awaitable<void> write_and_keep(Store kept, std::string key) {
  co_await kept.async().set(key, "v")(use_awaitable);
  ADD_FAILURE() << "resumed by a context that was never run";
}

TEST(AsioLifetime, S82_AContextGoesWithWhatWasPostedAndWithTheLastHandles) {
  constexpr int kCalls = 20;
  const AsioDirectory directory("relaxed");
  {
    asio::io_context context;
    std::optional<Store> store(Store::open(directory.url));
    for (int i = 0; i < kCalls; ++i) {
      asio::co_spawn(context, write_and_keep(*store, "co" + std::to_string(i)), asio::detached);
    }
    for (int i = 0; i < kCalls; ++i) context.run_one();
    for (int i = 0; i < kCalls; ++i) {
      store->async().set("cb" + std::to_string(i), "v")(
          asio::bind_executor(context, [last = *store](std::exception_ptr) { ADD_FAILURE() << "never run"; }));
    }
    store.reset();
    expect_refused([&] { return Store::open(directory.url); }, Code::Busy);  // what was posted keeps it open
  }
  // It was closed on this thread: nothing has to be waited for.
  EXPECT_EQ(Store::open(directory.url).count(), std::uint64_t{2 * kCalls});
}

TEST(AsioLifetime, ACoroutineIsDestroyedWithItsContextWhileItWaits) {
  const Store store = Store::open("memory:");
  const auto held = std::make_shared<int>(0);
  {
    asio::io_context context;
    asio::co_spawn(context, hold(store.async(), held), asio::detached);
    context.run_one();
    EXPECT_EQ(store.get("k"), "v") << "the call has been made and its end posted";
    EXPECT_EQ(held.use_count(), 2);
  }
  EXPECT_EQ(held.use_count(), 1);
  EXPECT_EQ(*held, 0);
}

}  // namespace
}  // namespace tuskv::test
