#pragma once

#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "tuskv/export.h"

namespace tuskv {
inline namespace v0 {
namespace detail {
/// Throws InvalidArgument: a null pointer was given where bytes are expected.
[[noreturn]] TUSKV_API void throw_null_bytes();
}  // namespace detail

template <class T>
concept BytesSource =
    std::convertible_to<const T&, std::string_view> && !std::same_as<std::remove_cvref_t<T>, std::nullptr_t>;

/// Bytes lent for the duration of a call: a key, a value, a prefix. Converts from strings, string views and literals,
/// and from nothing else, so that `set("counter", 0)`, `get(nullptr)` and `get({"a", "b"})` do not compile. A literal
/// ends at its first NUL: write `"a\0b"sv` for bytes that contain one. Never store a Bytes built from a temporary;
/// clang warns (-Wdangling) where it sees that, but not of temporaries in a container.
class TUSKV_API Bytes {
 public:
  constexpr Bytes() noexcept = default;

  template <BytesSource T>
  constexpr Bytes(const T& bytes TUSKV_LIFETIMEBOUND) : view_(to_view(bytes)) {}
  /// Of views and pointers, which may die before what they show.
  template <BytesSource T>
    requires std::is_trivially_destructible_v<T>
  constexpr Bytes(const T& bytes) : view_(to_view(bytes)) {}

  constexpr std::string_view view() const noexcept { return view_; }
  constexpr std::size_t size() const noexcept { return view_.size(); }
  constexpr bool empty() const noexcept { return view_.empty(); }

 private:
  template <class T>
  static constexpr std::string_view to_view(const T& bytes) {
    if constexpr (std::is_pointer_v<T>) {
      if (bytes == nullptr) detail::throw_null_bytes();
    }
    return bytes;
  }

  std::string_view view_ = {};
};

/// A value an asynchronous operation will own: moved in from an rvalue string, copied from anything else.
class TUSKV_API OwnedBytes {
 public:
  OwnedBytes(std::string&& bytes) noexcept : owned_(std::move(bytes)) {}
  template <BytesSource T>
  OwnedBytes(const T& bytes) : owned_(Bytes(bytes).view()) {}
  OwnedBytes(Bytes bytes) : owned_(bytes.view()) {}

  std::string_view view() const noexcept { return owned_; }
  std::string take() && noexcept { return std::move(owned_); }

 private:
  std::string owned_;
};

}  // namespace v0
}  // namespace tuskv
