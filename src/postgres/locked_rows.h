// Rows that a transaction of ours has locked, and what is to become of them. First all are locked in key order and
// read, then changes are planned in C++, then written: two round trips, whatever the number of keys and commands. When
// an entry that was found live expires between the two, nothing is written, and all of it runs again.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plan.h"
#include "postgres/database.h"
#include "postgres/respelling.h"

namespace tuskv::postgres {

class LockedRows final {
 public:
  struct Key {
    std::string key;
    bool wants_value = false;
  };
  struct Options {
    os::Deadline deadline;
    std::int64_t lock_timeout_ms = kLockTimeoutMs;
    /// Absent keys must stay so, or come into being, until the end: they are held by guard rows, which nobody sees
    /// and which go again. Without it a key that is absent counts as such from then on, whatever others do.
    bool creates = true;
    /// To be given in the spelling of jsonb; they stay until lock() returns.
    std::span<const std::string_view> given = {};
  };
  /// One row, as it is now and as it will be.
  struct Row {
    EntryState state = {};  ///< after what has been planned so far
    PlannedChange::Kind change = PlannedChange::Kind::none;
    std::string_view value = {};  ///< put
    bool is_stored = false;       ///< a row of the table, be it dead or a guard
    bool is_guard = false;
    std::uint64_t version = 0;  ///< the highest this key has had, as far as is known
  };

  /// `keys` are sorted and distinct.
  LockedRows(Database& database, std::vector<Key> keys) : database_(database), keys_(std::move(keys)) {}

  /// First round trip: begins a transaction, locks and reads. On failure nothing has been applied and the transaction
  /// has ended.
  Status lock(Connection& connection, const Options& options);
  /// For transactions: with the whole table locked against writers first.
  Status lock_with_table(Connection& connection, const Options& options, TableRequest request);

  std::size_t index_of(std::string_view key) const;
  Row& row(std::size_t index) { return rows_[index]; }
  std::size_t size() const { return rows_.size(); }
  std::int64_t now_us() const { return now_us_; }
  /// Of the values given.
  std::string_view respelled(std::size_t index) const { return respelling_[index]; }

  /// Makes a planned change of the row and gives it its version, which is returned.
  std::uint64_t apply(std::size_t index, const PlannedChange& change);
  bool changes_anything() const;
  /// What is written was also judged on an entry that expires then.
  void note_expiry(std::int64_t expires_us) {
    if (expires_us != 0) judged_until_us_ = std::min(judged_until_us_, expires_us);
  }

  /// Second round trip: writes all changes and commits; rolls back when there are none. Values planned must still be
  /// there until add_writes() returns, which only copies.
  void add_writes(Connection& connection);
  Status commit(Connection& connection, os::Deadline deadline);

 private:
  Status lock_rows(Connection& connection, const Options& options, std::optional<TableRequest> table);
  void add_lock(Connection& connection, const Options& options, std::span<const Key> part);
  Status read_rows(Connection& connection, const Options& options);
  void add_puts(Connection& connection, std::span<const std::size_t> rows);
  void add_touches(Connection& connection, std::span<const std::size_t> rows);
  void add_erases(Connection& connection, std::span<const std::size_t> rows);

  Database& database_;
  std::vector<Key> keys_;
  std::vector<Row> rows_;
  std::vector<std::size_t> places_;
  std::vector<Rows> results_;  ///< the states point into them
  Respelling respelling_;
  bool with_canary_ = false;
  std::size_t clock_place_ = 0;
  std::int64_t now_us_ = 0;
  std::uint64_t version_clock_ = 0;
  /// When the first of the entries expires that were found live. By then the transaction must be about to commit, or it
  /// would bring back, or be the consequence of, what others have seen to be gone. (They may while the commit is
  /// synced: nobody can look at the clock after that.)
  std::int64_t judged_until_us_ = INT64_MAX;
  bool writes_ = false;
};

}  // namespace tuskv::postgres
