#include "embedded/scan.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <optional>

#include "entry_stamps.h"
#include "filter.h"
#include "named_limits.h"
#include "plan.h"

namespace tuskv::embedded {
namespace {

/// Entries visited under one hold of the map locks: about 30 us, which writers wait for. What is hidden of a batch
/// under way is passed over on top of that.
constexpr std::size_t kHoldEntries = 256;
/// The same for values, which are copied under the locks and looked at behind them. A larger one is copied without any.
constexpr std::size_t kHoldValueBytes = 256 << 10;

/// Holds the map lock of every shard shared.
class AllReaders final {
 public:
  explicit AllReaders(const Keyspace& keyspace) TUSKV_NO_THREAD_SAFETY_ANALYSIS : keyspace_(keyspace) {
    for (std::size_t i = 0; i < keyspace_.shard_count(); ++i) keyspace_.shard(i).map.lock_shared();
  }
  ~AllReaders() TUSKV_NO_THREAD_SAFETY_ANALYSIS {
    for (std::size_t i = 0; i < keyspace_.shard_count(); ++i) keyspace_.shard(i).map.unlock_shared();
  }
  AllReaders(const AllReaders&) = delete;
  AllReaders& operator=(const AllReaders&) = delete;

 private:
  const Keyspace& keyspace_;
};

/// The next entry of one shard.
struct Head {
  Shard::OrderedIndex::const_iterator next;
  Shard::OrderedIndex::const_iterator end;  ///< forward: past the last; reverse: the first of the index
  std::string_view key;
};

std::string_view lower_end(const WalkBounds& bounds) { return bounds.range.from; }

std::string_view upper_end(const WalkBounds& bounds) {
  if (!bounds.reverse || bounds.after.empty()) return bounds.range.to;
  return bounds.range.to.empty() ? bounds.after : std::min(bounds.after, bounds.range.to);
}

/// Moves to the entry at `next` (forward) or before it (reverse), or beyond what is hidden; false when that is out of
/// bounds.
bool load_head(Head& head, const WalkBounds& bounds) {
  for (; head.next != head.end; bounds.reverse ? head.next : ++head.next) {
    if (bounds.reverse) --head.next;
    head.key = (*head.next)->key();
    const bool within =
        bounds.reverse ? head.key >= lower_end(bounds) : bounds.range.to.empty() || head.key < bounds.range.to;
    if (!within || !(*head.next)->is_hidden()) return within;
  }
  return false;
}

bool first_head(const Shard& shard, const WalkBounds& bounds, Head& head) TUSKV_REQUIRES_SHARED(shard.map) {
  const Shard::OrderedIndex& ordered = shard.ordered();
  if (bounds.reverse) {
    const std::string_view upper = upper_end(bounds);
    head.next = upper.empty() ? ordered.end() : ordered.lower_bound(upper);
    head.end = ordered.begin();
  } else {
    const bool resumes = !bounds.after.empty() && bounds.after >= bounds.range.from;
    head.next = resumes ? ordered.upper_bound(bounds.after) : ordered.lower_bound(bounds.range.from);
    head.end = ordered.end();
  }
  return load_head(head, bounds);
}

bool advance(Head& head, const WalkBounds& bounds) {
  if (!bounds.reverse) ++head.next;
  return load_head(head, bounds);
}

std::uint64_t entry_fingerprint(const Keyspace& keyspace, const EntryView& entry) {
  return (keyspace.hash(entry.key) ^ (entry.sequence * 0x9E3779B97F4A7C15U)) * 0xD6E8FEB86659FD93U;
}

/// What a transaction has to know of an entry that it has met.
struct Mark {
  bool is_live = false;
  std::uint64_t sequence = 0;
  std::int64_t expires_us = 0;
  std::uint64_t fingerprint = 0;
};

Mark mark_of(const Keyspace& keyspace, const EntryView& view, std::int64_t now_us) {
  const bool live = is_live(view.expires_us, now_us);
  return {.is_live = live,
          .sequence = view.sequence,
          .expires_us = view.expires_us,
          .fingerprint = live ? entry_fingerprint(keyspace, view) : 0};
}

void add(Examined& examined, const Mark& mark) {
  if (!mark.is_live) {
    examined.ended_version = std::max(examined.ended_version, mark.sequence);
    examined.ended_us = std::max(examined.ended_us, mark.expires_us);
    return;
  }
  ++examined.entries;
  examined.fingerprint += mark.fingerprint;
  examined.latest_version = std::max(examined.latest_version, mark.sequence);
  if (mark.expires_us != 0) examined.ends_us = std::min(examined.ends_us, mark.expires_us);
}

Entry reply_entry(const Scan& command, const EntryView& view) {
  Entry entry;
  entry.key = view.key.substr(command.key_offset);
  if (command.want == Want::value) entry.value = view.value;
  if (command.want == Want::nothing) return entry;
  set_stamps(entry, {.version = view.sequence,
                     .expires_us = view.expires_us,
                     .created_us = view.created_us,
                     .updated_us = view.updated_us});
  return entry;
}

bool matches(const Filter& filter, std::string_view key, std::size_t key_offset) {
  return matches_key(filter, key.substr(key_offset));
}

/// Copies an entry whose value is too large for a hold of all locks; nothing when it has gone meanwhile. `latest` is
/// raised to its version, which may be a later one than was met.
std::optional<Entry> copy_apart(const Keyspace& keyspace, const Scan& command, std::string_view key,
                                std::int64_t now_us, std::uint64_t& revealed, std::uint64_t& latest) {
  const std::uint64_t hash = keyspace.hash(key);
  const Shard& shard = keyspace.shard(keyspace.shard_index(hash));
  KeptEntry kept;
  EntryView view;
  {
    const os::ReaderLock lock(shard.map);
    revealed = std::max(revealed, shard.last_erase_sequence());
    const StoredEntry* stored = shard.find(hash, key);
    if (stored == nullptr) return std::nullopt;
    view = stored->view();
    revealed = std::max(revealed, view.sequence);
    latest = std::max(latest, view.sequence);
    if (!is_live(view.expires_us, now_us) && !command.include_expired) return std::nullopt;
    if (!stored->is_large()) return reply_entry(command, view);
    kept = stored->keep();
  }
  return reply_entry(command, view);
}

/// An entry that a search has met.
struct Candidate {
  Entry entry = {};  ///< with its value when it is to be looked at
  bool is_wanted = false;
  Mark mark = {};
};

/// Copies what comes behind the cursor, until it is enough for one hold of the locks.
WalkEnd copy_candidates(const Keyspace& keyspace, Scan& command, std::string_view cursor, std::size_t limit,
                        std::int64_t now_us, std::vector<Candidate>& candidates) {
  const Scan with_value = {
      .key_offset = command.key_offset, .include_expired = command.include_expired, .want = Want::value};
  std::size_t bytes = 0;
  std::string apart;
  candidates.clear();
  const WalkBounds bounds{.range = command.range, .after = cursor, .reverse = command.reverse};
  WalkEnd end = walk(keyspace, bounds, limit, [&](const EntryView& view) {
    Candidate& candidate = candidates.emplace_back();
    candidate.mark = mark_of(keyspace, view, now_us);
    candidate.is_wanted = candidate.mark.is_live || command.include_expired;
    if (!candidate.is_wanted || view.value.size() > kHoldValueBytes) {
      candidate.entry.key = view.key.substr(command.key_offset);
      if (candidate.is_wanted) apart = view.key;
      return !candidate.is_wanted;
    }
    candidate.entry = reply_entry(with_value, view);
    bytes += view.value.size();
    return bytes < kHoldValueBytes;
  });
  if (!apart.empty()) {
    std::optional<Entry> entry =
        copy_apart(keyspace, with_value, apart, now_us, end.revealed, command.examined.latest_version);
    candidates.back().is_wanted = entry.has_value();
    if (entry) candidates.back().entry = *std::move(entry);
  }
  return end;
}

/// Moves an entry into the reply if it matches, and leaves out what is not wanted of it.
void take_match(Scan& command, Candidate& candidate) {
  Entry& entry = candidate.entry;
  if (!candidate.is_wanted || !matches_value(command.filter, entry.value)) return;
  if (command.want == Want::nothing) {
    command.entries.push_back({.key = std::move(entry.key)});
    return;
  }
  if (command.want != Want::value) entry.value.clear();
  command.entries.push_back(std::move(entry));
}

/// A scan that looks at values.
std::uint64_t search(const Keyspace& keyspace, Scan& command, std::int64_t now_us) {
  const std::size_t max_examined = command.max_examined != 0 ? command.max_examined : kScanExaminedMax;
  const std::string before_key(command.range.from.substr(0, command.key_offset));
  std::string cursor(command.after);
  std::size_t visited = 0;
  std::size_t bytes = 0;
  std::uint64_t revealed = 0;
  std::vector<Candidate> candidates;
  for (;;) {
    const std::size_t limit = std::min(kHoldEntries, max_examined - visited);
    const WalkEnd end = copy_candidates(keyspace, command, cursor, limit, now_us, candidates);
    revealed = std::max(revealed, end.revealed);
    for (Candidate& candidate : candidates) {
      ++visited;
      bytes += candidate.entry.value.size();
      cursor = before_key + candidate.entry.key;
      add(command.examined, candidate.mark);
      take_match(command, candidate);
      if (command.entries.size() < command.limit && bytes < kScanBytesMax && visited < max_examined) continue;
      if (!end.exhausted || &candidate != &candidates.back()) command.next = std::move(cursor);
      return revealed;
    }
    if (end.exhausted) return revealed;
  }
}

}  // namespace

WalkEnd walk(const Keyspace& keyspace, const WalkBounds& bounds, std::size_t limit,
             FunctionRef<bool(const EntryView&)> visit) {
  const AllReaders readers(keyspace);
  return walk_held(keyspace, bounds, limit, visit);
}

WalkEnd walk_held(const Keyspace& keyspace, const WalkBounds& bounds, std::size_t limit,
                  FunctionRef<bool(const EntryView&)> visit) TUSKV_NO_THREAD_SAFETY_ANALYSIS {
  WalkEnd end;
  std::array<Head, kShardCountMax> heads;
  std::size_t count = 0;
  for (std::size_t i = 0; i < keyspace.shard_count(); ++i) {
    const Shard& shard = keyspace.shard(i);
    end.revealed = std::max(end.revealed, shard.last_erase_sequence());
    if (first_head(shard, bounds, heads[count])) ++count;
  }
  // A heap whose front is the next key: std heaps keep the largest in front, so "less" is "comes later".
  const auto later = [&](const Head& a, const Head& b) { return bounds.reverse ? a.key < b.key : b.key < a.key; };
  const auto begin = heads.begin();
  std::make_heap(begin, begin + static_cast<std::ptrdiff_t>(count), later);
  for (std::size_t visited = 0; count > 0; ++visited) {
    if (visited == limit) {
      end.exhausted = false;
      return end;
    }
    std::pop_heap(begin, begin + static_cast<std::ptrdiff_t>(count), later);
    Head& head = heads[count - 1];
    const EntryView view = (*head.next)->view();
    end.revealed = std::max(end.revealed, view.sequence);
    if (!visit(view)) {
      end.exhausted = count == 1 && !advance(head, bounds);
      return end;
    }
    if (advance(head, bounds)) {
      std::push_heap(begin, begin + static_cast<std::ptrdiff_t>(count), later);
    } else {
      --count;
    }
  }
  return end;
}

std::uint64_t scan(const Keyspace& keyspace, Scan& command, std::int64_t now_us) {
  if (looks_at_value(command.filter)) return search(keyspace, command, now_us);
  const std::size_t max_examined = command.max_examined != 0 ? command.max_examined : kScanExaminedMax;
  std::string cursor(command.after);
  std::size_t visited = 0;
  std::size_t bytes = 0;
  std::uint64_t revealed = 0;
  WalkEnd end;
  do {
    const WalkBounds bounds{.range = command.range, .after = cursor, .reverse = command.reverse};
    const std::size_t bytes_before = bytes;
    std::string last_key;
    bool apart = false;
    end = walk(keyspace, bounds, std::min(kHoldEntries, max_examined - visited), [&](const EntryView& view) {
      ++visited;
      last_key.assign(view.key);
      const Mark mark = mark_of(keyspace, view, now_us);
      add(command.examined, mark);
      if (!mark.is_live && !command.include_expired) return true;
      if (!matches(command.filter, view.key, command.key_offset)) return true;
      apart = command.want == Want::value && view.value.size() > kHoldValueBytes;
      if (apart) return false;
      command.entries.push_back(reply_entry(command, view));
      bytes += command.entries.back().value.size();
      return command.entries.size() < command.limit && bytes < kScanBytesMax && bytes - bytes_before < kHoldValueBytes;
    });
    revealed = std::max(revealed, end.revealed);
    if (!last_key.empty()) cursor = std::move(last_key);
    if (!apart) continue;
    if (std::optional<Entry> entry =
            copy_apart(keyspace, command, cursor, now_us, revealed, command.examined.latest_version)) {
      bytes += entry->value.size();
      command.entries.push_back(*std::move(entry));
    }
  } while (!end.exhausted && command.entries.size() < command.limit && bytes < kScanBytesMax && visited < max_examined);
  if (!end.exhausted) command.next = std::move(cursor);
  return revealed;
}

std::optional<std::uint64_t> count(const Keyspace& keyspace, Count& command, std::int64_t now_us, os::Deadline deadline,
                                   Examined* examined) {
  assert(!looks_at_value(command.filter));
  std::string cursor;
  std::uint64_t revealed = 0;
  WalkEnd end;
  do {
    std::string last_key;
    end = walk(keyspace, {.range = command.range, .after = cursor}, kHoldEntries, [&](const EntryView& view) {
      last_key.assign(view.key);
      if (examined != nullptr) add(*examined, mark_of(keyspace, view, now_us));
      if (is_live(view.expires_us, now_us) && matches(command.filter, view.key, command.key_offset)) ++command.count;
      return true;
    });
    revealed = std::max(revealed, end.revealed);
    cursor = std::move(last_key);
    if (!end.exhausted && os::time_left(deadline).count() == 0) return std::nullopt;
  } while (!end.exhausted);
  return revealed;
}

std::optional<Examined> examine(const Keyspace& keyspace, const Range& range, std::int64_t now_us,
                                os::Deadline deadline) {
  Count all{.range = range};
  Examined examined;
  if (!count(keyspace, all, now_us, deadline, &examined)) return std::nullopt;
  return examined;
}

std::optional<Examined> examine_held(const Keyspace& keyspace, const Range& range, std::int64_t now_us,
                                     os::Deadline deadline) {
  Examined examined;
  std::size_t visited = 0;
  bool is_late = false;
  walk_held(keyspace, {.range = range}, SIZE_MAX, [&](const EntryView& view) {
    add(examined, mark_of(keyspace, view, now_us));
    is_late = ++visited % kHoldEntries == 0 && os::time_left(deadline).count() == 0;
    return !is_late;
  });
  if (is_late) return std::nullopt;
  return examined;
}

}  // namespace tuskv::embedded
