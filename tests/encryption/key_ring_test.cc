#include "encryption/key_ring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "encryption/aes_256_gcm.h"
#include "encryption/refusal.h"
#include "named_limits.h"
#include "support/temporary_directory.h"
#include "tuskv/encryption.h"

namespace tuskv::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kHex = "00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210";
constexpr std::string_view kBase64 = "ABEiM0RVZneImaq7zN3u/wEjRWeJq83v/ty6mHZUMhA=";
const std::string kBytes(
    "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff"
    "\x01\x23\x45\x67\x89\xab\xcd\xef\xfe\xdc\xba\x98\x76\x54\x32\x10",
    32);

std::string line(std::string_view id, std::string_view key) { return std::string(id) + ":" + std::string(key) + "\n"; }

/// True when what one of the rings has encrypted the other decrypts: they hold the same key.
bool agree(const KeyRing& one, const KeyRing& other) {
  try {
    return aes_256_gcm(other)->decrypt(aes_256_gcm(one)->encrypt("text", "key"), "key") == "text";
  } catch (const Error&) {
    return false;
  }
}

TEST(KeyRing, ReadsHexadecimalAndBase64) {
  const KeyRing ring = KeyRing().add(7, kBytes);
  for (const std::string_view key : {kHex, kBase64, kBase64.substr(0, 43)}) {
    EXPECT_TRUE(agree(ring, KeyRing::parse(line("7", key)))) << key;
  }
  std::string upper(kHex);
  for (char& c : upper) c = static_cast<char>(std::toupper(c));
  EXPECT_TRUE(agree(ring, KeyRing::parse("7:" + upper)));
  EXPECT_FALSE(agree(ring, KeyRing::parse(line("7", std::string(64, '0')))));
}

TEST(KeyRing, ALineAKeyWithCommentsAndBlanks) {
  const KeyRing ring =
      KeyRing::parse("# made in May\r\n\n  2 : " + std::string(64, '1') + " \r\n\t\n  # the old one\n" +
                     line("1", kBase64) + line("4294967295", std::string(64, '0')));
  EXPECT_EQ(ring.ids(), (std::vector<std::uint32_t>{2, 1, 4294967295U}));
}

TEST(KeyRing, ErrorsNameTheLineAndTheRule) {
  const auto refused = [](const std::string& text) { return refusal_of([&] { return KeyRing::parse(text); }); };
  const std::string good = line("1", kHex);
  const std::string key_rule = "the key behind the colon must be 64 hexadecimal digits or 32 bytes in base64";
  const std::string id_rule = "the id in front of the colon must be a number from 1 to 4294967295";
  EXPECT_EQ(refused(""), "Config: the text of the key ring holds no key (ID:KEY)");
  EXPECT_EQ(refused("\n# nothing\n"), "Config: the text of the key ring holds no key (ID:KEY)");
  EXPECT_EQ(refused(good + "\n" + std::string(kHex)),
            "Config: the text of the key ring, line 3: a key is written ID:KEY");
  for (const std::string_view id : {"", "x", "-1", "1x", "4294967296", "+1"}) {
    EXPECT_EQ(refused(line(id, kHex)), "Config: the text of the key ring, line 1: " + id_rule) << id;
  }
  EXPECT_THAT(refused(line("0", kHex)), HasSubstr("must be 1 to 4294967295"));
  EXPECT_THAT(refused(good + line("1", kBase64)), HasSubstr("line 2: the id 1 of an encryption key is given twice"));
  const std::string hex(kHex);
  const std::string base64(kBase64);
  for (const std::string& key : {std::string(), hex.substr(1), hex + "0", hex.substr(0, 63) + "g", base64 + "=",
                                 base64.substr(0, 42) + "B", base64.substr(0, 42), hex.substr(0, 32)}) {
    EXPECT_EQ(refused(good + line("2", key)), "Config: the text of the key ring, line 2: " + key_rule) << key;
  }
}

TEST(KeyRing, NoErrorShowsWhatStandsInALine) {
  const std::string secret(kHex);
  for (const std::string& text : {secret, secret + ":1", "1:" + secret + "00", "1;" + secret,
                                  line("1", secret) + secret, line("1", secret) + line("1", secret)}) {
    EXPECT_THAT(refusal_of([&] { return KeyRing::parse(text); }), Not(HasSubstr(secret.substr(0, 8)))) << text;
  }
}

TEST(KeyRing, KeysHave32BytesAndThereAreAtMost64) {
  for (const std::size_t size : {0u, 16u, 24u, 31u, 33u}) {
    EXPECT_EQ(refusal_of([&] { return KeyRing().add(1, std::string(size, 'k')); }),
              "Config: an encryption key must have 32 bytes, not " + std::to_string(size));
  }
  KeyRing ring;
  for (std::uint32_t id = 1; id <= kKeyRingKeysMax; ++id) ring.add(id, std::string(32, static_cast<char>(id)));
  EXPECT_EQ(refusal_of([&] { return ring.add(65, kBytes); }), "Config: a key ring holds at most 64 keys");
  EXPECT_EQ(ring.ids().size(), 64u);
}

TEST(KeyRing, S113_AKeyHasOneId) {
  KeyRing ring = KeyRing().add(1, std::string(32, 'a')).add(7, kBytes);
  EXPECT_EQ(refusal_of([&] { return ring.add(2, kBytes); }),
            "Config: the encryption keys of the ids 7 and 2 are the same: an id stands for a key of its own");
  EXPECT_EQ(ring.ids().size(), 2u);
}

TEST(KeyRing, IsAValue) {
  KeyRing ring = KeyRing().add(1, kBytes);
  KeyRing copy = ring;
  copy.add(2, std::string(32, 'b'));
  EXPECT_EQ(ring.ids().size(), 1u);
  EXPECT_EQ(copy.ids().size(), 2u);
  const KeyRing moved = std::move(copy);
  EXPECT_EQ(moved.ids().size(), 2u);
  copy = ring;
  EXPECT_TRUE(agree(ring, copy));
  EXPECT_EQ(refusal_of([] { return aes_256_gcm(KeyRing()); }), "Config: the key ring holds no key");
}

TEST(KeyRing, AFileThatOthersCanReadIsRefused) {
  const TemporaryDirectory directory;
  const std::string path = directory.path("keys");
  std::ofstream(path) << line("3", kHex);
  const auto with_mode = [&](mode_t mode) {
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    return refusal_of([&] { return KeyRing::from_file(path); });
  };
  const std::string rule =
      "Config: the key file can be read or written by others: it needs mode 0600 or less (0640 when it is root's)";
  for (const mode_t mode : {0604, 0602, 0601, 0644, 0660, 0666, 0777}) {
    EXPECT_EQ(with_mode(mode), rule) << std::oct << mode;
  }
  EXPECT_EQ(with_mode(0640), ::geteuid() == 0 ? "not refused" : rule);
  EXPECT_EQ(with_mode(0600), "not refused");
  EXPECT_EQ(with_mode(0400), "not refused");
  EXPECT_TRUE(agree(KeyRing::from_file(path), KeyRing().add(3, kBytes)));
}

TEST(KeyRing, AFileOfAnotherUserIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  const TemporaryDirectory directory;
  const std::string path = directory.path("keys");
  std::ofstream(path) << line("3", kHex);
  ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
  ASSERT_EQ(::chown(path.c_str(), 12345, 0), 0);
  EXPECT_EQ(refusal_of([&] { return KeyRing::from_file(path); }), "Config: the key file belongs to another user");
}

TEST(KeyRing, WhatIsNoKeyFileIsRefusedWithoutItsName) {
  const TemporaryDirectory directory;
  const auto refused = [&](const std::string& name) {
    return refusal_of([&] { return KeyRing::from_file(directory.path(name)); });
  };
  // The name may be a key that somebody gave in its place.
  EXPECT_EQ(refused("1:" + std::string(kHex)), "Config: the key file cannot be opened: No such file or directory");
  EXPECT_EQ(refused("."), "Config: the key file is not a regular file");
  ASSERT_EQ(::mkfifo(directory.path("fifo").c_str(), 0600), 0);
  EXPECT_EQ(refused("fifo"), "Config: the key file is not a regular file");
  std::ofstream(directory.path("large")) << std::string(kKeyFileBytesMax + 1, '\n');
  ASSERT_EQ(::chmod(directory.path("large").c_str(), 0600), 0);
  EXPECT_EQ(refused("large"), "Config: the key file has more than 65536 bytes");
  std::ofstream(directory.path("wrong")) << line("1", kHex) << "nonsense\n";
  ASSERT_EQ(::chmod(directory.path("wrong").c_str(), 0600), 0);
  EXPECT_EQ(refused("wrong"), "Config: the key file, line 2: a key is written ID:KEY");
}

TEST(KeyRing, FromTheEnvironment) {
  constexpr const char* kName = "TUSKV_TEST_KEYS";
  ASSERT_EQ(::setenv(kName, (line("2", std::string(64, '0')) + line("1", kBase64)).c_str(), 1), 0);
  EXPECT_EQ(KeyRing::from_environment(kName).ids(), (std::vector<std::uint32_t>{2, 1}));
  ASSERT_EQ(::setenv(kName, "2", 1), 0);
  EXPECT_EQ(refusal_of([&] { return KeyRing::from_environment(kName); }),
            "Config: the environment variable TUSKV_TEST_KEYS, line 1: a key is written ID:KEY");
  ASSERT_EQ(::unsetenv(kName), 0);
  EXPECT_EQ(refusal_of([&] { return KeyRing::from_environment(kName); }),
            "Config: the environment variable TUSKV_TEST_KEYS is not set");
}

TEST(KeyRing, AKeyThatDiesIsWiped) {
  alignas(encryption::Key) std::array<unsigned char, sizeof(encryption::Key)> memory = {};
  auto* const key = reinterpret_cast<encryption::Key*>(memory.data());
  std::construct_at(key);
  key->bytes.fill('k');
  EXPECT_EQ(std::count(memory.begin(), memory.end(), 'k'), 32);
  std::destroy_at(key);
  EXPECT_EQ(std::count(memory.begin(), memory.end(), 'k'), 0);
}

}  // namespace
}  // namespace tuskv::test
