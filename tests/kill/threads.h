// Four threads at full speed. Each has keys of its own, so what it wrote must show as a prefix of its own order; all of
// them move money between the same accounts in transactions, so the balances tell which transfers are there, wholly and
// once. A fifth takes snapshots.
#pragma once

#include <cstdint>
#include <string>

#include "tuskv/options.h"

namespace tuskv::test {

struct ThreadsPlace {
  std::string directory = {};
  std::string ledger = {};
  Durability level = Durability::durable;
};

/// Opens the store, throws when it does not show what the ledger allows, and lets every thread do `transfers` more of
/// its writes. Prints a line with the number of writes it shows when they are about to start.
void write_until_killed(const ThreadsPlace& place, std::uint64_t transfers);

}  // namespace tuskv::test
