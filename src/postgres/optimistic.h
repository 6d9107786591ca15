// Transactions. Single statements run READ COMMITTED, so SERIALIZABLE transactions beside them would not be
// serializable; instead a transaction remembers what it read and checks it. While user code runs nothing is open on the
// server.
//
// Every read checks all earlier ones in the same snapshot, and at one time: each statement has its own idea of now, so
// what was found live must still be when the last one has ended. A commit locks the rows read and written, compares,
// and writes, in two round trips; absent keys that were read are held by guard rows. A transaction that has listed a
// range and writes keeps all other writers out for that time.
#pragma once

#include "engine.h"
#include "postgres/database.h"

namespace tuskv::postgres {

/// Runs a unit of Reads, one Scan or one Count, and remembers what it read. Conflict when something read before has
/// changed.
Status read_in_transaction(Database& database, OptimisticTransaction& transaction, Unit& unit);
/// Checks at one instant that everything read still holds, and applies all writes.
Status commit_transaction(Database& database, OptimisticTransaction& transaction, std::int64_t timeout_ms);

}  // namespace tuskv::postgres
