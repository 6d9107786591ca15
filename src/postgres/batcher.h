#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "commands.h"
#include "engine.h"
#include "os/deadline.h"

namespace tuskv::postgres {

/// Batches of one lane have one shape of statement.
enum class Lane : std::uint8_t { read, set, generic };
inline constexpr std::size_t kLanes = 3;

struct BatcherOptions {
  std::uint32_t direct_callers = 4;   ///< so many callers of a lane have a batch each
  std::uint32_t batches = 4;          ///< of a lane, under way at once when there are more callers
  std::uint32_t generic_batches = 1;  ///< the same for Lane::generic: its batches would only block each other on rows
  double fill = 0.2;                  ///< the part of the callers that makes a batch worth sending beside others
  std::size_t batch_keys = 256;
  std::size_t batch_bytes = std::size_t{1} << 20;
};

/// What one caller asked for, in a batch. The units lie in the caller's memory: touch them only while pinned.
class BatchMember final {
 public:
  BatchMember(std::span<Unit> units, os::Deadline deadline) : units_(units), deadline_(deadline) {}
  BatchMember(const BatchMember&) = delete;
  BatchMember& operator=(const BatchMember&) = delete;

  /// False when the caller has given up: skip the member, whatever has been sent for it. Otherwise its caller stays
  /// until unpin(), so pin for encoding or decoding, never while waiting for the server. Not recursive.
  bool pin();
  void unpin();

  /// While pinned. In order; units that touch the same key take effect in this order.
  std::span<Unit> units() const { return units_; }
  os::Deadline deadline() const { return deadline_; }

 private:
  std::span<Unit> units_;
  os::Deadline deadline_;
};

/// Sends batches. Called from many threads at once.
class BatchExecutor {
 public:
  virtual ~BatchExecutor() = default;
  /// Runs the members as one batch, on a connection of its own choosing, and fills every unit's replies or failure
  /// (only while pinned). Never throws. Returns by `deadline`, the latest of the members'.
  virtual void run(Lane lane, std::span<BatchMember* const> members, os::Deadline deadline) = 0;
};

/// Thread-safe.
class Batcher final {
 public:
  Batcher(BatchExecutor& executor, const BatcherOptions& options);
  ~Batcher();  ///< Closes. Nobody may be inside execute().
  Batcher(const Batcher&) = delete;
  Batcher& operator=(const Batcher&) = delete;

  /// Runs units that belong to one lane as one member of a batch; blocks until they have ended, which is at the latest
  /// when the shortest of their timeouts is over.
  void execute(Lane lane, std::span<Unit> units);
  /// Runs one unit on a thread of the batcher's own; `done` is called on such a thread, or inside of submit().
  void submit(Lane lane, Submission& submission);
  /// Refuses new members, ends waiting ones, both with Closed, and returns when no batch runs any more. Idempotent.
  void close();
};

}  // namespace tuskv::postgres
