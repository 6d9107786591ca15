// The one interface between the API and the engines. It is small and plural: whatever the API offers becomes units of
// commands here. No exception crosses it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "commands.h"
#include "optimistic_transaction.h"
#include "status.h"
#include "tuskv/options.h"
#include "tuskv/store.h"

namespace tuskv {

/// Where the units of a handle go: an engine, or a transaction on one.
class Executor {
 public:
  virtual ~Executor() = default;
  /// Runs every unit, blocking until all have ended. Units are independent of each other: each succeeds or fails on its
  /// own. Units of one call that touch the same key take effect in their order; others in any.
  virtual void execute(std::span<Unit> units) = 0;
};

/// A unit handed over; the submitter keeps it alive, and its bytes, until `done` has been called.
struct Submission {
  Unit unit = {};
  /// Called exactly once, from any thread, holding no lock; the submission may be destroyed inside. Must not block.
  void (*done)(Submission& submission) noexcept = nullptr;
};

struct EngineSweeperOptions {
  std::int64_t interval_ms = 1000;
  std::size_t batch = 1000;
};

class Engine : public Executor {
 public:
  /// Runs one unit without blocking the caller for a server or a sync. A write on the embedded engine does block him,
  /// for other writes up to its timeout, and while it is written into the log. Throws std::bad_alloc when it has not
  /// taken the submission, which `done` is then not called for; once it has, it does not throw.
  virtual void submit(Submission& submission) = 0;

  /// Runs a read-only unit (Reads, one Scan or one Count) for a transaction and adds what it read to `transaction`.
  /// Conflict when what was read before does not hold any more: user code never sees two moments at once.
  virtual Status read(OptimisticTransaction& transaction, Unit& unit) = 0;
  /// Checks at one instant that everything read still holds and applies all writes, or returns Conflict with nothing
  /// applied.
  virtual Status commit(OptimisticTransaction& transaction, std::int64_t timeout_ms) = 0;
  /// The clock that decides expiry, in microseconds; an estimate when no server says it by the deadline.
  virtual std::int64_t now_us(std::int64_t timeout_ms) = 0;
  /// Whether a value comes back byte for byte as it was stored; jsonb has a spelling of its own.
  virtual bool keeps_bytes() const { return true; }
  struct SpelledValue {
    std::string_view key;
    std::string* value;
  };
  /// Where it does not: replaces values by what will come back, or fails as storing them would.
  virtual Status respell(std::span<const SpelledValue> /*values*/, std::int64_t /*timeout_ms*/) { return {}; }

  /// Removes up to `limit` expired entries (0: all there are). At the deadline: how many it has removed by then, or
  /// Timeout when there was none.
  virtual Result<std::uint64_t> remove_expired(std::uint64_t limit, std::int64_t timeout_ms) = 0;
  /// Starts the sweeper or changes its settings; nothing given stops it.
  virtual Status set_sweeper(std::optional<EngineSweeperOptions> options) = 0;

  /// With the `conflicts` that the engine itself has run again.
  virtual Result<Stats> stats(std::int64_t timeout_ms) = 0;
  virtual Result<std::vector<Finding>> diagnose(std::int64_t timeout_ms) = 0;
  /// Remembers beside the entries that their values are encrypted, where an engine has a place for it: damage may take
  /// the entry that says so. Idempotent.
  virtual Status note_encrypted() { return {}; }
  /// Whether that was remembered when the engine was opened.
  virtual bool was_noted_encrypted() const { return false; }
  virtual Status sync(std::int64_t timeout_ms) = 0;
  /// Indexes on JSON fields, for find_by_field; a checked name. True when it was made now.
  virtual Result<bool> create_index(std::string_view field, std::int64_t timeout_ms) = 0;
  /// True when it was there.
  virtual Result<bool> drop_index(std::string_view field, std::int64_t timeout_ms) = 0;
  virtual Result<std::vector<std::string>> indexes(std::int64_t timeout_ms) = 0;
  virtual Result<SnapshotInfo> snapshot() = 0;
  virtual Result<std::vector<SnapshotInfo>> snapshots() = 0;
  virtual Result<std::size_t> prune_snapshots(std::size_t keep) = 0;
  /// Idempotent: another call returns what the first one did. Every later call of anything else fails with Closed.
  virtual Status close() = 0;
};

}  // namespace tuskv
