// Random numbers that are the same on every machine for the same seed (splitmix64), so that a printed seed is a whole
// report.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace tuskv::test {

/// Not thread-safe.
class Random final {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30U)) * 0xbf58476d1ce4e5b9U;
    mixed = (mixed ^ (mixed >> 27U)) * 0x94d049bb133111ebU;
    return mixed ^ (mixed >> 31U);
  }
  /// 0 … bound - 1; `bound` is not 0.
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }
  /// True in `percent` of 100 cases.
  bool chance(std::uint64_t percent) { return below(100) < percent; }

  std::string bytes(std::size_t size) {
    std::string made(size, '\0');
    for (char& byte : made) byte = static_cast<char>(next() & 0xffU);
    return made;
  }

 private:
  std::uint64_t state_;
};

}  // namespace tuskv::test
