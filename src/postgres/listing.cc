#include "postgres/listing.h"

#include <algorithm>
#include <cassert>
#include <memory>
#include <optional>
#include <utility>

#include "filter.h"
#include "named_limits.h"
#include "postgres/page.h"

namespace tuskv::postgres {
namespace {

/// Behind every key there can be.
std::string behind_all_keys() { return std::string(kStoredKeyBytesMax + 1, '\xff'); }

/// The glob as a pattern of LIKE, with what stands before the key in front.
std::string like_pattern(std::string_view before, std::string_view glob) {
  std::string pattern;
  const auto add_literal = [&pattern](char c) {
    if (c == '%' || c == '_' || c == '\\') pattern += '\\';
    pattern += c;
  };
  for (const char c : before) add_literal(c);
  bool in_run = false;
  for (std::size_t i = 0; i < glob.size(); ++i) {
    const bool follows = std::exchange(in_run, glob[i] == '*');
    if (in_run) {
      if (!follows) pattern += '%';  // a run of them matches what one does
    } else if (glob[i] == '?') {
      pattern += '_';
    } else {
      if (glob[i] == '\\' && i + 1 < glob.size()) ++i;
      add_literal(glob[i]);
    }
  }
  return pattern;
}

Status run_scan(Database& database, Scan& scan, os::Deadline deadline) {
  return database.run(Database::Effect::reads, deadline, [&](Connection& connection) -> Status {
    return find_page(database, connection, scan, deadline);
  });
}

Status run_count(Database& database, Count& count, os::Deadline deadline) {
  const Bounds bounds = bounds_of(count.range);
  return database.run(Database::Effect::reads, deadline, [&](Connection& connection) -> Status {
    database.add_settings(connection, {.deadline = deadline});
    const std::optional<std::size_t> canary = database.add_canary(connection);
    const std::size_t place = add_count(database, connection, count, bounds);
    connection.end_transaction();
    TUSKV_RETURN_IF_ERROR(connection.exchange(deadline));
    TUSKV_RETURN_IF_ERROR(database.check_canary_at(connection, canary, deadline));
    count.count = static_cast<std::uint64_t>(connection.rows(place).int8(0, 0));
    return {};
  });
}

/// With the table locked against writers before the statement looks at it: of what a transaction has set meanwhile it
/// would see what was there before, and pass over what was not.
Status erase_range(Database& database, Connection& connection, const Bounds& bounds, os::Deadline deadline,
                   TableRequest request, std::uint64_t& erased) {
  const Statements& statements = database.statements();
  connection.add(statements.begin);
  database.add_settings(connection, {.deadline = deadline});
  database.add_table_lock(connection, request, deadline, statements.lock_table);
  const std::optional<std::size_t> canary = database.add_canary(connection);
  Parameters parameters;
  parameters.add_bytes(bounds.from);
  parameters.add_bytes(bounds.to);
  const std::size_t place = connection.add(statements.erase_range, parameters);
  if (!canary) connection.add(statements.commit);
  connection.end_transaction();
  Status status = connection.exchange(deadline);
  if (!status.ok()) {
    database.roll_back(connection, deadline);
    return status;
  }
  const auto count = static_cast<std::uint64_t>(connection.rows(place).int8(0, 0));
  TUSKV_RETURN_IF_ERROR(database.end_write(connection, canary, deadline));
  erased = count;
  return {};
}

Status run_erase_range(Database& database, EraseRange& erase, os::Deadline deadline) {
  const Bounds bounds = bounds_of(erase.range);
  return database.run_with_table(deadline, [&](Connection& connection, TableRequest request) {
    return erase_range(database, connection, bounds, deadline, request, erase.erased);
  });
}

}  // namespace

Bounds bounds_of(const Range& range) {
  return {.from = std::string(range.from), .to = range.to.empty() ? behind_all_keys() : std::string(range.to)};
}

Bounds bounds_behind(const Scan& scan, std::string_view cursor) {
  Bounds bounds = bounds_of(scan.range);
  if (cursor.empty()) return bounds;
  if (scan.reverse) {
    bounds.to = std::min<std::string_view>(bounds.to, cursor);
  } else if (cursor >= bounds.from) {
    bounds.from = std::string(cursor) + '\0';  // the first key behind it
  }
  return bounds;
}

std::string pattern_of(const Range& range, const Filter& filter, std::size_t key_offset) {
  return like_pattern(range.from.substr(0, key_offset), filter.pattern);
}

std::size_t add_count(Database& database, Connection& connection, const Count& count, const Bounds& bounds) {
  assert(!looks_at_value(count.filter));
  const bool filtered = count.filter.kind != Filter::Kind::none;
  const std::string pattern = filtered ? pattern_of(count.range, count.filter, count.key_offset) : std::string();
  Parameters parameters;
  parameters.add_bytes(bounds.from);
  parameters.add_bytes(bounds.to);
  if (filtered) parameters.add_bytes(pattern);
  const Statements& statements = database.statements();
  return connection.add(filtered ? statements.count_like : statements.count, parameters);
}

Bounds examined_bounds(const Scan& page) {
  Bounds bounds = bounds_behind(page, page.after);
  if (page.next.empty()) return bounds;
  if (page.reverse) {
    bounds.from = page.next;
  } else {
    bounds.to = page.next + '\0';
  }
  return bounds;
}

bool is_listing(const Unit& unit) {
  const Command& first = unit.commands.front();
  return std::holds_alternative<Scan>(first) || std::holds_alternative<Count>(first) ||
         std::holds_alternative<EraseRange>(first);
}

void run_listing(Database& database, Unit& unit, os::Deadline deadline) {
  Command& command = unit.commands.front();
  Status status;
  if (auto* scan = std::get_if<Scan>(&command)) {
    status = run_scan(database, *scan, deadline);
  } else if (auto* count = std::get_if<Count>(&command)) {
    status = run_count(database, *count, deadline);
  } else if (auto* erase = std::get_if<EraseRange>(&command)) {
    status = run_erase_range(database, *erase, deadline);
  }
  if (!status.ok()) unit.failure = std::move(status).take();
}

}  // namespace tuskv::postgres
