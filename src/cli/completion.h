// What the shell offers for a word that has been begun.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/arguments.h"

namespace tuskv::cli {

struct Completion {
  /// What can be added whatever is meant.
  std::string rest = {};
  /// The candidates; more than there is room for leaves `more` set.
  std::vector<std::string> candidates = {};
  bool more = false;
};

/// Verbs for the first word of a line, keys for the others. Throws what a verb throws when the store cannot be read.
Completion complete(std::string_view line_before_cursor, Session& session, const Settings& settings);

}  // namespace tuskv::cli
