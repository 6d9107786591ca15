// One part of a snapshot: the entries of one shard, in key order. Integers are little-endian.
//
//   part    = header block* footer
//   header  = "TUSKPART" version:u32 header_size:u32 store_id:16 snapshot_ordinal:u64 part_index:u32 part_count:u32
//             start_sequence:u64 checksum:u64                                   -- of the 56 bytes before
//   block   = checksum:u64 length:u32 count:u32 entry{count} zero{0..7}         -- count > 0; length of what follows it
//   entry   = sequence:u64 value_size:u32 key_size:u16 zero:u16 expires_us:i64 created_us:i64 updated_us:i64 key value
//   footer  = checksum:u64 zero:u32 zero:u32 entries:u64 offset:u64 chain:u64   -- its own offset; then the file ends
//
// Checksums are XXH3-64. Those of blocks and footer cover all but themselves and are seeded with the header's checksum
// plus the offset in the file, so a block that was moved, or belongs to another part, snapshot or store, does not
// verify. `chain` runs over the checksums of header and blocks: the footer's checksum, kept in the manifest, thereby
// covers the whole file. Blocks start at multiples of 8, so that a salvage finds the next one behind damage.
#include "embedded/part_file.h"

#include <xxhash.h>

#include <algorithm>
#include <utility>

#include "embedded/byte_order.h"
#include "embedded/format_version.h"

namespace tuskv::embedded {
namespace {

constexpr std::string_view kPartMagic = "TUSKPART";
constexpr std::uint32_t kPartVersion = 1;
constexpr std::size_t kVersionAt = 8;
constexpr std::size_t kChecksumBytes = 8;
constexpr std::size_t kBlockAlignment = 8;
constexpr std::size_t kPartReadBytes = 4 * kPartBlockBytes;

std::uint64_t checksum_of(std::string_view bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

std::uint64_t extend_chain(std::uint64_t chain, std::uint64_t checksum) {
  std::string bytes;
  append_integer(bytes, checksum);
  return checksum_of(bytes, chain);
}

std::string encode_header(const PartHeader& header) {
  std::string bytes(kPartMagic);
  append_integer(bytes, kPartVersion);
  append_integer(bytes, static_cast<std::uint32_t>(kPartHeaderBytes));
  bytes.append(reinterpret_cast<const char*>(header.store_id.data()), header.store_id.size());
  append_integer(bytes, header.snapshot_ordinal);
  append_integer(bytes, static_cast<std::uint32_t>(header.part_index));
  append_integer(bytes, static_cast<std::uint32_t>(header.part_count));
  append_integer(bytes, header.start_sequence);
  append_integer(bytes, checksum_of(bytes, 0));
  return bytes;
}

/// Ties blocks and footer to this header.
std::uint64_t seed_of(const std::string& header) {
  return load_integer<std::uint64_t>(header, kPartHeaderBytes - kChecksumBytes);
}

Status damaged(const std::string& path, std::uint64_t offset, const std::string& what) {
  return {Code::Corruption, path + " is damaged at offset " + std::to_string(offset) + ": " + what};
}

/// Fails for the header of a part that a newer tuskv has written.
Status check_version(const std::string& path, std::string_view header) {
  constexpr std::size_t kChecksumAt = kPartHeaderBytes - kChecksumBytes;
  if (header.size() < kPartHeaderBytes || !header.starts_with(kPartMagic)) return {};
  if (checksum_of(header.substr(0, kChecksumAt), 0) != load_integer<std::uint64_t>(header, kChecksumAt)) return {};
  const auto version = load_integer<std::uint32_t>(header, kVersionAt);
  return version > kPartVersion ? newer_format(path, version, kPartVersion) : Status();
}

bool all_zero(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char byte) { return byte == '\0'; });
}

/// Walks the blocks of one part, strictly or around damage.
class PartScan final {
 public:
  PartScan(const os::File& file, std::uint64_t size_bytes, const PartHeader& header, EntrySink& sink)
      : file_(file), size_bytes_(size_bytes), header_(encode_header(header)), seed_(seed_of(header_)), sink_(sink) {}

  /// Whether the file starts with the header this part must have. Fails when a newer tuskv has written it.
  Result<bool> header_matches();

  enum class Found { block, footer, damage };
  /// Reads what is at the present offset; a block or footer that verifies is consumed, damage is not.
  Result<Found> next();
  /// Moves on to the next offset that could start a block or the footer; false at the end of the file.
  bool skip();

  std::uint64_t offset() const { return offset_; }
  std::uint64_t entries() const { return entries_; }
  std::uint64_t chain() const { return chain_; }
  const std::string& what() const { return what_; }
  /// True once a footer of this part was at the present offset, even if it does not fit the blocks that were read.
  bool met_footer() const { return met_footer_; }
  /// Valid after the footer.
  std::uint64_t footer_checksum() const { return footer_checksum_; }

 private:
  Status fill(std::uint64_t size);
  Found damage(std::string what);
  Found take_footer();
  Result<Found> take_block(std::uint32_t length, std::uint32_t count);
  bool parse_entries(std::string_view payload, std::uint32_t count);

  const os::File& file_;
  const std::uint64_t size_bytes_;
  const std::string header_;
  const std::uint64_t seed_;
  EntrySink& sink_;
  std::uint64_t offset_ = kPartHeaderBytes;
  std::uint64_t chain_ = extend_chain(0, seed_);
  std::uint64_t entries_ = 0;
  std::uint64_t footer_checksum_ = 0;
  std::string last_key_;
  std::string buffer_;
  std::uint64_t buffer_offset_ = 0;  ///< of buffer_ in the file; never behind offset_
  std::string_view window_;          ///< the part of buffer_ from offset_ on
  std::string what_;
  bool met_footer_ = false;
};

/// Makes window_ hold at least `size` bytes from offset_ on; the file is that long.
Status PartScan::fill(std::uint64_t size) {
  if (offset_ + size > buffer_offset_ + buffer_.size()) {
    const std::uint64_t wanted = std::min(size_bytes_ - offset_, std::max<std::uint64_t>(size, kPartReadBytes));
    if (buffer_.capacity() > kPartReadBytes && wanted <= kPartReadBytes) buffer_ = {};  // one large value came by
    buffer_.resize(wanted);
    Result<std::size_t> got = file_.read_at(offset_, buffer_.data(), wanted);
    buffer_offset_ = offset_;
    if (!got.ok()) return std::move(got).status();
    buffer_.resize(got.value());
    if (got.value() < size) return damaged(file_.path(), offset_ + got.value(), "the file became shorter");
  }
  window_ = std::string_view(buffer_).substr(offset_ - buffer_offset_);
  return {};
}

Result<bool> PartScan::header_matches() {
  std::string found(kPartHeaderBytes, '\0');
  Result<std::size_t> got = file_.read_at(0, found.data(), found.size());
  if (!got.ok()) return std::move(got).status();
  TUSKV_RETURN_IF_ERROR(check_version(file_.path(), found));
  return found == header_;
}

PartScan::Found PartScan::damage(std::string what) {
  what_ = std::move(what);
  return Found::damage;
}

Result<PartScan::Found> PartScan::next() {
  if (size_bytes_ - offset_ < kPartBlockHeaderBytes) return damage("the file ends without its footer");
  TUSKV_RETURN_IF_ERROR(fill(kPartBlockHeaderBytes));
  const auto length = load_integer<std::uint32_t>(window_, 8);
  const auto count = load_integer<std::uint32_t>(window_, 12);
  const std::uint64_t left = size_bytes_ - offset_;
  if (length == 0 && count == 0) {
    if (left < kPartFooterBytes) return damage("the footer is cut off");
    TUSKV_RETURN_IF_ERROR(fill(kPartFooterBytes));
    return take_footer();
  }
  const bool plausible = count != 0 && length % kBlockAlignment == 0 && length <= left - kPartBlockHeaderBytes &&
                         count <= length / kPartEntryHeaderBytes;
  if (!plausible) return damage("no block starts here");
  TUSKV_RETURN_IF_ERROR(fill(kPartBlockHeaderBytes + std::uint64_t{length}));
  return take_block(length, count);
}

PartScan::Found PartScan::take_footer() {
  const std::string_view footer = window_.substr(0, kPartFooterBytes);
  footer_checksum_ = load_integer<std::uint64_t>(footer, 0);
  if (checksum_of(footer.substr(kChecksumBytes), seed_ + offset_) != footer_checksum_) {
    return damage("the checksum of the footer does not match");
  }
  met_footer_ = true;
  if (load_integer<std::uint64_t>(footer, 16) != entries_) return damage("the footer counts other entries");
  if (load_integer<std::uint64_t>(footer, 24) != offset_) return damage("the footer is at the wrong place");
  if (load_integer<std::uint64_t>(footer, 32) != chain_) return damage("the footer belongs to other blocks");
  offset_ += kPartFooterBytes;
  return Found::footer;
}

Result<PartScan::Found> PartScan::take_block(std::uint32_t length, std::uint32_t count) {
  const std::string_view block = window_.substr(0, kPartBlockHeaderBytes + length);
  const auto checksum = load_integer<std::uint64_t>(block, 0);
  if (checksum_of(block.substr(kChecksumBytes), seed_ + offset_) != checksum) {
    return damage("the checksum of the block does not match");
  }
  if (!parse_entries(block.substr(kPartBlockHeaderBytes), count))
    return damage("the entries of the block do not parse");
  chain_ = extend_chain(chain_, checksum);
  entries_ += count;
  offset_ += block.size();
  return Found::block;
}

bool PartScan::parse_entries(std::string_view payload, std::uint32_t count) {
  std::string_view previous = last_key_;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (payload.size() < kPartEntryHeaderBytes) return false;
    const std::uint64_t value_size = load_integer<std::uint32_t>(payload, 8);
    const std::uint64_t key_size = load_integer<std::uint16_t>(payload, 12);
    if (load_integer<std::uint16_t>(payload, 14) != 0) return false;
    const auto sequence = load_integer<std::uint64_t>(payload, 0);
    if (sequence == 0) return false;  // an entry that no walk would show
    if (key_size == 0 || key_size > kChangeKeyBytesMax) return false;
    if (payload.size() - kPartEntryHeaderBytes < key_size + value_size) return false;
    Change put;
    put.key = payload.substr(kPartEntryHeaderBytes, key_size);
    put.value = payload.substr(kPartEntryHeaderBytes + key_size, value_size);
    put.expires_us = load_integer<std::int64_t>(payload, 16);
    put.created_us = load_integer<std::int64_t>(payload, 24);
    put.updated_us = load_integer<std::int64_t>(payload, 32);
    if (put.key <= previous) return false;
    previous = put.key;
    sink_.entry(put, sequence);
    payload.remove_prefix(kPartEntryHeaderBytes + key_size + value_size);
  }
  last_key_ = std::string(previous);
  return payload.size() < kBlockAlignment && all_zero(payload);
}

bool PartScan::skip() {
  offset_ += kBlockAlignment;
  return offset_ + kPartBlockHeaderBytes <= size_bytes_;
}

Status disagrees(const std::string& path, std::uint64_t offset, const std::string& what) {
  return damaged(path, offset, what + " than the manifest says");
}

Status check_size(const os::File& file, const PartInfo& info) {
  Result<std::uint64_t> size = file.size();
  if (!size.ok()) return std::move(size).status();
  if (size.value() < info.size_bytes) return disagrees(file.path(), size.value(), "the file is shorter");
  if (size.value() > info.size_bytes) return disagrees(file.path(), info.size_bytes, "the file is longer");
  if (size.value() < kPartHeaderBytes + kPartFooterBytes) {
    return damaged(file.path(), 0, "the file is too short for a part");
  }
  return {};
}

}  // namespace

PartWriter::PartWriter(std::unique_ptr<os::File> file, const std::string& header)
    : file_(std::move(file)), seed_(seed_of(header)), chain_(extend_chain(0, seed_of(header))) {
  start_block();
}

Result<std::unique_ptr<PartWriter>> PartWriter::create(os::FileSystem& file_system, const std::string& path,
                                                       const PartHeader& header) {
  Result<std::unique_ptr<os::File>> file = file_system.open(path, os::OpenMode::create);
  if (!file.ok()) return std::move(file).status();
  const std::string bytes = encode_header(header);
  TUSKV_RETURN_IF_ERROR(file.value()->write_at(0, bytes));
  return std::make_unique<PartWriter>(std::move(file).value(), bytes);
}

void PartWriter::start_block() {
  block_.assign(kPartBlockHeaderBytes, '\0');
  block_entries_ = 0;
}

void PartWriter::add(const EntryView& entry) {
  append_integer(block_, entry.sequence);
  append_integer(block_, static_cast<std::uint32_t>(entry.value.size()));
  append_integer(block_, static_cast<std::uint16_t>(entry.key.size()));
  append_integer(block_, std::uint16_t{0});
  append_integer(block_, entry.expires_us);
  append_integer(block_, entry.created_us);
  append_integer(block_, entry.updated_us);
  block_.append(entry.key);
  block_.append(entry.value);
  ++block_entries_;
}

Status PartWriter::flush() {
  if (block_entries_ == 0) return {};
  block_.resize((block_.size() + kBlockAlignment - 1) / kBlockAlignment * kBlockAlignment, '\0');
  store_integer(block_, 8, static_cast<std::uint32_t>(block_.size() - kPartBlockHeaderBytes));
  store_integer(block_, 12, block_entries_);
  const std::uint64_t checksum = checksum_of(std::string_view(block_).substr(kChecksumBytes), seed_ + offset_);
  store_integer(block_, 0, checksum);
  TUSKV_RETURN_IF_ERROR(file_->write_at(offset_, block_));
  offset_ += block_.size();
  entries_ += block_entries_;
  chain_ = extend_chain(chain_, checksum);
  start_block();
  return {};
}

Result<PartInfo> PartWriter::finish() {
  TUSKV_RETURN_IF_ERROR(flush());
  std::string footer;
  append_integer(footer, std::uint64_t{0});
  append_integer(footer, entries_);
  append_integer(footer, offset_);
  append_integer(footer, chain_);
  const std::uint64_t checksum = checksum_of(footer, seed_ + offset_);
  std::string bytes;
  append_integer(bytes, checksum);
  bytes += footer;
  TUSKV_RETURN_IF_ERROR(file_->write_at(offset_, bytes));
  TUSKV_RETURN_IF_ERROR(file_->sync());
  return PartInfo{.size_bytes = offset_ + bytes.size(), .checksum = checksum, .entries = entries_};
}

namespace {

/// A part that a manifest names: it is damage when there is none.
Result<std::unique_ptr<os::File>> open_part(os::FileSystem& file_system, const std::string& path) {
  Result<std::unique_ptr<os::File>> file = file_system.open(path, os::OpenMode::read);
  if (file.ok()) return file;
  Result<os::FileKind> kind = file_system.kind(path);
  if (!kind.ok() || kind.value() != os::FileKind::missing) return file;
  return Status(Code::Corruption, path + " is missing: the manifest knows of it");
}

}  // namespace

Status verify_part_ends(os::FileSystem& file_system, const std::string& path, const PartHeader& header,
                        const PartInfo& info) {
  Result<std::unique_ptr<os::File>> file = open_part(file_system, path);
  if (!file.ok()) return std::move(file).status();
  TUSKV_RETURN_IF_ERROR(check_size(*file.value(), info));
  const std::string expected = encode_header(header);
  std::string found(kPartHeaderBytes, '\0');
  Result<std::size_t> got = file.value()->read_at(0, found.data(), found.size());
  if (!got.ok()) return std::move(got).status();
  TUSKV_RETURN_IF_ERROR(check_version(path, found));
  if (found != expected) return damaged(path, 0, "the header is not that of this part");
  const std::uint64_t offset = info.size_bytes - kPartFooterBytes;
  found.resize(kPartFooterBytes);
  got = file.value()->read_at(offset, found.data(), found.size());
  if (!got.ok()) return std::move(got).status();
  const std::uint64_t checksum =
      checksum_of(std::string_view(found).substr(kChecksumBytes), seed_of(expected) + offset);
  if (checksum != info.checksum || load_integer<std::uint64_t>(found, 0) != checksum) {
    return disagrees(path, offset, "another footer");
  }
  return {};
}

Status read_part_file(os::FileSystem& file_system, const std::string& path, const PartHeader& header,
                      const PartInfo& info, EntrySink& sink) {
  Result<std::unique_ptr<os::File>> file = open_part(file_system, path);
  if (!file.ok()) return std::move(file).status();
  TUSKV_RETURN_IF_ERROR(check_size(*file.value(), info));
  PartScan scan(*file.value(), info.size_bytes, header, sink);
  Result<bool> matches = scan.header_matches();
  if (!matches.ok()) return std::move(matches).status();
  if (!matches.value()) return damaged(path, 0, "the header is not that of this part");
  for (;;) {
    Result<PartScan::Found> found = scan.next();
    if (!found.ok()) return std::move(found).status();
    if (found.value() == PartScan::Found::damage) return damaged(path, scan.offset(), scan.what());
    if (found.value() == PartScan::Found::footer) break;
  }
  if (scan.offset() != info.size_bytes) return damaged(path, scan.offset(), "bytes follow the footer");
  const std::uint64_t footer = scan.offset() - kPartFooterBytes;
  if (scan.footer_checksum() != info.checksum) return disagrees(path, footer, "another footer");
  if (scan.entries() != info.entries) return disagrees(path, footer, "another number of entries");
  return {};
}

Result<PartHeader> read_part_header(os::FileSystem& file_system, const std::string& path) {
  Result<std::unique_ptr<os::File>> file = file_system.open(path, os::OpenMode::read);
  if (!file.ok()) return std::move(file).status();
  std::string bytes(kPartHeaderBytes, '\0');
  Result<std::size_t> got = file.value()->read_at(0, bytes.data(), bytes.size());
  if (!got.ok()) return std::move(got).status();
  TUSKV_RETURN_IF_ERROR(check_version(path, bytes));
  PartHeader header;
  std::copy_n(bytes.begin() + 16, header.store_id.size(), reinterpret_cast<char*>(header.store_id.data()));
  header.snapshot_ordinal = load_integer<std::uint64_t>(bytes, 32);
  header.part_index = load_integer<std::uint32_t>(bytes, 40);
  header.part_count = load_integer<std::uint32_t>(bytes, 44);
  header.start_sequence = load_integer<std::uint64_t>(bytes, 48);
  const bool is_one = header.part_count <= kPartsMax && header.part_index < header.part_count;
  if (got.value() != kPartHeaderBytes || bytes != encode_header(header) || !is_one) {
    return damaged(path, 0, "the header of the part does not verify");
  }
  return header;
}

Result<std::vector<FileDamage>> salvage_part_file(os::FileSystem& file_system, const std::string& path,
                                                  const PartHeader& header, const PartInfo* info, EntrySink& sink) {
  Result<std::unique_ptr<os::File>> file = file_system.open(path, os::OpenMode::read);
  if (!file.ok()) return std::move(file).status();
  Result<std::uint64_t> size = file.value()->size();
  if (!size.ok()) return std::move(size).status();
  std::vector<FileDamage> damage;
  if (size.value() < kPartHeaderBytes + kPartFooterBytes) {
    damage.push_back({.offset = 0, .what = "the file is too short for a part"});
    return damage;
  }
  PartScan scan(*file.value(), size.value(), header, sink);
  Result<bool> matches = scan.header_matches();
  if (!matches.ok()) return std::move(matches).status();
  if (!matches.value()) damage.push_back({.offset = 0, .what = "the header is not that of this part"});

  bool in_damage = false;  // one line for each stretch of damage
  for (;;) {
    Result<PartScan::Found> found = scan.next();
    if (!found.ok()) return std::move(found).status();
    // After damage the footer counts more than could be read; that is said already.
    if (found.value() == PartScan::Found::footer || (scan.met_footer() && !damage.empty())) break;
    if (found.value() == PartScan::Found::damage) {
      if (!in_damage) damage.push_back({.offset = scan.offset(), .what = scan.what()});
      if (!scan.skip()) break;
    }
    in_damage = found.value() == PartScan::Found::damage;
  }
  if (damage.empty() && scan.offset() != size.value()) {
    damage.push_back({.offset = scan.offset(), .what = "bytes follow the footer"});
  }
  if (damage.empty() && info != nullptr &&
      (scan.footer_checksum() != info->checksum || size.value() != info->size_bytes ||
       scan.entries() != info->entries)) {
    damage.push_back({.offset = 0, .what = "this is not the part the manifest names"});
  }
  return damage;
}

}  // namespace tuskv::embedded
