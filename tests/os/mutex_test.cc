#include "os/mutex.h"

#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <thread>
#include <vector>

namespace tuskv::os {
namespace {

using std::chrono_literals::operator""ms;

class Counter final {
 public:
  void add() TUSKV_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    ++value_;
    changed_.notify_all();
  }
  int wait_for_at_least(int target) TUSKV_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    while (value_ < target) changed_.wait(mutex_);
    return value_;
  }
  bool wait_until(std::chrono::steady_clock::time_point deadline) TUSKV_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    while (value_ == 0) {
      if (!changed_.wait_until(mutex_, deadline)) return false;
    }
    return true;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int value_ TUSKV_GUARDED_BY(mutex_) = 0;
};

TEST(CondVar, WakesTheWaiterAndKeepsTheCountExact) {
  Counter counter;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&counter] {
      for (int j = 0; j < 1000; ++j) counter.add();
    });
  }
  EXPECT_EQ(counter.wait_for_at_least(4000), 4000);
  for (std::thread& thread : threads) thread.join();
}

TEST(CondVar, WaitUntilEndsAtItsDeadline) {
  Counter counter;
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(counter.wait_until(start + 5ms));
  EXPECT_GE(std::chrono::steady_clock::now(), start + 5ms);
  counter.add();
  EXPECT_TRUE(counter.wait_until(start + 5ms));
}

TEST(CondVar, WaitForEndsAndStillHoldsTheLock) {
  Mutex mutex;
  CondVar changed;
  mutex.lock();
  while (changed.wait_for(mutex, 1ms)) {
  }
  bool taken = true;
  std::thread([&] { taken = mutex.try_lock(); }).join();
  EXPECT_FALSE(taken);
  mutex.unlock();
}

TEST(MutexLock, LetsGoInBetween) {
  Mutex mutex;
  const auto free = [&mutex] {
    bool taken = false;
    std::thread([&]() TUSKV_NO_THREAD_SAFETY_ANALYSIS {
      taken = mutex.try_lock();
      if (taken) mutex.unlock();
    }).join();
    return taken;
  };
  {
    MutexLock lock(mutex);
    EXPECT_FALSE(free());
    lock.unlock();
    EXPECT_TRUE(free());
    lock.lock();
    EXPECT_FALSE(free());
  }
  EXPECT_TRUE(free());
}

TEST(SharedMutex, ReadersShare) {
  SharedMutex mutex;
  std::barrier both_inside(2);  // exclusive readers would never meet
  const auto read = [&] {
    ReaderLock reader(mutex);
    both_inside.arrive_and_wait();
  };
  std::thread other(read);
  read();
  other.join();
}

TEST(SharedMutex, AWriterExcludesEverybody) {
  constexpr int kRounds = 2000;
  SharedMutex mutex;
  int first = 0;
  int second = 0;
  std::atomic<int> torn_reads = 0;
  const auto write = [&] {
    for (int i = 0; i < kRounds; ++i) {
      WriterLock writer(mutex);
      ++first;
      ++second;
    }
  };
  const auto read = [&] {
    for (int i = 0; i < kRounds; ++i) {
      ReaderLock reader(mutex);
      if (first != second) ++torn_reads;
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back(write);
    threads.emplace_back(read);
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(torn_reads, 0);
  EXPECT_EQ(first, 2 * kRounds);
}

TEST(TimedMutex, GivesUpAtItsDeadline) {
  TimedMutex mutex;
  const auto lock_within = [&mutex](std::int64_t timeout_ms) {
    bool held = false;
    std::thread([&]() TUSKV_NO_THREAD_SAFETY_ANALYSIS {
      std::int64_t left_ms = timeout_ms;
      held = mutex.lock_within(left_ms);
      EXPECT_EQ(left_ms, held ? timeout_ms : 0);
      if (held) mutex.unlock();
    }).join();
    return held;
  };
  {
    mutex.lock();
    AdoptedLock lock(mutex);
    EXPECT_FALSE(lock_within(0));
    EXPECT_FALSE(lock_within(2));
  }
  EXPECT_TRUE(lock_within(0));
}

}  // namespace
}  // namespace tuskv::os
