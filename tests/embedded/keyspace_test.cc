// The keyspace against std::map: points, order, expiry, loading from disk.
#include "embedded/keyspace.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "embedded/batch.h"
#include "embedded/hash_table.h"
#include "embedded/scan.h"
#include "support/random.h"
#include "support/random_seed.h"

namespace tuskv::embedded {
namespace {

struct ModelEntry {
  std::string value;
  std::int64_t expires_us = 0;
  std::uint64_t sequence = 0;
};
using Model = std::map<std::string, ModelEntry>;

Change put(std::string_view key, std::string_view value, std::int64_t expires_us = 0) {
  return {.op = ChangeOp::put,
          .key = key,
          .value = value,
          .expires_us = expires_us,
          .created_us = 1000,
          .updated_us = 2000};
}

/// Applies one change the way the engine does, without a log.
void apply(Keyspace& keyspace, const Change& change, std::uint64_t sequence) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
  const std::uint64_t hash = keyspace.hash(change.key);
  Shard& shard = keyspace.shard(keyspace.shard_index(hash));
  shard.writer.lock();
  os::AdoptedLock writer(shard.writer);
  shard.make_room(1);
  PreparedChange prepared = shard.prepare(hash, change);
  os::WriterLock map(shard.map);
  shard.install(prepared, sequence);
}

std::vector<std::string> keys_of(const Keyspace& keyspace, const WalkBounds& bounds, std::size_t limit = SIZE_MAX) {
  std::vector<std::string> keys;
  walk(keyspace, bounds, limit, [&](const EntryView& entry) {
    keys.emplace_back(entry.key);
    return true;
  });
  return keys;
}

void expect_equal(const Keyspace& keyspace, const Model& model) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
  ASSERT_EQ(keyspace.entry_count(), model.size());
  auto expected = model.begin();
  std::uint64_t key_bytes = 0;
  std::uint64_t value_bytes = 0;
  walk(keyspace, {}, SIZE_MAX, [&](const EntryView& entry) {
    EXPECT_EQ(entry.key, expected->first);
    EXPECT_EQ(entry.value, expected->second.value);
    EXPECT_EQ(entry.expires_us, expected->second.expires_us);
    EXPECT_EQ(entry.sequence, expected->second.sequence);
    key_bytes += entry.key.size();
    value_bytes += entry.value.size();
    return ++expected != model.end();
  });
  EXPECT_EQ(expected, model.end());
  EXPECT_EQ(keyspace.key_bytes(), key_bytes);
  EXPECT_EQ(keyspace.value_bytes(), value_bytes);
  for (const auto& [key, entry] : model) {
    const std::uint64_t hash = keyspace.hash(key);
    const StoredEntry* stored = keyspace.shard(keyspace.shard_index(hash)).find(hash, key);
    ASSERT_NE(stored, nullptr) << key;
    EXPECT_EQ(stored->value(), entry.value);
  }
}

class RandomChanges {
 public:
  explicit RandomChanges(std::uint64_t seed) : random_(seed) {}

  std::string key() { return "key:" + std::to_string(pick(300)) + std::string(pick(20), 'k'); }
  std::string value() { return std::string(pick(10) == 0 ? pick(9000) : pick(40), static_cast<char>('a' + pick(26))); }
  std::int64_t expiry() { return pick(2) == 0 ? 0 : static_cast<std::int64_t>(1'000'000 + pick(1000)); }
  std::size_t pick(std::size_t bound) { return random_.below(bound); }

 private:
  test::Random random_;
};

/// Draws a change and applies it to the model; the strings live in `key` and `value`.
Change draw(RandomChanges& random, Model& model, std::uint64_t sequence, std::string& key, std::string& value) {
  key = random.key();
  value = random.value();
  const std::int64_t expires_us = random.expiry();
  switch (random.pick(4)) {
    case 0: model.erase(key); return {.op = ChangeOp::erase, .key = key};
    case 1:
      if (const auto found = model.find(key); found != model.end()) {
        found->second.expires_us = expires_us;
        found->second.sequence = sequence;
      }
      return {.op = ChangeOp::touch, .key = key, .expires_us = expires_us, .updated_us = 3000};
    default:
      model[key] = {.value = value, .expires_us = expires_us, .sequence = sequence};
      return put(key, value, expires_us);
  }
}

TEST(HashTableTest, G1KeysWhoseHashesCollideAreToldApart) {
  constexpr std::uint64_t kHash = 0x1234567890abcdef;
  HashTable table(8);
  std::vector<StoredEntry*> entries;
  for (const std::string key : {"a", "b", "ab", "c"}) {
    EXPECT_EQ(table.find(kHash, key), nullptr);
    entries.push_back(StoredEntry::make(put(key, "of " + key), 1));
    table.insert(kHash, entries.back());
  }
  table.erase(kHash, entries[1]);
  for (StoredEntry* entry : entries) {
    EXPECT_EQ(table.find(kHash, entry->key()), entry == entries[1] ? nullptr : entry) << entry->key();
  }
  for (StoredEntry* entry : entries) StoredEntry::destroy(entry);  // every look-up compares with all of them
}

TEST(WriterSetLockTest, AllItsMutexesShareOneDeadline) {
  Keyspace keyspace(2, 1);
  std::atomic<bool> held = false;
  std::atomic<bool> given_up = false;
  std::thread holder([&]() TUSKV_NO_THREAD_SAFETY_ANALYSIS {
    keyspace.lock_all_writers();
    held = true;
    held.notify_all();
    std::this_thread::sleep_for(std::chrono::milliseconds(900));
    keyspace.shard(0).writer.unlock();
    given_up.wait(false);
    keyspace.shard(1).writer.unlock();
  });
  held.wait(false);
  ShardSet both;
  both.add_all(2);
  const auto begin = std::chrono::steady_clock::now();
  std::int64_t left_ms = 1000;
  const WriterSetLock lock(keyspace, both, left_ms);
  EXPECT_FALSE(lock.held());
  EXPECT_EQ(left_ms, 0);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(1800)) << "1000 ms for each of them";
  given_up = true;
  given_up.notify_all();
  holder.join();
}

TEST(KeyspaceTest, RandomChangesAgreeWithAMap) {
  RandomChanges random(test::random_seed());
  Keyspace keyspace(16, 7);
  Model model;
  std::string key;
  std::string value;
  for (std::uint64_t sequence = 1; sequence <= 20'000; ++sequence) {
    apply(keyspace, draw(random, model, sequence, key, value), sequence);
    if (sequence % 4000 == 0) expect_equal(keyspace, model);
  }
  expect_equal(keyspace, model);
}

TEST(KeyspaceTest, ReplayGivesTheSameStateWhereverItStarts) {
  RandomChanges random(test::random_seed());
  Model model;
  struct Logged {
    std::string key;
    std::string value;
    Change change;
  };
  std::vector<Logged> log(5000);
  Model halfway;
  for (std::size_t i = 0; i < log.size(); ++i) {
    log[i].change = draw(random, model, i + 1, log[i].key, log[i].value);
    if (i + 1 == log.size() / 2) halfway = model;
  }
  // A dump of any state between the start and the end of the log, then the whole log: older changes must not undo newer
  // entries.
  for (const Model& dumped : {Model(), halfway, model}) {
    Keyspace keyspace(16, 7);
    for (const auto& [key, entry] : dumped) {
      keyspace.load_entry(keyspace.hash(key), put(key, entry.value, entry.expires_us), entry.sequence);
    }
    for (std::size_t i = 0; i < log.size(); ++i) {
      const std::uint64_t hash = keyspace.hash(log[i].key);
      keyspace.replay(keyspace.shard_index(hash), hash, log[i].change, i + 1);
    }
    for (std::size_t shard = 0; shard < keyspace.shard_count(); ++shard) keyspace.finish_loading(shard);
    expect_equal(keyspace, model);
  }
}

/// Opening needs memory for what is live, however long the log.
TEST(KeyspaceTest, S15_ReplayFreesWhatIsSupersededAtOnce) {
  constexpr std::size_t kValueBytes = 64 << 10;
  Keyspace keyspace(1, 1);
  const std::string value(kValueBytes, 'v');
  const auto replay = [&](const Change& change, std::uint64_t sequence) {
    keyspace.replay(0, keyspace.hash(change.key), change, sequence);
  };
  replay(put("k", value), 1);
  replay(put("kept", value), 2);
  const std::size_t before = ::mallinfo2().uordblks;
  for (std::uint64_t sequence = 3; sequence < 200; ++sequence) {
    replay(put("k", value), sequence);
    replay(put("erased", value), sequence);
    replay({.op = ChangeOp::erase, .key = "erased"}, sequence + 1);
  }
  EXPECT_LT(::mallinfo2().uordblks, before + 4 * kValueBytes);
  keyspace.finish_loading(0);
  std::string keys;
  walk(keyspace, {}, SIZE_MAX, [&](const EntryView& entry) {
    keys.append(entry.key).append(" ");
    return true;
  });
  EXPECT_EQ(keys, "k kept ");
}

TEST(KeyspaceTest, ReplayedRangeSparesNewerEntries) {
  Keyspace keyspace(16, 7);
  Model model;
  for (std::uint64_t i = 0; i < 200; ++i) {
    const std::string key = "k" + std::to_string(1000 + i);
    const std::uint64_t sequence = i % 2 == 0 ? 5 : 15;
    keyspace.load_entry(keyspace.hash(key), put(key, "v"), sequence);
    if (sequence > 10 || key < "k1050") model[key] = {.value = "v", .sequence = sequence};
  }
  for (std::size_t shard = 0; shard < keyspace.shard_count(); ++shard) {
    keyspace.replay(shard, 0, {.op = ChangeOp::erase_range, .key = "k1050", .value = ""}, 10);
    keyspace.finish_loading(shard);
  }
  expect_equal(keyspace, model);
}

TEST(KeyspaceTest, WalksInBothDirectionsFromAnyCursor) {
  Keyspace keyspace(16, 7);
  std::vector<std::string> all;
  for (int i = 100; i < 400; ++i) all.push_back("k" + std::to_string(i));
  for (const std::string& key : all) apply(keyspace, put(key, "v"), 1);
  const Range range{.from = "k150", .to = "k350"};
  const std::vector<std::string> inside(all.begin() + 50, all.begin() + 250);
  EXPECT_EQ(keys_of(keyspace, {.range = range}), inside);
  EXPECT_EQ(keys_of(keyspace, {.range = range, .reverse = true}),
            std::vector<std::string>(inside.rbegin(), inside.rend()));
  EXPECT_EQ(keys_of(keyspace, {.range = range, .after = "k199x"}),
            std::vector<std::string>(inside.begin() + 50, inside.end()));
  EXPECT_EQ(keys_of(keyspace, {.range = range, .after = "k100"}), inside);
  EXPECT_EQ(keys_of(keyspace, {.range = range, .after = "k200", .reverse = true}),
            std::vector<std::string>(inside.rend() - 50, inside.rend()));
  EXPECT_EQ(keys_of(keyspace, {.range = {.from = "k398"}}), (std::vector<std::string>{"k398", "k399"}));
  EXPECT_TRUE(walk(keyspace, {.range = range}, 200, [](const EntryView&) { return true; }).exhausted);
  EXPECT_FALSE(walk(keyspace, {.range = range}, 199, [](const EntryView&) { return true; }).exhausted);
}

/// Shards are asked for little more than their part; of one that has more of the earliest than that, more is asked for.
TEST(KeyspaceTest, S123_TheEarliestOfAllShardsAreFoundHoweverTheyLie) {
  test::Random random(test::random_seed());
  for (const int percent_in_one_shard : {0, 50, 100}) {
    Keyspace keyspace(16, random.next());
    std::vector<std::int64_t> expiries;
    std::uint64_t dead_in_shard_3 = 0;
    while (expiries.size() < 5'000) {
      const std::string key = std::to_string(random.next());
      const bool in_one = keyspace.shard_index(keyspace.hash(key)) == 3;
      if (!in_one && random.chance(percent_in_one_shard)) continue;
      expiries.push_back(1 + static_cast<std::int64_t>(random.below(10'000)));
      if (in_one && expiries.back() <= 9'000) ++dead_in_shard_3;
      apply(keyspace, put(key, "v", expiries.back()), expiries.size());
    }
    std::sort(expiries.begin(), expiries.end());
    std::erase_if(expiries, [](std::int64_t expires_us) { return expires_us > 9'000; });
    for (const std::size_t limit : {1U, 7U, 16U, 17U, 64U, 1'000U, 4'000U, 10'000U}) {
      const std::int64_t expected = expiries.size() >= limit ? expiries[limit - 1] : 9'000;
      EXPECT_EQ(keyspace.expiry_of_earliest(limit, 9'000), expected) << limit << " of " << percent_in_one_shard << "%";
    }
    EXPECT_EQ(keyspace.count_expired(3, 9'000), dead_in_shard_3);
  }
}

/// The keys of a dump of all shards.
std::vector<std::string> dumped_keys(const Keyspace& keyspace) {
  std::vector<std::string> keys;
  const auto visit = [](void* context, const EntryView& entry) {
    static_cast<std::vector<std::string>*>(context)->emplace_back(entry.key);
    return true;
  };
  for (std::size_t i = 0; i < keyspace.shard_count(); ++i) keyspace.dump(i, {}, SIZE_MAX, visit, &keys);
  return keys;
}

TEST(KeyspaceTest, S55_WhatIsPlacedIsNotThereBeforeItIsInstalled) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
  const std::vector<std::string> all = {"a", "b", "c"};
  const std::vector<std::string> values = {"1", "a longer one than before", "3"};
  Keyspace keyspace(1, 7);
  Shard& shard = keyspace.shard(0);
  apply(keyspace, put(all[1], values[0]), 1);
  shard.make_room(2);
  std::vector<PreparedChange> changes;
  for (const Change& change : {put(all[0], values[0], 5'000), put(all[1], values[1]), put(all[2], values[2])}) {
    changes.push_back(shard.prepare(keyspace.hash(change.key), change));
  }
  for (int round = 0; round < 2; ++round) {
    for (PreparedChange& change : changes) shard.place(change);
    EXPECT_EQ(shard.ordered().size(), 3u);
    for (const bool reverse : {false, true}) EXPECT_EQ(keys_of(keyspace, {.reverse = reverse}), std::vector{all[1]});
    EXPECT_EQ(keys_of(keyspace, {.range = {.from = "c"}}), std::vector<std::string>());
    EXPECT_EQ(dumped_keys(keyspace), std::vector{all[1]});
    EXPECT_EQ(keyspace.entry_count(), 1u);
    EXPECT_EQ(keyspace.count_expired(0, INT64_MAX), 0u);
    std::vector<std::int64_t> expired;
    shard.list_expired(INT64_MAX, 10, expired);
    EXPECT_TRUE(expired.empty());
    if (round == 1) break;
    for (PreparedChange& change : changes) shard.displace(change);
    EXPECT_EQ(shard.ordered().size(), 1u);
    EXPECT_EQ(keyspace.count_expired(0, INT64_MAX), 0u);
  }
  for (PreparedChange& change : changes) shard.find_place(change);
  for (PreparedChange& change : changes) shard.show(change, 2);
  for (PreparedChange& change : changes) shard.leave(change);
  EXPECT_EQ(keys_of(keyspace, {}), all);
  EXPECT_EQ(dumped_keys(keyspace), all);
  EXPECT_EQ(shard.find(keyspace.hash("b"), "b")->value(), values[1]);
  expect_equal(keyspace, {{"a", {values[0], 5'000, 2}}, {"b", {values[1], 0, 2}}, {"c", {values[2], 0, 2}}});
  EXPECT_EQ(shard.remove_expired(5'000, 10), 1u);
}

/// What holds at every moment between two steps of a large batch, of which nothing can be seen before `shows`, and all
/// behind it.
void expect_whole(Keyspace& keyspace, const Model& model) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
  expect_equal(keyspace, model);
  const Shard& shard = keyspace.shard(0);
  std::vector<std::string> keys;
  std::vector<std::int64_t> expiries;
  for (const auto& [key, entry] : model) {
    keys.push_back(key);
    if (entry.expires_us != 0) expiries.push_back(entry.expires_us);
  }
  std::sort(expiries.begin(), expiries.end());
  EXPECT_EQ(dumped_keys(keyspace), keys);
  EXPECT_EQ(keys_of(keyspace, {.reverse = true}), std::vector<std::string>(keys.rbegin(), keys.rend()));
  std::vector<std::int64_t> listed;
  shard.list_expired(INT64_MAX, SIZE_MAX, listed);
  EXPECT_EQ(listed, expiries);
  EXPECT_EQ(keyspace.count_expired(0, INT64_MAX), expiries.size());
}

TEST(KeyspaceTest, S70_ABatchInStepsIsSeenWhollyOrNotAtAll) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
  constexpr auto kErase = ChangeOp::erase;
  const std::string longer(100, 'v');
  const std::vector<Change> first = {put("erased", "1"),
                                     put("erased ends", "1", 1'000),
                                     put("ends", "1", 2'000),
                                     put("ends later", "1", 3'000),
                                     put("ends never", "1", 4'000),
                                     put("grows", "1"),
                                     put("grows and ends", "1", 5'000),
                                     put("stays", "1", 6'000)};
  const std::vector<Change> second = {{.op = kErase, .key = "erased"},
                                      {.op = kErase, .key = "erased ends"},
                                      put("ends", "2", 2'000),
                                      put("ends later", "2", 8'000),
                                      put("ends never", "2"),
                                      put("grows", longer),
                                      put("grows and ends", longer, 5'000),
                                      put("new", "2"),
                                      put("new ends", "2", 7'000),
                                      {.op = ChangeOp::touch, .key = "stays", .expires_us = 9'000}};
  Keyspace keyspace(1, 7);
  Shard& shard = keyspace.shard(0);
  Model before;
  for (const Change& change : first) {
    apply(keyspace, change, 1);
    before[std::string(change.key)] = {std::string(change.value), change.expires_us, 1};
  }
  Model after;
  for (const Change& change : second) {
    const std::string key(change.key);
    const bool touches = change.op == ChangeOp::touch;
    if (change.op != kErase) after[key] = {touches ? "1" : std::string(change.value), change.expires_us, 2};
  }
  shard.make_room(second.size());
  std::vector<PreparedChange> changes;
  for (const Change& change : second) changes.push_back(shard.prepare(keyspace.hash(change.key), change));
  using Step = void (Shard::*)(PreparedChange&) noexcept;
  const auto take = [&](Step step, const Model& model) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
    for (PreparedChange& change : changes) {
      (shard.*step)(change);
      expect_whole(keyspace, model);
    }
  };
  expect_whole(keyspace, before);
  take(&Shard::place, before);
  take(&Shard::displace, before);
  EXPECT_EQ(shard.ordered().size(), before.size());
  take(&Shard::place, before);
  for (PreparedChange& change : changes) shard.find_place(change);
  for (PreparedChange& change : changes) shard.show(change, 2);
  expect_whole(keyspace, after);
  take(&Shard::leave, after);
  EXPECT_EQ(shard.ordered().size(), after.size());
  EXPECT_EQ(shard.remove_expired(INT64_MAX, SIZE_MAX), 5u);
}

TEST(KeyspaceTest, ExpiredEntriesLeaveEarliestFirst) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
  Keyspace keyspace(16, 7);
  for (int i = 0; i < 1000; ++i) apply(keyspace, put("k" + std::to_string(i), "v", 1 + i), 1);
  std::size_t removed = 0;
  for (std::size_t i = 0; i < keyspace.shard_count(); ++i) {
    Shard& shard = keyspace.shard(i);
    shard.writer.lock();
    while (std::size_t batch = shard.remove_expired(500, 7)) removed += batch;
    shard.writer.unlock();
  }
  EXPECT_EQ(removed, 500U);
  EXPECT_EQ(keyspace.entry_count(), 500U);
  EXPECT_EQ(keys_of(keyspace, {}, 1).front(), "k500");
}

TEST(KeyspaceTest, ErasedKeysLeaveRoomForMany) {
  Keyspace keyspace(16, 7);
  for (int round = 0; round < 200; ++round) {
    for (int i = 0; i < 100; ++i) apply(keyspace, put("r" + std::to_string(round) + "k" + std::to_string(i), "v"), 1);
    for (int i = 0; i < 100; ++i) {
      const std::string key = "r" + std::to_string(round) + "k" + std::to_string(i);
      apply(keyspace, {.op = ChangeOp::erase, .key = key}, 2);
    }
  }
  EXPECT_EQ(keyspace.entry_count(), 0U);
  for (std::size_t i = 0; i < keyspace.shard_count(); ++i) {
    os::ReaderLock lock(keyspace.shard(i).map);
    EXPECT_LT(keyspace.shard(i).index_memory_bytes(), 4096U) << "tombstones pile up";
  }
}

}  // namespace
}  // namespace tuskv::embedded
