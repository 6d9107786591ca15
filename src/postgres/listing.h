// What walks over a range of keys: pages, counts, erasing. Each is a statement or a few, on a connection of its own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "commands.h"
#include "postgres/database.h"

namespace tuskv::postgres {

/// True for a unit that is a Scan, Count or EraseRange.
bool is_listing(const Unit& unit);

/// Runs such a unit and fills its reply or failure.
void run_listing(Database& database, Unit& unit, os::Deadline deadline);

/// One attempt at a page. In a transaction that has begun already the statements are added to it. Of the entries that
/// were looked at and found live, `live_until_us` tells when the first expires; INT64_MAX: none does.
Status scan_page(Database& database, Connection& connection, Scan& scan, os::Deadline deadline,
                 std::int64_t& live_until_us);

/// The bounds of a page or range: from inclusive, to exclusive, both always there.
struct Bounds {
  std::string from;
  std::string to;
};
Bounds bounds_of(const Range& range);
/// What is left of a scan's range behind the cursor.
Bounds bounds_behind(const Scan& scan, std::string_view cursor);
/// A row of the key and, from `state_column` on, its state.
Entry entry_of(const Scan& scan, const Rows& rows, int row, int state_column);
/// The part of a range that a page has looked at.
Bounds examined_bounds(const Scan& page);

}  // namespace tuskv::postgres
