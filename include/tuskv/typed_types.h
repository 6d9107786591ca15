#pragma once

#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "tuskv/codec.h"
#include "tuskv/export.h"
#include "tuskv/store.h"
#include "tuskv/types.h"

// What the operations of typed views take and return: the types of types.h, with values of T.

namespace tuskv {
inline namespace v0 {
namespace detail {

[[noreturn]] TUSKV_API void throw_serialization(const std::string& message);
[[noreturn]] TUSKV_API void throw_absent();
/// Throws InvalidArgument: an integer that is not one of the view's.
[[noreturn]] TUSKV_API void throw_integer_value(std::size_t value_bytes, bool is_signed);

}  // namespace detail

/// An integer lent as a value of a view, or as a step of its counters: from any integer, or what converts to one, whose
/// value is one of T (otherwise InvalidArgument), never from a fraction, a truth value or a character.
template <Integer T>
class IntegerValue {
 public:
  template <Integer I>
  constexpr IntegerValue(I value) : value_(static_cast<T>(value)) {
    if (!std::in_range<T>(value)) detail::throw_integer_value(sizeof(T), std::is_signed_v<T>);
  }
  /// From an enumeration without a scope, or what has a function that makes it a number, which has to be an integer.
  template <class V>
    requires(!std::is_arithmetic_v<V> &&
             requires(const V& value) {
               { +value } -> Integer;
             })
  constexpr IntegerValue(const V& value) : IntegerValue(+value) {}
  constexpr operator const T&() const noexcept { return value_; }

 private:
  T value_;
};

/// The same, or nothing.
template <Integer T>
class OptionalIntegerValue {
 public:
  OptionalIntegerValue(std::nullopt_t) noexcept {}
  OptionalIntegerValue(const std::optional<T>& value) : value_(value) {}
  template <std::convertible_to<IntegerValue<T>> V>
  OptionalIntegerValue(const V& value) : value_(static_cast<const T&>(IntegerValue<T>(value))) {}
  operator const std::optional<T>&() const noexcept { return value_; }

 private:
  std::optional<T> value_ = {};
};

namespace detail {

/// How values of a view are lent to a call (`Type`), owned by what is lent, and lent where there may be none.
template <class T>
struct ValueParameter {
  using Type = const T&;
  using Owned = T;
  using Optional = const std::optional<T>&;
};
template <Integer T>
struct ValueParameter<T> {
  using Type = IntegerValue<T>;
  using Owned = IntegerValue<T>;
  using Optional = OptionalIntegerValue<T>;
};

}  // namespace detail

/// What is a T already, wherever it is kept.
template <class V, class T>
concept LentValue = std::same_as<std::remove_cvref_t<V>, T> || std::derived_from<std::remove_cvref_t<V>, T>;

/// What converts to the parameter of a key. Where the encoding refers to a part of that, it is one already, or a view:
/// what is made for the moment would be gone before the call is made.
template <class E, class Key>
concept LentKey = std::convertible_to<E, typename KeyCodec<Key>::Parameter> &&
                  (std::is_trivially_destructible_v<typename KeyCodec<Key>::Parameter> ||
                   !std::same_as<detail::EncodedKey<Key>, std::string_view> ||
                   (std::is_lvalue_reference_v<E> && LentValue<E, typename KeyCodec<Key>::Parameter>));

/// A lent list of keys of a view; not of strings made for the moment.
template <class R, class Key>
concept TypedKeyRange = !BytesSource<R> && (std::same_as<Key, std::string> ? KeyRange<R> : requires(R& range) {
  { *range.begin() } -> LentKey<Key>;
  range.end();
});

/// Lent entries of a view: a map or a vector of pairs. The values are of the view's type; what only converts to it
/// would be gone before it is written.
template <class R, class T, class Key>
concept TypedPairRange = requires(R& range) {
  { range.begin()->first } -> LentKey<Key>;
  requires LentValue<decltype((range.begin()->second)), T>;
  range.end();
};

/// What stands at one position of a batch: a value, nothing, or bytes that are no T. One that cannot be decoded does
/// not spoil its neighbours.
template <class T>
class Decoded {
 public:
  Decoded() = default;
  explicit Decoded(T value) : value_(std::move(value)) {}
  static Decoded failed(const std::string& error) {
    Decoded decoded;
    decoded.error_ = error;
    return decoded;
  }

  bool has_value() const noexcept { return value_.has_value(); }
  explicit operator bool() const noexcept { return value_.has_value(); }
  /// The key exists and its value is no T.
  bool is_undecodable() const noexcept { return !error_.empty(); }
  /// Why, with the key; empty unless `is_undecodable`.
  const std::string& error() const noexcept { return error_; }

  /// The value, which must be there.
  const T& operator*() const& noexcept { return *value_; }
  T& operator*() & noexcept { return *value_; }
  T&& operator*() && noexcept { return *std::move(value_); }
  const T* operator->() const noexcept { return &*value_; }
  T* operator->() noexcept { return &*value_; }
  /// The value; throws Serialization when it is undecodable and NotFound when there is none.
  const T& value() const {
    if (is_undecodable()) detail::throw_serialization(error_);
    if (!value_) detail::throw_absent();
    return *value_;
  }
  /// The value or nothing; throws Serialization when it is undecodable.
  const std::optional<T>& optional() const& {
    if (is_undecodable()) detail::throw_serialization(error_);
    return value_;
  }
  std::optional<T> optional() && {
    if (is_undecodable()) detail::throw_serialization(error_);
    return std::move(value_);
  }

 private:
  std::optional<T> value_ = {};
  std::string error_ = {};
};

/// As Entry. When the key itself is none of the view's (another program wrote below the prefix), `key` is empty or zero
/// and `value` says so.
template <class T, class Key>
struct TypedEntry {
  Key key = {};
  Decoded<T> value = {};
  Version version = {};
  std::optional<TimePoint> expires_at = {};
  TimePoint created_at = {};
  TimePoint updated_at = {};
};

template <class T, class Key>
struct TypedPage {
  std::vector<TypedEntry<T, Key>> entries = {};
  /// Where the next page starts (`after`); empty when this page is the last.
  std::string next = {};
};

/// One entry for set_many. Its own `ttl` wins over the TTL of the whole call.
template <class T, class Key>
struct TypedItem {
  typename KeyCodec<Key>::Parameter key;
  typename detail::ValueParameter<T>::Owned value;
  std::optional<Duration> ttl = {};
};

/// As CompareResult.
template <class T>
struct TypedCompareResult {
  using Status = CompareResult::Status;
  Status status = Status::not_found;
  std::optional<T> current = {};
  Version version = {};
  explicit operator bool() const noexcept { return status == Status::success; }
};

/// What an `update` function wants done, as Change: converts from a T (set, keeping the expiry of a present entry) and
/// from nullopt (erase). Of a view of integers from any integer, as IntegerValue.
template <class T>
class TypedChange {
 public:
  TypedChange(T value, const SetOptions& options = {})
    requires(!Integer<T>)
      : value_(std::move(value)), options_(options) {}
  template <std::convertible_to<typename detail::ValueParameter<T>::Owned> V>
    requires Integer<T>
  TypedChange(const V& value, const SetOptions& options = {})
      : value_(static_cast<const T&>(IntegerValue<T>(value))), options_(options) {}
  template <class V>
    requires(Integer<T> && std::is_arithmetic_v<V> && !Integer<V>)
  TypedChange(V value, const SetOptions& options = {}) = delete;
  TypedChange(std::nullopt_t) noexcept : kind_(Change::Kind::erase) {}
  TypedChange(std::optional<T> value) : value_(std::move(value)) {
    if (!value_) kind_ = Change::Kind::erase;
  }
  /// Sets as `set` does: without options the expiry of a present entry is replaced, too.
  static TypedChange replace(typename detail::ValueParameter<T>::Owned value, const SetOptions& options = {}) {
    TypedChange change(T(std::move(value)), options);
    change.kind_ = Change::Kind::replace;
    return change;
  }
  /// Leaves the entry as it is.
  static TypedChange keep() noexcept { return TypedChange(Change::Kind::keep, {}); }
  /// Leaves the value as it is and gives the entry this expiry; an absent entry stays absent.
  static TypedChange keep(const SetOptions& options) noexcept { return TypedChange(Change::Kind::touch, options); }

  Change::Kind kind() const noexcept { return kind_; }
  std::optional<T>& value() noexcept { return value_; }
  const SetOptions& options() const noexcept { return options_; }

 private:
  TypedChange(Change::Kind kind, const SetOptions& options) noexcept : kind_(kind), options_(options) {}

  Change::Kind kind_ = Change::Kind::set;
  std::optional<T> value_ = {};
  SetOptions options_ = {};
};

}  // namespace v0
}  // namespace tuskv
