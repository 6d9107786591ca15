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
#include <span>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "api/json_values.h"
#include "api/reference_store.h"
#include "tuskv/json.h"

namespace tuskv::test {
namespace {

using testing::HasSubstr;

struct Point {
  double x = 0;
  float y = 0;
  friend bool operator==(const Point&, const Point&) = default;
};

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

struct Node {
  std::vector<Node> children = {};
  int v = 0;
  friend bool operator==(const Node&, const Node&) = default;
};
void to_json(nlohmann::json& document, const Node& node) { document = {{"children", node.children}, {"v", node.v}}; }
void from_json(const nlohmann::json& document, Node& node) {
  document.at("children").get_to(node.children);
  document.at("v").get_to(node.v);
}

/// What a type is made of may be the type itself.
TEST(Codec, Y22_TypesThatContainThemselvesAreValues) {
  Tree tree;
  tree["a"]["b"];
  expect_compared(tree, Tree());
  Forest forest;
  forest.resize(1);
  forest[0]["a"].resize(2);
  expect_compared(forest, Forest());
  expect_compared(Node{{{{}, 300}}, 2}, Node{{{{}, 301}}, 2});
  EXPECT_THAT(refusal([] { return JsonCodec<Node>::decode(R"({"children": [], "v": 4294967296})"); }),
              HasSubstr("4294967296 does not fit"));
  expect_compared<nlohmann::json>({{"a", {1, 300}}}, {1});
  static_assert(!JsonValue<std::map<int, std::pair<Tree, std::string_view>>>);
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
