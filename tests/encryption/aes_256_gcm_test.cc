#include "encryption/aes_256_gcm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "encryption/refusal.h"

namespace tuskv::test {
namespace {

using testing::HasSubstr;

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

const std::string kKey = std::string(31, 'k') + "1";
const std::string kOtherKey = std::string(31, 'k') + "2";

KeyRing ring(std::uint32_t id, const std::string& key = kKey) { return KeyRing().add(id, key); }

constexpr std::size_t kOverhead = 33;

/// The nonce of the known answer, as often as is asked for.
bool known_nonce(unsigned char* bytes, std::size_t size) {
  const std::string nonce = from_hex("cafebabefacedbaddecaf888");
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<unsigned char>(nonce[i % nonce.size()]);
  return size % nonce.size() == 0;
}

// Test case 16 of "The Galois/Counter Mode of Operation" (McGrew, Viega), behind our header.
TEST(Aes256Gcm, ExactBytesAreThoseOfThePublishedVector) {
  const KeyRing keys = ring(0x01020304, from_hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"));
  const std::string plaintext = from_hex(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657"
      "ba637b39");
  const std::string associated = from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  const std::string stored = from_hex(
      "01"
      "01020304"
      "cafebabefacedbaddecaf888"
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0a"
      "bcc9f662"
      "76fc6ece0f4e1768cddf8853bb2d551b");
  const auto cipher = encryption::make_aes_256_gcm(keys, {.random = &known_nonce});
  EXPECT_EQ(cipher->encrypt(plaintext, associated), stored);
  EXPECT_EQ(cipher->decrypt(stored, associated), plaintext);
}

TEST(Aes256Gcm, WhatIsEncryptedComesBack) {
  const auto cipher = aes_256_gcm(ring(1));
  for (const std::size_t size : {0u, 1u, 15u, 16u, 17u, 1000u, 1u << 20}) {
    const std::string plaintext(size, 'p');
    const std::string stored = cipher->encrypt(plaintext, "key");
    EXPECT_EQ(stored.size(), size + kOverhead);
    EXPECT_EQ(cipher->decrypt(stored, "key"), plaintext) << size;
  }
  const std::string bytes("\0\x01\xff", 3);
  EXPECT_EQ(cipher->decrypt(cipher->encrypt(bytes, ""), ""), bytes);
}

std::string nonce_of(const std::string& stored) { return stored.substr(5, 12); }

std::vector<std::string> nonces_of_values(const Encryptor& cipher, std::size_t count) {
  std::vector<std::string> nonces;
  for (std::size_t i = 0; i < count; ++i) nonces.push_back(nonce_of(cipher.encrypt("same", "key")));
  return nonces;
}

TEST(Aes256Gcm, EveryValueHasANonceOfItsOwn) {
  const auto cipher = aes_256_gcm(ring(1));
  const std::vector<std::string> nonces = nonces_of_values(*cipher, 1000);
  EXPECT_EQ(std::set<std::string>(nonces.begin(), nonces.end()).size(), 1000u);
}

// More threads than there are places for what they leave ready, and both kinds of failures in between.
TEST(Aes256Gcm, ThreadsShareWhatIsReadyAndNeverANonce) {
  constexpr std::size_t kThreads = 20;
  constexpr std::size_t kValues = 200;
  const auto cipher = aes_256_gcm(ring(2, kOtherKey).add(1, kKey));
  const std::string old_stored = aes_256_gcm(ring(1))->encrypt("old", "key");
  std::vector<std::vector<std::string>> nonces(kThreads);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t i = 0; i < kValues; ++i) {
        const std::string plaintext = std::to_string(t) + "/" + std::to_string(i);
        const std::string stored = cipher->encrypt(plaintext, plaintext);
        nonces[t].push_back(nonce_of(stored));
        EXPECT_EQ(cipher->decrypt(stored, plaintext), plaintext);
        EXPECT_THAT(refusal_of([&] { return cipher->decrypt(stored, "moved"); }), HasSubstr("moved"));
        EXPECT_EQ(cipher->decrypt(old_stored, "key"), "old");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<std::string> different;
  for (const auto& of_one : nonces) different.insert(of_one.begin(), of_one.end());
  EXPECT_EQ(different.size(), kThreads * kValues);
}

// What the parent has drawn for later lies in the child's memory, too.
TEST(Aes256Gcm, AChildOfForkDrawsItsOwnNonces) {
  constexpr std::size_t kValues = 100;
  const auto cipher = aes_256_gcm(ring(1));
  nonces_of_values(*cipher, 1);
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  ASSERT_NE(child, -1);
  if (child == 0) {
    for (const std::string& nonce : nonces_of_values(*cipher, kValues)) {
      if (::write(ends[1], nonce.data(), nonce.size()) != 12) ::_exit(1);
    }
    ::_exit(0);
  }
  ::close(ends[1]);
  std::set<std::string> nonces;
  for (const std::string& nonce : nonces_of_values(*cipher, kValues)) nonces.insert(nonce);
  std::string nonce(12, '\0');
  while (::read(ends[0], nonce.data(), nonce.size()) == 12) nonces.insert(nonce);
  ::close(ends[0]);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(nonces.size(), 2 * kValues);
}

TEST(Aes256Gcm, AChangedByteAnywhereIsRefused) {
  const auto cipher = aes_256_gcm(ring(1));
  const std::string stored = cipher->encrypt("secret", "key");
  for (std::size_t i = 0; i < stored.size(); ++i) {
    for (const int flipped : {1, 0x80, 0xff}) {
      std::string changed = stored;
      changed[i] = static_cast<char>(changed[i] ^ flipped);
      EXPECT_THAT(refusal_of([&] { return cipher->decrypt(changed, "key"); }), testing::StartsWith("Encryption: "))
          << i;
    }
  }
}

TEST(Aes256Gcm, EveryOtherLengthIsRefused) {
  const auto cipher = aes_256_gcm(ring(1));
  const std::string stored = cipher->encrypt("secret", "key");
  for (std::size_t size = 0; size < stored.size(); ++size) {
    EXPECT_THAT(refusal_of([&] { return cipher->decrypt(stored.substr(0, size), "key"); }),
                testing::StartsWith("Encryption: "))
        << size;
  }
  EXPECT_THAT(refusal_of([&] { return cipher->decrypt(stored + '\0', "key"); }), HasSubstr("it has been changed"));
}

TEST(Aes256Gcm, G13_AValueIsBoundToItsKey) {
  const auto cipher = aes_256_gcm(ring(1));
  const std::string stored = cipher->encrypt("secret", std::string("a\0key", 5));
  for (const std::string& moved : {std::string(), std::string("b\0key", 5), std::string("a\0kez", 5),
                                   std::string("a\0key2", 6), std::string("\0key", 4)}) {
    EXPECT_THAT(refusal_of([&] { return cipher->decrypt(stored, moved); }), HasSubstr("moved from another key"));
  }
}

TEST(Aes256Gcm, G13_SeveralKeysReadAndTheFirstWrites) {
  const auto old_cipher = aes_256_gcm(ring(1));
  const auto cipher = aes_256_gcm(ring(2, kOtherKey).add(1, kKey));
  const std::string old_stored = old_cipher->encrypt("secret", "key");
  EXPECT_EQ(cipher->decrypt(old_stored, "key"), "secret");
  EXPECT_TRUE(cipher->needs_reencryption(old_stored));
  const std::string stored = cipher->encrypt("secret", "key");
  EXPECT_FALSE(cipher->needs_reencryption(stored));
  EXPECT_EQ(aes_256_gcm(ring(2, kOtherKey))->decrypt(stored, "key"), "secret");
  EXPECT_EQ(refusal_of([&] { return old_cipher->decrypt(stored, "key"); }),
            "Encryption: it names key id 2, which is not in the key ring");
  EXPECT_THAT(refusal_of([&] { return aes_256_gcm(ring(2))->decrypt(stored, "key"); }),
              HasSubstr("encrypted with another key of id 2"));
  EXPECT_EQ(cipher->description(), "AES-256-GCM; new values with key id 2 (1 so far), 2 keys to read with");
}

TEST(Aes256Gcm, WhatIsNoEncryptedValueIsNamedSo) {
  const auto cipher = aes_256_gcm(ring(1));
  EXPECT_EQ(refusal_of([&] { return cipher->decrypt("plain", "key"); }),
            "Encryption: it has 5 bytes, less than any encrypted value");
  EXPECT_EQ(refusal_of([&] { return cipher->decrypt(std::string(100, 'x'), "key"); }),
            "Encryption: it does not start as an encrypted value of a known version does");
  EXPECT_THAT(refusal_of([&] { return cipher->needs_reencryption("plain"); }), HasSubstr("less than any"));
}

TEST(Aes256Gcm, G13_TheEncryptionsOfAKeyAreCounted) {
  EXPECT_EQ(kEncryptionsPerKeyMax, std::uint64_t{1} << 32);
  const auto cipher = encryption::make_aes_256_gcm(ring(9), {.encryptions_max = 3});
  std::string stored;
  for (int i = 0; i < 3; ++i) stored = cipher->encrypt("v", "key");
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(refusal_of([&] { return cipher->encrypt("v", "key"); }),
                HasSubstr("key id 9 has encrypted 3 values, more than which are not safe"));
  }
  EXPECT_EQ(cipher->decrypt(stored, "key"), "v");
}

TEST(Aes256Gcm, WithoutRandomBytesNothingIsEncrypted) {
  const auto none = [](unsigned char*, std::size_t) { return false; };
  const auto cipher = encryption::make_aes_256_gcm(ring(1), {.random = none});
  EXPECT_EQ(refusal_of([&] { return cipher->encrypt("v", "key"); }),
            "Encryption: there are no random bytes for a nonce");
}

}  // namespace
}  // namespace tuskv::test
