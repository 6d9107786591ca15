// Looks at what a crash would leave, at every operation of a running workload: takes images of its disk in every mode,
// opens each, lets the recovery crash too, and compares what is there with the history.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "crash/engine_client.h"
#include "crash/history.h"
#include "embedded/embedded_engine.h"
#include "support/manual_clock.h"
#include "support/simulated_file_system.h"

namespace tuskv::test {

struct ExplorerOptions {
  std::uint64_t seed = 0;
  /// Of the recoveries, how many crash in turn, each at one of its operations, and how deep that goes.
  std::uint64_t nested_percent = 35;
  int nested_depth = 3;
  /// Of the reopened stores, how many are written to, closed and reopened once more.
  std::uint64_t follow_up_percent = 12;
  /// Of the reopened stores, how many lose power right after they have been read.
  std::uint64_t reread_percent = 25;
};

struct ExplorerCounts {
  std::uint64_t states = 0;      ///< crash images opened and compared
  std::uint64_t nested = 0;      ///< of these, taken during a recovery
  std::uint64_t rereads = 0;     ///< taken after the store had been read
  std::uint64_t follow_ups = 0;  ///< stores written to and opened again
};

class CrashedRecovery;

/// Thread-safe. Stops at the first failure, which it reports with all that is needed to repeat it.
class CrashExplorer final {
 public:
  CrashExplorer(const embedded::EngineOptions& engine_options, const History& history, const ManualClock& clock,
                const ExplorerOptions& options);

  /// Images of every mode of the disk as it is now.
  void explore(const SimulatedFileSystem& disk);
  /// Images of so many modes, which chance picks: over many operations, of every mode.
  void explore_some(const SimulatedFileSystem& disk, std::size_t modes);
  /// One image; it must be one of the prefixes that the history allows.
  void explore(const SimulatedFileSystem& disk, CrashMode mode);

  bool failed() const { return failed_.load(); }
  ExplorerCounts counts() const;

 private:
  /// What an image may show: prefixes of the history, or exactly one state.
  struct Expected {
    std::size_t least_after_process_crash = 0;
    std::size_t least_after_power_loss = 0;
    std::size_t longest = 0;
    std::shared_ptr<const ModelEntries> exact = nullptr;
  };
  /// How an image came to be: a chain from the workload's own disk.
  struct Crash {
    const Crash* before = nullptr;
    SimulatedFileSystem* disk = nullptr;
    std::string_view what = {};
    CrashMode mode = CrashMode::process;
    std::uint64_t seed = 0;
    bool power_lost = false;  ///< in this crash or an earlier one
    int depth = 0;
  };

  Expected expected_now() const;
  void visit(const Crash& crash, const Expected& expected);
  void visit_crashed_recovery(CrashedRecovery& recovery, const Crash& crash, const Expected& expected);
  /// The state that was shown, or nothing after a failure.
  std::optional<Found> compare(Engine& engine, const Crash& crash, const Expected& expected);
  void lose_power_after_reading(const SimulatedFileSystem& image, const Crash& crash, const Found& found);
  void follow_up(std::unique_ptr<Engine> engine, const SimulatedFileSystem& image, const Crash& crash,
                 const Found& found);
  ModelEntries write_more(Engine& engine, const Crash& crash, const Found& found);
  void fail(const Crash& crash, const std::string& why);
  Crash next(const Crash& before, const SimulatedFileSystem& disk, std::string_view what, CrashMode mode) const;

  const embedded::EngineOptions& engine_options_;
  const History& history_;
  const ManualClock& clock_;
  const ExplorerOptions options_;
  std::atomic<bool> failed_ = false;
  std::atomic<std::uint64_t> explored_ = 0;
  std::atomic<std::uint64_t> states_ = 0;
  std::atomic<std::uint64_t> nested_ = 0;
  std::atomic<std::uint64_t> rereads_ = 0;
  std::atomic<std::uint64_t> follow_ups_ = 0;
};

}  // namespace tuskv::test
