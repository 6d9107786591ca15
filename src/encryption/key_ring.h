// The keys of a KeyRing, for what encrypts with them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "tuskv/encryption.h"

namespace tuskv::encryption {

inline constexpr std::size_t kKeyBytes = 32;

/// Wiped when it dies; never copied by a growing list, which would leave its bytes behind.
struct Key {
  Key() = default;
  Key(const Key&) = delete;
  Key& operator=(const Key&) = delete;
  ~Key();

  std::uint32_t id = 0;
  std::array<unsigned char, kKeyBytes> bytes = {};
};

}  // namespace tuskv::encryption

namespace tuskv {
inline namespace v0 {

struct KeyRing::Keys {
  std::vector<std::unique_ptr<encryption::Key>> list = {};
};

struct KeyRingAccess {
  /// A copy, which the caller owns.
  static std::vector<std::unique_ptr<encryption::Key>> copy_keys(const KeyRing& ring);
};

}  // namespace v0
}  // namespace tuskv
