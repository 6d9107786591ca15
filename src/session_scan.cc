// Scans inside a transaction: a page of the engine's entries, merged with what the transaction has written in the part
// of the range that the page covers.
#include <algorithm>
#include <utility>

#include "entry_stamps.h"
#include "filter.h"
#include "named_limits.h"
#include "session.h"

namespace tuskv {
namespace {

/// What stored keys of the range start with and reply keys lack.
std::string_view cut_off(const Scan& page) { return page.range.from.substr(0, page.key_offset); }

/// Bytes of an own value that the page gives, or looks at.
std::size_t weight(const Filter& filter, std::string_view own, const std::optional<Entry>& given) {
  const std::size_t bytes = given ? given->value.size() : 0;
  return looks_at_value(filter) ? std::max(bytes, own.size()) : bytes;
}

}  // namespace

Status Session::run_scan(Scan& scan) {
  Command command(std::in_place_type<Scan>, scan);
  TUSKV_RETURN_IF_ERROR(read_from_engine(std::span(&command, 1)));
  scan = std::get<Scan>(std::move(command));
  if (!overlay_.empty()) merge_own(scan);
  return {};
}

std::vector<Session::Overlay::const_iterator> Session::own_in_page(const Scan& page, std::size_t most) const {
  const auto [from, to] = page.range;
  std::vector<Overlay::const_iterator> own;
  if (!page.reverse) {
    const bool resumes = !page.after.empty() && page.after >= from;
    for (auto it = resumes ? overlay_.upper_bound(page.after) : overlay_.lower_bound(from);
         it != overlay_.end() && own.size() < most; ++it) {
      if ((!to.empty() && it->first >= to) || (!page.next.empty() && it->first > page.next)) break;
      own.push_back(it);
    }
    return own;
  }
  const bool resumes = !page.after.empty() && (to.empty() || page.after < to);
  const std::string_view upper = resumes ? page.after : to;
  for (auto it = upper.empty() ? overlay_.end() : overlay_.lower_bound(upper);
       it != overlay_.begin() && own.size() < most;) {
    --it;
    if (it->first < from || (!page.next.empty() && it->first < page.next)) break;
    own.push_back(it);
  }
  return own;
}

std::optional<Entry> Session::own_entry(const Scan& page, Overlay::const_iterator own, Entry* stored,
                                        std::int64_t now_us) const {
  const OwnEntry& written = own->second;
  const std::string_view key = std::string_view(own->first).substr(page.key_offset);
  if (written.kind == OwnEntry::Kind::erase) return std::nullopt;
  if (written.kind == OwnEntry::Kind::touch && stored == nullptr) return std::nullopt;
  if (!page.include_expired && !is_live(written.expires_us, liveness_us(now_us))) return std::nullopt;
  if (!matches_key(page.filter, key)) return std::nullopt;
  // What was only touched has the value that the engine has judged.
  if (written.kind == OwnEntry::Kind::put && !matches_value(page.filter, written.value)) return std::nullopt;
  Entry entry;
  if (stored != nullptr) entry.value = std::move(stored->value);
  entry.key = key;
  if (page.want == Want::value && written.kind == OwnEntry::Kind::put) entry.value = written.value;
  if (page.want == Want::nothing) return entry;
  set_stamps(entry, {.version = written.version,
                     .expires_us = written.expires_us,
                     .created_us = written.created_us,
                     .updated_us = written.updated_us});
  return entry;
}

/// The page is bounded as the engine's is: what the transaction has written counts beside what is stored.
void Session::merge_own(Scan& page) {
  const std::size_t own_max = page.max_examined != 0 ? page.max_examined : kScanExaminedMax;
  const std::vector<Overlay::const_iterator> own = own_in_page(page, own_max + 1);
  if (own.empty()) return;
  const std::int64_t now_us = engine_.now_us(left_ms());
  const std::string_view prefix = cut_off(page);
  std::vector<Entry> merged;
  std::string last;
  std::size_t next_own = 0;
  std::size_t next_stored = 0;
  std::size_t bytes = 0;
  while (next_own < own.size() || next_stored < page.entries.size()) {
    if (merged.size() == page.limit || bytes >= kScanBytesMax || next_own == own_max) {
      page.next = std::move(last);
      break;
    }
    Entry* stored = next_stored < page.entries.size() ? &page.entries[next_stored] : nullptr;
    int order = 1;  // above zero: the stored entry comes first
    if (next_own < own.size()) {
      const std::string_view own_key = std::string_view(own[next_own]->first).substr(page.key_offset);
      order = stored == nullptr ? -1 : own_key.compare(stored->key) * (page.reverse ? -1 : 1);
    }
    if (order > 0) {
      last = std::string(prefix) + stored->key;
      bytes += stored->value.size();
      merged.push_back(std::move(*stored));
      ++next_stored;
      continue;
    }
    std::optional<Entry> entry = own_entry(page, own[next_own], order == 0 ? stored : nullptr, now_us);
    last = own[next_own]->first;
    bytes += weight(page.filter, own[next_own]->second.value, entry);
    if (entry) merged.push_back(*std::move(entry));
    ++next_own;
    if (order == 0) ++next_stored;
  }
  page.entries = std::move(merged);
}

/// The engine's entries, and what the transaction's own change in that.
Status Session::run_count(Count& count) {
  Command command(std::in_place_type<Count>, count);
  TUSKV_RETURN_IF_ERROR(read_from_engine(std::span(&command, 1)));
  count.count = std::get<Count>(command).count;
  const Scan all{.range = count.range, .filter = count.filter, .key_offset = count.key_offset, .want = Want::nothing};
  const std::vector<Overlay::const_iterator> own = own_in_page(all, overlay_.size());
  if (own.empty()) return {};
  std::vector<Command> reads;
  reads.reserve(own.size());
  for (const auto& written : own) reads.emplace_back(Read{.key = written->first, .want = Want::meta});
  TUSKV_RETURN_IF_ERROR(read_from_engine(reads));
  const std::int64_t now_us = engine_.now_us(left_ms());
  for (std::size_t i = 0; i < own.size(); ++i) {
    if (!matches_key(count.filter, std::string_view(own[i]->first).substr(count.key_offset))) continue;
    Entry stored;
    const bool is_stored = std::get<Read>(reads[i]).seen.found;
    if (is_stored) --count.count;
    if (own_entry(all, own[i], is_stored ? &stored : nullptr, now_us)) ++count.count;
  }
  return {};
}

Status Session::run_erase_range(EraseRange& erase) {
  std::vector<std::string> keys;
  std::string cursor;
  do {
    // Each page may cost a look at all before, so it is as large as these.
    const std::size_t limit = std::max(kScanLimitMax, keys.size());
    Scan page{.range = erase.range, .after = cursor, .limit = limit, .max_examined = 2 * limit, .want = Want::nothing};
    TUSKV_RETURN_IF_ERROR(run_scan(page));
    for (Entry& entry : page.entries) keys.push_back(std::move(entry.key));
    cursor = std::move(page.next);
  } while (!cursor.empty() && keys.size() <= kBatchCommandsMax);
  if (overlay_.size() + keys.size() > kBatchCommandsMax) {
    return Status(Code::TooLarge, "a transaction that writes more than " + std::to_string(kBatchCommandsMax) + " keys");
  }
  for (const std::string& key : keys) {
    apply(key, {.found = true}, {.kind = PlannedChange::Kind::erase});
  }
  erase.erased = keys.size();
  if (savepoints_.empty()) journal_.clear();
  return {};
}

}  // namespace tuskv
