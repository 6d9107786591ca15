// Repairing a damaged store that is not open: everything that can still be read becomes a new snapshot.
//
//   1. every file, as it was found, gets a second name in repair-<n>, inside the directory
//   2. entries of whole blocks, then whole records in the order of the log, make up a state in memory
//   3. that state is written as a new snapshot, durably
//   4. the manifest is replaced
//   5. what the new manifest does not name is removed from its old place: damaged snapshots, the log
//
// Folders of another store, and what a newer tuskv has written, are neither read nor removed.
//
// A crash before step 4 leaves the damage as it was; nothing is removed before the new state is published. Sequences
// continue above any that a file can have held, so that no version means two values.
#include <algorithm>
#include <optional>
#include <random>
#include <utility>

#include "embedded/byte_order.h"
#include "embedded/format_version.h"
#include "embedded/log_reader.h"
#include "embedded/maintenance.h"
#include "embedded/manifest.h"
#include "embedded/snapshot.h"
#include "embedded/store_files.h"

namespace tuskv::embedded {
namespace {

constexpr std::string_view kBackupPrefix = "repair-";
constexpr std::string_view kLockName = "LOCK";

std::uint64_t random_seed() {
  std::random_device device;
  return std::uint64_t{device()} << 32U | device();
}

/// Takes in what an examination passes on.
class Salvage final : public EntrySink, public RecordSink {
 public:
  explicit Salvage(Keyspace& keyspace) : keyspace_(keyspace) {}

  void entry(const Change& put, std::uint64_t sequence) override {
    keyspace_.load_entry(keyspace_.hash(put.key), put, sequence);
    clock_high_us_ = std::max(clock_high_us_, put.updated_us);
  }

  void record(const RecordHeader& header, std::string_view bytes) override {
    ChangeReader reader(bytes, header.change_count);
    for (Change change; reader.next(change);) {
      clock_high_us_ = std::max(clock_high_us_, change.updated_us);
      const std::uint64_t hash = keyspace_.hash(change.key);
      if (change.op != ChangeOp::erase_range) {
        keyspace_.replay(keyspace_.shard_index(hash), hash, change, header.sequence);
        continue;
      }
      for (std::size_t i = 0; i < keyspace_.shard_count(); ++i) keyspace_.replay(i, hash, change, header.sequence);
    }
  }

  std::int64_t clock_high_us() const { return clock_high_us_; }

 private:
  Keyspace& keyspace_;
  std::int64_t clock_high_us_ = 0;
};

/// Size, checksum and number of entries as the file has them.
Result<PartInfo> describe_part(os::FileSystem& file_system, const std::string& path) {
  PartInfo info;
  Result<std::unique_ptr<os::File>> file = file_system.open(path, os::OpenMode::read);
  if (!file.ok()) return std::move(file).status();
  Result<std::uint64_t> size = file.value()->size();
  if (!size.ok()) return std::move(size).status();
  info.size_bytes = size.value();
  if (size.value() < kPartFooterBytes) return info;
  std::string footer(kPartFooterBytes, '\0');
  Result<std::size_t> got = file.value()->read_at(size.value() - kPartFooterBytes, footer.data(), footer.size());
  if (!got.ok()) return std::move(got).status();
  info.checksum = load_integer<std::uint64_t>(footer, 0);
  info.entries = load_integer<std::uint64_t>(footer, 16);
  return info;
}

class StoreRepair final {
 public:
  StoreRepair(os::FileSystem& file_system, const std::string& directory, std::int64_t now_us)
      : file_system_(file_system), directory_(directory), now_us_(now_us) {}

  Result<RepairReport> run();

 private:
  Status choose_base();
  Result<bool> take_readable_folder();
  Status rebuild_base();
  Result<bool> take_parts(const std::string& folder, std::uint64_t ordinal);
  Status learn_store_id();
  bool is_ours(const StoreId& store_id) const { return !store_id_ || *store_id_ == store_id; }
  Status load();
  Status back_up();
  Status back_up_folder(const std::string& from, const std::string& to);
  Status publish();
  void remove_what_is_damaged();
  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  Result<std::vector<std::uint64_t>> folders() const;
  bool is_damaged_part(const std::vector<Damage>& damage) const;

  os::FileSystem& file_system_;
  const std::string& directory_;
  const std::int64_t now_us_;
  RepairReport report_;
  std::optional<StoreId> store_id_;  ///< nothing: no file in the directory itself says it
  Manifest base_;
  bool knows_parts_ = true;  ///< false: base_ has no more about its parts than they say themselves
  std::unique_ptr<Keyspace> keyspace_;
  std::uint64_t last_sequence_ = 0;
  std::int64_t clock_high_us_ = 0;
};

Result<RepairReport> StoreRepair::run() {
  Result<CheckReport> checked = check_held_store(file_system_, directory_);
  if (!checked.ok()) return std::move(checked).status();
  report_.damage = std::move(checked.value().damage);
  if (report_.damage.empty()) {
    report_.entries_kept = checked.value().entries.value_or(0);
    return std::move(report_);
  }
  TUSKV_RETURN_IF_ERROR(choose_base());
  TUSKV_RETURN_IF_ERROR(load());
  TUSKV_RETURN_IF_ERROR(back_up());
  TUSKV_RETURN_IF_ERROR(publish());
  remove_what_is_damaged();
  report_.entries_kept = keyspace_->user_entry_count();
  return std::move(report_);
}

Result<std::vector<std::uint64_t>> StoreRepair::folders() const {
  Result<std::vector<os::DirectoryEntry>> entries = file_system_.list(directory_);
  if (!entries.ok()) return std::move(entries).status();
  std::vector<std::uint64_t> ordinals;
  for (const os::DirectoryEntry& entry : entries.value()) {
    const std::uint64_t ordinal = parse_snapshot_folder_name(entry.name);
    if (ordinal != 0 && entry.kind == os::FileKind::directory) ordinals.push_back(ordinal);
  }
  std::sort(ordinals.rbegin(), ordinals.rend());
  return ordinals;
}

/// The manifest to start from: the store's own, or else that of the newest snapshot that has a readable one, or else
/// one pieced together from the headers of files.
Status StoreRepair::choose_base() {
  Result<Manifest> own = read_manifest(file_system_, directory_);
  if (own.ok()) {
    Result<os::FileKind> kind = file_system_.kind(snapshot_location(directory_, own.value()));
    if (!kind.ok()) return std::move(kind).status();
    base_ = own.value();
    store_id_ = base_.store_id;
    if (base_.snapshot.ordinal == 0 || kind.value() == os::FileKind::directory) return {};
  }
  if (!own.ok()) TUSKV_RETURN_IF_ERROR(learn_store_id());
  // The folder of the newest snapshot is gone, or nobody knows which it is.
  Result<bool> taken = take_readable_folder();
  if (!taken.ok()) return std::move(taken).status();
  if (!taken.value() && !own.ok()) TUSKV_RETURN_IF_ERROR(rebuild_base());
  if (own.ok()) {
    base_.logged = own.value().logged;
    base_.encrypted = base_.encrypted || own.value().encrypted;
  }
  return {};
}

Result<bool> StoreRepair::take_readable_folder() {
  Result<std::vector<Manifest>> readable =
      list_snapshot_folders(file_system_, directory_, store_id_ ? &*store_id_ : nullptr, UINT64_MAX);
  if (!readable.ok()) return std::move(readable).status();
  if (readable.value().empty()) return false;
  // All of them are the store's, where it knows who it is. Otherwise to choose is to lose the state of one.
  const Manifest& oldest = readable.value().front();
  const Manifest& newest = readable.value().back();
  for (const Manifest& each : readable.value()) {
    if (each.store_id == newest.store_id) continue;
    return Status(Code::Corruption, directory_ + " has " + snapshot_folder_name(oldest.snapshot.ordinal) + " to " +
                                        snapshot_folder_name(newest.snapshot.ordinal) +
                                        " of more than one store, and nothing else tells whose it is: move those of "
                                        "others to another place");
  }
  const std::uint64_t durable = std::max(base_.durable_sequence, base_.snapshot.end_sequence);
  base_ = newest;
  base_.durable_sequence = std::max(base_.durable_sequence, durable);
  base_.is_snapshot_folder = false;
  return true;
}

/// No manifest can be read: parts and segments say whose they are.
Status StoreRepair::rebuild_base() {
  base_ = {};
  knows_parts_ = false;
  base_.hash_seed = random_seed();
  Result<std::vector<std::uint64_t>> ordinals = folders();
  if (!ordinals.ok()) return std::move(ordinals).status();
  for (const std::uint64_t ordinal : ordinals.value()) {
    Result<bool> taken = take_parts(path(snapshot_folder_name(ordinal)), ordinal);
    if (!taken.ok()) return std::move(taken).status();
    if (taken.value()) return {};
  }
  Result<bool> taken = take_parts(directory_, 0);
  if (!taken.ok()) return std::move(taken).status();
  if (taken.value()) return {};
  Result<std::vector<std::uint64_t>> segments = list_segments(file_system_, directory_);
  if (!segments.ok()) return std::move(segments).status();
  if (!store_id_ || segments.value().empty()) {
    return {Code::Corruption,
            directory_ + " holds nothing that can be read: no manifest, no snapshot and no log segment"};
  }
  base_.store_id = *store_id_;
  base_.first_log_ordinal = segments.value().front();
  return {};
}

/// The snapshot whose parts lie in `folder`, if they are the store's. Beside the manifest, where all segments are its
/// delta or go on with it, it has no folder of its own, nor an `ordinal` that its name would tell.
Result<bool> StoreRepair::take_parts(const std::string& folder, std::uint64_t ordinal) {
  Result<PartHeader> first = read_part_header(file_system_, folder + "/" + part_name(0));
  if (!first.ok() && is_newer_format(first.failure())) return std::move(first).status();
  if (!first.ok() || !is_ours(first.value().store_id)) return false;
  base_.is_snapshot_folder = ordinal == 0;
  base_.store_id = first.value().store_id;
  base_.snapshot.ordinal = ordinal != 0 ? ordinal : first.value().snapshot_ordinal;
  base_.snapshot.start_sequence = first.value().start_sequence;
  for (std::size_t i = 0; i < first.value().part_count; ++i) {
    Result<PartInfo> info = describe_part(file_system_, folder + "/" + part_name(i));
    base_.snapshot.parts.push_back(info.ok() ? info.value() : PartInfo{});
  }
  Result<std::vector<std::uint64_t>> delta = list_segments(file_system_, folder);
  if (!delta.ok()) return std::move(delta).status();
  base_.snapshot.delta_count = delta.value().size();
  if (!delta.value().empty()) {
    base_.snapshot.first_delta_ordinal = delta.value().front();
    base_.first_log_ordinal = delta.value().back() + 1;
  }
  return true;
}

/// From the log, or the parts of a snapshot that was opened as a store.
Status StoreRepair::learn_store_id() {
  Result<std::vector<std::uint64_t>> segments = list_segments(file_system_, directory_);
  if (!segments.ok()) return std::move(segments).status();
  for (const std::uint64_t ordinal : segments.value()) {
    Result<SegmentScan> scan = scan_segment(file_system_, path(segment_name(ordinal)), ordinal, nullptr, nullptr);
    if (!scan.ok() && is_newer_format(scan.failure())) return std::move(scan).status();
    if (!scan.ok()) continue;
    store_id_ = scan.value().store_id;
    return {};
  }
  Result<PartHeader> part = read_part_header(file_system_, path(part_name(0)));
  if (!part.ok() && is_newer_format(part.failure())) return std::move(part).status();
  if (part.ok()) store_id_ = part.value().store_id;
  return {};
}

Status StoreRepair::load() {
  Result<LoadedStore> whole = load_store(file_system_, directory_);
  if (whole.ok()) {  // only kept snapshots are damaged
    keyspace_ = std::move(whole.value().keyspace);
    last_sequence_ = whole.value().recovered.last_sequence;
    clock_high_us_ = whole.value().recovered.clock_high_us;
    return {};
  }
  keyspace_ = std::make_unique<Keyspace>(default_shard_count(), base_.hash_seed);
  Salvage salvage(*keyspace_);
  Result<StoreFindings> findings = examine_store(file_system_, directory_, base_, &salvage, &salvage);
  if (!findings.ok()) return std::move(findings).status();
  for (std::size_t i = 0; i < keyspace_->shard_count(); ++i) keyspace_->finish_loading(i);
  report_.records_dropped = findings.value().missing_records;
  if (knows_parts_) {
    report_.entries_dropped = findings.value().missing_entries;
  } else if (is_damaged_part(findings.value().damage)) {
    report_.entries_dropped.reset();
  }
  last_sequence_ = findings.value().sequence_ceiling;
  clock_high_us_ = salvage.clock_high_us();
  return {};
}

bool StoreRepair::is_damaged_part(const std::vector<Damage>& damage) const {
  const std::string begin = snapshot_location(directory_, base_) + "/" + std::string(kPartPrefix);
  return std::any_of(damage.begin(), damage.end(), [&](const Damage& one) { return one.file.starts_with(begin); });
}

Status StoreRepair::back_up() {
  for (std::uint64_t number = 1;; ++number) {
    const std::string folder = path(std::string(kBackupPrefix) + std::to_string(number));
    Result<os::FileKind> kind = file_system_.kind(folder);
    if (!kind.ok()) return std::move(kind).status();
    if (kind.value() != os::FileKind::missing) continue;
    report_.backup = folder;
    TUSKV_RETURN_IF_ERROR(back_up_folder(directory_, folder));
    return file_system_.sync_directory(directory_);
  }
}

Status StoreRepair::back_up_folder(const std::string& from, const std::string& to) {
  TUSKV_RETURN_IF_ERROR(file_system_.make_directory(to));
  Result<std::vector<os::DirectoryEntry>> entries = file_system_.list(from);
  if (!entries.ok()) return std::move(entries).status();
  for (const os::DirectoryEntry& entry : entries.value()) {
    const std::string source = from + "/" + entry.name;
    const std::string target = to + "/" + entry.name;
    if (entry.kind == os::FileKind::file && entry.name != kLockName) {
      TUSKV_RETURN_IF_ERROR(link_or_copy(file_system_, source, target));
    } else if (entry.kind == os::FileKind::directory && folder_ordinal(entry.name) != 0) {
      TUSKV_RETURN_IF_ERROR(back_up_folder(source, target));
    }
  }
  return file_system_.sync_directory(to);
}

Status StoreRepair::publish() {
  Result<std::uint64_t> highest = highest_folder_ordinal(file_system_, directory_);
  if (!highest.ok()) return std::move(highest).status();
  Result<std::vector<std::uint64_t>> segments = list_segments(file_system_, directory_);
  if (!segments.ok()) return std::move(segments).status();
  Manifest next = base_;
  next.is_snapshot_folder = false;
  next.first_log_ordinal = std::max({base_.first_log_ordinal, base_.last_log_ordinal + 1,
                                     segments.value().empty() ? 0 : segments.value().back() + 1});
  next.last_log_ordinal = next.first_log_ordinal - 1;
  next.first_log_sequence = last_sequence_ + 1;
  next.durable_sequence = last_sequence_;
  next.clock_high_us = std::max({base_.clock_high_us, clock_high_us_, now_us_});
  const SnapshotManifest snapshot{.ordinal = std::max(highest.value(), base_.snapshot.ordinal) + 1,
                                  .start_sequence = last_sequence_,
                                  .end_sequence = last_sequence_,
                                  .taken_at_us = now_us_};
  Result<Manifest> written = write_standing_snapshot(file_system_, directory_, *keyspace_, next, snapshot);
  if (!written.ok()) return std::move(written).status();
  next.snapshot = written.value().snapshot;
  base_ = next;
  return write_manifest(file_system_, directory_, next);
}

/// The new state is published: what cannot be removed now is removed by the next opening, or does no harm.
void StoreRepair::remove_what_is_damaged() {
  remove_segments_below(file_system_, directory_, base_.first_log_ordinal);
  Result<std::vector<std::uint64_t>> ordinals = folders();
  if (!ordinals.ok()) return;
  for (const std::uint64_t ordinal : ordinals.value()) {
    if (ordinal == base_.snapshot.ordinal) continue;
    const std::string folder = path(snapshot_folder_name(ordinal));
    const Result<bool> is_ours = was_snapshot_of(file_system_, folder, ordinal, base_.store_id);
    if (!is_ours.ok() || !is_ours.value() || load_store(file_system_, folder).ok()) continue;
    static_cast<void>(remove_snapshot_folder(file_system_, folder).ok());
  }
  Result<std::vector<os::DirectoryEntry>> entries = file_system_.list(directory_);
  if (!entries.ok()) return;
  for (const os::DirectoryEntry& entry : entries.value()) {
    if (entry.kind == os::FileKind::file && is_part_name(entry.name)) {
      static_cast<void>(file_system_.remove_file(path(entry.name)).ok());
    }
  }
}

}  // namespace

Result<RepairReport> repair_store(os::FileSystem& file_system, const std::string& directory, std::int64_t now_us) {
  Result<std::unique_ptr<os::DirectoryLock>> lock = hold_store(file_system, directory);
  if (!lock.ok()) return std::move(lock).status();
  Result<bool> is_kept = is_kept_snapshot(file_system, directory);
  if (!is_kept.ok()) return std::move(is_kept).status();
  if (is_kept.value()) {
    return Status(Code::Unsupported, directory + " is a kept snapshot of the store around it: repair that one");
  }
  return StoreRepair(file_system, directory, now_us).run();
}

}  // namespace tuskv::embedded
