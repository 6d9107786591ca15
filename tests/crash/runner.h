// Runs steps on an engine over a simulated disk and tells the history how each of them ended.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "crash/engine_client.h"
#include "crash/history.h"
#include "crash/step.h"
#include "crash/workload.h"
#include "embedded/embedded_engine.h"
#include "support/manual_clock.h"
#include "support/simulated_file_system.h"

namespace tuskv::test {

inline constexpr const char* kStorePath = "/store";

/// Options under which nothing happens by itself but what the mix asks for.
embedded::EngineOptions engine_options(const Mix& mix, Durability durability);

/// Everything found and its digest compared with what the history allows; `shown` is the number of writes it shows.
testing::AssertionResult shows_prefix(Engine& engine, const History& history, Prefixes prefixes, std::int64_t now_us,
                                      std::size_t* shown);

class Runner final {
 public:
  Runner(const Mix& mix, Durability durability, std::uint64_t seed,
         std::shared_ptr<const Encryptor> encryptor = nullptr);

  SimulatedFileSystem& disk() { return *disk_; }
  ManualClock& clock() { return clock_; }
  History& history() { return history_; }
  const embedded::EngineOptions& options() const { return options_; }
  Engine* engine() { return engine_.get(); }
  std::int64_t now_us() const { return clock_.now_us(); }

  /// Opens the store; it must show a prefix that the history allows, which is the state from now on.
  Status open();
  /// Until the end, or the first failure.
  Status run();
  bool finished() const { return position_ == steps_.size(); }
  Status run_next();
  /// An orderly close. The engine is gone afterwards, whatever it answered.
  Status close();
  /// Leaves the engine without a close: the disk must have stopped.
  void abandon() { engine_.reset(); }
  /// Goes on with what a crash has left.
  void replace_disk(std::unique_ptr<SimulatedFileSystem> disk, bool after_power_loss);
  /// A sync has failed: the next opening may find less, as after a power loss.
  void data_may_be_lost() { after_power_loss_ = true; }

  /// To be called from the disk's hook: takes part in the work while a snapshot is dumped.
  void write_during_snapshot(Operation operation, const std::string& path);

 private:
  Status run_step(const Step& step);
  Status write(const Step& step);

  const Mix mix_;
  embedded::EngineOptions options_;
  std::unique_ptr<SimulatedFileSystem> disk_;
  ManualClock clock_;
  History history_;
  std::vector<Step> steps_;
  std::size_t position_ = 0;
  bool in_snapshot_ = false;
  bool after_power_loss_ = false;
  std::uint64_t newest_version_ = 0;
  std::unique_ptr<Engine> engine_;
};

}  // namespace tuskv::test
