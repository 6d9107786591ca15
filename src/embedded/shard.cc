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

/// Not of a batch that is being placed, or that leaves.
bool is_in_place(const ExpiryIndex::value_type& expiry) {
  return !expiry.second->is_hidden() && expiry.second->expires_us() == expiry.first;
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
  StoredEntry* const existing = prepared.existing;
  if (existing != nullptr) prepared.existing_expires_us = existing->expires_us();
  if (change.op == ChangeOp::put) {
    if (existing == nullptr || !existing->fits(change)) prepared.fresh.reset(StoredEntry::make(change, 0));
    prepared.entry = prepared.fresh != nullptr ? prepared.fresh.get() : existing;
  } else if (change.op == ChangeOp::touch && existing != nullptr) {
    const EntryView view = existing->view();
    prepared.change.value = view.value;
    prepared.change.created_us = view.created_us;
    prepared.fresh.reset(StoredEntry::make(prepared.change, 0));
    prepared.entry = prepared.fresh.get();
  }
  return prepared;
}

void Shard::install(PreparedChange& prepared, std::uint64_t sequence) noexcept {
  place(prepared);
  find_place(prepared);
  show(prepared, sequence);
  leave(prepared);
}

void Shard::place(PreparedChange& prepared) noexcept {
  StoredEntry* const entry = prepared.entry;
  if (entry == nullptr) return;
  if (prepared.existing == nullptr) ordered_.insert(entry);
  const std::int64_t expires_us = prepared.change.expires_us;
  if (expires_us != 0 && prepared.moves_in_order()) expiry_.insert({expires_us, entry});
}

void Shard::displace(PreparedChange& prepared) noexcept {
  StoredEntry* const entry = prepared.entry;
  if (entry == nullptr) return;
  if (prepared.existing == nullptr) ordered_.erase(entry);
  const std::int64_t expires_us = prepared.change.expires_us;
  if (expires_us != 0 && prepared.moves_in_order()) expiry_.erase({expires_us, entry});
}

void Shard::find_place(PreparedChange& prepared) const noexcept {
  // The same key at another address: its place in the order does not change.
  if (prepared.replaces()) prepared.place = const_cast<StoredEntry**>(&*ordered_as_writer().find(prepared.existing));
}

void Shard::show(PreparedChange& prepared, std::uint64_t sequence) noexcept {
  StoredEntry* const existing = prepared.existing;
  StoredEntry* const entry = prepared.entry;
  last_change_sequence_.store(sequence, std::memory_order_release);
  if (prepared.change.op == ChangeOp::erase) last_erase_sequence_ = std::max(last_erase_sequence_, sequence);
  if (existing != nullptr) count_out(*existing);
  if (entry == nullptr) {
    if (existing == nullptr) return;
    removals_.add(existing->key(), sequence, Removals::kErased);
    table_.erase(prepared.hash, existing);
    existing->hide();
    return;
  }
  if (entry == existing) {
    entry->overwrite(prepared.change, sequence);
  } else {
    if (existing == nullptr) {
      table_.insert(prepared.hash, entry);
    } else {
      table_.replace(prepared.hash, existing, entry);
      *prepared.place = entry;
      existing->hide();
    }
    entry->set_sequence(sequence);
    static_cast<void>(prepared.fresh.release());
  }
  count_in(*entry);
}

void Shard::leave(PreparedChange& prepared) noexcept {
  StoredEntry* const existing = prepared.existing;
  if (existing == nullptr) return;
  const std::int64_t expires_us = prepared.existing_expires_us;
  if (expires_us != 0 && prepared.moves_in_order()) expiry_.erase({expires_us, existing});
  if (prepared.entry == existing) return;
  if (prepared.entry == nullptr) ordered_.erase(existing);
  StoredEntry::destroy(existing);
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
  for (auto it = expiry_.begin(); it != expiry_.end() && it->first <= now_us && limit > 0; ++it) {
    if (!is_in_place(*it)) continue;
    expires_us.push_back(it->first);
    --limit;
  }
}

bool Shard::remove_if_expired(std::uint64_t hash, std::string_view key, std::int64_t now_us) noexcept {
  StoredEntry* entry = table_as_writer().find(hash, key);
  if (entry == nullptr || entry->expires_us() == 0 || entry->expires_us() > now_us) return false;
  os::WriterLock lock(map);
  remove_ended(hash, entry);
  return true;
}

bool Shard::count_expired(std::int64_t now_us, std::size_t most, ExpiryIndex::value_type& from,
                          std::uint64_t& count) const {
  for (auto it = expiry_.lower_bound(from); it != expiry_.end() && it->first <= now_us; ++it) {
    if (most-- == 0) {
      from = *it;
      return true;
    }
    count += is_in_place(*it) ? 1 : 0;
  }
  return false;
}

}  // namespace tuskv::embedded
