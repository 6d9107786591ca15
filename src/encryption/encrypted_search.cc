// Searching in encrypted values: the engine is asked for pages without the filter, and what they hold is judged here.
// As in plain text a page of the answer ends with its bytes, or, with a cursor, when half of the time has passed. How
// much is asked for follows from how long the last took; where it takes too long all the same, the page ends with what
// there is, or, at its beginning, asks for less.
#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "encryption/encrypted_engine.h"
#include "filter.h"
#include "named_limits.h"
#include "os/deadline.h"

namespace tuskv::encryption {
namespace {

/// Moves a match into the reply, without what is not wanted of it.
void take_match(Scan& scan, Entry& entry) {
  if (scan.want == Want::nothing) {
    scan.entries.push_back({.key = std::move(entry.key)});
    return;
  }
  if (scan.want != Want::value) entry.value.clear();
  scan.entries.push_back(std::move(entry));
}

/// One page in the making.
class EncryptedSearch final {
 public:
  EncryptedSearch(const Sealer& sealer, Scan& scan, os::Deadline deadline)
      : sealer_(sealer), scan_(scan), deadline_(deadline), half_time_(os::time_left(deadline) / 2), key_(scan.after) {
    examined_left_ = scan.max_examined != 0 ? scan.max_examined : kScanExaminedMax;
    scan.entries.clear();
    scan.next.clear();
  }

  Status run(FunctionRef<Status(Unit&)> run_page) {
    for (std::size_t size = kEncryptedPageFirst;;) {
      const std::size_t entries = std::min(size, examined_left_);
      const std::chrono::microseconds left = os::time_left(deadline_);
      Command command(Scan{.range = scan_.range,
                           .after = key_,
                           .limit = entries,
                           .max_examined = entries,
                           .key_offset = scan_.key_offset,
                           .reverse = scan_.reverse,
                           .include_expired = scan_.include_expired});
      const bool may_ask_for_less = !has_moved_ && entries > 1;
      const std::int64_t left_ms = os::time_left_ms(deadline_);
      Unit unit{.commands = std::span(&command, 1), .timeout_ms = may_ask_for_less ? (left_ms + 1) / 2 : left_ms};
      Status status = run_page(unit);
      if (!status.ok()) {
        if (status.failure().code != Code::Timeout || !(has_moved_ || may_ask_for_less)) return status;
        if (has_moved_) scan_.next = std::move(key_);
        if (has_moved_) return {};
        size = std::max<std::size_t>(entries / kShrink, 1);
        continue;
      }
      examined_left_ -= entries;
      const Result<bool> complete = take(std::get<Scan>(command));
      if (!complete.ok()) return complete.status();
      if (complete.value()) return {};
      size = next_size(entries, left - os::time_left(deadline_));
    }
  }

 private:
  static constexpr std::size_t kGrowth = 4;
  static constexpr std::size_t kShrink = 8;

  bool is_long_enough(std::chrono::microseconds kept) const {
    return scan_.entries.size() >= scan_.limit || bytes_ >= kScanBytesMax || os::time_left(deadline_) < kept;
  }

  /// So many as half of the time is enough for, if the next take as long as these.
  std::size_t next_size(std::size_t entries, std::chrono::microseconds took) const {
    const std::int64_t budget_us = std::max<std::int64_t>((os::time_left(deadline_) - half_time_).count(), 0);
    const auto fitting = static_cast<std::size_t>(static_cast<std::int64_t>(entries) * budget_us /
                                                  std::max<std::int64_t>(took.count(), 1));
    return std::clamp<std::size_t>(fitting, 1, std::min(entries * kGrowth, kEncryptedPageMax));
  }

  /// True when the page is complete.
  Result<bool> take(Scan& page) {
    // What has been read is not thrown away because reading it took long.
    const std::chrono::microseconds kept = std::min(half_time_, os::time_left(deadline_) / 2);
    const std::string before_key(scan_.range.from.substr(0, scan_.key_offset));
    for (Entry& entry : page.entries) {
      key_ = before_key + entry.key;
      has_moved_ = true;
      TUSKV_RETURN_IF_ERROR(sealer_.open(key_, entry.value));
      bytes_ += entry.value.size();
      const bool is_last = &entry == &page.entries.back() && page.next.empty();
      if (matches_value(scan_.filter, entry.value)) take_match(scan_, entry);
      if (is_last || !is_long_enough(kept)) continue;
      scan_.next = std::move(key_);
      return true;
    }
    if (page.next.empty()) return true;
    key_ = std::move(page.next);
    has_moved_ = true;
    if (examined_left_ > 0 && !is_long_enough(half_time_)) return false;
    scan_.next = std::move(key_);
    return true;
  }

  const Sealer& sealer_;
  Scan& scan_;
  const os::Deadline deadline_;
  const std::chrono::microseconds half_time_;
  std::string key_;  ///< the last one that was looked at
  bool has_moved_ = false;
  std::size_t examined_left_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace

Status EncryptedEngine::search(Scan& scan, std::int64_t timeout_ms, FunctionRef<Status(Unit&)> run_page) {
  Status status = EncryptedSearch(sealer_, scan, os::deadline_in(timeout_ms)).run(run_page);
  if (!status.ok()) scan.entries.clear();
  return status;
}

Scan* search_in(const Unit& unit) {
  if (unit.commands.empty()) return nullptr;
  auto* const scan = std::get_if<Scan>(&unit.commands.front());
  return scan != nullptr && looks_at_value(scan->filter) ? scan : nullptr;
}

}  // namespace tuskv::encryption
