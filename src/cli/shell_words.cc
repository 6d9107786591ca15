#include "cli/shell_words.h"

#include <charconv>

#include "cli/exit_code.h"
#include "cli/text.h"

namespace tuskv::cli {

namespace {

constexpr std::string_view kBlanks = " \t\r";

class Splitter final {
 public:
  explicit Splitter(std::string_view line) : rest_(line) {}

  std::vector<std::string> split() {
    std::vector<std::string> words;
    for (;;) {
      while (!rest_.empty() && kBlanks.find(rest_.front()) != std::string_view::npos) rest_.remove_prefix(1);
      if (rest_.empty() || (words.empty() && rest_.front() == '#')) return words;
      words.push_back(word());
    }
  }

 private:
  char take() {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }

  std::string word() {
    std::string word;
    while (!rest_.empty() && kBlanks.find(rest_.front()) == std::string_view::npos) {
      const char c = take();
      if (c == '\'') {
        take_literal(word);
      } else if (c == '"') {
        take_quoted(word);
      } else if (c == '\\' && !rest_.empty()) {
        word += take();
      } else {
        word += c;
      }
    }
    return word;
  }

  void take_literal(std::string& word) {
    const std::size_t end = rest_.find('\'');
    if (end == std::string_view::npos) throw UsageError("a ' is not closed");
    word += rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
  }

  void take_quoted(std::string& word) {
    while (!rest_.empty()) {
      const char c = take();
      if (c == '"') return;
      if (c == '\\' && !rest_.empty()) {
        word += escape();
      } else {
        word += c;
      }
    }
    throw UsageError("a \" is not closed");
  }

  char escape() {
    const char c = take();
    if (c == 'n') return '\n';
    if (c == 'r') return '\r';
    if (c == 't') return '\t';
    if (c == '0') return '\0';
    if (c != 'x') return c;
    unsigned value = 0;
    const std::string_view digits = rest_.substr(0, 2);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (digits.size() != 2 || error != std::errc() || end != digits.data() + 2) {
      throw UsageError("\\x is followed by two hexadecimal digits");
    }
    rest_.remove_prefix(2);
    return static_cast<char>(value);
  }

  std::string_view rest_;
};

}  // namespace

std::vector<std::string> split_words(std::string_view line) { return Splitter(line).split(); }

bool is_plain_word(std::string_view word) {
  return !word.empty() && word.find_first_of(" '\"\\") == std::string_view::npos && word.front() != '-' &&
         word.front() != '#' && escaped(word, Newlines::escape) == word;
}

}  // namespace tuskv::cli
