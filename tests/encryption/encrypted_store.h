// A store whose values are encrypted, with a way past the encryption.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "encryption/encrypted_engine.h"
#include "encryption/marker.h"
#include "open.h"
#include "support/manual_clock.h"
#include "support/reference_engine.h"
#include "support/submitted.h"
#include "tuskv/encryption.h"
#include "tuskv/tuskv.h"

namespace tuskv::test {

inline KeyRing ring_of(std::uint32_t id, char byte) { return KeyRing().add(id, std::string(32, byte)); }

inline std::shared_ptr<Encryptor> aes() { return aes_256_gcm(ring_of(1, 'k')); }

class EncryptedStore final {
 public:
  explicit EncryptedStore(std::shared_ptr<const Encryptor> encryptor, const Options& options = {}) {
    auto made = std::make_unique<ReferenceEngine>(clock);
    raw = made.get();
    auto encrypted = encryption::EncryptedEngine::open(
        {.engine = std::move(made), .encryptor = std::move(encryptor), .is_kept = false});
    engine = encrypted.value().get();
    store.emplace(store_on(std::move(encrypted).value(), options));
  }
  Store* operator->() { return &*store; }

  /// The entry as it is stored.
  encryption::StoredValue stored(Bytes key) const {
    return encryption::read_stored(*raw, std::string(1, '\0') + std::string(key.view()), 1000).value();
  }

  ManualClock clock;
  ReferenceEngine* raw = nullptr;  ///< while a handle lives, as the next
  encryption::EncryptedEngine* engine = nullptr;
  std::optional<Store> store;
};

}  // namespace tuskv::test
