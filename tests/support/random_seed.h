#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace tuskv::test {

/// A seed for a random test, printed so that a failure can be repeated: TUSKV_TEST_SEED sets it.
inline std::uint64_t random_seed() {
  const char* given = std::getenv("TUSKV_TEST_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::printf("seed %llu (set TUSKV_TEST_SEED to repeat)\n", static_cast<unsigned long long>(seed));
  return seed;
}

}  // namespace tuskv::test
