// What a Filter means, for every engine, for transactions and for whoever stands between: pure functions of a filter
// and an entry. Where a server judges by itself, it gives the answers that these give.
#pragma once

#include <string>
#include <string_view>

#include "commands.h"

namespace tuskv {

/// True for filters that look at no key.
bool matches_key(const Filter& filter, std::string_view key);

/// True for filters that look at no value. Bytes that are no JSON match no field; whatever they are, time is bounded by
/// their number, and memory by a quarter of it.
bool matches_value(const Filter& filter, std::string_view value);

inline bool looks_at_value(const Filter& filter) {
  return filter.kind == Filter::Kind::contains || filter.kind == Filter::Kind::field;
}

/// With the capital letters of ASCII made small.
std::string folded(std::string_view bytes);

}  // namespace tuskv
