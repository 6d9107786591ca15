// The words of a line of the shell.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tuskv::cli {

/// Splits at blanks. '…' is taken as it is; in "…" \n \r \t \0 \xHH \" \\ stand for bytes; outside of quotes a
/// backslash takes the next byte as it is. A line that starts with # is a comment and has no words. UsageError for a
/// quote that is not closed.
std::vector<std::string> split_words(std::string_view line);

/// Whether a word would come out of split_words as it went in.
bool is_plain_word(std::string_view word);

}  // namespace tuskv::cli
