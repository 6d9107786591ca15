// Greedy matching with one point to come back to. A match that fails behind a `*` can only be saved by giving that `*`
// one byte more: what an earlier `*` could take instead, the last one can take as well. So nothing is ever tried twice
// from the same pair of positions, and time is bounded by pattern × text.
#include "glob.h"

#include <cstddef>

namespace tuskv {
namespace {

/// Reads one byte of the pattern that stands for itself; `*` and `?` must have been seen to by the caller.
char take_literal(std::string_view pattern, std::size_t& position) {
  if (pattern[position] == '\\' && position + 1 < pattern.size()) ++position;
  return pattern[position++];
}

}  // namespace

bool glob_matches(std::string_view pattern, std::string_view text) {
  constexpr std::size_t kNone = std::string_view::npos;
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t behind_star = kNone;  // in the pattern, behind the last `*` met
  std::size_t star_end = 0;         // in the text, where the run of that `*` ends
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      behind_star = ++p;
      star_end = t;
      continue;
    }
    if (p < pattern.size()) {
      const bool any = pattern[p] == '?';
      const char literal = any ? (++p, '\0') : take_literal(pattern, p);
      if (any || literal == text[t]) {
        ++t;
        continue;
      }
    }
    if (behind_star == kNone) return false;
    if (behind_star == pattern.size()) return true;
    p = behind_star;
    t = ++star_end;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::string glob_literal_prefix(std::string_view pattern) {
  std::string prefix;
  std::size_t p = 0;
  while (p < pattern.size() && pattern[p] != '*' && pattern[p] != '?') prefix.push_back(take_literal(pattern, p));
  return prefix;
}

}  // namespace tuskv
