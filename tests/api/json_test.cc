// Values as JSON by themselves: what is kept, and what is refused when it is written or read.
#include "tuskv/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "api/json_values.h"

namespace tuskv::test {
namespace {

using testing::HasSubstr;

TEST(Codec, Y16_JsonRefusesWhatItCannotSay) {
  using Json = JsonCodec<nlohmann::json>;
  using Number = JsonCodec<double>;
  EXPECT_EQ(Number::decode(Number::encode(0.1)), 0.1);
  EXPECT_TRUE(std::signbit(Number::decode(Number::encode(-0.0))));
  for (const double number : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    EXPECT_THAT(refusal([&] { return Number::encode(number); }), HasSubstr("NaN"));
    EXPECT_THAT(refusal([&] { return Json::encode({{"a", {1, number}}}); }), HasSubstr("NaN"));
  }
  EXPECT_THAT(refusal([] { return JsonCodec<std::string>::encode("\xff"); }), HasSubstr("UTF-8"));
  EXPECT_THAT(refusal([] { return Json::encode(nlohmann::json::binary({1})); }), HasSubstr("binary"));
  for (const char* wrong : {"", "{", "[1,]", "NaN", "'a'", "\"\\ud800\"", "\"\xff\"", "1 2", "{\"a\"}"}) {
    EXPECT_NE(refusal([&] { return Json::decode(wrong); }), "") << wrong;
  }
}

TEST(Codec, Y16_IntegersOfJsonAreNeverNarrowed) {
  using Json = JsonCodec<Small>;
  EXPECT_EQ(Json::decode(R"({"byte": 255, "wide": -9223372036854775808})"),
            (Small{255, std::numeric_limits<std::int64_t>::min(), {}}));
  EXPECT_EQ(Json::decode(R"({"byte": 2e2, "wide": 1.0, "fractions": [0.1, 3, 123456789]})").fractions.size(), 3u);
  EXPECT_EQ(Json::decode(R"({"unknown": 1e99})"), Small());
  EXPECT_EQ(Json::decode(R"({"byte": 1, "byte": 2})").byte, 2);  // the last wins, as on PostgreSQL
  for (const char* wrong : {R"({"byte": 256})", R"({"byte": -1})", R"({"byte": 1.5})", R"({"byte": 300})",
                            R"({"wide": 9223372036854775808})", R"({"wide": 18446744073709551615})",
                            R"({"wide": 18446744073709551616})", R"({"wide": -1e30})", R"({"wide": 0.5})"}) {
    EXPECT_THAT(refusal([&] { return Json::decode(wrong); }), HasSubstr("does not fit")) << wrong;
  }
  EXPECT_THAT(refusal([] { return JsonCodec<std::vector<int>>::decode("[1, 2, 4294967299]"); }),
              HasSubstr("4294967299"));
  // The smallest numbers that some field cannot hold; what is no wider is compared with nothing.
  using Bytes8 = JsonCodec<std::vector<std::int8_t>>;
  EXPECT_EQ(Bytes8::decode("[0, 127]"), (std::vector<std::int8_t>{0, 127}));
  EXPECT_THAT(refusal([] { return Bytes8::decode("[0, 128]"); }), HasSubstr("128 does not fit"));
  EXPECT_THAT(refusal([] { return JsonCodec<std::vector<std::vector<std::uint8_t>>>::decode("[[0], [-1]]"); }),
              HasSubstr("-1 does not fit"));
}

/// Their conversion wraps around, or gives some number.
TEST(Codec, S56_DoublesOfJsonAreNeverNarrowedToIntegers) {
  using Json = JsonCodec<Small>;
  for (const std::string wrong : {"300.0", "3e2", "-0.5", "255.9", "256.5", "1e9", "4294967301.0", "-3e9", "1e18"}) {
    EXPECT_THAT(refusal([&] { return Json::decode(R"({"byte": )" + wrong + "}"); }), HasSubstr("does not fit"));
    EXPECT_THAT(refusal([&] { return JsonCodec<std::vector<std::int8_t>>::decode("[" + wrong + "]"); }),
                HasSubstr("does not fit"));
    EXPECT_THAT(refusal([&] { return JsonCodec<std::vector<std::int16_t>>::decode("[32768.0, " + wrong + "]"); }),
                HasSubstr("32768.0 does not fit"));
  }
  EXPECT_THAT(refusal([] { return Json::decode(R"({"byte": -1.0})"); }), HasSubstr("-1.0 does not fit"));
  EXPECT_EQ(JsonCodec<std::vector<std::uint32_t>>::decode("[3e9, 4294967295.0]"),
            (std::vector<std::uint32_t>{3'000'000'000, 4'294'967'295}));
  EXPECT_EQ(Json::decode(R"({"wide": -9.0e15})").wide, -9'000'000'000'000'000);
  EXPECT_THAT(refusal([] { return JsonCodec<std::vector<std::int32_t>>::decode("[2147483648.0]"); }),
              HasSubstr("does not fit"));
}

/// Written by an earlier version in milliseconds, now in seconds.
struct Moment {
  std::int64_t at = 0;
};
void to_json(nlohmann::json& document, const Moment& moment) { document = {{"at", moment.at}}; }
void from_json(const nlohmann::json& document, Moment& moment) {
  const auto given = document.at("at").get<double>();
  moment.at = static_cast<std::int64_t>(given > 1e11 ? given / 1000 : given);
}

TEST(Codec, Y23_WhatAFromJsonMakesOfANumberIsNotTakenForACutOne) {
  using Json = JsonCodec<Moment>;
  for (std::int64_t s = 1'700'000'000; s < 1'700'001'000; ++s) {
    const std::string ms = std::to_string(s * 1000);
    for (const std::string& text : {ms, std::to_string(s), ms + ".5", ms + ".0"}) {
      ASSERT_EQ(refusal([&] { EXPECT_EQ(Json::decode(R"({"at": )" + text + "}").at, s); }), "");
    }
  }
}

/// What T keeps of a number, and what may become of that in a larger type, is told from the number.
template <class T, class N>
void expect_told(N given, T kept) {
  const auto larger = static_cast<std::uint64_t>(kept);
  EXPECT_EQ(detail::is_narrowed(given, kept), !std::cmp_equal(given, kept)) << given << " in " << sizeof(T);
  EXPECT_EQ(detail::is_narrowed(given, larger), !std::cmp_equal(given, larger)) << given << " in " << sizeof(T);
  EXPECT_FALSE(detail::is_narrowed(given, given)) << given;
}

TEST(Codec, Y23_CutIntegersAreToldFromOthers) {
  const auto expect_each = [](auto given) {
    expect_told(given, static_cast<std::int8_t>(given));
    expect_told(given, static_cast<std::uint8_t>(given));
    expect_told(given, static_cast<std::int16_t>(given));
    expect_told(given, static_cast<std::uint16_t>(given));
    expect_told(given, static_cast<std::int32_t>(given));
    expect_told(given, static_cast<std::uint32_t>(given));
    expect_told(given, static_cast<std::int64_t>(given));
  };
  for (const int shift : {7, 8, 15, 16, 31, 32, 40, 62}) {
    for (const std::int64_t near : {-1, 0, 1, 5}) {
      const std::int64_t number = (std::int64_t{1} << shift) + near;
      expect_each(number);
      expect_each(-number);
      expect_each(static_cast<std::uint64_t>(number));
    }
  }
  expect_each(std::uint64_t{1} << 63);
  expect_each(~std::uint64_t{0});
  for (const std::int64_t other : {0, 43, 45, 255, 299}) EXPECT_FALSE(detail::is_narrowed(300, other)) << other;
}

/// The ends are what x86 and ARM give where C++ says nothing.
TEST(Codec, Y23_CutFractionsAreToldFromOthers) {
  constexpr std::int64_t kMin32 = std::numeric_limits<std::int32_t>::min();
  constexpr std::int64_t kMax32 = std::numeric_limits<std::int32_t>::max();
  constexpr std::int64_t kMin64 = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t kMax64 = std::numeric_limits<std::int64_t>::max();
  const auto narrowed = [](double given, auto decoded) { return detail::is_narrowed(given, decoded); };
  for (const std::int64_t cut : {2, 44, -212}) EXPECT_EQ(narrowed(2.9, cut), cut == 2) << cut;
  for (const std::int64_t cut : {300, 44}) EXPECT_EQ(narrowed(300.0, cut), cut == 44) << cut;
  for (const std::int64_t cut : std::vector<std::int64_t>{-5, 0, 251, 65531, 4294967291}) {
    EXPECT_EQ(narrowed(-5.0, cut), cut != -5) << cut;
  }
  for (const double beyond : {1e18, -1e18, 1e30, -1e30}) {
    for (const std::int64_t end : {kMin32, kMax32, kMin64, kMax64, std::int64_t{0}, std::int64_t{-1}}) {
      EXPECT_TRUE(narrowed(beyond, end)) << beyond << " " << end;
    }
    EXPECT_TRUE(narrowed(beyond, ~std::uint64_t{0}));
    for (const std::int64_t other : {1, 1000, 1'700'000'000}) EXPECT_FALSE(narrowed(beyond, other)) << other;
  }
  EXPECT_TRUE(narrowed(9223372036854775808.0, kMax64));
  EXPECT_FALSE(narrowed(9223372036854775808.0, std::uint64_t{1} << 63));
  EXPECT_FALSE(narrowed(-9223372036854775808.0, kMin64));
  EXPECT_TRUE(narrowed(18446744073709551616.0, ~std::uint64_t{0}));
  EXPECT_FALSE(narrowed(3e9, 3'000'000'000));
}

struct Member {
  std::int32_t id = 0;
  std::string name = {};
  float weight = 0;
  std::unordered_set<int> groups = {};
  friend bool operator==(const Member&, const Member&) = default;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Member, id, name, weight, groups)

struct MemberHash {
  std::size_t operator()(const Member& member) const { return static_cast<std::size_t>(member.id); }
};

/// Writes no field for what it has not.
struct Optional {
  std::optional<std::uint8_t> byte = {};
  friend bool operator==(const Optional&, const Optional&) = default;
};
void to_json(nlohmann::json& document, const Optional& value) {
  document = nlohmann::json::object();
  if (value.byte) document["byte"] = *value.byte;
}
void from_json(const nlohmann::json& document, Optional& value) {
  if (document.contains("byte")) value.byte = document.at("byte").get<std::uint8_t>();
}

struct Reversed {
  bool operator()(int left, int right) const { return left > right; }
};

/// Such a container gives its elements in an order of its own, so two that stand at the same position have nothing to
/// do with each other, and one of 256 such pairs looks like a number that was cut.
TEST(Codec, Y19_NumbersOfContainersWithoutAnOrderAreReadAgain) {
  std::unordered_set<int> numbers;
  std::unordered_map<int, double> map;
  std::unordered_map<int, std::unordered_set<int>> nested;
  std::unordered_set<Member, MemberHash> members;
  for (int i = -500; i < 500; ++i) {
    const int number = i * 256;
    numbers.insert(number);
    map[number] = i / 3.0;
    nested[number] = {0, 256, 512, number};
    members.insert({number, std::to_string(i), 0.1F, {number, number + 256}});
  }
  const auto expect_read = [](const auto& value) {
    using T = std::remove_cvref_t<decltype(value)>;
    EXPECT_EQ(refusal([&] { EXPECT_TRUE(JsonCodec<T>::decode(JsonCodec<T>::encode(value)) == value); }), "");
  };
  expect_read(numbers);
  expect_read(map);
  expect_read(nested);
  expect_read(members);
  EXPECT_EQ(refusal([] { return JsonCodec<std::set<int>>::decode("[512, 256.0, 0, 256]"); }), "");
  EXPECT_EQ(refusal([] { return JsonCodec<std::set<int, Reversed>>::decode("[0, 256, 512, 512]"); }), "");
  // Written by others: fields that are unknown, or missing.
  EXPECT_EQ(
      refusal([] {
        return JsonCodec<std::map<int, Member>>::decode(R"([[512, {"id": 0, "new": 1}], [256, {"id": 7, "new": 2}]])");
      }),
      "");
}

TEST(Codec, Y19_NumbersOfContainersWithoutAnOrderAreNotNarrowed) {
  using Bytes8 = JsonCodec<std::vector<std::uint8_t>>;
  using Set8 = JsonCodec<std::unordered_set<std::uint8_t>>;
  using Map8 = JsonCodec<std::unordered_map<std::uint8_t, int>>;
  for (const char* wrong : {"[257]", "[1, 257]", "[257, 257]", "[2, 1, 257]", "[257, 1, 2]", "[513, 257]", "[255, -1]",
                            "[-1, 255]", "[257.0, 1]", "[1.5, 1]", "[1, 4294967297.0]"}) {
    EXPECT_THAT(refusal([&] { return Bytes8::decode(wrong); }), HasSubstr("does not fit")) << wrong;
  }
  for (const char* wrong : {"[257]", "[257, 1]", "[-1]"}) {
    EXPECT_THAT(refusal([&] { return Set8::decode(wrong); }), HasSubstr("does not fit")) << wrong;
  }
  for (const char* wrong : {"[[257, 257]]", "[[257, 1]]", "[[257, 5], [1, 257]]"}) {
    EXPECT_THAT(refusal([&] { return Map8::decode(wrong); }), HasSubstr("does not fit")) << wrong;
  }
  using Nested8 = JsonCodec<std::vector<std::vector<std::uint8_t>>>;
  EXPECT_THAT(refusal([] { return Nested8::decode("[[1, 2], [3, 257]]"); }), HasSubstr("257 does not fit"));
  using Members = JsonCodec<std::unordered_set<Member, MemberHash>>;
  EXPECT_THAT(refusal([] { return Members::decode(R"([{"id": 4294967297, "name": "a"}])"); }),
              HasSubstr("4294967297 does not fit"));
  EXPECT_THAT(refusal([] { return Members::decode(R"([{"id": 5, "groups": [4294967297]}])"); }),
              HasSubstr("4294967297 does not fit"));
}

/// A float with the value that an integer lost, or an element that looks like what another one became, excuses nothing.
TEST(Codec, Y19_NumbersOfContainersWithAnOrderAreNotExcusedByOthers) {
  const auto expect_refused = []<class T>(std::type_identity<T>, const char* text) {
    EXPECT_THAT(refusal([&] { return JsonCodec<T>::decode(text); }), HasSubstr("does not fit")) << text;
  };
  using Pairs = std::type_identity<std::vector<std::pair<double, std::uint8_t>>>;
  expect_refused(Pairs(), "[[0, 256], [256, 1]]");
  expect_refused(Pairs(), "[[300, 300]]");
  expect_refused(Pairs(), "[[300, 44], [44, 300]]");
  expect_refused(std::type_identity<std::map<double, std::uint8_t>>(), "[[0, 256], [256, 1]]");
  expect_refused(std::type_identity<std::unordered_map<double, std::uint8_t>>(), "[[0, 256], [256, 0]]");
  expect_refused(std::type_identity<std::tuple<double, double, std::uint8_t, std::uint8_t>>(), "[300, 44, 300, 1]");
  expect_refused(std::type_identity<std::pair<double, std::int64_t>>(), "[-1, 18446744073709551615]");
  expect_refused(std::type_identity<std::vector<std::int64_t>>(), "[-1, 18446744073709551615]");
  expect_refused(std::type_identity<std::vector<Small>>(), R"([{"wide": 256}, {"byte": 256}])");
  expect_refused(std::type_identity<std::vector<Small>>(), R"([{"fractions": [256], "byte": 256}, {"byte": 0}])");
  using Maybe = std::type_identity<std::vector<Optional>>;
  expect_refused(Maybe(), R"([{}, {"byte": 256}])");
  expect_refused(Maybe(), R"([{"byte": 256}, {}, {"byte": 0}])");
  expect_refused(Maybe(), R"([{}, {"byte": 0.5}])");
}

TEST(Codec, Y19_ContainersWithoutAnOrderAreReadFromWhatOthersWrote) {
  const auto expect_read = []<class T>(const T& value, const std::string& text) {
    EXPECT_EQ(refusal([&] { EXPECT_TRUE(JsonCodec<T>::decode(text) == value) << text; }), "") << text;
  };
  for (const char* text : {"[1000, 744]", "[744, 1000]", "[1000, 744, 744]", "[744.0, 1000, 744, 1e3]"}) {
    expect_read(std::set<int>{744, 1000}, text);
    expect_read(std::unordered_set<std::int64_t>{1000, 744}, text);
  }
  expect_read(std::set<std::set<int>>{{0}, {256, 512}}, "[[512, 256], [0], [0]]");
  // Fields are unknown, or missing, and floats have the digits of a double.
  expect_read(std::map<int, Optional>{{256, {2}}, {512, {}}}, R"([[512, {"new": 7}], [256, {"byte": 2}]])");
  expect_read(std::set<std::pair<int, float>>{{0, 0.1F}, {256, 0.3F}}, "[[256, 0.3], [0, 0.1]]");
  expect_read(std::set<std::pair<int, std::string>>{{0, "a"}, {256, "b"}}, R"([[256, "b"], [0, "a"]])");
}

/// Comparing each with each would take hours.
TEST(Codec, Y19_LargeContainersWithoutAnOrderAreReadInTime) {
  constexpr std::int64_t kMany = 30'000;
  constexpr std::int64_t kWide = std::int64_t{1} << 60;
  std::unordered_multiset<std::int64_t> same;
  std::unordered_map<std::int64_t, Member> members;
  std::string old = "[";
  for (std::int64_t i = 0; i < kMany; ++i) {
    same.insert(i % 2 * 256);
    members[kWide + i] = {0, "", 0.1F, {}};
    old += (i == 0 ? "[" : ",[") + std::to_string(kWide + i) + R"(,{"weight":0.1,"new":)" + std::to_string(i) + "}]";
  }
  using Same = JsonCodec<std::unordered_multiset<std::int64_t>>;
  using Members = JsonCodec<std::unordered_map<std::int64_t, Member>>;
  EXPECT_EQ(refusal([&] { EXPECT_TRUE(Same::decode(Same::encode(same)) == same); }), "");
  EXPECT_EQ(refusal([&] { EXPECT_TRUE(Members::decode(Members::encode(members)) == members); }), "");
  EXPECT_EQ(refusal([&] { EXPECT_TRUE(Members::decode(old + "]") == members); }), "");
}

TEST(Codec, Y21_AFloatOfJsonIsNeverReadAsInfinite) {
  using Floats = JsonCodec<std::vector<float>>;
  EXPECT_THAT(refusal([] { return Floats::decode("[1, 1e300]"); }), HasSubstr("1e+300 does not fit"));
  EXPECT_THAT(refusal([] { return JsonCodec<Member>::decode(R"({"weight": -1e300})"); }), HasSubstr("does not fit"));
  EXPECT_EQ(Floats::decode("[3.4e38, -3.4e38, 1e-300]").at(2), 0);
  EXPECT_EQ(JsonCodec<double>::decode("1e300"), 1e300);
}

TEST(Codec, JsonIsBoundedInDepth) {
  using Json = JsonCodec<nlohmann::json>;
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_EQ(Json::encode(Json::decode(nested(kJsonDepthMax))), nested(kJsonDepthMax));
  EXPECT_THAT(refusal([&] { return Json::decode(nested(kJsonDepthMax + 1)); }), HasSubstr("deep"));
  EXPECT_THAT(refusal([] { return Json::decode(std::string(10'000'000, '[')); }), HasSubstr("deep"));
  EXPECT_THAT(refusal([&] { return Json::encode(nlohmann::json::parse(nested(kJsonDepthMax + 1))); }),
              HasSubstr("deep"));
  EXPECT_EQ(Json::decode(R"(["[[\"", "{{"])").size(), 2u);  // brackets of text do not count
  EXPECT_EQ(Json::decode("\"" + std::string(1000, '[') + "\"").get<std::string>().size(), 1000u);
}

}  // namespace
}  // namespace tuskv::test
