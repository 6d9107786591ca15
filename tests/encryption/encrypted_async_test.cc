// Asynchronous calls: those that pass through encrypted, and those that need plaintext and take turns on a thread.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "encryption/encrypted_store.h"
#include "encryption/refusal.h"
#include "support/temporary_directory.h"
#include "support/turned_encryptor.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;
using testing::Optional;

TEST(EncryptedAsync, WhatIsSubmittedIsStoredEncryptedAndComesBack) {
  EncryptedStore store(std::make_shared<TurnedEncryptor>("K"));
  submitted(store->async().set("k", std::string("abc")));
  EXPECT_EQ(store.stored("k").value, std::string("K\0k|cba", 7));
  EXPECT_THAT(submitted(store->async().get("k")), Optional(std::string("abc")));
}

/// An asynchronous call of the engine.
struct Ended final : Submission {
  std::promise<void> promise = {};
};

TEST(EncryptedAsync, NoCiphertextComesOutOfAFailedCall) {
  EncryptedStore store(aes());
  store->set("k", "v");
  std::string into = "before";
  Command read(Read{.key = std::string_view("\0k", 2), .into = &into});
  Ended call;
  call.unit.commands = std::span(&read, 1);
  call.done = [](Submission& ended) noexcept { static_cast<Ended&>(ended).promise.set_value(); };
  store.raw->lose_answer(Code::Timeout);
  store.engine->submit(call);
  call.promise.get_future().wait();
  EXPECT_NE(call.unit.failure, nullptr);
  EXPECT_EQ(into, "");
}

/// Holds up whoever decrypts, until it is let go.
class Gate final {
 public:
  void pass() {
    if (!is_shut_) return;
    reached_.set_value();
    open_.get_future().wait();
    is_shut_ = false;
  }
  void shut() { is_shut_ = true; }
  void wait_until_reached() { reached_.get_future().wait(); }
  void open() { open_.set_value(); }

 private:
  std::atomic<bool> is_shut_ = false;
  std::promise<void> reached_ = {};
  std::promise<void> open_ = {};
};

TEST(EncryptedAsync, CallsThatWaitForTheThreadEndAtTheirDeadlineOrWithTheStore) {
  Gate gate;
  EncryptedStore store(std::make_shared<TurnedEncryptor>("K", [&](std::string_view call) {
    if (call == "decrypt") gate.pass();
  }));
  store->set("n", "1");
  gate.shut();
  std::promise<std::int64_t> first;
  store->async().increment("n").then(
      [&](std::exception_ptr failed, std::int64_t sum) { first.set_value(failed == nullptr ? sum : 0); });
  gate.wait_until_reached();
  const auto ended = [](std::promise<std::string>& end) {
    return [&end](std::exception_ptr failed, std::int64_t) {
      end.set_value(refusal_of([&] {
        if (failed) std::rethrow_exception(failed);
      }));
    };
  };
  std::promise<std::string> late;
  store->with_timeout(1ms).async().increment("n").then(ended(late));
  std::promise<std::string> next;
  EXPECT_EQ(late.get_future().get(), "Timeout: the deadline passed while the call waited for its turn");
  gate.open();
  EXPECT_EQ(first.get_future().get(), 2);
  store->close();
  store->async().increment("n").then(ended(next));
  EXPECT_EQ(next.get_future().get(), "Closed: the store is closed");
}

TEST(EncryptedAsync, ClosingEndsWhatWaits) {
  Gate gate;
  EncryptedStore store(std::make_shared<TurnedEncryptor>("K", [&](std::string_view call) {
    if (call == "decrypt") gate.pass();
  }));
  store->set("n", "1");
  gate.shut();
  std::promise<void> first;
  store->async().increment("n").then([&](std::exception_ptr, std::int64_t) { first.set_value(); });
  gate.wait_until_reached();
  std::promise<bool> closed;
  store->async().increment("n").then(
      [&](std::exception_ptr failed, std::int64_t) { closed.set_value(failed != nullptr); });
  store->close();
  EXPECT_TRUE(closed.get_future().get());
  gate.open();
  first.get_future().wait();  // it keeps the engine, not the clock
}

/// Sets one key again and again without waiting; how many calls fail.
int set_in_order(const Store& store, int calls) {
  const AsyncStore async = store.async();
  std::vector<std::promise<bool>> ends(static_cast<std::size_t>(calls));
  for (int i = 0; i < calls; ++i) {
    std::promise<bool>& end = ends[static_cast<std::size_t>(i)];
    async.set("k", std::to_string(i)).then([&end](std::exception_ptr failed) { end.set_value(failed != nullptr); });
  }
  int failed = 0;
  for (std::promise<bool>& end : ends) failed += end.get_future().get() ? 1 : 0;
  return failed;
}

/// Whether the marker is there from the opening, or comes with the first value.
TEST(EncryptedAsync, S116_TheFirstValuesAreStoredInTheOrderOfTheCalls) {
  constexpr int kCalls = 5000;
  const auto encryptor = std::make_shared<TurnedEncryptor>("K", [](std::string_view call) {
    if (call == "decrypt") std::this_thread::sleep_for(50ms);  // many come while somebody looks at the marker
  });
  for (const bool create : {true, false}) {
    SCOPED_TRACE(create);
    const TemporaryDirectory directory;
    const std::string url = "file:" + directory.path("store");
    { Store::open(url); }
    Options options{.encryptor = encryptor};
    options.create = create;
    const Store store = Store::open(url, options);
    EXPECT_EQ(set_in_order(store, kCalls), 0);
    EXPECT_THAT(store.get("k"), Optional(std::to_string(kCalls - 1)));
  }
}

/// The reads and erases that come behind a value which waits for the marker, too.
TEST(EncryptedAsync, S116_NothingOvertakesAValueThatWaitsForTheMarker) {
  Gate gate;
  ManualClock clock;
  auto encrypted = encryption::EncryptedEngine::open(
      {.engine = std::make_unique<ReferenceEngine>(clock),
       .encryptor = std::make_shared<TurnedEncryptor>("K", [&](std::string_view call) {
         if (call == "decrypt") gate.pass();
       })});
  const Store store = store_on(std::move(encrypted).value(), {});
  gate.shut();
  std::promise<void> set;
  std::promise<std::optional<std::string>> read;
  std::promise<bool> erased;
  store.async().set("k", std::string("v")).then([&](std::exception_ptr) { set.set_value(); });
  gate.wait_until_reached();
  store.async().get("k").then(
      [&](std::exception_ptr, std::optional<std::string> value) { read.set_value(std::move(value)); });
  store.async().erase("k").then([&](std::exception_ptr, bool was_there) { erased.set_value(was_there); });
  gate.open();
  set.get_future().wait();
  EXPECT_THAT(read.get_future().get(), Optional(std::string("v")));
  EXPECT_TRUE(erased.get_future().get());
  EXPECT_FALSE(store.get("k"));
}

TEST(EncryptedAsync, TheLastHandleMayDieOnTheThread) {
  ManualClock clock;
  std::atomic<bool> destroyed = false;
  {
    auto inner = std::make_unique<ReferenceEngine>(clock, ReferenceEngine::Settings{.destroyed = &destroyed});
    auto encrypted =
        encryption::EncryptedEngine::open({.engine = std::move(inner), .encryptor = aes(), .is_kept = false});
    Store store = store_on(std::move(encrypted).value(), {});
    store.async().increment("n").then([](std::exception_ptr, std::int64_t) {});
  }
  while (!destroyed) std::this_thread::yield();
}

}  // namespace
}  // namespace tuskv::test
