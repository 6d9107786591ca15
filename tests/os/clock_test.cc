#include "os/clock.h"

#include <gtest/gtest.h>

#include <chrono>

#include "support/manual_clock.h"

namespace tuskv::os {
namespace {

TEST(SystemClock, TellsTheWallTimeInMicroseconds) {
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  const std::int64_t expected = std::chrono::duration_cast<std::chrono::microseconds>(wall).count();
  EXPECT_NEAR(static_cast<double>(SystemClock().now_us()), static_cast<double>(expected), 60e6);
}

TEST(ManualClock, StandsStillUntilMoved) {
  test::ManualClock clock(1'000);
  const Clock& seen = clock;
  EXPECT_EQ(seen.now_us(), 1'000);
  clock.advance_ms(2);
  EXPECT_EQ(seen.now_us(), 3'000);
  clock.advance_us(-500);
  EXPECT_EQ(seen.now_us(), 2'500);
  clock.set_us(7);
  EXPECT_EQ(seen.now_us(), 7);
}

}  // namespace
}  // namespace tuskv::os
