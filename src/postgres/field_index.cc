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

std::string unqualified_index_name(const TableName& table, std::string_view field) {
  const std::string named = table.table + '\0' + std::string(field);
  const XXH128_hash_t hash = XXH3_128bits(named.data(), named.size());
  return "tuskv_field_" + hex(hash.high64, 16) + hex(hash.low64, 16);
}

/// In a transaction of its own, behind whoever makes a table or an index.
Status in_transaction(Database& database, Connection& connection, os::Deadline deadline, FunctionRef<Status()> change) {
  connection.add(database.statements().begin);
  database.add_settings(connection, {.deadline = deadline, .lock_timeout_ms = Database::lock_timeout_until(deadline)});
  connection.add_text(std::string(kLockTableMaking));
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

Status run(Connection& connection, std::initializer_list<std::string> texts, os::Deadline deadline) {
  for (const std::string& text : texts) connection.add_text(text);
  connection.end_transaction();
  return connection.exchange(deadline).with_outcome(Outcome::not_applied);
}

Result<bool> is_there(Connection& connection, const std::string& index, os::Deadline deadline) {
  const std::size_t place =
      connection.add_text("select pg_catalog.to_regclass(" + quoted_literal(index) + ") is not null");
  connection.end_transaction();
  TUSKV_RETURN_IF_ERROR(connection.exchange(deadline).with_outcome(Outcome::not_applied));
  return connection.rows(place).boolean(0, 0);
}

}  // namespace

std::string index_name(const TableName& table, std::string_view field) {
  return quoted_identifier(table.schema) + "." + quoted_identifier(unqualified_index_name(table, field));
}

std::string is_valid_index_text(const std::string& index) {
  return "select coalesce((select i.indisvalid from pg_catalog.pg_index i where i.indexrelid = "
         "pg_catalog.to_regclass(" +
         quoted_literal(index) + ")), false)";
}

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

Result<bool> create_index(Database& database, std::string_view field, os::Deadline deadline) {
  const TableName& table = database.table();
  const std::string index = index_name(table, field);
  const std::string literal = escaped_literal(field);
  bool made = false;
  const Status status = database.run(Database::Effect::writes, deadline, [&](Connection& connection) -> Status {
    return in_transaction(database, connection, deadline, [&]() -> Status {
      const Result<bool> exists = is_there(connection, index, deadline);
      if (!exists.ok()) return Status(std::make_unique<Failure>(exists.failure()));
      made = !exists.value();
      if (!made) return {};
      return run(connection,
                 {"create index " + quoted_identifier(unqualified_index_name(table, field)) + " on " + table.quoted() +
                      " (" + Statements::indexed_columns(literal) + ") where " + Statements::indexed_rows(literal),
                  "comment on index " + index + " is " + escaped_literal(std::string(kIndexMark) + std::string(field))},
                 deadline);
    });
  });
  TUSKV_RETURN_IF_ERROR(status.clone());
  return made;
}

Result<bool> drop_index(Database& database, std::string_view field, os::Deadline deadline) {
  const std::string index = index_name(database.table(), field);
  bool dropped = false;
  const Status status = database.run(Database::Effect::writes, deadline, [&](Connection& connection) -> Status {
    return in_transaction(database, connection, deadline, [&]() -> Status {
      const Result<bool> exists = is_there(connection, index, deadline);
      if (!exists.ok()) return Status(std::make_unique<Failure>(exists.failure()));
      dropped = exists.value();
      return dropped ? run(connection, {"drop index " + index}, deadline) : Status();
    });
  });
  TUSKV_RETURN_IF_ERROR(status.clone());
  return dropped;
}

Result<std::vector<std::string>> indexed_fields(Database& database, os::Deadline deadline) {
  std::vector<std::string> fields;
  const std::string text =
      "select pg_catalog.substr(d.description, " + std::to_string(kIndexMark.size() + 1) +
      ") from pg_catalog.pg_index i join pg_catalog.pg_description d on d.objoid = i.indexrelid and d.objsubid = 0 "
      "and d.classoid = 'pg_catalog.pg_class'::regclass where i.indrelid = pg_catalog.to_regclass(" +
      quoted_literal(database.table().quoted()) + ") and i.indisvalid and pg_catalog.starts_with(d.description, " +
      quoted_literal(kIndexMark) + ")";
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
