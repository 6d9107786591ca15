#include "os/wait_word.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <climits>
#include <ctime>

namespace tuskv::os {
namespace {

timespec absolute_time(Deadline deadline) {
  const auto since = deadline.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  return {.tv_sec = static_cast<time_t>(seconds.count()),
          .tv_nsec = static_cast<long>(std::chrono::nanoseconds(since - seconds).count())};
}

// FUTEX_WAIT_BITSET takes an absolute time of CLOCK_MONOTONIC, which is what the steady clock is on Linux.
bool wait_futex(const std::atomic<std::uint32_t>& word, std::uint32_t seen, const timespec* until,
                std::uint32_t who = FUTEX_BITSET_MATCH_ANY) {
  static_assert(sizeof word == sizeof seen && std::atomic<std::uint32_t>::is_always_lock_free);
  const long result = ::syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, seen, until, nullptr, who);
  return result == 0 || errno != ETIMEDOUT;
}

}  // namespace

bool WaitWord::wait(std::uint32_t seen, Deadline deadline) const {
  const timespec until = absolute_time(deadline);
  return wait_futex(word_, seen, &until);
}

void WaitWord::wait(std::uint32_t seen) const { wait_futex(word_, seen, nullptr); }

bool WaitWord::wait(std::uint32_t seen, Deadline deadline, std::uint32_t who) const {
  const timespec until = absolute_time(deadline);
  return wait_futex(word_, seen, &until, who);
}

void WaitWord::advance_for(std::uint32_t who) {
  word_.fetch_add(1, std::memory_order_acq_rel);
  ::syscall(SYS_futex, &word_, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, nullptr, nullptr, who);
}

void WaitWord::advance() {
  word_.fetch_add(1, std::memory_order_acq_rel);
  ::syscall(SYS_futex, &word_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace tuskv::os
