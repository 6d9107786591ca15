#include "glob.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>

namespace tuskv {
namespace {

using std::string_view_literals::operator""sv;

TEST(Glob, MatchesAllOfTheText) {
  EXPECT_TRUE(glob_matches("", ""));
  EXPECT_FALSE(glob_matches("", "a"));
  EXPECT_TRUE(glob_matches("abc", "abc"));
  EXPECT_FALSE(glob_matches("abc", "abcd"));
  EXPECT_FALSE(glob_matches("abc", "xabc"));
  EXPECT_FALSE(glob_matches("abc", "ab"));
}

TEST(Glob, StarIsAnyRunOfBytes) {
  EXPECT_TRUE(glob_matches("*", ""));
  EXPECT_TRUE(glob_matches("*", "anything"));
  EXPECT_TRUE(glob_matches("a*", "a"));
  EXPECT_TRUE(glob_matches("a*c", "ac"));
  EXPECT_TRUE(glob_matches("a*c", "abcbc"));
  EXPECT_FALSE(glob_matches("a*c", "abcb"));
  EXPECT_TRUE(glob_matches("*a*b*", "xxaxxbxx"));
  EXPECT_FALSE(glob_matches("*a*b*", "xxbxxaxx"));
  EXPECT_TRUE(glob_matches("**a**", "a"));
  EXPECT_TRUE(glob_matches("*ab", "aab"));
  EXPECT_TRUE(glob_matches("*aab*aab", "aaabaaab"));
  EXPECT_TRUE(glob_matches("*", "\0\xff"sv));
}

TEST(Glob, QuestionMarkIsOneByte) {
  EXPECT_TRUE(glob_matches("?", "x"));
  EXPECT_TRUE(glob_matches("?", "\0"sv));
  EXPECT_FALSE(glob_matches("?", ""));
  EXPECT_FALSE(glob_matches("?", "xy"));
  EXPECT_TRUE(glob_matches("a?c*?", "abcd"));
  EXPECT_FALSE(glob_matches("a?c*?", "abc"));
  EXPECT_FALSE(glob_matches("?", "\xc3\xa9"));  // bytes, not characters
}

TEST(Glob, BackslashTakesTheNextByteLiterally) {
  EXPECT_TRUE(glob_matches("a\\*b", "a*b"));
  EXPECT_FALSE(glob_matches("a\\*b", "axb"));
  EXPECT_TRUE(glob_matches("\\?", "?"));
  EXPECT_FALSE(glob_matches("\\?", "x"));
  EXPECT_TRUE(glob_matches("\\\\", "\\"));
  EXPECT_TRUE(glob_matches("\\a", "a"));
  EXPECT_TRUE(glob_matches("*\\*", "ab*"));
  EXPECT_FALSE(glob_matches("*\\*", "ab"));
  EXPECT_TRUE(glob_matches("a\\", "a\\"));  // at the end: itself
  EXPECT_FALSE(glob_matches("a\\", "a"));
}

TEST(Glob, BracketsAreOrdinaryBytes) {
  EXPECT_TRUE(glob_matches("[ab]", "[ab]"));
  EXPECT_FALSE(glob_matches("[ab]", "a"));
}

/// What the pattern means, by definition.
bool matches_slowly(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '*') {
    for (std::size_t skipped = 0; skipped <= text.size(); ++skipped) {
      if (matches_slowly(pattern.substr(1), text.substr(skipped))) return true;
    }
    return false;
  }
  if (text.empty()) return false;
  if (pattern[0] == '?') return matches_slowly(pattern.substr(1), text.substr(1));
  if (pattern[0] == '\\' && pattern.size() > 1) pattern.remove_prefix(1);
  return pattern[0] == text[0] && matches_slowly(pattern.substr(1), text.substr(1));
}

/// Every string of up to `length` bytes of `alphabet`, by number.
std::string nth_string(std::size_t number, std::string_view alphabet) {
  std::string text;
  for (; number > 0; number = (number - 1) / alphabet.size()) text += alphabet[(number - 1) % alphabet.size()];
  return text;
}

TEST(Glob, AgreesWithItsDefinitionOnEveryShortPattern) {
  for (std::size_t p = 0; p < 1365; ++p) {   // patterns of up to 5 bytes
    for (std::size_t t = 0; t < 127; ++t) {  // texts of up to 6 bytes
      const std::string pattern = nth_string(p, "a*?\\");
      const std::string text = nth_string(t, "a*");
      ASSERT_EQ(glob_matches(pattern, text), matches_slowly(pattern, text)) << pattern << " on " << text;
    }
  }
}

TEST(Glob, HostilePatternsTakeNoMoreThanPatternTimesText) {
  std::string pattern;
  while (pattern.size() < 1022) pattern += "a*";
  pattern += "b";  // a*a*…b: exponential for matchers that come back to every star
  const std::string text(100'000, 'a');
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(glob_matches(pattern, text));
  EXPECT_FALSE(glob_matches("*" + std::string(1000, 'a') + "b", text));  // pattern × text, the worst there is
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

// A11: the longest glob on the longest key, whatever they hold.
TEST(Glob, A11TheWorstGlobOnTheLongestKeyTakesUnderTenMilliseconds) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  constexpr auto kLimit = std::chrono::milliseconds(200);
#else
  constexpr auto kLimit = std::chrono::milliseconds(10);
#endif
  constexpr std::size_t kGlobBytes = 1024;
  constexpr std::size_t kKeyBytes = 2047;
  const std::string key(kKeyBytes, 'a');
  const auto repeated = [](std::string_view piece, std::string_view end) {
    std::string glob;
    while (glob.size() + piece.size() + end.size() <= kGlobBytes) glob += piece;
    return glob + std::string(end);
  };
  for (const std::string& glob :
       {repeated("a*", "b"), repeated("*", "b"), repeated("*a", "b"), "*" + repeated("a", "b"), repeated("?*", "b"),
        "*" + repeated("?", "b"), repeated("*?", ""), repeated("\\a*", "b"), repeated("*[", "b"),
        "*" + repeated("\\a", "b")}) {
    auto fastest = std::chrono::steady_clock::duration::max();  // of some, for the machine may be busy
    for (int i = 0; i < 5; ++i) {
      const auto start = std::chrono::steady_clock::now();
      EXPECT_EQ(glob_matches(glob, key), glob.back() != 'b');
      fastest = std::min(fastest, std::chrono::steady_clock::now() - start);
    }
    EXPECT_LT(fastest, kLimit) << glob.substr(0, 20);
  }
}

TEST(Glob, LiteralPrefixIsWhatEveryMatchStartsWith) {
  EXPECT_EQ(glob_literal_prefix(""), "");
  EXPECT_EQ(glob_literal_prefix("user:*"), "user:");
  EXPECT_EQ(glob_literal_prefix("user:?1"), "user:");
  EXPECT_EQ(glob_literal_prefix("*"), "");
  EXPECT_EQ(glob_literal_prefix("plain"), "plain");
  EXPECT_EQ(glob_literal_prefix("a\\*b*"), "a*b");
  EXPECT_EQ(glob_literal_prefix("a\\\\*"), "a\\");
  EXPECT_EQ(glob_literal_prefix("a\\"), "a\\");
  EXPECT_EQ(glob_literal_prefix("\0x*"sv), "\0x"sv);
}

}  // namespace
}  // namespace tuskv
