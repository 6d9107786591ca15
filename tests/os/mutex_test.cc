#include "os/mutex.h"

#include <gtest/gtest.h>

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

TEST(SharedMutex, ReadersShareAndAWriterExcludes) {
  SharedMutex mutex;
  const auto in_thread = [](auto function) {
    bool result = false;
    std::thread([&] { result = function(); }).join();
    return result;
  };
  const auto try_read = [&mutex]() TUSKV_NO_THREAD_SAFETY_ANALYSIS {
    if (!mutex.try_lock_shared()) return false;
    mutex.unlock_shared();
    return true;
  };
  const auto try_write = [&mutex]() TUSKV_NO_THREAD_SAFETY_ANALYSIS {
    if (!mutex.try_lock()) return false;
    mutex.unlock();
    return true;
  };
  {
    ReaderLock reader(mutex);
    EXPECT_TRUE(in_thread(try_read));
    EXPECT_FALSE(in_thread(try_write));
  }
  {
    WriterLock writer(mutex);
    EXPECT_FALSE(in_thread(try_read));
  }
  EXPECT_TRUE(in_thread(try_write));
}

}  // namespace
}  // namespace tuskv::os
