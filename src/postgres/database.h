// What every part of the engine works with: connections to one table, its statements, and the rules for trying again.
//
// A call that changes something runs again only when it certainly had no effect; one that only reads runs again on
// another connection also when its own was lost.
//
// An UNLOGGED table is emptied by a crash of the server. A row of our own with a random value, the canary, tells: every
// new connection looks for it, and since a crash cuts every direct connection, one that has looked cannot meet the
// emptied table. Behind a pooler the connection survives, so there every answer that could say "not found" brings the
// canary with it, and what is changed on the way is committed only once the canary has been compared: another process
// may have put in a new one, and entries, in between.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "os/deadline.h"
#include "os/mutex.h"
#include "os/name_lookup.h"
#include "postgres/connection.h"
#include "postgres/limits.h"
#include "postgres/pool.h"
#include "postgres/row_turns.h"
#include "postgres/schema.h"
#include "postgres/server_clock.h"
#include "postgres/statements.h"
#include "postgres/table_turns.h"
#include "postgres/target.h"
#include "status.h"
#include "tuskv/function_ref.h"
#include "tuskv/options.h"

namespace tuskv::postgres {

/// Thread-safe.
class Database final {
 public:
  struct Setup {
    Target target;
    Options options;
    std::string clock;                 ///< an SQL expression; empty: the server's
    os::NameLookup look_up_name = {};  ///< empty: the system's
  };
  /// Connects, finds or makes the table.
  static Result<std::unique_ptr<Database>> open(Setup setup);
  explicit Database(Setup setup);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  const Statements& statements() const { return *statements_; }
  const Options& options() const { return setup_.options; }
  const TableName& table() const { return name_; }
  bool has_own_clock() const { return !setup_.clock.empty(); }
  ServerClock& clock() { return clock_; }
  bool ignores_expiry() const { return setup_.options.ttl_mode == TtlMode::disabled; }
  /// The time that entries are judged by.
  std::int64_t liveness_us(std::int64_t now_us) const { return ignores_expiry() ? INT64_MIN : now_us; }

  enum class Effect : std::uint8_t { reads, writes };
  /// Whose call it is. That the table was emptied is told once, to a user, whose answers it explains.
  enum class Caller : std::uint8_t { user, engine };
  /// Runs `attempt` on a connection, and again while that is safe and the deadline allows.
  Status run(Effect effect, os::Deadline deadline, FunctionRef<Status(Connection&)> attempt,
             Caller caller = Caller::user);
  /// The same for a write that may wait for rows of others as long as its deadline allows: at first for a moment, then
  /// in turns. `attempt` is told how long to wait for a row.
  Status run_in_turns(os::Deadline deadline, FunctionRef<Status(Connection&, std::int64_t lock_timeout_ms)> attempt);
  /// A single turn, which ends before `patience` does; a lock timeout when it was in vain.
  Status run_turn(os::Deadline patience, os::Deadline deadline,
                  FunctionRef<Status(Connection&, std::int64_t lock_timeout_ms)> attempt);
  RowTurns& row_turns() { return row_turns_; }
  /// The same for what wants the table for itself. `attempt` begins a transaction, in which add_table_lock comes before
  /// anything that locks a row.
  Status run_with_table(os::Deadline deadline, FunctionRef<Status(Connection&, TableRequest)> attempt);
  /// Adds the request for a lock on the table: Statements::lock_table, or one of another mode.
  void add_table_lock(Connection& connection, TableRequest request, os::Deadline deadline, const Statement& lock) const;

  struct Settings {
    os::Deadline deadline;
    std::int64_t lock_timeout_ms = kLockTimeoutMs;
    bool is_small_read = false;  ///< a few keys, in no transaction of several statements
    bool ends_early = false;     ///< the server ends it at the deadline, though the session gives it longer
  };
  /// A lock timeout for what passes over rows that others hold and waits for nothing but the table.
  static std::int64_t lock_timeout_until(os::Deadline deadline) {
    return std::max<std::int64_t>(os::time_left(deadline).count() / 1000, 1);
  }
  /// First of the statements of a write that begins no transaction: makes the one they are of the level they need,
  /// where a pooler has left out that setting of the session and the server has another.
  void add_isolation(Connection& connection) const {
    if (!connection.facts().is_read_committed) connection.add(statements_->read_committed);
  }
  /// Adds what the transaction that begins here needs beyond the settings of the session.
  void add_settings(Connection& connection, const Settings& settings) const;
  /// Ends a transaction that failed, so that the connection can be used again.
  void roll_back(Connection& connection, os::Deadline deadline) const;

  /// Whether answers from this connection must bring the canary.
  bool needs_canary(const Connection& connection) const { return is_unlogged() && connection.facts().through_pooler; }
  bool is_unlogged() const { return setup_.options.durability == Durability::unlogged; }
  /// Who is told of a reset: the call that met it, or, where that is none of a user's, the next one.
  enum class Told : std::uint8_t { caller, next };
  /// Compares a canary; `found` false: the row is missing. StoreReset when the table has been emptied: the transaction
  /// that met it has then been rolled back.
  Status check_canary(Connection& connection, bool found, std::string_view value, os::Deadline deadline,
                      Told told = Told::caller) TUSKV_EXCLUDES(canary_mutex_);

  void tell_next_of_reset() { reset_.store(true); }

  /// For statements that only read and whose answer cannot hold the canary: adds it beside them, where it is needed.
  std::optional<std::size_t> add_canary(Connection& connection) const;
  Status check_canary_at(Connection& connection, std::optional<std::size_t> place, os::Deadline deadline,
                         Told told = Told::caller) TUSKV_EXCLUDES(canary_mutex_);

  /// For statements that change what they find: they are added behind this. Where no canary is needed the transaction
  /// ends by itself.
  std::optional<std::size_t> begin_write(Connection& connection, const Settings& settings) const;
  /// After their exchange, whose rows it drops: commits, or says why nothing was applied.
  Status end_write(Connection& connection, std::optional<std::size_t> canary, os::Deadline deadline)
      TUSKV_EXCLUDES(canary_mutex_);

  void report(Event::Kind kind, const std::string& message) const;
  void close() {
    route_.close();
    pool_.close();
  }

 private:
  Result<std::unique_ptr<Connection>> connect(os::Deadline deadline);
  std::size_t add_canary_read(Connection& connection) const;
  Status look_for_canary(Connection& connection, os::Deadline deadline) TUSKV_EXCLUDES(canary_mutex_);
  /// Puts a canary into an emptied table, or takes over that of another process.
  Status replace_canary(Connection& connection, os::Deadline deadline, Told told) TUSKV_EXCLUDES(canary_mutex_);
  /// From now on this is the canary. The flag comes first: whoever finds the new one to be the known one must find it.
  void set_canary(std::string_view value, Told told) TUSKV_REQUIRES(canary_mutex_);
  Status check_encoding(const Connection& connection) const;
  Status prepare_table();

  Setup setup_;  ///< constant once the table is prepared
  PreparePolicy policy_;
  Route route_;
  TableName name_;
  std::unique_ptr<const Statements> statements_;  ///< null until the table is known
  ServerClock clock_;
  /// The table was found emptied by a connection whose caller has not been told.
  std::atomic<bool> reset_ = false;
  os::Mutex canary_mutex_;
  std::string canary_ TUSKV_GUARDED_BY(canary_mutex_);
  RowTurns row_turns_;
  TableTurns table_turns_;
  Pool pool_;
};

Status store_reset();

}  // namespace tuskv::postgres
