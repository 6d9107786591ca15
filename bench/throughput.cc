#include "bench/throughput.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <latch>
#include <thread>

namespace tuskv::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Share {
  std::uint64_t calls = 0;
  Clock::time_point start = {};
  Clock::time_point end = {};
  std::exception_ptr failure = {};
};

void work(Worker& worker, Share& share, std::latch& ready, std::chrono::nanoseconds duration,
          std::uint64_t calls_per_look) {
  ready.arrive_and_wait();
  try {
    share.start = Clock::now();
    const Clock::time_point deadline = share.start + duration;
    do {
      worker(calls_per_look);
      share.calls += calls_per_look;
      share.end = Clock::now();
    } while (share.end < deadline);
  } catch (...) {
    share.failure = std::current_exception();
  }
}

}  // namespace

double throughput(std::vector<Worker>& workers, std::chrono::nanoseconds duration, std::uint64_t calls_per_look) {
  std::vector<Share> shares(workers.size());
  {
    std::latch ready(static_cast<std::ptrdiff_t>(workers.size()));
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < workers.size(); ++i) {
      threads.emplace_back([&, i] { work(workers[i], shares[i], ready, duration, calls_per_look); });
    }
  }
  std::uint64_t calls = 0;
  Clock::time_point start = Clock::time_point::max();
  Clock::time_point end = Clock::time_point::min();
  for (const Share& share : shares) {
    if (share.failure) std::rethrow_exception(share.failure);
    calls += share.calls;
    start = std::min(start, share.start);
    end = std::max(end, share.end);
  }
  return static_cast<double>(calls) / std::chrono::duration<double>(end - start).count();
}

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

}  // namespace tuskv::bench
