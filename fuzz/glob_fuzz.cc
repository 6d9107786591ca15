// The greedy matcher against the plain definition, and the key range a glob is turned into against the matcher.
// Input: one byte, the length of the pattern; the pattern; the text.
#include <algorithm>
#include <string_view>
#include <vector>

#include "fuzz_target.h"
#include "glob.h"

namespace {

struct Token {
  enum class Kind { literal, one, run } kind = Kind::literal;
  char byte = 0;
};

std::vector<Token> tokens_of(std::string_view pattern) {
  std::vector<Token> tokens;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '*') {
      tokens.push_back({.kind = Token::Kind::run});
    } else if (pattern[i] == '?') {
      tokens.push_back({.kind = Token::Kind::one});
    } else {
      if (pattern[i] == '\\' && i + 1 < pattern.size()) ++i;
      tokens.push_back({.byte = pattern[i]});
    }
  }
  return tokens;
}

/// reached[t]: the tokens read so far match the first t bytes of the text.
bool matches_by_definition(std::string_view pattern, std::string_view text) {
  std::vector<bool> reached(text.size() + 1, false);
  reached[0] = true;
  for (const Token& token : tokens_of(pattern)) {
    std::vector<bool> next(text.size() + 1, false);
    for (std::size_t t = 0; t <= text.size(); ++t) {
      if (token.kind == Token::Kind::run) {
        next[t] = reached[t] || (t > 0 && next[t - 1]);
      } else if (t > 0 && reached[t - 1]) {
        next[t] = token.kind == Token::Kind::one || token.byte == text[t - 1];
      }
    }
    reached = std::move(next);
  }
  return reached[text.size()];
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kInputBytesMax = 512;
  if (size == 0 || size > kInputBytesMax) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string_view pattern = input.substr(0, std::min<std::size_t>(data[0], input.size()));
  const std::string_view text = input.substr(pattern.size());

  const bool matched = tuskv::glob_matches(pattern, text);
  TUSKV_FUZZ_CHECK(matched == matches_by_definition(pattern, text));
  if (matched) TUSKV_FUZZ_CHECK(text.starts_with(tuskv::glob_literal_prefix(pattern)));
  return 0;
}
