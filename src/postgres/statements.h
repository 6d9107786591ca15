// The texts of every statement, made once for a store from its table, the type of its values and its clock. All
// parameters are binary, keys are named in ascending order (that is the order rows are locked in), and each text stays
// good under one generic plan.
//
// A version is the server's time in microseconds and ten bits of the process that wrote, or the next microsecond when
// the entry has a later one. The process is there because a key can be erased and set again within a microsecond: a
// statement takes the time before it waits for others, so it can insert with a time that an erased entry has had. No
// version is behind the clock, so the same process never gives one twice. (Always the server's own clock: a version has
// to grow also while a test's clock stands still.)
//
// A statement that looks at several entries judges all of them at one instant, and gives all that it sets one instant
// to expire: what was set together is gone together.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "postgres/connection.h"
#include "tuskv/options.h"

namespace tuskv::postgres {

struct StatementOptions {
  std::string table;  ///< schema and name, quoted
  ValueType value_type = ValueType::bytea;
  std::string clock = "pg_catalog.clock_timestamp()";  ///< an expression; whatever judges or sets a time uses it
  bool expiry_disabled = false;
};

/// The columns of a row as every reading statement gives them, behind its own first ones.
struct StateColumns {
  static constexpr int kValue = 0, kExpires = 1, kCreated = 2, kUpdated = 3, kVersion = 4, kCount = 5;
};

/// The columns of a page's rows: its entries, and the last row looked at.
struct PageColumns {
  static constexpr int kKey = 0;
  static constexpr int kMatches = 1;   ///< this is an entry of the page
  static constexpr int kMore = 2;      ///< there are rows behind it
  static constexpr int kLookedAt = 3;  ///< the how manieth row looked at
  static constexpr int kBytes = 4;     ///< that count so far
  static constexpr int kState = 5;
};

struct Statements {
  explicit Statements(const StatementOptions& options);

  /// A page of the entries whose field has a value, found through an index on the field: as pages are, with a JSON
  /// value → whether there is an index, and then PageColumns; one row at least, of nothing else. `field` and the
  /// `comment` of the index are literals. `or_written_as`: …, text, second JSON value: also what equals the second
  /// value and is written as the text.
  Statement indexed_page(const std::string& field, const std::string& comment, bool or_written_as) const;
  /// What the comments of our indexes start with; the field follows.
  static constexpr std::string_view kIndexMark = "tuskv index of field ";
  /// The indexes of the table that have such a comment: `i` of pg_index, and `d` with the `description`.
  std::string marked_indexes() const;
  /// What an index on a field is on, and of which rows; of a literal.
  static std::string indexed_columns(const std::string& field);
  static std::string indexed_rows(const std::string& field);

  const StatementOptions options;

  // Reading. The state of live entries, and the clock.
  Statement read_value;  ///< key → value
  Statement read_one;    ///< key → state, clock
  Statement read_meta;   ///< the same with a null value
  /// keys, wants value, largest value, whether expired ones come too → ordinal, state, clock; a larger value is null
  Statement read_many;
  /// keys, largest value, whether expired ones come too → key, value, expires, in the order of keys; a larger value is
  /// null. A third cheaper than all stamps by ordinal, but for partitions: each would be searched for every key.
  Statement read_values;
  // Writing without looking.
  Statement set_one;     ///< key, value, ttl ms
  Statement set_many;    ///< arrays of the same, the time (null: the clock's), which is one for all
  Statement erase_one;   ///< key, wants value → was live, state
  Statement erase_many;  ///< keys, wants value → ordinal, was live, state
  Statement increment;   ///< key, by, ttl ms → value, version, expires; no row: this has to be planned
  Statement erase_dead;  ///< keys → count
  Statement respell;     ///< values → each as jsonb gives it back; for jsonb alone
  // Lock, look, plan, write.
  Statement lock;              ///< keys: locks rows; absent ones get a guard row that nobody sees
  Statement state;             ///< keys, wants value → ordinal, found, state
  Statement lock_state;        ///< keys, wants value → the same for rows it has locked itself
  Statement clocks;            ///< → clock, version clock
  Statement still_before;      ///< a time: fails the transaction, to be run again (sqlstate.cc), once it has come
  Statement put;               ///< keys, values, expires, buckets, created, updated, versions
  Statement touch;             ///< keys, expires, buckets, updated, versions
  Statement erase;             ///< keys
  Statement lock_table;        ///< keeps all other writers out
  Statement lock_table_alone;  ///< keeps all others out
  Statement announce_writes;   ///< waits for one who does
  // Listing: from (inclusive), to (exclusive).
  /// Pages: from, to, rows to be looked at and one more, include expired, wants value, bytes, entries wanted, and what
  /// the filter takes → PageColumns, in key order.
  struct Listing {
    Statement page;
    Statement filtered_page;  ///< …, pattern
    Statement contains_page;  ///< …, needle
    Statement folded_page;    ///< …, needle
    Statement member_page;    ///< …, field, value
    Statement text_page;      ///< …, field, text; jsonb alone
  };
  Listing forward;
  Listing reverse;
  Statement count;        ///< from, to → count
  Statement count_like;   ///< from, to, pattern → count
  Statement erase_range;  ///< from, to → count of live ones
  /// from, to, mark → whether the snapshot is another than that of the mark; if so, count, fingerprint, when the first
  /// of them expires.
  Statement fingerprint;
  Statement snapshot_mark;  ///< → mark
  // Expiry.
  Statement sweep;          ///< limit, looked at → count
  Statement cleanup;        ///< limit → count; the earliest first
  Statement count_expired;  ///< limit → count
  // Sessions.
  Statement begin;
  Statement read_committed;  ///< first in a transaction that has no other beginning
  Statement begin_snapshot;
  Statement commit;
  Statement rollback;
  Statement settings;         ///< synchronous_commit, statement_timeout, lock_timeout, for the transaction
  Statement pooled_settings;  ///< the same, and what a direct session has from its start
  // The canary.
  Statement canary_read;    ///< key → value
  Statement canary_insert;  ///< key, value
  Statement stats;          ///< first and last of our own keys → …
};

}  // namespace tuskv::postgres
