#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
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
// spared it. Views of text, which would be gone with the document, and other types of documents are no JSON here.

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

/// What stands at one place of documents, in whatever order. Elements of arrays, and of arrays in them, are one place.
struct JsonPlace {
  std::vector<long double> integers;
  std::vector<long double> fractions;
  std::map<std::string, JsonPlace> fields;

  void add(const nlohmann::json& value) {
    if (value.is_number_unsigned()) {
      integers.push_back(static_cast<long double>(value.get<std::uint64_t>()));
    } else if (value.is_number_integer()) {
      integers.push_back(static_cast<long double>(value.get<std::int64_t>()));
    } else if (value.is_number_float()) {
      fractions.push_back(value.get<double>());
    } else if (value.is_array()) {
      for (const nlohmann::json& element : value) add(element);
    } else if (value.is_object()) {
      for (const auto& field : value.items()) fields[field.key()].add(field.value());
    }
  }
};

/// Whether the numbers of a place are those that were given, in another order. A set drops what it is given twice, and
/// a float is not quite the double that it was made of.
inline bool are_same_numbers(const JsonPlace& given, const JsonPlace& decoded) {
  const auto is_finite = [](long double number) { return std::isfinite(number); };
  if (!std::all_of(decoded.fractions.begin(), decoded.fractions.end(), is_finite)) return false;
  if (decoded.integers.empty()) return true;
  const auto sorted = [](std::vector<long double> numbers) {
    std::sort(numbers.begin(), numbers.end());
    return numbers;
  };
  std::vector<long double> all = given.integers;
  all.insert(all.end(), given.fractions.begin(), given.fractions.end());
  all = sorted(std::move(all));
  const std::vector<long double> integers = sorted(decoded.integers);
  const std::vector<long double> fractions = sorted(decoded.fractions);
  std::vector<long double> lost;
  std::set_difference(all.begin(), all.end(), integers.begin(), integers.end(), std::back_inserter(lost));
  const bool has_new = !std::includes(all.begin(), all.end(), integers.begin(), integers.end());
  if (has_new && lost.size() > fractions.size()) return false;
  return std::all_of(lost.begin(), lost.end(), [&](long double number) {
    using Float = std::numeric_limits<float>;
    const long double rounding = std::abs(number) * Float::epsilon() + Float::denorm_min();
    const auto found = std::lower_bound(fractions.begin(), fractions.end(), number - rounding);
    const bool is_fraction = found != fractions.end() && *found <= number + rounding;
    return is_fraction || std::binary_search(integers.begin(), integers.end(), number);
  });
}

inline bool are_reordered(const JsonPlace& given, const JsonPlace& decoded) {
  if (!are_same_numbers(given, decoded)) return false;
  return std::all_of(decoded.fields.begin(), decoded.fields.end(), [&](const auto& field) {
    const auto found = given.fields.find(field.first);
    return found == given.fields.end() || are_reordered(found->second, field.second);
  });
}

/// Compares a document with what its value would be written as, and returns a number that was narrowed, if there is
/// one. Fields may come, go and change their type, but where both have a number, an integer must not have been
/// narrowed. Elements of a container without an order, or with another one, stand at other positions than they were
/// given at: what looks narrowed there was not, when all numbers of the array have been found again.
inline const nlohmann::json* find_narrowed(const nlohmann::json& given, const nlohmann::json& decoded) {
  const nlohmann::json* narrowed = nullptr;
  if (decoded.is_number_integer() && given.is_number()) {
    if (is_narrowed(given, decoded)) narrowed = &given;
  } else if (decoded.is_number_float() && given.is_number()) {
    if (!std::isfinite(decoded.get<double>())) narrowed = &given;
  } else if (decoded.is_array() && given.is_array()) {
    for (std::size_t i = 0; i < decoded.size() && i < given.size() && narrowed == nullptr; ++i) {
      narrowed = find_narrowed(given[i], decoded[i]);
    }
    if (narrowed == nullptr) return nullptr;
    JsonPlace given_place;
    JsonPlace decoded_place;
    given_place.add(given);
    decoded_place.add(decoded);
    if (are_reordered(given_place, decoded_place)) return nullptr;
  } else if (decoded.is_object() && given.is_object()) {
    for (auto field = decoded.begin(); field != decoded.end() && narrowed == nullptr; ++field) {
      const auto found = given.find(field.key());
      if (found != given.end()) narrowed = find_narrowed(*found, *field);
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
