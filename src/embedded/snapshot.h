// Snapshot folders: part files dumped shard by shard while writes go on, plus the log segments of that time. See
// snapshot.cc for what is in a folder, part_file.cc for the format of a part.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "embedded/keyspace.h"
#include "embedded/manifest.h"
#include "embedded/part_file.h"
#include "os/file_system.h"
#include "status.h"
#include "tuskv/store.h"

namespace tuskv::embedded {

/// Entries with an expiry up to this are left out of a dump; kKeepExpired leaves out none.
inline constexpr std::int64_t kKeepExpired = INT64_MIN;

/// Dumps shard `header.part_index` into folder/part-<index>, synced. The shard's map lock is held for a bounded number
/// of entries at a time and never while writing.
Result<PartInfo> write_part(os::FileSystem& file_system, const std::string& folder, const PartHeader& header,
                            const Keyspace& keyspace, std::int64_t dead_until_us);
/// Every shard, by up to `threads` threads; the first failure ends all.
Result<std::vector<PartInfo>> write_parts(os::FileSystem& file_system, const std::string& folder,
                                          const PartHeader& header, const Keyspace& keyspace,
                                          std::int64_t dead_until_us, std::size_t threads);

/// Reads and verifies part `header.part_index` of a folder against what the manifest says of it. Corruption names file
/// and offset.
Status read_part(os::FileSystem& file_system, const std::string& folder, const PartHeader& header, const PartInfo& info,
                 EntrySink& sink);

/// The header that part `index` must have.
PartHeader part_header(const Manifest& manifest, std::size_t index);
/// Where parts and delta of the manifest's snapshot lie: the directory itself when it is a snapshot's own folder.
std::string snapshot_location(const std::string& directory, const Manifest& manifest);

/// A second name for a file, or a copy, synced, where the file system has no links.
Status link_or_copy(os::FileSystem& file_system, const std::string& from, const std::string& to);
/// The same for log segments [first, first + count).
Status link_segments(os::FileSystem& file_system, const std::string& from, const std::string& to, std::uint64_t first,
                     std::uint64_t count);

/// Checks sizes, headers and footers of all parts and the presence of the delta, without reading all of it.
Status verify_snapshot(os::FileSystem& file_system, const std::string& folder, const Manifest& manifest);

/// Manifests of the store's snapshot folders in `directory`, ascending; folders above `newest` were never published and
/// are not among them, nor are those that cannot be opened as a snapshot. Null: of any store.
Result<std::vector<Manifest>> list_snapshot_folders(os::FileSystem& file_system, const std::string& directory,
                                                    const StoreId* store_id, std::uint64_t newest);
/// Whether the directory is a snapshot's folder inside a store: then its files belong to that store.
Result<bool> is_kept_snapshot(os::FileSystem& file_system, const std::string& directory);
/// The ordinal of a snapshot folder, finished or not; 0 for any other name.
std::uint64_t folder_ordinal(std::string_view name);
/// Whether the folder is that snapshot of that store. What has the name of one only, a copy or a store of somebody's,
/// is not ours to remove.
Result<bool> is_snapshot_of(os::FileSystem& file_system, const std::string& folder, std::uint64_t ordinal,
                            const StoreId& store_id);
/// The same of a folder that may have lost its manifest: then its parts say what it is.
Result<bool> was_snapshot_of(os::FileSystem& file_system, const std::string& folder, std::uint64_t ordinal,
                             const StoreId& store_id);
/// The highest ordinal of any folder in `directory`, finished or not; 0 when there is none.
Result<std::uint64_t> highest_folder_ordinal(os::FileSystem& file_system, const std::string& directory);
/// What users see of a snapshot; `folder` is where its files lie.
Result<SnapshotInfo> snapshot_info(os::FileSystem& file_system, const std::string& folder,
                                   const SnapshotManifest& snapshot);
/// The same of all that the store has, ascending; the last is the manifest's own.
Result<std::vector<SnapshotInfo>> snapshot_infos(os::FileSystem& file_system, const std::string& directory,
                                                 const Manifest& manifest);

/// Writes a keyspace that nobody changes as folder snapshot-<ordinal>, durable but not published; expired entries stay
/// in. Store, hash seed and clock are taken from `store`. Returns the folder's manifest.
Result<Manifest> write_standing_snapshot(os::FileSystem& file_system, const std::string& directory,
                                         const Keyspace& keyspace, const Manifest& store,
                                         const SnapshotManifest& snapshot);

/// A file in a folder that only goes when somebody asks for it.
inline constexpr const char* kPinnedName = "PINNED";
/// Makes the folder one of those, durably.
Status pin_snapshot(os::FileSystem& file_system, const std::string& folder);

/// Why snapshots are removed: retention neither counts nor removes the pinned ones.
enum class Removal { retention, asked_for };
/// Removes the oldest folders until `keep` remain beside the manifest's own snapshot; returns how many. A folder that
/// another program has open as a store stays.
Result<std::size_t> remove_older_snapshots(os::FileSystem& file_system, const std::string& directory,
                                           const Manifest& manifest, std::size_t keep, Removal removal);
/// Removes a folder (its path ends in its name) with all its files. A crash leaves it whole, or under the unfinished
/// name, as a leftover.
Status remove_snapshot_folder(os::FileSystem& file_system, const std::string& folder);

}  // namespace tuskv::embedded
