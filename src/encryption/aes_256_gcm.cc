// The byte format of encrypted values:
//
//   stored     = version:u8 key_id:u32 nonce:12 ciphertext tag:16
//   version    = 1
//
// `key_id` is big-endian. `nonce` is random, new for each value. `ciphertext` is as long as the value. Key, nonce and
// tag are those of AES-256-GCM; its associated data is that of the caller, the stored key of the entry (namespace, NUL,
// key), so that a value put under another key does not verify. Version and key id need no more: another version is
// refused, and another id means another key, under which the tag is wrong.
#include "encryption/aes_256_gcm.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <atomic>
#include <climits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "encryption/key_ring.h"
#include "throw.h"

namespace tuskv::encryption {
namespace {

constexpr char kVersion = 1;
constexpr std::size_t kIdAt = 1;
constexpr std::size_t kNonceAt = kIdAt + 4;
constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kCiphertextAt = kNonceAt + kNonceBytes;
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kOverheadBytes = kCiphertextAt + kTagBytes;

struct FreeCipher {
  void operator()(EVP_CIPHER* cipher) const { EVP_CIPHER_free(cipher); }
};
struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Cipher = std::unique_ptr<EVP_CIPHER, FreeCipher>;
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

bool openssl_random(unsigned char* bytes, std::size_t size) { return RAND_bytes(bytes, static_cast<int>(size)) == 1; }

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* bytes_of(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

void store_id(std::uint32_t id, std::string& stored) {
  for (std::size_t i = 0; i < 4; ++i) stored[kIdAt + i] = static_cast<char>(id >> (24 - 8 * i));
}

std::uint32_t load_id(std::string_view stored) {
  std::uint32_t id = 0;
  for (std::size_t i = 0; i < 4; ++i) id = id << 8 | static_cast<unsigned char>(stored[kIdAt + i]);
  return id;
}

[[noreturn]] void refuse(const std::string& message) { throw_refused(Code::Encryption, message); }

[[noreturn]] void refuse_failed_library() { refuse("OpenSSL could not do its work"); }

class Aes256Gcm final : public Encryptor {
 public:
  Aes256Gcm(const KeyRing& ring, const AesOptions& options)
      : options_(options),
        random_(options.random != nullptr ? options.random : &openssl_random),
        keys_(KeyRingAccess::copy_keys(ring)),
        cipher_(EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr)) {
    if (keys_.empty()) throw_refused(Code::Config, "the key ring holds no key");
    if (cipher_ == nullptr) throw_refused(Code::Unsupported, "this OpenSSL has no AES-256-GCM");
  }

  std::string encrypt(std::string_view plaintext, std::string_view associated_data) const override;
  std::string decrypt(std::string_view stored, std::string_view associated_data) const override;
  bool needs_reencryption(std::string_view stored) const override;
  std::string description() const override;

 private:
  void count_encryption() const;
  const Key& key_of(std::string_view stored) const;

  const AesOptions options_;
  bool (*const random_)(unsigned char* bytes, std::size_t size);
  const std::vector<std::unique_ptr<Key>> keys_;
  const Cipher cipher_;
  mutable std::atomic<std::uint64_t> encryptions_ = 0;  ///< with the first key; no other encrypts
};

/// The library counts in `int`.
void check_size(std::string_view plaintext, std::string_view associated_data) {
  constexpr std::size_t kBytesMax = INT_MAX - kOverheadBytes;
  if (plaintext.size() > kBytesMax || associated_data.size() > kBytesMax) {
    throw_refused(Code::TooLarge, "a value of " + std::to_string(plaintext.size()) +
                                      " bytes is too large to be encrypted: the limit is " + std::to_string(kBytesMax));
  }
}

void Aes256Gcm::count_encryption() const {
  if (encryptions_.fetch_add(1, std::memory_order_relaxed) < options_.encryptions_max) return;
  refuse("key id " + std::to_string(keys_.front()->id) + " has encrypted " + std::to_string(options_.encryptions_max) +
         " values, more than which are not safe with one key: put a new key in front of it, and reencrypt");
}

std::string Aes256Gcm::encrypt(std::string_view plaintext, std::string_view associated_data) const {
  check_size(plaintext, associated_data);
  count_encryption();
  const Key& key = *keys_.front();
  std::string stored(kOverheadBytes + plaintext.size(), '\0');
  unsigned char* const bytes = bytes_of(stored);
  stored[0] = kVersion;
  store_id(key.id, stored);
  if (!random_(bytes + kNonceAt, kNonceBytes)) refuse("there are no random bytes for a nonce");
  const Context context(EVP_CIPHER_CTX_new());
  int written = 0;
  const bool done =
      context != nullptr &&
      EVP_EncryptInit_ex2(context.get(), cipher_.get(), key.bytes.data(), bytes + kNonceAt, nullptr) == 1 &&
      EVP_EncryptUpdate(context.get(), nullptr, &written, bytes_of(associated_data),
                        static_cast<int>(associated_data.size())) == 1 &&
      EVP_EncryptUpdate(context.get(), bytes + kCiphertextAt, &written, bytes_of(plaintext),
                        static_cast<int>(plaintext.size())) == 1 &&
      EVP_EncryptFinal_ex(context.get(), bytes + kCiphertextAt + plaintext.size(), &written) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, kTagBytes, bytes + kCiphertextAt + plaintext.size()) ==
          1;
  if (!done) refuse_failed_library();
  return stored;
}

const Key& Aes256Gcm::key_of(std::string_view stored) const {
  if (stored.size() < kOverheadBytes) {
    refuse("it has " + std::to_string(stored.size()) + " bytes, less than any encrypted value");
  }
  if (stored.front() != kVersion) refuse("it does not start as an encrypted value of a known version does");
  const std::uint32_t id = load_id(stored);
  for (const auto& key : keys_) {
    if (key->id == id) return *key;
  }
  refuse("it names key id " + std::to_string(id) + ", which is not in the key ring");
}

std::string Aes256Gcm::decrypt(std::string_view stored, std::string_view associated_data) const {
  const Key& key = key_of(stored);
  check_size(stored.substr(kOverheadBytes), associated_data);
  const std::string_view ciphertext = stored.substr(kCiphertextAt, stored.size() - kOverheadBytes);
  std::string tag(stored.substr(stored.size() - kTagBytes));
  std::string plaintext(ciphertext.size(), '\0');
  const Context context(EVP_CIPHER_CTX_new());
  int written = 0;
  const bool ready =
      context != nullptr &&
      EVP_DecryptInit_ex2(context.get(), cipher_.get(), key.bytes.data(), bytes_of(stored) + kNonceAt, nullptr) == 1 &&
      EVP_DecryptUpdate(context.get(), nullptr, &written, bytes_of(associated_data),
                        static_cast<int>(associated_data.size())) == 1 &&
      EVP_DecryptUpdate(context.get(), bytes_of(plaintext), &written, bytes_of(ciphertext),
                        static_cast<int>(ciphertext.size())) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag.data()) == 1;
  if (!ready) refuse_failed_library();
  unsigned char none[kTagBytes];
  if (EVP_DecryptFinal_ex(context.get(), none, &written) != 1) {
    OPENSSL_cleanse(plaintext.data(), plaintext.size());
    refuse("it has been changed, moved from another key or namespace, or encrypted with another key of id " +
           std::to_string(key.id));
  }
  return plaintext;
}

bool Aes256Gcm::needs_reencryption(std::string_view stored) const { return key_of(stored).id != keys_.front()->id; }

std::string Aes256Gcm::description() const {
  return "AES-256-GCM; new values with key id " + std::to_string(keys_.front()->id) + " (" +
         std::to_string(encryptions_.load(std::memory_order_relaxed)) + " so far), " + std::to_string(keys_.size()) +
         (keys_.size() == 1 ? " key" : " keys") + " to read with";
}

}  // namespace

std::shared_ptr<Encryptor> make_aes_256_gcm(const KeyRing& keys, const AesOptions& options) {
  return std::make_shared<Aes256Gcm>(keys, options);
}

}  // namespace tuskv::encryption
