#include "filter.h"

#include <gtest/gtest.h>

#include <ctime>
#include <string>
#include <string_view>

#include "search_filter.h"
#include "support/random.h"
#include "support/random_seed.h"

namespace tuskv {
namespace {

using std::string_view_literals::operator""sv;

bool contains(std::string_view value, std::string_view needle, bool ignore_case = false) {
  const SearchFilter filter = checked_needle(needle, {.ignore_case = ignore_case});
  return matches_value(filter.filter(), value);
}

bool finds(std::string_view document, std::string_view value, bool text = false) {
  const SearchFilter filter = checked_field("f", value, {.text = text});
  return matches_value(filter.filter(), document);
}

TEST(Filter, ContainsBytes) {
  EXPECT_TRUE(contains("haystack", "st"));
  EXPECT_TRUE(contains("haystack", "haystack"));
  EXPECT_FALSE(contains("haystack", "haystacks"));
  EXPECT_FALSE(contains("haystack", "ST"));
  EXPECT_FALSE(contains("", "x"));
  EXPECT_TRUE(contains("a\0b\xff"sv, "\0b\xff"sv));
}

TEST(Filter, FoldsAsciiAlone) {
  EXPECT_TRUE(contains("HayStack", "STACK", true));
  EXPECT_TRUE(contains("[\\]^_`", "\\]^", true));
  EXPECT_FALSE(contains("[", "{", true));  // one bit apart, as letters are
  EXPECT_FALSE(contains("@", "`", true));
  EXPECT_FALSE(contains("\xc3\x84", "\xc3\xa4", true));  // Ä and ä
  EXPECT_TRUE(contains("x\xc3\x84X", "X\xc3\x84x", true));
}

TEST(Filter, FoldedSearchIsTheSameAcrossItsPieces) {
  const std::uint64_t seed = test::random_seed();
  test::Random random(seed);
  for (int round = 0; round < 200; ++round) {
    std::string value(30'000 + random.below(40'000), '\0');
    for (char& byte : value) byte = "aAbB"[random.below(4)];
    const std::string needle = value.substr(random.below(value.size() - 40), 1 + random.below(40));
    EXPECT_TRUE(contains(value, needle, true)) << "seed " << seed << ", round " << round;
    EXPECT_FALSE(contains(value, needle + "c", true)) << "seed " << seed << ", round " << round;
  }
}

/// Processor time, which others on the machine do not lengthen much.
double seconds_to_miss(std::string_view value, std::string_view needle, bool ignore_case) {
  const std::clock_t start = std::clock();
  EXPECT_FALSE(contains(value, needle, ignore_case));
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

/// A search that begins again at each place takes ten times as long for the hostile needle as for the short one.
TEST(Filter, Y11_AHostileNeedleCostsNoMoreThanReadingTheValue) {
  const std::string value(20'000'000, 'a');
  const std::string harmless = std::string(10, 'a') + 'b';
  const std::string hostile = std::string(4'000, 'a') + 'b';
  for (const bool ignore_case : {false, true}) {
    EXPECT_LT(seconds_to_miss(value, hostile, ignore_case), 4 * seconds_to_miss(value, harmless, ignore_case))
        << ignore_case;
  }
}

TEST(Filter, FieldsAreComparedByTypeAndValue) {
  EXPECT_TRUE(finds(R"({"f":true})", "true"));
  EXPECT_FALSE(finds(R"({"f":"true"})", "true"));
  EXPECT_FALSE(finds(R"({"f":false})", "true"));
  EXPECT_TRUE(finds(R"({"f":null})", "null"));
  EXPECT_FALSE(finds(R"({"g":null})", "null"));
  EXPECT_TRUE(finds(R"({"f":1})", "1.0"));
  EXPECT_TRUE(finds(R"({"f":1.0})", "1"));
  EXPECT_FALSE(finds(R"({"f":"1"})", "1"));
  EXPECT_FALSE(finds(R"({"f":12345678901234567890123})", "12345678901234567890124"));
  EXPECT_TRUE(finds(R"({"f":"P\u0061ris"})", R"( "Paris" )"));
  EXPECT_FALSE(finds(R"({"f":["Paris"]})", R"("Paris")"));
  EXPECT_FALSE(finds(R"({"f":{"f":1}})", "1"));
  EXPECT_TRUE(finds(R"({"f":"\u0000"})", R"("\u0000")"));
  EXPECT_FALSE(finds(R"({"f":1e1000000000})", "1"));
  EXPECT_FALSE(finds("no JSON", "1"));
}

TEST(Filter, TextsAreComparedAsTheyAreWritten) {
  EXPECT_TRUE(finds(R"({"f":"Paris"})", "Paris", true));
  EXPECT_TRUE(finds(R"({"f":true})", "true", true));
  EXPECT_TRUE(finds(R"({"f":"true"})", "true", true));
  EXPECT_TRUE(finds(R"({"f":"1e2"})", "1e2", true));
  EXPECT_TRUE(finds(R"({"f":1e2})", "100", true));
  EXPECT_FALSE(finds(R"({"f":1e2})", "1e2", true));
  EXPECT_FALSE(finds(R"({"f":1.0})", "1", true));
  EXPECT_TRUE(finds(R"({"f":""})", "", true));
  EXPECT_FALSE(finds(R"({"f":null})", "null", true));
  EXPECT_FALSE(finds(R"({"f":null})", "", true));
  EXPECT_FALSE(finds(R"({"f":[]})", "[]", true));
  EXPECT_FALSE(finds(R"({"f":{}})", "{}", true));
}

}  // namespace
}  // namespace tuskv
