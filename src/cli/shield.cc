#include "cli/shield.h"

#include <algorithm>
#include <string_view>

namespace tuskv::cli {

namespace {

/// Stands before a word that is shielded, or the value of an option. What begins with it is shielded too, so that it
/// survives.
constexpr char kMark = '\x01';

std::string marked(std::string_view word) { return kMark + std::string(word); }

bool has_a_meaning(std::string_view word) {
  return word.empty() || word.front() == kMark || word.front() == '[' || word == "++" || word == "{}" || word == "%%";
}

/// Where the value of `--name=value` begins, or 0. An empty one is not "take the next word".
std::size_t value_begin(std::string_view word) {
  const std::size_t equals = word.find('=');
  return word.starts_with("--") && equals != std::string_view::npos && equals > 2 ? equals + 1 : 0;
}

}  // namespace

std::vector<std::string> shielded(const std::vector<std::string>& words) {
  std::vector<std::string> shielded;
  bool only_data = false;
  for (const std::string& word : words) {
    if (only_data || has_a_meaning(word)) {
      shielded.push_back(marked(word));
    } else if (word == "--") {
      only_data = true;
    } else if (const std::size_t begin = value_begin(word); begin > 0 && has_a_meaning(word.substr(begin))) {
      shielded.push_back(word.substr(0, begin) + marked(word.substr(begin)));
    } else {
      shielded.push_back(word);
    }
  }
  return shielded;
}

std::size_t words_behind_dashes(const std::vector<std::string>& words) {
  const auto dashes = std::find(words.begin(), words.end(), "--");
  return dashes == words.end() ? 0 : static_cast<std::size_t>(words.end() - dashes) - 1;
}

std::string unshielded(const std::string& word) { return word.starts_with(kMark) ? word.substr(1) : word; }

}  // namespace tuskv::cli
