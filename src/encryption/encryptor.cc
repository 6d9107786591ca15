#include "tuskv/encryption.h"

#ifdef TUSKV_ENCRYPTION
#include "encryption/aes_256_gcm.h"
#else
#include "throw.h"
#endif

namespace tuskv {
inline namespace v0 {

Encryptor::~Encryptor() = default;

std::shared_ptr<Encryptor> aes_256_gcm([[maybe_unused]] const KeyRing& keys) {
#ifdef TUSKV_ENCRYPTION
  return encryption::make_aes_256_gcm(keys, {});
#else
  throw_refused(Code::Unsupported, "this build has no AES-256-GCM: it was made without OpenSSL (TUSKV_ENCRYPTION)");
#endif
}

}  // namespace v0
}  // namespace tuskv
