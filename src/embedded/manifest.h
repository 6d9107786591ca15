// MANIFEST: the one file that says which other files are the store. It is replaced by write aside, sync, rename, sync
// folder, and so is always whole. See manifest.cc for the format.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "os/file_system.h"
#include "status.h"

namespace tuskv::embedded {

using StoreId = std::array<std::uint8_t, 16>;

struct PartInfo {
  std::uint64_t size_bytes = 0;
  std::uint64_t checksum = 0;
  std::uint64_t entries = 0;
};

/// A snapshot: part files, and the log records written while they were dumped. Parts alone are not a state (an entry
/// may be newer than its neighbour); parts and delta together are exactly the state at `end_sequence`.
struct SnapshotManifest {
  std::uint64_t ordinal = 0;  ///< 0: none, the store starts empty
  std::uint64_t start_sequence = 0;
  std::uint64_t end_sequence = 0;
  std::int64_t taken_at_us = 0;
  std::uint64_t first_delta_ordinal = 0;  ///< log segments [first, first + count) inside the snapshot's folder
  std::uint64_t delta_count = 0;
  std::vector<PartInfo> parts = {};
};

struct Manifest {
  StoreId store_id = {};
  /// Of this store's hash table; random, so that keys cannot be chosen to collide.
  std::uint64_t hash_seed = 0;
  SnapshotManifest snapshot = {};
  /// True in the manifest inside a snapshot's folder: parts and delta lie beside it, not in snapshot-<ordinal>. Such a
  /// folder opens as a store of its own.
  bool is_snapshot_folder = false;
  /// False: log segments outside the snapshot are not part of the store (unlogged).
  bool logged = true;
  /// The store has been opened with an encryptor: also when damage has taken the entry that says so.
  bool encrypted = false;
  std::uint64_t first_log_ordinal = 1;  ///< older segments are leftovers
  /// Highest segment known to have been made; a missing one is damage. All lower ones were complete and synced when
  /// this was written: an invalid record in one of those is damage too, never a torn tail.
  std::uint64_t last_log_ordinal = 0;
  std::uint64_t first_log_sequence = 1;  ///< the first record of the first segment must have this sequence
  /// Every record up to this was synced when this was written: a log that ends before it is damaged.
  std::uint64_t durable_sequence = 0;
  std::int64_t clock_high_us = 0;  ///< the store's time never starts before this
};

std::string encode_manifest(const Manifest& manifest);
/// Refuses anything damaged (Corruption), numbers that contradict each other included, anything that is not a manifest
/// and any newer version (Config), naming `path`. What is accepted may still claim more than there is: whoever counts
/// by it counts files, not numbers.
Result<Manifest> decode_manifest(std::string_view bytes, const std::string& path);

Result<Manifest> read_manifest(os::FileSystem& file_system, const std::string& directory);
/// Durable when it returns. Refuses what could not be read again.
Status write_manifest(os::FileSystem& file_system, const std::string& directory, const Manifest& manifest);

inline constexpr const char* kManifestName = "MANIFEST";
/// Ends the names of files and folders that are not finished; leftovers of them are removed.
inline constexpr const char* kTemporarySuffix = ".tmp";
inline constexpr std::size_t kPartsMax = 65536;
/// More than the longest manifest: a line for each part.
inline constexpr std::size_t kManifestBytesMax = std::size_t{8} << 20;
/// Ordinals and sequences are never higher, so that sums of two, and what comes next, do not overflow.
inline constexpr std::uint64_t kNumberMax = std::uint64_t{1} << 62;
std::string segment_name(std::uint64_t ordinal);          ///< log-<ordinal>.tlog
std::string snapshot_folder_name(std::uint64_t ordinal);  ///< snapshot-<ordinal>
inline constexpr std::string_view kPartPrefix = "part-";
std::string part_name(std::size_t index);  ///< part-<index>
bool is_part_name(std::string_view name);  ///< nothing else that begins so
/// The ordinal in a name of that form, or 0.
std::uint64_t parse_segment_name(std::string_view name);
std::uint64_t parse_snapshot_folder_name(std::string_view name);

}  // namespace tuskv::embedded
