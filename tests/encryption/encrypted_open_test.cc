// Opening: which keys a store is opened with, or none; and changing them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
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
#include "support/turned_encryptor.h"
#include "tuskv/maintenance.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""h;
using testing::HasSubstr;
using testing::Not;
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
  EXPECT_THAT(refused(with(kNew)), HasSubstr("the given keys are not its own"));
  EXPECT_THAT(open(with(kOld)).get("k"), Optional(std::string("v")));
  EXPECT_THAT(refused({}), HasSubstr("the store is encrypted"));
}

/// Spoils the first file below the folder that has these bytes in it.
void flip_bit_in(const std::string& folder, std::string_view bytes) {
  for (const auto& found : std::filesystem::recursive_directory_iterator(folder)) {
    if (!found.is_regular_file()) continue;
    std::fstream file(found.path(), std::ios::in | std::ios::out | std::ios::binary);
    const std::string content(std::istreambuf_iterator<char>(file), {});
    const std::size_t place = content.find(bytes);
    if (place == std::string::npos) continue;
    file.clear();
    file.seekp(static_cast<std::streamoff>(place));
    file.put(static_cast<char>(bytes.front() ^ 4));
    return;
  }
  FAIL() << "no file in " << folder << " has these bytes";
}

TEST_F(EncryptedOpen, S106_ARepairThatLosesTheMarkerLeavesTheStoreAnEncryptedOne) {
  {
    const Store store = open(with(kOld));
    fill(store, 300);
    store.snapshot();
  }
  const std::string copied = directory_.path("copied");
  std::filesystem::copy(directory_.path("store/snapshot-1"), copied, std::filesystem::copy_options::recursive);
  for (const std::string& directory : {directory_.path("store"), copied}) {
    SCOPED_TRACE(directory);
    url_ = "file:" + directory;
    flip_bit_in(directory, encryption::kMarkerKey);
    EXPECT_GT(repair(directory).entries_dropped.value(), 0u);
    EXPECT_THAT(refused({}), StartsWith("Config: the store is encrypted"));
    EXPECT_THAT(refused(with(kNew)), HasSubstr("the given keys are not its own"));
    const std::uint64_t kept = open(with(kOld)).count();  // which marks it again
    EXPECT_GT(kept, 100u);
    EXPECT_THAT(refused({}), StartsWith("Config: the store is encrypted"));
    EXPECT_EQ(open(with(kOld)).count(), kept);
  }
}

TEST_F(EncryptedOpen, S106_WhatIsRestoredIsEncryptedIfItWas) {
  {
    const Store plain = open({});
    plain.set("k", "plain");
    plain.snapshot();
    plain.clear();
  }
  open(with(kOld)).set("k", "encrypted");
  const std::uint64_t encrypted = restore_snapshot(directory_.path("store"), 1).ordinal;
  EXPECT_THAT(refused(with(kOld)), HasSubstr("not encrypted with these keys"));
  EXPECT_THAT(open({}).get("k"), Optional(std::string("plain")));
  restore_snapshot(directory_.path("store"), encrypted);
  EXPECT_THAT(refused({}), StartsWith("Config: the store is encrypted"));
  EXPECT_THAT(open(with(kOld)).get("k"), Optional(std::string("encrypted")));
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

// ---- an encryptor that fails

TEST_F(EncryptedOpen, S107_AnEncryptorThatFailsIsNotTakenForOneWithOtherKeys) {
  bool is_reachable = true;
  const auto vault = std::make_shared<TurnedEncryptor>("key", [&](std::string_view) {
    if (!is_reachable) throw std::runtime_error("the vault is unreachable");
  });
  const Options options{.ttl_mode = TtlMode::manual, .encryptor = vault};
  open(options).set("k", "v");
  for (const bool has_marker : {true, false}) {
    if (!has_marker) run_raw(Erase{.key = encryption::kMarkerKey});
    is_reachable = false;
    const std::string refusal = refused(options);
    EXPECT_THAT(refusal, StartsWith("Encryption: "));
    EXPECT_THAT(refusal, HasSubstr("the vault is unreachable"));
    EXPECT_THAT(refusal, Not(HasSubstr("keys")));
    is_reachable = true;
  }
  EXPECT_THAT(open(options).get("k"), Optional(std::string("v")));
  EXPECT_THAT(refused({.encryptor = std::make_shared<TurnedEncryptor>("other")}), HasSubstr("are not its own"));
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

TEST_F(EncryptedOpen, S114_NobodyCountsTheMarker) {
  const auto entries_of = [](const std::vector<SnapshotInfo>& list) {
    std::vector<std::uint64_t> entries;
    for (const SnapshotInfo& info : list) entries.push_back(info.entries);
    return entries;
  };
  {
    const Store plain = open({});
    fill(plain, 3);
    plain.snapshot();
    plain.clear();
  }
  const std::vector<std::uint64_t> expected = {3, 2};  // the first is from before there was a marker
  {
    const Store store = open(with(kOld));
    fill(store, 2);
    EXPECT_EQ(store.snapshot().entries, 2u);
    EXPECT_EQ(entries_of(store.snapshots()), expected);
    EXPECT_EQ(store.stats().entries, 2u);
  }
  EXPECT_EQ(check(directory_.path("store")).entries, std::optional<std::uint64_t>(2));
  EXPECT_EQ(entries_of(list_snapshots(directory_.path("store"))), expected);
  url_ += "/snapshot-1";
  EXPECT_EQ(open({}).stats().entries, 3u);
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
    EXPECT_TRUE(store.claim("name", "owner"));
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

TEST_F(EncryptedOpen, S108_ReencryptionFindsDamageUnderTheFirstKeyToo) {
  { open(with(kBoth)); }
  const std::string_view key("\0k", 2);
  std::string damaged = aes_256_gcm(kNew)->encrypt("v", key);
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  run_raw(Put{.key = key, .value = damaged});
  const ReencryptReport report = open(with(kBoth)).reencrypt();
  EXPECT_EQ(report.examined, 1u);
  EXPECT_EQ(report.rewritten, 0u);
  EXPECT_EQ(report.unreadable, 1u);
  EXPECT_EQ(report.first_unreadable, "\"k\"");
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
