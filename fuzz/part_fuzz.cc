// Part files of snapshots. As they are: reading ends, and refuses in the right words. And with every checksum made
// right, for a reader must not rely on nobody being able to make one: what is accepted is what tuskv would have
// written.
//
// Input: the blocks, each as in the file (part_file.cc) but for the checksum, which may be anything.
#include <xxhash.h>

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "embedded/byte_order.h"
#include "embedded/part_file.h"
#include "fuzz_target.h"
#include "memory_files.h"

namespace {

using tuskv::embedded::Change;
using tuskv::embedded::EntrySink;
using tuskv::embedded::EntryView;
using tuskv::embedded::load_integer;
using tuskv::embedded::PartHeader;
using tuskv::embedded::PartInfo;
using tuskv::embedded::PartWriter;
using tuskv::embedded::store_integer;

constexpr const char* kPath = "part-1";
constexpr std::size_t kChecksumBytes = 8;
constexpr std::size_t kChainAt = 32;  // in the footer
const PartHeader kHeader{.store_id = {1, 2, 3}, .snapshot_ordinal = 4, .part_index = 1, .part_count = 2};

struct Entry {
  std::string key;
  std::string value;
  std::uint64_t sequence = 0;
  std::int64_t stamps[3] = {};
};

class Collector final : public EntrySink {
 public:
  void entry(const Change& put, std::uint64_t sequence) override {
    entries.push_back({.key = std::string(put.key),
                       .value = std::string(put.value),
                       .sequence = sequence,
                       .stamps = {put.expires_us, put.created_us, put.updated_us}});
  }
  std::vector<Entry> entries = {};
};

std::uint64_t checksum_of(std::string_view bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

std::uint64_t extended(std::uint64_t chain, std::uint64_t checksum) {
  std::string bytes;
  tuskv::embedded::append_integer(bytes, checksum);
  return checksum_of(bytes, chain);
}

/// A part of these blocks whose checksums are all right, and what a manifest would say of it.
struct Sealed {
  std::string bytes;
  PartInfo info;
  std::vector<std::uint32_t> counts;  ///< entries of each block, as it claims
};

Sealed seal(std::string_view blocks) {
  tuskv::fuzz::MemoryFiles files;
  TUSKV_FUZZ_CHECK(PartWriter::create(files, kPath, kHeader).ok());
  Sealed part{.bytes = files.bytes(kPath), .info = {}, .counts = {}};
  const auto seed = load_integer<std::uint64_t>(part.bytes, tuskv::embedded::kPartHeaderBytes - kChecksumBytes);
  std::uint64_t chain = extended(0, seed);
  while (blocks.size() >= tuskv::embedded::kPartBlockHeaderBytes) {
    const std::uint64_t length = load_integer<std::uint32_t>(blocks, 8);
    if (length > blocks.size() - tuskv::embedded::kPartBlockHeaderBytes) break;
    std::string block(blocks.substr(0, tuskv::embedded::kPartBlockHeaderBytes + length));
    const std::uint64_t checksum =
        checksum_of(std::string_view(block).substr(kChecksumBytes), seed + part.bytes.size());
    store_integer(block, 0, checksum);
    part.counts.push_back(load_integer<std::uint32_t>(block, 12));
    part.info.entries += part.counts.back();
    chain = extended(chain, checksum);
    part.bytes += block;
    blocks.remove_prefix(block.size());
  }
  std::string footer(tuskv::embedded::kPartFooterBytes, '\0');
  store_integer(footer, 16, part.info.entries);
  store_integer(footer, 24, std::uint64_t{part.bytes.size()});
  store_integer(footer, kChainAt, chain);
  part.info.checksum = checksum_of(std::string_view(footer).substr(kChecksumBytes), seed + part.bytes.size());
  store_integer(footer, 0, part.info.checksum);
  part.bytes += footer;
  part.info.size_bytes = part.bytes.size();
  return part;
}

/// The part that tuskv writes of these entries, in blocks of these sizes.
std::string written_again(const std::vector<Entry>& entries, const std::vector<std::uint32_t>& counts) {
  tuskv::fuzz::MemoryFiles files;
  auto writer = PartWriter::create(files, kPath, kHeader);
  TUSKV_FUZZ_CHECK(writer.ok());
  std::size_t next = 0;
  for (const std::uint32_t count : counts) {
    for (std::uint32_t i = 0; i < count; ++i, ++next) {
      const Entry& entry = entries.at(next);
      EntryView view;
      view.key = entry.key;
      view.value = entry.value;
      view.sequence = entry.sequence;
      view.expires_us = entry.stamps[0];
      view.created_us = entry.stamps[1];
      view.updated_us = entry.stamps[2];
      writer.value()->add(view);
    }
    TUSKV_FUZZ_CHECK(writer.value()->flush().ok());
  }
  TUSKV_FUZZ_CHECK(writer.value()->finish().ok());
  return files.bytes(kPath);
}

/// Reads strictly and around damage; both must agree. Returns whether the part is good.
bool read(const std::string& bytes, const PartInfo& info, Collector& strict) {
  tuskv::fuzz::MemoryFiles files;
  files.bytes(kPath) = bytes;
  const tuskv::Status status = tuskv::embedded::read_part_file(files, kPath, kHeader, info, strict);
  Collector salvaged;
  const auto damage = tuskv::embedded::salvage_part_file(files, kPath, kHeader, &info, salvaged);
  TUSKV_FUZZ_CHECK(damage.ok() && damage.value().empty() == status.ok());
  if (status.ok()) {
    const auto in_order = [](const Entry& a, const Entry& b) { return a.key < b.key; };
    TUSKV_FUZZ_CHECK(std::adjacent_find(strict.entries.begin(), strict.entries.end(), std::not_fn(in_order)) ==
                     strict.entries.end());
    TUSKV_FUZZ_CHECK(salvaged.entries.size() == strict.entries.size());
    TUSKV_FUZZ_CHECK(tuskv::embedded::verify_part_ends(files, kPath, kHeader, info).ok());
  } else {
    TUSKV_FUZZ_CHECK(status.failure().code == tuskv::Code::Corruption);
    TUSKV_FUZZ_CHECK(status.failure().message.find(kPath) != std::string::npos);
  }
  return status.ok();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  Collector ignored;
  read(bytes, {.size_bytes = size}, ignored);
  tuskv::fuzz::MemoryFiles files;
  files.bytes(kPath) = bytes;
  const auto header = tuskv::embedded::read_part_header(files, kPath);
  TUSKV_FUZZ_CHECK(header.ok() || header.failure().code == tuskv::Code::Corruption);

  const Sealed part = seal(bytes);
  Collector found;
  if (read(part.bytes, part.info, found)) {
    TUSKV_FUZZ_CHECK(written_again(found.entries, part.counts) == part.bytes);
  }
  return 0;
}
