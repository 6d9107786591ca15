#include "postgres/schema.h"

#include <array>
#include <random>
#include <utility>
#include <vector>

#include "named_limits.h"
#include "own_keys.h"
#include "postgres/parameters.h"
#include "postgres/rows.h"

namespace tuskv::postgres {
namespace {

/// The mark of a table of ours, in its comment; the number is that of the table's form.
constexpr std::string_view kMark = "tuskv table, form 1";
/// What the server says of a statement on a table that is not there.
constexpr std::string_view kUndefinedTable = "42P01";
/// Every store locks the same key while it makes a table: it happens once.
constexpr std::string_view kLockTableMaking = "select pg_catalog.pg_advisory_xact_lock(7311427190423351654)";

/// What is there under the name.
struct Found {
  bool exists = false;
  std::string kind;
  bool unlogged = false;
  std::string comment;
  std::int32_t partitions = 0;
  std::int32_t unlogged_partitions = 0;
  std::string columns;
};

Status run(Connection& connection, const std::string& text, os::Deadline deadline) {
  connection.add_text(text);
  connection.end_transaction();
  return connection.exchange(deadline);
}

Result<Found> look_up(Connection& connection, const TableName& name, os::Deadline deadline) {
  const std::size_t place = connection.add_text(
      "select c.relkind::text, c.relpersistence = 'u', coalesce(pg_catalog.obj_description(c.oid, 'pg_class'), ''), "
      "(select pg_catalog.count(*)::int4 from pg_catalog.pg_inherits i where i.inhparent = c.oid), "
      "(select pg_catalog.count(*)::int4 from pg_catalog.pg_inherits i join pg_catalog.pg_class p on p.oid = "
      "i.inhrelid "
      "where i.inhparent = c.oid and p.relpersistence = 'u'), "
      "coalesce((select pg_catalog.string_agg(a.attname::text || ' ' || "
      // The setting quote_all_identifiers quotes types too.
      "pg_catalog.replace(pg_catalog.format_type(a.atttypid, a.atttypmod), '\"', ''), ', ' "
      "order by a.attname collate \"C\") from pg_catalog.pg_attribute a "
      "where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), '') "
      "from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace "
      "where n.nspname = " +
      quoted_literal(name.schema) + " and c.relname = " + quoted_literal(name.table));
  connection.end_transaction();
  TUSKV_RETURN_IF_ERROR(connection.exchange(deadline));
  const Rows& rows = connection.rows(place);
  if (rows.count() == 0) return Found{};
  return Found{.exists = true,
               .kind = std::string(rows.bytes(0, 0)),
               .unlogged = rows.boolean(0, 1),
               .comment = std::string(rows.bytes(0, 2)),
               .partitions = rows.int4(0, 3),
               .unlogged_partitions = rows.int4(0, 4),
               .columns = std::string(rows.bytes(0, 5))};
}

std::string type_name(ValueType type) { return type == ValueType::jsonb ? "jsonb" : "bytea"; }

std::string expected_columns(ValueType type) {
  return "created_at timestamp with time zone, expires_at timestamp with time zone, expires_bucket integer, "
         "key bytea, updated_at timestamp with time zone, value " +
         type_name(type) + ", version bigint";
}

Status differs(const TableName& name, const std::string& what) {
  return Status(Code::Config, "table " + name.quoted() + " " + what);
}

/// How a refusal ends: what the option says, whose default nobody may have thought of, and what would open the table.
std::string but_says(std::string_view option, const std::string& value, bool is_default, const std::string& right) {
  std::string text = ", and the option " + std::string(option) + " says " + value;
  if (is_default) text += " (its default)";
  return text + ": to open it as it is, give " + std::string(option) + "=" + right;
}

const char* durability_name(Durability durability) {
  return durability == Durability::relaxed ? "relaxed" : durability == Durability::unlogged ? "unlogged" : "durable";
}

/// Why a table is not taken for ours.
std::string without_mark(const Found& found, const TableName& name) {
  if (found.comment.starts_with("tuskv table")) {
    return "was made by another version of tuskv, which this one cannot read";
  }
  const bool is_alike =
      found.columns == expected_columns(ValueType::bytea) || found.columns == expected_columns(ValueType::jsonb);
  if (!is_alike || !found.comment.empty()) {
    return "was not made by tuskv: choose another name (table); nothing was changed";
  }
  return "has our columns, but not the comment that makes it ours. If it was restored from a dump without comments: "
         "comment on table " +
         name.quoted() + " is " + quoted_literal(kMark) + "; nothing was changed";
}

/// `options.partitions` becomes what the table has.
Status check(const Found& found, const TableName& name, Options& options) {
  if (found.kind != "r" && found.kind != "p") {
    return differs(name, "is a view, a foreign table or something else that is no table: choose another name (table)");
  }
  if (found.comment != kMark) {
    return differs(name, without_mark(found, name));
  }
  const std::int32_t partitions = found.partitions;
  if ((found.kind == "p") != (partitions > 0)) return differs(name, "has been altered: its partitions are others");
  if (options.partitions != 0 && options.partitions != static_cast<std::size_t>(partitions)) {
    return differs(name, "has " + std::to_string(partitions) + " partitions" +
                             but_says("partitions", std::to_string(options.partitions), false,
                                      std::to_string(partitions) + ", or leave it out"));
  }
  options.partitions = static_cast<std::size_t>(partitions);
  const bool is_unlogged = partitions > 0 ? found.unlogged_partitions == partitions : found.unlogged;
  const bool is_logged = partitions > 0 ? found.unlogged_partitions == 0 : !found.unlogged;
  const bool want_unlogged = options.durability == Durability::unlogged;
  if (want_unlogged ? !is_unlogged : !is_logged) {
    const std::string given = durability_name(options.durability);
    const bool is_default = options.durability == Options().durability;
    return differs(name, want_unlogged ? "is logged" + but_says("durability", given, is_default, "durable, or relaxed")
                                       : "is UNLOGGED, so a crash of the server empties it" +
                                             but_says("durability", given, is_default, "unlogged"));
  }
  if (found.columns != expected_columns(options.value_type)) {
    const ValueType other = options.value_type == ValueType::jsonb ? ValueType::bytea : ValueType::jsonb;
    if (found.columns == expected_columns(other)) {
      return differs(name, "holds values of type " + type_name(other) +
                               but_says("value_type", type_name(options.value_type),
                                        options.value_type == Options().value_type, type_name(other)));
    }
    return differs(name, "has been altered: its columns are " + found.columns + ", and should be " +
                             expected_columns(options.value_type));
  }
  return {};
}

std::string random_text() {
  constexpr std::array kDigits = {'0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'};
  std::random_device random;
  std::string text;
  for (int i = 0; i < 32; ++i) text += kDigits[random() % kDigits.size()];
  return text;
}

std::string hex_literal(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "\\x";
  for (const char byte : bytes) {
    text += kDigits[static_cast<unsigned char>(byte) >> 4];
    text += kDigits[static_cast<unsigned char>(byte) & 15];
  }
  return quoted_literal(text) + "::bytea";
}

/// For people with psql: namespace, key and value as text, without what tuskv keeps for itself.
std::string view_text(const TableName& name, ValueType type) {
  const std::string view = quoted_identifier(name.schema) + "." + quoted_identifier(name.table + "_view");
  const std::string nul = "pg_catalog.position(key, " + hex_literal(std::string(1, '\0')) + ")";
  const std::string value = type == ValueType::jsonb ? "value" : "pg_catalog.encode(value, 'escape')";
  return "create view " + view + " as select pg_catalog.encode(pg_catalog.substr(key, 1, " + nul +
         " - 1), 'escape') as namespace, pg_catalog.encode(pg_catalog.substr(key, " + nul +
         " + 1), 'escape') as key, " + value + " as value, expires_at, created_at, updated_at, version from " +
         name.quoted() + " where (key < " + hex_literal("\x01") + " or key >= " + hex_literal("\x02") + ") " +
         "and (expires_at is null or expires_at > pg_catalog.clock_timestamp())";
}

std::vector<std::string> making_texts(const TableName& name, const Options& options, bool has_lz4) {
  const std::string table = name.quoted();
  const std::string unlogged = options.durability == Durability::unlogged ? "unlogged " : "";
  const std::string storage =
      " with (fillfactor = " + std::to_string(options.fill_factor) + ", autovacuum_vacuum_scale_factor = 0.05)";
  const bool partitioned = options.partitions > 0;
  std::vector<std::string> texts;
  // Columns of fixed width first: without padding in between.
  texts.push_back("create " + (partitioned ? "" : unlogged) + "table " + table +
                  " (expires_at timestamptz, created_at timestamptz not null, updated_at timestamptz not null, "
                  "version int8 not null, expires_bucket int4, key bytea primary key, value " +
                  type_name(options.value_type) + (has_lz4 ? " compression lz4" : "") + " not null)" +
                  (partitioned ? " partition by hash (key)" : storage));
  for (std::size_t i = 0; i < options.partitions; ++i) {
    std::string& text = texts.emplace_back("create " + unlogged + "table ");
    text.append(quoted_identifier(name.schema)).append(".");
    text.append(quoted_identifier(name.table + "_p" + std::to_string(i))).append(" partition of ").append(table);
    text.append(" for values with (modulus ").append(std::to_string(options.partitions));
    text.append(", remainder ").append(std::to_string(i)).append(")").append(storage);
  }
  // PostgreSQL chooses names of indexes that nothing has.
  texts.push_back("create index on " + table + " (expires_bucket) where expires_bucket is not null");
  texts.push_back("comment on table " + table + " is " + quoted_literal(kMark));
  texts.push_back(view_text(name, options.value_type));
  if (options.durability == Durability::unlogged) {
    const std::string text =
        options.value_type == ValueType::jsonb ? quoted_literal('"' + random_text() + '"') : hex_literal(random_text());
    texts.push_back("insert into " + table + "(key, value, created_at, updated_at, version) values (" +
                    hex_literal(canary_key()) + ", " + text + ", pg_catalog.now(), pg_catalog.now(), 1)");
  }
  return texts;
}

/// The server says which right is missing, and not what for. From PostgreSQL 15 on no role may make tables in `public`
/// unless it is told so: this is what many meet first.
Status said_what_for(Status status, const std::string& missing, const std::string& right, const TableName& name) {
  if (status.ok() || status.failure().sqlstate != "42501") return status;
  Failure failure = status.failure();
  failure.message = "there is no " + missing + " yet, and this role may not make it (" + failure.message + "): grant " +
                    right + " to it, or let a role that has that open " + name.quoted() +
                    " once, or choose another schema";
  return Status(std::make_unique<Failure>(std::move(failure)));
}

/// Inside a transaction that holds the lock on making tables.
Status make_if_missing(Connection& connection, const TableName& name, const Options& options, os::Deadline deadline) {
  Result<Found> found = look_up(connection, name, deadline);
  if (!found.ok()) return std::move(found).status();
  if (found.value().exists) return {};
  const std::size_t facts = connection.add_text(
      "select exists(select from pg_catalog.pg_namespace where nspname = " + quoted_literal(name.schema) +
      "), exists(select from pg_catalog.pg_settings where name = 'default_toast_compression' and 'lz4' = "
      "any(enumvals))");
  connection.end_transaction();
  TUSKV_RETURN_IF_ERROR(connection.exchange(deadline));
  const bool has_schema = connection.rows(facts).boolean(0, 0);
  const bool has_lz4 = connection.rows(facts).boolean(0, 1);
  const std::string schema = quoted_identifier(name.schema);
  if (!has_schema) {
    TUSKV_RETURN_IF_ERROR(said_what_for(run(connection, "create schema " + schema, deadline), "schema " + schema,
                                        "create on the database", name));
  }
  for (const std::string& text : making_texts(name, options, has_lz4)) connection.add_text(text);
  connection.end_transaction();
  return said_what_for(connection.exchange(deadline), "table " + name.quoted(), "usage, create on schema " + schema,
                       name);
}

Status make(Connection& connection, const TableName& name, const Options& options, os::Deadline deadline) {
  connection.add_text("begin");
  // Whatever the entries may lose in a crash, the table itself must stay.
  connection.add_text(
      "select pg_catalog.set_config('lock_timeout', '0', true), pg_catalog.set_config('synchronous_commit', 'on', "
      "true)");
  connection.add_text(std::string(kLockTableMaking));
  connection.end_transaction();
  TUSKV_RETURN_IF_ERROR(connection.exchange(deadline));
  Status status = make_if_missing(connection, name, options, deadline);
  if (status.ok()) return run(connection, "commit", deadline);
  if (!connection.broken()) static_cast<void>(run(connection, "rollback", deadline));
  return status;
}

}  // namespace

std::string quoted_literal(std::string_view text) {
  std::string quoted = text.find('\\') == std::string_view::npos ? "'" : "E'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += c;
    quoted += c;
  }
  return quoted + "'";
}

std::string quoted_identifier(std::string_view name) {
  std::string quoted = "\"";
  for (const char c : name) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

std::string canary_key() { return std::string(kOwnKeysFrom) + "canary"; }

Result<TableName> resolve_table(Connection& connection, const Options& options, os::Deadline deadline) {
  if (!options.schema.empty()) return TableName{.schema = options.schema, .table = options.table};
  const std::size_t place = connection.add_text("select coalesce(pg_catalog.current_schema()::text, '')");
  connection.end_transaction();
  TUSKV_RETURN_IF_ERROR(connection.exchange(deadline));
  std::string schema(connection.rows(place).bytes(0, 0));
  if (schema.empty()) {
    return Status(Code::Config, "no schema of the search path exists: name one (option schema)");
  }
  return TableName{.schema = std::move(schema), .table = options.table};
}

Status open_table(Connection& connection, const TableName& name, Options& options, os::Deadline deadline) {
  Result<Found> found = look_up(connection, name, deadline);
  if (found.ok() && !found.value().exists) {
    if (!options.create) {
      return Status(std::make_unique<Failure>(
          Failure{.code = Code::Config,
                  .message = "there is no table " + name.quoted() + " yet: the first open with create=true makes it",
                  .sqlstate = std::string(kUndefinedTable)}));
    }
    TUSKV_RETURN_IF_ERROR(make(connection, name, options, deadline));
    found = look_up(connection, name, deadline);
  }
  if (!found.ok()) return std::move(found).status();
  if (!found.value().exists) return differs(name, "was dropped while it was being opened");
  return check(found.value(), name, options);
}

}  // namespace tuskv::postgres
