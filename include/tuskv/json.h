#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include <nlohmann/json.hpp>

#include "tuskv/codec.h"
#include "tuskv/typed.h"

// JSON as values of typed views, through nlohmann::json: for every class with to_json and from_json (write them, or use
// NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE), for containers of such, and for nlohmann::json itself.
//
// JSON can say less than C++, and nlohmann::json forgives much. Here a value is kept as it is or refused: NaN and
// infinity, text that is not UTF-8, and documents nested deeper than kJsonDepthMax are refused when written; a number
// that does not fit its field of integers, which would be wrapped around or cut, is refused when read. (In a
// nlohmann::json itself integers beyond 64 bits are doubles.) To find it, what was read is made a document again and
// compared, which may double what reading costs; a document whose numbers are all from 0 to 127, or which has none, is
// spared it.

namespace tuskv {
inline namespace v0 {

inline constexpr int kJsonDepthMax = 200;

template <class T>
concept JsonValue = requires(const T& value, const nlohmann::json& document) {
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

/// Whether `decoded`, an integer, is what became of the number `given` by wrapping around or by cutting off. Integers
/// of all sizes wrap around by multiples of 256. A fractional number beyond the smallest type that it may be converted
/// to first becomes anything, so what is not as large then is taken for narrowed.
inline bool is_narrowed(const nlohmann::json& given, const nlohmann::json& decoded) {
  const auto is_negative = [](const nlohmann::json& integer) {
    return !integer.is_number_unsigned() && integer.get<std::int64_t>() < 0;
  };
  if (given.is_number_float()) {
    const double number = given.get<double>();
    const auto became = decoded.get<double>();
    constexpr double kBeyond = 18446744073709551616.0;  // 2^64
    constexpr double kBeyondInt = 2147483648.0;         // 2^31
    if (number >= kBeyond || number < -kBeyond / 2) return true;
    // Where conversions end at the largest value instead, what that is as a double is one more.
    if (number >= kBeyond / 2 && !decoded.is_number_unsigned()) return true;
    if (number == became) return false;
    return std::abs(number) >= kBeyondInt || std::fmod(std::trunc(number) - became, 256) == 0;
  }
  const std::uint64_t difference = given.get<std::uint64_t>() - decoded.get<std::uint64_t>();
  return difference == 0 ? is_negative(given) != is_negative(decoded) : difference % 256 == 0;
}

/// Whether the document has a number that some type of integer cannot hold.
inline bool has_wide_numbers(const nlohmann::json& document) {
  if (document.is_number_float()) return true;
  if (document.is_number_integer()) return document.get<std::uint64_t>() > 127;  // a negative one is wrapped around
  if (!document.is_structured()) return false;
  return std::any_of(document.begin(), document.end(), has_wide_numbers);
}

/// Compares a document with what its value would be written as. Fields may come, go and change their type, but where
/// both have a number, an integer must not have been narrowed.
inline void check_integers(const nlohmann::json& given, const nlohmann::json& decoded) {
  if (decoded.is_number_integer() && given.is_number()) {
    if (is_narrowed(given, decoded)) refuse(("the number " + given.dump() + " does not fit its field").c_str());
  } else if (decoded.is_array() && given.is_array()) {
    for (std::size_t i = 0; i < decoded.size() && i < given.size(); ++i) check_integers(given[i], decoded[i]);
  } else if (decoded.is_object() && given.is_object()) {
    for (const auto& field : decoded.items()) {
      const auto found = given.find(field.key());
      if (found != given.end()) check_integers(*found, field.value());
    }
  }
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
      if (detail::has_wide_numbers(document)) detail::check_integers(document, nlohmann::json(value));
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
