#pragma once

// Values encrypted at rest. A store that is opened with an Encryptor hands every value to it before an engine sees it,
// and back before anybody else does. Keys of entries, expiry and sizes stay visible: listings are in key order, and
// expired entries are found without a key.
//
//   auto keys = tuskv::KeyRing::from_file("/run/secrets/tuskv.keys");
//   auto store = tuskv::Store::open("file:./data", {.encryptor = tuskv::aes_256_gcm(keys)});
//
// To change the key, put the new one first and keep the old one behind it; `Store::reencrypt` then rewrites what is
// there, after which the old one can go. A store is encrypted or it is not: one that holds entries is never opened the
// other way (Config); `tuskv copy` moves the entries over.
//
// Who can write to the files or the table can do this unnoticed: put back an older value of the same key, or the value
// that the same key has in another store with the same keys; change expiry and other times; erase entries, or all, the
// store's mark included. Use keys of its own for each store.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tuskv/bytes.h"
#include "tuskv/export.h"

namespace tuskv {
inline namespace v0 {

/// Encrypts and decrypts values. Shared by every thread of a store, threads of its engine included: implementations are
/// thread-safe, and call no store.
///
/// What a call throws fails the operation with Code::Encryption, its `what()` in the message (so no secret belongs
/// there), and nothing is changed. A call that takes long holds up its operation beyond its deadline, and, as it may be
/// made on a thread that serves all asynchronous calls of the store, those of others, too.
class TUSKV_API Encryptor {
 public:
  virtual ~Encryptor();

  /// What is to be stored. `associated_data`, the entry's namespace and key, must be bound to it: a value that has been
  /// moved to another key must not decrypt.
  virtual std::string encrypt(std::string_view plaintext, std::string_view associated_data) const = 0;
  /// Throws when `stored` is not what encrypt() has made for this associated data, with a key that is known.
  virtual std::string decrypt(std::string_view stored, std::string_view associated_data) const = 0;
  /// True when encrypt() would use another key today: Store::reencrypt then rewrites the value.
  virtual bool needs_reencryption(std::string_view stored) const = 0;
  /// What Store::diagnose says about it; no secrets.
  virtual std::string description() const = 0;
};

/// Keys of 32 bytes, each with an id that is stored beside what it has encrypted. The first key is for new values, all
/// of them for reading. At most 64. Key bytes are wiped from memory when a ring dies, and no error shows any.
/// Thread-safety: as any value.
class TUSKV_API KeyRing {
 public:
  KeyRing();
  KeyRing(const KeyRing&);
  KeyRing(KeyRing&&) noexcept;
  KeyRing& operator=(const KeyRing&);
  KeyRing& operator=(KeyRing&&) noexcept;
  ~KeyRing();

  /// Behind the keys there are. Config when the id is 0 or known, or the key is, under another id, or has not 32 bytes.
  KeyRing& add(std::uint32_t id, Bytes key);

  /// A key a line, `ID:KEY`: a number from 1 to 4294967295, and 64 hexadecimal digits or 32 bytes in base64. Lines that
  /// are empty or start with `#` say nothing. Config naming the line and the rule.
  static KeyRing parse(Bytes text);
  /// The same from a file of the user's own or of root's that nobody else can read: mode 0600 or less, 0640 when it is
  /// root's; otherwise Config.
  static KeyRing from_file(Bytes path);
  /// The same from the environment variable of this name; Config when it is not set.
  static KeyRing from_environment(Bytes name);

  /// In their order.
  std::vector<std::uint32_t> ids() const;

 private:
  friend struct KeyRingAccess;
  struct Keys;
  std::unique_ptr<Keys> keys_;
};

/// AES-256-GCM with a random nonce for each value; a value grows by 33 bytes. Throws Config for an empty ring, and
/// Unsupported in a build without OpenSSL.
///
/// Random nonces bound what one key may encrypt to about 2^32 values, over all processes and over its whole life; past
/// that two values may share a nonce, which would break both. The encryptor counts its own and refuses more
/// (Encryption); those of other processes and earlier runs only you know. Change the key long before.
TUSKV_API std::shared_ptr<Encryptor> aes_256_gcm(const KeyRing& keys);

}  // namespace v0
}  // namespace tuskv
