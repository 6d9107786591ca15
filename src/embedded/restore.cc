// Snapshots of a store that is not open: listing, pruning, restoring.
//
// Restoring writes two new snapshots, the state before, which is pinned, and the state restored, and then replaces the
// manifest: a crash before that leaves the store as it was, with leftovers, and after it the store restored. What is
// restored is copied under a new ordinal and continues behind the highest sequence ever used, so that no version means
// two values.
#include <algorithm>
#include <string_view>
#include <utility>

#include "embedded/log_reader.h"
#include "embedded/maintenance.h"
#include "embedded/manifest.h"
#include "embedded/snapshot.h"

namespace tuskv::embedded {
namespace {

std::string folder_path(const std::string& directory, std::uint64_t ordinal) {
  return directory + "/" + snapshot_folder_name(ordinal);
}

Status no_such_snapshot(const std::string& directory, std::uint64_t ordinal, const std::vector<Manifest>& present) {
  std::string message = directory + " has no snapshot " + std::to_string(ordinal);
  message += present.empty() ? ", nor any other" : "; it has";
  std::string_view separator = " ";
  for (const Manifest& manifest : present) {
    message += separator;
    message += std::to_string(manifest.snapshot.ordinal);
    separator = ", ";
  }
  return {Code::InvalidArgument, message};
}

/// The state in `loaded` as a snapshot of its own, ending at `end_sequence`.
Result<Manifest> keep_state(os::FileSystem& file_system, const std::string& directory, const Keyspace& keyspace,
                            const Manifest& store, std::uint64_t end_sequence, std::int64_t now_us) {
  Result<std::uint64_t> highest = highest_folder_ordinal(file_system, directory);
  if (!highest.ok()) return std::move(highest).status();
  const SnapshotManifest snapshot{.ordinal = std::max(highest.value(), store.snapshot.ordinal) + 1,
                                  .start_sequence = end_sequence,
                                  .end_sequence = end_sequence,
                                  .taken_at_us = now_us};
  return write_standing_snapshot(file_system, directory, keyspace, store, snapshot);
}

/// That the directory is a store's: one that holds nothing of ours is left as it is.
Status require_store(os::FileSystem& file_system, const std::string& directory) {
  Result<os::FileKind> kind = file_system.kind(directory);
  if (!kind.ok()) return std::move(kind).status();
  if (kind.value() == os::FileKind::missing) return {Code::Config, directory + " does not exist"};
  if (kind.value() != os::FileKind::directory) return {Code::Config, directory + " is not a directory"};
  Result<std::vector<os::DirectoryEntry>> entries = file_system.list(directory);
  if (!entries.ok()) return std::move(entries).status();
  const bool is_store =
      std::any_of(entries.value().begin(), entries.value().end(), [](const os::DirectoryEntry& entry) {
        return entry.name == kManifestName || is_part_name(entry.name) || parse_segment_name(entry.name) != 0 ||
               folder_ordinal(entry.name) != 0;
      });
  if (is_store) return {};
  return {Code::Config, directory + " is not a tuskv store: it holds no " + kManifestName};
}

/// The snapshot that holds the present state: the newest one when nothing came after it, otherwise a new one.
Result<SnapshotInfo> keep_present(os::FileSystem& file_system, const std::string& directory, const LoadedStore& present,
                                  std::int64_t now_us) {
  const Manifest& manifest = present.recovered.manifest;
  const bool is_newest = manifest.snapshot.ordinal != 0 && !manifest.is_snapshot_folder &&
                         present.recovered.last_sequence == manifest.snapshot.end_sequence;
  if (is_newest) {
    return snapshot_info(file_system, snapshot_location(directory, manifest), manifest.snapshot);
  }
  Result<Manifest> kept =
      keep_state(file_system, directory, *present.keyspace, manifest, present.recovered.last_sequence, now_us);
  if (!kept.ok()) return std::move(kept).status();
  return snapshot_info(file_system, folder_path(directory, kept.value().snapshot.ordinal), kept.value().snapshot);
}

}  // namespace

void remove_segments_below(os::FileSystem& file_system, const std::string& directory, std::uint64_t first_kept) {
  Result<std::vector<std::uint64_t>> present = list_segments(file_system, directory);
  if (!present.ok()) return;
  for (const std::uint64_t ordinal : present.value()) {
    if (ordinal < first_kept) static_cast<void>(file_system.remove_file(directory + "/" + segment_name(ordinal)).ok());
  }
}

Result<std::unique_ptr<os::DirectoryLock>> hold_store(os::FileSystem& file_system, const std::string& directory) {
  TUSKV_RETURN_IF_ERROR(require_store(file_system, directory));
  return file_system.lock(directory);
}

Result<std::unique_ptr<os::DirectoryLock>> share_store(os::FileSystem& file_system, const std::string& directory) {
  TUSKV_RETURN_IF_ERROR(require_store(file_system, directory));
  return file_system.lock_shared(directory);
}

Result<LoadedStore> load_store(os::FileSystem& file_system, const std::string& directory) {
  LoadedStore loaded{.keyspace = std::make_unique<Keyspace>(default_shard_count(), 0)};
  Result<Recovered> recovered =
      recover(file_system, {.directory = directory, .may_write = false, .may_sync = false}, *loaded.keyspace);
  if (!recovered.ok()) return std::move(recovered).status();
  loaded.recovered = std::move(recovered).value();
  return loaded;
}

Result<std::vector<SnapshotInfo>> list_store_snapshots(os::FileSystem& file_system, const std::string& directory) {
  Result<std::unique_ptr<os::DirectoryLock>> lock = share_store(file_system, directory);
  if (!lock.ok()) return std::move(lock).status();
  Result<Manifest> manifest = read_manifest(file_system, directory);
  if (!manifest.ok()) return std::move(manifest).status();
  return snapshot_infos(file_system, directory, manifest.value());
}

Result<std::size_t> prune_store_snapshots(os::FileSystem& file_system, const std::string& directory, std::size_t keep) {
  Result<std::unique_ptr<os::DirectoryLock>> lock = hold_store(file_system, directory);
  if (!lock.ok()) return std::move(lock).status();
  Result<Manifest> manifest = read_manifest(file_system, directory);
  if (!manifest.ok()) return std::move(manifest).status();
  return remove_older_snapshots(file_system, directory, manifest.value(), keep, Removal::asked_for);
}

Result<SnapshotInfo> restore_store(os::FileSystem& file_system, const std::string& directory, std::uint64_t ordinal,
                                   std::int64_t now_us) {
  Result<std::unique_ptr<os::DirectoryLock>> lock = hold_store(file_system, directory);
  if (!lock.ok()) return std::move(lock).status();
  Result<Manifest> manifest = read_manifest(file_system, directory);
  if (!manifest.ok()) return std::move(manifest).status();
  Result<std::vector<Manifest>> folders =
      list_snapshot_folders(file_system, directory, &manifest.value().store_id, manifest.value().snapshot.ordinal);
  if (!folders.ok()) return std::move(folders).status();
  const auto& present_folders = folders.value();
  const bool exists = std::any_of(present_folders.begin(), present_folders.end(),
                                  [&](const Manifest& folder) { return folder.snapshot.ordinal == ordinal; });
  if (!exists) return no_such_snapshot(directory, ordinal, present_folders);

  Manifest next = manifest.value();
  SnapshotInfo before;
  std::uint64_t last_sequence = 0;
  {
    Result<LoadedStore> present = load_store(file_system, directory);
    if (!present.ok()) return std::move(present).status();
    const Recovered& recovered = present.value().recovered;
    next.first_log_ordinal = recovered.next_log_ordinal;
    next.clock_high_us = std::max({next.clock_high_us, recovered.clock_high_us, now_us});
    last_sequence = recovered.last_sequence;
    Result<SnapshotInfo> kept = keep_present(file_system, directory, present.value(), now_us);
    if (!kept.ok()) return std::move(kept).status();
    before = kept.value();
    if (before.ordinal == ordinal) return before;  // it is the present state already
  }
  Result<LoadedStore> chosen = load_store(file_system, folder_path(directory, ordinal));
  if (!chosen.ok()) return std::move(chosen).status();
  TUSKV_RETURN_IF_ERROR(pin_snapshot(file_system, folder_path(directory, before.ordinal)));
  before.pinned = true;
  last_sequence = std::max(last_sequence, chosen.value().recovered.last_sequence);
  next.snapshot.ordinal = before.ordinal;
  next.hash_seed = chosen.value().recovered.manifest.hash_seed;  // parts are divided by it
  next.encrypted = chosen.value().recovered.manifest.encrypted;
  Result<Manifest> restored = keep_state(file_system, directory, *chosen.value().keyspace, next, last_sequence, now_us);
  if (!restored.ok()) return std::move(restored).status();
  next.snapshot = restored.value().snapshot;
  next.is_snapshot_folder = false;
  next.last_log_ordinal = next.first_log_ordinal - 1;
  next.first_log_sequence = last_sequence + 1;
  next.durable_sequence = last_sequence;
  TUSKV_RETURN_IF_ERROR(write_manifest(file_system, directory, next));
  remove_segments_below(file_system, directory, next.first_log_ordinal);
  return before;
}

}  // namespace tuskv::embedded
