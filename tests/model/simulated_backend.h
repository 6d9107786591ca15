// Stores on a simulated disk, which is much faster than a real one that syncs, and which can lose the process, and
// power with it, between any two calls.
#pragma once

#include <memory>
#include <string>

#include "contract/contract.h"
#include "open.h"
#include "support/manual_clock.h"
#include "support/simulated_file_system.h"

namespace tuskv::test {

class SimulatedBackend final : public Backend {
 public:
  explicit SimulatedBackend(Durability durability) : durability_(durability) {}

  Store open(const Options& options) override {
    if (after_crash_ != nullptr) disk_ = std::move(after_crash_);
    Options with_durability = options;
    with_durability.durability = durability_;
    return open_store("file:/store", with_durability, {.file_system = disk_.get(), .clock = &clock_});
  }
  bool lose_process() override {
    if (durability_ == Durability::unlogged) return false;  // only what a snapshot holds would be kept
    const bool loses_power = durability_ == Durability::durable;
    constexpr CrashMode kModes[] = {CrashMode::lose_unsynced, CrashMode::keep_prefix, CrashMode::torn_512};
    const CrashMode mode = loses_power ? kModes[crashes_ % std::size(kModes)] : CrashMode::process;
    after_crash_ = disk_->crash_image(mode, ++crashes_);
    return true;
  }
  void advance_ms(std::int64_t by_ms) override { clock_.advance_ms(by_ms); }
  std::int64_t now_us() const override { return clock_.now_us(); }
  Capabilities capabilities() const override {
    return {.reopens = true,
            .has_snapshots = true,
            .clock_goes_back = true,
            .clock_stands_still = true,
            .is_one_process = true,
            .versions_compare = true};
  }
  std::string engine() const override { return "file"; }
  Durability durability() const override { return durability_; }

 private:
  const Durability durability_;
  ManualClock clock_;
  std::unique_ptr<SimulatedFileSystem> disk_ = std::make_unique<SimulatedFileSystem>();
  std::unique_ptr<SimulatedFileSystem> after_crash_;
  std::uint64_t crashes_ = 0;
};

}  // namespace tuskv::test
