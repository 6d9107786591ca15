// A store in memory whose clock goes on by itself between moves, as that of a server does: it shows that the model test
// allows for that, and for no more.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "contract/contract.h"
#include "open.h"
#include "os/clock.h"

namespace tuskv::test {

class RunningClock final : public os::Clock {
 public:
  std::int64_t now_us() const override { return system_.now_us() + moved_us_.load(); }
  void advance_ms(std::int64_t by_ms) { moved_us_.fetch_add(by_ms * 1000); }

 private:
  os::SystemClock system_;
  std::atomic<std::int64_t> moved_us_ = 0;
};

class RunningClockBackend final : public Backend {
 public:
  Store open(const Options& options) override { return open_store("memory:", options, {.clock = &clock_}); }
  void advance_ms(std::int64_t by_ms) override { clock_.advance_ms(by_ms); }
  std::int64_t now_us() const override { return clock_.now_us(); }
  Capabilities capabilities() const override { return {.versions_compare = true}; }
  std::string engine() const override { return "memory"; }
  Durability durability() const override { return Durability::unlogged; }

 private:
  RunningClock clock_;
};

}  // namespace tuskv::test
