#include "embedded/stored_entry.h"

#include <malloc.h>

#include <atomic>
#include <new>

namespace tuskv::embedded {
namespace {

/// In front of a large entry, which the hash table wants aligned.
struct alignas(16) Owners {
  std::atomic<std::uint64_t> count = 1;
};

Owners* owners_of(const StoredEntry* large) {
  return reinterpret_cast<Owners*>(reinterpret_cast<char*>(const_cast<StoredEntry*>(large)) - sizeof(Owners));
}

}  // namespace

StoredEntry* StoredEntry::make(const Change& put, std::uint64_t sequence) {
  const std::size_t size = size_bytes(put);
  StoredEntry* entry = nullptr;
  if (put.value.size() >= kLargeValueBytes) {
    auto* const owners = ::new (::operator new(sizeof(Owners) + size)) Owners;
    entry = reinterpret_cast<StoredEntry*>(owners + 1);
  } else {
    entry = static_cast<StoredEntry*>(::operator new(size));
  }
  entry->fill(put, sequence);
  return entry;
}

void StoredEntry::destroy(StoredEntry* entry) {
  if (!entry->is_large()) {
    ::operator delete(entry);
  } else if (Owners* const owners = owners_of(entry); owners->count.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    ::operator delete(owners);
  }
}

KeptEntry StoredEntry::keep() const {
  owners_of(this)->count.fetch_add(1, std::memory_order_relaxed);
  return KeptEntry(this);
}

void EntryRelease::operator()(const StoredEntry* entry) const { StoredEntry::destroy(const_cast<StoredEntry*>(entry)); }

std::size_t StoredEntry::allocated_bytes() const {
  return malloc_usable_size(is_large() ? static_cast<void*>(owners_of(this)) : const_cast<StoredEntry*>(this));
}

bool StoredEntry::fits(const Change& put) const {
  // Large values are copied into a new allocation before the map lock is taken, so that readers do not wait for the
  // copy.
  constexpr std::size_t kCopyUnderLockBytesMax = 4096;
  const std::size_t wanted = size_bytes(put);
  if (wanted > kCopyUnderLockBytesMax || is_large()) return false;
  const std::size_t allocated = allocated_bytes();
  return wanted <= allocated && allocated - wanted <= allocated / 4 + 16;
}

void StoredEntry::overwrite(const Change& put, std::uint64_t sequence) { fill(put, sequence); }

void StoredEntry::fill(const Change& put, std::uint64_t sequence) {
  set_sequence(sequence);
  const auto value_size = static_cast<std::uint32_t>(put.value.size());
  std::memcpy(value_size_, &value_size, sizeof(value_size));
  assert(put.key.size() < kHasExpiry);
  const auto key_size_and_flag = static_cast<std::uint16_t>(put.key.size() | (put.expires_us != 0 ? kHasExpiry : 0U));
  std::memcpy(key_size_and_flag_, &key_size_and_flag, sizeof(key_size_and_flag));
  store_stamp(created_ms_, put.created_us);
  store_stamp(updated_ms_, put.updated_us);
  char* position = body();
  if (put.expires_us != 0) {
    std::memcpy(position, &put.expires_us, sizeof(put.expires_us));
    position += kExpiryBytes;
  }
  std::memcpy(position, put.key.data(), put.key.size());
  position += put.key.size();
  if (!put.value.empty()) std::memcpy(position, put.value.data(), put.value.size());
}

}  // namespace tuskv::embedded
