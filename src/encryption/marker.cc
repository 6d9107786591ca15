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

/// The value in plain text; Config when it is not encrypted with these keys. An encryptor that cannot read what it has
/// made just now says nothing about others' values: then the failure is its own.
Result<std::string> open_own(const Sealer& sealer, std::string_view key, const std::string& stored) {
  std::string value = stored;
  if (sealer.open(key, value).ok()) return value;
  std::string probe;
  TUSKV_RETURN_IF_ERROR(sealer.seal(key, kMarkerText, probe));
  TUSKV_RETURN_IF_ERROR(sealer.open(key, probe));
  value = stored;
  const Status again = sealer.open(key, value);
  if (again.ok()) return value;  // it had failed for a moment
  return Status(Code::Config, again.failure().message);
}

Status not_its_keys(const std::string& why) {
  return Status(Code::Config, "the store is encrypted, and the given keys are not its own (" + why +
                                  "): give the keys that it was made with, the newest first");
}

Status check_marker(const Sealer& sealer, const std::string& stored) {
  const Result<std::string> text = open_own(sealer, kMarkerKey, stored);
  if (!text.ok() && text.failure().code != Code::Config) return text.status();
  if (!text.ok()) return not_its_keys(text.failure().message);
  return text.value() == kMarkerText ? Status() : not_its_keys("its marker says something else");
}

/// Without a marker a store is empty, or it is none of ours; or it was emptied, or repaired, while its marker was lost.
Status check_unmarked(Engine& engine, const Sealer& sealer, os::Deadline deadline) {
  Result<std::optional<Entry>> first = first_entry(engine, deadline);
  if (!first.ok()) return std::move(first).status();
  if (!first.value()) return {};
  const Entry& entry = *first.value();
  const Result<std::string> opened = open_own(sealer, entry.key, entry.value);
  if (opened.ok()) return {};
  if (opened.failure().code != Code::Config) return opened.status();
  const std::string& why = opened.failure().message;
  if (engine.was_noted_encrypted()) return not_its_keys(why);
  return Status(Code::Config,
                "the store holds entries that are not encrypted with these keys (" + why +
                    "): if they are in plain text, open it without keys, or, to encrypt it, copy it into a new store "
                    "that is opened with keys (tuskv copy FROM TO, where the URL of FROM says "
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
  if (!marker.value().seen.found && !engine.was_noted_encrypted()) return {};
  return Status(Code::Config,
                "the store is encrypted: it cannot be opened without its keys (encryption_key_file, "
                "Options::encryptor; for the tool also TUSKV_KEY_FILE and TUSKV_KEYS)");
}

Result<bool> check_encrypted(Engine& engine, const Sealer& sealer, std::int64_t timeout_ms) {
  const os::Deadline deadline = os::deadline_in(timeout_ms);
  Result<StoredValue> marker = read_stored(engine, kMarkerKey, timeout_ms);
  if (!marker.ok()) return std::move(marker).status();
  const bool marked = marker.value().seen.found;
  TUSKV_RETURN_IF_ERROR(marked ? check_marker(sealer, marker.value().value) : check_unmarked(engine, sealer, deadline));
  return marked;
}

namespace {

/// mark_encrypted without the note.
Status put_marker(Engine& engine, const Sealer& sealer, os::Deadline deadline) {
  for (;;) {
    const Result<bool> marked = check_encrypted(engine, sealer, os::time_left_ms(deadline));
    if (!marked.ok()) return marked.status();
    if (marked.value()) return {};
    std::string stored;
    TUSKV_RETURN_IF_ERROR(sealer.seal(kMarkerKey, kMarkerText, stored));
    Command command(Put{.key = kMarkerKey, .value = stored, .condition = {.kind = Condition::Kind::absent}});
    TUSKV_RETURN_IF_ERROR(run(engine, command, deadline));
    const Put& put = std::get<Put>(command);
    // Another process was first, maybe with keys of its own, and may take it back.
    if (!put.applied) continue;
    Status status = check_unmarked(engine, sealer, deadline);
    if (status.ok() || status.failure().code != Code::Config) return status;
    Command take_back(
        Erase{.key = kMarkerKey, .condition = {.kind = Condition::Kind::version, .version = put.version}});
    TUSKV_RETURN_IF_ERROR(run(engine, take_back, deadline));
    return status;
  }
}

}  // namespace

Status mark_encrypted(Engine& engine, const Sealer& sealer, std::int64_t timeout_ms) {
  TUSKV_RETURN_IF_ERROR(put_marker(engine, sealer, os::deadline_in(timeout_ms)));
  return engine.note_encrypted();
}

}  // namespace tuskv::encryption
