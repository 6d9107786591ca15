// What is stored and how it is met: keys and values made from numbers, so that no key list competes with the subject
// for the cache, and so that every peer, in whatever language, meets the same bytes in the same order.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tuskv::bench {

constexpr std::size_t kKeyDigits = 16;
constexpr std::size_t kKeyBytesMax = 2048;

struct Dataset {
  std::uint64_t entries = 1'000'000;
  std::size_t key_bytes = 20;
  std::size_t value_bytes = 128;
};

/// The finaliser of splitmix64: one to one, so different numbers give different keys.
constexpr std::uint64_t mix(std::uint64_t n) {
  n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9ULL;
  n = (n ^ (n >> 27)) * 0x94d049bb133111ebULL;
  return n ^ (n >> 31);
}

/// splitmix64.
class Random final {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() { return mix(state_ += 0x9e3779b97f4a7c15ULL); }
  /// Less than `bound`.
  std::uint64_t below(std::uint64_t bound) {
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(next()) * bound) >> 64);
  }

 private:
  std::uint64_t state_;
};

/// Writes keys into a buffer of its own: "key:key:…" up to the wanted length, then 16 hexadecimal digits of mix(n). The
/// shared prefix is what real keys have, and what makes comparing them cost something.
class KeyWriter final {
 public:
  explicit KeyWriter(std::size_t key_bytes);
  /// Valid until the next call.
  std::string_view key(std::uint64_t n);

 private:
  std::array<char, kKeyBytesMax> bytes_;
  std::size_t key_bytes_;
};

/// Values that do not compress: windows into random bytes.
class ValueSource final {
 public:
  ValueSource(std::size_t value_bytes, std::uint64_t seed);
  std::string_view value(std::uint64_t n) const {
    return std::string_view(pool_).substr(mix(n) % kPoolBytes, value_bytes_);
  }

 private:
  static constexpr std::size_t kPoolBytes = std::size_t{16} << 10;
  std::string pool_;
  std::size_t value_bytes_;
};

}  // namespace tuskv::bench
