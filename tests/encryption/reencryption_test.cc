// What others do to an entry between the moment reencryption has read it and the moment it writes it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "encryption/encrypted_store.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""h;

/// Two keys in sight: the value behind the name of its key. New ones are under "new".
class NamedKeys final : public Encryptor {
 public:
  std::string encrypt(std::string_view plaintext, std::string_view) const override {
    return "new|" + std::string(plaintext);
  }
  std::string decrypt(std::string_view stored, std::string_view) const override {
    const std::string_view name = stored.substr(0, 4);
    if (name != "old|" && name != "new|") throw std::invalid_argument("not mine");
    const std::function<void()> hook = on_decrypt;  // it may take itself away
    if (hook) hook();
    return std::string(stored.substr(name.size()));
  }
  bool needs_reencryption(std::string_view stored) const override { return stored.starts_with("old|"); }
  std::string description() const override { return "in sight"; }

  std::function<void()> on_decrypt = {};
};

class Reencryption : public testing::Test {
 protected:
  /// Reencrypts a store of the entry "k", after whose first decryption `meanwhile` has happened.
  ReencryptReport reencrypt_while(std::function<void()> meanwhile) {
    store_.raw->put("k", "old|1");
    keys_->on_decrypt = [this, meanwhile = std::move(meanwhile)] {
      keys_->on_decrypt = nullptr;
      meanwhile();
    };
    return reencrypt();
  }
  ReencryptReport reencrypt(std::int64_t timeout_ms = 5000) {
    ReencryptReport report;
    for (ReencryptionWalk walk; !walk.done;) {
      EXPECT_TRUE(store_.engine->reencrypt_page(walk, timeout_ms, report).ok());
    }
    return report;
  }
  std::string stored() const { return store_.stored("k").value; }

  std::shared_ptr<NamedKeys> keys_ = std::make_shared<NamedKeys>();
  EncryptedStore store_{keys_};
};

TEST_F(Reencryption, AValueThatOthersWriteUnderTheOldKeyIsRewrittenAsTheyWroteIt) {
  const ReencryptReport report = reencrypt_while([&] { store_.raw->put("k", "old|2"); });
  EXPECT_EQ(stored(), "new|2");
  EXPECT_EQ(report.rewritten, 1u);
  EXPECT_EQ(report.left, 0u);
}

TEST_F(Reencryption, HoweverOftenOthersWriteNoneOfTheirsIsLost) {
  store_.raw->put("k", "old|0");
  int writes = 0;
  keys_->on_decrypt = [&] {
    if (writes < 3) store_.raw->put("k", "old|" + std::to_string(++writes));
  };
  const ReencryptReport report = reencrypt();
  EXPECT_EQ(stored(), "new|3");
  EXPECT_EQ(report.examined, 1u);
  EXPECT_EQ(report.rewritten, 1u);
}

TEST_F(Reencryption, AValueThatOthersWriteUnderTheNewKeyIsTheirs) {
  const ReencryptReport report = reencrypt_while([&] { store_->set("k", "2"); });
  EXPECT_EQ(stored(), "new|2");
  EXPECT_EQ(report.rewritten, 0u);
  EXPECT_EQ(report.left, 0u);
}

TEST_F(Reencryption, WhatOthersEraseStaysErased) {
  const ReencryptReport report = reencrypt_while([&] { store_.raw->erase("k"); });
  EXPECT_FALSE(store_->exists("k"));
  EXPECT_EQ(report.rewritten, 0u);
  EXPECT_EQ(report.left, 0u);
}

TEST_F(Reencryption, WhatOthersEraseAndMakeAgainIsRewritten) {
  const ReencryptReport report = reencrypt_while([&] {
    store_.raw->erase("k");
    store_.raw->put("k", "old|3");
  });
  EXPECT_EQ(stored(), "new|3");
  EXPECT_EQ(report.rewritten, 1u);
}

TEST_F(Reencryption, WhatExpiresMeanwhileIsLeft) {
  const ReencryptReport report = reencrypt_while([&] {
    store_->expire("k", 1h);
    store_.clock.advance_ms(2 * 3'600'000);
  });
  EXPECT_EQ(report.rewritten, 0u);
  EXPECT_EQ(report.left, 1u);
}

TEST_F(Reencryption, WhatOthersKeepWritingIsLeftAtTheDeadline) {
  store_.raw->put("k", "old|1");
  store_.raw->put("z", "old|1");
  keys_->on_decrypt = [&] { store_.raw->put("k", "old|2"); };
  const ReencryptReport report = reencrypt(50);
  EXPECT_EQ(stored(), "old|2");
  EXPECT_EQ(store_.stored("z").value, "new|1");
  EXPECT_EQ(report.rewritten, 1u);
  EXPECT_EQ(report.left, 1u);
}

// What has not been written must not pass for done: the old key would be taken away.
TEST_F(Reencryption, APageThatCannotBeWrittenFails) {
  store_.raw->put("k", "old|1");
  keys_->on_decrypt = [&] { store_.raw->lose_answer(Code::Connection); };
  ReencryptReport report;
  ReencryptionWalk walk;
  const Status status = store_.engine->reencrypt_page(walk, 5000, report);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.failure().code, Code::Connection);
  EXPECT_FALSE(walk.done);
}

TEST_F(Reencryption, APageEndsWithItsBytes) {
  for (int i = 10; i < 50; ++i) store_.raw->put("k" + std::to_string(i), "old|" + std::string(1 << 20, 'v'));
  ReencryptReport report;
  ReencryptionWalk walk;
  ASSERT_TRUE(store_.engine->reencrypt_page(walk, 60'000, report).ok());
  EXPECT_EQ(report.rewritten, 16u);
  while (!walk.done) ASSERT_TRUE(store_.engine->reencrypt_page(walk, 60'000, report).ok());
  EXPECT_EQ(report.rewritten, 40u);
}

}  // namespace
}  // namespace tuskv::test
