// How an entry of the API is told its version and times, which engines keep as numbers.
#pragma once

#include <chrono>
#include <cstdint>

#include "tuskv/types.h"

namespace tuskv {

struct EntryStamps {
  std::uint64_t version = 0;
  std::int64_t expires_us = 0;  ///< 0: does not expire
  std::int64_t created_us = 0;
  std::int64_t updated_us = 0;
};

inline void set_stamps(Entry& entry, const EntryStamps& stamps) {
  const auto instant = [](std::int64_t us) { return TimePoint(std::chrono::microseconds(us)); };
  entry.version = Version{stamps.version};
  if (stamps.expires_us != 0) entry.expires_at = instant(stamps.expires_us);
  entry.created_at = instant(stamps.created_us);
  entry.updated_at = instant(stamps.updated_us);
}

}  // namespace tuskv
