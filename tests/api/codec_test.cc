// Codecs by themselves: exact bytes, the ends of ranges, and what each refuses.
#include "tuskv/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "api/reference_store.h"
#include "tuskv/json.h"

namespace tuskv::test {
namespace {

using testing::HasSubstr;

/// The message with which the call refuses; empty when it does not.
template <class F>
std::string refusal(F&& call) {
  try {
    static_cast<void>(call());
  } catch (const std::exception& error) {
    return error.what();
  }
  return {};
}

struct Point {
  double x = 0;
  float y = 0;
  friend bool operator==(const Point&, const Point&) = default;
};

struct Small {
  std::uint8_t byte = 0;
  std::int64_t wide = 0;
  std::vector<float> fractions = {};
  friend bool operator==(const Small&, const Small&) = default;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Small, byte, wide, fractions)

static_assert(CodecFor<Codec<std::string>, std::string> && CodecFor<Codec<int>, int>);
static_assert(CodecFor<Codec<Small>, Small> && CodecFor<Codec<nlohmann::json>, nlohmann::json>);
static_assert(!JsonValue<Point>);
// What is read must not lend from the document, nor lose what the document says.
static_assert(!JsonValue<std::string_view> && !JsonValue<std::vector<std::string_view>>);
static_assert(!JsonValue<std::map<std::string, std::pair<int, std::string_view>>> && !JsonValue<Bytes>);
static_assert(!JsonValue<nlohmann::ordered_json> && !JsonValue<std::vector<nlohmann::ordered_json>>);
static_assert(JsonValue<std::map<std::string, nlohmann::json>> && JsonValue<std::pair<int, std::string>>);
// What an include of json.h must not change.
static_assert(!std::is_base_of_v<JsonCodec<std::string>, Codec<std::string>>);
static_assert(!std::is_base_of_v<JsonCodec<int>, Codec<int>>);

TEST(Codec, IntegersAreDecimalText) {
  using Unsigned = Codec<std::uint64_t>;
  using Byte = Codec<std::int8_t>;
  EXPECT_EQ(Codec<int>::encode(-7), "-7");
  EXPECT_EQ(Unsigned::decode("18446744073709551615"), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(Codec<std::int64_t>::decode("-9223372036854775808"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(Byte::decode("-128"), -128);
  EXPECT_EQ(Byte::decode("127"), 127);
  for (const char* wrong : {"", "-", "+1", " 1", "1 ", "01", "-0", "1.0", "1e3", "0x1", "--1"}) {
    EXPECT_THAT(refusal([&] { return Byte::decode(wrong); }), HasSubstr("not a decimal integer")) << wrong;
  }
  for (const char* wrong : {"128", "-129", "256", "99999999999999999999", "18446744073709551616"}) {
    EXPECT_THAT(refusal([&] { return Byte::decode(wrong); }), HasSubstr("range")) << wrong;
  }
  EXPECT_THAT(refusal([] { return Unsigned::decode("18446744073709551616"); }), HasSubstr("range"));
  EXPECT_THAT(refusal([] { return Unsigned::decode("-1"); }), HasSubstr("range"));
  EXPECT_THAT(refusal([] { return Codec<std::int64_t>::decode("9223372036854775808"); }), HasSubstr("range"));
}

TEST(Codec, IntegerKeysAreBigEndianWithTheSignFlipped) {
  const auto bytes = [](const auto& encoded) { return std::string(std::string_view(encoded)); };
  EXPECT_EQ(bytes(KeyCodec<std::uint16_t>::encode(0x0102)), std::string("\x01\x02"));
  EXPECT_EQ(bytes(KeyCodec<std::int16_t>::encode(0)), std::string("\x80\0", 2));
  EXPECT_EQ(bytes(KeyCodec<std::int16_t>::encode(-1)), std::string("\x7f\xff"));
  EXPECT_EQ(bytes(KeyCodec<std::int64_t>::encode(1)), std::string("\x80\0\0\0\0\0\0\x01", 8));
  std::string previous;
  for (int value = -32768; value < 32768; ++value) {
    const std::string encoded = bytes(KeyCodec<std::int16_t>::encode(value));
    ASSERT_TRUE(previous < encoded) << value;
    ASSERT_EQ(KeyCodec<std::int16_t>::decode(encoded), value);
    previous = encoded;
  }
  EXPECT_THAT(refusal([] { return KeyCodec<std::int16_t>::decode("123"); }), HasSubstr("size"));
}

TEST(Codec, RawIsTheBytesInMemory) {
  const Point point{0.1, -3.5F};
  const std::string bytes(RawCodec<Point>::encode(point));
  EXPECT_EQ(bytes.size(), sizeof(Point));
  EXPECT_EQ(RawCodec<Point>::decode(bytes), point);
  EXPECT_EQ(RawCodec<Point>::decode(std::string_view("x" + bytes).substr(1)), point);  // not aligned
  EXPECT_THAT(refusal([&] { return RawCodec<Point>::decode(bytes + "x"); }), HasSubstr("size"));
  EXPECT_THAT(refusal([&] { return RawCodec<Point>::decode(""); }), HasSubstr("size"));
}

TEST(Codec, RawValuesAndTextOfAnyBytesInAView) {
  ReferenceStore store;
  const auto points = store->typed<Point, std::uint32_t, RawCodec<Point>>("point:");
  points.set_many({{7, {1, 2}}, {8, {3, 4}}});
  store->set(std::string("point:\0\0\0\x09", 10), "no point");
  EXPECT_TRUE(points.compare_and_swap(7, Point{1, 2}, Point{5, 6}));
  EXPECT_EQ(points.get_many({8, 7, 9})[1].value(), (Point{5, 6}));
  EXPECT_THAT(message_of([&] { points.get(9); }), HasSubstr("\"point:9\""));
  const auto text = store->typed<std::string>("text:");
  const std::string any("\0\xff\n", 3);
  text.set("a", any);
  EXPECT_EQ(text.get("a"), any);
  EXPECT_EQ(text.get_and_set("a", ""), any);
  EXPECT_EQ(text.get("a"), "");
}

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
  EXPECT_EQ(refusal([] {
              return JsonCodec<std::map<int, Member>>::decode(R"([[512, {"id": 0, "new": 1}], [256, {"weight": 1}]])");
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

// ---- own codecs and keys

struct Color {
  int red = 0;
  int green = 0;
  friend bool operator==(const Color&, const Color&) = default;
};

/// Keeps state, and is chosen at the call.
struct Shifted {
  int by = 0;
  std::string encode(const Color& color) const {
    return {static_cast<char>(color.red + by), static_cast<char>(color.green + by)};
  }
  Color decode(std::string_view bytes) const {
    if (bytes.size() != 2) throw std::runtime_error("a color has two bytes");
    return {bytes[0] - by, bytes[1] - by};
  }
};

struct Grid {
  std::uint8_t row = 0;
  std::uint8_t column = 0;
  friend bool operator==(const Grid&, const Grid&) = default;
};

}  // namespace
}  // namespace tuskv::test

template <>
struct tuskv::KeyCodec<tuskv::test::Grid> {
  using Parameter = test::Grid;
  static std::string encode(test::Grid grid) { return {static_cast<char>(grid.row), static_cast<char>(grid.column)}; }
  static test::Grid decode(std::string_view bytes) {
    if (bytes.size() != 2) throw std::runtime_error("a place has two bytes");
    return {static_cast<std::uint8_t>(bytes[0]), static_cast<std::uint8_t>(bytes[1])};
  }
};

namespace tuskv::test {
namespace {

TEST(Codec, OwnCodecsAndKeys) {
  ReferenceStore store;
  const auto colors = store->typed<Color, Grid>("color:", {}, Shifted{3});
  colors.set({1, 2}, {10, 20});
  colors.set_many({{.key = {0, 9}, .value = {1, 1}}});
  EXPECT_EQ(store->get("color:\x01\x02"), "\x0d\x17");
  EXPECT_EQ(colors.get({1, 2}), (Color{10, 20}));
  EXPECT_EQ(colors.get_many({Grid{0, 9}, Grid{5, 5}})[0].value(), (Color{1, 1}));
  EXPECT_EQ(colors.scan().entries.at(1).key, (Grid{1, 2}));
  EXPECT_EQ((store->typed<Color, Grid>("color:", {}, Shifted{4}).get({1, 2})), (Color{9, 19}));
  store->set("color:\x01\x03", "x");
  EXPECT_THAT(message_of([&] { colors.get({1, 3}); }), HasSubstr("a color has two bytes"));
}

/// No operator==: such values are compared by what they are encoded as.
struct Degrees {
  double value = 0;
};
struct FiniteDegrees {
  static std::string encode(const Degrees& degrees) {
    if (!std::isfinite(degrees.value)) throw std::runtime_error("not finite");
    return std::to_string(degrees.value);
  }
  static Degrees decode(std::string_view bytes) { return {std::stod(std::string(bytes))}; }
};

TEST(Codec, S85_WhatIsExpectedAndCannotBeEncodedIsNamed) {
  ReferenceStore store;
  const auto degrees = store->typed<Degrees>("at:", {}, FiniteDegrees());
  degrees.set("home", {1});
  const Degrees wrong{std::numeric_limits<double>::infinity()};
  const auto swap = [&] { degrees.compare_and_swap("home", wrong, {2}); };
  const auto erase = [&] { degrees.compare_and_erase("home", wrong); };
  EXPECT_EQ(code_of(swap), Code::Serialization);
  EXPECT_THAT(message_of(swap), testing::AllOf(HasSubstr("home"), HasSubstr("not finite")));
  EXPECT_EQ(code_of(erase), Code::Serialization);
  EXPECT_EQ(degrees.get("home")->value, 1);
  EXPECT_TRUE(degrees.compare_and_swap("home", Degrees{1}, {2}));
  EXPECT_FALSE(degrees.compare_and_swap("home", Degrees{1}, {3}));
  EXPECT_EQ(degrees.get("home")->value, 2);
}

struct Place {
  int x = 0;
  int y = 0;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Place, x, y)

template <class T>
void expect_compared(const T& value, const T& other) {
  ReferenceStore store;
  const auto values = store->typed<T>("value:");
  values.set("a", value);
  EXPECT_FALSE(values.compare_and_swap("a", other, other));
  EXPECT_TRUE(values.compare_and_swap("a", value, other));
  EXPECT_FALSE(values.compare_and_erase("a", value));
  EXPECT_TRUE(values.compare_and_erase("a", other));
}

/// A vector claims an operator== whatever it holds.
TEST(Codec, Y22_ContainersOfWhatHasNoOperatorAreComparedByTheirEncodings) {
  expect_compared<std::vector<Place>>({{1, 2}, {3, 4}}, {{1, 2}, {3, 5}});
  expect_compared<std::map<std::string, Place>>({{"a", {1, 2}}}, {{"b", {1, 2}}});
  expect_compared<std::map<int, std::pair<int, std::vector<Place>>>>({{1, {2, {{3, 4}}}}}, {{1, {2, {}}}});
  static_assert(!detail::holds_throughout<detail::HasEquality, std::tuple<int, std::optional<Place>>>());
  static_assert(!detail::holds_throughout<detail::HasEquality, std::array<Place, 2>>());
  static_assert(detail::holds_throughout<detail::HasEquality, std::map<std::string, std::tuple<int, Small>>>());
  static_assert(detail::holds_throughout<detail::HasEquality, nlohmann::json>());
}

struct Title {
  std::string text = {};
  friend bool operator==(const Title&, const Title&) = default;
};
/// Both lend a part of what they are given.
struct TitleText {
  static const std::string& encode(const Title& title) { return title.text; }
  static Title decode(std::string_view bytes) { return {std::string(bytes)}; }
};

}  // namespace
}  // namespace tuskv::test

template <>
struct tuskv::KeyCodec<tuskv::test::Title> {
  using Parameter = test::Title;
  static const std::string& encode(const test::Title& title) { return title.text; }
  static test::Title decode(std::string_view bytes) { return {std::string(bytes)}; }
};

namespace tuskv::test {
namespace {

/// Becomes a title for the moment of a call.
struct Heading {
  operator Title() const { return {"heading"}; }
};
static_assert(TypedKeyRange<std::vector<Title>, Title> && !TypedKeyRange<std::vector<Heading>, Title>);
static_assert(!TypedPairRange<std::vector<std::pair<Heading, int>>, int, Title>);

TEST(Codec, Y22_AnEncodingMayBeAReferenceToAPartOfTheValue) {
  ReferenceStore store;
  const auto titles = store->typed<Title, Title>("title:", {}, TitleText());
  const std::map<Title, Title, decltype([](const Title& a, const Title& b) { return a.text < b.text; })> items = {
      {{"a"}, {"first title, longer than what a string keeps in itself"}}, {{"b"}, {"second"}}};
  titles.set_many(items);
  titles.set({"c"}, {"third"});
  const std::vector<Title> keys = {{"b"}, {"a"}};
  EXPECT_EQ(titles.get_many(keys)[1].value(), items.at({"a"}));
  EXPECT_TRUE(titles.compare_and_swap({"b"}, Title{"second"}, {"new"}));
  EXPECT_EQ(titles.get_and_set({"b"}, {"newer"}), Title{"new"});
  EXPECT_EQ(titles.update({"c"}, [](std::optional<Title> title) { return *title; }), Title{"third"});
  EXPECT_EQ(titles.erase_many(keys), 2u);
  EXPECT_EQ(titles.scan().entries.at(0).key, Title{"c"});
}

TEST(Codec, ListsOfLentKeysAreListsOfKeys) {
  ReferenceStore store;
  const auto numbers = store->typed<int>("n:");
  numbers.set_many({{.key = "a", .value = 1}, {.key = "b", .value = 2}, {.key = "c", .value = 3}});
  const std::vector<Bytes> lent = {"a", "b", "none"};
  EXPECT_EQ(numbers.get_many(lent)[1].value(), 2);
  EXPECT_EQ(numbers.get_many(std::span(lent).first(1)).size(), 1u);
  EXPECT_EQ(numbers.exists_many(lent), 2u);
  EXPECT_EQ(numbers.erase_many(std::span(lent).first(1)), 1u);
  EXPECT_EQ(store->exists_many(std::vector<Bytes>{"n:a", "n:b"}), 1u);
  EXPECT_EQ(store->get_many(std::span<const Bytes>(lent)).size(), 3u);
}

TEST(Codec, RunningOutOfMemoryIsNotARefusal) {
  struct Greedy {
    static std::string encode(const Color&) { return "x"; }
    static Color decode(std::string_view) { throw std::bad_alloc(); }
  };
  ReferenceStore store;
  const auto colors = store->typed<Color>("color:", {}, Greedy());
  colors.set("a", {});
  EXPECT_THROW(colors.get("a"), std::bad_alloc);
}

}  // namespace
}  // namespace tuskv::test
