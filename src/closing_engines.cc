#include "closing_engines.h"

#include <atomic>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <utility>

#include "operation.h"
#include "os/thread.h"

namespace tuskv {

ClosingEngines& ClosingEngines::of_this_process() {
  constinit static std::atomic<ClosingEngines*> current = nullptr;
  ClosingEngines* found = current.load();
  if (found != nullptr && !found->fork_guard_.in_child()) return *found;
  auto made = std::make_unique<ClosingEngines>(found);
  if (current.compare_exchange_strong(found, made.get())) return *made.release();
  return *found;
}

bool ClosingEngines::close_elsewhere(std::function<void()> close) {
  join_ended();
  // Each time: what an engine uses (OpenSSL, what on_event calls) was there before it closed, and so ends after this.
  static_cast<void>(std::atexit(&wait_at_exit));
  os::MutexLock lock(mutex_);
  Closing& closing = closings_.emplace_back();
  const Status started = os::start_thread(closing.thread, "closes a store", [this, &closing, close = std::move(close)] {
    close();
    end(closing);
  });
  if (started.ok()) {
    ++begun_;
  } else {
    closings_.pop_back();
  }
  return started.ok();
}

void ClosingEngines::end(Closing& closing) {
  os::MutexLock lock(mutex_);
  closing.has_ended = true;
  ++closed_;
  changed_.notify_all();
}

std::uint64_t ClosingEngines::closed() const {
  os::MutexLock lock(mutex_);
  return closed_;
}

bool ClosingEngines::wait_for_more(std::uint64_t closed, os::Deadline deadline) {
  os::MutexLock lock(mutex_);
  while (closed_ == closed && begun_ != closed_) {
    if (!changed_.wait_until(mutex_, deadline)) break;
  }
  return closed_ != closed;
}

/// What is over must not gather in a process that goes on.
void ClosingEngines::join_ended() {
  std::list<Closing> ended;
  {
    os::MutexLock lock(mutex_);
    for (auto at = closings_.begin(); at != closings_.end();) {
      const auto next = std::next(at);
      if (at->has_ended) ended.splice(ended.end(), closings_, at);
      at = next;
    }
  }
  for (Closing& closing : ended) closing.thread.join();
}

void ClosingEngines::join_all() {
  for (;;) {
    std::list<Closing> all;
    {
      os::MutexLock lock(mutex_);
      all.swap(closings_);
    }
    if (all.empty()) return;
    for (Closing& closing : all) closing.thread.join();
  }
}

void ClosingEngines::wait_at_exit() {
  // On a thread of an engine: what closes that engine waits for this thread.
  if (!in_completion()) of_this_process().join_all();
}

}  // namespace tuskv
