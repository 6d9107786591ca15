#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "view.h"

namespace tuskv {

/// How long an entry that was found live will live on, in whole milliseconds rounded up: more than zero, whatever the
/// clock says by now.
inline std::chrono::milliseconds time_left(std::int64_t expires_us, const View& view) {
  const std::int64_t left_us = std::max<std::int64_t>(expires_us - view.engine->now_us(view.timeout_ms), 1);
  return std::chrono::milliseconds((left_us + 999) / 1000);
}

}  // namespace tuskv
