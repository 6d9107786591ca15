// Collects the facts. Every role may read these catalogues; only the entries themselves need a right.
#include <string>
#include <utility>
#include <vector>

#include "findings.h"
#include "postgres/diagnosis.h"
#include "postgres/sqlstate.h"

namespace tuskv::postgres {
namespace {

/// More of them tell nothing more.
constexpr int kOthersShown = 5;

// What kind of session it is, a role is told of its own ones alone; database and role it sees of all.
constexpr const char* kSession =
    "select pg_catalog.split_part(pg_catalog.current_setting('server_version'), ' ', 1), "
    "pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only')::bool, "
    "(select pg_catalog.count(*) from pg_catalog.pg_stat_activity where datid is not null and usesysid is not "
    "null)::int8, "
    "pg_catalog.current_setting('max_connections')::int8 - "
    "pg_catalog.current_setting('superuser_reserved_connections')::int8, "
    "pg_catalog.current_setting('fsync')::bool, pg_catalog.current_setting('full_page_writes')::bool, "
    "pg_catalog.current_setting('synchronous_commit'), "
    "pg_catalog.current_setting('autovacuum')::bool, pg_catalog.current_setting('track_counts')::bool, "
    "(select setting::int8 from pg_catalog.pg_settings where name = 'autovacuum_naptime')";

/// {T} is the table as a string literal. `t` is the table and its partitions, `l` those of them that hold rows.
constexpr const char* kTable =
    "with t as materialized (select c.oid, c.relkind, c.reloptions from pg_catalog.pg_class c "
    "where c.oid = {T}::regclass::oid or c.oid in (select i.inhrelid from pg_catalog.pg_inherits i "
    "where i.inhparent = {T}::regclass::oid)), "
    "l as (select * from t where t.relkind = 'r'), "
    "o as (select o.option_name as name, o.option_value as value "
    "from l, pg_catalog.pg_options_to_table(l.reloptions) o), "
    // The first column of each index of the whole table, and whether it is all there is.
    "x as (select i.indexrelid, i.indisunique and i.indpred is null as is_total, i.indisvalid as is_valid, "
    "i.indnkeyatts = 1 as is_single, coalesce(a.attname, '') as name, i.indrelid = {T}::regclass::oid as is_whole "
    "from t join pg_catalog.pg_index i on i.indrelid = t.oid "
    "left join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]), "
    "s as (select coalesce(pg_catalog.sum(pg_catalog.pg_stat_get_live_tuples(oid)), 0)::int8 as live, "
    "coalesce(pg_catalog.sum(pg_catalog.pg_stat_get_dead_tuples(oid)), 0)::int8 as dead, "
    "coalesce(pg_catalog.sum(pg_catalog.pg_stat_get_tuples_updated(oid)), 0)::int8 as updates, "
    "coalesce(pg_catalog.sum(pg_catalog.pg_stat_get_tuples_hot_updated(oid)), 0)::int8 as hot, "
    "greatest(pg_catalog.max(pg_catalog.pg_stat_get_last_vacuum_time(oid)), "
    "pg_catalog.max(pg_catalog.pg_stat_get_last_autovacuum_time(oid))) as vacuumed from l) "
    "select coalesce((select pg_catalog.min(value::int8) from o where name = 'fillfactor'), 100), "
    "not exists(select from o where name = 'autovacuum_enabled' and not value::bool), "
    "pg_catalog.has_table_privilege({T}::regclass, 'select'), "
    "pg_catalog.has_table_privilege({T}::regclass, 'insert'), "
    "pg_catalog.has_table_privilege({T}::regclass, 'update'), "
    "pg_catalog.has_table_privilege({T}::regclass, 'delete'), "
    "pg_catalog.row_security_active({T}::regclass), "
    "coalesce((select pg_catalog.string_agg(distinct n.name, ', ') from (select g.tgname::text as name "
    "from t join pg_catalog.pg_trigger g on g.tgrelid = t.oid where not g.tgisinternal union "
    "select r.rulename::text from t join pg_catalog.pg_rewrite r on r.ev_class = t.oid) n), ''), "
    "exists(select from x where is_whole and is_valid and is_total and is_single and name = 'key'), "
    "exists(select from x where is_whole and is_valid and name = 'expires_bucket'), "
    "coalesce((select pg_catalog.string_agg(x.indexrelid::regclass::text, ', ' order by x.indexrelid) "
    "from x where not (x.is_single and x.name in ('key', 'expires_bucket')) "
    // Those that create_index has made, and of a table with partitions what they consist of.
    "and not exists(select from pg_catalog.pg_description d where d.classoid = 'pg_catalog.pg_class'::regclass::oid "
    "and (d.objoid = x.indexrelid or d.objoid in (select i.inhparent from pg_catalog.pg_inherits i "
    "where i.inhrelid = x.indexrelid)) and pg_catalog.starts_with(d.description, {MARK}))), ''), "
    "s.live, s.dead, s.updates, s.hot, "
    "(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - s.vacuumed) * 1000000::float8)::int8, "
    // Two servers started in the same microsecond would have to agree on both numbers, too.
    "pg_catalog.format('table %s in database %s of a server that runs since %s', {T}::regclass::oid, "
    "(select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()), "
    "pg_catalog.to_char(pg_catalog.timezone('UTC', pg_catalog.pg_postmaster_start_time()), "
    "'YYYY-MM-DD HH24:MI:SS.US')) from s";

/// Those that have the table, or its partitions, against writers, or ask for that: whoever comes later waits behind
/// them. A prepared transaction has no process; it holds the lock on its own number under the same virtual one.
constexpr const char* kHolders =
    "with t as (select {T}::regclass::oid as oid union all select i.inhrelid from pg_catalog.pg_inherits i "
    "where i.inhparent = {T}::regclass::oid), "
    "h as (select l.pid, l.virtualtransaction, pg_catalog.bool_and(l.granted) as is_granted, "
    "pg_catalog.bool_or(l.mode = 'AccessExclusiveLock'::text) as blocks_reads "
    "from pg_catalog.pg_locks l join t on l.relation = t.oid "
    "where l.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()) "
    "and (l.mode = 'ShareLock'::text or l.mode = 'ShareRowExclusiveLock'::text or l.mode = 'ExclusiveLock'::text "
    "or l.mode = 'AccessExclusiveLock'::text) group by l.pid, l.virtualtransaction) "
    "select case when h.pid is null then {PREPARED} else {SESSION} end, coalesce(h.pid, 0), "
    "coalesce(a.application_name, p.gid, ''), coalesce(a.usename::text, p.owner::text, 'none'), "
    "coalesce(a.state, ''), (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - "
    "coalesce(a.xact_start, p.prepared)) * 1000000::float8)::int8, 0::int8, "
    "h.is_granted, h.blocks_reads, case when h.is_granted then '' else "
    "pg_catalog.array_to_string(pg_catalog.array_remove(pg_catalog.pg_blocking_pids(h.pid), 0), ', ') end "
    "from h left join pg_catalog.pg_stat_activity a on a.pid = h.pid "
    "left join (select x.virtualtransaction, q.gid, q.owner, q.prepared from pg_catalog.pg_locks x "
    "join pg_catalog.pg_prepared_xacts q on q.transaction = x.transactionid where x.pid is null) p "
    "on h.pid is null and p.virtualtransaction = h.virtualtransaction "
    // The server's own processes end by themselves.
    "where h.pid is null or a.pid is null or a.usesysid is not null "
    "order by h.is_granted desc, coalesce(a.xact_start, p.prepared) nulls first limit {N}";

/// Those whose snapshot, or who themselves, began so long ago. A VACUUM, though it has a snapshot, keeps nothing, nor
/// does a slot that is lost; what logical ones keep are rows of the catalogues alone (catalog_xmin).
constexpr const char* kKeepers =
    "select case when a.datid is null then {STANDBY} else {SESSION} end, a.pid, coalesce(a.application_name, ''), "
    "coalesce(a.usename::text, 'none'), coalesce(a.state, ''), "
    "(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - a.xact_start) * 1000000::float8)::int8 as age_us, "
    "greatest(pg_catalog.age(a.backend_xid), pg_catalog.age(a.backend_xmin))::int8 as since "
    "from pg_catalog.pg_stat_activity a where a.usesysid is not null and a.pid <> pg_catalog.pg_backend_pid() "
    "and (a.backend_xid is not null or a.backend_xmin is not null) "
    // Without a database: what feeds a standby.
    "and (a.datid is null or a.datname = pg_catalog.current_database()) "
    "and not exists(select from pg_catalog.pg_stat_progress_vacuum v where v.pid = a.pid) "
    "union all select {PREPARED}, 0, p.gid, coalesce(p.owner::text, 'none'), '', "
    "(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - p.prepared) * 1000000::float8)::int8, "
    "pg_catalog.age(p.transaction)::int8 from pg_catalog.pg_prepared_xacts p "
    "where p.database = pg_catalog.current_database() "
    "union all select {SLOT}, coalesce(s.active_pid, 0), s.slot_name::text, '', "
    "case when s.active then 'in use' else 'not in use' end, null, pg_catalog.age(s.xmin)::int8 "
    "from pg_catalog.pg_replication_slots s where s.xmin is not null and s.wal_status is distinct from 'lost'::text "
    "order by since desc, age_us desc nulls last limit {N}";

std::string kind_literal(OtherTransaction::Kind kind) { return std::to_string(static_cast<int>(kind)) + "::int4"; }

std::string text_for(const Database& database, std::string text) {
  for (const auto& [name, literal] :
       {std::pair<std::string_view, std::string>("{T}", quoted_literal(database.table().quoted())),
        std::pair<std::string_view, std::string>("{MARK}", quoted_literal(Statements::kIndexMark)),
        std::pair<std::string_view, std::string>("{SESSION}", kind_literal(OtherTransaction::Kind::session)),
        std::pair<std::string_view, std::string>("{PREPARED}", kind_literal(OtherTransaction::Kind::prepared)),
        std::pair<std::string_view, std::string>("{STANDBY}", kind_literal(OtherTransaction::Kind::standby)),
        std::pair<std::string_view, std::string>("{SLOT}", kind_literal(OtherTransaction::Kind::slot)),
        std::pair<std::string_view, std::string>("{N}", std::to_string(kOthersShown))}) {
    for (std::size_t at = text.find(name); at != std::string::npos; at = text.find(name, at + literal.size())) {
      text.replace(at, name.size(), literal);
    }
  }
  return text;
}

void take_session(const Rows& rows, DiagnosisFacts& facts) {
  facts.server_version = rows.bytes(0, 0);
  facts.is_standby = rows.boolean(0, 1);
  facts.is_read_only = rows.boolean(0, 2);
  facts.connections = rows.int8(0, 3);
  facts.connections_max = rows.int8(0, 4);
  facts.fsync = rows.boolean(0, 5);
  facts.full_page_writes = rows.boolean(0, 6);
  facts.synchronous_commit = rows.bytes(0, 7);
  facts.has_autovacuum = rows.boolean(0, 8);
  facts.counts = rows.boolean(0, 9);
  facts.autovacuum_pause_us = rows.int8(0, 10) * 1'000'000;
}

void take_table(const Rows& rows, DiagnosisFacts& facts) {
  facts.fill_factor = rows.int8(0, 0);
  facts.has_autovacuum = facts.has_autovacuum && rows.boolean(0, 1);
  facts.may_select = rows.boolean(0, 2);
  facts.may_insert = rows.boolean(0, 3);
  facts.may_update = rows.boolean(0, 4);
  facts.may_delete = rows.boolean(0, 5);
  facts.is_hidden_by_policies = rows.boolean(0, 6);
  facts.triggers = rows.bytes(0, 7);
  facts.identity = rows.bytes(0, 16);
  facts.has_key_index = rows.boolean(0, 8);
  facts.has_expiry_index = rows.boolean(0, 9);
  facts.other_indexes = rows.bytes(0, 10);
  facts.live = rows.int8(0, 11);
  facts.dead = rows.int8(0, 12);
  facts.updates = rows.int8(0, 13);
  facts.hot_updates = rows.int8(0, 14);
  if (!rows.is_null(0, 15)) facts.vacuum_age_us = rows.int8(0, 15);
}

std::vector<OtherTransaction> take_others(const Rows& rows, bool with_lock) {
  std::vector<OtherTransaction> others;
  for (int i = 0; i < rows.count(); ++i) {
    OtherTransaction& other = others.emplace_back();
    other.kind = static_cast<OtherTransaction::Kind>(rows.int4(i, 0));
    other.process = rows.int4(i, 1);
    other.name = rows.bytes(i, 2);
    other.role = rows.bytes(i, 3);
    other.state = rows.bytes(i, 4);
    if (!rows.is_null(i, 5)) other.age_us = rows.int8(i, 5);
    other.transactions_since = rows.int8(i, 6);
    if (!with_lock) continue;
    other.is_granted = rows.boolean(i, 7);
    other.blocks_reads = rows.boolean(i, 8);
    other.blocked_by = rows.bytes(i, 9);
  }
  return others;
}

Status count_expired(Database& database, Connection& connection, os::Deadline deadline, DiagnosisFacts& facts) {
  database.add_settings(connection, {.deadline = deadline});
  Parameters parameters;
  parameters.add_int8(static_cast<std::int64_t>(kExpiredEntriesMany));
  const std::size_t place = connection.add(database.statements().count_expired, parameters);
  connection.end_transaction();
  Status status = connection.exchange(deadline);
  if (is_lock_timeout(status)) return {};  // whoever has the table is told of
  TUSKV_RETURN_IF_ERROR(std::move(status));
  facts.expired = connection.rows(place).int8(0, 0);
  return {};
}

}  // namespace

Result<DiagnosisFacts> collect_facts(Database& database, os::Deadline deadline) {
  DiagnosisFacts facts;
  const std::string table_text = text_for(database, kTable);
  const std::string holders_text = text_for(database, kHolders);
  const std::string keepers_text = text_for(database, kKeepers);
  const Status status = database.run(Database::Effect::reads, deadline, [&](Connection& connection) -> Status {
    facts = {.through_pooler = connection.facts().through_pooler,
             .prepares = connection.prepares(),
             .table = database.table().quoted()};
    database.add_settings(connection, {.deadline = deadline});  // as a write does
    const std::size_t session = connection.add_text(kSession);
    const std::size_t table = connection.add_text(table_text);
    const std::size_t holders = connection.add_text(holders_text);
    const std::size_t keepers = connection.add_text(keepers_text);
    connection.end_transaction();
    TUSKV_RETURN_IF_ERROR(connection.exchange(deadline));
    if (connection.rows(table).count() == 0) return Status(Code::Config, "the table has been dropped");
    take_session(connection.rows(session), facts);
    take_table(connection.rows(table), facts);
    facts.holders = take_others(connection.rows(holders), true);
    facts.keepers = take_others(connection.rows(keepers), false);
    // Without the index the whole table would be read.
    if (!facts.may_select || !facts.has_expiry_index) return {};
    return count_expired(database, connection, deadline, facts);
  });
  TUSKV_RETURN_IF_ERROR(status.clone());
  return facts;
}

}  // namespace tuskv::postgres
