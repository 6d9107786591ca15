#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "tuskv/bytes.h"
#include "tuskv/export.h"

// How typed views (typed.h) turn values and keys into bytes and back.
//
// A codec is any type with two functions, static or const:
//
//   encode(const T&)          anything that converts to std::string_view: a string, or a view of the value itself or
//                             a reference to a part of it
//   decode(std::string_view)  a T
//
// Each refuses by throwing a std::exception, which callers get as Error (Serialization) with the key. What is encoded
// must decode to an equal value; what cannot be kept as it is must be refused when it is encoded.
//
// Codec<T> is the codec of T where none is named. It is left undefined for most types, so that a forgotten include is
// an error of the compiler and never another format. Specialise it for types of your own.

namespace tuskv {
inline namespace v0 {

template <class T>
struct Codec;

/// C can encode and decode T.
template <class C, class T>
concept CodecFor = requires(const C& codec, const T& value, std::string_view bytes) {
  { codec.encode(value) } -> std::convertible_to<std::string_view>;
  { codec.decode(bytes) } -> std::convertible_to<T>;
};

/// Integers that are numbers: neither truth values nor characters.
template <class T>
concept Integer =
    std::integral<T> && sizeof(T) <= 8 && !std::same_as<T, bool> && !std::same_as<T, char> &&
    !std::same_as<T, wchar_t> && !std::same_as<T, char8_t> && !std::same_as<T, char16_t> && !std::same_as<T, char32_t>;

namespace detail {

/// What an encoding is kept as for the time of a call: one that refers to a part of the value is a view of that.
template <class E>
using KeptEncoding = std::conditional_t<std::is_lvalue_reference_v<E>, std::string_view, std::remove_cvref_t<E>>;

/// Whether `Is` holds for T and for all that it is made of, as far as can be seen: the elements of containers,
/// optionals, pairs and tuples. A type may be made of itself: what contains T is Seen, and not looked at again.
template <template <class> class Is, class T, class... Seen>
constexpr bool holds_throughout() {
  if constexpr ((std::same_as<T, Seen> || ...)) {
    return true;
  } else if constexpr (!Is<T>::value) {
    return false;
  } else if constexpr (requires { std::tuple_size<T>::value; }) {
    return []<std::size_t... I>(std::index_sequence<I...>) {
      return (holds_throughout<Is, std::remove_cvref_t<std::tuple_element_t<I, T>>, T, Seen...>() && ...);
    }(std::make_index_sequence<std::tuple_size_v<T>>());
  } else if constexpr (requires { typename T::value_type; }) {
    return holds_throughout<Is, std::remove_cv_t<typename T::value_type>, T, Seen...>();
  } else {
    return true;
  }
}

template <class T>
struct HasEquality : std::bool_constant<std::equality_comparable<T>> {};

/// Throws what a codec throws to refuse bytes, or a value.
[[noreturn]] TUSKV_API void refuse(const char* why);
/// Throws InvalidKey: an integer that is not one of the key's type.
[[noreturn]] TUSKV_API void throw_integer_key(std::size_t key_bytes, bool is_signed);
/// The magnitude and sign of canonical decimal text; refuses any other.
TUSKV_API std::uint64_t parse_decimal(std::string_view text, bool& negative);

}  // namespace detail

/// Bytes, as they are.
template <>
struct Codec<std::string> {
  static std::string_view encode(const std::string& value) noexcept { return value; }
  static std::string decode(std::string_view bytes) { return std::string(bytes); }
};

/// Decimal text, as that of counters, which is also JSON.
template <Integer T>
struct Codec<T> {
  static std::string encode(T value) { return std::to_string(value); }
  static T decode(std::string_view bytes) {
    bool negative = false;
    const std::uint64_t magnitude = detail::parse_decimal(bytes, negative);
    const auto value = static_cast<T>(negative ? std::uint64_t{0} - magnitude : magnitude);
    if ((value < T{0}) != negative || encode(value) != bytes) detail::refuse("the number is out of range");
    return value;
  }
};

/// The bytes in memory of a trivially copyable value. For data that stays on machines of one kind and programs of one
/// layout: nothing notices when a field moves while the size stays. Pointers in it mean nothing to whoever reads it.
/// What is compared (compare_and_swap, compare_and_erase) has an operator==, or no bytes in it that mean nothing.
template <class T>
  requires(std::is_trivially_copyable_v<T> && !std::is_pointer_v<T> && !std::is_member_pointer_v<T>)
struct RawCodec {
  static std::string_view encode(const T& value) noexcept {
    return {reinterpret_cast<const char*>(std::addressof(value)), sizeof(T)};
  }
  static T decode(std::string_view bytes) {
    if (bytes.size() != sizeof(T)) detail::refuse("the value has another size than its type");
    alignas(T) std::byte copy[sizeof(T)];
    std::memcpy(copy, bytes.data(), sizeof(T));
    return *reinterpret_cast<T*>(static_cast<void*>(copy));
  }
};

namespace detail {

/// Values of T are, where nothing else compares them, compared by their bytes in memory.
template <class C, class T>
concept ComparedInMemory = requires { requires std::derived_from<C, RawCodec<T>>; };

}  // namespace detail

/// How a key of a typed view becomes bytes. `Parameter` is what calls take; `encode` returns anything that converts to
/// std::string_view; `decode` refuses as a codec does. Specialise it for key types of your own, which must be
/// default-constructible. Order is that of the bytes.
template <class Key>
struct KeyCodec;

namespace detail {

template <class Key>
using EncodedKey = KeptEncoding<decltype(KeyCodec<Key>::encode(std::declval<typename KeyCodec<Key>::Parameter>()))>;

}  // namespace detail

template <>
struct KeyCodec<std::string> {
  using Parameter = Bytes;
  static std::string_view encode(Bytes key) noexcept { return key.view(); }
  static std::string decode(std::string_view bytes) { return std::string(bytes); }
  static std::string text(const std::string& key) { return key; }
};

/// An integer lent as a key: from any integer whose value is one of Key (otherwise InvalidKey), and from nothing else.
template <Integer Key>
class IntegerKey {
 public:
  template <Integer I>
  constexpr IntegerKey(I value) : value_(static_cast<Key>(value)) {
    if (!std::in_range<Key>(value)) detail::throw_integer_key(sizeof(Key), std::is_signed_v<Key>);
  }
  constexpr Key value() const noexcept { return value_; }

 private:
  Key value_;
};

/// Big-endian bytes, the sign flipped: bytewise order is numeric order.
template <Integer Key>
struct KeyCodec<Key> {
  using Parameter = IntegerKey<Key>;
  using Unsigned = std::make_unsigned_t<Key>;
  static constexpr Unsigned kSign = std::is_signed_v<Key> ? Unsigned(Unsigned{1} << (sizeof(Key) * 8 - 1)) : Unsigned{};

  class Encoded {
   public:
    explicit Encoded(Unsigned bits) noexcept {
      for (std::size_t i = 0; i < sizeof(Key); ++i) {
        bytes_[i] = static_cast<char>(static_cast<unsigned char>(bits >> (8 * (sizeof(Key) - 1 - i))));
      }
    }
    operator std::string_view() const noexcept { return {bytes_, sizeof(Key)}; }

   private:
    char bytes_[sizeof(Key)];
  };

  static Encoded encode(Parameter key) noexcept {
    return Encoded(static_cast<Unsigned>(static_cast<Unsigned>(key.value()) ^ kSign));
  }
  static Key decode(std::string_view bytes) {
    if (bytes.size() != sizeof(Key)) detail::refuse("the key has another size than an integer of its type");
    std::uint64_t bits = 0;
    for (const char byte : bytes) bits = bits << 8 | static_cast<unsigned char>(byte);
    return static_cast<Key>(static_cast<Unsigned>(static_cast<Unsigned>(bits) ^ kSign));
  }
  static std::string text(Key key) { return std::to_string(key); }
};

}  // namespace v0
}  // namespace tuskv
