#include "encryption/submission_thread.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "named_limits.h"

namespace tuskv::encryption {
namespace {

void end(Submission& submission, Status status) {
  submission.unit.failure = std::move(status).take();
  submission.done(submission);
}

Status too_late_for_its_turn() {
  return Status(Code::Timeout, "the deadline passed while the call waited for its turn");
}

}  // namespace

SubmissionThread::~SubmissionThread() {
  close();
  std::thread threads[2];
  {
    os::MutexLock lock(mutex_);
    threads[0].swap(thread_);
    threads[1].swap(timekeeper_);
  }
  for (std::thread& thread : threads) {
    if (thread.joinable()) thread.join();
  }
}

void SubmissionThread::post(Submission& submission) {
  if (Status status = admit(submission); !status.ok()) end(submission, std::move(status));
}

Status SubmissionThread::admit(Submission& submission) {
  os::MutexLock lock(mutex_);
  if (closed_) return closed_status();
  if (waiting_.size() >= kPlaintextSubmissionsMax) {
    return Status(Code::Busy, "more than " + std::to_string(kPlaintextSubmissionsMax) +
                                  " asynchronous calls wait for the thread of the encrypted store");
  }
  try {
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
    if (!timekeeper_.joinable()) timekeeper_ = std::thread([this] { keep_deadlines(); });
  } catch (const std::system_error&) {
    return Status(Code::Busy, "the system gives no thread for asynchronous calls of an encrypted store");
  }
  const os::Deadline deadline = os::deadline_in(submission.unit.timeout_ms);
  waiting_.push_back({.submission = &submission, .deadline = deadline});
  changed_.notify_one();
  if (deadline < alarm_) {
    alarm_ = deadline;
    nearer_.notify_one();
  }
  return {};
}

void SubmissionThread::close() {
  std::deque<Waiting> ended;
  {
    os::MutexLock lock(mutex_);
    closed_ = true;
    ended.swap(waiting_);
    changed_.notify_one();
    nearer_.notify_one();
  }
  for (const Waiting& waiting : ended) end(*waiting.submission, closed_status());
}

void SubmissionThread::run() {
  os::MutexLock lock(mutex_);
  for (;;) {
    while (waiting_.empty() && !closed_) changed_.wait(mutex_);
    if (waiting_.empty()) return;
    const Waiting next = waiting_.front();
    waiting_.pop_front();
    lock.unlock();
    run_one(next);
    lock.lock();
  }
}

void SubmissionThread::run_one(const Waiting& waiting) {
  Submission& submission = *waiting.submission;
  submission.unit.timeout_ms = os::time_left_ms(waiting.deadline);
  if (submission.unit.timeout_ms == 0) return end(submission, too_late_for_its_turn());
  run_(submission.unit);
  submission.done(submission);
}

void SubmissionThread::keep_deadlines() {
  os::MutexLock lock(mutex_);
  while (!closed_) {
    if (alarm_ == os::Deadline::max()) {
      nearer_.wait(mutex_);
      continue;
    }
    if (nearer_.wait_until(mutex_, alarm_)) continue;
    const std::vector<Submission*> ended = take_late();
    lock.unlock();
    for (Submission* submission : ended) end(*submission, too_late_for_its_turn());
    lock.lock();
  }
}

std::vector<Submission*> SubmissionThread::take_late() {
  const os::Deadline now = os::deadline_in(0);
  std::vector<Submission*> ended;
  alarm_ = os::Deadline::max();
  std::deque<Waiting> in_time;
  for (const Waiting& waiting : waiting_) {
    if (waiting.deadline <= now) {
      ended.push_back(waiting.submission);
    } else {
      alarm_ = std::min(alarm_, waiting.deadline);
      in_time.push_back(waiting);
    }
  }
  waiting_ = std::move(in_time);
  return ended;
}

}  // namespace tuskv::encryption
