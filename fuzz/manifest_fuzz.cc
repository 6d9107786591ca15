// The text of a manifest, which the fuzzer writes up to the line of its checksum: a decoder must not rely on nobody
// being able to make that line. Whatever is accepted is spelled as tuskv would spell it, and a directory that has it
// can be opened, or not, and checked, in the time and the memory that its few files need.
#include <xxhash.h>

#include <string>

#include "embedded/keyspace.h"
#include "embedded/maintenance.h"
#include "embedded/manifest.h"
#include "embedded/recovery.h"
#include "embedded/segment.h"
#include "embedded/snapshot.h"
#include "fuzz_target.h"
#include "memory_files.h"

namespace {

using tuskv::Code;
using tuskv::embedded::Manifest;

constexpr std::uint64_t kSegmentId = 0x5eed;

std::string with_checksum_line(std::string text) {
  char line[32];
  std::snprintf(line, sizeof line, "checksum %016llx\n",
                static_cast<unsigned long long>(XXH3_64bits(text.data(), text.size())));
  return text + line;
}

/// A segment without records, ended in order, that follows `sequence`.
std::string segment_of(const Manifest& manifest, std::uint64_t ordinal, std::uint64_t sequence) {
  std::string bytes = tuskv::embedded::encode_segment_header(
      {.store_id = manifest.store_id, .segment_id = kSegmentId, .ordinal = ordinal});
  tuskv::embedded::RecordBuffer close;
  close.start(tuskv::embedded::RecordKind::close);
  bytes += close.finish(kSegmentId, bytes.size(), sequence, sequence);
  return bytes;
}

/// The directory, with a file for the first of each kind that the manifest names. What it says of the first part is
/// made true but for the number of entries.
void put_files(tuskv::fuzz::MemoryFiles& files, Manifest& manifest) {
  auto& snapshot = manifest.snapshot;
  const std::string location = tuskv::embedded::snapshot_location("d", manifest);
  if (!snapshot.parts.empty()) {
    auto part =
        tuskv::embedded::PartWriter::create(files, location + "/part-0", tuskv::embedded::part_header(manifest, 0));
    TUSKV_FUZZ_CHECK(part.ok());
    part.value()->add({.key = "key", .value = "value", .sequence = snapshot.start_sequence});
    const auto info = part.value()->finish();
    TUSKV_FUZZ_CHECK(info.ok());
    const std::uint64_t claimed = snapshot.parts[0].entries;
    snapshot.parts[0] = info.value();
    snapshot.parts[0].entries = claimed;
  }
  if (snapshot.delta_count != 0) {
    const std::uint64_t ordinal = snapshot.first_delta_ordinal;
    files.bytes(location + "/" + tuskv::embedded::segment_name(ordinal)) =
        segment_of(manifest, ordinal, snapshot.start_sequence);
  }
  const std::uint64_t ordinal = manifest.first_log_ordinal;
  files.bytes("d/" + tuskv::embedded::segment_name(ordinal)) =
      segment_of(manifest, ordinal, manifest.first_log_sequence - 1);
}

void check_opening(Manifest manifest) {
  tuskv::fuzz::MemoryFiles files;
  put_files(files, manifest);
  files.bytes("d/MANIFEST") = encode_manifest(manifest);
  tuskv::embedded::Keyspace keyspace(1, 0);
  const auto recovered = tuskv::embedded::recover(
      files, {.directory = "d", .threads = 1, .may_write = false, .may_sync = false}, keyspace);
  TUSKV_FUZZ_CHECK(recovered.ok() || recovered.failure().code == Code::Corruption);
  const auto checked = tuskv::embedded::check_held_store(files, "d");
  TUSKV_FUZZ_CHECK(checked.ok());
  TUSKV_FUZZ_CHECK(recovered.ok() || !checked.value().damage.empty());
}

void check(const std::string& bytes) {
  const auto manifest = tuskv::embedded::decode_manifest(bytes, "MANIFEST");
  if (manifest.ok()) {
    TUSKV_FUZZ_CHECK(tuskv::embedded::encode_manifest(manifest.value()) == bytes);
    check_opening(manifest.value());
  } else {
    const Code code = manifest.failure().code;
    TUSKV_FUZZ_CHECK(code == Code::Corruption || code == Code::Config);
    TUSKV_FUZZ_CHECK(manifest.failure().message.find("MANIFEST") != std::string::npos);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  check(text);
  check(with_checksum_line(text));
  return 0;
}
