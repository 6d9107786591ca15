// AsyncStore::offload: blocking code on threads of the store.
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <latch>
#include <memory>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "api/reference_store.h"
#include "api/task.h"
#include "named_limits.h"
#include "support/submitted.h"

namespace tuskv::test {
namespace {

/// Blocks one thread of the store until it is let go.
class Blocker final {
 public:
  explicit Blocker(const AsyncStore& kv) {
    kv.offload([this](Store&) {
        begun_.release();
        released_.acquire();
      }).then([this](std::exception_ptr) { ended_.release(); });
    begun_.acquire();
  }
  Blocker(const Blocker&) = delete;
  Blocker& operator=(const Blocker&) = delete;
  ~Blocker() {
    release();
    ended_.acquire();
  }

  void release() {
    if (!is_released_) released_.release();
    is_released_ = true;
  }

 private:
  std::binary_semaphore begun_{0};
  std::binary_semaphore released_{0};
  std::binary_semaphore ended_{0};
  bool is_released_ = false;
};

std::int64_t spend(Store& store, const std::string& account, std::int64_t amount) {
  return store.transaction([&](Transaction& tx) {
    if (!tx.exists(account)) throw std::range_error(account);
    return tx.decrement(account, amount);
  });
}

Task spend_all(AsyncStore kv, std::thread::id caller) {
  // What the function needs is given as arguments: g++ 12 destroys captured strings twice within co_await.
  EXPECT_EQ(co_await kv.offload(spend, std::string(100, 'a'), 3), 6);
  std::string thrown;
  try {
    co_await kv.offload(spend, std::string(100, 'b'), 3);
  } catch (const std::range_error& error) {
    thrown = error.what();
  }
  EXPECT_EQ(thrown, std::string(100, 'b')) << "exceptions come out where the result would";
  auto elsewhere = co_await kv.offload([](Store&) { return std::this_thread::get_id(); });
  EXPECT_NE(elsewhere, caller);
}

TEST(Offload, RunsBlockingCodeOnAThreadOfTheStoreAndGivesItsResult) {
  ReferenceStore store;
  store->set(std::string(100, 'a'), "9");
  spend_all(store->async(), std::this_thread::get_id()).finish();
  EXPECT_EQ(store->get(std::string(100, 'a')), "6");
  const AsyncStore inside = store->async().with_namespace("n");
  submitted(inside.offload([](Store& same) { same.update("k", [](auto) { return Change("v"); }); }));
  EXPECT_EQ(store->with_namespace("n").get("k"), "v");
}

TEST(Offload, MovesWhatItIsGivenAndWhatItReturns) {
  ReferenceStore store;
  auto call =
      store->async().offload([](Store&, std::unique_ptr<int> number) { return number; }, std::make_unique<int>(7));
  EXPECT_EQ(*std::move(call).wait(), 7);
  auto by_callback =
      store->async().offload([](Store&, std::unique_ptr<int> number) { return number; }, std::make_unique<int>(8));
  std::promise<std::unique_ptr<int>> number;
  std::move(by_callback).then([&](std::exception_ptr, std::unique_ptr<int> result) {
    number.set_value(std::move(result));
  });
  EXPECT_EQ(*number.get_future().get(), 8);
}

TEST(Offload, WhoWaitsRunsItItself) {
  ReferenceStore store;
  const auto here = std::this_thread::get_id();
  EXPECT_EQ(store->async().offload([](Store&) { return std::this_thread::get_id(); }).wait(), here);
  EXPECT_EQ(code_of([&] { store->async().offload([](Store& same) { same.get_or_throw("absent"); }).wait(); }),
            Code::NotFound);
  // Even when none of the threads is left: nobody waits for himself.
  const std::vector<int> nested = submitted(store->async().offload([](Store& same) {
    std::vector<int> results;
    for (int i = 0; i < 3; ++i) results.push_back(same.async().offload([i](Store&) { return i; }).wait());
    return results;
  }));
  EXPECT_EQ(nested, (std::vector<int>{0, 1, 2}));
}

TEST(Offload, IsRefusedInATransactionAsAnyCallOnTheStoreIs) {
  ReferenceStore store;
  const AsyncStore kv = store->async();
  const auto code =
      store->transaction([&](Transaction&) { return code_of([&] { kv.offload([](Store&) {}).wait(); }); });
  EXPECT_EQ(code, Code::InvalidArgument);
}

TEST(Offload, S52_OnlySoManyRunAndOnlySoManyWait) {
  std::latch all_run(kOffloadThreadsMax);
  std::counting_semaphore<> ended(0);
  std::atomic<std::size_t> ran = 0;
  std::exception_ptr refused;
  ReferenceStore store;
  const AsyncStore kv = store->async();
  // As many as there are threads run at the same time.
  for (std::size_t i = 0; i < kOffloadThreadsMax; ++i) {
    kv.offload([&](Store&) { all_run.arrive_and_wait(); }).then([&](std::exception_ptr) { ended.release(); });
  }
  for (std::size_t i = 0; i < kOffloadThreadsMax; ++i) ended.acquire();

  std::vector<std::unique_ptr<Blocker>> blockers;
  for (std::size_t i = 0; i < kOffloadThreadsMax; ++i) blockers.push_back(std::make_unique<Blocker>(kv));
  for (std::size_t i = 0; i < kOffloadedCallsMax; ++i) {
    kv.offload([&](Store&) { ++ran; }).then([&](std::exception_ptr failure) {
      EXPECT_EQ(failure, nullptr);
      ended.release();
    });
  }
  kv.offload([&](Store&) { ++ran; }).then([&](std::exception_ptr failure) { refused = std::move(failure); });
  try {
    if (refused) std::rethrow_exception(refused);
    ADD_FAILURE() << "one more than may wait was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::Busy);
    EXPECT_EQ(error.outcome(), Outcome::not_applied);
  }
  EXPECT_EQ(ran, 0u) << "all threads are taken";
  blockers.clear();
  for (std::size_t i = 0; i < kOffloadedCallsMax; ++i) ended.acquire();
  EXPECT_EQ(ran, kOffloadedCallsMax);
}

TEST(Offload, S53_TheLastHandleDiesOnAThreadOfTheStore) {
  ManualClock clock;
  for (int round = 0; round < 20; ++round) {
    std::atomic<bool> destroyed = false;
    std::promise<void> ended;
    {
      Store store =
          store_on(std::make_unique<ReferenceEngine>(clock, ReferenceEngine::Settings{.destroyed = &destroyed}), {});
      auto call = store.async().offload([](Store& same, const Store&) { same.set("k", "v"); }, store);
      std::move(call).then([last = Store(store), &ended](std::exception_ptr) { ended.set_value(); });
    }  // from here on those of the call and of its callback are the last
    ended.get_future().get();
    while (!destroyed) std::this_thread::yield();
  }
}

TEST(Offload, S54_CloseWaitsForWhatRunsEndsWhatWaitsAndRefusesTheRest) {
  std::promise<void> begun;
  std::promise<void> released;
  std::promise<std::exception_ptr> last;
  std::promise<std::exception_ptr> waits;
  ReferenceStore store;
  const AsyncStore kv = store->async();
  std::vector<std::unique_ptr<Blocker>> blockers;
  for (std::size_t i = 1; i < kOffloadThreadsMax; ++i) blockers.push_back(std::make_unique<Blocker>(kv));
  kv.offload([&](Store& same) {
      begun.set_value();
      released.get_future().wait();
      same.set("k", "v");
    }).then([&](std::exception_ptr failure) { last.set_value(failure); });
  begun.get_future().wait();
  kv.offload([](Store&) {}).then([&](std::exception_ptr failure) { waits.set_value(failure); });

  std::atomic<bool> closed = false;
  std::thread closing([&] {
    store->close();
    closed = true;
  });
  const std::exception_ptr ended = waits.get_future().get();
  EXPECT_EQ(code_of([&] {
              if (ended) std::rethrow_exception(ended);
            }),
            Code::Closed);
  EXPECT_EQ(code_of([&] { submitted(kv.offload([](Store&) {})); }), Code::Closed);
  EXPECT_EQ(code_of([&] { kv.offload([](Store&) {}).wait(); }), Code::Closed);
  blockers.clear();
  EXPECT_FALSE(closed) << "one still runs";
  EXPECT_EQ(store->count(), 0u) << "and has an open store";
  released.set_value();
  EXPECT_EQ(last.get_future().get(), nullptr) << "the write of a function that ran was cut off";
  closing.join();
  EXPECT_TRUE(closed);
}

TEST(Offload, S54_CloseWithinIsRefusedAndChangesNothing) {
  ReferenceStore store;
  EXPECT_EQ(code_of([&] { submitted(store->async().offload([](Store& same) { same.close(); })); }),
            Code::InvalidArgument);
  store->set("k", "v");
  // Another store is none of its business.
  ReferenceStore other;
  submitted(store->async().offload([&](Store&) { other->close(); }));
  EXPECT_EQ(code_of([&] { other->get("k"); }), Code::Closed);
  store->close();
}

Task wait_for(AsyncStore kv, std::binary_semaphore& begun, std::binary_semaphore& released, std::shared_ptr<int> given,
              bool& resumed) {
  co_await kv.offload(
      [&](Store& same, const std::shared_ptr<int>&) {
        begun.release();
        released.acquire();
        same.set("k", "v");
      },
      given);
  resumed = true;
}

TEST(Offload, ACoroutineThatIsDestroyedGivesUpTheReplyAlone) {
  std::binary_semaphore begun(0);
  std::binary_semaphore released(0);
  const auto given = std::make_shared<int>(0);
  bool resumed = false;
  ReferenceStore store;
  {
    const Task abandoned = wait_for(store->async(), begun, released, given, resumed);
    begun.acquire();
  }
  EXPECT_EQ(given.use_count(), 2) << "what the function was given stays while it runs";
  released.release();
  while (given.use_count() != 1) std::this_thread::yield();
  EXPECT_EQ(store->get("k"), "v");
  EXPECT_FALSE(resumed);
}

}  // namespace
}  // namespace tuskv::test
