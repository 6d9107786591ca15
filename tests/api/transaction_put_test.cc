// What puts in a transaction rest on: an entry that they need not know, and the time.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <thread>

#include "api/reference_store.h"
#include "os/deadline.h"

namespace tuskv::test {
namespace {

using namespace std::chrono_literals;

TEST(TransactionPut, BlindPutsDependOnNothing) {
  ReferenceStore store;
  store->set("k", "0");
  int attempts = 0;
  store->transaction([&](Transaction& tx) {
    ++attempts;
    tx.set("k", "mine");
    tx.set_many({{.key = "k", .value = "mine too"}, {.key = "other", .value = "1"}});
    EXPECT_EQ(tx.get("k"), "mine too");
    store.engine->put("k", "theirs");
    store.engine->put("other", "theirs");
  });
  EXPECT_EQ(attempts, 1);
  EXPECT_EQ(store->get("k"), "mine too");
  EXPECT_EQ(store->get("other"), "1");
}

TEST(TransactionPut, R127_APutUntilAnInstantToComeReadsNothing) {
  int reads = 0;
  ReferenceStore store({.on_read = [&] { ++reads; }});
  store->transaction([&](Transaction& tx) {
    for (int i = 0; i < 1000; ++i) tx.set(std::to_string(i), "v", {.expires_at = TimePoint::clock::now() + 1h});
  });
  EXPECT_EQ(reads, 0);
}

TEST(TransactionPut, R128_TheTimeIsComparedWithTheClockThatRanWhenItWasTold) {
  std::int64_t read_us = 0;
  std::int64_t ahead_us = 0;
  ReferenceStore store({.on_read =
                            [&] {
                              read_us = os::steady_us();
                              std::this_thread::sleep_for(5ms);
                            },
                        .on_commit = [&](const OptimisticTransaction& done) { ahead_us = done.clock_ahead_us_min; }});
  store->transaction(
      [&](Transaction& tx) { EXPECT_TRUE(tx.set_if_absent("k", "v", {.expires_at = TimePoint::clock::now() + 1h})); });
  ASSERT_NE(read_us, 0);
  EXPECT_GE(ahead_us, store.clock.now_us() - read_us) << "the time was told before the read";
}

}  // namespace
}  // namespace tuskv::test
