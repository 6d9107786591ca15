// The JSON scanner against a library's parser, and its strings and numbers against themselves.
// Input: one byte, the length of a name; the name; the document.
#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "filter.h"
#include "fuzz_target.h"
#include "json_member.h"

namespace {

using tuskv::JsonValue;
using Json = nlohmann::json;

/// Whether there may be a number beyond a double: an exponent, or more digits than the largest has.
bool has_large_number(std::string_view text) {
  constexpr std::size_t kDigitsMax = 300;
  std::size_t digits = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') quoted = !quoted;
    if (quoted && text[i] == '\\') ++i;
    const bool in_number = !quoted && i < text.size() && text[i] >= '0' && text[i] <= '9';
    const bool exponent = digits > 0 && !quoted && i < text.size() && (text[i] == 'e' || text[i] == 'E');
    digits = in_number ? digits + 1 : 0;
    if (exponent || digits > kDigitsMax) return true;
  }
  return false;
}

/// What the library does otherwise: it skips a byte order mark, ends at a NUL, and knows no number beyond a double.
bool is_read_otherwise(std::string_view text) {
  return text.find('\0') != std::string_view::npos || text.starts_with('\xef') || has_large_number(text);
}

void check_value(const JsonValue& value) {
  const std::string_view text = value.text;
  const std::optional<JsonValue> again = tuskv::parse_value(text);
  TUSKV_FUZZ_CHECK(again && again->kind == value.kind && again->text == text);
  if (value.kind == JsonValue::Kind::string) {
    const std::string bytes = tuskv::unescaped(text);
    TUSKV_FUZZ_CHECK(tuskv::is_utf8(bytes));
    TUSKV_FUZZ_CHECK(tuskv::string_equals(text, bytes));
    TUSKV_FUZZ_CHECK(!tuskv::string_equals(text, bytes + 'x'));
    const std::string quoted = tuskv::quoted_string(bytes);
    TUSKV_FUZZ_CHECK(tuskv::parse_value(quoted) && tuskv::unescaped(quoted) == bytes);
  }
  if (value.kind == JsonValue::Kind::number) {
    const std::optional<std::string> canonical = tuskv::canonical_number(text);
    TUSKV_FUZZ_CHECK(!canonical || tuskv::canonical_number(*canonical) == canonical);
    // A form without an exponent is written as it is, but for the sign of zero.
    const bool plain = text.find_first_of("eE") == std::string_view::npos && (canonical != "0" || text.front() != '-');
    TUSKV_FUZZ_CHECK(!plain || tuskv::is_number_written_as(text, text));
  }
}

void check_against_library(std::string_view document, std::string_view name) {
  const Json parsed = Json::parse(document, nullptr, false);
  TUSKV_FUZZ_CHECK(parsed.is_discarded() == !tuskv::parse_value(document));
  const std::optional<JsonValue> member = tuskv::find_member(document, name);
  const bool there = tuskv::is_utf8(name) && parsed.is_object() && parsed.contains(std::string(name));
  TUSKV_FUZZ_CHECK(member.has_value() == there);
  if (!there) return;
  const Json& expected = parsed.at(std::string(name));
  switch (member->kind) {
    case JsonValue::Kind::null: TUSKV_FUZZ_CHECK(expected.is_null()); break;
    case JsonValue::Kind::boolean: TUSKV_FUZZ_CHECK(expected.is_boolean() && expected.dump() == member->text); break;
    case JsonValue::Kind::number: TUSKV_FUZZ_CHECK(expected.is_number()); break;
    case JsonValue::Kind::structured: TUSKV_FUZZ_CHECK(expected == Json::parse(member->text)); break;
    case JsonValue::Kind::string:
      TUSKV_FUZZ_CHECK(expected.is_string() && expected.get<std::string>() == tuskv::unescaped(member->text));
      break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kInputBytesMax = 4096;
  if (size == 0 || size > kInputBytesMax) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string_view name = input.substr(0, std::min<std::size_t>(data[0], input.size()));
  const std::string_view document = input.substr(name.size());

  const std::optional<JsonValue> value = tuskv::parse_value(document);
  if (value) check_value(*value);
  const std::optional<JsonValue> member = tuskv::find_member(document, name);
  TUSKV_FUZZ_CHECK(!member || value);
  if (member) check_value(*member);
  const std::string around = "{\"a\":" + std::string(document) + "}";
  if (value) TUSKV_FUZZ_CHECK(tuskv::find_member(around, "a")->text == value->text);
  if (!is_read_otherwise(document)) check_against_library(document, name);

  const tuskv::Filter filter{.kind = tuskv::Filter::Kind::field, .type = tuskv::Filter::Type::null, .pattern = name};
  TUSKV_FUZZ_CHECK(tuskv::matches_value(filter, document) == (member && member->kind == JsonValue::Kind::null));
  return 0;
}
