#include "cli/shield.h"

#include <string_view>

namespace tuskv::cli {

namespace {

/// Stands before a word that is shielded. A word that begins with it is shielded too, so that it survives.
constexpr char kMark = '\x01';

std::string marked(std::string_view word) { return kMark + std::string(word); }

bool has_a_meaning(std::string_view word) {
  return word.empty() || word.front() == kMark || word.front() == '[' || word == "++" || word == "{}" || word == "%%";
}

bool ends_in_equals(std::string_view word) {
  return word.size() > 3 && word.starts_with("--") && word.find('=') == word.size() - 1;
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
    } else if (ends_in_equals(word)) {  // `--prefix=` is an empty value, not "take the next word"
      shielded.push_back(word.substr(0, word.size() - 1));
      shielded.push_back(marked(""));
    } else {
      shielded.push_back(word);
    }
  }
  return shielded;
}

std::string unshielded(const std::string& word) { return word.starts_with(kMark) ? word.substr(1) : word; }

}  // namespace tuskv::cli
