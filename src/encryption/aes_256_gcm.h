// AES-256-GCM through OpenSSL, the only file that knows of it. The format of values stands in aes_256_gcm.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "named_limits.h"
#include "tuskv/encryption.h"

namespace tuskv::encryption {

/// For tests to replace.
struct AesOptions {
  std::uint64_t encryptions_max = kEncryptionsPerKeyMax;
  /// Fills `bytes` with random ones; false when there are none. Null: OpenSSL's generator.
  bool (*random)(unsigned char* bytes, std::size_t size) = nullptr;
};

std::shared_ptr<Encryptor> make_aes_256_gcm(const KeyRing& keys, const AesOptions& options);

}  // namespace tuskv::encryption
