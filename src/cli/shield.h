// Keeps words that are data from the parsing library, which gives meaning of its own to some: `++` ends a verb, `{}` is
// an empty list, `[a,b]` is split, an empty word starts a new list, and what follows `--` may reach the wrong parser.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace tuskv::cli {

/// The words as the parsing library may see them. `--` is taken out: all behind it is data.
std::vector<std::string> shielded(const std::vector<std::string>& words);
/// How many words are behind `--`.
std::size_t words_behind_dashes(const std::vector<std::string>& words);
/// A word as it was given.
std::string unshielded(const std::string& word);

}  // namespace tuskv::cli
