#include "filter.h"

#include <algorithm>
#include <cstring>

#include "glob.h"
#include "json_member.h"

namespace tuskv {
namespace {

char folded_byte(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// With memmem, whose time glibc bounds by the sum of the sizes (as other libraries do not promise); that of
/// std::string_view::find is by their product.
bool contains(std::string_view bytes, std::string_view needle) {
  return ::memmem(bytes.data(), bytes.size(), needle.data(), needle.size()) != nullptr;
}

/// Folds the value piece by piece; pieces overlap by what a match can have in the one before.
bool contains_folded(std::string_view bytes, std::string_view needle) {
  constexpr std::size_t kPieceBytes = 16 << 10;
  const std::size_t piece_size = needle.size() - 1 + kPieceBytes;
  std::string piece;
  for (std::size_t at = 0; at + needle.size() <= bytes.size(); at += kPieceBytes) {
    piece.assign(bytes.substr(at, piece_size));
    std::transform(piece.begin(), piece.end(), piece.begin(), folded_byte);
    if (contains(piece, needle)) return true;
  }
  return false;
}

bool is_written_as(const JsonValue& member, std::string_view text) {
  switch (member.kind) {
    case JsonValue::Kind::null:
    case JsonValue::Kind::structured: return false;
    case JsonValue::Kind::boolean: return member.text == text;
    case JsonValue::Kind::number: return is_number_written_as(member.text, text);
    case JsonValue::Kind::string: return string_equals(member.text, text);
  }
  return false;
}

bool matches_member(const Filter& filter, const JsonValue& member) {
  using Kind = JsonValue::Kind;
  switch (filter.type) {
    case Filter::Type::null: return member.kind == Kind::null;
    case Filter::Type::boolean_false: return member.kind == Kind::boolean && member.text == "false";
    case Filter::Type::boolean_true: return member.kind == Kind::boolean && member.text == "true";
    case Filter::Type::number: return member.kind == Kind::number && number_equals(member.text, filter.value);
    case Filter::Type::string: return member.kind == Kind::string && string_equals(member.text, filter.value);
    case Filter::Type::text: return is_written_as(member, filter.value);
  }
  return false;
}

}  // namespace

bool matches_key(const Filter& filter, std::string_view key) {
  return filter.kind != Filter::Kind::glob || glob_matches(filter.pattern, key);
}

bool matches_value(const Filter& filter, std::string_view value) {
  switch (filter.kind) {
    case Filter::Kind::none:
    case Filter::Kind::glob: return true;
    case Filter::Kind::contains:
      return filter.ignore_case ? contains_folded(value, filter.pattern) : contains(value, filter.pattern);
    case Filter::Kind::field: {
      const std::optional<JsonValue> member = find_member(value, filter.pattern);
      return member && matches_member(filter, *member);
    }
  }
  return false;
}

std::string folded(std::string_view bytes) {
  std::string result(bytes);
  std::transform(result.begin(), result.end(), result.begin(), folded_byte);
  return result;
}

}  // namespace tuskv
