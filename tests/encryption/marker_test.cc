// Putting the marker while others do the same, or something else, to the same store.
#include "encryption/marker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "encryption/encrypted_store.h"
#include "support/manual_clock.h"
#include "support/reference_engine.h"
#include "support/turned_encryptor.h"

namespace tuskv::test {
namespace {

using testing::HasSubstr;

/// Sets about marking the empty store. `meanwhile` happens before the marker is written, `at_look` when an entry is
/// looked at again.
Status mark_while(
    Engine& engine, std::function<void()> meanwhile, std::function<void()> at_look = [] {}) {
  struct Watched final : Encryptor {
    std::string encrypt(std::string_view plaintext, std::string_view) const override {
      meanwhile();
      return "mine " + std::string(plaintext);
    }
    std::string decrypt(std::string_view stored, std::string_view) const override {
      at_look();
      if (!stored.starts_with("mine ")) throw std::invalid_argument("not mine");
      return std::string(stored.substr(5));
    }
    bool needs_reencryption(std::string_view) const override { return false; }
    std::string description() const override { return "watched"; }
    std::function<void()> meanwhile = {};
    std::function<void()> at_look = {};
  };
  const auto encryptor = std::make_shared<Watched>();
  encryptor->meanwhile = std::move(meanwhile);
  encryptor->at_look = std::move(at_look);
  return encryption::mark_encrypted(engine, encryption::Sealer(encryptor), 1000);
}

TEST(EncryptionMarker, IsTakenBackFromWhatAnotherFillsWithPlainText) {
  ManualClock clock;
  ReferenceEngine engine(clock);
  const Status status = mark_while(engine, [&] { engine.put("k", "plain text"); });
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.failure().message, HasSubstr("entries that are not encrypted with these keys"));
  EXPECT_TRUE(encryption::check_unencrypted(engine, 1000).ok());
}

TEST(EncryptionMarker, IsThatOfTheFirst) {
  const encryption::Sealer other(aes_256_gcm(ring_of(1, 'o')));
  ManualClock clock;
  ReferenceEngine engine(clock);
  const Status status = mark_while(engine, [&] { EXPECT_TRUE(encryption::mark_encrypted(engine, other, 1000).ok()); });
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.failure().message, HasSubstr("the given keys are not its own"));
  EXPECT_TRUE(encryption::check_encrypted(engine, other, 1000).value());
  ReferenceEngine same(clock);
  EXPECT_TRUE(mark_while(same, [&] { same.put("k", "mine too"); }).ok());
}

TEST(EncryptionMarker, IsTakenBackUnlessOthersHaveWrittenIt) {
  ManualClock clock;
  ReferenceEngine engine(clock);
  const auto write_marker = [&](std::string_view value) {
    Command command(Put{.key = encryption::kMarkerKey, .value = value});
    Unit unit{.commands = std::span(&command, 1)};
    engine.execute(std::span(&unit, 1));
  };
  const Status status = mark_while(
      engine, [&] { engine.put("k", "plain text"); }, [&] { write_marker("that of others"); });
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(encryption::read_stored(engine, encryption::kMarkerKey, 1000).value().value, "that of others");
}

TEST(EncryptionMarker, S107_IsNotTakenBackWhenTheEncryptorFails) {
  ManualClock clock;
  ReferenceEngine engine(clock);
  bool is_reachable = true;
  const encryption::Sealer sealer(std::make_shared<TurnedEncryptor>("key", [&](std::string_view) {
    if (!is_reachable) throw std::runtime_error("the vault is unreachable");
    is_reachable = false;  // once the marker has been encrypted
    engine.put("k", "of others");
  }));
  const Status status = encryption::mark_encrypted(engine, sealer, 1000);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.failure().code, Code::Encryption);
  EXPECT_THAT(status.failure().message, HasSubstr("the vault is unreachable"));
  EXPECT_FALSE(encryption::check_unencrypted(engine, 1000).ok());
}

void run_raw(Engine& engine, Command command) {
  Unit unit{.commands = std::span(&command, 1)};
  engine.execute(std::span(&unit, 1));
  ASSERT_EQ(unit.failure, nullptr);
}

bool has_marker(Engine& engine) { return !encryption::check_unencrypted(engine, 1000).ok(); }

/// Another has put a marker, and takes it back once.
class TakenBack final : public ReferenceEngine {
 public:
  using ReferenceEngine::ReferenceEngine;

  void execute(std::span<Unit> units) override {
    ReferenceEngine::execute(units);
    const auto* const put = std::get_if<Put>(&units.front().commands.front());
    if (put == nullptr || put->applied || std::exchange(done_, true)) return;
    run_raw(*this, Erase{.key = encryption::kMarkerKey});
  }

 private:
  bool done_ = false;
};

TEST(EncryptionMarker, S115_IsPutAgainWhenTheOneThatWasFirstIsTakenBack) {
  ManualClock clock;
  TakenBack engine(clock);
  int calls = 0;
  const Status status = mark_while(engine, [&] {
    if (calls++ == 0) run_raw(engine, Put{.key = encryption::kMarkerKey, .value = "mine tuskv encrypted store"});
  });
  EXPECT_TRUE(status.ok());
  EXPECT_TRUE(has_marker(engine));
}

TEST(EncryptionMarker, S115_IsLookedAtAgainBeforeTheFirstValue) {
  ManualClock clock;
  auto made = std::make_unique<ReferenceEngine>(clock);
  Engine& raw = *made;
  const auto engine = encryption::EncryptedEngine::open({.engine = std::move(made), .encryptor = aes()}).value();
  EXPECT_TRUE(has_marker(raw));
  run_raw(raw, Erase{.key = encryption::kMarkerKey});
  run_raw(*engine, Put{.key = std::string_view("\0k", 2), .value = "v"});
  EXPECT_TRUE(has_marker(raw));
}

}  // namespace
}  // namespace tuskv::test
