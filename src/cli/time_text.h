// Spans and instants as people type and read them.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "tuskv/time.h"

namespace tuskv::cli {

/// `500ms`, `30s`, `5m`, `2h`, `7d`, `1w`; a number alone is seconds. Nothing for any other text. What
/// overflows is the longest span there is, which the library refuses in its own words.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

/// `2030-01-31T12:00:00Z`, with a fraction of a second and an offset like +02:00 if wanted, or seconds since 1970,
/// of which too many are the last instant there is.
std::optional<TimePoint> parse_instant(std::string_view text);

/// `2030-01-31T12:00:00.000Z`.
std::string to_text(TimePoint instant);

/// `3.4 MiB`.
std::string size_text(std::uint64_t bytes);

}  // namespace tuskv::cli
