#include "os/wait_word.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <ctime>

namespace tuskv::os {
namespace {

/// Longer than any process lives, and far from where the clock's arithmetic ends.
constexpr std::int64_t kLongestWaitMs = std::int64_t{1000} * 3600 * 24 * 365 * 100;

timespec absolute_time(SteadyTime deadline) {
  const auto since = deadline.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  return {.tv_sec = static_cast<time_t>(seconds.count()),
          .tv_nsec = static_cast<long>(std::chrono::nanoseconds(since - seconds).count())};
}

// FUTEX_WAIT_BITSET takes an absolute time of CLOCK_MONOTONIC, which is what the steady clock is on Linux.
bool wait_futex(const std::atomic<std::uint32_t>& word, std::uint32_t seen, const timespec* until) {
  static_assert(sizeof word == sizeof seen && std::atomic<std::uint32_t>::is_always_lock_free);
  const long result =
      ::syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, seen, until, nullptr, FUTEX_BITSET_MATCH_ANY);
  return result == 0 || errno != ETIMEDOUT;
}

}  // namespace

SteadyTime deadline_in(std::int64_t milliseconds) {
  return std::chrono::steady_clock::now() +
         std::chrono::milliseconds(std::clamp<std::int64_t>(milliseconds, 0, kLongestWaitMs));
}

bool WaitWord::wait(std::uint32_t seen, SteadyTime deadline) const {
  const timespec until = absolute_time(deadline);
  return wait_futex(word_, seen, &until);
}

void WaitWord::wait(std::uint32_t seen) const { wait_futex(word_, seen, nullptr); }

void WaitWord::advance() {
  word_.fetch_add(1, std::memory_order_acq_rel);
  ::syscall(SYS_futex, &word_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace tuskv::os
