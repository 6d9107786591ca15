#include "embedded/stored_entry.h"

#include <malloc.h>

#include <new>

namespace tuskv::embedded {

StoredEntry* StoredEntry::make(const Change& put, std::uint64_t sequence) {
  auto* entry = static_cast<StoredEntry*>(::operator new(size_bytes(put)));
  entry->fill(put, sequence);
  return entry;
}

void StoredEntry::destroy(StoredEntry* entry) { ::operator delete(entry); }

std::size_t StoredEntry::allocated_bytes() const { return malloc_usable_size(const_cast<StoredEntry*>(this)); }

bool StoredEntry::fits(const Change& put) const {
  // Large values are copied into a new allocation before the map lock is taken, so that readers do not wait for the
  // copy.
  constexpr std::size_t kCopyUnderLockBytesMax = 4096;
  const std::size_t wanted = size_bytes(put);
  if (wanted > kCopyUnderLockBytesMax) return false;
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
