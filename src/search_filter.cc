#include "search_filter.h"

#include <optional>
#include <string_view>

#include "filter.h"
#include "json_member.h"
#include "named_limits.h"
#include "throw.h"

namespace tuskv {
namespace {

[[noreturn]] void refuse(const std::string& message) { throw_refused(Code::InvalidArgument, message); }

void check_max_size(Bytes bytes, const char* what, std::size_t max) {
  if (bytes.size() <= max) return;
  refuse(std::string(what) + " of " + std::to_string(bytes.size()) + " bytes is over the limit of " +
         std::to_string(max));
}

void check_size(Bytes bytes, const char* what, std::size_t max) {
  if (bytes.empty()) refuse(std::string(what) + " is empty");
  check_max_size(bytes, what, max);
}

/// What a member has to be to equal this JSON value.
SearchFilter typed_value(std::string_view text) {
  using Kind = JsonValue::Kind;
  const std::optional<JsonValue> value = parse_value(text);
  if (!value) {
    refuse("the value to find is not JSON: write true, null, 1.5 or \"text\" with its quotes, or search as text");
  }
  SearchFilter filter;
  switch (value->kind) {
    case Kind::structured: refuse("the value to find is an object or an array: only single values are compared");
    case Kind::null: filter.type = Filter::Type::null; break;
    case Kind::boolean:
      filter.type = value->text == "true" ? Filter::Type::boolean_true : Filter::Type::boolean_false;
      break;
    case Kind::string:
      filter.type = Filter::Type::string;
      filter.value = unescaped(value->text);
      break;
    case Kind::number: {
      std::optional<std::string> number = canonical_number(value->text);
      if (!number)
        refuse("the exponent of the number to find is over the limit of " + std::to_string(kJsonExponentMax));
      filter.type = Filter::Type::number;
      filter.value = *std::move(number);
      break;
    }
  }
  return filter;
}

}  // namespace

SearchFilter checked_needle(Bytes needle, const SearchOptions& options) {
  check_size(needle, "the text to search for", kNeedleBytesMax);
  return {.kind = Filter::Kind::contains,
          .ignore_case = options.ignore_case,
          .pattern = options.ignore_case ? folded(needle.view()) : std::string(needle.view())};
}

SearchFilter checked_field(Bytes field, Bytes value, const FindOptions& options) {
  check_field_name(field);
  check_max_size(value, "the value to find", kFieldValueBytesMax);
  SearchFilter filter;
  if (options.text) {
    if (!is_utf8(value.view())) refuse("the value to find is not UTF-8, and JSON is nothing else");
    filter.type = Filter::Type::text;
    filter.value = value.view();
  } else {
    filter = typed_value(value.view());
  }
  filter.kind = Filter::Kind::field;
  filter.pattern = field.view();
  return filter;
}

std::string collection_prefix(Bytes collection) {
  check_size(collection, "the name of the collection", kKeyBytesCeiling);
  return std::string(collection.view()) + ':';
}

void check_field_name(Bytes field) {
  check_size(field, "the name of the field", kFieldBytesMax);
  if (!is_utf8(field.view())) refuse("the name of the field is not UTF-8, and JSON is nothing else");
}

void check_indexed_field(Bytes field) {
  check_field_name(field);
  if (field.view().find('\0') != std::string_view::npos) refuse("the name of the field holds a NUL byte");
}

}  // namespace tuskv
