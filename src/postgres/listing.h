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

/// The bounds of a page or range: from inclusive, to exclusive, both always there.
struct Bounds {
  std::string from;
  std::string to;
};
Bounds bounds_of(const Range& range);
/// What is left of a scan's range behind the cursor.
Bounds bounds_behind(const Scan& scan, std::string_view cursor);
/// The pattern of LIKE, for stored keys, of a filter with a glob.
std::string pattern_of(const Range& range, const Filter& filter, std::size_t key_offset);
/// Adds the statement of a Count; `bounds` are those of its range. Returns its place.
std::size_t add_count(Database& database, Connection& connection, const Count& count, const Bounds& bounds);
/// The part of a range that a page has looked at.
Bounds examined_bounds(const Scan& page);

}  // namespace tuskv::postgres
