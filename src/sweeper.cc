#include "sweeper.h"

#include <chrono>
#include <random>
#include <utility>

#include "os/thread.h"

namespace tuskv {

Sweeper::Sweeper(std::function<std::uint64_t(std::size_t batch)> sweep) : sweep_(std::move(sweep)) {}

Sweeper::~Sweeper() { stop(); }

Status Sweeper::start(const EngineSweeperOptions& options) {
  os::MutexLock starting(start_mutex_);
  {
    os::MutexLock lock(mutex_);
    options_ = options;
    ++generation_;
    changed_.notify_all();
  }
  if (thread_.joinable()) return {};
  return os::start_thread(thread_, "removes expired entries", [this] { run(); });
}

void Sweeper::stop() {
  os::MutexLock stopping(start_mutex_);
  {
    os::MutexLock lock(mutex_);
    options_.reset();
    ++generation_;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Sweeper::run() {
  std::minstd_rand random(std::random_device{}());
  while (true) {
    std::size_t batch = 0;
    {
      os::MutexLock lock(mutex_);
      if (!options_) return;
      const auto interval_us = static_cast<double>(options_->interval_ms) * 1000;
      const std::chrono::microseconds pause(
          static_cast<std::int64_t>(interval_us * std::uniform_real_distribution<double>(0.9, 1.1)(random)));
      const std::uint64_t generation = generation_;
      while (generation_ == generation && changed_.wait_for(mutex_, pause)) {
      }
      if (!options_) return;
      if (generation_ != generation) continue;
      batch = options_->batch;
    }
    while (drain(batch)) {
    }
  }
}

/// False when nothing is left or the sweeper was told something new.
bool Sweeper::drain(std::size_t batch) {
  {
    os::MutexLock lock(mutex_);
    if (!options_ || options_->batch != batch) return false;
  }
  return sweep_(batch) >= batch;
}

}  // namespace tuskv
