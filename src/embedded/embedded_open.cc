// Opening the embedded engine: which directory, whose lock, what is in it, and what runs in the background afterwards.
//
// A directory that must not or cannot be written, by option, a kept snapshot inside its store or a medium that is
// read-only, is opened for reading: with a share of the lock, without log and snapshots; writes are refused.
#include <algorithm>
#include <random>
#include <utility>
#include <vector>

#include "embedded/embedded_engine.h"
#include "embedded/snapshot.h"
#include "named_limits.h"

namespace tuskv::embedded {
namespace {

std::uint64_t random_number() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

StoreId random_store_id() {
  StoreId id;
  std::random_device device;
  for (auto& byte : id) byte = static_cast<std::uint8_t>(device());
  return id;
}

/// Whether the directory holds a store. One that holds anything else than our own leftovers, and no manifest, is
/// somebody else's.
Result<bool> holds_store(os::FileSystem& file_system, const std::string& directory) {
  Result<std::vector<os::DirectoryEntry>> listed = file_system.list(directory);
  if (!listed.ok()) return std::move(listed).status();
  const auto named = [](const char* name) {
    return [name](const os::DirectoryEntry& entry) { return entry.name == name; };
  };
  const auto& entries = listed.value();
  if (std::any_of(entries.begin(), entries.end(), named(kManifestName))) return true;
  // Whatever lies beside it: who has lost the manifest must not read that there was no store.
  for (const os::DirectoryEntry& entry : entries) {
    if (parse_segment_name(entry.name) == 0 && parse_snapshot_folder_name(entry.name) == 0) continue;
    return Status(Code::Corruption,
                  directory + " holds " + entry.name + " and no " + kManifestName + ", which has been removed");
  }
  const std::string unfinished = std::string(kManifestName) + ".tmp";
  for (const os::DirectoryEntry& entry : entries) {
    if (entry.name == "LOCK" || entry.name == unfinished) continue;
    return Status(Code::Config,
                  directory + " is not a tuskv store: it holds " + entry.name + " and no " + kManifestName);
  }
  return false;
}

/// Before LOCK is put into somebody else's directory. Where there is one already nothing is read before it is locked.
Status check_ours(os::FileSystem& file_system, const std::string& directory) {
  Result<bool> checked = holds_store(file_system, directory);
  if (!checked.ok()) return std::move(checked).status();
  Result<os::FileKind> lock = file_system.kind(directory + "/LOCK");
  if (!lock.ok()) return std::move(lock).status();
  if (!checked.value() || lock.value() != os::FileKind::missing) return {};
  Result<Manifest> manifest = read_manifest(file_system, directory);
  // Whatever else is wrong with it is for recovery to say, under the lock.
  return manifest.ok() || manifest.failure().code != Code::Config ? Status() : std::move(manifest).status();
}

}  // namespace

EmbeddedEngine::EmbeddedEngine(OnlyOpen, const EngineOptions& options, os::FileSystem& file_system,
                               const os::Clock& clock)
    : directory_(options.directory),
      options_(options.options),
      log_segment_bytes_min_(options.log_segment_bytes_min),
      log_segment_bytes_max_(options.log_segment_bytes_max),
      file_system_(file_system),
      clock_(clock),
      keyspace_(default_shard_count(), random_number()),
      sweeper_([this](std::size_t batch) {
        Result<std::uint64_t> removed = sweep(batch, options_.timeout.milliseconds());
        if (removed.ok()) return removed.value();
        if (removed.failure().code != Code::Closed) report(Event::Kind::sweep_failed, removed.failure().message);
        return std::uint64_t{0};
      }) {}

EmbeddedEngine::~EmbeddedEngine() {
  if (closed()) return;  // whoever closed it knows how that went
  Status status = close();
  if (!status.ok()) report(Event::Kind::sync_failed, status.failure().message);
}

void EmbeddedEngine::report(Event::Kind kind, const std::string& message) const {
  if (options_.on_event != nullptr) options_.on_event(options_.event_context, {.kind = kind, .message = message});
}

Result<std::unique_ptr<Engine>> EmbeddedEngine::open(const EngineOptions& options, os::FileSystem& file_system,
                                                     const os::Clock& clock) {
  EngineOptions settings = options;
  if (!options.directory.empty()) {
    // The process may go elsewhere while the store is open.
    Result<std::string> directory = file_system.absolute(options.directory);
    if (!directory.ok()) return std::move(directory).status();
    settings.directory = std::move(directory).value();
  }
  auto engine = std::make_unique<EmbeddedEngine>(OnlyOpen{}, settings, file_system, clock);
  if (settings.directory.empty()) {
    engine->log_ = std::make_unique<Log>(nullptr, LogOptions{.durability = Durability::unlogged});
  } else {
    TUSKV_RETURN_IF_ERROR(engine->open_directory());
  }
  if (settings.options.ttl_mode == TtlMode::background) {
    TUSKV_RETURN_IF_ERROR(engine->sweeper_.start(
        {.interval_ms = settings.options.sweep_interval.milliseconds(), .batch = settings.options.sweep_batch}));
  }
  engine->closed_.store(false, std::memory_order_release);
  return std::unique_ptr<Engine>(std::move(engine));
}

Status EmbeddedEngine::open_directory() {
  TUSKV_RETURN_IF_ERROR(prepare_directory());
  Result<ReadOnly> reason = reason_to_only_read();
  if (!reason.ok()) return std::move(reason).status();
  read_only_ = reason.value();
  Result<std::unique_ptr<os::DirectoryLock>> lock =
      is_read_only() ? file_system_.lock_shared(directory_) : file_system_.lock(directory_);
  if (!lock.ok()) return std::move(lock).status();
  directory_lock_ = std::move(lock).value();
  // Only now is what is listed the whole truth.
  Result<bool> exists = holds_store(file_system_, directory_);
  if (!exists.ok()) return std::move(exists).status();
  if (!exists.value()) {
    TUSKV_RETURN_IF_ERROR(may_make("holds no store yet"));
    // Also when the directory was there: its maker may have died before syncing its name. Not by the path's own parent,
    // which differs for a symbolic link.
    TUSKV_RETURN_IF_ERROR(file_system_.sync_directory(directory_ + "/.."));
    Manifest manifest{.store_id = random_store_id(), .hash_seed = random_number()};
    manifest.logged = options_.durability != Durability::unlogged;
    TUSKV_RETURN_IF_ERROR(write_manifest(file_system_, directory_, manifest));
  }
  return start_recovered();
}

Status EmbeddedEngine::prepare_directory() {
  Result<os::FileKind> kind = file_system_.kind(directory_);
  if (kind.ok() && kind.value() == os::FileKind::missing) {
    TUSKV_RETURN_IF_ERROR(may_make("does not exist"));
    Status made = file_system_.make_directory(directory_);
    if (made.ok()) return made;
    kind = file_system_.kind(directory_);  // another may have made it meanwhile: then its lock decides
    if (!kind.ok() || kind.value() == os::FileKind::missing) return made;
  }
  if (!kind.ok()) return std::move(kind).status();
  if (kind.value() != os::FileKind::directory) return Status(Code::Config, directory_ + " is not a directory");
  return check_ours(file_system_, directory_);
}

/// `found`: what is said of a directory without a store.
Status EmbeddedEngine::may_make(const char* found) const {
  if (options_.create && !options_.read_only) return {};
  const char* const why = options_.create ? "read_only is true" : "create is false";
  return {Code::Config, directory_ + " " + found + ", and the option " + why};
}

/// Of a directory that holds no store yet and may be written nothing is said here.
Result<EmbeddedEngine::ReadOnly> EmbeddedEngine::reason_to_only_read() {
  Result<os::FileKind> manifest = file_system_.kind(directory_ + "/" + kManifestName);
  if (!manifest.ok()) return std::move(manifest).status();
  if (manifest.value() == os::FileKind::missing) {
    TUSKV_RETURN_IF_ERROR(may_make("holds no store yet"));  // before the lock leaves something there
    return ReadOnly::no;
  }
  Result<bool> is_kept = is_kept_snapshot(file_system_, directory_);
  if (!is_kept.ok()) return std::move(is_kept).status();
  if (is_kept.value()) return ReadOnly::kept_snapshot;
  Result<bool> writable = file_system_.is_writable(directory_);
  if (!writable.ok()) return std::move(writable).status();
  if (!writable.value()) return ReadOnly::not_writable;
  return options_.read_only ? ReadOnly::asked : ReadOnly::no;
}

std::string EmbeddedEngine::read_only_text() const {
  switch (read_only_) {
    case ReadOnly::no: break;
    case ReadOnly::asked: return directory_ + " is only read: it was opened with read_only=true";
    case ReadOnly::kept_snapshot:
      return directory_ +
             " is a kept snapshot of the store around it, so it is only read: copy the folder to make it a store";
    case ReadOnly::not_writable:
      return directory_ + " cannot be written (a read-only file system, or another owner), so it is only read";
  }
  return {};
}

Status EmbeddedEngine::start_recovered() {
  // A kept snapshot was synced before it got its name.
  const bool may_sync = read_only_ == ReadOnly::no || read_only_ == ReadOnly::asked;
  Result<Recovered> recovery = recover(file_system_,
                                       {.directory = directory_,
                                        .threads = options_.snapshot_threads,
                                        .may_write = !is_read_only(),
                                        .may_sync = may_sync},
                                       keyspace_);
  if (!recovery.ok()) return std::move(recovery).status();
  const Recovered& recovered = recovery.value();
  // Later than that is nothing that tuskv has written, and the sum with a TTL must stay a time.
  clock_.raise(std::min(std::max(recovered.clock_high_us, recovered.manifest.clock_high_us), kInstantUsMax));
  was_noted_encrypted_ = recovered.manifest.encrypted;
  recovered_records_ = recovered.records;
  recovered_torn_bytes_ = recovered.torn_bytes;

  if (recovered.records != 0 || recovered.torn_bytes != 0) {
    report(Event::Kind::recovered, std::to_string(recovered.records) + " log records read, " +
                                       std::to_string(recovered.torn_bytes) + " bytes of an unfinished write " +
                                       (is_read_only() ? "passed over" : "cut off"));
  }
  if (is_read_only()) return start_reading(recovered);
  start_log(recovered);
  TUSKV_RETURN_IF_ERROR(log_->started());
  return start_checkpointer(recovered.manifest);
}

Status EmbeddedEngine::start_reading(const Recovered& recovered) {
  log_ = std::make_unique<Log>(
      nullptr, LogOptions{.durability = Durability::unlogged, .last_sequence = recovered.last_sequence});
  for (const RecoveredSegment& segment : recovered.segments)
    log_->add_recovered_segment(segment.ordinal, segment.bytes);
  Result<std::vector<SnapshotInfo>> snapshots = snapshot_infos(file_system_, directory_, recovered.manifest);
  if (!snapshots.ok()) return std::move(snapshots).status();
  read_snapshots_ = std::move(snapshots).value();
  return {};
}

void EmbeddedEngine::start_log(const Recovered& recovered) {
  const auto first_segment = [](void* context, std::uint64_t ordinal) {
    return static_cast<EmbeddedEngine*>(context)->checkpointer_->on_first_segment(ordinal);
  };
  const auto sync_failed = [](void* context, const Status& status) {
    static_cast<EmbeddedEngine*>(context)->report(Event::Kind::sync_failed, status.failure().message);
  };
  log_ = std::make_unique<Log>(&file_system_, LogOptions{.directory = directory_,
                                                         .store_id = recovered.manifest.store_id,
                                                         .durability = options_.durability,
                                                         .sync_interval_ms = options_.sync_interval.milliseconds(),
                                                         .segment_bytes_min = log_segment_bytes_min_,
                                                         .segment_bytes_max = log_segment_bytes_max_,
                                                         .next_ordinal = recovered.next_log_ordinal,
                                                         .last_sequence = recovered.last_sequence,
                                                         .on_first_segment = first_segment,
                                                         .on_sync_failed = sync_failed,
                                                         .context = this});
  for (const RecoveredSegment& segment : recovered.segments)
    log_->add_recovered_segment(segment.ordinal, segment.bytes);
}

Status EmbeddedEngine::start_checkpointer(const Manifest& manifest) {
  const auto now = [](void* context) { return static_cast<MonotoneClock*>(context)->now_us(); };
  const CheckpointerOptions settings{.directory = directory_,
                                     .durability = options_.durability,
                                     .log_percent = options_.snapshot_log_percent,
                                     .log_bytes_min = options_.snapshot_log_bytes_min,
                                     .interval_ms = options_.snapshot_interval.milliseconds(),
                                     .keep_snapshots = options_.keep_snapshots,
                                     .threads = options_.snapshot_threads,
                                     .keeps_expired = options_.ttl_mode == TtlMode::disabled,
                                     .now_us = now,
                                     .clock_context = &clock_,
                                     .on_event = options_.on_event,
                                     .event_context = options_.event_context};
  checkpointer_ = std::make_unique<Checkpointer>(file_system_, keyspace_, *log_, settings, manifest);
  return checkpointer_->start();
}

}  // namespace tuskv::embedded
