// Bringing every value under the first key, while others read and write. A value is rewritten only if its entry still
// has the version that was read; one that somebody has written meanwhile is looked at again. So nothing is lost, and a
// walk that was broken off is done by another.
#include <algorithm>
#include <utility>

#include "encryption/encrypted_engine.h"
#include "encryption/marker.h"
#include "encryption/page_size.h"
#include "key_text.h"
#include "os/deadline.h"

namespace tuskv::encryption {
namespace {

Status cloned(const Failure& failure) { return Status(std::make_unique<Failure>(failure)); }

/// A value that was read with a version, to be written in the place of that version.
struct Rewritten {
  std::string_view key = {};
  std::uint64_t version = 0;
  std::string stored = {};
};

Put rewrite_of(const Rewritten& rewritten) {
  return {.key = rewritten.key,
          .value = rewritten.stored,
          .condition = {.kind = Condition::Kind::version, .version = rewritten.version},
          .expiry = {.kind = Expiry::Kind::keep}};
}

void note_unreadable(std::string_view key, ReencryptReport& report) {
  if (report.unreadable++ == 0) report.first_unreadable = quoted_key(key);
}

}  // namespace

Status EncryptedEngine::reencrypt_page(ReencryptionWalk& walk, std::int64_t timeout_ms, ReencryptReport& report) {
  PageSize size(walk.page_entries == 0 ? PageSize::kFirstEntries : walk.page_entries);
  Command command(Scan{.after = walk.after, .limit = size.entries()});
  Unit unit{.commands = std::span(&command, 1), .timeout_ms = timeout_ms};
  engine_->execute(std::span(&unit, 1));
  if (unit.failure != nullptr) return Status(std::move(unit.failure));
  Scan& scan = std::get<Scan>(command);
  // What an engine keeps for itself is not encrypted.
  std::erase_if(scan.entries, [](const Entry& entry) { return entry.key.starts_with(kOwnPrefix); });
  std::size_t bytes = 0;
  for (const Entry& entry : scan.entries) bytes += entry.value.size();
  size.adapt(bytes);
  report.examined += scan.entries.size();
  TUSKV_RETURN_IF_ERROR(rewrite_until_done(std::move(scan.entries), timeout_ms, report));
  walk = {.after = std::move(scan.next), .page_entries = size.entries()};
  walk.done = walk.after.empty();
  return {};
}

Status EncryptedEngine::reencrypt_marker(std::int64_t timeout_ms) {
  if (!is_kept_) return {};
  Result<std::vector<Entry>> marker = read_again({std::string(kMarkerKey)}, timeout_ms);
  if (!marker.ok()) return std::move(marker).status();
  ReencryptReport unused;
  TUSKV_RETURN_IF_ERROR(rewrite_until_done(std::move(marker).value(), timeout_ms, unused));
  return {};
}

Status EncryptedEngine::rewrite_until_done(std::vector<Entry> entries, std::int64_t timeout_ms,
                                           ReencryptReport& report) {
  const os::Deadline deadline = os::deadline_in(timeout_ms);
  while (!entries.empty()) {
    const std::int64_t left_ms = os::time_left_ms(deadline);
    if (left_ms == 0) return Status(Code::Timeout, "the deadline passed while others kept writing what is reencrypted");
    const Result<std::vector<std::string>> changed = rewrite(std::move(entries), left_ms, report);
    if (!changed.ok()) return cloned(changed.failure());
    if (changed.value().empty()) return {};
    Result<std::vector<Entry>> again = read_again(changed.value(), left_ms);
    if (!again.ok()) return std::move(again).status();
    entries = std::move(again).value();
  }
  return {};
}

Result<std::vector<std::string>> EncryptedEngine::rewrite(std::vector<Entry> entries, std::int64_t timeout_ms,
                                                          ReencryptReport& report) {
  std::vector<Rewritten> rewritten;
  for (Entry& entry : entries) {
    const Result<bool> needs = sealer_.needs_reencryption(entry.key, entry.value);
    if (needs.ok() && !needs.value()) continue;
    if (!needs.ok() || !sealer_.open(entry.key, entry.value).ok()) {
      note_unreadable(entry.key, report);
      continue;
    }
    Rewritten value{.key = entry.key, .version = entry.version.number};
    TUSKV_RETURN_IF_ERROR(sealer_.seal(entry.key, entry.value, value.stored));
    rewritten.push_back(std::move(value));
  }
  std::vector<Command> commands;
  commands.reserve(rewritten.size());
  for (const Rewritten& value : rewritten) commands.emplace_back(rewrite_of(value));
  std::vector<Unit> units;
  units.reserve(rewritten.size());
  for (Command& command : commands) {
    units.push_back({.commands = std::span(&command, 1), .timeout_ms = timeout_ms});
  }
  engine_->execute(units);
  std::vector<std::string> changed;
  for (std::size_t i = 0; i < units.size(); ++i) {
    if (units[i].failure != nullptr) return Status(std::move(units[i].failure));
    if (std::get<Put>(commands[i]).applied) {
      ++report.rewritten;
    } else {
      changed.emplace_back(rewritten[i].key);
    }
  }
  return changed;
}

Result<std::vector<Entry>> EncryptedEngine::read_again(const std::vector<std::string>& keys, std::int64_t timeout_ms) {
  std::vector<Entry> entries;
  for (const std::string& key : keys) {
    Result<StoredValue> stored = read_stored(*engine_, key, timeout_ms);
    if (!stored.ok()) return std::move(stored).status();
    if (!stored.value().seen.found) continue;
    entries.push_back(
        {.key = key, .value = std::move(stored.value().value), .version = Version{stored.value().seen.version}});
  }
  return entries;
}

}  // namespace tuskv::encryption
