#include "encryption/marker.h"

#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "os/deadline.h"

namespace tuskv::encryption {
namespace {

constexpr std::string_view kMarkerText = "tuskv encrypted store";

Status run(Engine& engine, Command& command, os::Deadline deadline) {
  Unit unit{.commands = std::span(&command, 1), .timeout_ms = os::time_left_ms(deadline)};
  engine.execute(std::span(&unit, 1));
  return Status(std::move(unit.failure));
}

/// The first entry of the range, expired ones included.
Result<std::optional<Entry>> first_entry(Engine& engine, const Range& range, os::Deadline deadline) {
  std::string cursor;
  do {
    Command command(Scan{.range = range, .after = cursor, .limit = 1, .include_expired = true});
    TUSKV_RETURN_IF_ERROR(run(engine, command, deadline));
    Scan& scan = std::get<Scan>(command);
    if (!scan.entries.empty()) return std::optional<Entry>(std::move(scan.entries.front()));
    cursor = std::move(scan.next);
  } while (!cursor.empty());
  return std::optional<Entry>();
}

/// The first entry that is not of an engine itself.
Result<std::optional<Entry>> first_entry(Engine& engine, os::Deadline deadline) {
  Result<std::optional<Entry>> found = first_entry(engine, {.to = kOwnKeysFrom}, deadline);
  if (!found.ok() || found.value()) return found;
  return first_entry(engine, {.from = kOwnKeysTo}, deadline);
}

Status check_marker(const Sealer& sealer, std::string value) {
  const Status opened = sealer.open(kMarkerKey, value);
  if (opened.ok() && value == kMarkerText) return {};
  return Status(Code::Config, "the store is encrypted, and the given keys are not its own (" +
                                  (opened.ok() ? "its marker says something else" : opened.failure().message) +
                                  "): give the keys that it was made with, the newest first");
}

/// Without a marker a store is empty, or it is none of ours; or it was emptied, or repaired, while its marker was lost.
Status check_unmarked(Engine& engine, const Sealer& sealer, os::Deadline deadline) {
  Result<std::optional<Entry>> first = first_entry(engine, deadline);
  if (!first.ok()) return std::move(first).status();
  if (!first.value()) return {};
  Entry entry = *std::move(first).value();
  if (sealer.open(entry.key, entry.value).ok()) return {};
  return Status(Code::Config,
                "the store holds entries that are not encrypted with these keys: open it without keys, or, to encrypt "
                "it, copy it into a new store that is opened with keys (tuskv copy FROM TO, where the URL of FROM says "
                "encryption_key_file=none)");
}

}  // namespace

Result<StoredValue> read_stored(Engine& engine, std::string_view key, std::int64_t timeout_ms) {
  StoredValue stored;
  Command command(Read{.key = key, .into = &stored.value});
  TUSKV_RETURN_IF_ERROR(run(engine, command, os::deadline_in(timeout_ms)));
  stored.seen = std::move(std::get<Read>(command).seen);
  return stored;
}

Status check_unencrypted(Engine& engine, std::int64_t timeout_ms) {
  const Result<StoredValue> marker = read_stored(engine, kMarkerKey, timeout_ms);
  if (!marker.ok()) return marker.status();
  if (!marker.value().seen.found) return {};
  return Status(Code::Config,
                "the store is encrypted: it cannot be opened without its keys (encryption_key_file, "
                "Options::encryptor; for the tool also TUSKV_KEY_FILE and TUSKV_KEYS)");
}

Result<bool> check_encrypted(Engine& engine, const Sealer& sealer, std::int64_t timeout_ms) {
  const os::Deadline deadline = os::deadline_in(timeout_ms);
  Result<StoredValue> marker = read_stored(engine, kMarkerKey, timeout_ms);
  if (!marker.ok()) return std::move(marker).status();
  const bool marked = marker.value().seen.found;
  TUSKV_RETURN_IF_ERROR(marked ? check_marker(sealer, std::move(marker.value().value))
                               : check_unmarked(engine, sealer, deadline));
  return marked;
}

Status mark_encrypted(Engine& engine, const Sealer& sealer, std::int64_t timeout_ms) {
  const os::Deadline deadline = os::deadline_in(timeout_ms);
  const Result<bool> marked = check_encrypted(engine, sealer, timeout_ms);
  if (!marked.ok()) return marked.status();
  if (marked.value()) return {};
  std::string stored;
  TUSKV_RETURN_IF_ERROR(sealer.seal(kMarkerKey, kMarkerText, stored));
  Command command(Put{.key = kMarkerKey, .value = stored, .condition = {.kind = Condition::Kind::absent}});
  TUSKV_RETURN_IF_ERROR(run(engine, command, deadline));
  const Put& put = std::get<Put>(command);
  if (!put.applied) {
    // Another process was first, maybe with keys of its own.
    const Result<bool> others = check_encrypted(engine, sealer, os::time_left_ms(deadline));
    return others.ok() ? Status() : others.status();
  }
  Status status = check_unmarked(engine, sealer, deadline);
  if (status.ok() || status.failure().code != Code::Config) return status;
  Command take_back(Erase{.key = kMarkerKey, .condition = {.kind = Condition::Kind::version, .version = put.version}});
  TUSKV_RETURN_IF_ERROR(run(engine, take_back, deadline));
  return status;
}

}  // namespace tuskv::encryption
