// A transaction on any engine. Nothing is locked while user code runs: what was read is remembered by the engine's own
// marks (Engine::read), what is written is kept in an overlay that later reads, scans and counts of the transaction
// see, and commit hands both to the engine, which checks and applies them at one instant.
//
// Keyed commands are planned by the same pure function as in an engine, against the overlay where it knows the key and
// against what the engine reads otherwise. A plain put, with an expiry or without, needs to know nothing of the entry,
// so it makes the transaction depend on nothing; but where the engine has a spelling of its own for values, each put
// asks for it, so that it fails and looks as the same put on the store.
//
// Once anything failed with Conflict the transaction is doomed: every later call fails, and so does commit, even when
// user code swallowed the error.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "commands.h"
#include "engine.h"
#include "os/deadline.h"
#include "os/mutex.h"
#include "plan.h"
#include "status.h"

namespace tuskv {

struct SessionOptions {
  std::int64_t timeout_ms = 5000;  ///< of each call, whatever it asks of the engine
  bool expiry_disabled = false;
  std::optional<os::Deadline> deadline = {};  ///< of all of them together, instead
};

/// Thread-safe, as every handle. Calls go one after the other, and each waits for those before it until its own
/// deadline at the latest; so does the commit. Only the end of a savepoint, which cannot fail, waits for one call of
/// another thread.
class Session final : public Executor {
 public:
  /// The engine outlives the session.
  Session(Engine& engine, const SessionOptions& options) : engine_(engine), options_(options) {}

  void execute(std::span<Unit> units) override TUSKV_EXCLUDES(mutex_);

  /// Marks a point to come back to; points nest and end in reverse order.
  Status begin_savepoint() TUSKV_EXCLUDES(mutex_);
  /// Keeps what was written since the last point.
  void release_savepoint() TUSKV_EXCLUDES(mutex_);
  /// Undoes what was written since the last point. What was read stays read: user code may have acted on it.
  void roll_back_savepoint() TUSKV_EXCLUDES(mutex_);

  /// Applies everything, or nothing (Conflict: run it again).
  Status commit() TUSKV_EXCLUDES(mutex_);
  /// Whether what was read still holds: an error that user code made of a state that never was must not get out.
  Status validate() TUSKV_EXCLUDES(mutex_);
  /// The version that the commit gave to what was written under this key; 0 when nothing was.
  std::uint64_t committed_version(std::string_view key) TUSKV_EXCLUDES(mutex_);
  /// Every later call fails with Closed. One under way goes on, before the commit or beyond its deadline.
  void end() { ended_ = true; }

 private:
  /// What the transaction has made of one key.
  struct OwnEntry {
    enum class Kind : std::uint8_t { put, erase, touch };
    Kind kind = Kind::put;
    bool restarts_created = false;  ///< put behind an own erase
    std::uint64_t version = 0;      ///< provisional; for compare-and-swap by version within the transaction
    std::int64_t expires_us = 0;
    std::int64_t created_us = 0;
    std::int64_t updated_us = 0;
    std::string value = {};
  };
  using Overlay = std::map<std::string, OwnEntry, std::less<>>;

  /// An entry as the engine has it.
  struct Fetched {
    Seen seen = {};
    std::string value = {};
  };
  using FetchedEntries = std::map<std::string_view, Fetched>;

  /// The engine's time, and how far it was ahead of the steady clock when it was asked for: reads may come between that
  /// and its use.
  struct Moment {
    std::int64_t now_us = 0;
    std::int64_t ahead_us = 0;
  };

  struct Undo {
    std::string key;
    std::optional<OwnEntry> before;
  };

  Status run(Unit& unit) TUSKV_REQUIRES(mutex_);
  Status check_usable() const TUSKV_REQUIRES(mutex_);
  /// Engine::read, keeping each key once in the read set and noticing conflicts.
  Status read_from_engine(std::span<Command> commands) TUSKV_REQUIRES(mutex_);

  Status run_keyed(Unit& unit) TUSKV_REQUIRES(mutex_);
  /// The entry a command needs and the overlay does not know.
  std::optional<Want> needed_from_engine(const Command& command, std::int64_t now_us) const TUSKV_REQUIRES(mutex_);
  Status fetch(const Unit& unit, std::int64_t now_us, FetchedEntries& fetched) TUSKV_REQUIRES(mutex_);
  Status run_command(Command& command, const FetchedEntries& fetched, const Moment& moment) TUSKV_REQUIRES(mutex_);
  /// Makes the values put since the last time what the engine will give back.
  Status respell_puts() TUSKV_REQUIRES(mutex_);
  EntryState state_of(std::string_view key, const FetchedEntries& fetched, std::int64_t now_us) const
      TUSKV_REQUIRES(mutex_);
  void apply(std::string_view key, const EntryState& before, const PlannedChange& change) TUSKV_REQUIRES(mutex_);
  void write(std::string_view key, OwnEntry entry) TUSKV_REQUIRES(mutex_);
  void roll_back_to(std::size_t mark) TUSKV_REQUIRES(mutex_);

  Status run_scan(Scan& scan) TUSKV_REQUIRES(mutex_);
  /// Own entries in the part of the range that `page` covers, in its order, the first `most` of them.
  std::vector<Overlay::const_iterator> own_in_page(const Scan& page, std::size_t most) const TUSKV_REQUIRES(mutex_);
  void merge_own(Scan& page) TUSKV_REQUIRES(mutex_);
  /// What the transaction sees of an own entry; `stored` is the engine's, null when the page has none.
  std::optional<Entry> own_entry(const Scan& page, Overlay::const_iterator own, Entry* stored,
                                 std::int64_t now_us) const TUSKV_REQUIRES(mutex_);
  Status run_count(Count& count) TUSKV_REQUIRES(mutex_);
  Status run_erase_range(EraseRange& erase) TUSKV_REQUIRES(mutex_);
  Moment this_moment() TUSKV_REQUIRES(mutex_);
  /// For the engine to see at commit whether its idea of the time was right.
  void note_clock(const Moment& moment) TUSKV_REQUIRES(mutex_);
  /// What a call may take, waiting for others included.
  std::int64_t call_ms() const {
    return options_.deadline ? os::time_left_ms(*options_.deadline) : options_.timeout_ms;
  }
  /// `left_ms`: of its time, once it has waited.
  void begin_call(std::int64_t left_ms) TUSKV_REQUIRES(mutex_) {
    call_ms_ = left_ms;
    call_deadline_ = options_.deadline;
  }
  /// For the next step of the call. The rest of its time begins with its first step, so that one that waits for nobody
  /// and asks the engine for nothing looks at no clock.
  std::int64_t left_ms() TUSKV_REQUIRES(mutex_);
  /// The time own entries are judged by.
  std::int64_t liveness_us(std::int64_t now_us) const { return options_.expiry_disabled ? INT64_MIN : now_us; }

  Engine& engine_;
  const SessionOptions options_;
  os::TimedMutex mutex_;
  std::int64_t call_ms_ TUSKV_GUARDED_BY(mutex_) = 0;                   ///< left of the call under way as it began
  std::optional<os::Deadline> call_deadline_ TUSKV_GUARDED_BY(mutex_);  ///< of the call under way
  OptimisticTransaction transaction_ TUSKV_GUARDED_BY(mutex_);
  std::unordered_set<std::string> keys_read_ TUSKV_GUARDED_BY(mutex_);
  Overlay overlay_ TUSKV_GUARDED_BY(mutex_);
  std::size_t overlay_bytes_ TUSKV_GUARDED_BY(mutex_) = 0;
  std::vector<Undo> journal_ TUSKV_GUARDED_BY(mutex_);
  std::vector<std::string> as_given_ TUSKV_GUARDED_BY(mutex_);  ///< keys whose values the engine will spell in its way
  std::vector<std::size_t> savepoints_ TUSKV_GUARDED_BY(mutex_);
  std::uint64_t writes_ TUSKV_GUARDED_BY(mutex_) = 0;
  bool doomed_ TUSKV_GUARDED_BY(mutex_) = false;
  std::atomic<bool> ended_ = false;
};

}  // namespace tuskv
