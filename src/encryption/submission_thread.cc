#include "encryption/submission_thread.h"

#include <system_error>
#include <utility>

#include "named_limits.h"

namespace tuskv::encryption {
namespace {

void end(Submission& submission, Status status) {
  submission.unit.failure = std::move(status).take();
  submission.done(submission);
}

}  // namespace

SubmissionThread::~SubmissionThread() {
  close();
  std::thread thread;
  {
    os::MutexLock lock(mutex_);
    thread.swap(thread_);
  }
  if (thread.joinable()) thread.join();
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
  } catch (const std::system_error&) {
    return Status(Code::Busy, "the system gives no thread for asynchronous calls of an encrypted store");
  }
  waiting_.push_back({.submission = &submission, .deadline = os::deadline_in(submission.unit.timeout_ms)});
  changed_.notify_one();
  return {};
}

void SubmissionThread::close() {
  std::deque<Waiting> ended;
  {
    os::MutexLock lock(mutex_);
    closed_ = true;
    ended.swap(waiting_);
    changed_.notify_one();
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
  if (submission.unit.timeout_ms == 0) {
    return end(submission, Status(Code::Timeout, "the deadline passed while the call waited for its turn"));
  }
  run_(submission.unit);
  submission.done(submission);
}

}  // namespace tuskv::encryption
