// Appending to a log by hand.
#pragma once

#include <cstdint>

#include "embedded/log.h"

namespace tuskv::embedded {

/// Waits as long as it takes.
inline Result<std::uint64_t> append_record(Log& log, RecordBuffer& record) {
  std::int64_t left_ms = INT64_MAX;
  return log.append(record, left_ms);
}

}  // namespace tuskv::embedded
