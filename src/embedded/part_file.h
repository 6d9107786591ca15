// One part of a snapshot: a file of entries in key order. See part_file.cc for the format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "embedded/manifest.h"
#include "embedded/record.h"
#include "embedded/shard.h"
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

/// A block is written once it has this size; an entry is never divided.
inline constexpr std::size_t kPartBlockBytes = std::size_t{64} << 10;
inline constexpr std::size_t kPartHeaderBytes = 64;
inline constexpr std::size_t kPartBlockHeaderBytes = 16;
inline constexpr std::size_t kPartEntryHeaderBytes = 40;
inline constexpr std::size_t kPartFooterBytes = 40;

/// Writes a part file. `add` only fills memory, so that it may be called under a lock; `flush` goes to the disk.
class PartWriter final {
 public:
  static Result<std::unique_ptr<PartWriter>> create(os::FileSystem& file_system, const std::string& path,
                                                    const PartHeader& header);
  /// `file` holds the header already: use create.
  PartWriter(std::unique_ptr<os::File> file, const std::string& header);
  PartWriter(const PartWriter&) = delete;
  PartWriter& operator=(const PartWriter&) = delete;

  /// Keys must come in ascending order.
  void add(const EntryView& entry);
  /// True when there is enough for a block.
  bool full() const { return block_.size() >= kPartBlockBytes; }
  /// Writes what was added as one block.
  Status flush();
  /// Writes the rest and the footer, and syncs.
  Result<PartInfo> finish();

 private:
  void start_block();

  std::unique_ptr<os::File> file_;
  std::uint64_t offset_ = kPartHeaderBytes;
  std::uint64_t seed_;
  std::uint64_t chain_;  ///< over the checksums of the header and all blocks so far
  std::uint64_t entries_ = 0;
  std::uint32_t block_entries_ = 0;
  std::string block_;
};

/// Called for each entry of a part; the views die with the call.
class EntrySink {
 public:
  virtual ~EntrySink() = default;
  virtual void entry(const Change& put, std::uint64_t sequence) = 0;
};

/// Reads a part and verifies all of it against what the manifest says. Corruption names file and offset, or that
/// there is no such file. The sink may have been given entries when this fails.
Status read_part_file(os::FileSystem& file_system, const std::string& path, const PartHeader& header,
                      const PartInfo& info, EntrySink& sink);

/// The cheap half of that: size, header and footer. Reads nothing in between.
Status verify_part_ends(os::FileSystem& file_system, const std::string& path, const PartHeader& header,
                        const PartInfo& info);

/// A place in a file where something is wrong, and what.
struct FileDamage {
  std::uint64_t offset = 0;
  std::string what = {};
};

/// What the header of a part says of itself; Corruption when it is damaged.
Result<PartHeader> read_part_header(os::FileSystem& file_system, const std::string& path);

/// Reads what can be read: the entries of every block that is whole. Returns what is wrong; nothing when the part is as
/// the manifest says (`info`; null when that is not known). Fails only when the system refuses to read.
Result<std::vector<FileDamage>> salvage_part_file(os::FileSystem& file_system, const std::string& path,
                                                  const PartHeader& header, const PartInfo* info, EntrySink& sink);

}  // namespace tuskv::embedded
