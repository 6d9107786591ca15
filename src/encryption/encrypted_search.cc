// Searching in encrypted values: the engine is asked for pages without the filter, and what they hold is judged here.
#include <algorithm>
#include <utility>

#include "encryption/encrypted_engine.h"
#include "encryption/page_size.h"
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

/// Takes what matches out of a page; true when the reply is complete, and then says where the next one starts.
bool take_matches(Scan& scan, Scan& page, std::size_t& bytes) {
  const std::string before_key(scan.range.from.substr(0, scan.key_offset));
  for (Entry& entry : page.entries) {
    bytes += entry.value.size();
    if (!matches_value(scan.filter, entry.value)) continue;
    const bool is_last = &entry == &page.entries.back() && page.next.empty();
    std::string key = before_key + entry.key;
    take_match(scan, entry);
    if (scan.entries.size() < scan.limit) continue;
    if (!is_last) scan.next = std::move(key);
    return true;
  }
  return page.next.empty();
}

}  // namespace

Status EncryptedEngine::search(Scan& scan, std::int64_t timeout_ms, FunctionRef<Status(Unit&)> run_page) {
  const os::Deadline deadline = os::deadline_in(timeout_ms);
  std::size_t examined_left = scan.max_examined != 0 ? scan.max_examined : kScanExaminedMax;
  std::string cursor(scan.after);
  std::size_t bytes = 0;
  PageSize size;
  scan.entries.clear();
  scan.next.clear();
  for (;;) {
    const std::size_t entries = std::min(size.entries(), examined_left);
    Command command(Scan{.range = scan.range,
                         .after = cursor,
                         .limit = entries,
                         .max_examined = entries,
                         .key_offset = scan.key_offset,
                         .reverse = scan.reverse,
                         .include_expired = scan.include_expired});
    Unit unit{.commands = std::span(&command, 1), .timeout_ms = os::time_left_ms(deadline)};
    TUSKV_RETURN_IF_ERROR(run_page(unit));
    TUSKV_RETURN_IF_ERROR(sealer_.open_replies(unit.commands));
    Scan& page = std::get<Scan>(command);
    scan.examined += page.examined;
    scan.fingerprint += page.fingerprint;
    const std::size_t bytes_before = bytes;
    if (take_matches(scan, page, bytes)) return {};
    size.adapt(bytes - bytes_before);
    examined_left -= entries;
    cursor = std::move(page.next);
    if (examined_left > 0 && bytes < kScanValueBytesMax) continue;
    scan.next = std::move(cursor);
    return {};
  }
}

Scan* search_in(const Unit& unit) {
  if (unit.commands.empty()) return nullptr;
  auto* const scan = std::get_if<Scan>(&unit.commands.front());
  return scan != nullptr && looks_at_value(scan->filter) ? scan : nullptr;
}

}  // namespace tuskv::encryption
