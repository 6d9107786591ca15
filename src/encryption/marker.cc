#include "encryption/marker.h"

#include <optional>
#include <span>
#include <utility>

namespace tuskv::encryption {
namespace {

constexpr std::string_view kMarkerText = "tuskv encrypted store";

Status run(Engine& engine, Command& command, std::int64_t timeout_ms) {
  Unit unit{.commands = std::span(&command, 1), .timeout_ms = timeout_ms};
  engine.execute(std::span(&unit, 1));
  return Status(std::move(unit.failure));
}

/// The first entry of the range, expired ones included.
Result<std::optional<Entry>> first_entry(Engine& engine, const Range& range, std::int64_t timeout_ms) {
  std::string cursor;
  do {
    Command command(Scan{.range = range, .after = cursor, .limit = 1, .include_expired = true});
    TUSKV_RETURN_IF_ERROR(run(engine, command, timeout_ms));
    Scan& scan = std::get<Scan>(command);
    if (!scan.entries.empty()) return std::optional<Entry>(std::move(scan.entries.front()));
    cursor = std::move(scan.next);
  } while (!cursor.empty());
  return std::optional<Entry>();
}

/// The first entry that is not of an engine itself.
Result<std::optional<Entry>> first_entry(Engine& engine, std::int64_t timeout_ms) {
  Result<std::optional<Entry>> found = first_entry(engine, {.to = kOwnPrefix}, timeout_ms);
  if (!found.ok() || found.value()) return found;
  std::string behind(kOwnPrefix);
  ++behind.back();
  return first_entry(engine, {.from = behind}, timeout_ms);
}

Status check_marker(const Sealer& sealer, std::string value) {
  const Status opened = sealer.open(kMarkerKey, value);
  if (opened.ok() && value == kMarkerText) return {};
  return Status(Code::Config, "the store is encrypted, and the given keys are not its own (" +
                                  (opened.ok() ? "its marker says something else" : opened.failure().message) +
                                  "): give the keys that it was made with, the newest first");
}

/// Without a marker a store is empty, or it is none of ours; or it was emptied, or repaired, while its marker was lost.
Status check_unmarked(Engine& engine, const Sealer& sealer, std::int64_t timeout_ms) {
  Result<std::optional<Entry>> first = first_entry(engine, timeout_ms);
  if (!first.ok()) return std::move(first).status();
  if (!first.value()) return {};
  Entry entry = *std::move(first).value();
  if (sealer.open(entry.key, entry.value).ok()) return {};
  return Status(Code::Config,
                "the store holds entries that are not encrypted with these keys: open it without keys, or, to encrypt "
                "it, copy it into a new store that is opened with keys (tuskv copy FROM TO)");
}

}  // namespace

Result<StoredValue> read_stored(Engine& engine, std::string_view key, std::int64_t timeout_ms) {
  StoredValue stored;
  Command command(Read{.key = key, .into = &stored.value});
  TUSKV_RETURN_IF_ERROR(run(engine, command, timeout_ms));
  stored.seen = std::move(std::get<Read>(command).seen);
  return stored;
}

Status check_unencrypted(Engine& engine, std::int64_t timeout_ms) {
  const Result<StoredValue> marker = read_stored(engine, kMarkerKey, timeout_ms);
  if (!marker.ok()) return Status(std::make_unique<Failure>(marker.failure()));
  if (!marker.value().seen.found) return {};
  return Status(Code::Config,
                "the store is encrypted: it cannot be opened without its keys (encryption_key_file, "
                "Options::encryptor; for the tool also TUSKV_KEY_FILE and TUSKV_KEYS)");
}

Status check_encrypted(Engine& engine, const Sealer& sealer, std::int64_t timeout_ms) {
  Result<StoredValue> marker = read_stored(engine, kMarkerKey, timeout_ms);
  if (!marker.ok()) return std::move(marker).status();
  if (marker.value().seen.found) return check_marker(sealer, std::move(marker.value().value));
  TUSKV_RETURN_IF_ERROR(check_unmarked(engine, sealer, timeout_ms));
  TUSKV_RETURN_IF_ERROR(put_marker(engine, sealer, timeout_ms));
  // Another process may have been first, with keys of its own.
  marker = read_stored(engine, kMarkerKey, timeout_ms);
  if (!marker.ok()) return std::move(marker).status();
  return check_marker(sealer, std::move(marker.value().value));
}

Status put_marker(Engine& engine, const Sealer& sealer, std::int64_t timeout_ms) {
  std::string stored;
  TUSKV_RETURN_IF_ERROR(sealer.seal(kMarkerKey, kMarkerText, stored));
  Command command(Put{.key = kMarkerKey, .value = stored, .condition = {.kind = Condition::Kind::absent}});
  return run(engine, command, timeout_ms);
}

}  // namespace tuskv::encryption
