#include "embedded/shard.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>

namespace tuskv::embedded {
namespace {

/// Adds to a total that only one thread writes at a time and any thread reads.
void add(std::atomic<std::uint64_t>& total, std::uint64_t amount) {
  total.store(total.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

void subtract(std::atomic<std::uint64_t>& total, std::uint64_t amount) {
  total.store(total.load(std::memory_order_relaxed) - amount, std::memory_order_relaxed);
}

}  // namespace

std::uint64_t KeyHash::operator()(std::string_view key) const {
  return XXH3_64bits_withSeed(key.data(), key.size(), seed_);
}

ShardContents::~ShardContents() {
  table.for_each([](StoredEntry* entry) { StoredEntry::destroy(entry); });
}

Shard::~Shard() {
  table_.for_each([](StoredEntry* entry) { StoredEntry::destroy(entry); });
}

void Shard::count_in(const StoredEntry& entry) {
  add(entry_count_, 1);
  add(key_bytes_, entry.key().size());
  add(value_bytes_, entry.value().size());
  add(entry_memory_bytes_, entry.allocated_bytes() + sizeof(std::size_t));
  if (entry.value().size() > value_bytes_max()) value_bytes_max_.store(entry.value().size(), std::memory_order_relaxed);
}

void Shard::count_out(const StoredEntry& entry) {
  subtract(entry_count_, 1);
  subtract(key_bytes_, entry.key().size());
  subtract(value_bytes_, entry.value().size());
  subtract(entry_memory_bytes_, entry.allocated_bytes() + sizeof(std::size_t));
}

std::uint64_t Shard::index_memory_bytes() const {
  // A b-tree node is half to wholly full; three quarters is what random inserts settle at.
  return table_.memory_bytes() + ordered_.size() * sizeof(StoredEntry*) * 4 / 3 +
         expiry_.size() * sizeof(ExpiryIndex::value_type) * 4 / 3;
}

void Shard::make_room(std::size_t inserts) {
  if (!table_as_writer().needs_growth(inserts)) return;
  HashTable grown = table_as_writer().grown(inserts, hash_);
  os::WriterLock lock(map);
  std::swap(table_, grown);
}

PreparedChange Shard::prepare(std::uint64_t hash, const Change& change) {
  PreparedChange prepared{.change = change, .hash = hash, .existing = table_as_writer().find(hash, change.key)};
  if (change.op == ChangeOp::put) {
    if (prepared.existing == nullptr || !prepared.existing->fits(change)) {
      prepared.fresh.reset(StoredEntry::make(change, 0));
    }
  } else if (change.op == ChangeOp::touch && prepared.existing != nullptr) {
    const EntryView view = prepared.existing->view();
    prepared.change.value = view.value;
    prepared.change.created_us = view.created_us;
    prepared.fresh.reset(StoredEntry::make(prepared.change, 0));
  }
  return prepared;
}

void Shard::place(PreparedChange& prepared) noexcept {
  if (prepared.existing != nullptr) return;
  ordered_.insert(prepared.fresh.get());
  prepared.is_placed = true;
}

void Shard::displace(PreparedChange& prepared) noexcept {
  if (!prepared.is_placed) return;
  ordered_.erase(prepared.fresh.get());
  prepared.is_placed = false;
}

void Shard::find_place(PreparedChange& prepared) const noexcept {
  if (prepared.existing == nullptr) return;
  prepared.place = const_cast<StoredEntry**>(&*ordered_as_writer().find(prepared.existing));
}

void Shard::install(PreparedChange& prepared, std::uint64_t sequence) noexcept {
  last_change_sequence_.store(sequence, std::memory_order_release);
  if (prepared.change.op == ChangeOp::erase) {
    if (prepared.existing != nullptr) {
      removals_.add(prepared.existing->key(), sequence, Removals::kErased);
      remove(prepared.hash, prepared.existing);
    }
    last_erase_sequence_ = std::max(last_erase_sequence_, sequence);
  } else if (prepared.change.op == ChangeOp::put || prepared.existing != nullptr) {
    install_put(prepared, sequence);
  }
}

void Shard::install_put(PreparedChange& prepared, std::uint64_t sequence) {
  StoredEntry* const existing = prepared.existing;
  if (existing != nullptr) {
    count_out(*existing);
    if (existing->expires_us() != 0) expiry_.erase({existing->expires_us(), existing});
  }
  StoredEntry* const entry = prepared.fresh != nullptr ? prepared.fresh.release() : existing;
  if (entry != existing) entry->set_sequence(sequence);
  if (existing == nullptr) {
    table_.insert(prepared.hash, entry);
    if (!prepared.is_placed) ordered_.insert(entry);
  } else if (entry != existing) {
    table_.replace(prepared.hash, existing, entry);
    // The same key at another address: its place in the order does not change.
    StoredEntry** const place =
        prepared.place != nullptr ? prepared.place : const_cast<StoredEntry**>(&*ordered_.find(existing));
    *place = entry;
    StoredEntry::destroy(existing);
  } else {
    entry->overwrite(prepared.change, sequence);
  }
  if (entry->expires_us() != 0) expiry_.insert({entry->expires_us(), entry});
  count_in(*entry);
}

void Shard::remove(std::uint64_t hash, StoredEntry* entry) {
  count_out(*entry);
  if (entry->expires_us() != 0) expiry_.erase({entry->expires_us(), entry});
  ordered_.erase(entry);
  table_.erase(hash, entry);
  StoredEntry::destroy(entry);
}

void Shard::remove_ended(std::uint64_t hash, StoredEntry* entry) {
  // The entry's absence reveals the write that made it expire.
  last_erase_sequence_ = std::max(last_erase_sequence_, entry->sequence());
  removals_.add(entry->key(), entry->sequence(), entry->expires_us());
  remove(hash, entry);
}

bool Shard::lies_within(std::string_view from, std::string_view to) const {
  const OrderedIndex& ordered = ordered_as_writer();
  if (ordered.empty()) return true;
  return (*ordered.begin())->key() >= from && (to.empty() || (*ordered.rbegin())->key() < to);
}

ShardContents Shard::take_contents(std::uint64_t sequence, std::int64_t now_us, std::uint64_t& live) noexcept {
  const ExpiryIndex& expiry = expiry_as_writer();
  live += entry_count();
  for (auto it = expiry.begin(); it != expiry.end() && it->first <= now_us; ++it) --live;
  ShardContents contents;
  {
    os::WriterLock lock(map);
    last_change_sequence_.store(sequence, std::memory_order_release);
    last_erase_sequence_ = std::max(last_erase_sequence_, sequence);
    if (!ordered_.empty()) removals_.add_many(sequence);
    std::swap(table_, contents.table);
    ordered_.swap(contents.ordered);
    expiry_.swap(contents.expiry);
  }
  for (auto* total : {&entry_count_, &key_bytes_, &value_bytes_, &entry_memory_bytes_}) {
    total->store(0, std::memory_order_relaxed);
  }
  return contents;
}

bool Shard::erase_some(std::string_view from, std::string_view to, std::size_t limit, std::uint64_t sequence,
                       std::int64_t now_us, std::uint64_t& live) noexcept {
  last_change_sequence_.store(sequence, std::memory_order_release);
  last_erase_sequence_ = std::max(last_erase_sequence_, sequence);
  std::vector<StoredEntry*> doomed;
  for (auto it = ordered_.lower_bound(from); it != ordered_.end() && doomed.size() < limit; ++it) {
    if (!to.empty() && (*it)->key() >= to) break;
    doomed.push_back(*it);
    if ((*it)->expires_us() == 0 || now_us < (*it)->expires_us()) ++live;
  }
  for (StoredEntry* entry : doomed) {
    removals_.add(entry->key(), sequence, Removals::kErased);
    remove(hash_(entry->key()), entry);
  }
  return doomed.size() == limit;
}

std::size_t Shard::remove_expired(std::int64_t now_us, std::size_t limit) noexcept {
  const ExpiryIndex& expiry = expiry_as_writer();
  if (expiry.empty() || expiry.begin()->first > now_us) return 0;
  os::WriterLock lock(map);
  std::size_t removed = 0;
  while (removed < limit && !expiry_.empty() && expiry_.begin()->first <= now_us) {
    StoredEntry* entry = expiry_.begin()->second;
    remove_ended(hash_(entry->key()), entry);
    ++removed;
  }
  return removed;
}

void Shard::list_expired(std::int64_t now_us, std::size_t limit, std::vector<std::int64_t>& expires_us) const {
  for (auto entry = expiry_.begin(); entry != expiry_.end() && entry->first <= now_us && limit > 0; ++entry, --limit) {
    expires_us.push_back(entry->first);
  }
}

bool Shard::remove_if_expired(std::uint64_t hash, std::string_view key, std::int64_t now_us) noexcept {
  StoredEntry* entry = table_as_writer().find(hash, key);
  if (entry == nullptr || entry->expires_us() == 0 || entry->expires_us() > now_us) return false;
  os::WriterLock lock(map);
  remove_ended(hash, entry);
  return true;
}

std::size_t Shard::count_expired(std::int64_t now_us) const {
  std::size_t expired = 0;
  for (auto it = expiry_.begin(); it != expiry_.end() && it->first <= now_us; ++it) ++expired;
  return expired;
}

}  // namespace tuskv::embedded
