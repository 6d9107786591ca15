#include "postgres/field_index.h"

#include <xxhash.h>

#include <algorithm>
#include <utility>

#include "postgres/schema.h"

namespace tuskv::postgres {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

std::string hex(std::uint64_t number, int digits) {
  std::string text;
  for (int i = digits - 1; i >= 0; --i) text += kHexDigits[number >> (4 * i) & 15];
  return text;
}

/// The character that starts at `at`, of well-formed UTF-8; moves behind it.
std::uint32_t take_character(std::string_view text, std::size_t& at) {
  const auto lead = static_cast<unsigned char>(text[at++]);
  if (lead < 0x80) return lead;
  const int more = lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
  std::uint32_t code = lead & (0x3FU >> more);
  for (int i = 0; i < more; ++i) code = code << 6 | (static_cast<unsigned char>(text[at++]) & 0x3FU);
  return code;
}

/// In a transaction of its own, behind whoever makes or drops an index of the table. Locks are waited for in turns, so
/// that those who would have to queue behind it do not.
Status in_transaction(Database& database, Connection& connection, os::Deadline deadline, FunctionRef<Status()> change) {
  connection.add(database.statements().begin);
  database.add_settings(connection, {.deadline = deadline});
  connection.add_text("select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(" +
                      quoted_literal("tuskv indexes of " + database.table().quoted()) + ", 0))");
  connection.end_transaction();
  Status status = connection.exchange(deadline).with_outcome(Outcome::not_applied);
  if (status.ok()) status = change();
  if (status.ok()) {
    connection.add(database.statements().commit);
    connection.end_transaction();
    status = connection.exchange(deadline);
  }
  if (!status.ok()) database.roll_back(connection, deadline);
  return status;
}

/// What is there for a field: names as SQL has them, whether they can be used or not.
struct Found {
  std::vector<std::string> indexes = {};
  bool is_valid = false;
};

Result<Found> find_index(Database& database, Connection& connection, std::string_view field, os::Deadline deadline) {
  const std::size_t place = connection.add_text(
      "select pg_catalog.format('%I.%I', n.nspname, c.relname), i.indisvalid from " +
      database.statements().marked_indexes() +
      " join pg_catalog.pg_class c on c.oid = i.indexrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace "
      "where d.description = " +
      index_comment(field));
  connection.end_transaction();
  TUSKV_RETURN_IF_ERROR(connection.exchange(deadline).with_outcome(Outcome::not_applied));
  const Rows& rows = connection.rows(place);
  Found found;
  for (int row = 0; row < rows.count(); ++row) {
    found.indexes.emplace_back(rows.bytes(row, 0));
    found.is_valid = found.is_valid || rows.boolean(row, 1);
  }
  return found;
}

Status drop(Connection& connection, const Found& found, os::Deadline deadline) {
  for (const std::string& index : found.indexes) connection.add_text("drop index " + index);
  connection.end_transaction();
  return connection.exchange(deadline).with_outcome(Outcome::not_applied);
}

/// Its name is made of a hash, so that it fits whatever the field is called, and of the table's number: the name of a
/// table can be another's tomorrow.
Status make(Database& database, Connection& connection, std::string_view field, os::Deadline deadline) {
  const TableName& table = database.table();
  const std::size_t place =
      connection.add_text("select pg_catalog.to_regclass(" + quoted_literal(table.quoted()) + ")::oid::int8");
  connection.end_transaction();
  TUSKV_RETURN_IF_ERROR(connection.exchange(deadline).with_outcome(Outcome::not_applied));
  const std::string of = std::to_string(connection.rows(place).int8(0, 0)) + '\0' + std::string(field);
  const XXH128_hash_t hash = XXH3_128bits(of.data(), of.size());
  const std::string name = quoted_identifier("tuskv_field_" + hex(hash.high64, 16) + hex(hash.low64, 16));
  const std::string literal = escaped_literal(field);
  connection.add_text("create index " + name + " on " + table.quoted() + " (" + Statements::indexed_columns(literal) +
                      ") where " + Statements::indexed_rows(literal));
  connection.add_text("comment on index " + quoted_identifier(table.schema) + "." + name + " is " +
                      index_comment(field));
  connection.end_transaction();
  return connection.exchange(deadline).with_outcome(Outcome::not_applied);
}

/// The server speaks of the owner, and not of what only the owner can do.
Status explained(Status status) {
  if (status.ok() || status.failure().sqlstate != "42501") return status;
  Failure failure = status.failure();
  failure.message = "only the owner of a table can make or drop an index of it (" + failure.message + ")";
  return Status(std::make_unique<Failure>(std::move(failure)));
}

/// Runs `change` on what is there for the field, in a transaction that keeps others from changing it.
Status change_indexes(Database& database, std::string_view field, os::Deadline deadline,
                      FunctionRef<Status(Connection& connection, TableRequest request, const Found& found)> change) {
  return explained(database.run_with_table(deadline, [&](Connection& connection, TableRequest request) -> Status {
    return in_transaction(database, connection, deadline, [&]() -> Status {
      const Result<Found> found = find_index(database, connection, field, deadline);
      if (!found.ok()) return found.status();
      return change(connection, request, found.value());
    });
  }));
}

}  // namespace

std::string escaped_literal(std::string_view text) {
  std::string literal = "E'";
  for (std::size_t at = 0; at < text.size();) {
    const std::uint32_t character = take_character(text, at);
    const auto c = static_cast<char>(character);
    const bool plain = character < 0x80 && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'));
    if (plain) {
      literal += c;
    } else {
      literal += "\\U" + hex(character, 8);
    }
  }
  return literal + "'";
}

std::string index_comment(std::string_view field) {
  return escaped_literal(std::string(Statements::kIndexMark) + std::string(field));
}

Result<bool> create_index(Database& database, std::string_view field, os::Deadline deadline) {
  bool made = false;
  const Statements& statements = database.statements();
  const auto change = [&](Connection& connection, TableRequest request, const Found& found) -> Status {
    made = !found.is_valid;
    if (!made) return {};
    // One that is not whole is of no use to anybody.
    const bool drops = !found.indexes.empty();
    database.add_table_lock(connection, request, deadline, drops ? statements.lock_table_alone : statements.lock_table);
    TUSKV_RETURN_IF_ERROR(drop(connection, found, deadline));
    return make(database, connection, field, deadline);
  };
  Status status = change_indexes(database, field, deadline, change);
  if (!status.ok()) return status;
  return made;
}

Result<bool> drop_index(Database& database, std::string_view field, os::Deadline deadline) {
  bool dropped = false;
  const auto change = [&](Connection& connection, TableRequest request, const Found& found) -> Status {
    dropped = !found.indexes.empty();
    if (!dropped) return {};
    database.add_table_lock(connection, request, deadline, database.statements().lock_table_alone);
    return drop(connection, found, deadline);
  };
  Status status = change_indexes(database, field, deadline, change);
  if (!status.ok()) return status;
  return dropped;
}

Result<std::vector<std::string>> indexed_fields(Database& database, os::Deadline deadline) {
  std::vector<std::string> fields;
  const std::string text = "select pg_catalog.substr(d.description, " +
                           std::to_string(Statements::kIndexMark.size() + 1) + ") from " +
                           database.statements().marked_indexes() + " where i.indisvalid";
  const Status status = database.run(Database::Effect::reads, deadline, [&](Connection& connection) -> Status {
    fields.clear();
    const std::size_t place = connection.add_text(text);
    connection.end_transaction();
    TUSKV_RETURN_IF_ERROR(connection.exchange(deadline));
    const Rows& rows = connection.rows(place);
    for (int row = 0; row < rows.count(); ++row) fields.emplace_back(rows.bytes(row, 0));
    return {};
  });
  TUSKV_RETURN_IF_ERROR(status.clone());
  std::sort(fields.begin(), fields.end());
  return fields;
}

}  // namespace tuskv::postgres
