// What Store::diagnose tells of a store on PostgreSQL: facts are collected in two round trips, and judged without any.
//
// What the options and the table disagree in was refused when the store was opened; here is what may be wrong all the
// same, or go wrong afterwards.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "os/deadline.h"
#include "postgres/database.h"
#include "status.h"
#include "tuskv/options.h"
#include "tuskv/store.h"

namespace tuskv::postgres {

/// What has a lock on the table, or keeps rows that are dead to everybody else, as far as this role may see it: of
/// sessions of other roles it is told neither since when their transaction is open nor their state, unless it is a
/// member of pg_read_all_stats.
struct OtherTransaction {
  enum class Kind : std::uint8_t {
    session,
    prepared,  ///< a transaction without a session (PREPARE TRANSACTION)
    standby,   ///< by the session that feeds it (hot_standby_feedback)
    slot,      ///< the same, kept for one also while it is away
  };
  Kind kind = Kind::session;
  std::int32_t process = 0;  ///< of a session
  std::string name = {};     ///< of a session its application_name, of the others their own
  std::string role = {};
  std::string state = {};
  std::optional<std::int64_t> age_us = {};
  std::int64_t transactions_since = 0;  ///< that the server has begun
  // Of a lock on the table that no writer can have beside it.
  bool is_granted = true;
  bool blocks_reads = false;
  std::string blocked_by = {};  ///< processes
};

struct DiagnosisFacts {
  // The session.
  std::string server_version = {};
  bool through_pooler = false;
  bool prepares = false;
  bool is_standby = false;
  bool is_read_only = false;
  std::int64_t connections = 0;
  std::int64_t connections_max = 0;  ///< without those kept for superusers
  // Durability, as a write of this store gets it.
  bool fsync = true;
  bool full_page_writes = true;
  std::string synchronous_commit = {};
  // The table, or its partitions together.
  std::string table = {};
  std::string identity = {};  ///< the same for every way to this table while its server runs
  std::int64_t fill_factor = 100;
  bool may_select = true;
  bool may_insert = true;
  bool may_update = true;
  bool may_delete = true;
  bool is_hidden_by_policies = false;  ///< row-level security holds for this role
  std::string triggers = {};           ///< names; rules are among them
  bool has_key_index = true;
  bool has_expiry_index = true;
  std::string other_indexes = {};
  // Its rows, as the server's statistics have them.
  bool has_autovacuum = true;
  bool counts = true;  ///< track_counts
  std::int64_t live = 0;
  std::int64_t dead = 0;
  std::int64_t updates = 0;
  std::int64_t hot_updates = 0;
  std::optional<std::int64_t> vacuum_age_us = {};
  std::int64_t autovacuum_pause_us = 0;      ///< between its rounds
  std::optional<std::int64_t> expired = {};  ///< nothing: not counted; at most kExpiredEntriesMany
  // Others on the same server, the oldest first.
  std::vector<OtherTransaction> holders = {};  ///< of a lock on the table
  std::vector<OtherTransaction> keepers = {};  ///< of dead rows
};

Result<DiagnosisFacts> collect_facts(Database& database, os::Deadline deadline);

std::vector<Finding> judge(const DiagnosisFacts& facts, const Options& options);

}  // namespace tuskv::postgres
