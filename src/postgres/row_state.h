// Rows as the entries they are.
#pragma once

#include <cstdint>
#include <string_view>

#include "commands.h"
#include "plan.h"
#include "postgres/rows.h"
#include "postgres/statements.h"

namespace tuskv::postgres {

/// Everything but the value.
inline void fill_seen(const Rows& rows, int row, int first_column, Seen& seen) {
  seen.found = true;
  seen.expires_us = rows.time(row, first_column + StateColumns::kExpires);
  seen.created_us = rows.time(row, first_column + StateColumns::kCreated);
  seen.updated_us = rows.time(row, first_column + StateColumns::kUpdated);
  seen.version = rows.version(row, first_column + StateColumns::kVersion);
  seen.value.clear();
}

/// A dead row is an absent entry. The value points into the rows.
inline EntryState entry_state(const Rows& rows, int row, int first_column, std::int64_t liveness_us) {
  const std::int64_t expires_us = rows.time(row, first_column + StateColumns::kExpires);
  if (!is_live(expires_us, liveness_us)) return {};
  return {.found = true,
          .version = rows.version(row, first_column + StateColumns::kVersion),
          .expires_us = expires_us,
          .created_us = rows.time(row, first_column + StateColumns::kCreated),
          .updated_us = rows.time(row, first_column + StateColumns::kUpdated),
          .value = rows.bytes(row, first_column + StateColumns::kValue)};
}

}  // namespace tuskv::postgres
