// Work on the directory of a store that is not open: what include/tuskv/maintenance.h offers, over any file system.
// Each function takes the directory's lock for its duration (Busy when a program has it open), those that only read,
// check and listing, a share of it: they need not be able to write there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "embedded/keyspace.h"
#include "embedded/recovery.h"
#include "os/file_system.h"
#include "status.h"
#include "tuskv/maintenance.h"

namespace tuskv::embedded {

Result<CheckReport> check_store(os::FileSystem& file_system, const std::string& directory);
Result<RepairReport> repair_store(os::FileSystem& file_system, const std::string& directory, std::int64_t now_us);
Result<std::vector<SnapshotInfo>> list_store_snapshots(os::FileSystem& file_system, const std::string& directory);
Result<std::size_t> prune_store_snapshots(os::FileSystem& file_system, const std::string& directory, std::size_t keep);
Result<SnapshotInfo> restore_store(os::FileSystem& file_system, const std::string& directory, std::uint64_t ordinal,
                                   std::int64_t now_us);

/// The directory's lock, or a share of it, once it is known to be a store's: one that holds nothing of ours is left as
/// it is.
Result<std::unique_ptr<os::DirectoryLock>> hold_store(os::FileSystem& file_system, const std::string& directory);
Result<std::unique_ptr<os::DirectoryLock>> share_store(os::FileSystem& file_system, const std::string& directory);

/// check_store for a caller that has the lock.
Result<CheckReport> check_held_store(os::FileSystem& file_system, const std::string& directory);
/// Best effort: the next opening removes what stays.
void remove_segments_below(os::FileSystem& file_system, const std::string& directory, std::uint64_t first_kept);

/// A directory's state in memory, read without changing anything.
struct LoadedStore {
  std::unique_ptr<Keyspace> keyspace = {};
  Recovered recovered = {};
};
Result<LoadedStore> load_store(os::FileSystem& file_system, const std::string& directory);

}  // namespace tuskv::embedded
