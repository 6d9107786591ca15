#include "postgres/diagnosis.h"

#include <utility>

#include "findings.h"
#include "postgres/schema.h"

namespace tuskv::postgres {
namespace {

/// Fewer rows than this are nothing to warn of, whatever their ratio.
constexpr std::int64_t kDeadRowsMin = 10'000;
constexpr std::int64_t kUpdatesMin = 10'000;
constexpr std::int64_t kConnectionsUsedPercentMax = 90;
/// What has the table for less long is at work, as calls of a store are.
constexpr std::int64_t kTableHeldUsMax = 1'000'000;
/// A transaction older than this, by either, keeps rows that count.
constexpr std::int64_t kTransactionUsMax = 60'000'000;
constexpr std::int64_t kTransactionsSinceMax = 100'000;

std::int64_t percent(std::int64_t part, std::int64_t whole) { return whole > 0 ? part * 100 / whole : 0; }

void judge_session(Findings& findings, const DiagnosisFacts& facts, const Options& options) {
  findings.ok("server", "PostgreSQL " + facts.server_version);
  findings.ok("store", facts.identity);
  const std::string way = facts.through_pooler ? "through a pooler" : "direct";
  const std::string mode = facts.prepares ? "; statements are prepared" : "; statements are not prepared";
  if (facts.through_pooler && facts.prepares) {
    findings.note("connection", way + mode,
                  "the pooler must support that (pgbouncer from 1.21); prepare=auto does without");
  } else {
    findings.ok("connection", way + mode);
  }
  const std::string used =
      std::to_string(facts.connections) + " of " + std::to_string(facts.connections_max) + " are in use";
  const std::int64_t left = facts.connections_max - facts.connections;
  if (percent(facts.connections, facts.connections_max) >= kConnectionsUsedPercentMax) {
    findings.warn("connections", used, "others are refused soon: raise max_connections, or use a pooler");
  } else if (!facts.through_pooler && left < static_cast<std::int64_t>(options.pool_size)) {
    findings.note("connections", used,
                  "this store may want " + std::to_string(options.pool_size) + " (pool_size), which are not left");
  } else {
    findings.ok("connections", used);
  }
}

/// The level that holds whatever was asked for, by the name of the option.
void judge_durability(Findings& findings, const DiagnosisFacts& facts, Durability asked) {
  const std::string wanted = durability_text(asked);
  if (asked == Durability::unlogged) {
    return findings.ok("durability",
                       wanted + ": a crash of the server empties the table, and the next call reports it");
  }
  const std::string but = ", though " + wanted + " was asked for: ";
  if (!facts.fsync) {
    return findings.warn("durability", "unlogged" + but + "fsync is off on the server",
                         "a crash of its machine can lose or spoil everything: set fsync=on");
  }
  if (!facts.full_page_writes) {
    return findings.warn("durability", "unlogged" + but + "full_page_writes is off on the server",
                         "a crash of its machine can spoil pages, unless its file system never tears one: set "
                         "full_page_writes=on");
  }
  if (asked == Durability::durable && facts.synchronous_commit == "off") {
    return findings.warn("durability", "relaxed" + but + "synchronous_commit is off in this store's own sessions",
                         "something between this program and the server changes the settings of sessions");
  }
  findings.ok("durability",
              wanted + ": fsync and full_page_writes are on, synchronous_commit is " + facts.synchronous_commit);
}

void judge_writes(Findings& findings, const DiagnosisFacts& facts) {
  if (facts.is_standby) {
    return findings.warn("writes", "refused: the server is a standby",
                         "name the primary, or every host of the cluster");
  }
  if (facts.is_read_only) {
    return findings.warn("writes", "refused: the sessions are read-only",
                         "default_transaction_read_only is on for the role, the database or the server");
  }
  std::string missing;
  for (const auto& [held, name] : {std::pair(facts.may_select, "SELECT"), std::pair(facts.may_insert, "INSERT"),
                                   std::pair(facts.may_update, "UPDATE"), std::pair(facts.may_delete, "DELETE")}) {
    if (!held) missing += std::string(missing.empty() ? "" : ", ") + name;
  }
  if (missing.empty()) return findings.ok("writes", "allowed");
  if (missing == "INSERT, UPDATE, DELETE") {
    return findings.note("writes", "refused: the role may only read",
                         "grant INSERT, UPDATE, DELETE if it should write");
  }
  findings.warn("writes", "some are refused: the role lacks " + missing,
                "grant SELECT, INSERT, UPDATE, DELETE on " + facts.table);
}

void judge_table(Findings& findings, const DiagnosisFacts& facts, const Options& options) {
  findings.ok("table", facts.table + (options.durability == Durability::unlogged ? ": UNLOGGED, " : ": logged, ") +
                           (options.value_type == ValueType::jsonb ? "jsonb" : "bytea") + ", " +
                           std::to_string(options.partitions) + " partitions, fill factor " +
                           std::to_string(facts.fill_factor));
  if (!facts.has_key_index) {
    findings.warn("indexes", "there is no valid unique index on key",
                  "writes fail: alter table " + facts.table + " add primary key (key)");
  } else if (!facts.has_expiry_index) {
    findings.warn("indexes", "there is no valid index on expires_bucket",
                  "the sweeper reads the whole table each time: create index on " + facts.table +
                      " (expires_bucket) where expires_bucket is not null");
  } else if (!facts.other_indexes.empty()) {
    findings.note("indexes", "others were added: " + facts.other_indexes,
                  "each slows every write, and one on a column that changes keeps updates from being heap-only");
  } else {
    findings.ok("indexes", "key, expires_bucket");
  }
  if (facts.triggers.empty()) {
    findings.ok("triggers", "none");
  } else {
    findings.warn("triggers", "there are triggers or rules: " + facts.triggers,
                  "they run in every write, and may change what is stored or what was answered");
  }
  if (facts.is_hidden_by_policies) {
    findings.warn("row_security", "policies hide rows from this role",
                  "a key that is hidden looks absent and cannot be set: alter table " + facts.table +
                      " disable row level security");
  }
}

std::string name_of(const OtherTransaction& other) {
  switch (other.kind) {
    case OtherTransaction::Kind::prepared:
      return "the prepared transaction \"" + other.name + "\" of role " + other.role;
    case OtherTransaction::Kind::slot: return "the replication slot \"" + other.name + "\", " + other.state + ",";
    default: break;
  }
  const std::string application = other.name.empty() ? "no application_name" : other.name;
  const std::string session =
      "pid " + std::to_string(other.process) + " (" + application + ", role " + other.role + ")";
  return other.kind == OtherTransaction::Kind::standby ? "the standby behind " + session : session;
}

std::string since_text(const OtherTransaction& other) {
  if (other.kind == OtherTransaction::Kind::prepared) {
    return other.age_us ? ", prepared " + age_text(*other.age_us) : std::string();
  }
  if (other.age_us) return ", its transaction began " + age_text(*other.age_us) + ", " + other.state;
  if (!other.state.empty()) return ", " + other.state;
  return ", since when is told to members of pg_read_all_stats";
}

std::string how_to_end(const OtherTransaction& other) {
  if (other.kind == OtherTransaction::Kind::prepared) {
    return "rollback prepared " + quoted_literal(other.name) + ", or commit prepared, ends it";
  }
  return "select pg_terminate_backend(" + std::to_string(other.process) + ") ends it";
}

void judge_holders(Findings& findings, const DiagnosisFacts& facts) {
  bool is_held = false;
  for (const OtherTransaction& other : facts.holders) {
    if (other.age_us && *other.age_us <= kTableHeldUsMax) continue;
    is_held = true;
    const std::string against = other.blocks_reads ? " against everybody" : " against writers";
    std::string value = name_of(other);
    value += (other.is_granted ? " has the table" : " asks for the table") + against;
    if (!other.blocked_by.empty()) value += ", behind pid " + other.blocked_by;
    value += since_text(other);
    const std::string waiting = other.blocks_reads ? "calls wait for it" : "writes wait for it";
    if (other.age_us) {
      findings.warn("locks", value, waiting + ": " + how_to_end(other));
    } else {
      findings.note("locks", value, "if it stays, " + waiting + ": " + how_to_end(other));
    }
  }
  if (!is_held) findings.ok("locks", "nobody has the table for long");
}

bool has_many_dead(const DiagnosisFacts& facts) { return facts.dead >= kDeadRowsMin && facts.dead > facts.live / 2; }

/// What keeps dead rows: of which age it is, and what can be done about it.
std::pair<std::string, std::string> told_of_keeper(const OtherTransaction& other) {
  const std::string age = std::to_string(other.transactions_since) + " transactions old";
  switch (other.kind) {
    case OtherTransaction::Kind::standby:
      return {
          name_of(other) + " keeps what queries need there that are " + age,
          "rows that die stay until these have ended: end them on the standby, or turn its hot_standby_feedback off"};
    case OtherTransaction::Kind::slot:
      return {name_of(other) + " keeps what queries of a standby need that are " + age,
              "rows that die stay for it: end old queries on its standby; if none is to come back for it, select "
              "pg_drop_replication_slot(" +
                  quoted_literal(other.name) + ") ends it"};
    default:
      return {name_of(other) + " is " + age + since_text(other),
              "rows that die stay until it has ended; if nobody needs it, " + how_to_end(other)};
  }
}

void judge_keepers(Findings& findings, const DiagnosisFacts& facts) {
  bool is_kept = false;
  for (const OtherTransaction& other : facts.keepers) {
    const bool is_old =
        other.age_us.value_or(0) > kTransactionUsMax || other.transactions_since > kTransactionsSinceMax;
    if (!is_old) continue;
    is_kept = true;
    const auto [value, advice] = told_of_keeper(other);
    if (has_many_dead(facts)) {
      findings.warn("transactions", value, advice);
    } else {
      findings.note("transactions", value, advice);
    }
  }
  if (!is_kept) findings.ok("transactions", "none is old, of sessions, prepared ones, standbys or replication slots");
}

void judge_vacuum(Findings& findings, const DiagnosisFacts& facts) {
  const std::string value = facts.vacuum_age_us ? "last " + age_text(*facts.vacuum_age_us) : "not yet";
  if (!facts.has_autovacuum) {
    findings.warn("vacuum", value + "; autovacuum is off",
                  "the table grows with every write: turn it on for the server and the table");
  } else if (!facts.counts) {
    findings.warn("vacuum", value + "; track_counts is off",
                  "autovacuum does not know when to run: turn track_counts on");
  } else {
    findings.ok("vacuum", value);
  }
}

/// Whether dead rows are there though autovacuum was, or because it never comes. When rows died, nobody knows; but
/// where it leaves any behind, it is back after each of its pauses.
bool has_had_its_turn(const DiagnosisFacts& facts) {
  const bool comes = facts.has_autovacuum && facts.counts;
  return !comes || (facts.vacuum_age_us && *facts.vacuum_age_us <= 2 * facts.autovacuum_pause_us);
}

void judge_rows(Findings& findings, const DiagnosisFacts& facts, const Options& options) {
  findings.ok("live_rows", "about " + std::to_string(facts.live));
  const std::string dead = "about " + std::to_string(facts.dead);
  const bool are_many = has_many_dead(facts);
  const std::string advice =
      "autovacuum does not keep up, or something old holds it back (transactions, above): vacuum " + facts.table;
  if (are_many && has_had_its_turn(facts)) {
    findings.warn("dead_rows", dead, advice);
  } else if (are_many) {
    findings.note("dead_rows", dead,
                  "autovacuum has not been here yet since they were deleted or replaced: when they are still there "
                  "after some minutes, " +
                      advice);
  } else {
    findings.ok("dead_rows", dead);
  }
  const std::int64_t hot = percent(facts.hot_updates, facts.updates);
  const std::string updates =
      std::to_string(hot) + " % of " + std::to_string(facts.updates) + " updates were heap-only";
  if (facts.updates >= kUpdatesMin && hot < 50) {
    findings.note("hot_updates", updates,
                  "the others write every index: values grow, pages are full (fill_factor), or an index was added");
  } else {
    findings.ok("hot_updates", updates);
  }
  judge_vacuum(findings, facts);
  if (facts.expired) {
    const auto expired = static_cast<std::uint64_t>(*facts.expired);
    findings.expired(expired, expired >= kExpiredEntriesMany, options.ttl_mode);
  } else {
    findings.note(
        "expired", "not counted",
        "that needs the right to SELECT, the index on expires_bucket, and nobody who has the table against readers");
  }
}

}  // namespace

std::vector<Finding> judge(const DiagnosisFacts& facts, const Options& options) {
  Findings findings;
  judge_session(findings, facts, options);
  judge_durability(findings, facts, options.durability);
  judge_writes(findings, facts);
  judge_table(findings, facts, options);
  judge_holders(findings, facts);
  judge_keepers(findings, facts);
  judge_rows(findings, facts, options);
  return findings.take();
}

}  // namespace tuskv::postgres
