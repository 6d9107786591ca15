#pragma once

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

namespace tuskv::test {

/// Runs `work(thread)` on so many threads, all at once.
inline void run_together(int threads, const std::function<void(int)>& work) {
  std::atomic<int> ready = 0;
  std::vector<std::thread> running;
  for (int t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      ++ready;
      while (ready < threads) std::this_thread::yield();
      work(t);
    });
  }
  for (std::thread& thread : running) thread.join();
}

}  // namespace tuskv::test
