// JSON as import reads it: a document whose numbers stay as they were written.
#pragma once

#include <string>
#include <string_view>

#include "cli/output.h"

namespace tuskv::cli {

/// UsageError for what is not JSON, nests too deep (what prints it later follows it downwards) or gives a member twice,
/// of which only one would be kept. A number that its type here would change, such as 1.10 or one of 23 digits, is kept
/// as its text: a value of binary, of which JSON has none.
Json parse_json(std::string_view text);

/// The JSON of a part of such a document, without blanks.
std::string compact_json(const Json& part);

}  // namespace tuskv::cli
