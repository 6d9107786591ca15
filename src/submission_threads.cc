#include "submission_threads.h"

#include <algorithm>
#include <string>
#include <utility>

#include "os/thread.h"

namespace tuskv {
namespace {

void end_refused(Submission& submission, Status status) {
  submission.unit.failure = std::move(status).take();
  submission.done(submission);
}

Status too_late_for_its_turn() {
  return Status(Code::Timeout, "the deadline passed while the call waited for its turn");
}

}  // namespace

SubmissionThreads::SubmissionThreads(SubmissionThreadsOptions options) : options_(std::move(options)) {}

SubmissionThreads::~SubmissionThreads() {
  close();
  std::vector<std::thread> threads;
  {
    os::MutexLock lock(mutex_);
    threads.swap(threads_);
    if (timekeeper_.joinable()) threads.push_back(std::move(timekeeper_));
  }
  for (std::thread& thread : threads) thread.join();
}

void SubmissionThreads::post(Submission& submission) {
  if (Status status = admit(submission); !status.ok()) end_refused(submission, std::move(status));
}

Status SubmissionThreads::admit(Submission& submission) {
  os::MutexLock lock(mutex_);
  if (closed_) return closed_status();
  if (waiting_.size() >= options_.waiting_max) {
    return Status(Code::Busy, "more than " + std::to_string(options_.waiting_max) + " calls wait for a thread that " +
                                  std::string(options_.purpose));
  }
  TUSKV_RETURN_IF_ERROR(start_threads());
  const os::Deadline deadline =
      options_.has_deadlines ? os::deadline_in(submission.unit.timeout_ms) : os::Deadline::max();
  waiting_.push_back({.submission = &submission, .deadline = deadline});
  changed_.notify_one();
  if (deadline < alarm_) {
    alarm_ = deadline;
    nearer_.notify_one();
  }
  return {};
}

/// One more, unless one is free or there are enough; Busy when there is none at all.
Status SubmissionThreads::start_threads() {
  Status started;
  if (running_ + waiting_.size() >= threads_.size() && threads_.size() < options_.threads_max) {
    threads_.reserve(options_.threads_max + 1);  // the destructor adds the timekeeper
    std::thread thread;
    started = os::start_thread(thread, options_.purpose, [this] { work(); });
    if (started.ok()) threads_.push_back(std::move(thread));
    if (!threads_.empty()) started = Status();  // those that there are will do
  }
  if (started.ok() && options_.has_deadlines && !timekeeper_.joinable()) {
    started = os::start_thread(timekeeper_, options_.purpose, [this] { keep_deadlines(); });
  }
  if (started.ok()) return {};
  return Status(Code::Busy, std::move(started).take()->message);
}

void SubmissionThreads::work() {
  os::MutexLock lock(mutex_);
  for (;;) {
    while (waiting_.empty() && !closed_) changed_.wait(mutex_);
    if (waiting_.empty()) return;
    const Waiting next = waiting_.front();
    waiting_.pop_front();
    ++running_;
    lock.unlock();
    run(next);
    lock.lock();
    if (--running_ == 0) idle_.notify_all();
  }
}

void SubmissionThreads::run(const Waiting& waiting) {
  Submission& submission = *waiting.submission;
  if (options_.has_deadlines) {
    submission.unit.timeout_ms = os::time_left_ms(waiting.deadline);
    if (submission.unit.timeout_ms == 0) return end_refused(submission, too_late_for_its_turn());
  }
  options_.run(submission);
  submission.done(submission);
}

void SubmissionThreads::keep_deadlines() {
  os::MutexLock lock(mutex_);
  while (!closed_) {
    if (alarm_ == os::Deadline::max()) {
      nearer_.wait(mutex_);
      continue;
    }
    if (nearer_.wait_until(mutex_, alarm_)) continue;
    const std::vector<Submission*> late = take_late();
    lock.unlock();
    for (Submission* submission : late) end_refused(*submission, too_late_for_its_turn());
    lock.lock();
  }
}

std::vector<Submission*> SubmissionThreads::take_late() {
  const os::Deadline now = os::deadline_in(0);
  std::vector<Submission*> late;
  alarm_ = os::Deadline::max();
  std::deque<Waiting> in_time;
  for (const Waiting& waiting : waiting_) {
    if (waiting.deadline <= now) {
      late.push_back(waiting.submission);
    } else {
      alarm_ = std::min(alarm_, waiting.deadline);
      in_time.push_back(waiting);
    }
  }
  waiting_ = std::move(in_time);
  return late;
}

Status SubmissionThreads::check_open() {
  os::MutexLock lock(mutex_);
  return closed_ ? closed_status() : Status();
}

bool SubmissionThreads::runs_this_thread() {
  os::MutexLock lock(mutex_);
  return std::any_of(threads_.begin(), threads_.end(),
                     [](const std::thread& thread) { return thread.get_id() == std::this_thread::get_id(); });
}

void SubmissionThreads::close() {
  std::deque<Waiting> ended;
  {
    os::MutexLock lock(mutex_);
    closed_ = true;
    ended.swap(waiting_);
    changed_.notify_all();
    nearer_.notify_all();
  }
  for (const Waiting& waiting : ended) end_refused(*waiting.submission, closed_status());
}

void SubmissionThreads::wait_until_idle() {
  os::MutexLock lock(mutex_);
  while (running_ != 0) idle_.wait(mutex_);
}

}  // namespace tuskv
