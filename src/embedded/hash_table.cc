#include "embedded/hash_table.h"

#include <bit>
#include <cassert>

namespace tuskv::embedded {
namespace {

constexpr std::size_t kSlotsMin = 16;

/// Slots that hold `entries` at no more than two thirds, so that the next growth is some way off.
std::size_t slots_for(std::size_t entries) {
  const std::size_t wanted = entries + entries / 2;
  return std::bit_ceil(wanted < kSlotsMin ? kSlotsMin : wanted);
}

}  // namespace

HashTable::HashTable(std::size_t entries_expected) : slots_(slots_for(entries_expected)), mask_(slots_.size() - 1) {}

StoredEntry* HashTable::find(std::uint64_t hash, std::string_view key) const {
  const Slot wanted = tag(hash);
  for (std::size_t position = hash & mask_;; position = (position + 1) & mask_) {
    const Slot slot = slots_[position];
    if (slot == kEmpty) return nullptr;
    if (slot >> 48 != wanted) continue;
    StoredEntry* entry = pointer(slot);
    if (entry == nullptr) continue;
    // It almost certainly is the one, and its value is wanted next: both come from memory at the same time.
    entry->prefetch();
    if (entry->key() == key) return entry;
  }
}

void HashTable::insert(std::uint64_t hash, StoredEntry* entry) {
  assert((reinterpret_cast<Slot>(entry) & ~kPointerMask) == 0);
  std::size_t position = hash & mask_;
  while (pointer(slots_[position]) != nullptr) position = (position + 1) & mask_;
  if (slots_[position] == kEmpty) ++used_;
  slots_[position] = make_slot(hash, entry);
  ++size_;
}

std::size_t HashTable::position_of(std::uint64_t hash, const StoredEntry* entry) const {
  std::size_t position = hash & mask_;
  while (pointer(slots_[position]) != entry) position = (position + 1) & mask_;
  return position;
}

void HashTable::replace(std::uint64_t hash, const StoredEntry* old_entry, StoredEntry* new_entry) {
  slots_[position_of(hash, old_entry)] = make_slot(hash, new_entry);
}

void HashTable::erase(std::uint64_t hash, const StoredEntry* entry) {
  const std::size_t position = position_of(hash, entry);
  const bool last_of_run = slots_[(position + 1) & mask_] == kEmpty;
  slots_[position] = last_of_run ? kEmpty : kTombstone;
  if (last_of_run) --used_;
  --size_;
}

bool HashTable::needs_growth(std::size_t more_entries) const { return (used_ + more_entries) * 5 > slots_.size() * 4; }

}  // namespace tuskv::embedded
