#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <list>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
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

/// Compares a document with what its value would be written as. Fields may come, go and change their type, but where
/// both have a number, an integer must not have been narrowed. Elements of a container without an order, or with
/// another one, stand at other positions than they were given at: an array in which a number looks narrowed is right
/// when only its order has changed, which is when each of its elements is, as a whole, one that was given. That is
/// asked of the outermost array: arrays in it that have nothing to do with each other may look right by chance.
class JsonComparison {
 public:
  /// The steps bound what searching for elements may cost, of which ordinary documents take few for each number.
  explicit JsonComparison(std::size_t document_bytes) : steps_(1'000'000 + 32 * document_bytes) {}

  /// A number that was narrowed, if there is one.
  const nlohmann::json* find_narrowed(const nlohmann::json& given, const nlohmann::json& decoded,
                                      bool in_array = false) {
    const nlohmann::json* narrowed = nullptr;
    if (decoded.is_number_integer() && given.is_number()) {
      if (is_narrowed(given, decoded)) narrowed = &given;
    } else if (decoded.is_number_float() && given.is_number()) {
      if (!std::isfinite(decoded.get<double>())) narrowed = &given;
    } else if (decoded.is_array() && given.is_array()) {
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

 private:
  /// Numbers, each with a hash of the place where it stands in an element. Sorted, and none twice.
  using Numbers = std::vector<std::pair<std::size_t, long double>>;
  struct Element {
    const nlohmann::json* value;
    Numbers numbers;
  };
  struct Group {
    std::list<const nlohmann::json*> given;
    std::vector<const nlohmann::json*> decoded;
  };

  bool take_step() { return steps_ != 0 && --steps_ != 0; }

  static bool are_same_numbers(const nlohmann::json& given, const nlohmann::json& decoded) {
    if (decoded.is_number_float()) {  // which may be a float, and so not quite the double that was given
      using Float = std::numeric_limits<float>;
      const double number = given.get<double>();
      return std::abs(number - decoded.get<double>()) <= std::abs(number) * Float::epsilon() + Float::denorm_min();
    }
    if (is_narrowed(given, decoded)) return false;
    if (given.is_number_float()) return given.get<double>() == decoded.get<double>();
    return given.get<std::uint64_t>() == decoded.get<std::uint64_t>();
  }

  bool are_same(const nlohmann::json& given, const nlohmann::json& decoded) {
    if (!take_step()) return false;
    if (given.is_number() && decoded.is_number()) return are_same_numbers(given, decoded);
    if (given.is_array() && decoded.is_array()) return is_reordered(given, decoded);
    if (!given.is_object() || !decoded.is_object()) return given.is_number() == decoded.is_number();
    for (auto field = decoded.begin(); field != decoded.end(); ++field) {
      const auto found = given.find(field.key());
      if (found == given.end() || found->is_number() != field->is_number()) continue;
      if (!are_same(*found, *field)) return false;
    }
    return true;
  }

  /// Adds what is equal for equal numbers, also for a fraction and the float that was made of it.
  void add_numbers(const nlohmann::json& value, std::size_t place, Numbers& numbers) {
    if (!take_step()) return;
    constexpr std::size_t kMix = 1'000'003;
    if (value.is_number_unsigned()) {
      numbers.emplace_back(place, static_cast<long double>(value.get<std::uint64_t>()));
    } else if (value.is_number_integer()) {
      numbers.emplace_back(place, static_cast<long double>(value.get<std::int64_t>()));
    } else if (value.is_number_float()) {
      const auto number = value.get<double>();
      const bool is_integral = std::trunc(number) == number;
      if (!std::isnan(number)) numbers.emplace_back(place, is_integral ? number : static_cast<float>(number));
    } else if (value.is_array()) {
      for (const nlohmann::json& element : value) add_numbers(element, place * kMix + 1, numbers);
    } else if (value.is_object()) {
      for (auto field = value.begin(); field != value.end(); ++field) {
        add_numbers(*field, place * kMix + std::hash<std::string>()(field.key()), numbers);
      }
    }
  }

  static void sort_unique(Numbers& numbers) {
    std::sort(numbers.begin(), numbers.end());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  }

  std::vector<Element> elements_of(const nlohmann::json& array) {
    std::vector<Element> elements;
    elements.reserve(array.size());
    for (const nlohmann::json& value : array) {
      add_numbers(value, 0, elements.emplace_back(Element{&value, {}}).numbers);
      sort_unique(elements.back().numbers);
    }
    return elements;
  }

  /// Whether every number given is there, of the places that have a number at all: a field that is written only where
  /// it has a value must not get lost with that.
  static bool has_all_numbers(const std::vector<Element>& given, const std::vector<Element>& decoded) {
    const auto numbers_of = [](const std::vector<Element>& elements) {
      Numbers all;
      for (const Element& each : elements) all.insert(all.end(), each.numbers.begin(), each.numbers.end());
      sort_unique(all);
      return all;
    };
    const Numbers all = numbers_of(decoded);
    const auto is_there = [&](const std::pair<std::size_t, long double>& number) {
      const auto found = std::lower_bound(all.begin(), all.end(), number);
      if (found != all.end() && *found == number) return true;
      const bool is_place = (found != all.end() && found->first == number.first) ||
                            (found != all.begin() && std::prev(found)->first == number.first);
      return !is_place;
    };
    const Numbers wanted = numbers_of(given);
    return std::all_of(wanted.begin(), wanted.end(), is_there);
  }

  /// The places where every element has a number: others are fields that may be missing.
  static std::unordered_set<std::size_t> common_places(const std::vector<Element>& given,
                                                       const std::vector<Element>& decoded) {
    std::unordered_map<std::size_t, std::size_t> counts;
    for (const std::vector<Element>* elements : {&given, &decoded}) {
      for (const Element& each : *elements) {
        for (std::size_t i = 0; i < each.numbers.size(); ++i) {
          if (i == 0 || each.numbers[i - 1].first != each.numbers[i].first) ++counts[each.numbers[i].first];
        }
      }
    }
    std::unordered_set<std::size_t> places;
    for (const auto& [place, count] : counts) {
      if (count == given.size() + decoded.size()) places.insert(place);
    }
    return places;
  }

  /// Elements that may be the same are in one group, so that few are compared with many.
  static std::unordered_map<std::size_t, Group> groups_of(std::vector<Element> given, std::vector<Element> decoded) {
    const std::unordered_set<std::size_t> places = common_places(given, decoded);
    const auto hash = [&](const Element& element) {
      std::size_t result = 0;
      for (const auto& [place, number] : element.numbers) {
        if (places.contains(place)) result = (result ^ place) * 1'099'511'628'211U + std::hash<long double>()(number);
      }
      return result;
    };
    // Whoever has fewer fields can stand for more, and is taken last.
    std::stable_sort(given.begin(), given.end(), [](const Element& left, const Element& right) {
      return left.numbers.size() > right.numbers.size();
    });
    std::unordered_map<std::size_t, Group> groups;
    for (const Element& each : given) groups[hash(each)].given.push_back(each.value);
    for (const Element& each : decoded) groups[hash(each)].decoded.push_back(each.value);
    return groups;
  }

  /// Pairs each element with a given one. A set drops what it is given twice.
  bool is_reordered(Group& group) {
    for (const nlohmann::json* decoded : group.decoded) {
      const auto is_it = [&](const nlohmann::json* given) { return are_same(*given, *decoded); };
      const auto found = std::find_if(group.given.begin(), group.given.end(), is_it);
      if (found == group.given.end()) return false;
      group.given.erase(found);
    }
    return std::all_of(group.given.begin(), group.given.end(), [&](const nlohmann::json* given) {
      const auto is_it = [&](const nlohmann::json* decoded) { return are_same(*given, *decoded); };
      return std::any_of(group.decoded.begin(), group.decoded.end(), is_it);
    });
  }

  bool is_reordered(const nlohmann::json& given, const nlohmann::json& decoded) {
    if (decoded.size() > given.size()) return false;
    std::vector<Element> from = elements_of(given);
    std::vector<Element> to = elements_of(decoded);
    if (!has_all_numbers(from, to)) return false;
    auto groups = groups_of(std::move(from), std::move(to));
    return std::all_of(groups.begin(), groups.end(), [&](auto& group) { return is_reordered(group.second); });
  }

  std::size_t steps_;
};

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
      if (const nlohmann::json* narrowed = detail::JsonComparison(bytes.size()).find_narrowed(document, decoded)) {
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
