// Integers in files: little-endian, unaligned, the same on every machine.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

namespace tuskv::embedded {

/// The bytes a file holds for `value`, as an integer of this machine; its own inverse.
template <std::integral T>
constexpr T little_endian(T value) {
  if constexpr (std::endian::native == std::endian::little || sizeof(T) == 1) {
    return value;
  } else if constexpr (sizeof(T) == 2) {
    return static_cast<T>(__builtin_bswap16(static_cast<unsigned short>(value)));
  } else if constexpr (sizeof(T) == 4) {
    return static_cast<T>(__builtin_bswap32(static_cast<unsigned int>(value)));
  } else {
    return static_cast<T>(__builtin_bswap64(static_cast<unsigned long long>(value)));
  }
}

template <std::integral T>
void append_integer(std::string& bytes, T value) {
  const T stored = little_endian(value);
  bytes.append(reinterpret_cast<const char*>(&stored), sizeof stored);
}

/// Overwrites; the room must be there.
template <std::integral T>
void store_integer(std::string& bytes, std::size_t offset, T value) {
  const T stored = little_endian(value);
  std::memcpy(bytes.data() + offset, &stored, sizeof stored);
}

/// The caller has checked that the bytes are there.
template <std::integral T>
T load_integer(std::string_view bytes, std::size_t offset) {
  T stored;
  std::memcpy(&stored, bytes.data() + offset, sizeof stored);
  return little_endian(stored);
}

}  // namespace tuskv::embedded
