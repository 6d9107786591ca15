// A snapshot's folder:
//
//   snapshot-<ordinal>/part-<index>     one for each shard, dumped while writes went on
//   snapshot-<ordinal>/log-<n>.tlog     the delta: the log segments of that time, second names of the same files
//   snapshot-<ordinal>/MANIFEST         of a store that consists of just these files
//   snapshot-<ordinal>/PINNED           empty: it holds the state before a restore, and retention leaves it alone
//
// Parts alone are not a state: an entry may be newer than its neighbour, and half a batch may be in. Parts and delta
// together are exactly the state at the end of the dump, with batches whole. That is why every folder, the newest and
// the kept ones, in place or copied elsewhere, opens alone.
//
// While it is written a folder is called snapshot-<ordinal>.tmp; the rename makes it whole, the store's own MANIFEST
// makes it part of the store. A folder of a higher ordinal than that MANIFEST names was never published. To be removed
// it gets the unfinished name again, durably, before any file goes: a folder of a published ordinal that lacks a file
// is damaged, never a removal that was interrupted.
#include "embedded/snapshot.h"

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>
#include <utility>

#include "named_limits.h"

namespace tuskv::embedded {
namespace {

constexpr std::size_t kStandingSnapshotThreads = 2;
constexpr std::size_t kCopyBytes = std::size_t{1} << 20;

std::string parent_of(const std::string& directory) {
  const std::size_t end = directory.find_last_not_of('/');
  const std::size_t slash = directory.rfind('/', end);
  if (end == std::string::npos || slash == 0) return "";
  return slash == std::string::npos ? "." : directory.substr(0, slash);
}

struct DumpContext {
  PartWriter& writer;
  std::string& cursor;
  std::int64_t dead_until_us;
};

bool dump_entry(void* context, const EntryView& entry) {
  DumpContext& dump = *static_cast<DumpContext*>(context);
  const bool dead = entry.expires_us != 0 && entry.expires_us <= dump.dead_until_us;
  if (!dead) dump.writer.add(entry);
  dump.cursor.assign(entry.key);
  return !dump.writer.full();
}

/// What the threads of one dump share.
struct DumpState {
  os::FileSystem& file_system;
  const std::string& folder;
  const PartHeader& header;
  const Keyspace& keyspace;
  std::int64_t dead_until_us;
  std::vector<PartInfo> parts;
  std::vector<Status> results;
  std::atomic<std::size_t> next = 0;
  std::atomic<bool> failed = false;
};

void dump_shards(DumpState& state) {
  for (;;) {
    const std::size_t index = state.next.fetch_add(1);
    if (index >= state.parts.size() || state.failed.load()) return;
    PartHeader header = state.header;
    header.part_index = index;
    Result<PartInfo> part = write_part(state.file_system, state.folder, header, state.keyspace, state.dead_until_us);
    if (part.ok()) {
      state.parts[index] = part.value();
    } else {
      state.results[index] = std::move(part).status();
      state.failed.store(true);
    }
  }
}

Status copy_file(os::FileSystem& file_system, const std::string& from, const std::string& to) {
  Result<std::unique_ptr<os::File>> source = file_system.open(from, os::OpenMode::read);
  if (!source.ok()) return std::move(source).status();
  Result<std::unique_ptr<os::File>> target = file_system.open(to, os::OpenMode::create);
  if (!target.ok()) return std::move(target).status();
  std::string bytes(kCopyBytes, '\0');
  for (std::uint64_t offset = 0;;) {
    Result<std::size_t> got = source.value()->read_at(offset, bytes.data(), bytes.size());
    if (!got.ok()) return std::move(got).status();
    if (got.value() == 0) break;
    TUSKV_RETURN_IF_ERROR(target.value()->write_at(offset, std::string_view(bytes).substr(0, got.value())));
    offset += got.value();
  }
  return target.value()->sync();
}

Status remove_folder(os::FileSystem& file_system, const std::string& folder) {
  Result<std::vector<os::DirectoryEntry>> entries = file_system.list(folder);
  if (!entries.ok()) return std::move(entries).status();
  for (const os::DirectoryEntry& entry : entries.value()) {
    TUSKV_RETURN_IF_ERROR(file_system.remove_file(folder + "/" + entry.name));
  }
  return file_system.remove_directory(folder);
}

Result<std::uint64_t> file_size(os::FileSystem& file_system, const std::string& path) {
  Result<std::unique_ptr<os::File>> file = file_system.open(path, os::OpenMode::read);
  if (!file.ok()) return std::move(file).status();
  return file.value()->size();
}

Result<bool> is_pinned(os::FileSystem& file_system, const std::string& folder) {
  Result<os::FileKind> kind = file_system.kind(folder + "/" + kPinnedName);
  if (!kind.ok()) return std::move(kind).status();
  return kind.value() != os::FileKind::missing;
}

/// Nothing when the folder cannot be opened as snapshot `ordinal`.
Result<std::vector<Manifest>> read_folder(os::FileSystem& file_system, const std::string& folder,
                                          std::uint64_t ordinal) {
  std::vector<Manifest> found;
  Result<os::FileKind> kind = file_system.kind(folder + "/" + kManifestName);
  if (!kind.ok()) return std::move(kind).status();
  if (kind.value() != os::FileKind::file) return found;
  Result<Manifest> manifest = read_manifest(file_system, folder);
  if (!manifest.ok()) {
    const Code code = manifest.failure().code;
    if (code == Code::Corruption || code == Code::Config) return found;
    return std::move(manifest).status();
  }
  const bool is_snapshot = manifest.value().is_snapshot_folder && manifest.value().snapshot.ordinal == ordinal;
  if (is_snapshot) found.push_back(std::move(manifest).value());
  return found;
}

}  // namespace

Result<PartInfo> write_part(os::FileSystem& file_system, const std::string& folder, const PartHeader& header,
                            const Keyspace& keyspace, std::int64_t dead_until_us) {
  const std::string path = folder + "/" + part_name(header.part_index);
  Result<std::unique_ptr<PartWriter>> created = PartWriter::create(file_system, path, header);
  if (!created.ok()) return std::move(created).status();
  PartWriter& writer = *created.value();
  std::string cursor;
  std::string after;
  DumpContext context{.writer = writer, .cursor = cursor, .dead_until_us = dead_until_us};
  for (bool more = true; more;) {
    after = cursor;  // the visitor moves the cursor while the dump still looks at where it began
    more = keyspace.dump(header.part_index, after, kDumpEntriesPerHold, dump_entry, &context);
    if (writer.full()) TUSKV_RETURN_IF_ERROR(writer.flush());
  }
  return writer.finish();
}

Result<std::vector<PartInfo>> write_parts(os::FileSystem& file_system, const std::string& folder,
                                          const PartHeader& header, const Keyspace& keyspace,
                                          std::int64_t dead_until_us, std::size_t threads) {
  const std::size_t count = keyspace.shard_count();
  DumpState state{.file_system = file_system,
                  .folder = folder,
                  .header = header,
                  .keyspace = keyspace,
                  .dead_until_us = dead_until_us,
                  .parts = std::vector<PartInfo>(count),
                  .results = std::vector<Status>(count)};
  std::vector<std::thread> others;
  try {
    while (others.size() + 1 < std::min(threads, count)) others.emplace_back([&state] { dump_shards(state); });
  } catch (const std::system_error&) {
    // The system gives no more threads: those there are do the work.
  }
  dump_shards(state);
  for (std::thread& other : others) other.join();
  for (Status& result : state.results) TUSKV_RETURN_IF_ERROR(std::move(result));
  return std::move(state.parts);
}

Status read_part(os::FileSystem& file_system, const std::string& folder, const PartHeader& header, const PartInfo& info,
                 EntrySink& sink) {
  return read_part_file(file_system, folder + "/" + part_name(header.part_index), header, info, sink);
}

PartHeader part_header(const Manifest& manifest, std::size_t index) {
  return {.store_id = manifest.store_id,
          .snapshot_ordinal = manifest.snapshot.ordinal,
          .part_index = index,
          .part_count = manifest.snapshot.parts.size(),
          .start_sequence = manifest.snapshot.start_sequence};
}

std::string snapshot_location(const std::string& directory, const Manifest& manifest) {
  if (manifest.is_snapshot_folder) return directory;
  return directory + "/" + snapshot_folder_name(manifest.snapshot.ordinal);
}

Status link_or_copy(os::FileSystem& file_system, const std::string& from, const std::string& to) {
  if (file_system.link(from, to).ok()) return {};
  return copy_file(file_system, from, to);
}

Status link_segments(os::FileSystem& file_system, const std::string& from, const std::string& to, std::uint64_t first,
                     std::uint64_t count) {
  for (std::uint64_t ordinal = first; ordinal < first + count; ++ordinal) {
    std::string name = "/";
    name += segment_name(ordinal);
    TUSKV_RETURN_IF_ERROR(link_or_copy(file_system, from + name, to + name));
  }
  return {};
}

Status verify_snapshot(os::FileSystem& file_system, const std::string& folder, const Manifest& manifest) {
  const SnapshotManifest& snapshot = manifest.snapshot;
  for (std::size_t i = 0; i < snapshot.parts.size(); ++i) {
    TUSKV_RETURN_IF_ERROR(
        verify_part_ends(file_system, folder + "/" + part_name(i), part_header(manifest, i), snapshot.parts[i]));
  }
  for (std::uint64_t i = 0; i < snapshot.delta_count; ++i) {
    Result<std::uint64_t> size = file_size(file_system, folder + "/" + segment_name(snapshot.first_delta_ordinal + i));
    if (!size.ok()) return std::move(size).status();
  }
  Result<Manifest> written = read_manifest(file_system, folder);
  if (!written.ok()) return std::move(written).status();
  if (encode_manifest(written.value()) != encode_manifest(manifest)) {
    return {Code::Corruption, folder + "/" + kManifestName + " does not read back as it was written"};
  }
  return {};
}

Result<std::vector<Manifest>> list_snapshot_folders(os::FileSystem& file_system, const std::string& directory,
                                                    const StoreId* store_id, std::uint64_t newest) {
  Result<std::vector<os::DirectoryEntry>> entries = file_system.list(directory);
  if (!entries.ok()) return std::move(entries).status();
  std::vector<Manifest> manifests;
  for (const os::DirectoryEntry& entry : entries.value()) {
    const std::uint64_t ordinal = parse_snapshot_folder_name(entry.name);
    if (ordinal == 0 || ordinal > newest || entry.kind != os::FileKind::directory) continue;
    Result<std::vector<Manifest>> found = read_folder(file_system, directory + "/" + entry.name, ordinal);
    if (!found.ok()) return std::move(found).status();
    for (Manifest& manifest : found.value()) {
      if (store_id == nullptr || manifest.store_id == *store_id) manifests.push_back(std::move(manifest));
    }
  }
  std::sort(manifests.begin(), manifests.end(),
            [](const Manifest& a, const Manifest& b) { return a.snapshot.ordinal < b.snapshot.ordinal; });
  return manifests;
}

Result<SnapshotInfo> snapshot_info(os::FileSystem& file_system, const std::string& folder,
                                   const SnapshotManifest& snapshot) {
  SnapshotInfo info;
  info.ordinal = snapshot.ordinal;
  info.taken_at = TimePoint(std::chrono::microseconds(snapshot.taken_at_us));
  info.sequence = snapshot.end_sequence;
  Result<bool> pinned = is_pinned(file_system, folder);
  if (!pinned.ok()) return std::move(pinned).status();
  info.pinned = pinned.value();
  for (const PartInfo& part : snapshot.parts) {
    info.entries += part.entries;
    info.size_bytes += part.size_bytes;
  }
  // The mark of an encrypted store is none of the user's entries. That it is in the parts is inferred; to know, all of
  // them would have to be read (SnapshotInfo::entries says where that is wrong).
  const Result<Manifest> manifest = read_manifest(file_system, folder);
  if (manifest.ok() && manifest.value().encrypted && info.entries > 0) --info.entries;
  for (std::uint64_t i = 0; i < snapshot.delta_count; ++i) {
    Result<std::uint64_t> size = file_size(file_system, folder + "/" + segment_name(snapshot.first_delta_ordinal + i));
    if (!size.ok()) return std::move(size).status();
    info.size_bytes += size.value();
  }
  return info;
}

Result<bool> is_kept_snapshot(os::FileSystem& file_system, const std::string& directory) {
  // Both: the name may be a symbolic link, and its last component may be "." or "..".
  for (const std::string& around : {parent_of(directory), directory + "/.."}) {
    Result<os::FileKind> kind = file_system.kind(around + "/" + kManifestName);
    if (!kind.ok()) return std::move(kind).status();
    if (kind.value() == os::FileKind::missing) continue;
    Result<Manifest> manifest = read_manifest(file_system, directory);
    // One that cannot be read may be a snapshot's.
    return manifest.ok() ? manifest.value().is_snapshot_folder : true;
  }
  return false;
}

Result<bool> is_snapshot_of(os::FileSystem& file_system, const std::string& folder, std::uint64_t ordinal,
                            const StoreId& store_id) {
  Result<std::vector<Manifest>> found = read_folder(file_system, folder, ordinal);
  if (!found.ok()) return std::move(found).status();
  return !found.value().empty() && found.value().front().store_id == store_id;
}

Result<bool> was_snapshot_of(os::FileSystem& file_system, const std::string& folder, std::uint64_t ordinal,
                             const StoreId& store_id) {
  const Result<Manifest> manifest = read_manifest(file_system, folder);
  if (manifest.ok()) return is_snapshot_of(file_system, folder, ordinal, store_id);
  Result<std::vector<os::DirectoryEntry>> entries = file_system.list(folder);
  if (!entries.ok()) return std::move(entries).status();
  for (const os::DirectoryEntry& entry : entries.value()) {
    if (entry.kind != os::FileKind::file || !is_part_name(entry.name)) continue;
    const Result<PartHeader> part = read_part_header(file_system, folder + "/" + entry.name);
    if (!part.ok()) continue;
    return part.value().store_id == store_id && part.value().snapshot_ordinal == ordinal;
  }
  return false;
}

std::uint64_t folder_ordinal(std::string_view name) {
  const std::string_view suffix = kTemporarySuffix;
  if (name.ends_with(suffix)) name.remove_suffix(suffix.size());
  return parse_snapshot_folder_name(name);
}

Result<std::uint64_t> highest_folder_ordinal(os::FileSystem& file_system, const std::string& directory) {
  Result<std::vector<os::DirectoryEntry>> entries = file_system.list(directory);
  if (!entries.ok()) return std::move(entries).status();
  std::uint64_t highest = 0;
  for (const os::DirectoryEntry& entry : entries.value()) highest = std::max(highest, folder_ordinal(entry.name));
  return highest;
}

Result<std::vector<SnapshotInfo>> snapshot_infos(os::FileSystem& file_system, const std::string& directory,
                                                 const Manifest& manifest) {
  std::vector<SnapshotInfo> infos;
  if (manifest.snapshot.ordinal == 0) return infos;
  Result<std::vector<Manifest>> older =
      list_snapshot_folders(file_system, directory, &manifest.store_id, manifest.snapshot.ordinal - 1);
  if (!older.ok()) return std::move(older).status();
  for (const Manifest& kept : older.value()) {
    const std::string folder = directory + "/" + snapshot_folder_name(kept.snapshot.ordinal);
    Result<SnapshotInfo> info = snapshot_info(file_system, folder, kept.snapshot);
    if (info.ok()) infos.push_back(info.value());  // one without its delta is damaged: a check says so
  }
  Result<SnapshotInfo> newest = snapshot_info(file_system, snapshot_location(directory, manifest), manifest.snapshot);
  if (!newest.ok()) return std::move(newest).status();
  infos.push_back(newest.value());
  return infos;
}

Result<Manifest> write_standing_snapshot(os::FileSystem& file_system, const std::string& directory,
                                         const Keyspace& keyspace, const Manifest& store,
                                         const SnapshotManifest& snapshot) {
  const std::string folder = directory + "/" + snapshot_folder_name(snapshot.ordinal);
  const std::string temporary = folder + kTemporarySuffix;
  Manifest made{.store_id = store.store_id, .hash_seed = store.hash_seed, .snapshot = snapshot};
  made.is_snapshot_folder = true;
  made.first_log_ordinal = store.first_log_ordinal;
  made.last_log_ordinal = store.first_log_ordinal - 1;
  made.first_log_sequence = snapshot.end_sequence + 1;
  made.durable_sequence = snapshot.end_sequence;
  made.encrypted = store.encrypted;
  made.clock_high_us = store.clock_high_us;
  TUSKV_RETURN_IF_ERROR(file_system.make_directory(temporary));
  PartHeader header = part_header(made, 0);
  header.part_count = keyspace.shard_count();
  Result<std::vector<PartInfo>> parts =
      write_parts(file_system, temporary, header, keyspace, kKeepExpired, kStandingSnapshotThreads);
  if (!parts.ok()) return std::move(parts).status();
  made.snapshot.parts = std::move(parts).value();
  TUSKV_RETURN_IF_ERROR(write_manifest(file_system, temporary, made));
  TUSKV_RETURN_IF_ERROR(verify_snapshot(file_system, temporary, made));
  TUSKV_RETURN_IF_ERROR(file_system.rename(temporary, folder));
  TUSKV_RETURN_IF_ERROR(file_system.sync_directory(directory));
  return made;
}

Status pin_snapshot(os::FileSystem& file_system, const std::string& folder) {
  const std::string path = folder + "/" + kPinnedName;
  Result<bool> pinned = is_pinned(file_system, folder);
  if (!pinned.ok()) return std::move(pinned).status();
  if (!pinned.value()) {
    Result<std::unique_ptr<os::File>> file = file_system.open(path, os::OpenMode::create);
    if (!file.ok()) return std::move(file).status();
  }
  return file_system.sync_directory(folder);
}

Result<std::size_t> remove_older_snapshots(os::FileSystem& file_system, const std::string& directory,
                                           const Manifest& manifest, std::size_t keep, Removal removal) {
  if (manifest.snapshot.ordinal == 0) return std::size_t{0};
  Result<std::vector<Manifest>> older =
      list_snapshot_folders(file_system, directory, &manifest.store_id, manifest.snapshot.ordinal - 1);
  if (!older.ok()) return std::move(older).status();
  std::vector<std::string> folders;
  for (const Manifest& each : older.value()) {
    std::string folder = directory + "/" + snapshot_folder_name(each.snapshot.ordinal);
    Result<bool> pinned = is_pinned(file_system, folder);
    if (!pinned.ok()) return std::move(pinned).status();
    if (!pinned.value() || removal == Removal::asked_for) folders.push_back(std::move(folder));
  }
  std::size_t removed = 0;
  for (std::size_t i = 0; i + keep < folders.size(); ++i) {
    Result<std::unique_ptr<os::DirectoryLock>> lock = file_system.lock(folders[i]);
    if (!lock.ok() && lock.failure().code == Code::Busy) continue;  // a full disk may refuse a lock, not a removal
    TUSKV_RETURN_IF_ERROR(remove_snapshot_folder(file_system, folders[i]));
    ++removed;
  }
  return removed;
}

Status remove_snapshot_folder(os::FileSystem& file_system, const std::string& folder) {
  if (folder.ends_with(kTemporarySuffix)) return remove_folder(file_system, folder);
  const std::string leaving = folder + kTemporarySuffix;
  Result<os::FileKind> kind = file_system.kind(leaving);
  if (!kind.ok()) return std::move(kind).status();
  if (kind.value() != os::FileKind::missing) TUSKV_RETURN_IF_ERROR(remove_folder(file_system, leaving));
  TUSKV_RETURN_IF_ERROR(file_system.rename(folder, leaving));
  TUSKV_RETURN_IF_ERROR(file_system.sync_directory(folder.substr(0, folder.rfind('/'))));
  return remove_folder(file_system, leaving);
}

}  // namespace tuskv::embedded
