// Filters over values that the engine cannot read give the pages that they give in plain text.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "encryption/encrypted_store.h"
#include "session.h"

namespace tuskv::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::string_view kFrom("\0", 1);
constexpr std::string_view kTo("\1", 1);

Scan search_for(std::string_view needle) {
  return {.range = {.from = kFrom, .to = kTo},
          .filter = {.kind = Filter::Kind::contains, .pattern = needle},
          .key_offset = 1};
}

Status run(Executor& executor, Scan& scan) {
  Command command(std::in_place_type<Scan>, scan);
  Unit unit{.commands = std::span(&command, 1)};
  executor.execute(std::span(&unit, 1));
  scan = std::get<Scan>(std::move(command));
  return Status(std::move(unit.failure));
}

std::vector<std::string> keys_of(const Scan& scan) {
  std::vector<std::string> keys;
  for (const Entry& entry : scan.entries) keys.push_back(entry.key);
  return keys;
}

/// All pages; each within its limits.
std::vector<std::string> search_all(Executor& executor, const Scan& pattern) {
  std::vector<std::string> keys;
  std::string cursor;
  do {
    Scan page = pattern;
    page.after = cursor;
    EXPECT_TRUE(run(executor, page).ok());
    EXPECT_LE(page.entries.size(), page.limit);
    for (const std::string& key : keys_of(page)) keys.push_back(key);
    cursor = page.next;
  } while (!cursor.empty());
  return keys;
}

class EncryptedSearch : public testing::Test {
 protected:
  /// The same entries, encrypted and not: every third value has the needle.
  void SetUp() override {
    for (int i = 1000; i < 1300; ++i) {
      const std::string key = "k" + std::to_string(i);
      const std::string value = (i % 3 == 0 ? "has the needle " : "has none ") + std::to_string(i);
      encrypted_->set(key, value);
      plain_.put(key, value);
    }
  }

  EncryptedStore encrypted_{aes_256_gcm(ring_of(1, 'k'))};
  ManualClock clock_;
  ReferenceEngine plain_{clock_};
};

TEST_F(EncryptedSearch, PagesAreThoseOfPlainText) {
  for (const bool reverse : {false, true}) {
    for (const std::size_t limit : {1u, 7u, 100u, 1000u}) {
      for (const std::size_t examined : {0u, 1u, 10u, 250u}) {
        Scan scan = search_for("needle");
        scan.reverse = reverse;
        scan.limit = limit;
        scan.max_examined = examined;
        const std::vector<std::string> found = search_all(*encrypted_.engine, scan);
        EXPECT_EQ(found.size(), 100u);
        EXPECT_EQ(found, search_all(plain_, scan)) << reverse << " " << limit << " " << examined;
      }
    }
  }
}

TEST_F(EncryptedSearch, APageShowsWhatWasAskedForAndEndsWhereThePlainOneDoes) {
  for (const Want want : {Want::nothing, Want::meta, Want::value}) {
    Scan scan = search_for("needle 12");
    scan.want = want;
    scan.limit = 2;
    Scan plain = scan;
    ASSERT_TRUE(run(*encrypted_.engine, scan).ok());
    ASSERT_TRUE(run(plain_, plain).ok());
    EXPECT_THAT(keys_of(scan), ElementsAre("k1200", "k1203"));
    EXPECT_EQ(scan.next, plain.next);
    EXPECT_EQ(scan.entries[0].value, want == Want::value ? "has the needle 1200" : "");
    EXPECT_EQ(scan.entries[0].version.number != 0, want != Want::nothing);
  }
  Scan last = search_for("needle 1299");
  ASSERT_TRUE(run(*encrypted_.engine, last).ok());
  EXPECT_THAT(keys_of(last), ElementsAre("k1299"));
  EXPECT_EQ(last.next, "");
}

TEST_F(EncryptedSearch, NothingOfTheCiphertextIsFound) {
  Scan scan = search_for(std::string_view("\1\0\0\0\1", 5));  // how each begins
  ASSERT_TRUE(run(*encrypted_.engine, scan).ok());
  EXPECT_THAT(keys_of(scan), IsEmpty());
}

TEST_F(EncryptedSearch, AValueThatCannotBeDecryptedFailsTheSearchByName) {
  encrypted_.raw->put("k1100", "has the needle");
  Scan scan = search_for("needle");
  scan.limit = 1000;
  const Status status = run(*encrypted_.engine, scan);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.failure().code, Code::Encryption);
  EXPECT_THAT(status.failure().message, testing::HasSubstr("\"k1100\""));
}

TEST_F(EncryptedSearch, ATransactionSeesItsOwnWritesAndNoticesThoseOfOthers) {
  for (const bool interferes : {false, true}) {
    Session session(*encrypted_.engine, {});
    Command put(Put{.key = std::string_view("\0k1001", 6), .value = "a needle of its own"});
    Unit unit{.commands = std::span(&put, 1)};
    session.execute(std::span(&unit, 1));
    ASSERT_EQ(unit.failure, nullptr);
    Scan scan = search_for("needle");
    scan.limit = 1000;
    ASSERT_TRUE(run(session, scan).ok());
    EXPECT_EQ(scan.entries.size(), 101u);
    if (interferes) encrypted_->set("k1299", "has no longer");
    const Status committed = session.commit();
    EXPECT_EQ(committed.ok(), !interferes);
    EXPECT_TRUE(committed.ok() || committed.failure().code == Code::Conflict);
    encrypted_->set("k1001", "has none");
  }
}

/// No encryption at all, which may take its time for each value.
class Slow final : public Encryptor {
 public:
  explicit Slow(std::chrono::milliseconds pause) : pause_(pause) {}
  std::string encrypt(std::string_view plaintext, std::string_view) const override { return std::string(plaintext); }
  std::string decrypt(std::string_view stored, std::string_view) const override {
    if (pause_.count() != 0) std::this_thread::sleep_for(pause_);
    return std::string(stored);
  }
  bool needs_reencryption(std::string_view) const override { return false; }
  std::string description() const override { return "slow"; }

 private:
  const std::chrono::milliseconds pause_;
};

TEST(EncryptedSearchPages, EndWithACursorWhenHalfOfTheTimeHasPassed) {
  EncryptedStore store(std::make_shared<Slow>(std::chrono::milliseconds(1)));
  for (int i = 1000; i < 1100; ++i) store->set("k" + std::to_string(i), "needle");
  int pages = 0;
  std::size_t found = 0;
  std::string cursor;
  do {
    Command command(search_for("needle"));
    std::get<Scan>(command).after = cursor;
    std::get<Scan>(command).limit = 1000;
    Unit unit{.commands = std::span(&command, 1), .timeout_ms = 40};
    store.engine->execute(std::span(&unit, 1));
    ASSERT_EQ(unit.failure, nullptr);
    found += std::get<Scan>(command).entries.size();
    cursor = std::get<Scan>(command).next;
    ++pages;
  } while (!cursor.empty());
  EXPECT_EQ(found, 100u);
  EXPECT_GE(pages, 5);  // 20 ms each
}

TEST(EncryptedSearchPages, EndWithTheirBytes) {
  EncryptedStore store(std::make_shared<Slow>(std::chrono::milliseconds(0)));
  for (int i = 0; i < 200; ++i) store->set("a" + std::to_string(i), "small");
  for (int i = 10; i < 50; ++i) store->set("b" + std::to_string(i), std::string(1 << 20, 'v'));
  Scan page = search_for("needle");
  std::vector<std::string> ends;
  do {
    page.after = ends.empty() ? std::string_view() : ends.back();
    ASSERT_TRUE(run(*store.engine, page).ok());
    ends.push_back(page.next);
  } while (!page.next.empty());
  EXPECT_THAT(ends, ElementsAre(std::string("\0b25", 4), std::string("\0b41", 4), ""));
}

TEST_F(EncryptedSearch, AsynchronouslyItRunsOnTheThread) {
  struct Waiting final : Submission {
    std::promise<void> ended = {};
  };
  Command command(search_for("needle"));
  Waiting waiting;
  waiting.unit.commands = std::span(&command, 1);
  waiting.done = [](Submission& submission) noexcept { static_cast<Waiting&>(submission).ended.set_value(); };
  encrypted_.engine->submit(waiting);
  waiting.ended.get_future().wait();
  ASSERT_EQ(waiting.unit.failure, nullptr);
  EXPECT_EQ(std::get<Scan>(command).entries.size(), 100u);
}

TEST(EncryptedSearchPages, LookAtNoMoreThanTheyMayAndFailWithNothing) {
  EncryptedStore store(aes());
  for (int i = 100; i < 300; ++i) store->set("k" + std::to_string(i), "hay");
  Scan search = search_for("needle");
  search.max_examined = 100;
  ASSERT_TRUE(run(*store.engine, search).ok());
  EXPECT_EQ(search.next, std::string("\0k199", 5));
  store->set("k100", "needle");
  store.raw->put("k101", "plain text");
  search = search_for("needle");
  EXPECT_FALSE(run(*store.engine, search).ok());
  EXPECT_THAT(search.entries, IsEmpty());
}

}  // namespace
}  // namespace tuskv::test
