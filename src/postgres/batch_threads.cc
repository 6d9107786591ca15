#include "postgres/batch_threads.h"

#include <algorithm>
#include <system_error>
#include <utility>

namespace tuskv::postgres {

BatchThreads::BatchThreads(std::size_t leaders_max, Work work) : leaders_max_(leaders_max), work_(std::move(work)) {}

BatchThreads::~BatchThreads() {
  std::vector<std::thread> threads;
  {
    os::MutexLock lock(mutex_);
    ending_ = true;
    threads.swap(leaders_);
    if (timekeeper_.joinable()) threads.push_back(std::move(timekeeper_));
  }
  posted_.notify_all();
  alarm_moved_.notify_all();
  for (std::thread& thread : threads) thread.join();
}

bool BatchThreads::start() {
  if (started_.load(std::memory_order_acquire)) return true;
  os::MutexLock lock(mutex_);
  if (leaders_.empty() && !add_leader()) return false;
  try {
    if (!timekeeper_.joinable()) timekeeper_ = std::thread([this] { keep_deadlines(); });
  } catch (const std::system_error&) {
    return false;
  }
  started_.store(true, std::memory_order_release);
  return true;
}

/// Without a thread more the ones there are do the work, later.
bool BatchThreads::add_leader() {
  try {
    leaders_.emplace_back([this] { lead(); });
  } catch (const std::system_error&) {
    return false;
  }
  return true;
}

void BatchThreads::post(Job job) {
  os::MutexLock lock(mutex_);
  jobs_.push_back(std::move(job));
  if (idle_ < jobs_.size() && leaders_.size() < leaders_max_ && !ending_) add_leader();
  posted_.notify_one();
}

void BatchThreads::lead() {
  os::MutexLock lock(mutex_);
  for (;;) {
    ++idle_;
    while (jobs_.empty() && !ending_) posted_.wait(mutex_);
    --idle_;
    if (jobs_.empty()) return;
    const Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    work_.lead(job);
    lock.lock();
  }
}

void BatchThreads::wake_at(os::Deadline deadline) {
  if (alarm_.load() <= deadline) return;
  os::MutexLock lock(mutex_);
  if (alarm_.load() <= deadline) return;
  alarm_.store(deadline);
  alarm_moved_.notify_one();
}

void BatchThreads::keep_deadlines() {
  os::MutexLock lock(mutex_);
  while (!ending_) {
    const os::Deadline alarm = alarm_.load();
    if (alarm == os::Deadline::max()) {
      alarm_moved_.wait(mutex_);
      continue;
    }
    if (alarm_moved_.wait_until(mutex_, alarm)) continue;
    // Before the look: a submission that comes after it sets the alarm again.
    alarm_.store(os::Deadline::max());
    lock.unlock();
    const os::Deadline next = work_.expire(os::deadline_in(0));
    lock.lock();
    alarm_.store(std::min(alarm_.load(), next));
  }
}

}  // namespace tuskv::postgres
