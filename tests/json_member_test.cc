#include "json_member.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <string_view>

namespace tuskv {
namespace {

using std::string_view_literals::operator""sv;
using Kind = JsonValue::Kind;

/// The text of member "a"; "-" when there is none.
std::string member(std::string_view document) {
  const std::optional<JsonValue> found = find_member(document, "a");
  return found ? std::string(found->text) : "-";
}

TEST(JsonMember, FindsTopLevelMembersAlone) {
  EXPECT_EQ(member(R"({"a":1})"), "1");
  EXPECT_EQ(member(" \t\r\n{ \"b\" : [ 1 , { \"a\" : 2 } ] ,\n\"a\" : [ { } , [ ] ] } "), "[ { } , [ ] ]");
  EXPECT_EQ(member(R"({"b":{"a":1}})"), "-");
  EXPECT_EQ(member(R"([{"a":1}])"), "-");
  EXPECT_EQ(member(R"({})"), "-");
  EXPECT_EQ(member(R"("a")"), "-");
  EXPECT_EQ(member(R"({"a":null})"), "null");
  EXPECT_EQ(member(R"({"\u0061":"\u00e4"})"), R"("\u00e4")");
  EXPECT_EQ(member(R"({"aa":1,"":2,"A":3})"), "-");
}

TEST(JsonMember, OfMembersWithOneNameTheLastCounts) {
  EXPECT_EQ(member(R"({"a":1,"a":{"a":2},"b":3})"), R"({"a":2})");
  EXPECT_EQ(member(R"({"a":1,"\u0061":true})"), "true");
}

TEST(JsonMember, KindsFollowTheGrammar) {
  EXPECT_EQ(parse_value(" null ")->kind, Kind::null);
  EXPECT_EQ(parse_value("true")->kind, Kind::boolean);
  EXPECT_EQ(parse_value("false")->kind, Kind::boolean);
  EXPECT_EQ(parse_value("-0.5e+10")->kind, Kind::number);
  EXPECT_EQ(parse_value("\"\"")->kind, Kind::string);
  EXPECT_EQ(parse_value("[]")->kind, Kind::structured);
  EXPECT_EQ(parse_value("{}")->kind, Kind::structured);
}

// A10: what is malformed anywhere is malformed.
TEST(JsonMember, A10_RefusesWhatIsNotJson) {
  for (const std::string_view text : {
           "",
           " ",
           "{",
           "}",
           "[1",
           "[1,]",
           "[,1]",
           "{\"a\"}",
           "{a:1}",
           "{\"a\":}",
           "{\"a\":1,}",
           "{,}",
           "[1}",
           "{\"a\":1]",
           "1 2",
           "nul",
           "True",
           "NaN",
           "Infinity",
           "+1",
           "01",
           "1.",
           ".5",
           "1e",
           "1e+",
           "-",
           "--1",
           "0x1",
           "\"",
           "\"\\\"",
           "\"\\x\"",
           "\"\\u12\"",
           "'a'",
           "\"\t\"",
           "\"\n\"",
           "/* */ 1",
           "\xef\xbb\xbf"
           "1",
           "[1]]",
           "\"a\" \"b\"",
           "\v1",
           "\"\\ud800\"",
           "\"\\udc00\"",
           "\"\\ud800\\u0041\"",
           "\"\\ud800x\"",
           "\"\\ud800\\ud800\"",
       }) {
    EXPECT_FALSE(parse_value(text)) << text;
    EXPECT_EQ(member("{\"a\":1,\"b\":" + std::string(text) + "}"), "-") << text;
  }
  EXPECT_EQ(member(R"({"a":1} x)"), "-");
  EXPECT_EQ(member(R"({"a":1}{"a":1})"), "-");
  EXPECT_EQ(member("{\"a\":1}\0"sv), "-");
  EXPECT_EQ(member("{\"a\":\"\0\"}"sv), "-");
}

TEST(JsonMember, A10_StringsAreUtf8) {
  for (const std::string_view good : {"\x7f"sv, "\xc2\x80"sv, "\xdf\xbf"sv, "\xe0\xa0\x80"sv, "\xed\x9f\xbf"sv,
                                      "\xee\x80\x80"sv, "\xef\xbf\xbf"sv, "\xf0\x90\x80\x80"sv, "\xf4\x8f\xbf\xbf"sv}) {
    EXPECT_TRUE(is_utf8(good));
    EXPECT_TRUE(parse_value('"' + std::string(good) + '"'));
  }
  for (const std::string_view bad : {"\x80"sv, "\xbf"sv, "\xc0\x80"sv, "\xc1\xbf"sv, "\xc2"sv,
                                     "\xc2"
                                     "A"sv,
                                     "\xe0\x9f\xbf"sv, "\xed\xa0\x80"sv, "\xed\xbf\xbf"sv, "\xe1\x80"sv,
                                     "\xf0\x8f\xbf\xbf"sv, "\xf4\x90\x80\x80"sv, "\xf5\x80\x80\x80"sv, "\xff"sv}) {
    EXPECT_FALSE(is_utf8(bad));
    EXPECT_FALSE(parse_value('"' + std::string(bad) + '"'));
  }
}

TEST(JsonMember, StringsAreWhatTheyStandFor) {
  EXPECT_EQ(unescaped(R"("\"\\\/\b\f\n\r\tx")"), "\"\\/\b\f\n\r\tx");
  EXPECT_EQ(unescaped(R"("\u0041\u00e4\u20AC\ud83d\ude00")"), "A\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
  EXPECT_EQ(unescaped(R"("a\u0000b")"), "a\0b"sv);
  EXPECT_EQ(unescaped(R"("\ud800\udc00\udbff\udfff")"), "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf");
  EXPECT_TRUE(string_equals(R"("a\u0062c")", "abc"));
  EXPECT_FALSE(string_equals(R"("a\u0062c")", "ab"));
  EXPECT_FALSE(string_equals(R"("a\u0062c")", "abcd"));
  EXPECT_FALSE(string_equals(R"("abc")", "abC"));
  EXPECT_TRUE(string_equals(R"("")", ""));
  for (const std::string_view bytes : {""sv, "plain"sv, "\"\\/"sv, "\0\x01\x1f\x7f"sv, "\xf0\x9f\x98\x80"sv}) {
    EXPECT_TRUE(parse_value(quoted_string(bytes)));
    EXPECT_EQ(unescaped(quoted_string(bytes)), bytes);
  }
}

TEST(JsonMember, EqualNumbersHaveOneForm) {
  const auto same = [](std::string_view a, std::string_view b) { return canonical_number(a) == canonical_number(b); };
  for (const std::string_view one :
       {"1", "1.0", "1.000", "10e-1", "0.1E1", "0.01e+2", "1e0", "1E-0", "100e-0000000002"}) {
    EXPECT_EQ(canonical_number(one), "1e0") << one;
  }
  for (const std::string_view zero : {"0", "-0", "0.0", "-0.000", "0e5", "0E-99999999999999999999"}) {
    EXPECT_EQ(canonical_number(zero), "0") << zero;
  }
  EXPECT_EQ(canonical_number("-1200.50"), "-12005e-1");
  EXPECT_EQ(canonical_number("0.00120"), "12e-4");
  EXPECT_TRUE(same("1e2", "100"));
  EXPECT_TRUE(same("123456789012345678901234567890", "1.2345678901234567890123456789e29"));
  EXPECT_FALSE(same("12345678901234567890123", "12345678901234567890124"));
  EXPECT_FALSE(same("0.1", "0.10000000000000000001"));
  EXPECT_FALSE(same("1", "-1"));
  EXPECT_TRUE(same("1e400", "10e399"));
  EXPECT_FALSE(same("1e400", "1e401"));
  EXPECT_EQ(canonical_number("1e999999999"), "1e999999999");
  EXPECT_EQ(canonical_number("1e1000000000"), std::nullopt);
  EXPECT_EQ(canonical_number("1e-18446744073709551617"), std::nullopt);
}

TEST(JsonMember, NumbersAreWrittenOut) {
  struct Written {
    std::string_view number;
    std::string_view text;
  };
  for (const Written& row :
       {Written{"1", "1"}, Written{"1.50", "1.50"}, Written{"1e2", "100"}, Written{"1E-3", "0.001"}, Written{"-0", "0"},
        Written{"-0.0", "0.0"}, Written{"0e5", "0"}, Written{"0e-3", "0.000"}, Written{"-12.5", "-12.5"},
        Written{"1.50e1", "15.0"}, Written{"0.5e1", "5"}, Written{"0.05e1", "0.5"}, Written{"0.00e1", "0.0"},
        Written{"12e-1", "1.2"}, Written{"-1.25e-3", "-0.00125"}, Written{"1.25e5", "125000"},
        Written{"0.001e2", "0.1"}}) {
    EXPECT_TRUE(is_number_written_as(row.number, row.text)) << row.number;
    for (const std::string& other : {std::string(row.text) + "0", "0" + std::string(row.text),
                                     "-" + std::string(row.text), std::string(row.text.substr(1)), std::string()}) {
      EXPECT_FALSE(is_number_written_as(row.number, other)) << row.number << " as " << other;
    }
  }
  EXPECT_TRUE(is_number_written_as("0e1000000001", "0"));
  EXPECT_FALSE(is_number_written_as("0e-1000000001", "0"));
  EXPECT_FALSE(is_number_written_as("1e999999999", "1"));  // and makes no text of a gigabyte
  EXPECT_FALSE(is_number_written_as("1e1000000000000000000000", "1"));
}

// A10: neither depth nor size costs more than one pass.
TEST(JsonMember, A10_DeepAndHugeDocumentsAreReadInOnePass) {
  const auto start = std::chrono::steady_clock::now();
  constexpr std::size_t kDepth = 3'000'000;
  const std::string deep = std::string(kDepth, '[') + std::string(kDepth, ']');
  EXPECT_TRUE(parse_value(deep));
  EXPECT_EQ(member(R"({"b":)" + deep + R"(,"a":7})"), "7");
  EXPECT_EQ(member(R"({"b":)" + deep + R"(],"a":7})"), "-");
  std::string objects;
  for (int i = 0; i < 500'000; ++i) objects += R"({"a":)";
  EXPECT_FALSE(parse_value(objects));
  EXPECT_TRUE(parse_value(objects + "1" + std::string(500'000, '}')));
  const std::string digits(4'000'000, '9');
  EXPECT_EQ(canonical_number(digits), digits + "e0");
  EXPECT_EQ(member(R"({"a":")" + std::string(8'000'000, 'x') + R"("})").size(), 8'000'002u);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

}  // namespace
}  // namespace tuskv
