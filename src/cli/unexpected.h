#pragma once

#include <string>
#include <vector>

namespace CLI {  // NOLINT(readability-identifier-naming): not ours
class App;
}

namespace tuskv::cli {

/// What to say of words that found no place in a call, the first of them first: which word it is, and what was probably
/// meant. `verb` is null when none was recognised.
std::string unexpected(const std::vector<std::string>& words, const CLI::App& program, const CLI::App* verb);

/// `there is no verb "…"`, with the one that was probably meant.
std::string no_such_verb(const std::string& word, const CLI::App& program);

}  // namespace tuskv::cli
