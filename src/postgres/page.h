// Pages of a Scan. Filters of keys are the server's. Of filters of values it judges those where its answer is that of
// matches_value (filter.h); elsewhere it leaves out what cannot match, and the rest is judged here.
#pragma once

#include "commands.h"
#include "postgres/database.h"

namespace tuskv::postgres {

/// One attempt at a page by looking at one entry after the other. It ends early, with a cursor, after kScanExaminedMax
/// entries, kScanBytesMax bytes of values, or when it has taken half of the time that there was; what has been found is
/// not lost when the rest takes longer. In a transaction that has begun already the statements are added to it, and its
/// time is the time for all.
/// `live_until_us` tells when the first of the entries found expires; INT64_MAX: none does.
Status scan_page(Database& database, Connection& connection, Scan& scan, os::Deadline deadline,
                 std::int64_t& live_until_us);

/// Whether anything that the table can hold matches: otherwise the page is empty, and depends on no entry.
bool can_match(const Database& database, const Scan& scan);

/// The same through the index of a field, so far as there is one. Not for transactions: what a page has passed over is
/// compared when they commit, and this one may pass over everything.
Status find_page(Database& database, Connection& connection, Scan& scan, os::Deadline deadline);

}  // namespace tuskv::postgres
