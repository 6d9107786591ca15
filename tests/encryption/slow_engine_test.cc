// What takes long, and what somebody else holds: pages end with what they have, and go on from there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "encryption/encrypted_engine.h"
#include "reencryption.h"
#include "support/manual_clock.h"
#include "support/reference_engine.h"
#include "support/turned_encryptor.h"

namespace tuskv::test {
namespace {

using std::chrono::milliseconds;

/// Time goes by for each entry of a page, as on a slow line; keys that somebody holds cannot be written.
class SlowEngine final : public ReferenceEngine {
 public:
  using ReferenceEngine::ReferenceEngine;

  void execute(std::span<Unit> units) override {
    bool waits = false;  // as do those behind a held one
    for (Unit& unit : units) {
      waits = waits || is_held(unit);
      if (waits) {
        fail(unit, "somebody holds the row");
        continue;
      }
      const std::int64_t timeout_ms = unit.timeout_ms;
      ReferenceEngine::execute(std::span(&unit, 1));
      const auto* const scan = std::get_if<Scan>(&unit.commands.front());
      if (scan == nullptr) continue;
      const std::int64_t takes_ms = entry_ms * static_cast<std::int64_t>(scan->entries.size());
      std::this_thread::sleep_for(milliseconds(std::min(takes_ms, timeout_ms)));
      if (takes_ms > timeout_ms) fail(unit, "the line is slow");
    }
  }

  std::int64_t entry_ms = 0;
  std::string held = {};  ///< stored key

 private:
  bool is_held(const Unit& unit) const {
    const auto* const put = std::get_if<Put>(&unit.commands.front());
    return put != nullptr && !held.empty() && put->key == held;
  }
  static void fail(Unit& unit, const char* why) { unit.failure = Status(Code::Timeout, why).take(); }
};

/// Values are under an old key, or a new one.
class OldAndNew final : public Encryptor {
 public:
  std::string encrypt(std::string_view plaintext, std::string_view) const override {
    return "new|" + std::string(plaintext);
  }
  std::string decrypt(std::string_view stored, std::string_view) const override {
    return std::string(stored.substr(4));
  }
  bool needs_reencryption(std::string_view stored) const override { return stored.starts_with("old|"); }
  std::string description() const override { return "in sight"; }
};

class SlowStore : public testing::Test {
 protected:
  static constexpr int kEntries = 150;

  SlowStore() {
    auto made = std::make_unique<SlowEngine>(clock_);
    raw_ = made.get();
    engine_ = encryption::EncryptedEngine::open(
                  {.engine = std::move(made), .encryptor = std::make_shared<OldAndNew>(), .is_kept = false})
                  .value();
    for (int i = 0; i < kEntries; ++i) raw_->put(key(i), "old|needle");
  }
  static std::string key(int i) { return "k" + std::to_string(1000 + i); }

  ManualClock clock_;
  SlowEngine* raw_ = nullptr;
  std::unique_ptr<encryption::EncryptedEngine> engine_;
};

/// How much each page of a search finds; ends at the first that fails.
std::vector<std::size_t> search(Engine& engine, std::int64_t timeout_ms) {
  std::vector<std::size_t> found;
  std::string cursor;
  do {
    Command command(Scan{.range = {.from = std::string_view("\0", 1), .to = std::string_view("\1", 1)},
                         .after = cursor,
                         .limit = 1000,
                         .key_offset = 1});
    std::get<Scan>(command).filter = {.kind = Filter::Kind::contains, .pattern = "needle"};
    Unit unit{.commands = std::span(&command, 1), .timeout_ms = timeout_ms};
    engine.execute(std::span(&unit, 1));
    if (unit.failure != nullptr) {
      ADD_FAILURE() << unit.failure->message;
      break;
    }
    found.push_back(std::get<Scan>(command).entries.size());
    cursor = std::get<Scan>(command).next;
  } while (!cursor.empty());
  return found;
}

std::size_t sum(const std::vector<std::size_t>& numbers) {
  std::size_t total = 0;
  for (const std::size_t number : numbers) total += number;
  return total;
}

// The first page takes a quarter of the time, one four times as long all of it.
TEST_F(SlowStore, S110_ASearchEndsWithWhatItHas) {
  constexpr int kMore = 300;
  for (int i = kEntries; i < kMore; ++i) raw_->put(key(i), "old|needle");
  raw_->entry_ms = 8;
  const std::vector<std::size_t> found = search(*engine_, 2000);
  EXPECT_EQ(sum(found), static_cast<std::size_t>(kMore));
  ASSERT_FALSE(found.empty());
  EXPECT_GE(found.front(), 64u);
}

TEST_F(SlowStore, S110_ASearchWhoseFirstPageIsTooMuchAsksForLess) {
  raw_->entry_ms = 20;
  for (int i = 30; i < kEntries; ++i) raw_->erase(key(i));
  EXPECT_EQ(sum(search(*engine_, 1000)), 30u);
}

ReencryptReport reencrypt(encryption::EncryptedEngine& engine, std::int64_t timeout_ms, int& pages) {
  ReencryptReport report;
  pages = 0;
  for (ReencryptionWalk walk; !walk.done; ++pages) {
    const Status status = engine.reencrypt_page(walk, timeout_ms, report);
    if (status.ok()) continue;
    ADD_FAILURE() << status.failure().message;
    break;
  }
  return report;
}

// What has been read is rewritten, however long the reading took.
TEST_F(SlowStore, S111_APageThatWasReadIsRewrittenWhole) {
  raw_->entry_ms = 10;
  int pages = 0;
  const ReencryptReport report = reencrypt(*engine_, 2000, pages);
  EXPECT_EQ(report.rewritten, static_cast<std::uint64_t>(kEntries));
  EXPECT_EQ(report.examined, static_cast<std::uint64_t>(kEntries));
  EXPECT_LE(pages, 6);
}

TEST_F(SlowStore, S111_APageThatIsTooMuchIsReadInParts) {
  raw_->entry_ms = 20;
  for (int i = 130; i < kEntries; ++i) raw_->erase(key(i));
  int pages = 0;
  const ReencryptReport report = reencrypt(*engine_, 1000, pages);
  EXPECT_EQ(report.rewritten, 130u);
  EXPECT_EQ(report.examined, 130u);
}

TEST_F(SlowStore, S109_AnEntryThatSomebodyHoldsIsLeftAndTheRestRewritten) {
  raw_->held = std::string(1, '\0') + key(10);
  int pages = 0;
  const ReencryptReport report = reencrypt(*engine_, 2000, pages);
  EXPECT_EQ(report.examined, static_cast<std::uint64_t>(kEntries));
  EXPECT_EQ(report.rewritten, static_cast<std::uint64_t>(kEntries - 1));
  EXPECT_EQ(report.left, 1u);
}

}  // namespace
}  // namespace tuskv::test
