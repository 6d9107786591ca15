// Opening: which keys a store is opened with, or none; and changing them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "embedded/embedded_engine.h"
#include "encryption/encrypted_store.h"
#include "encryption/refusal.h"
#include "os/clock.h"
#include "os/file_system.h"
#include "support/forked.h"
#include "support/temporary_directory.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""h;
using testing::HasSubstr;
using testing::Optional;
using testing::StartsWith;

const KeyRing kOld = ring_of(1, 'o');
const KeyRing kNew = ring_of(2, 'n');
const KeyRing kBoth = KeyRing(kNew).add(1, std::string(32, 'o'));

/// k0, k1, … with their numbers as values, in one call: each call costs a sync.
void fill(const Store& store, int entries) {
  std::vector<std::string> texts;
  for (int i = 0; i < entries; ++i) texts.push_back("k" + std::to_string(i));
  std::vector<Item> items;
  for (const std::string& text : texts) items.push_back({.key = text, .value = std::string_view(text).substr(1)});
  store.set_many(items);
}

class EncryptedOpen : public testing::Test {
 protected:
  Options with(const KeyRing& keys) const { return {.ttl_mode = TtlMode::manual, .encryptor = aes_256_gcm(keys)}; }
  Store open(const Options& options) const { return open_store(url_, options, {.clock = &clock_}); }
  std::string refused(const Options& options) const {
    return refusal_of([&] { return open(options); });
  }
  /// Works on what is stored, past any encryption.
  template <class Work>
  void on_raw_engine(Work work) {
    const auto files = os::make_posix_file_system();
    const auto engine = embedded::EmbeddedEngine::open({.directory = directory_.path("store")}, *files, clock_).value();
    work(*engine);
    ASSERT_TRUE(engine->close().ok());
  }
  void run_raw(Command command) {
    on_raw_engine([&](Engine& engine) {
      Unit unit{.commands = std::span(&command, 1)};
      engine.execute(std::span(&unit, 1));
      ASSERT_EQ(unit.failure, nullptr);
    });
  }

  TemporaryDirectory directory_;
  std::string url_ = "file:" + directory_.path("store");
  ManualClock clock_;
};

TEST_F(EncryptedOpen, AnEncryptedStoreNeedsItsKeys) {
  { open(with(kOld)); }  // marked with nothing in it
  const std::string without = "Config: the store is encrypted: it cannot be opened without its keys";
  EXPECT_THAT(refused({}), StartsWith(without));
  open(with(kOld)).set("k", "v");
  EXPECT_THAT(refused({}), StartsWith(without));
  EXPECT_THAT(refused(with(kNew)), HasSubstr("the given keys are not its own"));
  EXPECT_THAT(refused(with(kNew)), HasSubstr("key id 1, which is not in the key ring"));
  EXPECT_THAT(refused(with(ring_of(1, 'x'))), HasSubstr("encrypted with another key of id 1"));
  EXPECT_THAT(open(with(kBoth)).get("k"), Optional(std::string("v")));
  EXPECT_THAT(open(with(kOld)).get("k"), Optional(std::string("v")));
}

TEST_F(EncryptedOpen, AStoreInPlainTextIsNotTakenOver) {
  open({}).with_namespace("n").set("k", "v");
  EXPECT_THAT(refused(with(kOld)), HasSubstr("Config: the store holds entries that are not encrypted"));
  EXPECT_THAT(refused(with(kOld)), HasSubstr("tuskv copy FROM TO"));
  const Store store = open({});
  EXPECT_THAT(store.with_namespace("n").get("k"), Optional(std::string("v")));
  store.with_namespace("n").clear();
  store.close();
  open(with(kOld)).set("k", "v");  // an empty one may become either
  EXPECT_THAT(refused({}), HasSubstr("the store is encrypted"));
}

TEST_F(EncryptedOpen, WhatHasExpiredInPlainTextIsNotTakenOverEither) {
  {
    const Store store = open({.ttl_mode = TtlMode::manual});
    store.set("k", "v", {.ttl = 1h});
    clock_.advance_ms(2 * 3'600'000);
    EXPECT_FALSE(store.get("k"));
  }
  EXPECT_THAT(refused(with(kOld)), HasSubstr("the store holds entries that are not encrypted"));
}

TEST_F(EncryptedOpen, ALostMarkerIsPutBackWhereTheEntriesDecrypt) {
  open(with(kOld)).set("k", "v");
  run_raw(Erase{.key = encryption::kMarkerKey});
  EXPECT_THAT(refused(with(kNew)), HasSubstr("not encrypted with these keys"));
  EXPECT_THAT(open(with(kOld)).get("k"), Optional(std::string("v")));
  EXPECT_THAT(refused({}), HasSubstr("the store is encrypted"));
}

TEST_F(EncryptedOpen, WhoMayNotMakeAStoreMarksItWithItsFirstValue) {
  const std::vector<std::function<void(const Store&)>> writes = {
      [](const Store& s) { s.set("k", "v"); },
      [](const Store& s) { s.increment("k"); },
      [](const Store& s) { submitted(s.async().set("k", std::string("v"))); },
      [](const Store& s) { submitted(s.async().increment("k")); },
      [](const Store& s) { s.transaction([](Transaction& tx) { tx.set("k", "v"); }); },
  };
  Options reader = with(kOld);
  reader.create = false;
  for (const auto& write : writes) {
    {
      open({});
    }
    {
      const Store store = open(reader);
      EXPECT_FALSE(store.get("k"));
      EXPECT_FALSE(store.erase("k"));
      EXPECT_EQ(store.stats().entries, 0u);
    }
    { open({}); }  // reading has not made it an encrypted one
    const Store writer = open(reader);
    write(writer);
    writer.close();  // the last handle of an asynchronous call may go later
    EXPECT_THAT(refused({}), HasSubstr("the store is encrypted"));
    std::filesystem::remove_all(directory_.path("store"));
  }
}

TEST_F(EncryptedOpen, S92_WhoOnlyReadsMarksNothing) {
  { open({}); }
  Options reader = with(kOld);
  reader.read_only = true;
  {
    const Store store = open(reader);
    EXPECT_FALSE(store.get("k"));
    EXPECT_THROW(store.set("k", "v"), Error);
  }
  { open({}); }
  open(with(kOld)).set("k", "v");
  EXPECT_THAT(open(reader).get("k"), Optional(std::string("v")));
  EXPECT_THROW(open(reader).increment("n"), Error);
}

// ---- two processes

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
  const encryption::Sealer other(aes_256_gcm(kOld));
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

TEST_F(EncryptedOpen, AMarkerSaysWhatItIs) {
  { open(with(kOld)); }
  run_raw(Put{.key = encryption::kMarkerKey, .value = aes_256_gcm(kOld)->encrypt("else", encryption::kMarkerKey)});
  EXPECT_THAT(refused(with(kOld)), HasSubstr("its marker says something else"));
}

TEST_F(EncryptedOpen, AMarkerIsAsSafeAsAnyValue) {
  { open(with(kOld)); }
  run_raw(Put{.key = encryption::kMarkerKey, .value = "tuskv encrypted store"});
  EXPECT_THAT(refused(with(kOld)), HasSubstr("the given keys are not its own"));
  EXPECT_THAT(refused({}), HasSubstr("the store is encrypted"));
}

TEST_F(EncryptedOpen, TheMarkerIsNowhereToBeSeen) {
  const Store store = open(with(kOld));
  EXPECT_EQ(store.stats().entries, 0u);
  EXPECT_EQ(store.stats().key_bytes, 0u);
  EXPECT_EQ(store.stats().value_bytes, 0u);
  EXPECT_EQ(store.count(), 0u);
  EXPECT_TRUE(store.namespaces().empty());
  EXPECT_EQ(store.snapshot().entries, 0u);
  EXPECT_EQ(store.snapshots().back().entries, 0u);
  EXPECT_EQ(store.stats().newest_snapshot->entries, 0u);
  store.clear();
  store.close();
  EXPECT_THAT(refused({}), HasSubstr("the store is encrypted"));
}

TEST_F(EncryptedOpen, KeysFromAFileByOptionOrUrl) {
  const std::string path = directory_.path("keys");
  std::ofstream(path) << "1:" + std::string(64, '3') + "\n";
  EXPECT_THAT(refused({.encryption_key_file = path}),
              HasSubstr("option \"encryption_key_file\": the key file can be read or written by others"));
  EXPECT_FALSE(std::filesystem::exists(directory_.path("store")));
  ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
  open({.encryption_key_file = path}).set("k", "v");
  const std::string bare = url_;
  url_ = bare + "?encryption_key_file=" + path;
  EXPECT_THAT(open({}).get("k"), Optional(std::string("v")));
  EXPECT_THAT(open(with(kOld)).get("k"), Optional(std::string("v")));  // the URL wins
  url_ = bare + "?encryption_key_file=none";
  EXPECT_THAT(refused(with(kOld)), HasSubstr("the store is encrypted"));
  url_ = bare + "?encryption_key_file=";
  EXPECT_THAT(refused({}), HasSubstr("option \"encryption_key_file\" must be the path of a file"));
  url_ = bare;
  Options both = with(kOld);
  both.encryption_key_file = path;
  EXPECT_EQ(refused(both), "Config: the options \"encryptor\" and \"encryption_key_file\" exclude each other");
}

TEST_F(EncryptedOpen, G3_EncryptedValuesAreNotForJsonColumns) {
  url_ = "postgresql://nowhere.invalid/db?value_type=jsonb";
  EXPECT_EQ(refused(with(kOld)),
            "Config: encrypted values are no JSON: value_type=jsonb cannot be encrypted (use bytea)");
}

// ---- changing keys

TEST_F(EncryptedOpen, ReencryptionBringsEverythingUnderTheFirstKey) {
  {
    const Store store = open(with(kOld));
    store.set("lives", "long", {.ttl = 1h});
    fill(store, 700);
    store.with_namespace("n").set("k", "v");
    store.claim("name", "owner");
    clock_.advance_ms(1000);
  }
  Store store = open(with(kBoth));
  const Entry before = *store.get_entry("lives");
  store.set("k0", "new");
  std::uint64_t pages = 0;
  const ReencryptReport report = store.reencrypt([&](const ReencryptReport& done) {
    ++pages;
    EXPECT_LE(done.rewritten, done.examined);
  });
  EXPECT_EQ(report.examined, 704u);  // a claim is two entries
  EXPECT_EQ(report.rewritten, 703u);
  EXPECT_EQ(report.unreadable, 0u);
  EXPECT_EQ(pages, 6u);
  const Entry after = *store.get_entry("lives");
  EXPECT_EQ(after.value, "long");
  EXPECT_EQ(after.expires_at, before.expires_at);
  EXPECT_EQ(after.created_at, before.created_at);
  EXPECT_GT(after.version, before.version);
  EXPECT_EQ(store.reencrypt().rewritten, 0u);
  store.close();
  store = open(with(kNew));
  EXPECT_THAT(store.get("k699"), Optional(std::string("699")));
  EXPECT_THAT(store.with_namespace("n").get("k"), Optional(std::string("v")));
  EXPECT_THAT(store.claim_owner("name"), Optional(std::string("owner")));
  store.close();
  EXPECT_THAT(refused(with(kOld)), HasSubstr("key id 2, which is not in the key ring"));
}

TEST_F(EncryptedOpen, ReencryptionGoesOnWhereItWasBrokenOff) {
  fill(open(with(kOld)), 600);
  {
    const Store store = open(with(kBoth));
    EXPECT_THROW(store.reencrypt([](const ReencryptReport&) { throw std::runtime_error("enough"); }),
                 std::runtime_error);
  }
  EXPECT_THAT(refused(with(kNew)), HasSubstr("the given keys are not its own"));  // the marker is the last
  {
    const Store store = open(with(kBoth));
    EXPECT_EQ(store.reencrypt().rewritten, 600u - 128u);
  }
  EXPECT_EQ(open(with(kNew)).get_many({"k0", "k599"}).size(), 2u);
}

// A child that the function forks has none of the store's threads and shares its files.
TEST_F(EncryptedOpen, S130_AChildForkedInsideReencryptionGoesNoFurther) {
  fill(open(with(kOld)), 200);
  {
    const Store store = open(with(kBoth));
    EXPECT_TRUE(is_refused_in_child([&](auto fork_here) {
      bool has_forked = false;
      store.reencrypt([&](const ReencryptReport&) {
        if (!std::exchange(has_forked, true)) fork_here();
      });
    }));
  }
  EXPECT_EQ(open(with(kBoth)).reencrypt().rewritten, 200u - 128u);
}

TEST_F(EncryptedOpen, ExpiredEntriesThatSomeModeShowsKeepTheOldKeyNeeded) {
  {
    const Store store = open(with(kOld));
    store.set("lives", "v");
    store.set("dies", "v", {.ttl = 1h});
    clock_.advance_ms(2 * 3'600'000);
  }
  ReencryptReport report = open(with(kBoth)).reencrypt();
  EXPECT_EQ(report.examined, 2u);
  EXPECT_EQ(report.rewritten, 1u);
  EXPECT_EQ(report.left, 1u);
  EXPECT_THAT(refused(with(kNew)), HasSubstr("the given keys are not its own"));
  const auto showing = [&](const KeyRing& keys) {
    Options options = with(keys);
    options.ttl_mode = TtlMode::disabled;
    return options;
  };
  report = open(showing(kBoth)).reencrypt();
  EXPECT_EQ(report.rewritten, 1u);
  EXPECT_EQ(report.left, 0u);
  EXPECT_THAT(open(showing(kNew)).get("dies"), Optional(std::string("v")));
}

TEST_F(EncryptedOpen, ReencryptionLosesNoWriteOfOthers) {
  constexpr int kKeys = 300;
  fill(open(with(kOld)), kKeys);
  const Store store = open(with(kBoth));
  std::atomic<bool> done = false;
  std::map<std::string, int> counted;
  std::thread writer([&] {
    for (int i = 0; !done; i = (i + 7) % kKeys) {
      const std::string key = "k" + std::to_string(i);
      store.increment(key);
      ++counted[key];
    }
  });
  while (store.get("k0") == "0") std::this_thread::yield();
  const ReencryptReport report = store.reencrypt();
  done = true;
  writer.join();
  EXPECT_EQ(report.examined, static_cast<std::uint64_t>(kKeys));
  for (const auto& [key, increments] : counted) {
    EXPECT_THAT(store.get(key), Optional(std::to_string(std::stoi(key.substr(1)) + increments))) << key;
  }
  EXPECT_EQ(store.reencrypt().rewritten, 0u);
}

TEST_F(EncryptedOpen, WhatCannotBeDecryptedIsCountedAndKeepsTheOldKeyNeeded) {
  {
    const Store store = open(with(kOld));
    store.set("a", "v");
    store.set("k", "v");
  }
  run_raw(Put{.key = std::string_view("\0k", 2), .value = "plain text"});
  const Store store = open(with(kBoth));
  const ReencryptReport report = store.reencrypt();
  EXPECT_EQ(report.examined, 2u);
  EXPECT_EQ(report.rewritten, 1u);
  EXPECT_EQ(report.unreadable, 1u);
  EXPECT_EQ(report.first_unreadable, "\"k\"");
  store.close();
  EXPECT_THAT(refused(with(kNew)), HasSubstr("the given keys are not its own"));
}

TEST_F(EncryptedOpen, OnlyEncryptedStoresAreReencrypted) {
  EXPECT_EQ(refusal_of([&] { return open({}).reencrypt(); }), "Unsupported: the store is not encrypted");
  url_ = "memory:";
  const Store store = open(with(kBoth));
  store.set("k", "v");
  EXPECT_EQ(store.reencrypt().examined, 1u);
}

}  // namespace
}  // namespace tuskv::test
