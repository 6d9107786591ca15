#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <nlohmann/json.hpp>

#include "tuskv/codec.h"
#include "tuskv/typed.h"

// JSON as values of typed views, through nlohmann::json: for every class with to_json and from_json (write them, or use
// NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE), for containers of such, and for nlohmann::json itself.
//
// JSON can say less than C++, and nlohmann::json forgives much. Here a value is kept as it is or refused: NaN and
// infinity, text that is not UTF-8, and documents nested deeper than kJsonDepthMax are refused when written; a number
// that does not fit its field, which would be wrapped around, cut or infinite, is refused when read. (In a
// nlohmann::json itself integers beyond 64 bits are doubles.) To find it, what was read is made a document again and
// compared, which may double what reading costs; a document whose numbers are all from 0 to 127, or which has none, is
// spared it. (A from_json may make other integers of those it is given, such as seconds of milliseconds; one that is
// just what a smaller type would have kept, as 0 is of 256, is taken for that.) Views of text, which would be gone with
// the document, and other types of documents are no JSON here.

namespace tuskv {
inline namespace v0 {

inline constexpr int kJsonDepthMax = 200;

namespace detail {

/// Not text of the document that is read, which is gone with it, and no document of another kind, whose order of
/// fields, or numbers, nlohmann::json does not keep.
template <class T>
struct OutlivesJson
    : std::bool_constant<!std::is_pointer_v<T> && !std::same_as<T, std::string_view> && !std::same_as<T, Bytes> &&
                         (!nlohmann::detail::is_basic_json<T>::value || std::same_as<T, nlohmann::json>)> {};

}  // namespace detail

template <class T>
concept JsonValue =
    detail::holds_throughout<detail::OutlivesJson, T>() && requires(const T& value, const nlohmann::json& document) {
      nlohmann::json(value);
      { document.template get<T>() } -> std::same_as<T>;
    };

namespace detail {

/// Refuses what has no JSON or could not be read back.
inline void check_json(const nlohmann::json& document, int depth = 1) {
  if (depth > kJsonDepthMax) refuse("the document is nested too deeply");
  if (document.is_number_float() && !std::isfinite(document.get<double>())) refuse("JSON has no NaN and no infinity");
  if (document.is_binary()) refuse("JSON has no binary values");
  if (document.is_discarded()) refuse("the document was not parsed");
  if (document.is_structured()) {
    for (const nlohmann::json& element : document) check_json(element, depth + 1);
  }
}

/// Before parsing: what a document nested a million times deep does to a parser or its caller is nothing to find out.
inline void check_json_depth(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char byte = text[i];
    if (in_string) {
      if (byte == '\\') ++i;
      if (byte == '"') in_string = false;
    } else if (byte == '"') {
      in_string = true;
    } else if (byte == '[' || byte == '{') {
      if (++depth > kJsonDepthMax) refuse("the document is nested too deeply");
    } else if (byte == ']' || byte == '}') {
      --depth;
    }
  }
}

/// An integer of any type: its lowest 64 bits, and what they leave out.
struct JsonInteger {
  explicit JsonInteger(const nlohmann::json& integer)
      : bits(integer.get<std::uint64_t>()),
        is_negative(!integer.is_number_unsigned() && integer.get<std::int64_t>() < 0) {}
  JsonInteger(std::uint64_t value_bits, bool negative) : bits(value_bits), is_negative(negative) {}
  friend bool operator==(const JsonInteger&, const JsonInteger&) = default;

  std::uint64_t bits;
  bool is_negative;
};

/// Whether `integer` is what a type of 8, 16, 32 or 64 bits keeps of `bits`. Of a signed type that may have become an
/// unsigned one of any size since.
inline bool is_cut_of(std::uint64_t bits, const JsonInteger& integer) {
  for (const int width : {8, 16, 32, 64}) {
    const int shift = 64 - width;
    const auto kept = static_cast<std::uint64_t>(static_cast<std::int64_t>(bits << shift) >> shift);
    if (integer == JsonInteger(kept, static_cast<std::int64_t>(kept) < 0)) return true;
    for (const int other : {8, 16, 32, 64}) {
      if (integer == JsonInteger(kept & (~std::uint64_t{0} >> (64 - other)), false)) return true;
    }
  }
  return false;
}

/// Whether `integer` is what a conversion leaves of a fractional number: what stands before the point, in a type that
/// may be too small for it. Beyond the type that it goes through, of 32 or 64 bits, C++ says nothing: x86 gives the
/// smallest integer, ARM the nearest one, and both are then cut.
inline bool is_conversion_of(double number, const JsonInteger& integer) {
  constexpr double kBeyond = 18446744073709551616.0;  // 2^64
  const double whole = std::trunc(number);
  if (whole >= 0 && whole < kBeyond) {
    const JsonInteger exact(static_cast<std::uint64_t>(whole), false);
    if (integer == exact) return whole != number;
    if (is_cut_of(exact.bits, integer)) return true;
  } else if (whole < 0 && whole >= -kBeyond / 2) {
    const JsonInteger exact(static_cast<std::uint64_t>(static_cast<std::int64_t>(whole)), true);
    if (integer == exact) return whole != number;
    if (is_cut_of(exact.bits, integer)) return true;
  }
  if (whole < 0 && integer == JsonInteger(0, false)) return true;
  if (whole >= std::numeric_limits<std::int32_t>::min() && whole <= std::numeric_limits<std::int32_t>::max()) {
    return false;
  }
  constexpr auto kMax32 = std::uint64_t{std::numeric_limits<std::int32_t>::max()};
  constexpr auto kMax64 = std::uint64_t{std::numeric_limits<std::int64_t>::max()};
  for (const std::uint64_t end : {kMax32, ~kMax32, kMax64, ~kMax64, ~std::uint64_t{0}}) {
    if (is_cut_of(end, integer)) return true;
  }
  return false;
}

/// Whether `decoded`, an integer, is what became of the number `given` in a type that cannot hold it. Any other number
/// is what somebody's from_json has made of it.
inline bool is_narrowed(const nlohmann::json& given, const nlohmann::json& decoded) {
  const JsonInteger integer(decoded);
  if (given.is_number_float()) return is_conversion_of(given.get<double>(), integer);
  const JsonInteger whole(given);
  return integer != whole && is_cut_of(whole.bits, integer);
}

/// Whether the document has a number that some type of integer cannot hold.
inline bool has_wide_numbers(const nlohmann::json& document) {
  if (document.is_number_float()) return true;
  if (document.is_number_integer()) return document.get<std::uint64_t>() > 127;  // a negative one is wrapped around
  if (!document.is_structured()) return false;
  return std::any_of(document.begin(), document.end(), has_wide_numbers);
}

using JsonNames = std::set<std::string>;

inline void add_names(const nlohmann::json& document, JsonNames& names) {
  if (document.is_object()) {
    for (auto field = document.begin(); field != document.end(); ++field) names.insert(field.key());
  }
  if (!document.is_structured()) return;
  for (const nlohmann::json& element : document) add_names(element, names);
}

/// Equal for equal numbers, also for a fraction and the float that was made of it.
inline std::string number_text(const nlohmann::json& number) {
  if (!number.is_number_float()) return number.dump();
  const auto value = number.get<double>();
  constexpr double kBeyond = 9223372036854775808.0;  // 2^63
  if (std::trunc(value) == value && std::abs(value) < kBeyond) return std::to_string(static_cast<std::int64_t>(value));
  const auto rounded = static_cast<float>(value);
  return std::isfinite(rounded) ? nlohmann::json(rounded).dump() : number.dump();
}

/// The numbers of a document and where they stand, but for the order of arrays; of the fields, those with these names.
inline std::string numbers_in_order(const nlohmann::json& document, const JsonNames& names) {
  if (document.is_number()) return number_text(document);
  std::string text;
  if (document.is_array()) {
    std::vector<std::string> elements;
    for (const nlohmann::json& element : document) elements.push_back(numbers_in_order(element, names));
    std::sort(elements.begin(), elements.end());
    for (const std::string& element : elements) text += element + ',';
    return '[' + text + ']';
  }
  if (!document.is_object()) return text;
  for (auto field = document.begin(); field != document.end(); ++field) {
    if (names.contains(field.key())) text += nlohmann::json(field.key()).dump() + numbers_in_order(*field, names) + ',';
  }
  return '{' + text + '}';
}

/// Whether the one array has the numbers of the other in another order, as that of a container without one. Fields that
/// only one of them has came or went with a version of the type; a set drops what it is given twice.
inline bool is_reordered(const nlohmann::json& given, const nlohmann::json& decoded) {
  JsonNames given_names;
  JsonNames decoded_names;
  add_names(given, given_names);
  add_names(decoded, decoded_names);
  JsonNames names;
  std::set_intersection(given_names.begin(), given_names.end(), decoded_names.begin(), decoded_names.end(),
                        std::inserter(names, names.end()));
  std::vector<std::string> from;
  std::vector<std::string> to;
  for (const nlohmann::json& element : given) from.push_back(numbers_in_order(element, names));
  for (const nlohmann::json& element : decoded) to.push_back(numbers_in_order(element, names));
  std::sort(from.begin(), from.end());
  std::sort(to.begin(), to.end());
  if (to.size() < from.size()) from.erase(std::unique(from.begin(), from.end()), from.end());
  return from == to;
}

/// Compares a document with what its value would be written as, and returns a number that was narrowed, if there is
/// one. Fields may come, go and change their type, but where both have a number, an integer must not have been
/// narrowed. Elements of a container without an order stand at other positions than they were given at: what looks
/// narrowed there was not when the outermost array is the one given, in another order.
inline const nlohmann::json* find_narrowed(const nlohmann::json& given, const nlohmann::json& decoded,
                                           bool in_array = false) {
  if (decoded.is_number_integer() && given.is_number()) return is_narrowed(given, decoded) ? &given : nullptr;
  if (decoded.is_number_float() && given.is_number()) return std::isfinite(decoded.get<double>()) ? nullptr : &given;
  const nlohmann::json* narrowed = nullptr;
  if (decoded.is_array() && given.is_array()) {
    for (std::size_t i = 0; i < decoded.size() && i < given.size() && narrowed == nullptr; ++i) {
      narrowed = find_narrowed(given[i], decoded[i], true);
    }
    if (narrowed != nullptr && !in_array && is_reordered(given, decoded)) return nullptr;
  } else if (decoded.is_object() && given.is_object()) {
    for (auto field = decoded.begin(); field != decoded.end() && narrowed == nullptr; ++field) {
      const auto found = given.find(field.key());
      if (found != given.end()) narrowed = find_narrowed(*found, *field, in_array);
    }
  }
  return narrowed;
}

}  // namespace detail

template <JsonValue T>
struct JsonCodec {
  static std::string encode(const T& value) {
    const nlohmann::json document(value);
    detail::check_json(document);
    return document.dump();
  }
  static T decode(std::string_view bytes) {
    detail::check_json_depth(bytes);
    const auto document = nlohmann::json::parse(bytes);
    T value = document.template get<T>();
    if constexpr (!std::same_as<T, nlohmann::json>) {
      if (!detail::has_wide_numbers(document)) return value;
      const nlohmann::json decoded(value);
      if (const nlohmann::json* narrowed = detail::find_narrowed(document, decoded)) {
        detail::refuse(("the number " + narrowed->dump() + " does not fit its field").c_str());
      }
    }
    return value;
  }
};

/// For classes only: numbers and text have codecs of their own, which an include must not change. Name the codec to
/// keep those as JSON: typed<std::string, std::string, JsonCodec<std::string>>.
template <JsonValue T>
  requires std::is_class_v<T>
struct Codec<T> : JsonCodec<T> {};

}  // namespace v0
}  // namespace tuskv
