#include "offload_threads.h"

#include <algorithm>
#include <string>
#include <utility>

#include "named_limits.h"
#include "os/thread.h"

namespace tuskv {
namespace {

void end_refused(Submission& submission, Status status) {
  submission.unit.failure = std::move(status).take();
  submission.done(submission);
}

}  // namespace

OffloadThreads::~OffloadThreads() { close(); }

void OffloadThreads::post(Submission& submission, Run run) {
  if (Status status = admit({.submission = &submission, .run = run}); !status.ok()) {
    end_refused(submission, std::move(status));
  }
}

Status OffloadThreads::admit(const Waiting& waiting) {
  os::MutexLock lock(mutex_);
  if (closed_) return closed_status();
  if (waiting_.size() >= kOffloadedCallsMax) {
    return Status(Code::Busy, "more than " + std::to_string(kOffloadedCallsMax) + " offloaded calls wait for a thread");
  }
  if (running_ + waiting_.size() >= threads_.size() && threads_.size() < kOffloadThreadsMax) {
    threads_.reserve(kOffloadThreadsMax);
    std::thread thread;
    Status started = os::start_thread(thread, "runs offloaded calls", [this] { work(); });
    // Those that there are will do.
    if (!started.ok() && threads_.empty()) return Status(Code::Busy, std::move(started).take()->message);
    if (started.ok()) threads_.push_back(std::move(thread));
  }
  waiting_.push_back(waiting);
  changed_.notify_one();
  return {};
}

void OffloadThreads::work() {
  os::MutexLock lock(mutex_);
  for (;;) {
    while (waiting_.empty() && !closed_) changed_.wait(mutex_);
    if (waiting_.empty()) return;
    const Waiting next = waiting_.front();
    waiting_.pop_front();
    ++running_;
    lock.unlock();
    next.run(*next.submission);
    next.submission->done(*next.submission);
    lock.lock();
    if (--running_ == 0) idle_.notify_all();
  }
}

Status OffloadThreads::check_open() {
  os::MutexLock lock(mutex_);
  return closed_ ? closed_status() : Status();
}

bool OffloadThreads::runs_this_thread() {
  os::MutexLock lock(mutex_);
  return std::any_of(threads_.begin(), threads_.end(),
                     [](const std::thread& thread) { return thread.get_id() == std::this_thread::get_id(); });
}

void OffloadThreads::close() {
  std::deque<Waiting> ended;
  std::vector<std::thread> threads;
  {
    os::MutexLock lock(mutex_);
    closed_ = true;
    ended.swap(waiting_);
    changed_.notify_all();
  }
  for (const Waiting& waiting : ended) end_refused(*waiting.submission, closed_status());
  {
    os::MutexLock lock(mutex_);
    while (running_ != 0) idle_.wait(mutex_);
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace tuskv
