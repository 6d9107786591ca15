// The point index of a shard: open addressing with linear probing over 8-byte slots, each a 48-bit pointer and 16 bits
// of the hash, so that a look-up touches one line of the table and then the entry itself. Full at 0.8; an erased slot
// becomes a tombstone until the next rebuild.
//
// Growing needs every key hashed again and takes time in proportion to the table, so it is done beside the table
// (`grown`) while readers go on, and swapped in under the map lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "embedded/stored_entry.h"

namespace tuskv::embedded {

class HashTable final {
 public:
  explicit HashTable(std::size_t entries_expected = 0);

  StoredEntry* find(std::uint64_t hash, std::string_view key) const;
  /// The key must not be in the table, and there must be room: see needs_growth.
  void insert(std::uint64_t hash, StoredEntry* entry);
  /// Another entry for the same key.
  void replace(std::uint64_t hash, const StoredEntry* old_entry, StoredEntry* new_entry);
  void erase(std::uint64_t hash, const StoredEntry* entry);

  std::size_t size() const { return size_; }
  std::size_t memory_bytes() const { return slots_.size() * sizeof(Slot); }
  bool needs_growth(std::size_t more_entries = 1) const;
  /// A table with the same entries and room for `more_entries` without growing again soon. `hash` gives the hash of a
  /// key.
  template <class Hash>
  HashTable grown(std::size_t more_entries, const Hash& hash) const {
    HashTable table(size_ + more_entries);
    for (const Slot slot : slots_) {
      if (StoredEntry* entry = pointer(slot)) table.insert(hash(entry->key()), entry);
    }
    return table;
  }
  template <class Visit>
  void for_each(const Visit& visit) const {
    for (const Slot slot : slots_) {
      if (StoredEntry* entry = pointer(slot)) visit(entry);
    }
  }

 private:
  using Slot = std::uint64_t;
  static constexpr Slot kEmpty = 0;
  static constexpr Slot kTombstone = 1;  // never a pointer: entries are 16-byte aligned
  static constexpr Slot kPointerMask = (Slot{1} << 48) - 1;

  static Slot make_slot(std::uint64_t hash, const StoredEntry* entry) {
    return reinterpret_cast<Slot>(entry) | (tag(hash) << 48);
  }
  static Slot tag(std::uint64_t hash) { return (hash >> 32) & 0xFFFF; }
  static StoredEntry* pointer(Slot slot) {
    const Slot bits = slot & kPointerMask;
    return bits <= kTombstone ? nullptr : reinterpret_cast<StoredEntry*>(bits);
  }
  std::size_t position_of(std::uint64_t hash, const StoredEntry* entry) const;

  std::vector<Slot> slots_;
  std::size_t mask_ = 0;
  std::size_t size_ = 0;
  std::size_t used_ = 0;  ///< entries and tombstones
};

}  // namespace tuskv::embedded
