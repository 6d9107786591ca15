// Searching in encrypted values: the engine is asked for pages without the filter, and what they hold is judged here.
// As in plain text a page of the answer ends with its bytes, or, with a cursor, when half of the time has passed.
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
    constexpr std::size_t kGrowth = 4;
    for (std::size_t size = kEncryptedPageFirst;; size = std::min(size * kGrowth, kEncryptedPageMax)) {
      const std::size_t entries = std::min(size, examined_left_);
      Command command(Scan{.range = scan_.range,
                           .after = key_,
                           .limit = entries,
                           .max_examined = entries,
                           .key_offset = scan_.key_offset,
                           .reverse = scan_.reverse,
                           .include_expired = scan_.include_expired});
      Unit unit{.commands = std::span(&command, 1), .timeout_ms = os::time_left_ms(deadline_)};
      TUSKV_RETURN_IF_ERROR(run_page(unit));
      examined_left_ -= entries;
      const Result<bool> complete = take(std::get<Scan>(command));
      if (!complete.ok()) return complete.status();
      if (complete.value()) return {};
    }
  }

 private:
  bool is_long_enough() const {
    return scan_.entries.size() >= scan_.limit || bytes_ >= kScanBytesMax || os::time_left(deadline_) < half_time_;
  }

  /// True when the page is complete.
  Result<bool> take(Scan& page) {
    const std::string before_key(scan_.range.from.substr(0, scan_.key_offset));
    for (Entry& entry : page.entries) {
      key_ = before_key + entry.key;
      TUSKV_RETURN_IF_ERROR(sealer_.open(key_, entry.value));
      bytes_ += entry.value.size();
      const bool is_last = &entry == &page.entries.back() && page.next.empty();
      if (matches_value(scan_.filter, entry.value)) take_match(scan_, entry);
      if (is_last || !is_long_enough()) continue;
      scan_.next = std::move(key_);
      return true;
    }
    if (page.next.empty()) return true;
    key_ = std::move(page.next);
    if (examined_left_ > 0 && !is_long_enough()) return false;
    scan_.next = std::move(key_);
    return true;
  }

  const Sealer& sealer_;
  Scan& scan_;
  const os::Deadline deadline_;
  const std::chrono::microseconds half_time_;
  std::string key_;  ///< the last one that was looked at
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
