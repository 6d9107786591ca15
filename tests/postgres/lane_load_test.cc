#include "postgres/lane_load.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace tuskv::postgres {
namespace {

using Arrival = LaneLoad::Arrival;

TEST(LaneLoad, FewGoDirectlyAndOneMoreDoesNot) {
  LaneLoad load({.direct_callers = 2, .batches = 4, .fill = 0.5});
  EXPECT_EQ(load.arrive(true), Arrival::direct);
  EXPECT_EQ(load.arrive(true), Arrival::direct);
  EXPECT_EQ(load.arrive(true), Arrival::queued);
  EXPECT_EQ(load.running(), 2U);
  EXPECT_EQ(load.inside(), 3U);
}

TEST(LaneLoad, SubmissionsNeverGoDirectly) {
  LaneLoad load({.direct_callers = 2, .batches = 4, .fill = 0.5});
  EXPECT_EQ(load.arrive(false), Arrival::queued);
  EXPECT_EQ(load.running(), 0U);
}

TEST(LaneLoad, NobodyPassesABatchThatWaits) {
  LaneLoad load({.direct_callers = 2, .batches = 4, .fill = 0.5});
  load.set_waiting(true);
  EXPECT_EQ(load.arrive(true), Arrival::queued);
  load.set_waiting(false);
  EXPECT_EQ(load.arrive(true), Arrival::direct);
  load.set_waiting(true);
  EXPECT_TRUE(load.depart_direct()) << "the batch that waits is looked after";
}

/// 0.2 % with every arrival: from 64 callers to 4 in about ln(16) * 512 arrivals.
TEST(LaneLoad, ThePeakDecaysWithArrivals) {
  LaneLoad load({.direct_callers = 4, .batches = 4, .fill = 0.2});
  for (int i = 0; i < 64; ++i) static_cast<void>(load.arrive(false));
  for (int i = 0; i < 64; ++i) load.depart();
  EXPECT_NEAR(load.peak(), 64, 0.01);
  int arrivals = 0;
  for (; arrivals < 10'000; ++arrivals) {
    if (load.arrive(true) == Arrival::direct) break;
    load.depart();
  }
  EXPECT_GT(arrivals, 1200);
  EXPECT_LT(arrivals, 1500);
}

TEST(LaneLoad, ThePeakDecaysToASingleCaller) {
  LaneLoad load({.direct_callers = 1, .batches = 1, .fill = 0.2});
  for (int i = 0; i < 3; ++i) static_cast<void>(load.arrive(false));
  for (int i = 0; i < 3; ++i) load.depart();
  for (int i = 0; i < 2000; ++i) {
    static_cast<void>(load.arrive(false));
    load.depart();
  }
  EXPECT_EQ(load.arrive(true), Arrival::direct);
}

TEST(LaneLoad, ABatchGoesWhenNothingRunsOrFewRunAndItIsFilled) {
  LaneLoad load({.direct_callers = 0, .batches = 2, .fill = 0.5});
  for (int i = 0; i < 10; ++i) static_cast<void>(load.arrive(false));
  EXPECT_TRUE(load.try_start(1, false)) << "nothing runs";
  EXPECT_FALSE(load.try_start(4, false)) << "less than half of the ten";
  EXPECT_TRUE(load.try_start(5, false));
  EXPECT_FALSE(load.try_start(10, true)) << "two run";
  load.end_run();
  EXPECT_TRUE(load.try_start(1, true)) << "it takes no more members";
}

TEST(LaneLoad, ClosedAndFullLanesLetNobodyIn) {
  LaneLoad full({.direct_callers = 1, .batches = 1, .fill = 0.2});
  for (std::uint32_t i = 0; i < kLaneCallersMax; ++i) static_cast<void>(full.arrive(false));
  EXPECT_EQ(full.arrive(true), Arrival::full);
  EXPECT_EQ(full.inside(), kLaneCallersMax);
  EXPECT_NEAR(full.peak(), kLaneCallersMax, 0.01);
  full.depart();
  EXPECT_EQ(full.arrive(true), Arrival::queued);
  full.close();
  EXPECT_EQ(full.arrive(true), Arrival::closed);
}

TEST(LaneLoad, CountsAreExactUnderContention) {
  LaneLoad load({.direct_callers = 3, .batches = 2, .fill = 0.2});
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&load] {
      for (int j = 0; j < 20'000; ++j) {
        if (load.arrive(true) == Arrival::direct) {
          static_cast<void>(load.depart_direct());
        } else {
          load.depart();
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(load.inside(), 0U);
  EXPECT_EQ(load.running(), 0U);
}

}  // namespace
}  // namespace tuskv::postgres
