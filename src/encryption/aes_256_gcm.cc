// The byte format of encrypted values:
//
//   stored     = version:u8 key_id:u32 nonce:12 ciphertext tag:16
//   version    = 1
//
// `key_id` is big-endian. `nonce` is random, new for each value. `ciphertext` is as long as the value. Key, nonce and
// tag are those of AES-256-GCM; its associated data is that of the caller, the stored key of the entry (namespace, NUL,
// key), so that a value put under another key does not verify. Version and key id need no more: another version is
// refused, and another id means another key, under which the tag is wrong.
//
// A context of OpenSSL with the schedule of a key takes longer to make than a short value to encrypt, and its generator
// takes longest of all. So contexts are used again, which needs a nonce alone, and nonces are drawn many at a time; but
// not in a child of fork, which has the drawn ones of its parent.
#include "encryption/aes_256_gcm.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>
#include <atomic>
#include <climits>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "encryption/key_ring.h"
#include "encryption/spares.h"
#include "os/fork_guard.h"
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

using Nonce = std::array<unsigned char, kNonceBytes>;

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

/// As the library says it.
enum class Direction { decrypt = 0, encrypt = 1 };

/// Encrypts values, one after the other.
struct Sealing {
  static constexpr std::size_t kNoncesAtOnce = 64;

  Context context = nullptr;
  std::array<Nonce, kNoncesAtOnce> nonces = {};
  std::size_t nonces_left = 0;
};

struct ReadingKey {
  explicit ReadingKey(std::unique_ptr<Key> given) : key(std::move(given)) {}

  const std::unique_ptr<Key> key;
  Spares<Context> decrypting = {};
};

std::vector<std::unique_ptr<ReadingKey>> reading_keys(const KeyRing& ring) {
  std::vector<std::unique_ptr<ReadingKey>> keys;
  for (auto& key : KeyRingAccess::copy_keys(ring)) keys.push_back(std::make_unique<ReadingKey>(std::move(key)));
  return keys;
}

class Aes256Gcm final : public Encryptor {
 public:
  Aes256Gcm(const KeyRing& ring, const AesOptions& options)
      : options_(options),
        random_(options.random != nullptr ? options.random : &openssl_random),
        keys_(reading_keys(ring)),
        cipher_(EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr)) {
    if (keys_.empty()) throw_refused(Code::Config, "the key ring holds no key");
    if (cipher_ == nullptr) throw_refused(Code::Unsupported, "this OpenSSL has no AES-256-GCM");
  }

  std::string encrypt(std::string_view plaintext, std::string_view associated_data) const override;
  std::string decrypt(std::string_view stored, std::string_view associated_data) const override;
  bool needs_reencryption(std::string_view stored) const override;
  std::string description() const override;

 private:
  const Key& first_key() const { return *keys_.front()->key; }
  void count_encryption() const;
  ReadingKey& key_of(std::string_view stored) const;
  Context make_context(const Key& key, Direction direction) const;
  Nonce draw_nonce(Sealing& sealing) const;

  const AesOptions options_;
  bool (*const random_)(unsigned char* bytes, std::size_t size);
  const std::vector<std::unique_ptr<ReadingKey>> keys_;
  const Cipher cipher_;
  const os::ForkGuard fork_guard_;
  mutable Spares<std::unique_ptr<Sealing>> sealings_;   ///< with the first key; no other encrypts
  mutable std::atomic<std::uint64_t> encryptions_ = 0;  ///< with the first key
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
  refuse("key id " + std::to_string(first_key().id) + " has encrypted " + std::to_string(options_.encryptions_max) +
         " values, more than which are not safe with one key: put a new key in front of it, and reencrypt");
}

Context Aes256Gcm::make_context(const Key& key, Direction direction) const {
  Context made(EVP_CIPHER_CTX_new());
  const bool done = made != nullptr && EVP_CipherInit_ex2(made.get(), cipher_.get(), key.bytes.data(), nullptr,
                                                          static_cast<int>(direction), nullptr) == 1;
  if (!done) refuse_failed_library();
  return made;
}

Nonce Aes256Gcm::draw_nonce(Sealing& sealing) const {
  const auto draw = [this](unsigned char* bytes, std::size_t size) {
    if (!random_(bytes, size)) refuse("there are no random bytes for a nonce");
  };
  Nonce nonce;
  if (fork_guard_.in_child()) {
    draw(nonce.data(), nonce.size());
    return nonce;
  }
  if (sealing.nonces_left == 0) {
    draw(sealing.nonces.front().data(), sizeof(sealing.nonces));
    sealing.nonces_left = sealing.nonces.size();
  }
  return sealing.nonces[--sealing.nonces_left];
}

std::string Aes256Gcm::encrypt(std::string_view plaintext, std::string_view associated_data) const {
  check_size(plaintext, associated_data);
  count_encryption();
  std::unique_ptr<Sealing> sealing = sealings_.take();
  if (sealing == nullptr) {
    sealing = std::make_unique<Sealing>(Sealing{.context = make_context(first_key(), Direction::encrypt)});
  }
  const Nonce nonce = draw_nonce(*sealing);
  std::string stored(kOverheadBytes + plaintext.size(), '\0');
  unsigned char* const bytes = bytes_of(stored);
  stored[0] = kVersion;
  store_id(first_key().id, stored);
  std::memcpy(bytes + kNonceAt, nonce.data(), nonce.size());
  EVP_CIPHER_CTX* const context = sealing->context.get();
  int written = 0;
  const bool done =
      EVP_EncryptInit_ex2(context, nullptr, nullptr, nonce.data(), nullptr) == 1 &&
      EVP_EncryptUpdate(context, nullptr, &written, bytes_of(associated_data),
                        static_cast<int>(associated_data.size())) == 1 &&
      EVP_EncryptUpdate(context, bytes + kCiphertextAt, &written, bytes_of(plaintext),
                        static_cast<int>(plaintext.size())) == 1 &&
      EVP_EncryptFinal_ex(context, bytes + kCiphertextAt + plaintext.size(), &written) == 1 &&
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagBytes, bytes + kCiphertextAt + plaintext.size()) == 1;
  if (!done) refuse_failed_library();
  sealings_.leave(std::move(sealing));
  return stored;
}

ReadingKey& Aes256Gcm::key_of(std::string_view stored) const {
  if (stored.size() < kOverheadBytes) {
    refuse("it has " + std::to_string(stored.size()) + " bytes, less than any encrypted value");
  }
  if (stored.front() != kVersion) refuse("it does not start as an encrypted value of a known version does");
  const std::uint32_t id = load_id(stored);
  for (const auto& key : keys_) {
    if (key->key->id == id) return *key;
  }
  refuse("it names key id " + std::to_string(id) + ", which is not in the key ring");
}

std::string Aes256Gcm::decrypt(std::string_view stored, std::string_view associated_data) const {
  ReadingKey& key = key_of(stored);
  check_size(stored.substr(kOverheadBytes), associated_data);
  const std::string_view ciphertext = stored.substr(kCiphertextAt, stored.size() - kOverheadBytes);
  unsigned char tag[kTagBytes];
  std::memcpy(tag, stored.data() + stored.size() - kTagBytes, kTagBytes);
  std::string plaintext(ciphertext.size(), '\0');
  Context spare = key.decrypting.take();
  if (spare == nullptr) spare = make_context(*key.key, Direction::decrypt);
  EVP_CIPHER_CTX* const context = spare.get();
  int written = 0;
  const bool ready = EVP_DecryptInit_ex2(context, nullptr, nullptr, bytes_of(stored) + kNonceAt, nullptr) == 1 &&
                     EVP_DecryptUpdate(context, nullptr, &written, bytes_of(associated_data),
                                       static_cast<int>(associated_data.size())) == 1 &&
                     EVP_DecryptUpdate(context, bytes_of(plaintext), &written, bytes_of(ciphertext),
                                       static_cast<int>(ciphertext.size())) == 1 &&
                     EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag) == 1;
  if (!ready) refuse_failed_library();
  unsigned char none[kTagBytes];
  if (EVP_DecryptFinal_ex(context, none, &written) != 1) {
    OPENSSL_cleanse(plaintext.data(), plaintext.size());
    refuse("it has been changed, moved from another key or namespace, or encrypted with another key of id " +
           std::to_string(key.key->id));
  }
  key.decrypting.leave(std::move(spare));
  return plaintext;
}

bool Aes256Gcm::needs_reencryption(std::string_view stored) const { return key_of(stored).key->id != first_key().id; }

std::string Aes256Gcm::description() const {
  return "AES-256-GCM; new values with key id " + std::to_string(first_key().id) + " (" +
         std::to_string(encryptions_.load(std::memory_order_relaxed)) + " so far), " + std::to_string(keys_.size()) +
         (keys_.size() == 1 ? " key" : " keys") + " to read with";
}

}  // namespace

std::shared_ptr<Encryptor> make_aes_256_gcm(const KeyRing& keys, const AesOptions& options) {
  return std::make_shared<Aes256Gcm>(keys, options);
}

}  // namespace tuskv::encryption
