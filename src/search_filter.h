// The arguments of searches, checked and made a Filter.
#pragma once

#include <string>

#include "commands.h"
#include "tuskv/types.h"

namespace tuskv {

/// The bytes behind a Filter.
struct SearchFilter {
  Filter::Kind kind = Filter::Kind::none;
  Filter::Type type = Filter::Type::null;
  bool ignore_case = false;
  std::string pattern = {};
  std::string value = {};

  Filter filter() const {
    return {.kind = kind, .type = type, .ignore_case = ignore_case, .pattern = pattern, .value = value};
  }
};

SearchFilter checked_needle(Bytes needle, const SearchOptions& options);
SearchFilter checked_field(Bytes field, Bytes value, const FindOptions& options);
/// A collection as the prefix of its keys.
std::string collection_prefix(Bytes collection);
/// The name of a JSON member: not empty, UTF-8, within its limit.
void check_field_name(Bytes field);
/// The same, and without NUL, which jsonb does not know.
void check_indexed_field(Bytes field);

}  // namespace tuskv
