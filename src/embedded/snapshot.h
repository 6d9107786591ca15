// Snapshot folders: part files dumped shard by shard while writes go on, plus the log segments of that time. See
// snapshot.cc for the format.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "embedded/keyspace.h"
#include "embedded/manifest.h"
#include "os/file_system.h"
#include "status.h"

namespace tuskv::embedded {

struct PartHeader {
  StoreId store_id = {};
  std::uint64_t snapshot_ordinal = 0;
  std::uint64_t part_index = 0;
  std::uint64_t part_count = 0;
  std::uint64_t start_sequence = 0;
};

/// Dumps shard `header.part_index` into folder/part-<index>, synced, a bounded number of entries per hold of the
/// shard's map lock; entries dead at `now_us` are left out.
Result<PartInfo> write_part(os::FileSystem& file_system, const std::string& folder, const PartHeader& header,
                            const Keyspace& keyspace, std::int64_t now_us);

/// Called for each entry of a part; the views die with the call.
class EntrySink {
 public:
  virtual ~EntrySink() = default;
  virtual void entry(const Change& put, std::uint64_t sequence) = 0;
};

/// Reads and verifies a part against what the manifest says of it. Corruption names file and offset.
Status read_part(os::FileSystem& file_system, const std::string& folder, const PartHeader& header, const PartInfo& info,
                 EntrySink& sink);

/// Manifests of the snapshot folders in `directory`, ascending; folders that were never published are not among them.
Result<std::vector<Manifest>> list_snapshot_folders(os::FileSystem& file_system, const std::string& directory);
/// Removes a folder with all its files, its manifest first, so that a crash leaves a leftover and never half a
/// snapshot.
Status remove_snapshot_folder(os::FileSystem& file_system, const std::string& folder);

}  // namespace tuskv::embedded
