// An entry in memory: one allocation holding header, key and value.
//
//   u64 sequence | u32 value size | u16 key size, its top bit: has an expiry | 48-bit created ms | 48-bit updated ms
//   | [i64 expires us] | key | value
//
// 26 bytes of header, 34 with an expiry: most entries have none, and the 8 bytes are a tenth of what a small entry
// costs. Fields are bytes, read and written by memcpy: alignment would round the header up.
//
// A large value is never written over, and the number of its entry's owners stands in front of it: a reader keeps it
// and copies the value when it has let go of the shard's lock. The header is read under the lock alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

#include "embedded/record.h"

namespace tuskv::embedded {

/// What readers see of an entry; valid while the shard's map lock, or its writer mutex, is held.
struct EntryView {
  std::string_view key = {};
  std::string_view value = {};
  std::uint64_t sequence = 0;
  std::int64_t expires_us = 0;  ///< 0: never
  std::int64_t created_us = 0;
  std::int64_t updated_us = 0;
};

/// Stamps are kept, and logged, in whole milliseconds.
constexpr std::int64_t stamp_us(std::int64_t now_us) { return now_us < 0 ? 0 : now_us - now_us % 1000; }

class StoredEntry;
struct EntryRelease {
  void operator()(const StoredEntry* entry) const;
};
/// A large entry that its holder owns as well as the shard.
using KeptEntry = std::unique_ptr<const StoredEntry, EntryRelease>;
/// An entry that nobody can see yet.
using OwnedEntry = std::unique_ptr<StoredEntry, EntryRelease>;

class StoredEntry final {
 public:
  /// A new entry with the contents of `put`.
  static StoredEntry* make(const Change& put, std::uint64_t sequence);
  /// In an index by order and not there: not yet (Shard::place) or no longer (Shard::leave). Sequences begin at 1.
  bool is_hidden() const { return sequence() == 0; }
  void hide() { set_sequence(0); }
  void set_sequence(std::uint64_t sequence) { std::memcpy(sequence_, &sequence, sizeof(sequence)); }
  /// Gives up the ownership of one who made or keeps it.
  static void destroy(StoredEntry* entry);
  /// Too large to be copied under a lock.
  bool is_large() const { return value().size() >= kLargeValueBytes; }
  /// Only a large one, and under the shard's lock; the value can then be read without.
  KeptEntry keep() const;

  StoredEntry() = delete;
  StoredEntry(const StoredEntry&) = delete;
  StoredEntry& operator=(const StoredEntry&) = delete;

  std::string_view key() const { return {body() + (has_expiry() ? kExpiryBytes : 0), key_size()}; }
  std::string_view value() const {
    std::uint32_t value_size;
    std::memcpy(&value_size, value_size_, sizeof(value_size));
    const std::string_view key = this->key();
    return {key.data() + key.size(), value_size};
  }
  std::uint64_t sequence() const {
    std::uint64_t sequence;
    std::memcpy(&sequence, sequence_, sizeof(sequence));
    return sequence;
  }
  std::int64_t expires_us() const {
    if (!has_expiry()) return 0;
    std::int64_t expires;
    std::memcpy(&expires, body(), sizeof(expires));
    return expires;
  }
  EntryView view() const {
    return {.key = key(),
            .value = value(),
            .sequence = sequence(),
            .expires_us = expires_us(),
            .created_us = load_stamp(created_ms_),
            .updated_us = load_stamp(updated_ms_)};
  }

  /// True when `put` can overwrite this entry without a new allocation and without wasting a quarter of it.
  bool fits(const Change& put) const;
  /// Replaces everything but the key, which `put` must share. `put` must not point into this entry.
  void overwrite(const Change& put, std::uint64_t sequence);

  static std::size_t size_bytes(const Change& put) {
    return kHeaderBytes + (put.expires_us != 0 ? kExpiryBytes : 0) + put.key.size() + put.value.size();
  }
  /// Starts to fetch what lies behind the first cache line.
  void prefetch() const {
    constexpr std::size_t kLineBytes = 64;
    constexpr std::size_t kLines = 4;
    const auto* bytes = reinterpret_cast<const char*>(this);
    for (std::size_t line = 1; line < kLines; ++line) __builtin_prefetch(bytes + line * kLineBytes);
  }
  /// What the allocator really gave.
  std::size_t allocated_bytes() const;

  static constexpr std::size_t kHeaderBytes = 26;
  static constexpr std::size_t kExpiryBytes = 8;
  static constexpr std::size_t kLargeValueBytes = std::size_t{64} << 10;

 private:
  static constexpr std::uint16_t kHasExpiry = kChangeKeyBytesMax + 1;

  std::uint16_t key_size_and_flag() const {
    std::uint16_t both;
    std::memcpy(&both, key_size_and_flag_, sizeof(both));
    return both;
  }
  bool has_expiry() const { return (key_size_and_flag() & kHasExpiry) != 0; }
  std::size_t key_size() const { return key_size_and_flag() & (kHasExpiry - 1U); }
  const char* body() const { return reinterpret_cast<const char*>(this) + kHeaderBytes; }
  char* body() { return reinterpret_cast<char*>(this) + kHeaderBytes; }
  void fill(const Change& put, std::uint64_t sequence);

  static std::int64_t load_stamp(const unsigned char (&bytes)[6]) {
    std::uint64_t ms = 0;
    std::memcpy(&ms, bytes, sizeof(bytes));
    return static_cast<std::int64_t>(ms) * 1000;
  }
  static void store_stamp(unsigned char (&bytes)[6], std::int64_t us) {
    const auto ms = static_cast<std::uint64_t>(us < 0 ? 0 : us / 1000);
    std::memcpy(bytes, &ms, sizeof(bytes));
  }

  unsigned char sequence_[8];
  unsigned char value_size_[4];
  unsigned char key_size_and_flag_[2];
  unsigned char created_ms_[6];
  unsigned char updated_ms_[6];
};

static_assert(sizeof(StoredEntry) == StoredEntry::kHeaderBytes);

}  // namespace tuskv::embedded
