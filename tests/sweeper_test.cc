#include "sweeper.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using Clock = std::chrono::steady_clock;

/// Stores that were opened together must not sweep together for ever. A thread that waits wakes up late, never early:
/// a round that begins before its interval is over tells that intervals differ.
TEST(Sweeper, R114_RoundsOfManyStoresDoNotStayTogether) {
  std::atomic<int> early = 0;
  std::atomic<int> too_early = 0;
  std::optional<Clock::time_point> last;
  Sweeper sweeper([&](std::size_t) -> std::uint64_t {
    const Clock::time_point now = Clock::now();
    if (last && now - *last < 49ms) ++early;
    if (last && now - *last < 45ms) ++too_early;
    last = now;
    return 0;
  });
  ASSERT_TRUE(sweeper.start({.interval_ms = 50, .batch = 10}).ok());
  const Clock::time_point deadline = Clock::now() + 5s;
  while (early == 0 && Clock::now() < deadline) std::this_thread::sleep_for(5ms);
  sweeper.stop();
  EXPECT_GT(early, 0);
  EXPECT_EQ(too_early, 0);
}

}  // namespace
}  // namespace tuskv::test
