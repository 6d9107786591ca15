// Where random tests get their seed from. A run is the same each time, so that a change is judged by what it changes;
// TUSKV_TEST_SEED=random looks further, and TUSKV_TEST_SEED=<number> repeats what that has found.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string_view>

namespace tuskv::test {

/// The seed of a random test, printed so that a failure can be repeated.
inline std::uint64_t random_seed() {
  constexpr std::uint64_t kDefault = 20'260'101;
  const char* given = std::getenv("TUSKV_TEST_SEED");
  std::uint64_t seed = kDefault;
  if (given != nullptr)
    seed = std::string_view(given) == "random" ? std::random_device{}() : std::strtoull(given, nullptr, 10);
  std::printf("seed %llu (repeat with TUSKV_TEST_SEED, or set that to \"random\")\n",
              static_cast<unsigned long long>(seed));
  return seed;
}

}  // namespace tuskv::test
