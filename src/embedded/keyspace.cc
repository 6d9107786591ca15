#include "embedded/keyspace.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstdint>
#include <thread>

#include "own_keys.h"

namespace tuskv::embedded {
namespace {

/// By which a shard may exceed its part of the earliest entries, whatever that part is.
constexpr std::size_t kExpiryPartMin = 16;
constexpr std::size_t kExpiryCountedAtOnce = 1024;

}  // namespace

std::size_t default_shard_count() {
  const std::size_t processors = std::max(1U, std::thread::hardware_concurrency());
  return std::clamp(std::bit_ceil(4 * processors), kShardCountMin, kShardCountMax);
}

Keyspace::Keyspace(std::size_t shard_count, std::uint64_t hash_seed)
    : hash_(hash_seed), shard_shift_(64U - static_cast<unsigned>(std::countr_zero(shard_count))) {
  assert(std::has_single_bit(shard_count));
  shards_.reserve(shard_count);
  for (std::size_t i = 0; i < shard_count; ++i) shards_.push_back(std::make_unique<Shard>(hash_));
}

Keyspace::~Keyspace() = default;

void Keyspace::set_hash_seed(std::uint64_t hash_seed) {
  assert(entry_count() == 0);
  hash_ = KeyHash(hash_seed);
  for (auto& shard : shards_) shard->set_hash(hash_);
}

void Keyspace::reserve(std::uint64_t entries) {
  // Shards differ by chance: a little more than the mean saves most of them a growth.
  const std::uint64_t each = entries / shards_.size();
  for (auto& shard : shards_) shard->reserve(each + each / 16);
}

void Keyspace::load_entry(std::uint64_t hash, const Change& put, std::uint64_t sequence) {
  shards_[shard_index(hash)]->load(hash, put, sequence);
}

void Keyspace::replay(std::size_t shard, std::uint64_t hash, const Change& change, std::uint64_t sequence) {
  shards_[shard]->replay(hash, change, sequence);
}

void Keyspace::finish_loading(std::size_t shard) { shards_[shard]->finish_loading(); }

bool Keyspace::dump(std::size_t shard_index, std::string_view after, std::size_t limit,
                    bool (*visit)(void* context, const EntryView& entry), void* context) const {
  const Shard& shard = *shards_[shard_index];
  os::ReaderLock lock(shard.map);
  const Shard::OrderedIndex& ordered = shard.ordered();
  std::size_t visited = 0;
  for (auto it = after.empty() ? ordered.begin() : ordered.upper_bound(after); it != ordered.end(); ++it) {
    if ((*it)->is_hidden()) continue;
    if (visited == limit) return true;
    ++visited;
    if (!visit(context, (*it)->view())) return true;
  }
  return visited == limit;
}

std::int64_t Keyspace::expiry_of_earliest(std::size_t limit, std::int64_t now_us) const {
  // The hash spreads keys evenly, so twice its part is nearly always enough of a shard.
  const std::size_t part = 2 * (limit / shards_.size()) + kExpiryPartMin;
  std::vector<std::int64_t> expired;
  for (std::size_t each = std::min(part, limit);; each = limit) {
    expired.clear();
    std::int64_t complete_until = INT64_MAX;
    for (const auto& shard : shards_) {
      const std::size_t before = expired.size();
      const os::ReaderLock lock(shard->map);
      shard->list_expired(now_us, each, expired);
      if (expired.size() - before == each) complete_until = std::min(complete_until, expired.back());
    }
    std::int64_t last = now_us;
    if (expired.size() >= limit) {
      const auto at = expired.begin() + static_cast<std::ptrdiff_t>(limit - 1);
      std::nth_element(expired.begin(), at, expired.end());
      last = *at;
    }
    if (each == limit || last <= complete_until) return last;
  }
}

std::uint64_t Keyspace::count_expired(std::size_t shard_index, std::int64_t now_us) const {
  const Shard& shard = *shards_[shard_index];
  ExpiryIndex::value_type from{INT64_MIN, nullptr};
  std::uint64_t count = 0;
  for (bool more = true; more;) {
    const os::ReaderLock lock(shard.map);
    more = shard.count_expired(now_us, kExpiryCountedAtOnce, from, count);
  }
  return count;
}

void Keyspace::lock_all_writers() {
  for (auto& shard : shards_) shard->writer.lock();
}

void Keyspace::unlock_all_writers() {
  for (auto& shard : shards_) shard->writer.unlock();
}

Keyspace::OwnEntries Keyspace::own_entries() const {
  OwnEntries own;
  const auto add = [](void* context, const EntryView& entry) {
    if (!entry.key.starts_with(kOwnKeysFrom)) return false;  // all in front of it were
    auto& sums = *static_cast<OwnEntries*>(context);
    ++sums.count;
    sums.key_bytes += entry.key.size();
    sums.value_bytes += entry.value.size();
    return true;
  };
  for (std::size_t i = 0; i < shards_.size(); ++i) dump(i, kOwnKeysFrom, SIZE_MAX, add, &own);
  return own;
}

std::uint64_t Keyspace::user_entry_count() const {
  const std::uint64_t total = entry_count();
  return total - std::min(total, own_entries().count);
}

std::uint64_t Keyspace::entry_count() const {
  std::uint64_t total = 0;
  for (const auto& shard : shards_) total += shard->entry_count();
  return total;
}

std::uint64_t Keyspace::key_bytes() const {
  std::uint64_t total = 0;
  for (const auto& shard : shards_) total += shard->key_bytes();
  return total;
}

std::uint64_t Keyspace::value_bytes() const {
  std::uint64_t total = 0;
  for (const auto& shard : shards_) total += shard->value_bytes();
  return total;
}

}  // namespace tuskv::embedded
